"""Views: what shapes, axes and basic indices mean, checked. Offsets and strides count elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from needle.dtypes import Shape
from needle.strides import Strides, broadcast_strides, contiguous_strides


class Geometry(NamedTuple):
    """Where a view's elements lie in its buffer."""

    shape: Shape
    strides: Strides
    offset: int


def is_several(value: Any) -> bool:
    """Whether `value` is a sequence of sizes or axes: a list, a tuple, a range, an array of one axis."""
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1


def as_shape(shape: Any, name: str = "shape") -> Shape:
    """`shape` (an int or a sequence of ints) as a tuple. Raises TypeError or ValueError naming it."""
    try:
        sizes = tuple(map(operator.index, shape)) if is_several(shape) else (operator.index(shape),)
    except TypeError:
        raise TypeError(f"{name}={shape!r} must be an int or a sequence of ints") from None
    if any(n < 0 for n in sizes):
        raise ValueError(f"{name}={sizes} must not have negative sizes")
    return sizes


def normalize_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front.

    Where an array of `ndim` axes has no such axis, raises NumPy's AxisError, which is a ValueError and an IndexError.
    """
    try:
        index = operator.index(axis)
    except TypeError:
        raise TypeError(f"axis={axis!r} must be an int") from None
    if not -ndim <= index < ndim:
        raise np.exceptions.AxisError(f"axis={index} is out of range for an array of {ndim} dimensions")
    return index % ndim


def normalize_axes(axes: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """`axes` sorted and counted from the front; None means all. Raises ValueError for a repeated axis."""
    if axes is None:
        return tuple(range(ndim))
    given: tuple[Any, ...] = tuple(axes) if is_several(axes) else (axes,)  # type: ignore[arg-type]
    found = sorted(normalize_axis(a, ndim) for a in given)
    if len(set(found)) != len(found):
        raise ValueError(f"axis={given} names an axis twice")
    return tuple(found)


def permutation(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """`axes` counted from the front. Raises ValueError unless they are all the axes of an array, each once."""
    try:
        return _permutation(tuple(map(operator.index, axes)), ndim)
    except TypeError:
        raise TypeError(f"axes={axes!r} must be a sequence of ints") from None


@lru_cache(maxsize=4096)
def _permutation(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    order = tuple([normalize_axis(a, ndim) for a in axes])
    if sorted(order) != list(range(ndim)):
        raise ValueError(f"axes={axes} is not a permutation of the {ndim} axes")
    return order


def infer_shape(shape: Sequence[int], size: int) -> Shape:
    """`shape` with a single -1 replaced so that it holds `size` elements. Raises ValueError if it cannot."""
    try:
        return _inferred(tuple(map(operator.index, shape)), size)
    except TypeError:
        raise TypeError(f"shape={shape!r} must be an int or a sequence of ints") from None


@lru_cache(maxsize=4096)
def _inferred(sizes: Shape, size: int) -> Shape:
    known = prod(n for n in sizes if n != -1)
    holes = sizes.count(-1)
    sensible = min(sizes, default=0) >= -1
    if sensible and holes == 1 and known > 0 and size % known == 0:
        return tuple(size // known if n == -1 else n for n in sizes)
    if sensible and holes == 0 and known == size:
        return sizes
    raise ValueError(f"an array of {size} elements cannot be reshaped to {sizes}")


@lru_cache(maxsize=4096)
def broadcast_axes(wide: Shape, narrow: Shape) -> tuple[int, ...]:
    """The axes along which `narrow` was repeated to become `wide`."""
    broadcast_strides(narrow, contiguous_strides(narrow), wide)  # raises if it was not
    extra = len(wide) - len(narrow)
    return (*range(extra), *(extra + a for a, n in enumerate(narrow) if n == 1 and wide[extra + a] != 1))


def _expand_ellipsis(index: tuple[Any, ...], ndim: int) -> list[Any]:
    """`index` with its ellipsis written out and full slices added, so that it names every axis."""
    if sum(i is Ellipsis for i in index) > 1:
        raise IndexError("an index can have only a single ellipsis (...)")
    named = sum(i is not None and i is not Ellipsis for i in index)
    if named > ndim:
        raise IndexError(f"too many indices: the array has {ndim} dimensions, {named} were indexed")
    filler = [slice(None)] * (ndim - named)
    if Ellipsis not in [i if i is Ellipsis else 0 for i in index]:
        return [*index, *filler]
    at = next(k for k, i in enumerate(index) if i is Ellipsis)
    return [*index[:at], *filler, *index[at + 1 :]]


def index_view(index: Any, view: Geometry) -> Geometry:
    """The view that basic indexing (ints, slices, None, ...) selects.

    Raises IndexError for an integer outside its axis, NotBasicError for what is no basic index.
    """
    items = _expand_ellipsis(index if isinstance(index, tuple) else (index,), len(view.shape))
    shape: list[int] = []
    strides: list[int] = []
    offset, axis = view.offset, 0
    for item in items:
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        extent, stride = view.shape[axis], view.strides[axis]
        if isinstance(item, slice):
            start, stop, step = item.indices(extent)
            length = len(range(start, stop, step))
            offset += start * stride if length else 0
            shape.append(length)
            strides.append(step * stride)
        else:
            offset += _checked_index(item, extent, axis) * stride
        axis += 1
    return Geometry(tuple(shape), tuple(strides), offset)


class NotBasicError(TypeError):
    """An index that selects no view: it has an array, a list or a bool in it."""


class Joined(NamedTuple):
    """A view in which several axes are one, and how indices of those axes become an index of that one.

    The index is the sum of each axis's index, counted from the front, times its weight, plus `shift`. With strides that
    do not fit together the joined axis also passes over elements that the view does not have.
    """

    geometry: Geometry
    weights: tuple[int, ...]
    shift: int
    overlaps: bool  # whether an element of the view stands in several places of it


def join_axes(view: Geometry, axes: Sequence[int], at: int) -> Joined:
    """`view` with `axes` joined into one, which stands at position `at` among the others."""
    sizes = [view.shape[a] for a in axes]
    steps = [view.strides[a] if n > 1 else 0 for a, n in zip(axes, sizes, strict=True)]
    step = gcd(*steps) or 1
    length = 1 + sum((n - 1) * abs(s) // step for n, s in zip(sizes, steps, strict=True)) if all(sizes) else 0
    before_first = sum((n - 1) * s for n, s in zip(sizes, steps, strict=True) if s < 0)
    others = [(n, s) for a, (n, s) in enumerate(zip(view.shape, view.strides, strict=True)) if a not in axes]
    wide = [(n, abs(s)) for n, s in others if n > 1]
    apart = sum((n - 1) * s for n, s in wide) < step or all(length * step <= s for _, s in wide)
    others.insert(at, (length, step))
    geometry = Geometry(tuple([n for n, _ in others]), tuple([s for _, s in others]), view.offset + before_first)
    return Joined(geometry, tuple([s // step for s in steps]), -before_first // step, not apart)


def _checked_index(item: Any, extent: int, axis: int) -> int:
    try:
        position = operator.index(item)
    except TypeError:
        raise NotBasicError from None
    if isinstance(item, bool):
        raise NotBasicError
    if not -extent <= position < extent:
        raise IndexError(f"index {position} is out of bounds for axis {axis} with size {extent}")
    return position % extent
