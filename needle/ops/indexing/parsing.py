"""What an index means: a view, and arrays of integers that select along some of its axes, as in NumPy.

Integers, slices, None and an ellipsis make the view. Arrays (lists, NumPy arrays, tensors) are broadcast together; what
they select has their axes where the first of them stands if nothing stands between them, else in front. A mask is as
many arrays as it has axes: the positions of what is true. An integer beside arrays is one of them in this respect.
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from needle.array import NDArray
from needle.autograd import Value
from needle.backend.protocol import Device
from needle.dtypes import Shape, int32, int64, is_bool, is_integer
from needle.ops.base import data_of
from needle.ops.indexing.masks import positions
from needle.ops.shape import astype
from needle.strides import broadcast_shapes

#: Up to so many bytes of indices from the host stay on the device for the next use: `c[i, j] += 1` reads, then writes.
MAX_KEPT = 1024

#: Types of items of which a basic index consists, the common ones: a quick look decides most indices.
BASIC = frozenset({int, slice, type(None), type(Ellipsis)})


class Selection(NamedTuple):
    """A parsed index.

    Attributes:
        basic: a basic index, in which the axes that arrays index are whole; () for the whole array.
        axes: the axes of what `basic` selects that the arrays index, from front to back.
        arrays: for each of the axes its indices: a NumPy array, an array or a tensor.
        place: where the axes of the arrays' common shape stand in the result.
        mask: the only array where it is a mask, of which `axes` are the axes; then `arrays` is empty until
            `with_positions`.
    """

    basic: tuple[Any, ...]
    axes: tuple[int, ...]
    arrays: tuple[Any, ...]
    place: int
    mask: Any = None

    def with_positions(self) -> Selection:
        """The same with the positions of what is true in place of the mask."""
        return self if self.mask is None else self._replace(arrays=positions(self.mask), mask=None)


def is_basic(index: Any) -> bool:
    """Whether a quick look shows that `index` consists of integers, slices, None and ellipses."""
    return BASIC.issuperset(map(type, index)) if index.__class__ is tuple else index.__class__ in BASIC


def parse(index: Any, shape: Shape) -> Selection:
    """What `index` selects from an array of `shape`.

    Raises IndexError for an index that the host knows to be outside its axis, for too many indices, a mask of another
    shape and arrays that do not broadcast together; TypeError for what is no index.
    """
    given = [_item(i) for i in (index if isinstance(index, tuple) else (index,))]
    items = _with_ellipsis(given, shape)
    if not any(_is_array(item) for item in items):
        return Selection(tuple(items), (), (), 0)
    basic: list[Any] = []
    found: list[tuple[int, Any]] = []  # the axes of the view that arrays index, each with its array
    axis = seat = 0  # the axis of the array, and of the view, that the next item is for
    place = None
    for item in items:
        if place is None and _counts(item):
            place = seat
        if isinstance(item, int):
            basic.append(item)
            axis += 1
        elif not _is_array(item):
            basic.append(item)
            seat += 1
            axis += item is not None
        elif is_bool(item.dtype) and item.ndim == 0:  # an axis of its own, of which all or nothing is taken
            basic.append(None)
            found.append((seat, np.zeros(int(bool(item)), int64)))
            seat += 1
        else:
            width = item.ndim if is_bool(item.dtype) else 1
            item = _check(item, shape, axis)
            basic += [slice(None)] * width
            found.append((seat, item))
            axis, seat = axis + width, seat + width
    assert place is not None
    return _selection(tuple(basic), found, place if _adjacent([_counts(item) for item in given]) else 0)


def _selection(basic: tuple[Any, ...], found: list[tuple[int, Any]], place: int) -> Selection:
    if all(item == slice(None) for item in basic):
        basic = ()
    if len(found) == 1 and is_bool(found[0][1].dtype):
        seat, mask = found[0]
        return Selection(basic, tuple(range(seat, seat + mask.ndim)), (), place, mask)
    axes: list[int] = []
    arrays: list[Any] = []
    for seat, array in found:
        several = positions(array) if is_bool(array.dtype) else (array,)
        axes += range(seat, seat + len(several))
        arrays += several
    try:
        broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise IndexError(f"index arrays of shapes {shapes} do not broadcast together") from None
    return Selection(basic, tuple(axes), tuple(arrays), place)


def _counts(item: Any) -> bool:
    """Whether an item is an array, or an integer, which counts as one."""
    return _is_array(item) or isinstance(item, int)


def _adjacent(counts: list[bool]) -> bool:
    """Whether what counts as an array stands side by side; an ellipsis for no axes is something between, too."""
    first, last = counts.index(True), len(counts) - counts[::-1].index(True)
    return all(counts[first:last])


def _is_array(item: Any) -> bool:
    return isinstance(item, (np.ndarray, Value, NDArray))


def _item(item: Any) -> Any:
    """An item of an index as an int, a slice, None, an ellipsis, or an array of bools or integers."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (Value, NDArray)):
        return _device_item(item)
    if isinstance(item, (bool, np.bool_)):
        return np.asarray(item)
    if isinstance(item, (np.ndarray, Sequence)) and not isinstance(item, str):
        host = np.asarray(item)
        if host.size == 0 and not isinstance(item, np.ndarray):
            host = host.astype(int64)  # NumPy takes an empty list for floats
        if not is_bool(host.dtype) and not is_integer(host.dtype):
            raise TypeError(f"index {reprlib.repr(item)} has dtype {host.dtype}; indices are integers or bools")
        if host.ndim == 0 and is_integer(host.dtype):
            return int(host)
        return host
    try:
        return operator.index(item)
    except TypeError:
        raise TypeError(f"index {item!r} is not an int, a slice, None or an ellipsis") from None


def _device_item(item: Any) -> Any:
    """A tensor or array as an item: an int where the host knows a single value."""
    dtype = data_of(item).dtype
    if is_bool(dtype):
        return item
    if not is_integer(dtype):
        raise TypeError(f"an index of shape {item.shape} has dtype {dtype}; indices are integers or bools")
    if not item.shape and (bounds := data_of(item).host_bounds) is not None:
        return bounds[0]
    if dtype in (int32, int64):
        return item
    return astype(item, int64 if dtype.itemsize >= 4 else int32)


def _with_ellipsis(items: list[Any], shape: Shape) -> list[Any]:
    """`items` with the ellipsis written out as slices, which also stand at the end where axes are left over."""
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can have only a single ellipsis (...)")
    named = sum(map(_width, items))
    if named > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} dimensions, {named} were indexed")
    at = dots[0] if dots else len(items)
    return [*items[:at], *[slice(None)] * (len(shape) - named), *items[at + 1 :]]


def _width(item: Any) -> int:
    """How many axes of the array an item is for."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_array(item) and is_bool(item.dtype) else 1


def _check(item: Any, shape: Shape, axis: int) -> Any:
    """The item, which indexes `shape` from `axis` on; a mask without elements as one that takes none of them.

    Raises IndexError for a mask of another shape, and for an index that the host knows to be out of range. As in NumPy,
    a mask fits an axis of any size if its own size along it is 0.
    """
    if not is_bool(item.dtype):
        check_bounds(item, shape[axis], axis)
        return item
    for a, n in enumerate(item.shape, axis):
        if n not in (0, shape[a]):
            raise IndexError(f"a mask of shape {item.shape} does not fit axis {a} of size {shape[a]}")
    span = shape[axis : axis + item.ndim]
    return item if item.shape == span else np.zeros(span, np.bool_)


def check_bounds(indices: Any, size: int, axis: int) -> None:
    """Raise IndexError if an index that the host knows lies outside `axis`, which has `size` elements."""
    if isinstance(indices, np.ndarray):
        bounds = (int(indices.min()), int(indices.max())) if indices.size else ()
    else:
        bounds = data_of(indices).host_bounds or ()
    for bound in bounds:
        if not -size <= bound < size:
            raise IndexError(f"index {bound} is out of bounds for axis {axis} with size {size}")


def as_index_array(indices: Any, device: Device) -> NDArray:
    """Indices as an array of int32 or int64 on `device`; nobody may write into it."""
    if not isinstance(indices, np.ndarray):
        return data_of(indices)
    host = indices.astype(int64, copy=False)
    if host.nbytes <= MAX_KEPT:
        return _kept(device, host.shape, host.tobytes())
    return NDArray.from_numpy(host, device)


@lru_cache(maxsize=128)
def _kept(device: Device, shape: Shape, indices: bytes) -> NDArray:
    return NDArray.from_numpy(np.frombuffer(indices, int64).reshape(shape), device)
