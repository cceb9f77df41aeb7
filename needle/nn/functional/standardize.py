"""x less its mean, divided by its standard deviation: the common core of batch and layer normalisation."""

from __future__ import annotations

from math import prod
from typing import Any

from needle import ops
from needle.autograd import Op
from needle.tensor import Tensor


class Standardize(Op):
    """(x - mean) / sqrt(var + eps), and the mean and the biased variance of x over `axes`, kept with size 1.

    The gradient is in closed form: two reductions and one elementwise launch, where the chain rule, step by step,
    would need more than twice that. 1 / sqrt(var + eps), the scale, is saved for it.
    """

    name = "standardize"
    saved = 1

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes = axes
        self.eps = eps

    def compute(self, x: Any) -> tuple[Any, Any, Any, Any]:
        mean = ops.mean(x, self.axes, keepdims=True)
        deviation = x - mean
        var = ops.mean(deviation * deviation, self.axes, keepdims=True)
        scale = ops.rsqrt(var + self.eps)
        return (x - mean) * scale, mean, var, scale

    def vjp(self, index: int, grad: tuple[Any, ...], output: tuple[Any, ...], x: Any) -> Any:
        by_result, by_mean, by_var, by_scale = grad
        result, _, _, scale = output
        parts = []
        if by_result is not None:
            mean_grad = ops.mean(by_result, self.axes, keepdims=True)
            mean_product = ops.mean(by_result * result, self.axes, keepdims=True)
            parts.append((by_result - mean_grad - result * mean_product) * scale)
        count = prod(x.shape[a] for a in self.axes) or 1
        if by_mean is not None:  # the mean moves by 1 / count with each element
            parts.append((by_mean * (1 / count)).broadcast_to(x.shape))
        if by_var is not None:  # the variance by 2 (x - mean) / count
            parts.append(result * (by_var / scale * (2 / count)))
        if by_scale is not None:  # the scale, var ** -0.5, by -0.5 scale ** 3 times that
            parts.append(result * (by_scale * scale * scale * (-1 / count)))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axes})"


def standardize(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """x standardized over `axes`, and the mean and the biased variance that were used, those axes with size 1."""
    result: tuple[Tensor, Tensor, Tensor] = Standardize(axes, eps)(x)
    return result
