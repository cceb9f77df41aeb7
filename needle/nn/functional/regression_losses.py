"""Losses of predicted numbers: differences of input and target, and likelihoods of counts and of normal variables."""

from __future__ import annotations

import math
from typing import Any

from needle import ops
from needle.nn.functional.loss_reduction import as_operand, reduced, same_shape
from needle.ops.base import takes_tensor
from needle.ops.precision import rounded_once
from needle.tensor import Tensor

__all__ = ["gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


@takes_tensor
@rounded_once
def mse_loss(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """(input - target)^2: its mean, its sum, or ("none") each element.

    Raises ValueError for shapes that differ (nothing is broadcast) and for another reduction.
    """
    target = same_shape("mse_loss", input, target, reduction)
    difference = input - target
    return reduced(difference * difference, reduction)


@takes_tensor
@rounded_once
def l1_loss(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """|input - target|: its mean, its sum, or ("none") each element. Errors are those of `mse_loss`."""
    target = same_shape("l1_loss", input, target, reduction)
    return reduced(abs(input - target), reduction)


@takes_tensor
@rounded_once
def smooth_l1_loss(input: Tensor, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d ** 2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = input - target (Girshick 2015).

    `beta` 0 gives |d|. Raises ValueError for shapes that differ, another reduction, or a negative `beta`.
    """
    target = same_shape("smooth_l1_loss", input, target, reduction)
    if not beta >= 0:
        raise ValueError(f"beta={beta!r} must be at least 0")
    size = ops.abs(input - target)
    if beta == 0:
        return reduced(size, reduction)
    return reduced(ops.where(size < beta, size * size * (0.5 / beta), size - 0.5 * beta), reduction)


@takes_tensor
@rounded_once
def huber_loss(input: Tensor, target: Any, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d ** 2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), with d = input - target (Huber 1964).

    Raises ValueError for shapes that differ, another reduction, or a `delta` that is not positive.
    """
    target = same_shape("huber_loss", input, target, reduction)
    if not delta > 0:
        raise ValueError(f"delta={delta!r} must be positive")
    size = ops.abs(input - target)
    return reduced(ops.where(size <= delta, size * size * 0.5, (size - 0.5 * delta) * delta), reduction)


@takes_tensor
@rounded_once
def poisson_nll_loss(
    input: Tensor,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    *,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of counts under Poisson's distribution, without log(target!).

    With `log_input` the input is the logarithm of the rate: exp(input) - target * input; else the rate itself:
    input - target * log(input + eps). With `full`, Stirling's approximation of log(target!) is added where target > 1.
    Raises ValueError for shapes that differ or another reduction.
    """
    target = same_shape("poisson_nll_loss", input, target, reduction)
    loss = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        safe = ops.where(target > 1, target, 1.0)
        stirling = safe * ops.log(safe) - safe + 0.5 * ops.log(safe * (2 * math.pi))
        loss = loss + ops.where(target > 1, stirling, 0.0)
    return reduced(loss, reduction)


@takes_tensor
@rounded_once
def gaussian_nll_loss(
    input: Tensor, target: Any, var: Any, full: bool = False, eps: float = 1e-6, *, reduction: str = "mean"
) -> Tensor:
    """(log(v) + (input - target) ** 2 / v) / 2 with v = max(var, eps), the gradient passing as if v were var.

    `var` has the shape of `input`, that shape with the last axis 1 or left out, or is a number. With `full`,
    log(2 pi) / 2 is added. Raises ValueError for shapes that do not fit, another reduction, or an `eps` that is not
    positive.
    """
    target = same_shape("gaussian_nll_loss", input, target, reduction)
    if not eps > 0:
        raise ValueError(f"eps={eps!r} must be positive")
    var = as_operand("gaussian_nll_loss", "var", var, input)
    if var.shape == input.shape[:-1] and var.ndim == input.ndim - 1 and input.ndim > 1:
        var = ops.expand_dims(var, -1)
    if var.shape not in ((), input.shape, (*input.shape[:-1], 1)):
        raise ValueError(f"gaussian_nll_loss: var of shape {var.shape} does not fit input of shape {input.shape}")
    clamped = var + ops.maximum(eps - var.detach(), 0.0)
    difference = input - target
    loss = 0.5 * (ops.log(clamped) + difference * difference / clamped)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
