"""Positions of elements: those of diagonals and triangles, of what is true, flat ones; and adding at positions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array.views import as_shape
from needle.dtypes import Scalar, Shape, is_bool
from needle.ops.arithmetic import add
from needle.ops.base import check_tensor, data_of, takes_tensor
from needle.ops.creation import as_tensor, asarray, full
from needle.ops.indexing.access import getitem, setitem
from needle.ops.indexing.functions import index_add, nonzero
from needle.ops.indexing.taking import as_indices
from needle.ops.shape import astype, broadcast_to, reshape, stack
from needle.ops.triangles import diagonal
from needle.strides import broadcast_shapes, contiguous_strides

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "argwhere", "diag_indices", "fill_diagonal", "flatnonzero", "index_put", "ravel_multi_index", "tril_indices",
    "triu_indices", "unravel_index",
]  # fmt: skip


def _positions(shape: Shape, wanted: np.ndarray) -> tuple[Tensor, ...]:
    return tuple([asarray(indices.astype(np.int64)) for indices in np.nonzero(np.broadcast_to(wanted, shape))])


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """The rows and columns, int64, of the elements of an (n, m) matrix on its k-th diagonal and below it (NumPy)."""
    rows, columns = _positions((n, n if m is None else m), np.tri(n, m, k, dtype=bool))
    return rows, columns


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """The rows and columns, int64, of the elements of an (n, m) matrix on its k-th diagonal and above it (NumPy)."""
    rows, columns = _positions((n, n if m is None else m), ~np.tri(n, m, k - 1, dtype=bool))
    return rows, columns


def diag_indices(n: int, ndim: int = 2) -> tuple[Tensor, ...]:
    """The indices of the main diagonal of an array of `ndim` axes of size n (NumPy)."""
    return (asarray(np.arange(n, dtype=np.int64)),) * ndim


@takes_tensor
def fill_diagonal(x: Tensor, value: Any) -> None:
    """Write `value`, a number or one for each element, on the diagonal of a matrix; NumPy's function returns nothing.

    Raises ValueError for other than two axes, GraphError for a leaf that requires a gradient.
    """
    if x.ndim != 2:
        raise ValueError(f"fill_diagonal: x has shape {x.shape}; a matrix is expected")
    setitem(diagonal(x), Ellipsis, value)


@takes_tensor
def argwhere(x: Tensor) -> Tensor:
    """The positions of what is not zero, int64 of shape (count, x.ndim): PyTorch's `nonzero`. Reads the count back."""
    if x.ndim == 0:
        count = int(bool(x))
        return full((count, 0), 0, np.int64, x.device)
    return stack(list(nonzero(x)), -1)


@takes_tensor
def flatnonzero(x: Tensor) -> Tensor:
    """The positions, int64, of what is not zero in x with one axis (NumPy). Reads their number back."""
    (found,) = nonzero(reshape(x, (-1,)))
    result: Tensor = found
    return result


def unravel_index(indices: Tensor | int, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """For each axis of `shape` the indices of elements at the flat positions `indices`, in C order (NumPy).

    Raises ValueError for a shape without elements.
    """
    if not isinstance(indices, int):
        check_tensor("unravel_index", "indices", indices)
    sizes = as_shape(shape)
    if prod(sizes) == 0:
        raise ValueError(f"unravel_index: shape={sizes} has no elements")
    flat = asarray(indices)
    steps = contiguous_strides(sizes)
    return tuple([flat // step % size for step, size in zip(steps, sizes, strict=True)])


def ravel_multi_index(multi_index: Sequence[Any], dims: Sequence[int]) -> Tensor:
    """The flat positions, in C order, of elements at the indices `multi_index`, one array for each axis of `dims`.

    Raises ValueError where there are not as many of both.
    """
    sizes = as_shape(dims)
    if len(multi_index) != len(sizes):
        raise ValueError(f"ravel_multi_index: {len(multi_index)} arrays do not index dims={sizes}")
    return _flat([asarray(i) for i in multi_index], sizes)


def _flat(indices: Sequence[Any], sizes: Shape) -> Any:
    parts = [i * step for i, step in zip(indices, contiguous_strides(sizes), strict=True)]
    flat = parts[0]
    for part in parts[1:]:
        flat = flat + part
    return flat


@takes_tensor
def index_put(x: Tensor, indices: Sequence[Any], values: Tensor | Scalar, accumulate: bool = False) -> Tensor:
    """A copy of x with `values` written at `indices`, one array for each of the first axes; PyTorch's function.

    With `accumulate` they are added to what is there, those at repeated indices as well, in the same order each time.
    Raises IndexError for indices that the host knows to be out of range, TypeError for a mask with `accumulate`.
    """
    if accumulate:
        return sums_at(x, tuple(indices), values)
    result = x.clone()
    setitem(result, tuple(indices), values)
    return result


def sums_at(x: Tensor, indices: tuple[Any, ...], values: Any) -> Tensor:
    """x with `values` added at arrays of indices of the first axes."""
    if len(indices) > x.ndim:
        raise IndexError(f"index_put: {len(indices)} arrays index x of shape {x.shape}")
    if any(is_bool(data_of(i).dtype if hasattr(i, "cached_data") else np.asarray(i).dtype) for i in indices):
        raise TypeError("index_put: a mask is not accumulated at; where a mask is true nothing repeats: x[mask] += v")
    count = len(indices)
    lead, rest = x.shape[:count], x.shape[count:]
    found = [as_indices(i, n, "index_put: index", x.device, from_end=True) for i, n in zip(indices, lead, strict=True)]
    shape = broadcast_shapes(*(i.shape for i in found))
    flat = as_tensor(data_of(_flat(found, lead)))
    added = broadcast_to(astype(asarray(values, device=x.device), x.dtype), (*shape, *rest))
    rows = index_add(
        reshape(x, (prod(lead), *rest)), 0, reshape(broadcast_to(flat, shape), (-1,)), reshape(added, (-1, *rest))
    )
    return reshape(rows, x.shape)


def add_at(x: Tensor, indices: Any, values: Any = 1) -> None:
    """Add `values` to x at `indices`, also at repeated ones: NumPy's `np.add.at`, here `ndl.add.at`.

    `indices` is an array of integers, a tuple of arrays for the first axes, or a mask. It returns nothing.
    """
    several = indices if isinstance(indices, tuple) else (indices,)
    if any(getattr(i, "dtype", None) == np.bool_ for i in several):
        setitem(x, indices, getitem(x, indices) + values)
    else:
        setitem(x, Ellipsis, sums_at(x, several, values))


setattr(add, "at", add_at)  # noqa: B010  mypy knows no attributes of functions
