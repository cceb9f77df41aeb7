"""Initialisers: tensors of given, random or scaled random values.

The first ones take the sizes of the axes as arguments, as in the course: `rand(3, 4)`. Random values come
from the default generator (`needle.ops.random.manual_seed`) and are the same on every device for a seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from needle.dtypes import DTypeLike, Scalar, Shape
from needle.ops import creation, random
from needle.ops.creation import DeviceLike, as_sizes, as_tensor
from needle.ops.indexing import taking
from needle.tensor import Tensor

__all__ = [
    "calculate_gain", "constant", "kaiming_normal", "kaiming_uniform", "one_hot", "ones", "ones_like", "rand", "randb",
    "randn", "xavier_normal", "xavier_uniform", "zeros", "zeros_like",
]  # fmt: skip

# -- given values: the functions of `needle.ops.creation` and `one_hot`, called as in the course ----


def constant(
    *shape: int, c: Scalar = 1.0, device: DeviceLike = None, dtype: DTypeLike = "float32", requires_grad: bool = False
) -> Tensor:
    """A tensor of `shape` filled with `c`."""
    return creation.full(shape, c, dtype, device, requires_grad)


def ones(*shape: int, device: DeviceLike = None, dtype: DTypeLike = "float32", requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return creation.ones(*shape, dtype=dtype, device=device, requires_grad=requires_grad)


def zeros(*shape: int, device: DeviceLike = None, dtype: DTypeLike = "float32", requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return creation.zeros(*shape, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(array: Tensor, *, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Ones with the shape and dtype of `array`, by default on its device."""
    return creation.ones(array.shape, array.dtype, array.device if device is None else device, requires_grad)


def zeros_like(array: Tensor, *, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Zeros with the shape and dtype of `array`, by default on its device."""
    return creation.zeros(array.shape, array.dtype, array.device if device is None else device, requires_grad)


def one_hot(
    n: int, i: Any, device: DeviceLike = None, dtype: DTypeLike = "float32", requires_grad: bool = False
) -> Tensor:
    """`needle.one_hot(i, n)` in the course's order; a tensor stays on its device unless another is given.

    Raises IndexError for a host-known integer outside [0, n), TypeError for other than integers.
    """
    indices = i.to(device) if isinstance(i, Tensor) and device is not None else i
    return creation.asarray(taking.one_hot(indices, n, dtype, device), requires_grad=requires_grad)


# -- random values ----------------------------------------------------------------------------------


def rand(
    *shape: int,
    low: float = 0.0,
    high: float = 1.0,
    device: DeviceLike = None,
    dtype: DTypeLike = "float32",
    requires_grad: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """Numbers from the uniform distribution over [low, high)."""
    return as_tensor(random.uniform(as_sizes(shape), low, high, dtype, device, generator), requires_grad)


def randn(
    *shape: int,
    mean: float = 0.0,
    std: float = 1.0,
    device: DeviceLike = None,
    dtype: DTypeLike = "float32",
    requires_grad: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """Numbers from the normal distribution."""
    return as_tensor(random.normal(as_sizes(shape), mean, std, dtype, device, generator), requires_grad)


def randb(
    *shape: int, p: float = 0.5, device: DeviceLike = None, dtype: DTypeLike = "bool", requires_grad: bool = False
) -> Tensor:
    """True (1) with probability `p`, else False (0)."""
    return as_tensor(random.bernoulli(as_sizes(shape), p, dtype, device), requires_grad)


# -- scaled random values ---------------------------------------------------------------------------


def calculate_gain(nonlinearity: str, negative_slope: float = 0.01) -> float:
    """By how much to widen the initial weights of a layer that `nonlinearity` follows; PyTorch's values.

    "linear", "sigmoid": 1. "tanh": 5/3. "relu": sqrt(2). "leaky_relu": sqrt(2 / (1 + negative_slope^2)).
    Raises ValueError for another name.
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + negative_slope**2)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"nonlinearity={nonlinearity!r} is not known; expected one of {', '.join(gains)}")
    return gains[nonlinearity]


def xavier_uniform(
    fan_in: int, fan_out: int, gain: float = 1.0, *, shape: Shape | None = None, **kwargs: Any
) -> Tensor:
    """Uniform over [-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    equation 16. `shape` is by default (fan_in, fan_out); `kwargs` are those of `rand`: device, dtype,
    requires_grad. Raises ValueError unless both fans are at least 1; so do the three below.
    """
    a = gain * math.sqrt(6 / _check_fans(fan_in, fan_out))
    return rand(*_shape(shape, fan_in, fan_out), low=-a, high=a, **kwargs)


def xavier_normal(fan_in: int, fan_out: int, gain: float = 1.0, *, shape: Shape | None = None, **kwargs: Any) -> Tensor:
    """Normal with mean 0 and standard deviation gain * sqrt(2 / (fan_in + fan_out)).

    Glorot and Bengio 2010, equation 12. `shape` and `kwargs` are as for `xavier_uniform`.
    """
    std = gain * math.sqrt(2 / _check_fans(fan_in, fan_out))
    return randn(*_shape(shape, fan_in, fan_out), std=std, **kwargs)


def kaiming_uniform(
    fan_in: int,
    fan_out: int,
    nonlinearity: str = "relu",
    *,
    negative_slope: float = 0.01,
    shape: Shape | None = None,
    **kwargs: Any,
) -> Tensor:
    """Uniform over [-a, a) with a = gain * sqrt(3 / fan_in), the gain being that of `calculate_gain`.

    He et al. 2015, "Delving deep into rectifiers", equation 10 (its variance, 2 / fan_in for ReLU, as a
    uniform distribution). `shape` and `kwargs` are as for `xavier_uniform`.
    """
    _check_fans(fan_in, fan_out)
    a = calculate_gain(nonlinearity, negative_slope) * math.sqrt(3 / fan_in)
    return rand(*_shape(shape, fan_in, fan_out), low=-a, high=a, **kwargs)


def kaiming_normal(
    fan_in: int,
    fan_out: int,
    nonlinearity: str = "relu",
    *,
    negative_slope: float = 0.01,
    shape: Shape | None = None,
    **kwargs: Any,
) -> Tensor:
    """Normal with mean 0 and standard deviation gain / sqrt(fan_in), the gain being that of `calculate_gain`.

    He et al. 2015, equation 10. `shape` and `kwargs` are as for `xavier_uniform`.
    """
    _check_fans(fan_in, fan_out)
    std = calculate_gain(nonlinearity, negative_slope) / math.sqrt(fan_in)
    return randn(*_shape(shape, fan_in, fan_out), std=std, **kwargs)


def _shape(shape: Shape | None, fan_in: int, fan_out: int) -> Shape:
    return (fan_in, fan_out) if shape is None else tuple(shape)


def _check_fans(fan_in: int, fan_out: int) -> int:
    """The sum of both. Raises ValueError unless each is at least 1."""
    for name, value in (("fan_in", fan_in), ("fan_out", fan_out)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}={value!r} must be an int of at least 1")
    return fan_in + fan_out
