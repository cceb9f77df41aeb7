"""Group, instance, root-mean-square and local response normalisation, and vectors of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from needle import ops
from needle.autograd import Op
from needle.checks import integer
from needle.nn.functional.normalization import batch_norm
from needle.nn.functional.standardize import standardize
from needle.ops.base import takes_tensor
from needle.ops.pooling import Windows, pool_sum
from needle.tensor import Tensor

__all__ = ["group_norm", "instance_norm", "local_response_norm", "normalize", "rms_norm"]


def _by_channel(name: str, parameter: Tensor | None, argument: str, x: Tensor, channels: tuple[int, ...]) -> Any:
    """A number for each channel, which axes 1 to len(channels) of `x` count, in a shape that broadcasts to `x`.

    Raises ValueError for a parameter of another size.
    """
    count = prod(channels)
    if parameter is None:
        return None
    if parameter.shape != (count,):
        raise ValueError(f"{name}: {argument} of shape {parameter.shape} must be ({count},), one for each channel")
    return ops.reshape(parameter, (*channels, *(1,) * (x.ndim - 1 - len(channels))))


@takes_tensor
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias, over groups of channels of each sample (Wu and He 2018).

    `input` is (N, C, ...), `weight` and `bias` are (C,). Raises ValueError unless `num_groups` divides the channels.
    """
    groups = integer("num_groups", num_groups)
    if input.ndim < 2 or input.shape[1] % groups:
        raise ValueError(f"group_norm: num_groups={groups} must divide the channels, axis 1, of input {input.shape}")
    # The parameters in the shape of the groups: a change of shape before them would make a launch of its own.
    channels = (groups, input.shape[1] // groups)
    grouped = ops.reshape(input, (input.shape[0], *channels, prod(input.shape[2:])))
    weight = _by_channel("group_norm", weight, "weight", grouped, channels)
    bias = _by_channel("group_norm", bias, "bias", grouped, channels)
    return ops.reshape(standardize(grouped, (2, 3), eps, weight, bias)[0], input.shape)


@takes_tensor
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias for each channel of each sample (Ulyanov et al. 2016).

    `input` is (N, C, d1, ...), the others are (C,). With `use_input_stats` the running statistics, if there are any,
    move by `momentum` towards the mean over the batch; otherwise they are used. Raises ValueError where shapes do not
    fit, and for a single place, which has no variance.
    """
    if input.ndim < 3:
        raise ValueError(f"instance_norm expects input of shape (N, C, d1, ...); got {input.shape}")
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    places = prod(input.shape[2:])
    if places == 1:
        raise ValueError(f"instance_norm needs more than one place per channel; input is {input.shape}")
    weight = _by_channel("instance_norm", weight, "weight", input, input.shape[1:2])
    bias = _by_channel("instance_norm", bias, "bias", input, input.shape[1:2])
    result, mean, var = standardize(input, tuple(range(2, input.ndim)), eps, weight, bias)
    for running, found, factor in ((running_mean, mean, 1.0), (running_var, var, places / max(places - 1, 1))):
        if running is not None and input.shape[0]:
            batch: Any = ops.mean(found.detach(), 0)
            moved = running.cached_data * (1 - momentum) + batch.cached_data.reshape(running.shape) * (
                momentum * factor
            )
            running.cached_data = moved.astype(running.dtype).realize()
    return result


class RootMeanSquare(Op):
    """x / sqrt(mean(x * x) + eps) over the last axes. The scale is saved for the gradient, which is in closed form."""

    name = "rms_norm"
    saved = 1

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes = axes
        self.eps = eps

    def compute(self, x: Any) -> tuple[Any, Any]:
        scale = ops.rsqrt(ops.mean(x * x, self.axes, keepdims=True) + self.eps)
        return x * scale, scale

    def vjp(self, index: int, grad: tuple[Any, ...], output: tuple[Any, ...], x: Any) -> Any:
        by_result, by_scale = grad
        result, scale = output
        total = None
        if by_result is not None:
            total = (by_result - result * ops.mean(by_result * result, self.axes, keepdims=True)) * scale
        if by_scale is not None:  # the scale, mean ** -0.5, moves by -scale ** 3 x / count
            count = prod(x.shape[a] for a in self.axes) or 1
            part = result * (by_scale * scale * scale * (-1 / count))
            total = part if total is None else total + part
        return total


@takes_tensor
def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input ** 2) + eps) * weight over the last axes (Zhang and Sennrich 2019).

    `normalized_shape` gives the sizes of these axes, which `weight` has as well; `eps` is by default the dtype's
    smallest difference from 1. Raises ValueError where the shapes do not fit.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"rms_norm over shape {shape}: the last axes of input of shape {input.shape} differ")
    if weight is not None and weight.shape != shape:
        raise ValueError(f"rms_norm over shape {shape}: weight has shape {weight.shape}")
    least = float(np.finfo(input.dtype).eps) if eps is None else eps
    normal: Tensor = RootMeanSquare(tuple(range(input.ndim - len(shape), input.ndim)), least)(input)
    return normal if weight is None else normal * weight


@takes_tensor
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input / (k + alpha * mean of the squares of `size` neighbouring channels) ** beta (Krizhevsky et al. 2012).

    `input` is (N, C, ...); channels that are missing at the ends count as zeros. Raises ValueError for other inputs.
    """
    size = integer("size", size)
    if input.ndim < 3:
        raise ValueError(f"local_response_norm expects input of shape (N, C, d1, ...); got {input.shape}")
    channels, places = input.shape[1], prod(input.shape[2:])
    if input.size == 0:
        return input * 1
    starts = tuple(max(0, c - size // 2) for c in range(channels))
    ends = tuple(min(channels, c + (size - 1) // 2 + 1) for c in range(channels))
    one = tuple(range(places))
    windows = (Windows(channels, starts, ends), Windows(places, one, tuple(p + 1 for p in one)))
    flat = ops.reshape(input, (input.shape[0], 1, channels, places))
    sums = ops.reshape(pool_sum(flat * flat, windows), input.shape)
    return input * (sums * (alpha / size) + k) ** -beta


@takes_tensor
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input divided by its `p`-norm along `dim`, or by `eps` if that is larger."""
    if p == 2:
        norm = ops.sqrt(ops.sum(input * input, dim, keepdims=True))
    elif p == float("inf"):
        norm = ops.max(abs(input), dim, keepdims=True)
    else:
        norm = ops.sum(abs(input) ** p, dim, keepdims=True) ** (1 / p)
    return input / ops.clip(norm, eps)
