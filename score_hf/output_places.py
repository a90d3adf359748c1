"""Places that are written to: they are there, and one process at a time writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def make_folder(folder: Path, argument: str = "--output") -> None:
    """Makes a folder and those above it.

    Args:
        folder: What to make; may be there.
        argument: What brought it; named in the error.

    Raises:
        ValueError: If a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"`{argument}` needs the folder {str(folder)!r}, but that, or what should be a folder "
            "above it, is a file."
        ) from error


@contextmanager
def exclusively(lock: Path, otherwise: str) -> Iterator[None]:
    """Keeps other processes out, also those that a killed launcher has left behind.

    The lock ends with the process that holds it, however that ends.

    Args:
        lock: File to lock, in a folder that is there.
        otherwise: What is said if another process holds it.

    Raises:
        ValueError: If another process holds it.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(otherwise) from error
    except NotImplementedError:
        # Some disks of networks know no locks.
        pass
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        held.release()
