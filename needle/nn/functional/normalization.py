"""Batch and layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from needle import ops
from needle.array import evaluation
from needle.dtypes import promote
from needle.nn.functional.standardize import affine, standardize
from needle.ops.base import takes_tensor
from needle.ops.precision import rounded_once, widened
from needle.tensor import Tensor

__all__ = ["batch_norm", "layer_norm"]


@takes_tensor
@rounded_once
def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias over the last axes (Ba et al. 2016).

    `normalized_shape` gives the sizes of these axes; `weight` and `bias` have that shape. The variance is
    biased. Raises ValueError where the shapes do not fit.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"layer_norm over shape {shape}: the last axes of input of shape {input.shape} differ")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"layer_norm over shape {shape}: {name} has shape {tensor.shape}")
    axes = tuple(range(input.ndim - len(shape), input.ndim))
    return affine(standardize(input, axes, eps)[0], weight, bias)


@takes_tensor
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias for each channel, axis 1 (Ioffe and Szegedy 2015).

    `input` is (N, C) or (N, C, d1, ...); the others have shape (C,). While `training`, mean and biased
    variance are those of the batch, and the running ones, if there are any, get new values: (1 - momentum)
    of the old and `momentum` (a number, or an array of shape ()) of the batch's, the variance unbiased. Otherwise the
    running ones are used. The result's dtype is that in which `input`, `weight` and `bias` meet; halves are computed in
    float32 and rounded once.
    Raises ValueError where shapes do not fit, for missing running statistics, and while training for a
    single value per channel, which has no variance.
    """
    channels = _check_channels(input, running_mean, running_var, weight, bias)
    axes = tuple(a for a in range(input.ndim) if a != 1)
    per_channel = (channels, *(1,) * (input.ndim - 2))
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm needs both running_mean and running_var, or neither")
    dtype = input.dtype
    for parameter in (weight, bias):
        dtype = dtype if parameter is None else promote(dtype, parameter.dtype)
    weight, bias = (None if t is None else ops.reshape(t, per_channel) for t in (weight, bias))
    if training:
        count = input.size // max(channels, 1)
        if count == 1:
            raise ValueError(f"batch_norm needs more than one value per channel to train; input is {input.shape}")
        result, mean, var = standardize(widened(input), axes, eps, weight, bias)
        if running_mean is not None and running_var is not None and count:  # an empty batch says nothing
            _move_towards(running_mean, mean.cached_data, momentum, 1)
            _move_towards(running_var, var.cached_data, momentum, count / (count - 1))  # unbiased
            # Now: pending, they would hold on to the statistics of many batches. Both in one launch.
            evaluation.realize([running_mean.cached_data, running_var.cached_data])
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm needs running_mean and running_var unless it is training")
    else:
        scale = ops.rsqrt(widened(running_var.detach()) + eps).realize()
        center = ops.reshape(widened(running_mean.detach()), per_channel)
        result = affine((widened(input) - center) * ops.reshape(scale, per_channel), weight, bias)
    return ops.astype(result, dtype)


def _check_channels(input: Tensor, *per_channel: Tensor | None) -> int:
    """The number of channels. Raises ValueError unless all tensors have one value for each."""
    if input.ndim < 2:
        raise ValueError(f"batch_norm expects input of shape (N, C) or (N, C, d1, ...); got {input.shape}")
    channels = input.shape[1]
    for name, tensor in zip(("running_mean", "running_var", "weight", "bias"), per_channel, strict=True):
        if tensor is not None and tensor.shape != (channels,):
            raise ValueError(f"batch_norm: {name} has shape {tensor.shape}; {channels} channels need ({channels},)")
    return channels


def _move_towards(running: Tensor, batch: Any, momentum: Any, factor: float) -> None:
    """Give `running` the part `momentum` of the array `batch * factor`, outside the graph."""
    moved = widened(running.cached_data) * (1 - momentum) + batch.reshape(running.shape) * (momentum * factor)
    running.cached_data = moved.astype(running.dtype)
