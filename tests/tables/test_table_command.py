import csv
import re

import pytest
from typer.testing import CliRunner

from score_hf.cli import app
from score_hf.tables import run as running
from score_hf.tables.paper import TABLES
from score_hf.tables.plan import cells_of
from score_hf.tables.workspace import Workspace
from tests.tables import folders
from tests.tables.test_render import HEADERS


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path / "data", tmp_path / "weights", tmp_path / "runs", ("steps=30",))
    folders.prepare(made.root)
    folders.convert(made.weights)
    return made


def table(workspace, *arguments):
    given = (
        *arguments,
        *("--root", workspace.root, "--weights", workspace.weights, "--output", workspace.output),
        *("--set", "steps=30"),
    )
    return CliRunner().invoke(app, ["table", *map(str, given)])


class Machine:
    """What processes would do: each training and each evaluation leaves its result.

    Args:
        workspace: Where.
        number: Of the table.
        fails: What does not work, as a piece of its command.
        interrupted: Where the user presses Ctrl-C.
    """

    def __init__(self, workspace, number, fails="nothing", interrupted="nothing"):
        self.workspace, self.fails, self.interrupted = workspace, fails, interrupted
        self.cells = {str(workspace.metrics(cell)): cell for cell in cells_of(TABLES[number])}
        self.commands: list[str] = []

    def launch(self, command):
        (module,) = [part for part in command if part.startswith("score_hf.training")]
        output = command[command.index("--output") + 1]
        text = f"{module.rpartition('.')[2]} {output.removeprefix(str(self.workspace.output))}"
        self.commands.append(text)
        if self.interrupted in text:
            raise KeyboardInterrupt
        if self.fails in text:
            return 1
        if module.endswith("train"):
            runs = {cell.run.name: cell.run for cell in self.cells.values()}
            folders.train(self.workspace, runs[output.rpartition("/")[2]])
        else:
            folders.measure(self.workspace, self.cells[output], len(self.commands) / 100)
        return 0


@pytest.fixture
def machine(workspace, monkeypatch):
    def install(number, **options):
        made = Machine(workspace, number, **options)
        launched: list[list[str]] = []

        class Process:
            def __init__(self, command):
                launched.append(command)
                self.command, self.calls = command, 0

            def __enter__(self):
                return self

            def __exit__(self, *error):
                return None

            def wait(self):
                self.calls += 1
                return made.launch(self.command) if self.calls == 1 else 130

        monkeypatch.setattr(running.subprocess, "Popen", Process)
        made.launched = launched
        return made

    return install


@pytest.mark.parametrize("number", list(TABLES))
def test_dry_run_lists_all_cells_and_the_table(workspace, machine, number):
    work = machine(number)
    done = table(workspace, number, "--dry-run")
    assert done.exit_code == 0 and done.stderr == "" and work.launched == []
    listed = re.findall(r"^\[to do\] (\S+/\S+): alpha", done.stdout, re.MULTILINE)
    assert listed == [cell.name for cell in cells_of(TABLES[number])]
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    assert rows[0] == HEADERS[number]
    printed = [row for row in rows if "the paper" in row]
    assert [tuple(row[: len(TABLES[number].row_heads)]) for row in printed] == [
        row.head for row in TABLES[number].rows
    ]
    assert ("ours" in done.stdout) == (number == "A")
    assert not workspace.output.exists()


def test_dry_run_goes_on_without_data(workspace, tmp_path):
    empty = Workspace(tmp_path / "none", tmp_path / "none", workspace.output, ("steps=30",))
    done = table(empty, "3", "--dry-run", "--launch-options", "--num_processes 2")
    assert done.exit_code == 0
    assert "table 3 needs what is not there" in done.stderr and "prepare score" in done.stderr
    assert "accelerate launch --num_processes 2 -m score_hf.training.train isaid" in done.stdout
    done = table(empty, "3")
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("score-hf: nothing was run; make these first")
    assert not workspace.output.exists()


def test_each_run_is_trained_once_and_used_by_other_tables(workspace, machine):
    first = machine("5")
    done = table(workspace, "5", "--launch-options", "--num_processes 2 --multi_gpu")
    assert done.exit_code == 0, done.output
    trained = [text for text in first.commands if text.startswith("train")]
    assert len(trained) == 4 and len(first.commands) == 20
    start = [*running.LAUNCHER, "--num_processes", "2", "--multi_gpu", "-m"]
    assert all(command[: len(start)] == start for command in first.launched)
    written = (workspace.output / "table-5.csv").read_text(encoding="utf-8")
    (last,) = [row for row in csv.reader(written.splitlines()) if row[:2] == ["MHA", "score_hf"]]
    assert last[2:] == ["17.00", "18.00", "19.00", "20.00"]
    assert (workspace.output / "table-5.md").read_text(encoding="utf-8") in done.stdout

    again = machine("5")
    assert table(workspace, "5").exit_code == 0 and again.commands == []
    other = machine("6")
    assert table(workspace, "6", "--only", "isaid-remoteclip").exit_code == 0
    assert other.commands == [
        f"evaluate /isaid-remoteclip/evaluations/{name}-context.json"
        for name in ("nwpu", "sota", "fast", "sior")
    ]
    other = machine("1")
    done = table(workspace, "1")
    assert [text for text in other.commands if text.startswith("train")] == [
        "train /sior-remoteclip"
    ]
    assert len(other.commands) == 5
    rows = list(csv.reader((workspace.output / "table-1.csv").read_text().splitlines()))
    assert rows[-1][2:7] == ["17.00", "18.00", "19.00", "20.00", "18.50"]


def test_what_fails_keeps_nothing_else_waiting(workspace, machine):
    work = machine("4", fails="isaid_cls")
    done = table(workspace, "4")
    assert done.exit_code == 1
    assert "training isaid_cls-remoteclip failed (exit status 1)" in done.stderr
    assert len(work.commands) == 1 + 2 * 5
    rows = list(csv.reader((workspace.output / "table-4.csv").read_text().splitlines()))
    assert rows[2] == ["[CLS] token", "score_hf", "", "", "", ""] and "" not in rows[4]

    work = machine("4", fails="evaluations/sota")
    done = table(workspace, "4")
    assert "testing isaid_cls-remoteclip/sota failed" in done.stderr and len(work.commands) == 5


def test_interruption_keeps_what_is_done(workspace, machine):
    machine("4", interrupted="isaid_cls-remoteclip/evaluations/fast")
    done = table(workspace, "4")
    assert done.exit_code == 130 and "stopped by the user" in done.stderr
    rows = list(csv.reader((workspace.output / "table-4.csv").read_text().splitlines()))
    assert rows[2][2:] == ["2.00", "3.00", "", ""]
    again = machine("4")
    assert table(workspace, "4").exit_code == 0
    assert again.commands[0] == "evaluate /isaid_cls-remoteclip/evaluations/fast.json"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["7"], "`TABLE` must be one of 1, 2, 3, 4, 5, 6, A, got '7'"),
        (["2", "--only", "isaid_cls*"], "`--only` 'isaid_cls*' is in table 2 no run"),
        (["2", "--set", "step=3"], "`recipe` has no field 'step'"),
        (["2", "--set", "steps"], "A change must be of the form"),
        (["2", "--launch-options", "'a"], "`--launch-options` cannot be read"),
    ],
)
def test_mistakes_are_told_in_one_sentence(workspace, arguments, message):
    done = table(workspace, *arguments)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("score-hf: ") and message in line


def test_letter_of_the_table(workspace):
    assert "**Table A.**" in table(workspace, "a", "--dry-run").stdout
