"""Reads large JSON files item by item: annotation files reach gigabytes, memory does not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 22
# Of what the end of a window can cut in two, but a text: "-Infinity", "\\u1234".
_LONGEST_MARK = 16
_BYTE_ORDER_MARK = "\xef\xbb\xbf"


@dataclass(frozen=True)
class Item:
    """One item of a list of the file.

    Args:
        key: Name of the list in the outermost dictionary.
        value: The item.
        start: Where it begins in the file, in bytes.
        length: Its length in bytes.
    """

    key: str
    value: Any
    start: int
    length: int


def iterate_lists(path: Path) -> Iterator[Item]:
    """Goes through the lists that the outermost dictionary of a JSON file holds.

    Args:
        path: The file, in UTF-8.

    Yields:
        Every item of every list, in the order of the file.

    Raises:
        ValueError: If the file is not JSON, is cut off, or is no dictionary.
    """
    with path.open("rb") as stream:
        reader = _Reader(stream)
        try:
            yield from _iterate(reader)
        # Also what no UTF-8 text is, and brackets in brackets without end.
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"'{path}' is no complete JSON file of a dictionary with lists: near byte "
                f"{reader.place}, {str(error).split(':')[0].rstrip('.')}."
            ) from error


def _iterate(reader: "_Reader") -> Iterator[Item]:
    reader.take("{")
    while reader.peek() != "}":
        key = reader.value()[0]
        reader.take(":")
        if reader.peek() != "[":
            reader.value()
        else:
            reader.take("[")
            while reader.peek() != "]":
                value, start, length = reader.value()
                yield Item(key, value, start, length)
                if reader.peek() != "]":
                    reader.take(",")
            reader.take("]")
        if reader.peek() != "}":
            reader.take(",")


class _Reader:
    """A window on the file. One byte is one character, so that places in both agree."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._position = 0
        self._before = 0
        self._fill()
        if self._text.startswith(_BYTE_ORDER_MARK):
            self._position = len(_BYTE_ORDER_MARK)

    @property
    def place(self) -> int:
        return self._before + self._position

    def _fill(self) -> bool:
        chunk = self._stream.read(_CHUNK)
        if not chunk:
            return False
        self._text = self._text[self._position :] + chunk.decode("latin-1")
        self._before += self._position
        self._position = 0
        return True

    def peek(self) -> str:
        while True:
            while self._position < len(self._text) and self._text[self._position] in " \t\r\n":
                self._position += 1
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._fill():
                raise ValueError("the file ends too early")

    def take(self, expected: str) -> None:
        found = self.peek()
        if found != expected:
            raise ValueError(f"{expected!r} should stand where {found!r} is")
        self._position += 1

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether what is wrong may only be that the window ends, and not far before."""
        return error.msg.startswith("Unterminated string") or (
            len(self._text) - error.pos < _LONGEST_MARK
        )

    def value(self) -> tuple[Any, int, int]:
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._fill():
                    continue
                raise
            # A number at the end of the window may go on behind it: 3 as 3e-5.
            if len(self._text) - end > 2 or not self._fill():
                break
        start, length = self.place, end - self._position
        written = self._text[self._position : end]
        self._position = end
        if not written.isascii():
            value = json.loads(written.encode("latin-1"))
        return value, start, length
