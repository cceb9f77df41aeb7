"""Filling tensors that exist, in place, under PyTorch's names. `needle.init` makes new ones.

Each function writes into the memory of its tensor, outside the graph, and returns the tensor. Random values come from
the default generator. `fan_in` and `fan_out` are those of needle's layers: a matrix is (in, out), as the weight of
`Linear`; a tensor of more axes is (out, in, kernel...), as the weight of a convolution, each kernel element counting.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from needle import init, ops
from needle.checks import one_of
from needle.dtypes import float32, float64, is_float
from needle.init import calculate_gain
from needle.ops.creation import asarray
from needle.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers from the uniform distribution over [a, b)."""
    return _written(tensor, _uniform(tensor, a, b))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Numbers from the normal distribution."""
    return _written(tensor, _normal(tensor, mean, std))


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Numbers from the normal distribution within [a, b]: what lies outside is drawn again, which waits for the device.

    Raises ValueError unless a < b and std > 0.
    """
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_ needs a < b and std > 0; got a={a}, b={b}, std={std}")
    low, high = (a - mean) / std, (b - mean) / std
    inside = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    # Where few normal numbers lie inside, uniform ones are kept with a probability that follows the normal density.
    peak = min(max(low, 0.0), high)
    values: Any = None
    open_: Any = None
    while open_ is None or bool(ops.any(open_)):
        if inside > 0.3:
            drawn = _normal(tensor, 0, 1)
            kept = ops.logical_and(drawn >= low, drawn <= high)
        else:
            drawn = _uniform(tensor, low, high)
            kept = _uniform(tensor, 0, 1) <= ops.exp((peak * peak - drawn * drawn) * 0.5)
        values = drawn if open_ is None else ops.where(open_, drawn, values)
        open_ = ops.logical_not(kept) if open_ is None else ops.logical_and(open_, ops.logical_not(kept))
    return _written(tensor, ops.clip(values * std + mean, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere."""
    tensor.detach()[...] = val
    return tensor


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """Ones on the diagonal of a matrix, else zeros. Raises ValueError for other than two axes."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_ needs a tensor of two axes; its shape is {tensor.shape}")
    return _written(tensor, asarray(np.eye(*tensor.shape, dtype=tensor.dtype), device=tensor.device))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The weight of a convolution that keeps its input's channels: a one in the middle of each channel's own kernel.

    `tensor` is (out, in, kernel...) with one to three kernel axes; where the channels are in groups, each group is
    filled by itself. Raises ValueError for other shapes, or an `out` that `groups` does not divide.
    """
    shape = tensor.shape
    if not 3 <= tensor.ndim <= 5:
        raise ValueError(f"dirac_ needs a weight (out, in, kernel...) of 3 to 5 axes; its shape is {shape}")
    if shape[0] % groups:
        raise ValueError(f"groups={groups} does not divide the {shape[0]} output channels")
    host = np.zeros(shape, tensor.dtype)
    middle = tuple(n // 2 for n in shape[2:])
    each = shape[0] // groups
    for group in range(groups):
        for channel in range(min(each, shape[1])):
            place = (group * each + channel, channel, *middle)
            host[place] = 1
    return _written(tensor, asarray(host, device=tensor.device))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform over [-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16)."""
    a = gain * math.sqrt(6 / max(1, sum(_fans(tensor))))
    return uniform_(tensor, -a, a)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 12)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(1, sum(_fans(tensor)))))


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Uniform over [-bound, bound) with bound = gain * sqrt(3 / fan) (He et al. 2015).

    `a` is the slope of a leaky ReLU, of which `nonlinearity` tells the gain; `mode` is "fan_in" or "fan_out".
    """
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015); arguments as for `kaiming_uniform_`."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Rows (or columns, whichever are fewer) that are orthogonal, of length `gain` (Saxe et al. 2013).

    Axes after the first count as one. Computed on the host. Raises ValueError for fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs a tensor of at least two axes; its shape is {tensor.shape}")
    if tensor.size == 0:
        return tensor
    rows = tensor.shape[0]
    drawn = init.randn(rows, tensor.size // rows, device=tensor.device).numpy().astype(np.float64)
    q, r = np.linalg.qr(drawn if rows >= drawn.shape[1] else drawn.T)
    q = q * np.where(np.diag(r) < 0, -1, 1)  # then q is uniformly distributed
    host = (q if rows >= drawn.shape[1] else q.T) * gain
    return _written(tensor, asarray(host.reshape(tensor.shape).astype(tensor.dtype), device=tensor.device))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01) -> Tensor:
    """Normal numbers, of which the part `sparsity` of each column is zero (Martens 2010).

    Raises ValueError for other than two axes, or a sparsity outside [0, 1].
    """
    if tensor.ndim != 2 or not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_ needs two axes and 0 <= sparsity <= 1; got {tensor.shape} and {sparsity}")
    rows, columns = tensor.shape
    order = np.argsort(init.rand(rows, columns, device=tensor.device).numpy(), axis=0)
    zero = order < math.ceil(sparsity * rows)
    values = _normal(tensor, 0.0, std)
    return _written(tensor, ops.where(asarray(zero, device=tensor.device), 0, values))


# -- their parts ------------------------------------------------------------------------------------


def _written(tensor: Tensor, values: Tensor) -> Tensor:
    tensor.detach()[...] = values
    return tensor


def _drawn_dtype(tensor: Tensor) -> Any:
    if not is_float(tensor.dtype):
        raise TypeError(f"random values need a floating dtype; this tensor has {tensor.dtype}")
    return float64 if tensor.dtype == float64 else float32


def _uniform(tensor: Tensor, low: float, high: float) -> Tensor:
    return init.rand(*tensor.shape, low=low, high=high, device=tensor.device, dtype=_drawn_dtype(tensor))


def _normal(tensor: Tensor, mean: float, std: float) -> Tensor:
    return init.randn(*tensor.shape, mean=mean, std=std, device=tensor.device, dtype=_drawn_dtype(tensor))


def _fans(tensor: Tensor) -> tuple[int, int]:
    """fan_in and fan_out. Raises ValueError for fewer than two axes."""
    if tensor.ndim < 2:
        raise ValueError(f"fans need a tensor of at least two axes; its shape is {tensor.shape}")
    if tensor.ndim == 2:
        return tensor.shape[0], tensor.shape[1]
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _fan(tensor: Tensor, mode: str) -> int:
    one_of("mode", mode, ("fan_in", "fan_out"))
    return max(1, _fans(tensor)[mode == "fan_out"])
