"""Losses of predicted probabilities: binary cross-entropies, the Kullback-Leibler divergence, several labels."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.autograd import Op
from needle.checks import one_of
from needle.nn.functional.loss_reduction import REDUCTIONS, as_operand, reduced, same_shape
from needle.ops.base import takes_tensor
from needle.ops.precision import rounded_once
from needle.tensor import Tensor

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "multilabel_soft_margin_loss"]


class _BinaryCrossEntropy(Op):
    """Arguments: p, y. -(y log p + (1 - y) log(1 - p)), each logarithm at least -100.

    As in PyTorch the slope at p = 0 and 1 is finite, so that a wrong certain answer can be unlearned.
    """

    name = "binary_cross_entropy"

    def compute(self, p: Any, y: Any) -> Any:
        return -(y * ops.maximum(ops.log(p), -100.0) + (1 - y) * ops.maximum(ops.log1p(-p), -100.0))

    def vjp(self, index: int, grad: Any, output: Any, p: Any, y: Any) -> Any:
        if index == 0:
            return grad * (p - y) / ops.maximum(p * (1 - p), 1e-12)
        return grad * (ops.maximum(ops.log1p(-p), -100.0) - ops.maximum(ops.log(p), -100.0))


_binary_cross_entropy = _BinaryCrossEntropy()


@takes_tensor
@rounded_once
def binary_cross_entropy(input: Tensor, target: Any, weight: Any = None, *, reduction: str = "mean") -> Tensor:
    """-(target log(input) + (1 - target) log(1 - input)) for probabilities `input`, each logarithm at least -100.

    `weight` broadcasts to the shape of `input`. Probabilities outside [0, 1] give NaN. Raises ValueError for shapes
    that do not fit or another reduction. Logits: `binary_cross_entropy_with_logits`, which is exact.
    """
    target = same_shape("binary_cross_entropy", input, target, reduction)
    loss: Tensor = _binary_cross_entropy(input, target)
    if weight is not None:
        loss = loss * _fitting("binary_cross_entropy", "weight", weight, input)
    return reduced(loss, reduction)


@takes_tensor
@rounded_once
def binary_cross_entropy_with_logits(
    input: Tensor, target: Any, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """(1 - target) * input + (1 + (pos_weight - 1) * target) * log(1 + exp(-input)): without overflow, for logits.

    `weight` and `pos_weight` broadcast to the shape of `input`. Raises ValueError for shapes that do not fit or another
    reduction.
    """
    target = same_shape("binary_cross_entropy_with_logits", input, target, reduction)
    log_part = ops.softplus(-input)
    if pos_weight is not None:
        positive = _fitting("binary_cross_entropy_with_logits", "pos_weight", pos_weight, input)
        log_part = log_part * (1 + (positive - 1) * target)
    loss = (1 - target) * input + log_part
    if weight is not None:
        loss = loss * _fitting("binary_cross_entropy_with_logits", "weight", weight, input)
    return reduced(loss, reduction)


@takes_tensor
@rounded_once
def kl_div(input: Tensor, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target * (log(target) - input) for log-probabilities `input`; 0 where the target is 0.

    With `log_target` the target holds log-probabilities: exp(target) * (target - input). "batchmean" divides the sum by
    the first axis, which is the divergence's mean over a batch. Raises ValueError for shapes that differ or another
    reduction.
    """
    one_of("reduction", reduction, (*REDUCTIONS, "batchmean"))
    target = same_shape("kl_div", input, target, "sum" if reduction == "batchmean" else reduction)
    if log_target:
        loss = ops.exp(target) * (target - input)
    else:
        zero = ops.equal(target, 0)
        loss = target * ops.log(ops.where(zero, 1.0, target)) - target * input
    if reduction == "batchmean":
        return ops.sum(loss) / max(input.shape[0] if input.ndim else 1, 1)
    return reduced(loss, reduction)


@takes_tensor
@rounded_once
def multilabel_soft_margin_loss(input: Tensor, target: Any, weight: Any = None, *, reduction: str = "mean") -> Tensor:
    """The mean over the classes, the last axis, of the binary cross-entropies of logits with targets 0 or 1.

    `weight` has a factor for each class. Raises ValueError for shapes that do not fit or another reduction.
    """
    target = same_shape("multilabel_soft_margin_loss", input, target, reduction)
    losses = binary_cross_entropy_with_logits(input, target, weight, reduction="none")
    return reduced(ops.mean(losses, -1), reduction)


def _fitting(what: str, name: str, value: Any, input: Tensor) -> Tensor:
    """`value` as a tensor that broadcasts to the shape of `input`. Raises ValueError where it does not."""
    found = as_operand(what, name, value, input)
    try:
        ops.broadcast_to(found, input.shape)
    except ValueError:
        raise ValueError(f"{what}: {name} of shape {found.shape} does not fit input of shape {input.shape}") from None
    return found
