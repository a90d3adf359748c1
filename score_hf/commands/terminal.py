"""How commands speak: results on standard output, errors as one sentence on standard error."""

import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, NoReturn, get_type_hints

import typer

USAGE, FAILURE, INTERRUPTED = 2, 1, 130


def print_any_text() -> None:
    """Lets standard output take characters that its encoding lacks, as escapes.

    File names need not be text at all, and not every terminal knows every letter of a class.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def complain(message: object) -> None:
    """Prints one line on standard error."""
    typer.echo(f"score-hf: {message}", err=True)


def fail(message: object, code: int = FAILURE) -> NoReturn:
    """Ends the command with one sentence on standard error.

    Args:
        message: What was wrong and what to do.
        code: The exit status.

    Raises:
        Exit: Always.
    """
    complain(message)
    raise typer.Exit(code)


def option_names(command: Callable[..., Any]) -> dict[str, str]:
    """Tells what the arguments of a command are called on its line.

    Args:
        command: The function.

    Returns:
        Such as "--config-file" for "config_file", in its order.
    """
    names = {}
    for name, hint in get_type_hints(command, include_extras=True).items():
        for declared in getattr(hint, "__metadata__", ()):
            if isinstance(declared, typer.models.ArgumentInfo):
                names[name] = declared.metavar or name.upper()
            elif isinstance(declared, typer.models.OptionInfo):
                # Typer keeps the first name that was given where the default would be.
                given = (declared.default, *(declared.param_decls or ()))
                options = (one for one in given if isinstance(one, str) and one.startswith("--"))
                names[name] = next(options, f"--{name.replace('_', '-')}").partition("/")[0]
    return names


def one_sentence(error: object, names: Mapping[str, str] | None = None) -> str:
    """Writes an error in one line, in the words of the command line.

    Args:
        error: What was wrong, or a message that tells it.
        names: What arguments of Python, which errors name in backticks, are called on the command
            line; see `option_names`.

    Returns:
        Its message.
    """
    known, message = names or {}, " ".join(str(error).split())
    return "".join(known.get(part, part) for part in re.split(r"(?<=`)(\w+)(?=`)", message))


@contextmanager
def plain_messages(code: int = USAGE, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns errors of what the user gave, and warnings, into sentences on standard error.

    Args:
        code: The exit status of an error.
        names: As of `one_sentence`.

    Raises:
        Exit: If there was an error.
    """

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            yield
        except (OSError, TypeError, ValueError) as error:
            fail(one_sentence(error, names), code)


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Lets what ends a process otherwise, such as a cluster's time limit, be cleaned up after.

    Python would end at once, and leave what is half written.
    """
    endings = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    # Not those that are ignored, as below `nohup`; and only the main thread may ask.
    taken = [
        ending
        for ending in endings
        if ending is not None
        and signal.getsignal(ending) is signal.SIG_DFL
        and threading.current_thread() is threading.main_thread()
    ]
    for ending in taken:
        signal.signal(ending, signal.default_int_handler)
    try:
        yield
    finally:
        for ending in taken:
            signal.signal(ending, signal.SIG_DFL)


def quiet_transformers() -> None:
    """Silences the progress bars and load reports of Transformers."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
