"""Making arrays: constants, ranges and copies of host data. These return arrays; `needle.tensor` wraps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from needle.array import NDArray, recording
from needle.array.views import as_shape
from needle.autograd import Value
from needle.backend.protocol import Device
from needle.backend.registry import default_device
from needle.backend.registry import device as find_device
from needle.dtypes import DEFAULT_FLOAT, DType, DTypeLike, Scalar, as_dtype, dtype_of_scalar

DeviceLike = Device | str | None


def as_device(device: DeviceLike) -> Device:
    """`device` itself, the one of that name, or the default device for None."""
    return default_device() if device is None else find_device(device)


def asarray(data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> NDArray:
    """`data` (array, tensor, NumPy array, nested sequence or number) as an array on `device`.

    NumPy arrays keep their dtype. Python numbers become bool, int64 or the default float. Arrays that are
    on the device already, in the dtype asked for, are not copied. Raises TypeError for data that is not
    numeric, ValueError for ragged sequences, and OverflowError for Python integers that `dtype` does not hold.
    """
    if isinstance(data, Value):
        data = data.cached_data
    if isinstance(data, NDArray):
        array = data if device is None else data.to(find_device(device))
        return array if dtype is None else array.astype(dtype)
    place = as_device(device)
    if isinstance(data, (bool, int, float)):
        wanted = as_dtype(dtype) if dtype is not None else dtype_of_scalar(data)
        return recording.full((), _convert(data, wanted.kind), wanted, place)
    host = _as_numpy(data)
    if dtype is not None:
        host = _in_dtype(host, as_dtype(dtype), of_numbers=not hasattr(data, "__array__"))
    elif host.dtype == np.float64 and not hasattr(data, "__array__"):
        host = host.astype(DEFAULT_FLOAT)  # Python's floats, which NumPy takes for doubles
    return NDArray.from_numpy(host, place)


def _in_dtype(host: np.ndarray, dtype: DType, of_numbers: bool) -> np.ndarray:
    """`host` in `dtype`. Raises OverflowError for Python's integers that it does not hold; arrays wrap around."""
    if of_numbers and dtype.kind in "iu" and host.dtype.kind in "iu" and host.size:
        limits = np.iinfo(dtype)
        for extreme in (int(host.min()), int(host.max())):
            if not limits.min <= extreme <= limits.max:
                raise OverflowError(f"{extreme} does not fit in {dtype}")
    return host.astype(dtype, copy=False)


def _convert(value: Scalar, kind: str) -> Scalar:
    """A Python scalar as one of the kind of a dtype, as NumPy's `astype` would."""
    return bool(value) if kind == "b" else int(value) if kind in "iu" else float(value)


def _as_numpy(data: Any) -> np.ndarray:
    """Host data as a NumPy array of numbers."""
    if isinstance(data, Sequence) and any(isinstance(item, (Value, NDArray)) for item in data):
        host = np.asarray([np.asarray(item) for item in data])
    else:
        host = np.asarray(data)
    if host.dtype.kind not in "biuf":
        raise TypeError(f"data of type {type(data).__name__} (NumPy dtype {host.dtype}) is not numeric")
    return host


def full(shape: Any, value: Scalar, dtype: DTypeLike = None, device: DeviceLike = None) -> NDArray:
    """An array of `shape` filled with `value`; the dtype is that of the Python scalar if not given.

    Raises TypeError for what is not a number.
    """
    if not isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        raise TypeError(f"value={value!r} must be a number, not a {type(value).__name__}")
    wanted = as_dtype(dtype) if dtype is not None else dtype_of_scalar(value)
    return recording.full(as_shape(shape), value, wanted, as_device(device))


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike = None, device: DeviceLike = None
) -> NDArray:
    """Evenly spaced values from `start` up to, not including, `stop`; from 0 if only one is given.

    int64 for integer arguments, else the default float. Raises ValueError for a step of zero.
    """
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("step=0 makes no range")
    whole = all(isinstance(v, (int, np.integer)) for v in (first, last, step))
    wanted = as_dtype(dtype) if dtype is not None else dtype_of_scalar(0 if whole else 0.0)
    return NDArray.from_numpy(np.arange(first, last, step).astype(wanted), as_device(device))


def linspace(
    start: float, stop: float, num: int, dtype: DTypeLike = None, device: DeviceLike = None, endpoint: bool = True
) -> NDArray:
    """`num` evenly spaced values from `start` to `stop`, the last included if `endpoint`."""
    wanted = as_dtype(dtype) if dtype is not None else DEFAULT_FLOAT
    return NDArray.from_numpy(np.linspace(start, stop, num, endpoint=endpoint).astype(wanted), as_device(device))


def eye(
    rows: int, columns: int | None = None, k: int = 0, dtype: DTypeLike = None, device: DeviceLike = None
) -> NDArray:
    """A matrix with ones on the k-th diagonal and zeros elsewhere."""
    wanted = as_dtype(dtype) if dtype is not None else DEFAULT_FLOAT
    return NDArray.from_numpy(np.eye(rows, columns, k, dtype=wanted), as_device(device))
