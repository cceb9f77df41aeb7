"""Random zeros."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.checks import probability
from needle.ops import random
from needle.ops.base import takes_tensor
from needle.tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

#: What a self-normalising unit gives for an infinitely negative input: minus alpha times scale of `selu`.
_LOWEST = -1.7580993408473766


@takes_tensor
def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """While `training`, zero with probability `p`, else input / (1 - p); otherwise `input` itself.

    Srivastava et al. 2014, inverted. The mask comes from the default generator. Raises ValueError unless
    0 <= p < 1.
    """
    p = probability("p", p)
    if not training or p == 0:
        return input
    keep: Any = random.bernoulli(input.shape, 1 - p, device=input.device)
    return input * (ops.astype(keep, input.dtype) * (1 / (1 - p)))


def _dropped_channels(axes: int, input: Tensor, p: float, training: bool) -> Tensor:
    """Whole channels of (N, C, ...), or of (C, ...) without the batch, set to zero."""
    p = probability("p", p)
    if input.ndim not in (axes + 1, axes + 2):
        raise ValueError(f"dropout{axes}d: input must have {axes + 1} or {axes + 2} axes; its shape is {input.shape}")
    if not training or p == 0:
        return input
    lead = input.shape[:-axes]
    keep: Any = random.bernoulli((*lead, *(1,) * axes), 1 - p, device=input.device)
    return input * (ops.astype(keep, input.dtype) * (1 / (1 - p)))


@takes_tensor
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L). Raises ValueError for another rank."""
    return _dropped_channels(1, input, p, training)


@takes_tensor
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W). Raises ValueError for another rank."""
    return _dropped_channels(2, input, p, training)


@takes_tensor
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W). Raises ValueError for another rank."""
    return _dropped_channels(3, input, p, training)


def _alpha_dropped(input: Tensor, shape: tuple[int, ...], p: float, training: bool) -> Tensor:
    p = probability("p", p)
    if not training or p == 0:
        return input
    scale = ((1 - p) * (1 + p * _LOWEST**2)) ** -0.5
    drawn: Any = random.bernoulli(shape, 1 - p, device=input.device)
    keep = ops.astype(drawn, input.dtype)
    return (input * keep + (1 - keep) * _LOWEST) * scale - scale * p * _LOWEST


@takes_tensor
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False) -> Tensor:
    """Dropout that keeps mean 0 and variance 1, for networks of `selu` (Klambauer et al. 2017).

    Raises ValueError unless 0 <= p < 1.
    """
    return _alpha_dropped(input, input.shape, p, training)


@takes_tensor
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    return _alpha_dropped(input, (*input.shape[:2], *(1,) * (input.ndim - 2)), p, training)
