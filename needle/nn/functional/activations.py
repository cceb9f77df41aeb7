"""Activation functions, and the softmax and its kin."""

from __future__ import annotations

from collections.abc import Sequence

from needle import ops
from needle.checks import one_of
from needle.ops.activation import relu, sigmoid, silu
from needle.ops.base import takes_tensor
from needle.ops.trigonometric import tanh
from needle.tensor import Tensor

__all__ = ["gelu", "log_softmax", "logsumexp", "relu", "sigmoid", "silu", "softmax", "softplus", "tanh"]


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input * Phi(input), Phi the normal distribution function (Hendrycks and Gimpel 2016).

    approximate="tanh" takes 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Raises ValueError for another.
    """
    one_of("approximate", approximate, ("none", "tanh"))
    return ops.gelu(input) if approximate == "none" else ops.gelu_tanh(input)


@takes_tensor
def softplus(input: Tensor, beta: float = 1.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta, without overflow; needs no threshold as PyTorch's does."""
    return ops.softplus(input) if beta == 1 else ops.softplus(input * beta) * (1 / beta)


def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """exp(input), scaled to sum 1 along `dim`; see `needle.softmax`."""
    return ops.softmax(input, dim)


def log_softmax(input: Tensor, dim: int = -1) -> Tensor:
    """The logarithm of `softmax`; see `needle.log_softmax`."""
    return ops.log_softmax(input, dim)


def logsumexp(input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim`, by default over all axes; see `needle.logsumexp`."""
    return ops.logsumexp(input, dim, keepdim)
