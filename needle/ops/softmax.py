"""Softmax, its logarithm, and the log-sum-exp that both rest on."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.template import Template
from needle.array.views import normalize_axes, normalize_axis
from needle.autograd import Op
from needle.backend.records import Count, Example, Operand, Primitive, Reference
from needle.dtypes import DType, Shape, compute_dtype, float_for
from needle.ops.base import takes_tensor
from needle.ops.exponential import exp
from needle.ops.precision import as_exact_floats, widened
from needle.ops.reductions import SUM, numpy_sum
from needle.ops.shape import astype, permute_dims, reshape

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["log_softmax", "logsumexp", "softmax"]

Signature = tuple[tuple[Shape, DType], ...]


def _same(x: Any, *, axis: int) -> Signature:
    return ((x.shape, x.dtype),)


def _without_axis(x: Any, *, axis: int) -> Signature:
    return (((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype),)


def _parts(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """x in the dtype computed in, and its largest element along the axis."""
    wide = x.astype(compute_dtype(x.dtype), copy=False)
    return wide, wide.max(axis=axis, keepdims=True, initial=-np.inf)


def _softmax_reference(x: np.ndarray, *, axis: int) -> np.ndarray:
    wide, largest = _parts(x, axis)
    powers = np.exp(wide - largest)
    return (powers / numpy_sum(powers, axis, keepdims=True)).astype(x.dtype)


def _log_softmax_reference(x: np.ndarray, *, axis: int) -> np.ndarray:
    wide, largest = _parts(x, axis)
    shifted = wide - largest
    return (shifted - np.log(numpy_sum(np.exp(shifted), axis, keepdims=True))).astype(x.dtype)


def _logsumexp_reference(x: np.ndarray, *, axis: int) -> np.ndarray:
    wide, largest = _parts(x, axis)
    shift = np.where(np.isinf(largest), wide.dtype.type(0), largest)
    total = np.log(numpy_sum(np.exp(wide - shift), axis, keepdims=True)) + shift
    return total.squeeze(axis).astype(x.dtype)


def _five_an_element(x: Any, *, axis: int) -> int:
    """Maximum, difference, exponential, sum, and the quotient or the second difference."""
    return 5 * prod(x.shape)


def _four_an_element(x: Any, *, axis: int) -> int:
    return 4 * prod(x.shape)


#: Every axis of shapes that end within a vector, and of logits whose exponentials overflow.
_EXAMPLES = tuple(
    Example((Operand(shape, low=-100, high=100),), {"axis": axis})
    for shape in ((1, 1), (5, 3), (3, 21), (37, 53), (3, 1025), (4, 7, 5), (4, 1, 3), (3, 0))
    for axis in range(len(shape))
)


def _softmax_like(name: str, reference: Reference, signature: Any, flops: Count) -> Primitive:
    return Primitive(name, reference, signature, flops, strided=True, kinds="f", examples=_EXAMPLES, family="softmax")


SOFTMAX = _softmax_like("softmax", _softmax_reference, _same, _five_an_element)
LOG_SOFTMAX = _softmax_like("log_softmax", _log_softmax_reference, _same, _five_an_element)
LOGSUMEXP = _softmax_like("logsumexp", _logsumexp_reference, _without_axis, _four_an_element)


# -- their gradients --------------------------------------------------------------------------------

_INNER = Template(lambda grad, output: widened(grad) * widened(output), SUM)
_SOFTMAX_GRADIENT = Template(lambda output, grad, inner: widened(output) * (widened(grad) - inner))
_TOTAL = Template(widened, SUM)
_LOG_SOFTMAX_GRADIENT = Template(lambda output, grad, total: widened(grad) - exp(widened(output)) * total)


# -- the operations ---------------------------------------------------------------------------------


class _AlongAxis(Op):
    """An operation along one axis, counted from the front."""

    primitive: Primitive

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def compute(self, x: NDArray) -> NDArray:
        return x.run(self.primitive, axis=self.axis)

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axis})"


class Softmax(_AlongAxis):
    name = "softmax"
    primitive = SOFTMAX

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return _SOFTMAX_GRADIENT(output, grad, _INNER(grad, output, axis=self.axis))


class LogSoftmax(_AlongAxis):
    name = "log_softmax"
    primitive = LOG_SOFTMAX

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return _LOG_SOFTMAX_GRADIENT(output, grad, _TOTAL(grad, axis=self.axis))


class LogSumExp(_AlongAxis):
    name = "logsumexp"
    primitive = LOGSUMEXP

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        kept = (*x.shape[: self.axis], 1, *x.shape[self.axis + 1 :])
        return reshape(widened(grad), kept) * exp(widened(x) - reshape(widened(output), kept))


@takes_tensor
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`, computed so that no exponential overflows.

    The result has the shape of x and its dtype, integers and bools becoming the default float. An element of
    -infinity gets 0; where all are -infinity, or one is +infinity or NaN, the result is NaN, as in PyTorch.
    Raises ValueError for an axis that x does not have.
    """
    return astype(Softmax(normalize_axis(axis, x.ndim))(as_exact_floats(x)), float_for(x.dtype))


@takes_tensor
def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of `softmax(x, axis)`, exact also where the softmax itself would round to 0.

    Shape, dtype, NaN and errors are as for `softmax`; an element of -infinity stays -infinity.
    """
    return astype(LogSoftmax(normalize_axis(axis, x.ndim))(as_exact_floats(x)), float_for(x.dtype))


@takes_tensor
def logsumexp(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis` (an int, several, or None for all), without overflow.

    -infinity over no elements or where all are -infinity, +infinity where one is. The dtype is that of x,
    integers and bools becoming the default float. Raises ValueError for an axis that x does not have or that
    is named twice.
    """
    axes = normalize_axes(axis, x.ndim)
    dtype = float_for(x.dtype)
    x = as_exact_floats(x)
    if len(axes) == 1:
        found = LogSumExp(axes[0])(x)
    else:  # the axes as one, the last
        others = tuple(a for a in range(x.ndim) if a not in axes)
        rows = tuple(x.shape[a] for a in others)
        last = permute_dims(x, (*others, *axes)) if axes != tuple(range(len(others), x.ndim)) else x
        found = LogSumExp(len(rows))(reshape(last, (*rows, prod(x.shape[a] for a in axes))))
    found = astype(found, dtype)
    if keepdims:
        return reshape(found, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
    return found
