"""Activation functions as modules. Each keeps the shape and the floating dtype of its input."""

from __future__ import annotations

from needle.checks import one_of
from needle.nn import functional as F
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = ["GELU", "ReLU", "SiLU", "Sigmoid", "Softplus", "Tanh"]


class ReLU(Module):
    """max(x, 0); see `functional.relu`. `inplace` is taken as PyTorch takes it and changes nothing."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)); see `functional.sigmoid`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent; see `functional.tanh`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(x)


class SiLU(Module):
    """x * sigmoid(x), also called swish; see `functional.silu`. `inplace` changes nothing."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)


class GELU(Module):
    """x times the normal distribution function of x; see `functional.gelu`.

    Args:
        approximate: "none", or "tanh" for the approximation by tanh. Raises ValueError for another.
    """

    def __init__(self, approximate: str = "none") -> None:
        one_of("approximate", approximate, ("none", "tanh"))
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + exp(beta x)) / beta; see `functional.softplus`.

    Args:
        beta: how sharply it bends; positive, else ValueError.
    """

    def __init__(self, beta: float = 1.0) -> None:
        if not beta > 0:
            raise ValueError(f"beta={beta} must be positive")
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x, self.beta)

    def extra_repr(self) -> str:
        return f"beta={self.beta}"
