"""What kernels that compare elements as keys (`cl/keys.h`) are told of the elements."""

from __future__ import annotations

import numpy as np

from needle.backend.protocol import ArrayView, Buffer
from needle.dtypes import DType, is_float, is_signed, uint32, uint64

_INT = np.dtype(np.int32)


def key_dtype(dtype: DType) -> DType:
    """The dtype of the keys of elements of `dtype`."""
    return uint64 if dtype.itemsize == 8 else uint32


def element_types(dtype: DType) -> tuple[DType | None, ...]:
    """The types of a kernel's ELEMENTS."""
    return None, _INT, _INT, key_dtype(dtype)


def elements(x: ArrayView, descending: bool = False) -> tuple[Buffer, int, int, int]:
    """The arguments for a kernel's ELEMENTS: those of the contiguous array `x`."""
    dtype = x.dtype
    kind = 2 if is_float(dtype) else int(is_signed(dtype))
    return x.buffer, dtype.itemsize, kind, (1 << 8 * dtype.itemsize) - 1 if descending else 0
