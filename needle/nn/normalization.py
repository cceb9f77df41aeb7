"""Normalisation over the batch, and over what belongs to one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from needle import init
from needle.checks import integer
from needle.dtypes import DTypeLike, Shape
from needle.nn import functional as F
from needle.nn.module import Module
from needle.nn.parameter import Parameter, Statistic
from needle.ops.creation import DeviceLike, asarray
from needle.tensor import Tensor

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "LayerNorm1d", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _ByChannel(Module):
    """Parameters and running statistics for each channel."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    #: The ranks of inputs, and the axes after the channels as messages name them.
    ranks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        dim: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.dim = self.num_features = integer("dim", dim)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = Parameter(init.ones(self.dim, device=device, dtype=dtype)) if affine else None
        self.bias = Parameter(init.zeros(self.dim, device=device, dtype=dtype)) if affine else None
        for name, start in (("running_mean", init.zeros), ("running_var", init.ones)):
            statistic = Statistic(start(self.dim, device=device), dtype=dtype) if track_running_stats else None
            self.register_buffer(name, statistic)
        counter = asarray(0, dtype="int64", device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", counter)

    def _check(self, x: Tensor, channel: int) -> None:
        if x.ndim not in self.ranks or x.shape[channel] != self.dim:
            forms = " or ".join(self._form(rank) for rank in self.ranks)
            raise ValueError(f"{type(self).__name__} expects inputs of shape {forms}; got {x.shape}")

    def _form(self, rank: int) -> str:
        places = {3: ", L", 4: ", H, W", 5: ", D, H, W"}.get(rank, "")
        return f"(N, {self.dim}{places})"

    def extra_repr(self) -> str:
        return f"{self.dim}, eps={self.eps}, momentum={self.momentum}"


class _BatchNorm(_ByChannel):
    def forward(self, x: Tensor) -> Tensor:
        self._check(x, 1)
        batch = self.training or not self.track_running_stats
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, batch, self._share(), self.eps
        )

    def _share(self) -> Any:
        """The share of this batch in the running statistics; while training it is counted."""
        counter = self.num_batches_tracked
        if not self.training or counter is None:
            return self.momentum or 0.0
        counter.cached_data = (counter.cached_data + 1).realize()
        if self.momentum is not None or self.running_mean is None:
            return self.momentum
        return 1 / counter.cached_data.astype(self.running_mean.dtype)


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel, over the batch (Ioffe and Szegedy 2015).

    While training, mean and variance (biased) are those of the batch, and the running ones move towards them
    by `momentum`, the running variance towards the unbiased one, as in PyTorch. In evaluation the running
    ones are used.

    Args:
        dim: the number of channels C; inputs are (N, C) or (N, C, L).
        eps: added to the variance.
        momentum: the share of the new statistics in the running ones; None for the average over all batches.
        affine: whether there are `weight` and `bias`.
        track_running_stats: whether there are running statistics; without, evaluation uses the batch's as well.
        device: where parameters and buffers live.
        dtype: their floating dtype.

    Attributes:
        weight, bias: parameters of shape (C,), ones and zeros at first.
        running_mean, running_var: buffers of shape (C,), zeros and ones at first; float32 where `dtype` is float16.
        num_batches_tracked: a buffer of shape (), an int64: how many batches the running statistics have seen.

    Raises ValueError for an input of another form, and while training for a single value per channel.
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images (N, C, H, W); `dim` is PyTorch's `num_features`."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes (N, C, D, H, W); `dim` is PyTorch's `num_features`."""

    ranks = (5,)


class _InstanceNorm(_ByChannel):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == self.ranks[0] - 1:
            return self.forward(x.reshape((1, *x.shape))).reshape(x.shape)
        self._check(x, 1)
        own = self.training or not self.track_running_stats
        return F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, own, self.momentum or 0.0, self.eps
        )


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each sample; see `functional.instance_norm`.

    Args:
        num_features: the number of channels C; inputs are (N, C, L) or (C, L).
        eps: added to the variance.
        momentum: the share of new statistics in the running ones.
        affine: whether there are `weight` and `bias`, of shape (C,).
        track_running_stats: whether there are running statistics, which evaluation uses.
        device: where parameters and buffers live.
        dtype: their floating dtype.

    Raises ValueError for an input of another form.
    """

    ranks = (3,)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images (N, C, H, W) or (C, H, W)."""

    ranks = (4,)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes (N, C, D, H, W) or (C, D, H, W)."""

    ranks = (5,)


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over groups of channels; see `functional.group_norm`.

    Args:
        num_groups: into how many groups the channels are divided.
        num_channels: the channels, axis 1 of the input.
        eps: added to the variance.
        affine: whether there are `weight` and `bias`, of shape (num_channels,).
        device: where the parameters live.
        dtype: their floating dtype.

    Raises ValueError unless the groups divide the channels, and for an input of other channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.num_groups = integer("num_groups", num_groups)
        self.num_channels = integer("num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ValueError(f"num_channels={num_channels} must be divisible by num_groups={num_groups}")
        self.eps = eps
        self.weight = Parameter(init.ones(self.num_channels, device=device, dtype=dtype)) if affine else None
        self.bias = Parameter(init.zeros(self.num_channels, device=device, dtype=dtype)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm expects inputs of shape (N, {self.num_channels}, ...); got {x.shape}")
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.weight is not None}"


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes; see `functional.layer_norm`.

    Args:
        normalized_shape: the sizes of these axes, one number for the last alone.
        eps: added to the variance.
        elementwise_affine: whether there are `weight` and `bias`, of shape `normalized_shape`.
        bias: whether there is a bias beside the weight.
        device: where the parameters live.
        dtype: their floating dtype.

    Raises ValueError for an input whose last axes have other sizes.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.normalized_shape = _shape_of(normalized_shape)
        self.eps = eps
        with_bias = elementwise_affine and bias
        ones = init.ones(*self.normalized_shape, device=device, dtype=dtype) if elementwise_affine else None
        zeros = init.zeros(*self.normalized_shape, device=device, dtype=dtype) if with_bias else None
        self.weight = None if ones is None else Parameter(ones)
        self.bias = None if zeros is None else Parameter(zeros)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"


class RMSNorm(Module):
    """x / sqrt(mean(x ** 2) + eps) * weight over the last axes; see `functional.rms_norm`.

    Args:
        normalized_shape: the sizes of these axes, one number for the last alone.
        eps: added to the mean square; by default the dtype's smallest difference from 1.
        elementwise_affine: whether there is a `weight`, of shape `normalized_shape`.
        device: where it lives.
        dtype: its floating dtype.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.normalized_shape = _shape_of(normalized_shape)
        self.eps = eps
        ones = init.ones(*self.normalized_shape, device=device, dtype=dtype) if elementwise_affine else None
        self.weight = None if ones is None else Parameter(ones)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"


class LocalResponseNorm(Module):
    """Each channel damped by its neighbours; see `functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = integer("size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _shape_of(normalized_shape: int | Sequence[int]) -> Shape:
    """The sizes as a tuple. Raises TypeError or ValueError, naming them, for others."""
    single = isinstance(normalized_shape, (int, np.integer))
    sizes = (normalized_shape,) if single else tuple(normalized_shape)  # type: ignore[arg-type]
    return tuple(integer("normalized_shape", n) for n in sizes)


class LayerNorm1d(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axis (Ba et al. 2016); the variance is biased.

    Args:
        dim: the size of the input's last axis; the axes before it are free.
        eps: added to the variance.
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        weight, bias: parameters of shape (dim,), ones and zeros at first.

    Raises ValueError for an input whose last axis has another size.
    """

    def __init__(self, dim: int, eps: float = 1e-5, device: DeviceLike = None, dtype: DTypeLike = "float32") -> None:
        self.dim = integer("dim", dim)
        self.eps = eps
        self.weight = Parameter(init.ones(self.dim, device=device, dtype=dtype))
        self.bias = Parameter(init.zeros(self.dim, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self.dim,), self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.dim}, eps={self.eps}"
