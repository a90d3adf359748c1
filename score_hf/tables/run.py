"""Runs the trainings and evaluations of a table, one after another."""

import subprocess
import sys
from collections.abc import Callable, Sequence

from .plan import Cell
from .workspace import Workspace

# As `accelerate launch`, of the Python that runs this; without a traceback of its own after ours.
LAUNCHER = (sys.executable, "-m", "accelerate.commands.launch", "--quiet")


def run_cells(
    workspace: Workspace,
    cells: Sequence[Cell],
    launch_options: Sequence[str],
    say: Callable[[str], None],
) -> list[str]:
    """Does what is not done yet; what was begun goes on where it was.

    Args:
        workspace: Where everything lies.
        cells: What is wanted, run by run.
        launch_options: Of `accelerate launch`.
        say: Told what begins.

    Returns:
        A line for each training or evaluation that failed; the others were done all the same.
    """
    failures: list[str] = []
    failed_runs = set()
    for cell in cells:
        if workspace.cell_state(cell) == "done" or cell.run in failed_runs:
            continue
        if workspace.run_state(cell.run) != "done":
            say(f"training {cell.run.name}")
            status = _launch(workspace.train_command(cell.run), launch_options)
            if status != 0 or workspace.run_state(cell.run) != "done":
                failed_runs.add(cell.run)
                failures.append(f"training {cell.run.name} failed (exit status {status})")
                continue
        say(f"testing {cell.name}")
        status = _launch(workspace.evaluate_command(cell), launch_options)
        if status != 0 or workspace.cell_state(cell) != "done":
            failures.append(f"testing {cell.name} failed (exit status {status})")
    return failures


def _launch(command: Sequence[str], launch_options: Sequence[str]) -> int:
    with subprocess.Popen([*LAUNCHER, *launch_options, "-m", *command]) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has told all processes; let this one end before the table is told.
            process.wait()
            raise
