"""x less its mean, divided by its standard deviation: the common core of the normalisations."""

from __future__ import annotations

from math import prod
from typing import Any

from needle import ops
from needle.autograd import Op, Value
from needle.tensor import Tensor


def statistics(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """The mean and the biased variance of x over `axes`, kept with size 1, and 1 / sqrt(var + eps), the scale."""
    mean = ops.mean(x, axes, keepdims=True)
    deviation = x - mean
    var = ops.mean(deviation * deviation, axes, keepdims=True)
    return mean, var, ops.rsqrt(var + eps)


def _by_statistics(grads: tuple[Any, ...], mean: Any, scale: Any, x: Any, axes: tuple[int, ...]) -> list[Any]:
    """The gradient of x from those of the mean, the variance and the scale, as summands, where they are not None."""
    by_mean, by_var, by_scale = grads
    count = prod(x.shape[a] for a in axes) or 1
    parts = []
    if by_mean is not None:  # the mean moves by 1 / count with each element
        parts.append(ops.broadcast_to(by_mean * (1 / count), x.shape))
    if by_var is not None:  # the variance by 2 (x - mean) / count
        parts.append((x - mean) * (by_var * (2 / count)))
    if by_scale is not None:  # the scale, var ** -0.5, by -0.5 scale ** 3 times that
        parts.append((x - mean) * (by_scale * scale * scale * scale * (-1 / count)))
    return parts


def _total(parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class Standardize(Op):
    """(x - mean) / sqrt(var + eps), and the mean and the biased variance of x over `axes`, kept with size 1.

    The gradient is in closed form: two reductions and one elementwise launch, where the chain rule, step by step,
    would need more than twice that. 1 / sqrt(var + eps), the scale, is saved for it. Each reader of the result computes
    it anew from x, which is in memory, so that it is not stored beside it.
    """

    name = "standardize"
    saved = 1

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes = axes
        self.eps = eps

    def compute(self, x: Any) -> tuple[Any, Any, Any, Any]:
        mean, var, scale = statistics(x, self.axes, self.eps)
        return (x - mean) * scale, mean, var, scale

    def vjp(self, index: int, grad: tuple[Any, ...], output: tuple[Any, ...], x: Any) -> Any:
        by_result, *others = grad
        _, mean, _, scale = output
        parts = []
        if by_result is not None:
            mean_grad = ops.mean(by_result, self.axes, keepdims=True)
            mean_product = ops.mean(by_result * ((x - mean) * scale), self.axes, keepdims=True)
            parts.append((by_result - mean_grad - ((x - mean) * scale) * mean_product) * scale)
        return _total(parts + _by_statistics(tuple(others), mean, scale, x, self.axes))

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axes})"


class Normalize(Op):
    """(x - mean) / sqrt(var + eps) * weight + bias, and the mean and the biased variance of x over `axes`.

    `weight` and `bias` have one shape, which broadcasts to that of x. The sums for their gradients over those of `axes`
    along which they have size 1 serve the gradient of x as well. So the result's gradient is read three times in all,
    and x twice.
    """

    name = "normalize"
    saved = 1

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes = axes
        self.eps = eps

    def compute(self, x: Any, weight: Any, bias: Any) -> tuple[Any, Any, Any, Any]:
        mean, var, scale = statistics(x, self.axes, self.eps)
        return ((x - mean) * scale) * weight + bias, mean, var, scale

    def gradient(self, out_grad: tuple[Any, ...], node: Any) -> Any:
        x, weight, _ = node.args
        _, mean, _, scale = node.outputs
        grad, *others = out_grad
        parts: list[Any] = []
        by_weight = by_bias = None
        if grad is not None:
            shape = (*(1,) * (len(x.shape) - len(weight.shape)), *weight.shape)
            inner = tuple(a for a in self.axes if shape[a] == 1)
            by_bias = ops.sum(grad, inner, keepdims=True)
            by_weight = ops.sum(grad * ((x - mean) * scale), inner, keepdims=True)
            share = 1 / (prod(x.shape[a] for a in self.axes) or 1)
            mean_grad = ops.sum(by_bias * weight, self.axes, keepdims=True) * share
            mean_product = ops.sum(by_weight * weight, self.axes, keepdims=True) * share
            parts.append(grad * (weight * scale) - (x - mean) * (scale * scale * mean_product) - mean_grad * scale)
        parts += _by_statistics(tuple(others), mean, scale, x, self.axes)
        found = (_total(parts), by_weight, by_bias)
        return tuple(g for g, arg in zip(found, node.args, strict=True) if isinstance(arg, Value))

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axes})"


def standardize(
    x: Tensor, axes: tuple[int, ...], eps: float, weight: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """x standardized over `axes`, times `weight` plus `bias`, if there are any; and the mean and the biased variance.

    Those have size 1 along `axes`. `weight` and `bias` broadcast to x.
    """
    result: tuple[Tensor, Tensor, Tensor]
    if weight is not None and bias is not None:
        result = Normalize(axes, eps)(x, weight, bias)
        return result
    normal, mean, var = Standardize(axes, eps)(x)
    return affine(normal, weight, bias), mean, var


def affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """x * weight + bias, as far as they are there."""
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias
