"""Joining and cutting under NumPy's names: appending, inserting, deleting, columns and blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array.views import normalize_axis
from needle.ops.arranging import array_split, atleast_2d
from needle.ops.base import takes_tensor
from needle.ops.creation import asarray, zeros
from needle.ops.indexing.access import getitem, setitem
from needle.ops.indexing.taking import take
from needle.ops.shape import astype, broadcast_to, concat, reshape
from needle.ops.sorting import argsort

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "append", "atleast_3d", "block_diag", "column_stack", "delete", "dsplit", "hsplit", "insert", "lexsort", "vsplit",
]  # fmt: skip


@takes_tensor
def append(x: Tensor, values: Any, axis: int | None = None) -> Tensor:
    """x with `values` after it along `axis`; without an axis both are flattened (NumPy)."""
    more = asarray(values, device=x.device)
    if axis is None:
        x, more, axis = reshape(x, (-1,)), reshape(more, (-1,)), 0
    return concat([x, more], axis)


@takes_tensor
def insert(x: Tensor, index: int | Sequence[int], values: Any, axis: int | None = None) -> Tensor:
    """x with `values` before `index` along `axis`; without an axis x is flattened (NumPy).

    Several indices count positions of x, and take one slice of `values` each, or one for all. Raises IndexError for an
    index beyond the ends.
    """
    x, place = (reshape(x, (-1,)), 0) if axis is None else (x, normalize_axis(axis, x.ndim))
    size = x.shape[place]
    single = isinstance(index, (int, np.integer))
    indices = np.atleast_1d(np.asarray(index, np.int64))
    if np.any(indices < -size) or np.any(indices > size):
        raise IndexError(f"insert: index={index} is out of bounds for axis {place} with size {size}")
    indices = np.where(indices < 0, indices + size, indices)
    more = astype(asarray(values, device=x.device), x.dtype)
    if single and more.ndim == x.ndim:
        wanted = more.shape[place]  # slices that all stand before one index
    else:
        wanted = len(indices)
        if single and more.ndim:
            more = reshape(more, (*more.shape[:place], 1, *more.shape[place:]))
    more = broadcast_to(more, (*x.shape[:place], wanted, *x.shape[place + 1 :]))
    at = np.repeat(indices, wanted) if single else indices
    order = np.argsort(np.concatenate([at * 2, np.arange(size) * 2 + 1]), kind="stable")
    return take(concat([more, x], place), asarray(order, device=x.device), place)


@takes_tensor
def delete(x: Tensor, index: int | Sequence[int], axis: int | None = None) -> Tensor:
    """x without the slices at `index` along `axis`; without an axis x is flattened (NumPy).

    Raises IndexError for an index out of range.
    """
    x, place = (reshape(x, (-1,)), 0) if axis is None else (x, normalize_axis(axis, x.ndim))
    kept = np.delete(np.arange(x.shape[place]), np.asarray(index))
    return take(x, asarray(kept, device=x.device), place)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors as the columns of a matrix, matrices beside each other."""
    return concat([reshape(x, (-1, 1)) if x.ndim < 2 else x for x in tensors], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones on its diagonal and zeros elsewhere; a vector counts as a row.

    Raises ValueError without any.
    """
    blocks = [atleast_2d(x) for x in tensors]
    if not blocks:
        raise ValueError("block_diag needs at least one tensor")
    rows, columns = (np.cumsum([0, *(b.shape[a] for b in blocks)]).tolist() for a in (0, 1))
    result = zeros((rows[-1], columns[-1]), dtype=np.result_type(*(b.dtype for b in blocks)), device=blocks[0].device)
    for block, (top, bottom), (left, right) in zip(blocks, pairwise(rows), pairwise(columns), strict=True):
        setitem(result, (slice(top, bottom), slice(left, right)), block)
    return result


@takes_tensor
def atleast_3d(x: Tensor) -> Tensor:
    """x, with axes of size 1 around it until it has three, as NumPy places them."""
    shapes = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}
    return reshape(x, shapes[x.ndim]) if x.ndim < 3 else x


@takes_tensor
def hsplit(x: Tensor, sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the second axis, of a vector along its only one (NumPy)."""
    return _even_split("hsplit", x, sections, 1 if x.ndim > 1 else 0)


@takes_tensor
def vsplit(x: Tensor, sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the first axis (NumPy)."""
    return _even_split("vsplit", x, sections, 0)


@takes_tensor
def dsplit(x: Tensor, sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the third axis (NumPy)."""
    return _even_split("dsplit", x, sections, 2)


def _even_split(name: str, x: Tensor, sections: int | Sequence[int], axis: int) -> list[Tensor]:
    size = x.shape[normalize_axis(axis, x.ndim)]
    if isinstance(sections, (int, np.integer)) and (sections < 1 or size % sections):
        raise ValueError(f"{name}: axis {axis} of size {size} cannot be cut into sections={sections} equal parts")
    return array_split(x, sections, axis)


def lexsort(keys: Sequence[Tensor]) -> Tensor:
    """The int64 positions that sort by several keys, vectors of one length, of which the last counts most (NumPy)."""
    order = argsort(keys[0])
    for key in keys[1:]:
        order = getitem(order, argsort(getitem(key, order)))
    return order
