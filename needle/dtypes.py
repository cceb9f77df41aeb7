"""Data types: their names and properties, how two of them promote, and how Python scalars join in.

What the library needs to know of a dtype it asks here. A new dtype is added in this file, and for OpenCL in
`cl/types.h` and `needle/backend/opencl/building/types.py`.

Promotion follows the Array API standard (2023.12, "Type Promotion Rules"). Where the standard leaves a
mix of kinds open, the choice is the one a deep-learning user expects: an integer meeting a float takes the
float's dtype, a bool takes the other's. Python scalars are weak: they adopt the array's dtype if its kind
can hold them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike as NumpyDTypeLike

__all__ = [
    "bool_", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip

DType: TypeAlias = np.dtype[Any]
Scalar: TypeAlias = bool | int | float
Shape: TypeAlias = tuple[int, ...]
DTypeLike: TypeAlias = NumpyDTypeLike | None

bool_: DType = np.dtype("bool")
int8: DType = np.dtype("int8")
int16: DType = np.dtype("int16")
int32: DType = np.dtype("int32")
int64: DType = np.dtype("int64")
uint8: DType = np.dtype("uint8")
uint16: DType = np.dtype("uint16")
uint32: DType = np.dtype("uint32")
uint64: DType = np.dtype("uint64")
float16: DType = np.dtype("float16")
float32: DType = np.dtype("float32")
float64: DType = np.dtype("float64")

ALL: tuple[DType, ...] = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64,
)  # fmt: skip
DEFAULT_FLOAT = float32
DEFAULT_INT = int64

#: The dtypes that a device may lack. Every device has the others.
OPTIONAL: frozenset[DType] = frozenset((float16, float64))
REQUIRED: frozenset[DType] = frozenset(ALL) - OPTIONAL

_SUPPORTED = frozenset(ALL)


def as_dtype(dtype: DTypeLike) -> DType:
    """The dtype named by `dtype` (a name, a NumPy dtype or a Python type).

    Raises TypeError for anything outside the twelve supported dtypes.
    """
    if dtype is None:  # NumPy would make it float64
        raise TypeError(f"dtype=None is not a dtype; expected one of {_names()}")
    if isinstance(dtype, int):
        raise TypeError(
            f"dtype={dtype!r} is not a dtype; the sizes of several axes are one argument, as in zeros((2, 3))"
        )
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype={dtype!r} is not a dtype; expected one of {_names()}") from error
    if dtype is float:  # Python's float means the library's default, as in the Array API
        return DEFAULT_FLOAT
    native = found.newbyteorder("=")
    if native not in _SUPPORTED:
        raise TypeError(f"dtype={dtype!r} is not supported; expected one of {_names()}")
    return native


def _names() -> str:
    return ", ".join(d.name for d in ALL)


def kind_of(dtype: DType) -> str:
    """The kind of a dtype as records name it: "b" bool, "i" signed integer, "u" unsigned integer, "f" float."""
    return dtype.kind


def is_bool(dtype: DType) -> bool:
    """True for bool."""
    return dtype.kind == "b"


def is_float(dtype: DType) -> bool:
    """True for float16, float32 and float64."""
    return dtype.kind == "f"


def is_integer(dtype: DType) -> bool:
    """True for signed and unsigned integers; bool is not an integer."""
    return dtype.kind in "iu"


def is_signed(dtype: DType) -> bool:
    """True for signed integers."""
    return dtype.kind == "i"


def compute_dtype(dtype: DType) -> DType:
    """The dtype in which functions, sums and optimisers' steps of `dtype` are computed, to be rounded once at the end.

    float32 for float16, whose sums lose digits and whose squares overflow; any other dtype itself.
    """
    return float32 if dtype == float16 else dtype


def significant_bits(dtype: DType) -> int:
    """The bits of a float's significand, the leading one included: 11 of float16, 24 of float32, 53 of float64."""
    return np.finfo(dtype).nmant + 1


def integer_limits(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest value of an integer dtype."""
    limits = np.iinfo(dtype.name)
    return int(limits.min), int(limits.max)


def converted(array: np.ndarray, dtype: DType) -> np.ndarray:
    """`array` in `dtype`; the array itself where it has it. This is what a conversion gives, on every device.

    Floats are cut towards zero on the way to integers; beyond the range they give its nearest end, and NaN gives 0.
    (NumPy and OpenCL leave that open.) Integers wrap around, floats beyond the range of a float dtype are infinite.
    """
    with np.errstate(all="ignore"):
        if not (is_float(array.dtype) and is_integer(dtype)):
            return array.astype(dtype, copy=False)
        lowest, highest = integer_limits(dtype)
        wide = np.where(np.isnan(array), 0, array).astype(np.float64)
        below = np.nextafter(highest + 1.0, 0)  # the largest float below 2 ** 8, ..., 2 ** 64
        return np.where(wide > below, dtype.type(highest), np.clip(wide, lowest, below).astype(dtype))


@cache
def promote(a: DType, b: DType) -> DType:
    """The dtype in which arrays of dtypes `a` and `b` meet.

    Raises TypeError for uint64 with a signed integer, which no supported integer dtype can hold.
    """
    if a == b:
        return a
    if is_bool(a):
        return b
    if is_bool(b):
        return a
    if is_float(a) != is_float(b):
        return a if is_float(a) else b
    if kind_of(a) != kind_of(b) and uint64 in (a, b):
        raise TypeError(f"no integer dtype holds both {a} and {b}; cast one of them with astype")
    return np.promote_types(a, b)


def float_for(dtype: DType) -> DType:
    """The floating dtype in which functions such as exp compute for an input of `dtype`."""
    return dtype if is_float(dtype) else DEFAULT_FLOAT


def accumulator_for(dtype: DType) -> DType:
    """The dtype of a sum or product over `dtype` (Array API `sum`): integers widen to 64 bits."""
    if is_float(dtype):
        return dtype
    return uint64 if kind_of(dtype) == "u" else DEFAULT_INT


def dtype_of_scalar(value: Scalar) -> DType:
    """The dtype a Python scalar has when no array gives it one."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    return DEFAULT_INT if isinstance(value, (int, np.integer)) else DEFAULT_FLOAT


def join_scalar(dtype: DType, value: Scalar) -> DType:
    """The dtype in which an array of `dtype` meets the Python scalar `value`.

    Raises OverflowError where an integer does not fit an integer array's dtype.
    """
    if isinstance(value, bool):
        return dtype
    if isinstance(value, int):
        if is_bool(dtype):
            return DEFAULT_INT
        if is_integer(dtype):
            lowest, highest = integer_limits(dtype)
            if not lowest <= value <= highest:
                raise OverflowError(f"Python integer {value} is out of bounds for {dtype}")
        return dtype
    return float_for(dtype)
