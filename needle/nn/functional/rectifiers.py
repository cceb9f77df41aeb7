"""Activation functions put together of pieces and of others; each is fused into the kernel that uses it."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.array.views import normalize_axis
from needle.ops import random
from needle.ops.base import takes_tensor
from needle.ops.indexing.access import getitem
from needle.tensor import Tensor

__all__ = [
    "celu", "elu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "prelu", "relu6", "rrelu", "selu", "softmin", "softshrink", "softsign", "tanhshrink", "threshold",
]  # fmt: skip

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@takes_tensor
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """input where it is positive, else input * negative_slope (Maas et al. 2013)."""
    return ops.where(input > 0, input, input * negative_slope)


@takes_tensor
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else input * weight, a number or one for each channel, axis 1 (He et al. 2015).

    Raises ValueError for another number of weights.
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.size not in (1, channels):
        raise ValueError(
            f"prelu: weight of shape {weight.shape} must have 1 or {channels} elements for input {input.shape}"
        )
    shape: tuple[int, ...] = (1,) if weight.size == 1 else (channels, *(1,) * (input.ndim - 2))
    scaled: Any = input * ops.reshape(weight, () if input.ndim == 0 else shape)
    return ops.where(input > 0, input, scaled)


@takes_tensor
def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Tensor:
    """`leaky_relu` whose slope is drawn for each element from [lower, upper] while `training`, else their mean.

    Raises ValueError unless lower <= upper.
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower={lower} must be at most upper={upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    slopes: Any = random.uniform(input.shape, lower, upper, device=input.device, dtype=input.dtype)
    return ops.where(input > 0, input, input * slopes)


def _negative_part(input: Tensor) -> Tensor:
    """0 where the input is positive, so that no exponential overflows; NaN stays NaN."""
    return ops.where(input > 0, 0.0, input)


@takes_tensor
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """input where it is positive, else alpha (exp(input) - 1) (Clevert et al. 2015)."""
    return ops.where(input > 0, input, ops.expm1(_negative_part(input)) * alpha)


@takes_tensor
def selu(input: Tensor) -> Tensor:
    """`elu` scaled so that activations keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return elu(input, _SELU_ALPHA) * _SELU_SCALE


@takes_tensor
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """input where it is positive, else alpha (exp(input / alpha) - 1) (Barron 2017)."""
    if alpha == 0:
        raise ValueError("celu: alpha=0.0 must not be zero")
    return ops.where(input > 0, input, ops.expm1(_negative_part(input) * (1 / alpha)) * alpha)


@takes_tensor
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """input limited to [min_val, max_val]. Raises ValueError unless min_val < max_val."""
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val={min_val} must be less than max_val={max_val}")
    return ops.clip(input, min_val, max_val)


@takes_tensor
def relu6(input: Tensor) -> Tensor:
    """input limited to [0, 6]."""
    return ops.clip(input, 0, 6)


@takes_tensor
def hardsigmoid(input: Tensor) -> Tensor:
    """relu6(input + 3) / 6, a sigmoid of straight lines."""
    return ops.clip(input + 3, 0, 6) * (1 / 6)


@takes_tensor
def hardswish(input: Tensor) -> Tensor:
    """input * hardsigmoid(input) (Howard et al. 2019)."""
    return input * hardsigmoid(input)


@takes_tensor
def mish(input: Tensor) -> Tensor:
    """input * tanh(log(1 + exp(input))) (Misra 2019)."""
    return input * ops.tanh(ops.softplus(input))


@takes_tensor
def logsigmoid(input: Tensor) -> Tensor:
    """The logarithm of the sigmoid, without overflow."""
    return -ops.softplus(-input)


@takes_tensor
def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)."""
    return input / (abs(input) + 1)


@takes_tensor
def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)."""
    return input - ops.tanh(input)


@takes_tensor
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input moved by `lambd` towards zero, and 0 where it is nearer. Raises ValueError for a negative `lambd`."""
    if lambd < 0:
        raise ValueError(f"softshrink: lambd={lambd} must be at least 0")
    return ops.where(input > lambd, input - lambd, ops.where(input < -lambd, input + lambd, input * 0))


@takes_tensor
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input, and 0 where it is at most `lambd` from zero."""
    return ops.where(abs(input) <= lambd, 0.0, input)


@takes_tensor
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """input where it is more than `threshold`, else `value`."""
    return ops.where(input <= threshold, value, input)


@takes_tensor
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the halves of `input` along `dim` (Dauphin et al. 2016).

    Raises ValueError for an odd size.
    """
    axis = normalize_axis(dim, input.ndim)
    size = input.shape[axis]
    if size % 2:
        raise ValueError(f"glu: dim={dim} of input {input.shape} has size {size}, which must be even")
    lead = (slice(None),) * axis
    first, second = getitem(input, (*lead, slice(size // 2))), getitem(input, (*lead, slice(size // 2, None)))
    return first * ops.sigmoid(second)


@takes_tensor
def softmin(input: Tensor, dim: int = -1) -> Tensor:
    """`softmax` of -input."""
    return ops.softmax(-input, dim)
