"""A check of pickles before they are read by an unpickler of our own."""

import pickle
import pickletools

# What gives a part of the file a number, by which a later part refers to it.
_NUMBERING = {"PUT", "BINPUT", "LONG_BINPUT"}


def check_numbering(content: bytes) -> None:
    """Refuses numbers that make the machine set aside gigabytes for a file of a few bytes.

    Args:
        content: The pickle.

    Raises:
        UnpicklingError: If it numbers more parts than it has.
        ValueError: If it is no pickle.
    """
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _NUMBERING and (argument or 0) > len(content):
            raise pickle.UnpicklingError("it numbers more parts than it has")
