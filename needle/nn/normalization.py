"""Batch and layer normalisation."""

from __future__ import annotations

from needle import init
from needle.checks import integer
from needle.dtypes import DTypeLike
from needle.nn import functional as F
from needle.nn.module import Module
from needle.nn.parameter import Parameter, Statistic
from needle.ops.creation import DeviceLike
from needle.tensor import Tensor

__all__ = ["BatchNorm1d", "LayerNorm1d"]


class BatchNorm1d(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel, over the batch (Ioffe and Szegedy 2015).

    While training, mean and variance (biased) are those of the batch, and the running ones move towards them
    by `momentum`, the running variance towards the unbiased one, as in PyTorch. In evaluation the running
    ones are used.

    Args:
        dim: the number of channels C; inputs are (N, C) or (N, C, L).
        eps: added to the variance.
        momentum: the share of the new statistics in the running ones.
        device: where parameters and buffers live.
        dtype: their floating dtype.

    Attributes:
        weight, bias: parameters of shape (C,), ones and zeros at first.
        running_mean, running_var: buffers of shape (C,), zeros and ones at first; float32 where `dtype` is float16.

    Raises ValueError for an input of another form, and while training for a single value per channel.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        dim: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.dim = integer("dim", dim)
        self.eps = eps
        self.momentum = momentum
        self.weight = Parameter(init.ones(self.dim, device=device, dtype=dtype))
        self.bias = Parameter(init.zeros(self.dim, device=device, dtype=dtype))
        self.register_buffer("running_mean", Statistic(init.zeros(self.dim, device=device), dtype=dtype))
        self.register_buffer("running_var", Statistic(init.ones(self.dim, device=device), dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (2, 3) or x.shape[1] != self.dim:
            raise ValueError(
                f"BatchNorm1d expects inputs of shape (N, {self.dim}) or (N, {self.dim}, L); got {x.shape}"
            )
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def extra_repr(self) -> str:
        return f"{self.dim}, eps={self.eps}, momentum={self.momentum}"


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
