"""Losses as modules. Called with predictions and targets, they return what is to be made small."""

from __future__ import annotations

from typing import Any

from needle.checks import one_of
from needle.nn import functional as F
from needle.nn.loss_functions import REDUCTIONS
from needle.nn.module import Module
from needle.ops.creation import asarray
from needle.tensor import Tensor

__all__ = ["CrossEntropyLoss", "MSELoss", "SoftmaxLoss"]


class SoftmaxLoss(Module):
    """The course's loss: the mean over the batch of log(sum(exp(z))) - z[y].

    `logits` z is (N, C), `y` holds N integers from 0 to C - 1. Errors are those of
    `functional.cross_entropy`, which it equals.
    """

    def forward(self, logits: Tensor, y: Any) -> Tensor:
        return F.cross_entropy(logits, y)


class CrossEntropyLoss(Module):
    """The cross-entropy between the softmax of logits and targets; see `functional.cross_entropy`.

    Args:
        weight: a factor for each class, of shape (C,), a tensor, an array or a list, kept as a buffer; None for none.
        ignore_index: a label that contributes nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: the share, from 0 to 1, of the target that is spread evenly over the classes.

    Raises ValueError for another reduction or label_smoothing.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        one_of("reduction", reduction, REDUCTIONS)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing} must be from 0 to 1")
        self.register_buffer("weight", None if weight is None else asarray(weight).detach(), persistent=False)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        smoothing = f", label_smoothing={self.label_smoothing}" if self.label_smoothing else ""
        return f"reduction={self.reduction!r}{smoothing}"


class MSELoss(Module):
    """The mean (or sum, or each) of (input - target)^2; see `functional.mse_loss`.

    Args:
        reduction: "mean", "sum" or "none". Raises ValueError for another.
    """

    def __init__(self, reduction: str = "mean") -> None:
        one_of("reduction", reduction, REDUCTIONS)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"
