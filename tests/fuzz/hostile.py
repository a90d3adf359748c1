"""Pickles that run programs when they are trusted."""

import builtins
import operator
import os
import struct
import subprocess
from collections.abc import Callable
from typing import Any

# The marker that `guard.observe` looks for lies in the working folder of the input, which a pickle
# does not know: its audit hook sees these calls.
_CALLS: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...] = (
    (os.system, ("true",)),
    (subprocess.Popen, (["true"],)),
    (eval, ("__import__('os').system('true')",)),
    (exec, ("import os; os.system('true')",)),
    (builtins.getattr, (os, "system")),
    (operator.methodcaller, ("system", "true")),
    (__import__, ("os",)),
    (os.mkdir, ("/dev/null/x",)),
    (range, (1 << 40,)),
)


class Runs:
    """Calls a function when it is unpickled by `pickle.load`."""

    def __init__(self, call: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
        self._call = call

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call

    @classmethod
    def all(cls) -> list["Runs"]:
        """One of each kind."""
        return [cls(call) for call in _CALLS if call[0] is not builtins.getattr]


def _short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


# What the machine that reads pickles understands, to be put anywhere into one.
OPCODES = (
    b"cos\nsystem\n(S'true'\ntR.",
    b"cposix\nsystem\n(S'true'\ntR",
    b"cbuiltins\neval\n(S'1'\ntR",
    b"c__builtin__\nexec\n(S'1'\ntR",
    b"cnumpy\nndarray\n(I1\nS'O'\ntR",
    b"(ios\nsystem\n",
    _short("os") + _short("system") + b"\x93",
    _short("builtins") + _short("getattr") + b"\x93",
    b"r\xff\xff\xff\x7f",
    b"r\xff\xff\xff\xff",
    b"j\xff\xff\xff\xff",
    b"p999999999999\n",
    b"\x8a\x08" + b"\xff" * 8,
    b"\x8b\xff\xff\xff\x7f",
    b"\x8d" + struct.pack("<Q", 1 << 40),
    b"\x8e" + struct.pack("<Q", 1 << 40),
    b"\x96" + struct.pack("<Q", 1 << 36),
    b"\x95" + struct.pack("<Q", 1 << 40),
    b"\x82\x01", b"Q", b"P1\n", b"b", b"R", b"\x81", b"\x92", b"o", b"0", b"1", b"2", b"(",
    b"t", b"l", b"d", b"}", b"]", b")", b"a", b"e", b"s", b"u", b"N", b"\x88", b"\x94", b".",
    b"]q\x00h\x00a", b"2" * 60, b"((((((((",
)  # fmt: skip
