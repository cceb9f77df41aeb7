"""Arranging elements by views and joins: moving, adding, cutting and repeating axes, rolling, grids, differences."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray, recording
from needle.array.views import as_shape, normalize_axes, normalize_axis
from needle.autograd import Value
from needle.ops.base import check_tensor, data_of, method, takes_tensor
from needle.ops.indexing.access import getitem
from needle.ops.indexing.taking import take
from needle.ops.keywords import other_names
from needle.ops.shape import (
    broadcast_to,
    concat,
    expand_dims,
    flip,
    permute_dims,
    reshape,
    split,
)

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "array_split", "atleast_1d", "atleast_2d", "chunk", "diff", "dstack", "expand", "hstack", "meshgrid", "moveaxis",
    "narrow", "ravel", "repeat", "repeat_interleave", "roll", "rot90", "tile", "unflatten", "unsqueeze", "unstack",
    "vstack",
]  # fmt: skip


def _slices(x: Tensor, axis: int, cuts: Sequence[int]) -> list[Tensor]:
    """Views of x between the positions `cuts` of `axis`, ends included."""
    lead = (slice(None),) * axis
    return [getitem(x, (*lead, slice(a, b))) for a, b in pairwise(cuts)]


# -- axes -------------------------------------------------------------------------------------------


@takes_tensor
@method
def moveaxis(x: Tensor, source: int | Sequence[int] = 0, destination: int | Sequence[int] = 0) -> Tensor:
    """A view of x with the axes `source` moved to the positions `destination`, the others keeping their order.

    Raises ValueError where the two differ in number or name an axis twice.
    """
    ends = []
    for name, axes in (("source", source), ("destination", destination)):
        given = tuple(axes) if isinstance(axes, Sequence) else (axes,)
        normalize_axes(given, x.ndim)  # which refuses an axis that is named twice
        ends.append((name, tuple(normalize_axis(a, x.ndim) for a in given)))
    (_, sources), (_, targets) = ends
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: source={source} and destination={destination} differ in their number of axes")
    order = [a for a in range(x.ndim) if a not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return permute_dims(x, order)


@takes_tensor
@method
def unsqueeze(x: Tensor, dim: int = 0) -> Tensor:
    """`expand_dims` under PyTorch's name: a view with a new axis of size 1 at `dim` of the result."""
    return expand_dims(x, dim)


@takes_tensor
@method
def expand(x: Tensor, *sizes: Any) -> Tensor:
    """A view of x repeated to `sizes`, given as a shape or as arguments; -1 keeps the size that an axis has.

    PyTorch's `expand`, which is `broadcast_to` but for -1. Raises ValueError where x does not broadcast to it.
    """
    wanted = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes or x.shape
    extra = len(wanted) - x.ndim
    if any(n == -1 and a < extra for a, n in enumerate(wanted)):
        raise ValueError(f"expand: sizes={wanted} has -1 for an axis that x, of shape {x.shape}, does not have")
    return broadcast_to(x, [x.shape[a - extra] if n == -1 else n for a, n in enumerate(wanted)])


@takes_tensor
@method
def ravel(x: Tensor) -> Tensor:
    """x with one axis: its elements in C order, as a view where possible."""
    return reshape(x, (-1,))


@takes_tensor
@method
def unflatten(x: Tensor, dim: int = 0, sizes: Sequence[int] = (-1,)) -> Tensor:
    """x with axis `dim` cut into axes of `sizes`, one of which may be -1; the inverse of `flatten`."""
    place = normalize_axis(dim, x.ndim)
    if -1 in sizes:
        known = -int(np.prod(sizes))
        if known <= 0 or x.shape[place] % known:
            raise ValueError(f"unflatten: axis {place} of size {x.shape[place]} cannot be cut into sizes={sizes}")
        sizes = [x.shape[place] // known if n == -1 else n for n in sizes]
    return reshape(x, (*x.shape[:place], *sizes, *x.shape[place + 1 :]))


@takes_tensor
def atleast_1d(x: Tensor) -> Tensor:
    """x, as one axis of one element if it has none."""
    return reshape(x, (1,)) if x.ndim == 0 else x


@takes_tensor
def atleast_2d(x: Tensor) -> Tensor:
    """x, with axes of size 1 in front until it has two."""
    return reshape(x, (*(1,) * (2 - x.ndim), *x.shape)) if x.ndim < 2 else x


# -- cutting ----------------------------------------------------------------------------------------


@takes_tensor
@method
def unstack(x: Tensor, axis: int = 0) -> tuple[Tensor, ...]:
    """The views of x at each index of `axis`, which they lack; a tuple. PyTorch calls this `unbind`."""
    place = normalize_axis(axis, x.ndim)
    lead = (slice(None),) * place
    return tuple([getitem(x, (*lead, i)) for i in range(x.shape[place])])


@takes_tensor
@method
def chunk(x: Tensor, chunks: int = 1, axis: int = 0) -> list[Tensor]:
    """At most `chunks` views of x along `axis`, all of one size but the last, which may be smaller; as PyTorch's."""
    if python_operator.index(chunks) < 1:
        raise ValueError(f"chunk: chunks={chunks} must be at least 1")
    place = normalize_axis(axis, x.ndim)
    size = x.shape[place]
    step = max(1, ceil(size / chunks))
    return _slices(x, place, [*range(0, max(size, 1), step), size])


@takes_tensor
def array_split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """`split` that need not be even: the first views along `axis` are longer by one element (NumPy, `tensor_split`)."""
    if not isinstance(sections, (int, np.integer)):
        return split(x, sections, axis)
    if sections < 1:
        raise ValueError(f"array_split: sections={sections} must be at least 1")
    place = normalize_axis(axis, x.ndim)
    each, longer = divmod(x.shape[place], int(sections))
    return _slices(x, place, [i * each + min(i, longer) for i in range(int(sections) + 1)])


@takes_tensor
@method
def narrow(x: Tensor, dim: int = 0, start: int = 0, length: int | None = None) -> Tensor:
    """A view of `length` elements of x along `dim`, from `start` on; all that remain by default.

    Raises ValueError where x does not have so many.
    """
    place = normalize_axis(dim, x.ndim)
    size = x.shape[place]
    first = start + size if start < 0 else start
    count = size - first if length is None else length
    if not 0 <= first <= first + count <= size:
        raise ValueError(f"narrow: start={start} and length={length} reach beyond axis {place} of size {size}")
    return _slices(x, place, [first, first + count])[0]


# -- repeating and rolling --------------------------------------------------------------------------


@takes_tensor
@method
def tile(x: Tensor, *repetitions: Any) -> Tensor:
    """x repeated as a whole, so many times along each axis: `tile(x, (2, 3))` or `tile(x, 2, 3)`.

    Where axes and repetitions differ in number, 1 stands in front of the fewer. PyTorch's method `repeat` is this.
    """
    given = repetitions[0] if len(repetitions) == 1 else repetitions
    times = as_shape(given, "repetitions")
    times = (1,) * (x.ndim - len(times)) + times
    shape = (1,) * (len(times) - x.ndim) + x.shape
    if all(n == 1 for n in times):
        return reshape(x, shape)
    pairs = [n for pair in zip((1,) * len(shape), shape, strict=True) for n in pair]
    wide = [n for pair in zip(times, shape, strict=True) for n in pair]
    return reshape(broadcast_to(reshape(x, pairs), wide), [t * n for t, n in zip(times, shape, strict=True)])


@takes_tensor
def repeat(x: Tensor, repeats: int | Sequence[int] | Any, axis: int | None = None) -> Tensor:
    """Each element of x, or each slice along `axis`, repeated `repeats` times; without an axis x is flattened first.

    `repeats` is an int, or a sequence or an integer tensor with one number for each index of the axis, which the
    host has to know: a tensor is read back. The standard's and NumPy's function; PyTorch calls it
    `repeat_interleave`, and its method `repeat` is `tile`. Raises ValueError for a negative or missing number.
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    place = normalize_axis(axis, x.ndim)
    counts = np.asarray(repeats.numpy() if hasattr(repeats, "numpy") else repeats)
    if counts.dtype.kind not in "iu" and counts.size:
        raise TypeError(f"repeat: repeats must be integers; the dtype is {counts.dtype}")
    if (counts < 0).any() or counts.ndim > 1 or (counts.size not in (1, x.shape[place])):
        raise ValueError(f"repeat: repeats={repeats!r} must be not negative, one or {x.shape[place]} of them")
    if counts.size == 1:
        times = int(counts.reshape(()))
        shape = (*x.shape[: place + 1], times, *x.shape[place + 1 :])
        joined = (*x.shape[:place], x.shape[place] * times, *x.shape[place + 1 :])
        return reshape(broadcast_to(expand_dims(x, place + 1), shape), joined)
    return take(x, np.repeat(np.arange(x.shape[place]), counts), place)


@takes_tensor
@method
def repeat_interleave(x: Tensor, repeats: int | Sequence[int] | Any = 1, axis: int | None = None) -> Tensor:
    """`repeat` under PyTorch's name."""
    return repeat(x, repeats, axis)


@takes_tensor
@method
def roll(x: Tensor, shift: int | Sequence[int] = 1, axis: int | Sequence[int] | None = None) -> Tensor:
    """x with its elements moved on by `shift` along `axis`; what leaves at the end comes back at the beginning.

    Without an axis the flattened x is rolled. Several axes take a shift each, or one for all.
    """
    if axis is None:
        return reshape(_rolled(reshape(x, (-1,)), shift, (0,)), x.shape)
    return _rolled(x, shift, tuple(axis) if isinstance(axis, Sequence) else (axis,))


def _rolled(x: Tensor, shift: int | Sequence[int], axes: Sequence[int]) -> Tensor:
    steps = tuple(shift) if isinstance(shift, Sequence) else (shift,) * len(axes)
    places = [normalize_axis(a, x.ndim) for a in axes] or [0]
    if len(places) == 1:
        places *= len(steps)  # NumPy adds up several shifts along one axis
    if len(steps) != len(places):
        raise ValueError(f"roll: shift={shift} and axis={axes} differ in number")
    for step, place in zip(steps, places, strict=True):
        size = x.shape[place]
        start = -python_operator.index(step) % size if size else 0
        if start:
            x = concat(_slices(x, place, [start, size]) + _slices(x, place, [0, start]), place)
    return x


@takes_tensor
def rot90(x: Tensor, k: int = 1, axis: Sequence[int] = (0, 1)) -> Tensor:
    """A view of x turned by k right angles in the plane of two axes, from the first towards the second."""
    first, second = (normalize_axis(a, x.ndim) for a in axis)
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    turns = k % 4
    if turns == 2:
        return flip(x, (first, second))
    if turns == 1:
        return permute_dims(flip(x, second), order)
    return flip(permute_dims(x, order), second) if turns else x


# -- joining ----------------------------------------------------------------------------------------


@other_names
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along axis 1, or along axis 0 if they have one axis or none."""
    parts = [atleast_1d(t) for t in tensors]
    return concat(parts, 0 if parts and parts[0].ndim == 1 else 1)


@other_names
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along axis 0, those of one axis as rows."""
    return concat([atleast_2d(t) for t in tensors], 0)


@other_names
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors joined along axis 2, which those of fewer axes get."""
    parts = [atleast_2d(t) for t in tensors]
    return concat([expand_dims(t, 2) if t.ndim == 2 else t for t in parts], 2)


# -- grids and differences --------------------------------------------------------------------------


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Views of one-dimensional arrays, in the shape of the grid that they are the coordinates of.

    `indexing="ij"` gives the shape (len(a), len(b), ...), "xy" (the default, as in NumPy and the standard) exchanges
    the first two axes; PyTorch's default is "ij". Raises ValueError for another `indexing` or for several axes.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: indexing={indexing!r} must be "xy" or "ij"')
    given: Sequence[Tensor] = arrays
    if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        given = arrays[0]
    for position, array in enumerate(given):
        check_tensor("meshgrid", f"arrays[{position}]", array)
        if array.ndim > 1:
            raise ValueError(f"meshgrid: arrays[{position}] has shape {array.shape}; one axis is expected")
    order = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        order[:2] = [1, 0]
    sizes = [data_of(given[i]).size for i in order]
    places = {i: place for place, i in enumerate(order)}
    along = [[-1 if p == places[i] else 1 for p in range(len(given))] for i in range(len(given))]
    return [broadcast_to(reshape(a, shape), sizes) for a, shape in zip(given, along, strict=True)]


@takes_tensor
@method
def diff(x: Tensor, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """The n-th difference along `axis`: x[i + 1] - x[i], n times over. Bools differ by `!=`.

    `prepend` and `append` are joined to x first: tensors, or numbers that stand for one slice. Raises ValueError for
    a negative n.
    """
    if n < 0:
        raise ValueError(f"diff: n={n} must not be negative")
    place = normalize_axis(axis, x.ndim)
    if n and (prepend is not None or append is not None):
        around = [prepend, x, append]
        x = concat([x if p is x else _beside(p, x, place) for p in around if p is not None], place)
    for _ in range(n):
        later, earlier = (
            getitem(x, (*(slice(None),) * place, part)) for part in (slice(1, None), slice(None, -1))
        )  # fmt: skip
        x = later != earlier if x.dtype.kind == "b" else later - earlier
    return x


def _beside(part: Any, x: Tensor, axis: int) -> Any:
    """What `diff` joins to x: a tensor, or a number as one slice of it."""
    if isinstance(part, (Value, NDArray)):
        return part
    return recording.constant((*x.shape[:axis], 1, *x.shape[axis + 1 :]), part, x.dtype, x.device)
