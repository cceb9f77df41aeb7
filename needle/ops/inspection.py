"""What dtypes are, and which one results: `finfo`, `iinfo`, `isdtype`, `can_cast`, `result_type`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.array.expression import SCALARS
from needle.autograd import Value
from needle.dtypes import (
    DType,
    DTypeLike,
    as_dtype,
    dtype_of_scalar,
    integer_limits,
    is_bool,
    is_float,
    is_integer,
    is_signed,
    join_scalar,
    promote,
)

__all__ = [
    "can_cast", "finfo", "iinfo", "is_floating_point", "isdtype", "promote_types", "result_type",
]  # fmt: skip


@dataclass(frozen=True)
class FloatInfo:
    """The numbers that describe a floating dtype, as Python floats; `finfo` gives one."""

    bits: int
    eps: float  # the distance from 1 to the next number
    max: float
    min: float
    smallest_normal: float
    tiny: float  # PyTorch's and NumPy's name of `smallest_normal`
    resolution: float
    dtype: DType


@dataclass(frozen=True)
class IntegerInfo:
    """The limits of an integer dtype; `iinfo` gives one."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(x: Any) -> DType:
    return x.dtype if isinstance(x, (Value, NDArray, np.ndarray)) else as_dtype(x)  # type: ignore[union-attr]


def finfo(type: Any) -> FloatInfo:
    """The limits of a floating dtype, or of that of a tensor. Raises TypeError for another dtype."""
    dtype = _dtype_of(type)
    if not is_float(dtype):
        raise TypeError(f"finfo needs a floating dtype, not {dtype}")
    found = np.finfo(dtype)
    least = float(found.smallest_normal)
    return FloatInfo(
        found.bits, float(found.eps), float(found.max), float(found.min), least, least, float(found.resolution), dtype
    )


def iinfo(type: Any) -> IntegerInfo:
    """The limits of an integer dtype, or of that of a tensor. Raises TypeError for another dtype."""
    dtype = _dtype_of(type)
    if not is_integer(dtype):
        raise TypeError(f"iinfo needs an integer dtype, not {dtype}")
    lowest, highest = integer_limits(dtype)
    return IntegerInfo(8 * dtype.itemsize, highest, lowest, dtype)


#: The standard's names of kinds of dtypes. There are no complex ones.
_KINDS: dict[str, Callable[[DType], bool]] = {
    "bool": is_bool,
    "signed integer": is_signed,
    "unsigned integer": lambda dtype: is_integer(dtype) and not is_signed(dtype),
    "integral": is_integer,
    "real floating": is_float,
    "complex floating": lambda dtype: False,
    "numeric": lambda dtype: not is_bool(dtype),
}


def isdtype(dtype: DTypeLike, kind: DTypeLike | str | tuple[Any, ...]) -> bool:
    """Whether `dtype` is of a kind: a dtype, one of the standard's names of kinds, or a tuple of such.

    The names are "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating" and
    "numeric". Raises ValueError for another name.
    """
    found = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, one) for one in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"kind={kind!r} is not known; expected one of {', '.join(_KINDS)}")
        return _KINDS[kind](found)
    return found == as_dtype(kind)


def is_floating_point(x: Any) -> bool:
    """Whether a tensor, or a dtype, is of floats."""
    return is_float(_dtype_of(x))


def promote_types(type1: DTypeLike, type2: DTypeLike) -> DType:
    """The dtype in which arrays of two dtypes meet. Raises TypeError for uint64 with a signed integer."""
    return promote(as_dtype(type1), as_dtype(type2))


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype in which tensors, dtypes and Python's numbers meet; numbers alone have their default dtypes.

    Raises ValueError without arguments, TypeError for dtypes that do not meet.
    """
    if not arrays_and_dtypes:
        raise ValueError("result_type needs at least one tensor, dtype or number")
    numbers = [x for x in arrays_and_dtypes if isinstance(x, SCALARS)]
    dtypes = [_dtype_of(x) for x in arrays_and_dtypes if not isinstance(x, SCALARS)]
    common = dtypes[0] if dtypes else dtype_of_scalar(numbers[0])
    for dtype in dtypes[1:]:
        common = promote(common, dtype)
    for number in numbers:
        common = join_scalar(common, number)
    return common


def can_cast(from_: Any, to: DTypeLike) -> bool:
    """Whether promotion may bring a dtype, or a tensor's, to `to`: whether the two meet in `to`."""
    wanted = as_dtype(to)
    try:
        return promote(_dtype_of(from_), wanted) == wanted
    except TypeError:
        return False
