"""Functions that read and write at indices and masks, under NumPy's and PyTorch's names.

`dim` is PyTorch's name of an axis. An index below 0 counts from the end. One out of range raises IndexError where the
host knows it; else it takes NaN (0 of integers), and writes or adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.expression import SCALARS
from needle.array.views import normalize_axis
from needle.array.writing import source
from needle.autograd import Value, make_value
from needle.dtypes import Shape, is_bool
from needle.ops import comparison
from needle.ops.arithmetic import add
from needle.ops.base import check_tensor, data_of, method, takes_tensor
from needle.ops.comparison import not_equal
from needle.ops.indexing.masks import positions
from needle.ops.indexing.selecting import GatherAt, PutAt, PutInto
from needle.ops.indexing.taking import ScatterAdd, ScatterAddAlongAxis, TakeAlongAxis, as_indices, take
from needle.ops.rewriting import check_castable, rewrite
from needle.ops.shape import Place, Slice, astype, broadcast_to, reshape, stack
from needle.strides import broadcast_shapes

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "gather", "index_add", "index_select", "masked_fill", "masked_select", "nonzero", "put_along_axis", "scatter",
    "scatter_add", "where",
]  # fmt: skip


# -- indices along one axis -------------------------------------------------------------------------


@takes_tensor
@method
def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """For each place of `index` the element of x there, but along `dim` at the index; PyTorch's function.

    `index` has as many axes as x, and along the others at most x's size: y[i, j] = x[index[i, j], j] for dim=0. The
    gradient of an element taken several times is the sum. Raises ValueError where the shapes do not fit.
    """
    dim = normalize_axis(dim, x.ndim)
    found = _along("gather", x, dim, index)
    return TakeAlongAxis(dim)(_part(x, found.shape, dim), found)


@takes_tensor
@method
def scatter(x: Tensor, dim: int, index: Tensor, src: Tensor | float) -> Tensor:
    """A copy of x with the elements of `src` written where `gather` would read; PyTorch's function.

    `src` is a number, or has at least the shape of `index`. Of several elements for one place the last in C order
    stays, and it alone has a gradient. Raises ValueError where the shapes do not fit.
    """
    dim = normalize_axis(dim, x.ndim)
    indices, values = _scattered("scatter", x, dim, index, src)
    return PutAt(range(x.ndim), 0)(x, values, *indices)


def scatter_into(x: Any, dim: int, index: Any, src: Any) -> Any:
    """`scatter` into x itself."""
    dim = normalize_axis(dim, x.ndim)
    indices, values = _scattered("scatter_", x, dim, index, src)
    return rewrite("setitem", x, PutInto(range(x.ndim), 0), [values, *indices], in_place=True)


@takes_tensor
@method
def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """x plus the elements of `src`, each added where `gather` would read; PyTorch's function.

    `src` has at least the shape of `index`. Repeated indices add up, in the same order each time.
    """
    return add(x, scattered_sums(x, dim, index, src))


def scattered_sums(x: Any, dim: int, index: Any, src: Any) -> Tensor:
    """What `scatter_add` adds to x."""
    dim = normalize_axis(dim, x.ndim)
    found = _along("scatter_add", x, dim, index)
    values = astype(_source("scatter_add", src, found.shape), x.dtype)
    sums: Tensor = ScatterAddAlongAxis(dim, x.shape[dim])(found, values)
    return sums if sums.shape == x.shape else Place(tuple(map(slice, sums.shape)), x.shape)(sums)


@takes_tensor
def put_along_axis(x: Tensor, indices: Any, values: Any, axis: int) -> None:
    """Write `values` into x where `take_along_axis` reads; NumPy's function, which returns nothing.

    `indices` and `values` broadcast, the indices against x except along `axis`. Of several values for one place the
    last stays. Raises GraphError for a leaf that requires a gradient.
    """
    axis = normalize_axis(axis, x.ndim)
    found = as_indices(indices, x.shape[axis], "put_along_axis: index", x.device, from_end=True)
    if found.ndim != x.ndim:
        raise ValueError(f"put_along_axis: indices of shape {found.shape} and x of shape {x.shape} differ in axes")
    target = tuple(found.shape[a] if a == axis else n for a, n in enumerate(x.shape))
    found = data_of(broadcast_to(found, target))
    given = values if isinstance(values, Value) else source(values, data_of(x))
    _put_along(x, axis, found, given)


def _put_along(x: Any, axis: int, indices: NDArray, values: Any) -> None:
    op = PutInto(range(x.ndim), 0)
    arrays = _everywhere(indices, axis)
    if isinstance(x, NDArray):
        op(x, data_of(values), *arrays)
    else:
        rewrite("setitem", x, op, [values, *arrays], in_place=True)


@takes_tensor
@method
def index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of x at a 1-D `index` along `dim`; PyTorch's function. See `take`."""
    if data_of(index).ndim > 1:
        raise ValueError(f"index_select: index must have one axis; its shape is {index.shape}")
    return take(x, reshape(index, (-1,)), dim)


@takes_tensor
@method
def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """x plus `alpha` times the slices of `source`, each added at its `index` along `dim`; PyTorch's function.

    `index` has one axis, `source` the shape of x but along `dim` one slice for each index. Repeated indices add up,
    in the same order each time.
    """
    return add(x, indexed_sums(x, dim, index, source, alpha))


def indexed_sums(x: Any, dim: int, index: Any, source: Any, alpha: float) -> Tensor:
    """What `index_add` adds to x."""
    dim = normalize_axis(dim, x.ndim)
    found = as_indices(index, x.shape[dim], "index_add: index", x.device, from_end=True)
    check_tensor("index_add", "source", source)
    wanted = (*x.shape[:dim], *found.shape, *x.shape[dim + 1 :])
    if found.ndim != 1 or source.shape != wanted:
        raise ValueError(f"index_add: source of shape {source.shape} and index of shape {found.shape} do not fit x of "
                         f"shape {x.shape} along dim={dim}")  # fmt: skip
    sums: Tensor = ScatterAdd(dim, x.shape[dim])(found, astype(source, x.dtype))
    return sums if alpha == 1 else sums * alpha


def _along(name: str, x: Tensor, dim: int, index: Any) -> Any:
    """The `index` of `gather` and its like, checked against x."""
    found = as_indices(index, x.shape[dim], f"{name}: index", x.device, from_end=True)
    others = [(n, m) for a, (n, m) in enumerate(zip(found.shape, x.shape, strict=False)) if a != dim]
    if found.ndim != x.ndim or any(n > m for n, m in others):
        raise ValueError(f"{name}: index of shape {found.shape} does not fit x of shape {x.shape} along dim={dim}")
    return found


def _part(x: Tensor, shape: Shape, dim: int) -> Tensor:
    """The first elements of x along each axis but `dim`, as many as `shape` has."""
    if all(n == m for a, (n, m) in enumerate(zip(shape, x.shape, strict=True)) if a != dim):
        return x
    return Slice(tuple(slice(None) if a == dim else slice(n) for a, n in enumerate(shape)))(x)


def _source(name: str, src: Any, shape: Shape) -> Tensor:
    """The elements of `src` that an index of `shape` is for."""
    check_tensor(name, "src", src)
    if src.ndim != len(shape) or any(n > m for n, m in zip(shape, src.shape, strict=True)):
        raise ValueError(f"{name}: src of shape {src.shape} does not hold an element for each index, of shape {shape}")
    return src if src.shape == shape else Slice(tuple(map(slice, shape)))(src)


def _scattered(name: str, x: Tensor, dim: int, index: Any, src: Any) -> tuple[list[Any], Any]:
    """For each axis of x the indices of the places of a scatter, and the values for them."""
    found = _along(name, x, dim, index)
    values = source(src, data_of(x)) if isinstance(src, (*SCALARS, np.generic)) else _source(name, src, found.shape)
    return _everywhere(found, dim), values


def _everywhere(index: Any, dim: int) -> list[Any]:
    """Indices of every axis: `index` along `dim`, and along the others each element's own place."""
    ndim = index.ndim
    places: list[Any] = [np.arange(n).reshape(n, *(1,) * (ndim - 1 - a)) for a, n in enumerate(index.shape)]
    places[dim] = index
    return places


# -- masks ------------------------------------------------------------------------------------------


@takes_tensor
@method
def masked_fill(x: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """x with `value` where `mask` is true; PyTorch's function.

    `value` is a number or a tensor of one, and the mask broadcasts to x. Raises TypeError for a mask that is not bool,
    and for a value that the dtype of x cannot hold.
    """
    check_tensor("masked_fill", "mask", mask)
    _check_mask("masked_fill", mask)
    if isinstance(value, (Value, NDArray)):
        check_castable("masked_fill", data_of(value).dtype, x.dtype)
        value = reshape(astype(value, x.dtype), ())
    result = comparison.where(mask, value, x)
    check_castable("masked_fill", result.dtype, x.dtype)
    if result.shape != x.shape:
        raise ValueError(f"masked_fill: mask of shape {mask.shape} does not broadcast to x of shape {x.shape}")
    return result


@takes_tensor
@method
def masked_select(x: Tensor, mask: Tensor) -> Tensor:
    """The elements of x where `mask` is true, in C order, after both are broadcast together. PyTorch's function.

    The host waits for the number of the mask's true elements, which is the size of the result. Raises TypeError for a
    mask that is not bool.
    """
    check_tensor("masked_select", "mask", mask)
    _check_mask("masked_select", mask)
    shape = broadcast_shapes(x.shape, mask.shape)
    flat, chosen = (reshape(broadcast_to(t, shape), (-1,)) for t in (x, mask))
    return GatherAt((0,), 0)(flat, *positions(chosen))


def _check_mask(name: str, mask: Any) -> None:
    if not is_bool(mask.dtype):
        raise TypeError(f"{name}: mask must be bool; its dtype is {mask.dtype}")


@takes_tensor
@method
def nonzero(x: Tensor, as_tuple: bool = True) -> tuple[Tensor, ...] | Tensor:
    """For each axis the int64 indices of the elements of x that are not zero, in C order.

    A tuple of tensors; with as_tuple=False one tensor, of shape (number of such elements, axes of x), which is
    PyTorch's default. The host waits for the number of such elements. Raises ValueError for a tensor without axes.
    """
    if not x.ndim:
        raise ValueError("nonzero: x has no axes; reshape it to (1,)")
    found = positions(x if is_bool(x.dtype) else not_equal(x, 0))
    indices = [NDArray.from_numpy(i, x.device) if isinstance(i, np.ndarray) else i for i in found]
    result: Sequence[Any] = [make_value(i) for i in indices] if isinstance(x, Value) else indices
    return tuple(result) if as_tuple else stack(result, 1)


def where(condition: Tensor, x: Tensor | float | None = None, y: Tensor | float | None = None) -> Any:
    """x where `condition` is true (not zero), else y. With `condition` alone `nonzero(condition)`, as in NumPy."""
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise TypeError("where takes a condition alone, or with both x and y")
    return comparison.where(condition, x, y)
