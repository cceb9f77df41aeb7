"""How kernels know the dtypes: the names of their element types, and the defines that kernels take them from.

What a type of that name is stored and computed as, `cl/types.h` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from needle.dtypes import ALL, DType, compute_dtype, float16, float64, is_bool, is_float, is_signed

#: A bool is stored as one byte, 0 or 1.
CL_TYPES = {
    "bool": "uchar", "int8": "char", "int16": "short", "int32": "int", "int64": "long",
    "uint8": "uchar", "uint16": "ushort", "uint32": "uint", "uint64": "ulong",
    "float16": "half", "float32": "float", "float64": "double",
}  # fmt: skip

#: The extension that a device must have for a dtype that not every device has.
_EXTENSIONS = {float16: "cl_khr_fp16", float64: "cl_khr_fp64"}


def supported_dtypes(extensions: Sequence[str]) -> frozenset[DType]:
    """The dtypes of a device with these OpenCL extensions."""
    return frozenset(dtype for dtype in ALL if _EXTENSIONS.get(dtype) in (None, *extensions))


def cl_type(dtype: DType) -> str:
    """The name of `dtype` in kernels."""
    return CL_TYPES[dtype.name]


def compute_type(dtype: DType) -> str:
    """The name of the type that `dtype` is computed in, to be rounded once: `COMPUTE_TYPE` in `cl/types.h`."""
    return cl_type(compute_dtype(dtype))


def is_narrow(dtype: DType) -> bool:
    """Whether `dtype` is computed in a wider type than it is stored in: `IS_NARROW` in `cl/types.h`."""
    return compute_dtype(dtype) != dtype


def wrapping_type(dtype: DType) -> str:
    """The type to add and multiply `dtype` in: for signed integers the unsigned one, whose overflow is defined."""
    return f"u{cl_type(dtype)}" if is_signed(dtype) else cl_type(dtype)


def element_defines(dtype: DType, *, wraps: bool = False) -> dict[str, str | int]:
    """The defines that tell a kernel of one element type that it is `dtype`; `cl/types.h` derives the rest from them.

    Where the kernel adds and multiplies, integers shall wrap around: `wraps` asks for their `wrapping_type`.
    """
    return {"T": wrapping_type(dtype) if wraps else cl_type(dtype)}


@cache
def bits_type(dtype: DType) -> str:
    """The type to copy elements of `dtype` in: an unsigned integer of the same size."""
    return cl_type(np.dtype(f"u{dtype.itemsize}"))


@cache
def missing_bits(dtype: DType) -> int:
    """The bits, as `bits_type` has them, of what stands for a missing element: NaN, or 0 of an integer or a bool."""
    return int(np.array(np.nan, dtype).view(f"u{dtype.itemsize}")) if is_float(dtype) else 0


def argument_dtype(dtype: DType) -> DType:
    """The dtype in which a scalar of `dtype` is handed to a kernel, which takes neither halves nor bools."""
    return np.dtype(np.uint8) if is_bool(dtype) else compute_dtype(dtype)
