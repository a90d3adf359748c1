import inspect
import os
import signal

import pytest
import typer
import typer.main

from score_hf.cli import app
from score_hf.commands.convert import convert
from score_hf.commands.push import push
from score_hf.commands.terminal import ending_like_ctrl_c, option_names, plain_messages


def test_errors_name_options_as_the_user_gives_them(capsys):
    assert option_names(push)["space"] == "--space"
    names = {**option_names(convert), "folder": option_names(push)["folder"]}
    with pytest.raises(typer.Exit) as ended, plain_messages(names=names):
        raise ValueError(
            "`general_weights` or `folder` is\nnot `hf auth login` or general_weights."
        )
    assert ended.value.exit_code == 2
    said = "`--general-weights` or `DIR` is not `hf auth login` or general_weights."
    assert capsys.readouterr().err == f"score-hf: {said}\n"
    with pytest.raises(typer.Exit), plain_messages():
        raise ValueError("`folder`")
    assert capsys.readouterr().err == "score-hf: `folder`\n"


def leaves(group):
    for command in group.commands.values():
        yield from leaves(command) if hasattr(command, "commands") else (command,)


@pytest.mark.parametrize(
    "command", list(leaves(typer.main.get_command(app))), ids=lambda command: command.name
)
def test_options_are_called_what_the_command_line_calls_them(command):
    names = option_names(inspect.unwrap(command.callback))
    given = {one.name: one.opts for one in command.params if one.param_type_name == "option"}
    assert given and all(names[name] in options for name, options in given.items())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no such signal")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_process_is_cleaned_up_after(name):
    ending = getattr(signal, name)
    before = signal.signal(ending, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), ending_like_ctrl_c():
            os.kill(os.getpid(), ending)
        assert signal.getsignal(ending) is signal.SIG_DFL
        signal.signal(ending, signal.SIG_IGN)
        with ending_like_ctrl_c():
            # As below `nohup`.
            os.kill(os.getpid(), ending)
        assert signal.getsignal(ending) is signal.SIG_IGN
    finally:
        signal.signal(ending, before)
