"""Making tensors of given values: copies of host data, constants, ranges. `needle.init` has the random ones."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray, evaluation, recording
from needle.array.views import as_shape, is_several
from needle.autograd import Value, check_differentiable, make_value
from needle.backend.protocol import Device
from needle.backend.registry import default_device
from needle.backend.registry import device as find_device
from needle.dtypes import (
    DEFAULT_FLOAT,
    DType,
    DTypeLike,
    Scalar,
    Shape,
    as_dtype,
    converted,
    dtype_of_scalar,
    integer_limits,
    is_bool,
    is_integer,
)
from needle.ops.base import takes_tensor

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "identity",
    "linspace",
    "ones",
    "ones_like",
    "tensor",
    "zeros",
    "zeros_like",
]  # fmt: skip

DeviceLike = Device | str | None


def as_device(device: DeviceLike) -> Device:
    """`device` itself, the one of that name, or the default device for None."""
    return default_device() if device is None else find_device(device)


# -- arrays of host data ----------------------------------------------------------------------------


def as_array(data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> NDArray:
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
        return recording.constant((), _convert(data, wanted), wanted, place)
    host = _as_numpy(data)
    if dtype is not None:
        host = _in_dtype(host, as_dtype(dtype), of_numbers=not hasattr(data, "__array__"))
    elif host.dtype == np.float64 and not hasattr(data, "__array__"):
        host = converted(host, DEFAULT_FLOAT)  # Python's floats, which NumPy takes for doubles
    return NDArray.from_numpy(host, place)


def _in_dtype(host: np.ndarray, dtype: DType, of_numbers: bool) -> np.ndarray:
    """`host` in `dtype`. Raises OverflowError for Python's integers that it does not hold; arrays wrap around."""
    if of_numbers and is_integer(dtype) and is_integer(host.dtype) and host.size:
        lowest, highest = integer_limits(dtype)
        for extreme in (int(host.min()), int(host.max())):
            if not lowest <= extreme <= highest:
                raise OverflowError(f"{extreme} does not fit in {dtype}")
    return converted(host, dtype)


def _convert(value: Scalar, dtype: DType) -> Scalar:
    """A Python scalar as one of the kind of `dtype`, as NumPy's `astype` would."""
    return bool(value) if is_bool(dtype) else int(value) if is_integer(dtype) else float(value)


def _as_numpy(data: Any) -> np.ndarray:
    """Host data as a NumPy array of numbers."""
    try:
        if isinstance(data, Sequence) and any(isinstance(item, (Value, NDArray)) for item in data):
            host = np.asarray([np.asarray(item) for item in data])
        else:
            host = np.asarray(data)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(f"data={reprlib.repr(data)} is ragged: its parts have different shapes") from None
    if not hasattr(data, "__array__"):
        _check_integers(data, host)
    if host.dtype.kind not in "biuf":
        raise TypeError(f"data of type {type(data).__name__} (NumPy dtype {host.dtype}) is not numeric")
    return host


def _check_integers(data: Any, host: np.ndarray) -> None:
    """Raise OverflowError where Python's integers fit in no dtype together: NumPy makes objects or floats of them."""
    if host.dtype == object or (host.dtype == np.float64 and host.size and np.abs(host).max() >= 2**63):
        numbers = np.array(data, object).ravel()
        if numbers.size and all(isinstance(number, (int, np.integer)) for number in numbers):
            least, most = min(numbers), max(numbers)
            which = least if least == most else f"both {least} and {most}"
            raise OverflowError(f"no integer dtype holds {which}; give floats")


# -- tensors ----------------------------------------------------------------------------------------


def as_tensor(array: NDArray, requires_grad: bool = False) -> Tensor:
    """`array` as a tensor. Raises TypeError where a gradient is required of a dtype that is not floating."""
    if requires_grad:
        check_differentiable(array.dtype)
    return make_value(array, requires_grad=requires_grad)  # type: ignore[return-value]


def asarray(
    data: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    *,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`data` as a tensor that by default requires no gradient (Array API). Tensors share their memory.

    `data` is a tensor, an array, a NumPy array, a nested sequence or a number. `copy=True` always copies;
    `copy=False` raises ValueError where a copy cannot be avoided.
    """
    array = as_array(data, dtype, device)
    shared = array is (data.cached_data if isinstance(data, Value) else data)
    if copy is False and not shared:
        raise ValueError("copy=False, but this data can only be copied to the device")
    return as_tensor(evaluation.copy(array) if copy and shared else array, requires_grad)


def tensor(
    data: Any, dtype: DTypeLike = None, device: DeviceLike = None, requires_grad: bool = False, **others: Any
) -> Tensor:
    """A copy of `data` as a tensor that by default requires no gradient: PyTorch's `tensor`, NumPy's `array`.

    `data` is what `asarray` takes. `ndl.Tensor(data)`, the course's, requires a gradient if its dtype is floating.
    """
    unknown = set(others) - {"copy", "pin_memory"}
    if unknown:
        raise TypeError(f"tensor() has no argument {min(unknown)}")
    return asarray(data, dtype, device, copy=True, requires_grad=requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A NumPy array's values, copied, as a tensor on the default device. Raises TypeError for anything else."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: array must be a NumPy array, not a {type(array).__name__}; see asarray")
    return asarray(array)


def full(
    shape: Any, fill_value: Scalar, dtype: DTypeLike = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of `shape` filled with one value; the dtype is that of the Python scalar if not given.

    Raises TypeError for what is not a number.
    """
    if not isinstance(fill_value, (bool, int, float, np.bool_, np.integer, np.floating)):
        raise TypeError(f"value={fill_value!r} must be a number, not a {type(fill_value).__name__}")
    wanted = as_dtype(dtype) if dtype is not None else dtype_of_scalar(fill_value)
    return as_tensor(recording.constant(as_shape(shape), fill_value, wanted, as_device(device)), requires_grad)


def _filled(
    name: str,
    value: Scalar | None,
    sizes: tuple[Any, ...],
    dtype: DTypeLike,
    device: DeviceLike,
    requires_grad: bool,
) -> Tensor:
    """A tensor filled with `value`, or with anything for None, of the shape that the arguments of `name` tell."""
    found, rest = _shape_of(sizes)
    options = dict(zip(("dtype", "device", "requires_grad"), rest, strict=False))
    if len(rest) > 3 or (options and dtype is not None) or (len(rest) > 1 and device is not None):
        raise TypeError(f"{name}{sizes} has too many arguments: a shape, a dtype and a device are expected")
    wanted: Any = options.get("dtype", dtype)
    wanted = DEFAULT_FLOAT if wanted is None else as_dtype(wanted)
    place = as_device(options.get("device", device))
    array = NDArray.empty(found, wanted, place) if value is None else recording.constant(found, value, wanted, place)
    return as_tensor(array, options.get("requires_grad", requires_grad))


def _shape_of(sizes: tuple[Any, ...]) -> tuple[Shape, tuple[Any, ...]]:
    """The shape that comes first among the arguments `sizes`, and the arguments after it.

    A shape is a sequence, or each argument up to the first that is not an int is the size of an axis.
    """
    if is_several(sizes[0]):
        return as_shape(sizes[0]), sizes[1:]
    count = next((i for i, size in enumerate(sizes) if not isinstance(size, (int, np.integer))), len(sizes))
    if not count:
        as_shape(sizes[0])  # which says what is wrong with it
    return as_shape(sizes[: count or 1]), sizes[count or 1 :]


def as_sizes(sizes: tuple[Any, ...]) -> Shape:
    """The shape that the arguments `sizes` give: a sequence of sizes, or the sizes themselves."""
    return as_shape(sizes[0] if len(sizes) == 1 else sizes)


def zeros(
    shape: Any = (), *sizes: Any, dtype: DTypeLike = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros, by default of float32: `zeros(2, 3)`, `zeros((2, 3))` or `zeros((2, 3), dtype, device)`.

    Raises TypeError for a shape that is not of ints, ValueError for a negative size; so do `ones` and `empty`.
    """
    return _filled("zeros", 0, (shape, *sizes), dtype, device, requires_grad)


def ones(
    shape: Any = (), *sizes: Any, dtype: DTypeLike = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of ones; the arguments are those of `zeros`."""
    return _filled("ones", 1, (shape, *sizes), dtype, device, requires_grad)


def empty(
    shape: Any = (), *sizes: Any, dtype: DTypeLike = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor whose values are undefined; the arguments are those of `zeros`."""
    return _filled("empty", None, (shape, *sizes), dtype, device, requires_grad)


@takes_tensor
def full_like(x: Tensor, fill_value: Scalar, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """A tensor filled with one value, with the shape, dtype and device of `x`; an array for an array."""
    wanted, place = x.dtype if dtype is None else dtype, x.device if device is None else device
    filled = full(x.shape, fill_value, wanted, place)
    return filled if isinstance(x, Value) else filled.cached_data


@takes_tensor
def zeros_like(x: Tensor, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """Zeros with the shape, dtype and device of `x`; an array for an array."""
    return full_like(x, 0, dtype, device)


@takes_tensor
def ones_like(x: Tensor, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """Ones with the shape, dtype and device of `x`; an array for an array."""
    return full_like(x, 1, dtype, device)


@takes_tensor
def empty_like(x: Tensor, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """Undefined values with the shape, dtype and device of `x`; an array for an array."""
    wanted, place = x.dtype if dtype is None else dtype, x.device if device is None else device
    made = empty(x.shape, wanted, place)
    return made if isinstance(x, Value) else made.cached_data


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: DTypeLike = None, device: DeviceLike = None
) -> Tensor:
    """Evenly spaced values from `start` up to, not including, `stop`; from 0 if only one is given.

    int64 for integer arguments, else the default float. Raises ValueError for a step of zero.
    """
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("step=0 makes no range")
    whole = all(isinstance(v, (int, np.integer)) for v in (first, last, step))
    wanted = as_dtype(dtype) if dtype is not None else dtype_of_scalar(0 if whole else 0.0)
    return as_tensor(NDArray.from_numpy(converted(np.arange(first, last, step), wanted), as_device(device)))


def linspace(
    start: float, stop: float, num: int, *, dtype: DTypeLike = None, device: DeviceLike = None, endpoint: bool = True
) -> Tensor:
    """`num` evenly spaced values from `start` to `stop`, the last included if `endpoint`."""
    wanted = as_dtype(dtype) if dtype is not None else DEFAULT_FLOAT
    values = converted(np.linspace(start, stop, num, endpoint=endpoint), wanted)
    return as_tensor(NDArray.from_numpy(values, as_device(device)))


def identity(n: int, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """A square matrix with ones on its diagonal and zeros elsewhere (NumPy)."""
    return eye(n, dtype=dtype, device=device)


def eye(
    n_rows: int, n_cols: int | None = None, *, k: int = 0, dtype: DTypeLike = None, device: DeviceLike = None
) -> Tensor:
    """A matrix with ones on the k-th diagonal and zeros elsewhere."""
    wanted = as_dtype(dtype) if dtype is not None else DEFAULT_FLOAT
    return as_tensor(NDArray.from_numpy(np.eye(n_rows, n_cols, k, dtype=wanted), as_device(device)))
