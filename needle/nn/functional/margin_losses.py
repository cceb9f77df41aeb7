"""Losses that ask for a margin: between scores, between distances, and around labels of 1 and -1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from needle import ops
from needle.nn.functional.loss_reduction import as_operand, reduced, same_shape
from needle.ops.base import takes_tensor
from needle.ops.precision import rounded_once
from needle.tensor import Tensor

__all__ = [
    "cosine_embedding_loss",
    "cosine_similarity",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "pairwise_distance",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


@takes_tensor
@rounded_once
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 * x2) / (max(|x1|, eps) * max(|x2|, eps)) along `dim`, |x| being the length. The shapes broadcast."""
    lengths = [ops.maximum(_length(x, dim), eps) for x in (x1, x2)]
    return ops.sum((x1 / lengths[0]) * (x2 / lengths[1]), dim)


def _length(x: Tensor, dim: int) -> Tensor:
    """The length along `dim`, which stays with size 1; its gradient at 0 is 0."""
    squares = ops.sum(x * x, dim, keepdims=True)
    zero = ops.equal(squares, 0)
    return ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, squares)))


@takes_tensor
@rounded_once
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis. Raises ValueError unless p > 0."""
    if not p > 0:
        raise ValueError(f"p={p!r} must be positive")
    difference = ops.abs(x1 - x2 + eps)
    if p == float("inf"):
        return ops.max(difference, -1, keepdim)
    if p == 2:
        return ops.sqrt(ops.sum(difference * difference, -1, keepdim))
    return ops.sum(difference**p, -1, keepdim) ** (1 / p)


@takes_tensor
@rounded_once
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Any, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - target * (input1 - input2)), target 1 where input1 should be larger, -1 where input2."""
    input2 = same_shape("margin_ranking_loss", input1, input2, reduction)
    target = as_operand("margin_ranking_loss", "target", target, input1)
    return reduced(ops.maximum(margin - target * (input1 - input2), 0.0), reduction)


@takes_tensor
@rounded_once
def hinge_embedding_loss(input: Tensor, target: Any, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """The distance `input` where target is 1, max(0, margin - input) where it is -1."""
    target = same_shape("hinge_embedding_loss", input, target, reduction)
    apart = ops.where(ops.equal(target, 1), 0.0, ops.maximum(margin - input, 0.0))
    return reduced(apart + ops.where(ops.equal(target, -1), 0.0, input), reduction)


@takes_tensor
@rounded_once
def soft_margin_loss(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target * input)), target 1 or -1, without overflow."""
    target = same_shape("soft_margin_loss", input, target, reduction)
    return reduced(ops.softplus(-target * input), reduction)


@takes_tensor
@rounded_once
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Any, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1, cos being the cosine of the last axes.

    The inputs are (N, D), the target (N,); or (D,) and a number. Raises ValueError for other shapes.
    """
    input2 = same_shape("cosine_embedding_loss", input1, input2, reduction)
    target = as_operand("cosine_embedding_loss", "target", target, input1)
    if input1.ndim not in (1, 2) or target.shape != input1.shape[:-1]:
        raise ValueError(
            f"cosine_embedding_loss: inputs of shape {input1.shape} and target of shape {target.shape}; expected "
            "(N, D) and (N,), or (D,) and ()"
        )
    # PyTorch's formula, which has its eps under the root.
    product, first, second = (ops.sum(a * b, -1) for a, b in ((input1, input2), (input1, input1), (input2, input2)))
    eps = 1e-12
    cosine = product / ops.sqrt((first + eps) * (second + eps))
    alike = ops.where(ops.equal(target, 1), 1 - cosine, 0.0)
    return reduced(alike + ops.where(ops.equal(target, -1), ops.maximum(cosine - margin, 0.0), 0.0), reduction)


@takes_tensor
@rounded_once
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being `pairwise_distance` (Balntas et al. 2016).

    With `swap`, the distance of positive and negative takes the place of d(anchor, negative) where it is smaller.
    """
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda a, b: pairwise_distance(a, b, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


@takes_tensor
@rounded_once
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of the caller's, by default `pairwise_distance`."""
    positive = same_shape("triplet_margin_loss", anchor, positive, reduction)
    negative = same_shape("triplet_margin_loss", anchor, negative, reduction)
    distance = pairwise_distance if distance_function is None else distance_function
    apart = distance(anchor, negative)
    if swap:
        apart = ops.minimum(apart, distance(positive, negative))
    return reduced(ops.maximum(distance(anchor, positive) - apart + margin, 0.0), reduction)
