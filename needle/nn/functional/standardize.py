"""x less its mean, divided by its standard deviation: the common core of batch and layer normalisation."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.autograd import Op, Value
from needle.tensor import Tensor


def statistics(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """Mean, biased variance and 1 / sqrt(variance + eps) over `axes`, which are kept with size 1."""
    mean = ops.mean(x, axes, keepdims=True)
    deviation = x - mean
    var = ops.mean(deviation * deviation, axes, keepdims=True)
    return mean, var, ops.rsqrt(var + eps)


class Standardize(Op):
    """(x - mean) * scale, where mean and scale are the `statistics` of x itself, handed over as arrays.

    The gradient takes into account that they depend on x. In closed form it needs two reductions and one
    elementwise launch; the chain rule, step by step, would need more than twice that.
    """

    name = "standardize"

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes = axes
        self.eps = eps

    def compute(self, x: Any, mean: Any, scale: Any) -> Any:
        return (x - mean) * scale

    def vjp(self, index: int, grad: Any, output: Any, x: Any, mean: Any, scale: Any) -> Any:
        if isinstance(grad, Value):  # under create_graph: the scale has to be part of the graph
            scale = statistics(x, self.axes, self.eps)[2]
        mean_grad = ops.mean(grad, self.axes, keepdims=True)
        mean_product = ops.mean(grad * output, self.axes, keepdims=True)
        return (grad - mean_grad - output * mean_product) * scale

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axes})"


def standardize(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Any, Any]:
    """x standardized over `axes`, and the mean and biased variance, as arrays, that were used."""
    mean, var, scale = statistics(x.cached_data, axes, eps)
    return Standardize(axes, eps)(x, mean, scale), mean, var
