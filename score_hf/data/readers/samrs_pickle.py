"""Reads SAMRS's pickles without running anything that is in them.

Unpickling a file calls whatever functions it names. Of these files only lists, dictionaries,
strings and integers are needed, and NumPy appears in them as scalars (`label`, `size`) and as
arrays of box corners, which nobody reads. So no name is ever looked up: the few that NumPy writes
are answered by the stand-ins below, every other is refused.
"""

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

from ...pickled_parts import check_numbering


class _StandIn:
    """Answers every call with itself and forgets every state."""

    __slots__ = ()

    def __call__(self, *_: Any) -> Any:
        return self

    def __setstate__(self, _: Any) -> None:
        pass


class _DataType:
    """A NumPy type, of which only integers are understood."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any) -> None:
        self._code = code
        self._order = "<"

    def __setstate__(self, state: Any) -> None:
        self._order = state[1]

    def integer(self, data: bytes) -> int | None:
        if not isinstance(self._code, str) or self._code[:1] not in ("i", "u"):
            return None
        signed = self._code[0] == "i"
        return int.from_bytes(data, "big" if self._order == ">" else "little", signed=signed)


class _MakesDataType(_StandIn):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> _DataType:
        return _DataType(arguments[0])


class _MakesScalar(_StandIn):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> int | None:
        match arguments:
            case (_DataType() as data_type, bytes() as data):
                return data_type.integer(data)
        return None


class _MakesBytes(_StandIn):
    """Old pickles write bytes as text of the same character codes."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> bytes:
        return str(arguments[0]).encode("latin-1")


_NUMPY_1 = "numpy.core"
_NUMPY_2 = "numpy._core"
_ALLOWED: dict[tuple[str, str], _StandIn] = {
    ("numpy", "ndarray"): _StandIn(),
    ("numpy", "dtype"): _MakesDataType(),
    ("_codecs", "encode"): _MakesBytes(),
    **{
        (f"{numpy}.{module}", name): stand_in
        for numpy in (_NUMPY_1, _NUMPY_2)
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _StandIn()),
            ("multiarray", "scalar", _MakesScalar()),
            ("numeric", "_frombuffer", _StandIn()),
        )
    },
}


class _RefusedError(ValueError):
    pass


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise _RefusedError(f"it names {module_name}.{global_name}")
        return _ALLOWED[module_name, global_name]

    def persistent_load(self, _: Any) -> Any:
        raise _RefusedError("it refers to an object outside the file")


def read_objects(path: Path) -> list[dict[str, Any]]:
    """Reads the objects of one image.

    Args:
        path: A file of SAMRS's folder `ins`.

    Returns:
        One dictionary an object with what it has of: `mask`, COCO run lengths
        `{"size": [height, width], "counts": str}`; `label`, the class index from 0; and other
        keys, whose values must not be relied on.

    Raises:
        OSError: If the file is damaged.
        ValueError: If it holds something that SAMRS's files do not; nothing of it was run.
    """
    try:
        content = path.read_bytes()
        check_numbering(content)
        objects = _SafeUnpickler(BytesIO(content)).load()
    except _RefusedError as refusal:
        raise ValueError(
            f"`root` has the pickle '{path}', which was not read because {refusal}; a pickle can "
            "run programs, and SAMRS's hold nothing but lists, dictionaries, texts and numbers."
        ) from refusal
    # What a damaged pickle makes the machine stumble over is of any kind.
    except Exception as error:
        raise OSError(f"'{path}' cannot be decoded ({error}).") from error
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise ValueError(
            f"`root` has the pickle '{path}', which holds {type(objects).__name__} where SAMRS's "
            "hold a list with one dictionary an object."
        )
    return objects
