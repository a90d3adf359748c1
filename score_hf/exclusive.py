"""What only one process may do at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


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
