"""In which precision a composition of operations computes: halves as floats, integers so that they are not rounded.

A single operation computes halves in float32 and rounds its result. A composition of several would round each step:
a square overflows at 256, and 70,000 elements are more than a half can count. What stands here lets it round once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from needle.array import NDArray
from needle.autograd import Value
from needle.dtypes import DEFAULT_FLOAT, DType, compute_dtype, float16, float64, is_float, is_integer, promote

F = TypeVar("F", bound=Callable[..., Any])


def widened(x: Any) -> Any:
    """`x`, a tensor or an array, in the dtype that its dtype is computed in: halves as float32, others as they are."""
    return x.astype(compute_dtype(x.dtype))


def as_exact_floats(x: Any) -> Any:
    """`x`, a tensor or an array, in a float dtype to compute means and differences in; floats as they are.

    Integers of 32 and 64 bits, of which float32 holds only the first 24, become float64 where the device has that;
    other integers and bools the default float.
    """
    if is_float(x.dtype):
        return x
    return x.astype(float64 if is_long(x.dtype) and x.device.supports(float64) else DEFAULT_FLOAT)


def is_long(dtype: DType) -> bool:
    """Whether `dtype` is an integer dtype with numbers that float32 rounds."""
    return is_integer(dtype) and dtype.itemsize >= 4


def rounded_once(function: F) -> F:
    """Let the decorated composition of operations compute halves in float32, and round its result once.

    The dtype of the result is that in which the floating arguments meet. A result that is no tensor is left alone.
    """

    @functools.wraps(function)
    def rounded(*args: Any, **kwargs: Any) -> Any:
        dtypes = [x.dtype for x in (*args, *kwargs.values()) if _is_floating(x)]
        if float16 not in dtypes:
            return function(*args, **kwargs)
        result = function(*map(_widened, args), **{name: _widened(value) for name, value in kwargs.items()})
        return result.astype(functools.reduce(promote, dtypes))

    return rounded  # type: ignore[return-value]


def _is_floating(x: Any) -> bool:
    return isinstance(x, (Value, NDArray, np.ndarray)) and is_float(x.dtype)  # type: ignore[union-attr]


def _widened(x: Any) -> Any:
    return widened(x) if _is_floating(x) else x
