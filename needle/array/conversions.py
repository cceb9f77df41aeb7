"""What Python and NumPy ask of an array: its only element as a number, its length, its values on the host."""

from __future__ import annotations

import numpy as np

from needle.dtypes import DType, DTypeLike, Scalar, Shape, converted, is_integer


class Conversions:
    """Conversions to Python's and NumPy's types, by the values that `numpy` gives."""

    __slots__ = ()

    shape: Shape
    dtype: DType

    @property
    def size(self) -> int:
        """The number of elements."""
        raise NotImplementedError

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array; waits for the device."""
        raise NotImplementedError

    def item(self) -> Scalar:
        """The only element as a Python scalar. Raises ValueError if there is not exactly one."""
        if self.size != 1:
            raise ValueError(f"item() needs exactly one element; the shape is {self.shape}")
        return self.numpy().reshape(()).item()

    def __array__(self, dtype: DTypeLike = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an array on a device cannot be viewed by NumPy without a copy")
        host = self.numpy()
        return host if dtype is None else converted(host, np.dtype(dtype))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth value of an array of shape {self.shape} is ambiguous; use any() or all()")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not is_integer(self.dtype) or self.shape:
            raise TypeError(f"only a 0-d integer array can be an index; this is {self.dtype} of shape {self.shape}")
        return int(self.item())
