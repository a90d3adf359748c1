"""Stands in for NumPy where a checkpoint's pickle asks for it.

NumPy's own types are not harmless: `numpy.ndarray` makes an array of Python objects out of a
stranger's bytes, and whatever looks at one of them follows an address that the stranger wrote. What
stands here for them holds what it is given, and makes a tensor of it if it is numbers.
"""

import pickle
from typing import Any

import numpy as np
import torch
from torch import Tensor

# As pickles name them: kind and bytes.
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


class PickledType:
    """Stands for `numpy.dtype`.

    Args:
        code: NumPy's short name, such as "f4".
    """

    def __init__(self, code: Any, *_: object) -> None:
        self.code, self.byte_order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byte_order = state[1]

    def to_numpy(self) -> np.dtype | None:
        """Gives NumPy's type, or None if it is none of numbers."""
        if self.code not in _NUMBERS or self.byte_order not in ("<", ">", "=", "|"):
            return None
        return np.dtype(self.byte_order + self.code)


class PickledArray:
    """Stands for `numpy.ndarray`, empty until its content arrives."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def to_tensor(self) -> Tensor | None:
        """Gives its numbers.

        Returns:
            A tensor, or None if it holds other things.

        Raises:
            UnpicklingError: If shape and content do not belong together.
        """
        try:
            _, shape, kind, by_columns, content = self.state
            dtype = kind.to_numpy() if isinstance(kind, PickledType) else None
            if dtype is None:
                return None
            values = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
            return torch.from_numpy(np.array(values, dtype.newbyteorder("="), order="C"))
        except (TypeError, ValueError) as error:
            raise pickle.UnpicklingError(f"one of its arrays is damaged: {error}") from error


def forget_scalar(*_: object) -> None:
    """Stands for the function that makes scalars, such as the loss of an epoch."""


def begin_array(*_: object) -> PickledArray:
    """Stands for the function that makes an array which gets its content later."""
    return PickledArray()


# For `torch.serialization.safe_globals`; NumPy 1 and 2 write functions under different names.
NUMPY_STAND_INS: tuple[tuple[Any, str], ...] = (
    (PickledType, "numpy.dtype"),
    (PickledArray, "numpy.ndarray"),
    *(
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for function, name in ((forget_scalar, "scalar"), (begin_array, "_reconstruct"))
    ),
)
