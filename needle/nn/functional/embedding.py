"""Rows of a table by their numbers: one for each number, or a sum, mean or maximum for each bag of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle import ops
from needle.array import NDArray
from needle.autograd import Op, Value, make_value, no_grad
from needle.checks import one_of
from needle.dtypes import int64
from needle.ops import creation
from needle.ops.base import takes_tensor
from needle.ops.indexing import taking
from needle.ops.indexing.taking import ScatterAdd, as_indices
from needle.tensor import Tensor

__all__ = ["embedding", "embedding_bag", "one_hot"]


class _Slowed(Op):
    """Arguments: x, factor. It is x; its gradient is that of the result times `factor`."""

    name = "slowed"

    def compute(self, x: NDArray, factor: NDArray) -> NDArray:
        return +x

    def vjp(self, index: int, grad: Any, output: Any, x: Any, factor: Any) -> Any:
        return grad * factor if index == 0 else None


def embedding(
    input: Any,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight`, (rows, size), at the integers of `input`: of shape input.shape + (size,).

    Args:
        input: an integer tensor, NumPy array, nested list or int; integers from 0 to rows - 1.
        weight: the table.
        padding_idx: the row that gets no gradient; a negative one counts from the end.
        max_norm: rows that are looked up and longer are shortened to it first, in `weight` itself, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide the gradient of a row by the times that `input` names it.
        sparse: must be False; gradients are dense.

    Raises IndexError for a host-known integer out of range (one known on the device alone gets NaN), TypeError for
    other than integers, ValueError for a table of other than two axes and for a `padding_idx` that it lacks.
    """
    _check_table("embedding", weight, sparse)
    rows = weight.shape[0]
    ids = _ids("embedding", input, rows, weight)
    padding = _row(padding_idx, rows)
    if max_norm is not None:
        _shorten(weight, ids, max_norm, norm_type)
    found = ops.take(weight, ids, axis=0)
    if padding is None and not scale_grad_by_freq:
        return found
    factor: Any = creation.ones(ids.shape, dtype=weight.dtype, device=weight.device)
    if scale_grad_by_freq:
        factor = 1 / ops.take(_counts(ids, weight), ids, axis=0)
    if padding is not None:
        factor = ops.where(ids == padding, 0.0, factor)
    result: Tensor = _Slowed()(found, ops.expand_dims(factor, -1))
    return result


@takes_tensor
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """For each bag of integers the sum, mean or maximum of the rows of `weight` that they name: (bags, size).

    Args:
        input: (bags, length), or one axis of integers that `offsets` cuts into bags.
        weight: (rows, size).
        offsets: where bags begin in an `input` of one axis, in order, from 0.
        max_norm: as for `embedding`.
        norm_type: as for `embedding`.
        scale_grad_by_freq: as for `embedding`.
        mode: "sum", "mean" or "max". A bag of nothing gives zeros.
        sparse: as for `embedding`.
        per_sample_weights: of the shape of `input`; rows are multiplied by them before they are summed.
        include_last_offset: whether `offsets` also says where the last bag ends.
        padding_idx: integers that count as not being there.

    Raises what `embedding` does, and ValueError for shapes and a mode that do not fit.
    """
    one_of("mode", mode, ("sum", "mean", "max"))
    if per_sample_weights is not None and (mode != "sum" or per_sample_weights.shape != input.shape):
        raise ValueError(f"embedding_bag: per_sample_weights of shape {per_sample_weights.shape} need mode='sum' and "
                         f"the shape of input, {input.shape}")  # fmt: skip
    bags, count = _bags(input, offsets, include_last_offset)
    flat = ops.reshape(input, (input.size,))
    rows = embedding(flat, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * ops.reshape(per_sample_weights, (input.size, 1))
    padding = _row(padding_idx, weight.shape[0])
    there: Any = creation.ones((input.size,), dtype=weight.dtype, device=weight.device)
    if padding is not None:
        there = ops.where(flat == padding, 0.0, there)
    place = creation.asarray(bags, device=weight.device)
    if mode == "max":
        return _largest(rows, bags, count, there)
    sums: Any = ScatterAdd(0, count)(place, rows * ops.expand_dims(there, -1))
    if mode == "sum":
        return sums
    sizes = ScatterAdd(0, count)(place, there)
    return sums / ops.expand_dims(ops.where(sizes == 0, 1.0, sizes), -1)


def _check_table(name: str, weight: Tensor, sparse: bool) -> None:
    if weight.ndim != 2:
        raise ValueError(f"{name}: weight of shape {weight.shape} must be (rows, size)")
    if sparse:
        raise ValueError(f"{name}: sparse={sparse!r} is not supported; gradients are dense")


def _ids(name: str, input: Any, rows: int, weight: Tensor) -> Tensor:
    ids: Any = as_indices(input, rows, f"{name}: token id", weight.device)
    return ids if isinstance(ids, Value) else creation.as_tensor(ids)  # type: ignore[return-value]


def _row(padding_idx: int | None, rows: int) -> int | None:
    """The padding row, counted from the front."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(f"padding_idx={padding_idx} must be a row of a table of {rows}")
    return padding_idx % rows


def _counts(ids: Tensor, weight: Tensor) -> Any:
    """How often each row is named."""
    ones: Any = creation.ones(ids.shape, dtype=weight.dtype, device=weight.device)
    return ScatterAdd(0, weight.shape[0])(ids, ones)


def _shorten(weight: Tensor, ids: Tensor, max_norm: float, norm_type: float) -> None:
    """Shorten the rows that are named and longer than `max_norm`, in place."""
    with no_grad():
        table: Any = make_value(weight.cached_data)
        norms = ops.sum(ops.abs(table) ** norm_type, axis=1, keepdims=True) ** (1 / norm_type)
        long = ops.logical_and(ops.expand_dims(_counts(ids, weight) > 0, -1), norms > max_norm)
        table[...] = table * ops.where(long, max_norm / (norms + 1e-7), 1.0)


def _bags(input: Tensor, offsets: Any, include_last: bool) -> tuple[np.ndarray, int]:
    """For each integer the number of its bag, and the number of bags."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(f"embedding_bag: offsets are for an input of one axis, not of shape {input.shape}")
        return np.repeat(np.arange(input.shape[0]), input.shape[1]), input.shape[0]
    if input.ndim != 1 or offsets is None:
        raise ValueError(f"embedding_bag: input of shape {input.shape} must have two axes, or one and offsets")
    starts = np.asarray(offsets.numpy() if hasattr(offsets, "numpy") else offsets).astype(int64)
    first = starts[:1].tolist() if starts.ndim == 1 else None
    if first not in ([0], []) or (np.diff(starts) < 0).any() or (starts > input.size).any():
        raise ValueError(f"embedding_bag: offsets={starts.tolist()} must rise from 0 to at most {input.size}")
    starts = starts[:-1] if include_last else starts
    return np.searchsorted(starts, np.arange(input.size), side="right") - 1, len(starts)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """For each integer an int64 vector of `num_classes` zeros with a one at its place; see `needle.one_hot`.

    By default there are as many classes as the largest integer needs, which is read back.
    """
    count = int(ops.max(tensor)) + 1 if num_classes == -1 else num_classes
    return taking.one_hot(tensor, count, int64)


def _largest(rows: Tensor, bags: np.ndarray, count: int, there: Any) -> Tensor:
    """The maximum over each bag, of those rows that are there."""
    mine: Any = creation.asarray(np.arange(count)[:, None] == bags, device=rows.device)
    mine = ops.expand_dims(ops.logical_and(mine, there > 0), -1)
    largest = ops.max(ops.where(mine, ops.expand_dims(rows, 0), -np.inf), axis=1)
    return ops.where(ops.any(mine, axis=1), largest, 0.0)
