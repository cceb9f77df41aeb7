"""Operations that move or select elements without computing: views, casts, joining and slicing."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray, evaluation, recording
from needle.array.operators import TABLE
from needle.array.views import as_shape, infer_shape, normalize_axes, normalize_axis, permutation
from needle.autograd import Op, Value
from needle.backend.protocol import Device
from needle.dtypes import DEFAULT_FLOAT, DTypeLike, Shape, as_dtype, promote
from needle.ops.base import check_tensor, data_of, method, takes_tensor
from needle.ops.keywords import other_names
from needle.strides import broadcast_shapes, reshape_strides

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "astype", "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flatten", "flip", "permute_dims", "reshape",
    "split", "squeeze", "stack", "swapaxes", "transpose",
]  # fmt: skip


class Cast(Op):
    name = "astype"

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def compute(self, x: NDArray) -> NDArray:
        return x.astype(self.dtype)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad  # cast back to the input's dtype by the engine


class Reshape(Op):
    name = "reshape"
    is_view = True

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def compute(self, x: NDArray) -> NDArray:
        return x.reshape(self.shape)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad.reshape(x.shape)

    def embed(self, base: Any, view: Any) -> Any:
        return Reshape(base.shape)(view)


class Permute(Op):
    name = "permute_dims"
    is_view = True

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def compute(self, x: NDArray) -> NDArray:
        return x.permute(self.axes)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad.permute(self._back())

    def embed(self, base: Any, view: Any) -> Any:
        return Permute(self._back())(view)

    def _back(self) -> tuple[int, ...]:
        return tuple(sorted(range(len(self.axes)), key=self.axes.__getitem__))


class BroadcastTo(Op):
    name = "broadcast_to"

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def compute(self, x: NDArray) -> NDArray:
        return x.broadcast_to(self.shape)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad  # summed back by the engine


class Flip(Op):
    name = "flip"
    is_view = True

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def compute(self, x: NDArray) -> NDArray:
        return x.flip(self.axes)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad.flip(self.axes)

    def embed(self, base: Any, view: Any) -> Any:
        return Flip(self.axes)(view)


class Slice(Op):
    """The view that a basic index selects."""

    name = "getitem"
    is_view = True

    def __init__(self, index: Any) -> None:
        self.index = index

    def compute(self, x: NDArray) -> NDArray:
        return x[self.index]

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return Place(self.index, x.shape)(grad)

    def embed(self, base: Any, view: Any) -> Any:
        return Embed(self.index)(base, view)


class Embed(Op):
    """Arguments: x, and what has been written into its elements at a basic index."""

    name = "setitem"

    def __init__(self, index: Any) -> None:
        self.index = index

    def compute(self, x: NDArray, view: NDArray) -> NDArray:
        return x

    def vjp(self, index: int, grad: Any, output: Any, x: Any, view: Any) -> Any:
        return Cleared(self.index)(grad) if index == 0 else grad[self.index]


class Cleared(Op):
    """A copy of the argument with zeros at a basic index."""

    name = "cleared"

    def __init__(self, index: Any) -> None:
        self.index = index

    def compute(self, x: NDArray) -> NDArray:
        result = evaluation.copy(x)
        result[self.index] = 0
        return result

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return Cleared(self.index)(grad)


class Place(Op):
    """Zeros of `shape` with the argument written at a basic index: what undoes `Slice`."""

    name = "place"

    def __init__(self, index: Any, shape: Shape) -> None:
        self.index = index
        self.shape = shape

    def compute(self, x: NDArray) -> NDArray:
        result = recording.constant(self.shape, 0, x.dtype, x.device)
        result[self.index] = x
        return result

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad[self.index]


class Concatenate(Op):
    name = "concat"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def compute(self, *arrays: NDArray) -> NDArray:
        total = sum(a.shape[self.axis] for a in arrays)
        shape = tuple(total if a == self.axis else n for a, n in enumerate(arrays[0].shape))
        result = NDArray.empty(shape, arrays[0].dtype, evaluation.common_device(self.name, arrays))
        for array, span in zip(arrays, self._spans(arrays), strict=True):
            result[span] = array
        return result

    def _spans(self, arrays: Sequence[Any]) -> list[tuple[slice, ...]]:
        """Where along the axis each of `arrays` lies in the result."""
        spans, start = [], 0
        for array in arrays:
            stop = start + array.shape[self.axis]
            spans.append((*(slice(None),) * self.axis, slice(start, stop)))
            start = stop
        return spans

    def vjp(self, index: int, grad: Any, output: Any, *arrays: Any) -> Any:
        return grad[self._spans(arrays)[index]]


class Copy(Op):
    name = "copy"

    def compute(self, x: NDArray) -> NDArray:
        return evaluation.copy(x)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad


@takes_tensor
def astype(x: Tensor, dtype: DTypeLike, *, copy: bool = False, device: Device | str | None = None) -> Tensor:
    """x converted to `dtype`; x itself if it has it, or with `copy` a copy. `device` is where the result shall be.

    Floats are cut towards zero on the way to integers; beyond the range they give its nearest end, and NaN gives 0.
    Integers wrap around.
    """
    wanted = as_dtype(dtype)
    if device is not None:
        x = TABLE["to_device"](x, device)
    if x.dtype == wanted:
        return Copy()(x) if copy else x
    return Cast(wanted)(x)


@takes_tensor
def reshape(x: Tensor, shape: Sequence[int] | int, *, copy: bool | None = None) -> Tensor:
    """The elements of x in C order under `shape`, in which one -1 is inferred; a view where possible.

    `copy=True` copies in any case. Raises ValueError where the number of elements does not fit, and with
    `copy=False` where only a copy has that shape.
    """
    wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else shape
    data = data_of(x)
    target = infer_shape(wanted, data.size)
    if copy:
        x = Copy()(x)
    elif copy is False and reshape_strides(data.shape, data.strides, target) is None:
        raise ValueError(f"reshape: an array of shape {data.shape} has the shape {target} only as a copy")
    return x if target == x.shape else Reshape(target)(x)


@takes_tensor
@method
def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """x with the axes from `start_dim` to `end_dim` (inclusive) joined into one."""
    if x.ndim == 0:
        return reshape(x, (1,))
    first, last = normalize_axis(start_dim, x.ndim), normalize_axis(end_dim, x.ndim)
    if first > last:
        raise ValueError(f"start_dim={start_dim} comes after end_dim={end_dim}")
    joined = 1
    for n in x.shape[first : last + 1]:
        joined *= n
    return reshape(x, (*x.shape[:first], joined, *x.shape[last + 1 :]))


@takes_tensor
def permute_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """A view of x with its axes in the order `axes`. Raises ValueError unless that is a permutation."""
    return Permute(permutation(axes, x.ndim))(x)


@takes_tensor
@method
def transpose(
    x: Tensor, axes: int | Sequence[int] | None = None, dim1: int | None = None, *others: int, dim0: int | None = None
) -> Tensor:
    """A view of x with axes exchanged: by default the last two (the course's `transpose`), or the two that are named.

    The two are given as arguments (PyTorch) or as a pair (the course). More than two are an order of all axes, as in
    NumPy. Raises ValueError for axes that x does not have.
    """
    first = dim0 if axes is None else axes
    if first is None:
        if x.ndim < 2:
            raise ValueError(f"transpose exchanges two axes; x has shape {x.shape}")
        order: tuple[Any, ...] = (-2, -1)
    else:
        order = tuple(first) if isinstance(first, Sequence) else (first, *(() if dim1 is None else (dim1,)), *others)
    if len(order) != 2:
        return permute_dims(x, order)
    return swapaxes(x, *order)


@takes_tensor
@method
def swapaxes(x: Tensor, axis1: int = -2, axis2: int = -1) -> Tensor:
    """A view of x with two axes exchanged, by default the last two."""
    ndim = x.ndim
    order = list(range(ndim))
    i, j = normalize_axis(axis1, ndim), normalize_axis(axis2, ndim)
    order[i], order[j] = order[j], order[i]
    return permute_dims(x, order)


@takes_tensor
def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """A view of x repeated to `shape`. Raises ValueError where x does not broadcast to it."""
    target = as_shape(shape)
    return x if target == x.shape else BroadcastTo(target)(x)


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    """Views of `arrays` in their common broadcast shape."""
    _check_tensors("broadcast_arrays", arrays)
    shape = broadcast_shapes(*(a.shape for a in arrays))
    return [broadcast_to(a, shape) for a in arrays]


@takes_tensor
def flip(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """A view that reads x backwards along `axis` (all axes by default)."""
    return Flip(normalize_axes(axis, x.ndim))(x)


@takes_tensor
@method
def expand_dims(x: Tensor, axis: int = 0) -> Tensor:
    """A view of x with a new axis of size 1 at position `axis` of the result."""
    position = normalize_axis(axis, x.ndim + 1)
    return reshape(x, (*x.shape[:position], 1, *x.shape[position:]))


@takes_tensor
@method
def squeeze(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """A view of x without the given axes, which must have size 1; by default without all of that size."""
    axes = [a for a, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axes(axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ValueError(f"axis={a} of shape {x.shape} cannot be squeezed: its size is {x.shape[a]}, not 1")
    return reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))


def _check_tensors(function: str, tensors: Sequence[Any]) -> None:
    for position, tensor in enumerate(tensors):
        check_tensor(function, f"tensors[{position}]", tensor)


def _with_host_data(tensors: Sequence[Any]) -> list[Any]:
    """The tensors, host data among them on the device of the first; as they are where there is none."""
    device = next((t.device for t in tensors if isinstance(t, (Value, NDArray))), None)  # type: ignore[union-attr]
    if device is None:
        return list(tensors)
    found = []
    for tensor in tensors:
        if isinstance(tensor, (np.ndarray, list, tuple)):
            host = np.asarray(tensor)
            python_floats = host.dtype == np.float64 and not isinstance(tensor, np.ndarray)
            tensor = NDArray.from_numpy(host.astype(DEFAULT_FLOAT) if python_floats else host, device)
        found.append(tensor)
    return found


def _common_dtype(tensors: Sequence[Tensor]) -> list[Tensor]:
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = promote(dtype, tensor.dtype)
    return [astype(t, dtype) for t in tensors]


@other_names
def concat(tensors: Sequence[Tensor], axis: int | None = 0) -> Tensor:
    """The tensors joined along an existing axis, or flattened and joined if `axis` is None.

    Beside a tensor there may be host data, a NumPy array or a nested list, which goes to the tensor's device.
    Raises ValueError for no tensors or for shapes that differ elsewhere.
    """
    tensors = _with_host_data(tensors)
    _check_tensors("concat", tensors)
    if not tensors:
        raise ValueError("concat needs at least one tensor")
    if axis is None:
        tensors, axis = [flatten(t) for t in tensors], 0
    place = normalize_axis(axis, tensors[0].ndim)
    first = tensors[0].shape
    for position, tensor in enumerate(tensors):
        shape = tensor.shape
        if len(shape) != len(first) or any(
            n != m for a, (n, m) in enumerate(zip(shape, first, strict=True)) if a != place
        ):
            raise ValueError(f"concat along axis {place}: shape {shape} of tensor {position} does not fit {first}")
    return Concatenate(place)(*_common_dtype(tensors))


@other_names
def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis. Raises ValueError if shapes differ."""
    tensors = _with_host_data(tensors)
    _check_tensors("stack", tensors)
    for tensor in tensors[1:]:
        if tensor.shape != tensors[0].shape:
            raise ValueError(f"stack needs equal shapes; got {tensors[0].shape} and {tensor.shape}")
    return concat([expand_dims(t, axis) for t in tensors], axis)


@takes_tensor
def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Views of x along `axis`: `sections` equal ones, or cut at the given positions (NumPy's `split`).

    Raises ValueError where an equal division is not possible.
    """
    place = normalize_axis(axis, x.ndim)
    extent = x.shape[place]
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or extent % sections:
            raise ValueError(f"sections={sections} does not divide axis {place} of size {extent}")
        step = extent // sections
        cuts = [step * i for i in range(1, sections)]
    else:
        cuts = [python_operator.index(c) for c in sections]
    bounds = [0, *cuts, extent]
    lead = (slice(None),) * place
    return [Slice((*lead, slice(a, b)))(x) for a, b in pairwise(bounds)]
