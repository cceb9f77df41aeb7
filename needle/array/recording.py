"""Recording operations on arrays: constants, and elementwise operations once dtypes, shapes and devices fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from needle.array.evaluation import common_device
from needle.array.expression import FULL, check_scalar, make_pending, operand_dtypes
from needle.array.ndarray import NDArray, cast, check_dtype, record
from needle.array.operators import TABLE
from needle.backend.protocol import Device
from needle.backend.records import Elementwise
from needle.dtypes import (
    DType,
    Scalar,
    Shape,
    bool_,
    int64,
    integer_limits,
    is_bool,
    is_float,
    is_signed,
    uint64,
)
from needle.strides import broadcast_shapes

#: Numbers of less than this are in the range of every floating dtype.
_FITS_ALL = float(np.finfo(np.float16).max)


def constant(shape: Shape, value: Scalar, dtype: DType, device: Device) -> NDArray:
    """A constant, which costs no memory until something needs it written out."""
    check_dtype(dtype, device)
    value = check_scalar(value, dtype)
    if -_FITS_ALL < value < _FITS_ALL:
        value = dtype.type(value).item()
    else:
        with np.errstate(over="ignore"):  # a float beyond the dtype's range is infinite
            value = dtype.type(value).item()
    return NDArray._make(device, dtype, shape, None, pending=make_pending(FULL, (value,), 1, constant=True))


def elementwise(operation: Elementwise, operands: Sequence[Any]) -> NDArray:
    """Record `operation` on `operands`: arrays of one device that broadcast together, and Python scalars.

    Raises TypeError for dtypes that do not fit the operation, ValueError for shapes that do not broadcast,
    DeviceError for arrays of different devices.
    """
    first: NDArray | None = None
    same_shape = True
    kinds: list[Any] = []  # an array's dtype, a scalar's type: what the dtypes of the operation depend on
    for operand in operands:
        if isinstance(operand, NDArray):
            kinds.append(operand.dtype)
            if first is None:
                first = operand
            elif operand.device is not first.device:
                common_device(operation.name, [first, operand])
            elif operand.shape != first.shape:
                same_shape = False
        else:
            kinds.append(type(operand))
    if first is None:
        raise TypeError(f"{operation.name} needs at least one array; got {', '.join(map(repr, operands))}")
    if operation.typing == "compare" and (found := _compared_exactly(operation, operands)) is not None:
        return found
    wanted, result = operand_dtypes(operation, tuple(kinds))
    shape = first.shape
    if not same_shape:
        shape = broadcast_shapes(*(o.shape for o in operands if isinstance(o, NDArray)))
    fitted: list[Any] = []
    for operand, dtype in zip(operands, wanted, strict=True):
        fits = operand.__class__ is NDArray and operand.dtype is dtype
        fitted.append(operand if fits else _fit(operand, dtype))
    return record(operation, tuple(fitted), result, shape, first.device)


# -- comparisons of integers ------------------------------------------------------------------------


def _compared_exactly(operation: Elementwise, operands: Sequence[Any]) -> NDArray | None:
    """The comparison of integers that have no dtype in common, else None.

    That is a Python integer beyond the range of an array, and uint64 beside a signed dtype.
    """
    if len(operands) != 2:
        return None
    x, y = operands
    if isinstance(x, NDArray) and isinstance(y, NDArray):
        if uint64 in (x.dtype, y.dtype) and (is_signed(x.dtype) or is_signed(y.dtype)):
            return _compared_with_uint64(operation, x, y)
        return None
    array, number = (x, y) if isinstance(x, NDArray) else (y, x)
    if type(number) is not int or is_float(array.dtype):
        return None
    lowest, highest = integer_limits(int64 if is_bool(array.dtype) else array.dtype)
    if lowest <= number <= highest:
        return None
    answer = operation.reference(*(0 if operand is array else number for operand in operands))  # the same for all
    return constant(array.shape, bool(answer), bool_, array.device)


def _compared_with_uint64(operation: Elementwise, *operands: NDArray) -> NDArray:
    """The comparison of an array of uint64 with one of signed integers, those below 0 apart."""
    signed = next(operand for operand in operands if is_signed(operand.dtype))
    negative: NDArray = TABLE["less"](signed, 0)
    answer = bool(operation.reference(*(-1 if operand is signed else 0 for operand in operands)))
    others = elementwise(operation, [cast(operand, uint64) for operand in operands])
    found: NDArray = TABLE["where"](negative, answer, others)
    return found


def _fit(operand: Any, dtype: DType) -> Any:
    """An operand as the operation computes on it: an array of `dtype`, or a scalar that `dtype` holds."""
    if isinstance(operand, NDArray):
        return operand if operand.dtype is dtype else cast(operand, dtype)
    if dtype is bool_:
        return bool(operand)
    return operand if type(operand) is float else check_scalar(operand, dtype)
