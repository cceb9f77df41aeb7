"""Random tensors under the names of PyTorch and NumPy: integers, permutations, choices, and tensors like others.

All draw from a `Generator`, by default the one that `manual_seed` sets, and give the same values on every device for
a seed. Integers, permutations and choices are drawn on the host and copied to the device.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import ceil, prod
from typing import Any

import numpy as np

from needle.array.views import as_shape
from needle.dtypes import DType, DTypeLike, Shape, as_dtype, integer_limits, is_float, is_integer
from needle.ops import philox, random
from needle.ops.base import takes_tensor
from needle.ops.creation import DeviceLike, as_tensor, asarray
from needle.ops.random import Generator, default_generator
from needle.tensor import Tensor

__all__ = [
    "bernoulli", "get_rng_state", "multinomial", "normal", "rand_like", "randint", "randn_like", "randperm",
    "set_rng_state",
]  # fmt: skip


def get_rng_state() -> tuple[int, int]:
    """The state of the default generator, for `set_rng_state`."""
    return default_generator.get_state()


def set_rng_state(state: tuple[int, int]) -> None:
    """Let the default generator go on from where `get_rng_state` was called."""
    default_generator.set_state(state)


def _words(count: int, generator: Generator | None) -> np.ndarray:
    """`count` random integers of 64 bits."""
    blocks = ceil(count / 2)
    seed, offset = (default_generator if generator is None else generator).reserve(blocks)
    words = philox.words(blocks, seed, offset)
    return (words[:, 0::2] | words[:, 1::2] << np.uint64(32)).reshape(-1)[:count]


def _unit(count: int, generator: Generator | None) -> np.ndarray:
    """`count` random float64 numbers from 0 up to 1, which is left out."""
    return (_words(count, generator) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: DTypeLike = "int64",
    device: DeviceLike = None,
    generator: Generator | None = None,
) -> Tensor:
    """Integers from `low` up to, not including, `high`, each equally likely to 2^-64 times the range.

    `randint(high, size)` and `randint(low, high, size)` are PyTorch's forms, `randint(low, high, size=...)` is NumPy's;
    with one bound, integers are drawn from 0 to it. Without a size the result has no axes. Raises ValueError for an
    empty range and for one that `dtype`, an integer or floating one, does not hold.
    """
    if size is None and isinstance(high, Sequence):
        high, size = None, high
    first, last = (0, operator.index(low)) if high is None else (operator.index(low), operator.index(high))
    wanted = as_dtype(dtype)
    if first >= last:
        raise ValueError(f"randint: there is no integer from low={first} up to high={last}")
    if is_integer(wanted):
        lowest, highest = integer_limits(wanted)
        if first < lowest or last - 1 > highest:
            raise ValueError(f"randint: integers from {first} to {last - 1} do not fit in dtype={wanted}")
    shape = () if size is None else as_shape(size, "size")
    drawn = _words(prod(shape), generator)
    span = last - first
    if span < 2**32:  # the high half of a product of 64 bits by 32, which is more even than a remainder
        drawn = ((drawn >> np.uint64(32)) * np.uint64(span) + ((drawn & np.uint64(2**32 - 1)) * np.uint64(span)
                 >> np.uint64(32))) >> np.uint64(32)  # fmt: skip
    elif span < 2**64:
        drawn = drawn % np.uint64(span)
    with np.errstate(over="ignore"):
        values = drawn + np.uint64(first % 2**64)
    signed = values if first >= 2**63 or wanted == np.uint64 else values.astype(np.int64)
    return asarray(signed.reshape(shape).astype(wanted), device=device)


def randperm(
    n: int, *, dtype: DTypeLike = "int64", device: DeviceLike = None, generator: Generator | None = None
) -> Tensor:
    """The integers below n in random order."""
    order = np.argsort(_words(as_shape(n, "n")[0], generator), kind="stable")
    return asarray(order.astype(as_dtype(dtype)), device=device)


@takes_tensor
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`num_samples` positions drawn from each row of weights: int64 of shape (..., num_samples), as PyTorch's.

    `input` (..., n) holds weights that are not negative and need not add up to 1. Without `replacement` no position
    is drawn twice. The weights are read by the host, which waits for the device. Raises ValueError for weights that
    are negative, not finite or all 0, and for more samples than there are positive weights.
    """
    weights = input.numpy().astype(np.float64)
    if weights.ndim == 0 or not weights.size:
        raise ValueError(f"multinomial: input has shape {input.shape}; at least one weight along an axis is needed")
    rows = weights.reshape(-1, weights.shape[-1])
    if not np.isfinite(rows).all() or (rows < 0).any() or (rows.sum(1) <= 0).any():
        raise ValueError("multinomial: weights must be finite and not negative, and not all 0")
    if num_samples < 1 or (not replacement and num_samples > (rows > 0).sum(1).min()):
        raise ValueError(f"multinomial: num_samples={num_samples} is below 1 or more than there are positive weights")
    if replacement:
        bounds = rows.cumsum(1)
        points = _unit(len(rows) * num_samples, generator).reshape(len(rows), -1) * bounds[:, -1:]
        found = np.stack([np.searchsorted(b, p, side="right") for b, p in zip(bounds, points, strict=True)])
        # A point may be rounded up to the last bound; the last position of positive weight lies before it.
        found = np.minimum(found, rows.shape[1] - 1 - (rows[:, ::-1] > 0).argmax(1)[:, None])
    else:  # the first arrivals of processes with the weights as their rates (Efraimidis and Spirakis 2006)
        with np.errstate(divide="ignore"):
            arrivals = -np.log1p(-_unit(rows.size, generator)).reshape(rows.shape) / rows
        arrivals[rows == 0] = np.inf
        found = np.argsort(arrivals, axis=1, kind="stable")[:, :num_samples]
    return asarray(found.astype(np.int64).reshape(*weights.shape[:-1], num_samples), device=input.device)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    dtype: DTypeLike = "float32",
    device: DeviceLike = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers of given mean and standard deviation, which are numbers or tensors that broadcast together.

    Without a `size` the shape is theirs. Raises ValueError for a negative or infinite number `std`.
    """
    numbers = [x for x in (mean, std) if not isinstance(x, Tensor)]
    if len(numbers) == 2:
        return as_tensor(random.normal(() if size is None else size, mean, std, dtype, device, generator))
    like = mean * 0 + std * 0
    shape = like.shape if size is None else as_shape(size, "size")
    return mean + std * as_tensor(random.normal(shape, 0.0, 1.0, like.dtype, like.device, generator))


@takes_tensor
def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that stands at each place of `input`, else 0, in its dtype. It has no gradient."""
    drawn = as_tensor(random.uniform(input.shape, 0.0, 1.0, input.dtype, input.device, generator))
    return (drawn < input.detach()).astype(input.dtype)


def _like(x: Tensor, dtype: DTypeLike) -> tuple[Shape, DType]:
    wanted = x.dtype if dtype is None else as_dtype(dtype)
    if not is_float(wanted):
        raise TypeError(f"dtype={wanted} must be a floating dtype")
    return x.shape, wanted


@takes_tensor
def rand_like(
    x: Tensor, *, dtype: DTypeLike = None, device: DeviceLike = None, generator: Generator | None = None
) -> Tensor:
    """Uniform numbers over [0, 1) with the shape, dtype and device of x. Raises TypeError for no floating dtype."""
    shape, wanted = _like(x, dtype)
    return as_tensor(random.uniform(shape, 0.0, 1.0, wanted, device or x.device, generator))


@takes_tensor
def randn_like(
    x: Tensor, *, dtype: DTypeLike = None, device: DeviceLike = None, generator: Generator | None = None
) -> Tensor:
    """Normal numbers with the shape, dtype and device of x. Raises TypeError for no floating dtype."""
    shape, wanted = _like(x, dtype)
    return as_tensor(random.normal(shape, 0.0, 1.0, wanted, device or x.device, generator))
