"""Diagonals and triangles of matrices, and the matrices that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray, recording
from needle.array.views import normalize_axis
from needle.autograd import Op
from needle.dtypes import DTypeLike, Shape, int32
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import where
from needle.ops.reductions import sum
from needle.strides import contiguous_strides

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["diag", "diag_embed", "diagonal", "trace", "tril", "triu"]


def _diagonal_view(x: NDArray, offset: int, first: int, second: int) -> NDArray:
    """The view of a diagonal: its axis comes last, in place of the two that are walked together."""
    rows, columns = x.shape[first], x.shape[second]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    strides = x.strides
    start = x.offset + (max(-offset, 0) * strides[first] + max(offset, 0) * strides[second] if length else 0)
    others = [a for a in range(x.ndim) if a not in (first, second)]
    shape = (*(x.shape[a] for a in others), length)
    return x._view(shape, (*(strides[a] for a in others), strides[first] + strides[second]), start)


class Diagonal(Op):
    name = "diagonal"

    def __init__(self, offset: int, first: int, second: int) -> None:
        self.places = offset, first, second

    def compute(self, x: NDArray) -> NDArray:
        return _diagonal_view(x, *self.places)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return PlaceDiagonal(x.shape, *self.places)(grad)


class PlaceDiagonal(Op):
    """Zeros of `shape` with the argument on a diagonal: what undoes `Diagonal`."""

    name = "place_diagonal"

    def __init__(self, shape: Shape, offset: int, first: int, second: int) -> None:
        self.shape = shape
        self.places = offset, first, second

    def compute(self, x: NDArray) -> NDArray:
        result = recording.constant(self.shape, 0, x.dtype, x.device).realize()
        result._strides = contiguous_strides(self.shape)
        _diagonal_view(result, *self.places)[...] = x
        return result

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return Diagonal(*self.places)(grad)


@takes_tensor
@method
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A view of the elements x[..., i, ..., i + offset, ...], which stand along a new last axis, as in NumPy.

    Raises ValueError for a tensor of fewer than two axes, or for one axis given twice.
    """
    first, second = _two_axes("diagonal", x, axis1, axis2)
    return Diagonal(offset, first, second)(x)


def _two_axes(function: str, x: Tensor, axis1: int, axis2: int) -> tuple[int, int]:
    first, second = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    if first == second:
        raise ValueError(f"{function}: axis1={axis1} and axis2={axis2} are one axis of shape {x.shape}")
    return first, second


@takes_tensor
@method
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1, *, dtype: DTypeLike = None) -> Tensor:
    """The sum along a diagonal, of the first two axes by default as in NumPy; `linalg.trace` takes the last two."""
    return sum(diagonal(x, offset, axis1, axis2), -1, dtype=dtype)


@takes_tensor
@method
def diag(x: Tensor, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix with the vector x on that diagonal and zeros elsewhere.

    Raises ValueError for a tensor of other than one or two axes.
    """
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: x has shape {x.shape}; one axis or two are expected")
    return diagonal(x, k) if x.ndim == 2 else diag_embed(x, k)


@takes_tensor
def diag_embed(x: Tensor, offset: int = 0) -> Tensor:
    """Matrices (..., n + |offset|, n + |offset|) of zeros with the last axis of x on their diagonals."""
    size = x.shape[normalize_axis(-1, x.ndim)] + abs(offset)
    return PlaceDiagonal((*x.shape[:-1], size, size), offset, x.ndim - 1, x.ndim)(x)


def _below(x: Tensor, k: int) -> Any:
    """Whether an element of x lies on the k-th diagonal or below it."""
    if x.ndim < 2:
        raise ValueError(f"tril and triu need a matrix or a stack of matrices; x has shape {x.shape}")
    rows, columns = (NDArray.from_numpy(np.arange(n, dtype=int32), x.device) for n in x.shape[-2:])
    return columns - rows.reshape((-1, 1)) <= max(-(2**31), min(k, 2**31 - 1))


@takes_tensor
@method
def tril(x: Tensor, k: int = 0) -> Tensor:
    """x with zeros above the k-th diagonal of its last two axes. Raises ValueError for fewer axes."""
    return where(_below(x, k), x, False)


@takes_tensor
@method
def triu(x: Tensor, k: int = 0) -> Tensor:
    """x with zeros below the k-th diagonal of its last two axes. Raises ValueError for fewer axes."""
    return where(_below(x, k - 1), False, x)
