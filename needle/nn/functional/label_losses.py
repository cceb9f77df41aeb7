"""Losses of labels and of class probabilities."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from needle import ops
from needle.array import NDArray
from needle.autograd import make_value
from needle.backend.protocol import Device
from needle.checks import one_of
from needle.dtypes import DType, int32, int64, is_float, is_integer
from needle.errors import DeviceError
from needle.nn.functional.label_loss import LabelCrossEntropy
from needle.nn.functional.loss_reduction import REDUCTIONS
from needle.ops.base import takes_tensor
from needle.ops.creation import asarray
from needle.ops.indexing.taking import check_in_range
from needle.ops.precision import rounded_once
from needle.tensor import Tensor

__all__ = ["cross_entropy", "nll_loss"]


@takes_tensor
@rounded_once
def cross_entropy(
    input: Tensor,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy between softmax(input) and `target`, as PyTorch's.

    `input` holds logits: (C,), (N, C) or (N, C, d1, ...). `target` holds labels, integers from 0 to C - 1, in
    the shape of `input` without the class axis, or class probabilities, floats in the shape of `input`. It may
    be a tensor, a NumPy array or a list. With labels y, the loss of an element is

        -weight[y] * log_softmax(input)[y]

    and "mean" divides the sum by that of the weights; with probabilities it is the sum over the classes, and
    "mean" divides by the number of elements. `label_smoothing` e makes the target (1 - e) target + e / C
    (Szegedy et al. 2016). Labels equal to `ignore_index` contribute nothing. `weight` has shape (C,).

    Raises IndexError naming a host-known label that is out of range (one known to the device alone makes the
    loss NaN), TypeError for logits that are not floating or labels that are neither integers nor floats,
    ValueError for shapes that do not fit, another reduction, or a smoothing outside [0, 1].
    """
    _check_scores("cross_entropy", input, reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing} must be from 0 to 1")
    target = _as_target(target, input)
    if is_float(target.dtype):
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    axis = _class_axis(input)
    _check_labels("cross_entropy", input, target)
    if weight is None and not label_smoothing and reduction != "none" and target.size:
        in_range, may_ignore = _check_range("cross_entropy", target, input.shape[axis], ignore_index)
        if in_range and not may_ignore:
            scale = 1 / target.size if reduction == "mean" else 1.0
            labels, classes = _labels_and_classes(input, target)
            loss: Tensor = LabelCrossEntropy(axis, scale)(input, make_value(labels), classes)
            return loss
    scores = ops.log_softmax(input, axis)
    return _negative_likelihood("cross_entropy", scores, target, weight, ignore_index, reduction, label_smoothing)


@takes_tensor
@rounded_once
def nll_loss(
    input: Tensor, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """-weight[y] * input[y] for labels y: `cross_entropy` of log-probabilities (of `log_softmax`).

    Shapes, reductions and errors are those of `cross_entropy`; targets are labels only.
    """
    _check_scores("nll_loss", input, reduction)
    target = _as_target(target, input)
    _check_labels("nll_loss", input, target)
    return _negative_likelihood("nll_loss", input, target, weight, ignore_index, reduction, 0.0)


# -- their parts ------------------------------------------------------------------------------------


def _check_scores(what: str, input: Tensor, reduction: str) -> None:
    one_of("reduction", reduction, REDUCTIONS)
    if not is_float(input.dtype):
        raise TypeError(f"{what}: input must have a floating dtype, not {input.dtype}")
    if input.ndim == 0:
        raise ValueError(f"{what}: input must have a class axis: shape (C,), (N, C) or (N, C, d1, ...)")


def _as_target(target: Any, input: Tensor) -> Any:
    if isinstance(target, Tensor):
        if target.device is not input.device:
            raise DeviceError(f"input is on {input.device.name}, its targets or weights on {target.device.name}")
        return target
    # Through NumPy, an int is known to be in range or not as the numbers of an array are.
    return asarray(np.asarray(target) if isinstance(target, int) else target, device=input.device)


def _class_axis(input: Tensor) -> int:
    return 0 if input.ndim == 1 else 1


@lru_cache(maxsize=64)
def _classes(count: int, ndim: int, dtype: DType, device: Device) -> Any:
    """0 to count - 1 along the class axis of a tensor with `ndim` axes; kept, so that no step uploads it again."""
    return NDArray.from_numpy(np.arange(count, dtype=dtype).reshape(count, *(1,) * max(ndim - 2, 0)), device)


def _labels_and_classes(scores: Tensor, target: Tensor) -> tuple[NDArray, NDArray]:
    """The labels with a class axis of size 1, and the classes' numbers along it, in one signed dtype."""
    signed = int32 if target.dtype.itemsize <= 2 or target.dtype == int32 else int64
    axis, shape = _class_axis(scores), target.shape
    labels = target.cached_data.astype(signed).reshape((*shape[:axis], 1, *shape[axis:]))
    return labels, _classes(scores.shape[axis], scores.ndim, signed, scores.device)


def _class_weight(what: str, weight: Any, scores: Tensor) -> Tensor:
    """`weight` as a tensor that broadcasts along the class axis of `scores`."""
    weight = _as_target(weight, scores)
    count = scores.shape[_class_axis(scores)]
    if weight.shape != (count,):
        raise ValueError(f"{what}: weight has shape {weight.shape}; {count} classes need ({count},)")
    return ops.reshape(weight, (count, *(1,) * max(scores.ndim - 2, 0)))


def _soft_cross_entropy(input: Tensor, target: Tensor, weight: Any, reduction: str, label_smoothing: float) -> Tensor:
    if target.shape != input.shape:
        raise ValueError(
            f"cross_entropy: class probabilities of shape {target.shape} do not fit logits of shape {input.shape}; "
            "labels must be integers"
        )
    axis = _class_axis(input)
    count = input.shape[axis]
    losses = -ops.log_softmax(input, axis)
    if weight is not None:
        losses = losses * _class_weight("cross_entropy", weight, input)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / count
    return _sum_classes(losses * target, axis, reduction, input.size // max(count, 1))


def _sum_classes(losses: Tensor, axis: int, reduction: str, count: int | Tensor) -> Tensor:
    """Losses of all classes summed: for each element, in total, or divided by `count`, in one reduction."""
    if reduction == "none":
        return ops.sum(losses, axis)
    if reduction == "mean" and isinstance(count, int) and count:
        return ops.sum(losses * (1 / count))
    total = ops.sum(losses)
    if reduction == "sum":
        return total
    return total / count if isinstance(count, Tensor) else total * float("nan")  # the mean of nothing


def _negative_likelihood(
    what: str,
    scores: Tensor,
    target: Tensor,
    weight: Any,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """The loss of labels under log-probabilities `scores`.

    The label's score is picked by comparing labels with class numbers, inside the one reduction that also
    sums; its gradient is elementwise, and there is nothing to scatter.
    """
    axis = _class_axis(scores)
    count = scores.shape[axis]
    in_range, may_ignore = _check_range(what, target, count, ignore_index)
    labels, classes = (asarray(array) for array in _labels_and_classes(scores, target))
    hot = ops.equal(labels, classes)
    kept = ops.not_equal(labels, ignore_index)
    if may_ignore and 0 <= ignore_index < count:
        hot = ops.logical_and(hot, kept)
    losses = -scores
    if not in_range:  # a label that only the device knows to be wrong must not pass for a loss of 0
        wrong = ops.logical_and(ops.logical_or(labels < 0, labels >= count), kept)
        losses = losses * ops.astype(ops.where(wrong, float("nan"), 1.0), losses.dtype)
        hot = ops.logical_or(hot, wrong)
    weights = None if weight is None else _class_weight(what, weight, scores)
    if weights is not None:
        losses = losses * weights
    picked = ops.where(hot, losses, 0)
    if label_smoothing:
        spread = losses * (label_smoothing / count)
        picked = picked * (1 - label_smoothing) + (ops.where(kept, spread, 0) if may_ignore else spread)
    divisor: int | Tensor = target.size
    if reduction == "mean" and weights is not None:
        divisor = ops.sum(ops.where(hot, weights, 0))
    elif reduction == "mean" and may_ignore:
        divisor = ops.sum(kept)
    return _sum_classes(picked, axis, reduction, divisor)


def _check_labels(what: str, scores: Tensor, target: Tensor) -> None:
    if not is_integer(target.dtype):
        raise TypeError(f"{what}: labels must be integers; the dtype is {target.dtype}")
    axis = _class_axis(scores)
    expected = (*scores.shape[:axis], *scores.shape[axis + 1 :])
    if target.shape != expected:
        raise ValueError(
            f"{what}: labels of shape {target.shape} do not fit input of shape {scores.shape}; expected {expected}"
        )


def _check_range(what: str, target: Tensor, count: int, ignore_index: int) -> tuple[bool, bool]:
    """Whether all labels are known to be in range or ignored, and whether one may be `ignore_index`.

    Raises IndexError for one known to be neither.
    """
    bounds = target.cached_data.host_bounds
    if bounds is None:
        return target.size == 0, True
    ends = [bound for bound in bounds if bound != ignore_index]
    check_in_range(ends, count, f"{what} with {count} classes: label")
    # Bounds below 0 that may be ignored say nothing of the other labels below 0.
    return bounds[0] >= 0 or bounds[1] < 0, bounds[0] <= ignore_index <= bounds[1]
