"""What must hold whatever a reader is given, and how it is watched."""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

# Of the processor, so that a busy machine makes no difference.
_SECONDS = 10
_MEBIBYTES = 1024
# Of a message: some name what is available, or repeat what a library says.
_LONGEST_SENTENCE = 2000
_RUNS_OR_CALLS = re.compile(
    r"os\.(system|exec|fork|forkpty|spawn|posix_spawn|startfile)|subprocess\.Popen|pty\.spawn"
    r"|socket\.(connect|getaddrinfo|gethostbyname|sendto)"
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Violation(AssertionError):
    """A rule that was broken."""


class _Stop(BaseException):
    """Ends a reader that breaks a rule; its `except Exception` does not hide it."""


class _Watch:
    """What the process does, told by Python's audit hook, which cannot be taken off again."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: list[str] = []
        self.is_installed = False

    def install(self) -> None:
        if not self.is_installed:
            sys.addaudithook(self._audit)
            self.is_installed = True

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        broken = _RUNS_OR_CALLS.fullmatch(event) is not None
        if event == "open" and isinstance(arguments[0], str) and arguments[2] & _WRITES:
            path = os.path.abspath(arguments[0])
            cache = os.path.expanduser("~/.cache/huggingface")
            allowed = (str(self.folder), tempfile.gettempdir(), "/dev/null", "/proc/self/", cache)
            broken = not path.startswith(allowed) and "__pycache__" not in path
        if broken:
            self.seen.append(f"{event}{arguments!r:.200}")
            raise _Stop(f"it did {self.seen[-1]}")


_WATCH = _Watch()


def observe(
    read: Callable[[Path], object], errors: tuple[type[Exception], ...], folder: Path
) -> bool:
    """Reads an input and checks the rules.

    Args:
        read: Reads what lies in the folder.
        errors: Errors that the reader documents; their subclasses, such as `JSONDecodeError`, are
            not meant.
        folder: Where it may write.

    Returns:
        Whether it was read; False if it was refused.

    Raises:
        Violation: If a rule is broken.
    """
    marker = folder / "executed"
    marker.unlink(missing_ok=True)
    refused: Exception | None = None
    before = _peak_mebibytes(reset=True)
    _WATCH.install()
    _WATCH.folder, _WATCH.seen = folder, []
    try:
        with _time_limit():
            read(folder)
    except _Stop as stop:
        raise Violation(str(stop)) from stop
    except Exception as error:
        refused = error
    finally:
        _WATCH.folder = None
    if _WATCH.seen or marker.exists():
        raise Violation(f"it ran something: {_WATCH.seen or 'a file was made'}")
    grown = _peak_mebibytes() - before
    if grown > _MEBIBYTES:
        raise Violation(f"it took {grown} MiB")
    if refused is not None:
        _check_refusal(refused, errors)
    return refused is None


def _check_refusal(refused: Exception, errors: tuple[type[Exception], ...]) -> None:
    text = str(refused)
    if type(refused) not in errors:
        raise Violation(f"{type(refused).__name__} is not documented: {text:.500}") from refused
    if "\n" in text.strip() or not 10 < len(text) < _LONGEST_SENTENCE:
        raise Violation(f"this is no sentence: {text!r:.500}") from refused
    # A number or a bare word of some library says nothing of where to look.
    if not re.search(r"[`'\"/]|^The (picture|scene) ", text):
        raise Violation(f"this names neither file nor argument: {text!r}") from refused
    chain: BaseException | None = refused
    while chain is not None:
        asked = str(chain)
        if isinstance(chain, MemoryError) or ("alloc" in asked and "memory" in asked):
            raise Violation(f"it asked for too much memory: {asked:.300}") from refused
        chain = chain.__cause__ or chain.__context__


@contextmanager
def _time_limit() -> Iterator[None]:
    def end(_: int, frame: FrameType | None) -> None:
        raise _Stop(f"it took more than {_SECONDS} seconds, at last in {frame}")

    former = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def _peak_mebibytes(reset: bool = False) -> int:
    """The most memory that the process has had since the last reset, as Linux counts it."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024
