"""Random arrays: uniform, normal and Bernoulli, the same numbers on every device for a seed.

The numbers come from a counter-based generator (see `needle.ops.philox`): what is drawn depends on the seed, on
how much was drawn before, and on nothing else. A generator therefore keeps only the seed and a count.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.array.ndarray import check_dtype
from needle.array.views import as_shape
from needle.backend import recordings
from needle.backend.records import Example, Primitive
from needle.dtypes import (
    DEFAULT_FLOAT,
    DType,
    DTypeLike,
    Shape,
    as_dtype,
    bool_,
    float16,
    float32,
    float64,
    is_float,
)
from needle.locks import freed_in_children
from needle.ops import philox
from needle.ops.creation import DeviceLike, as_device

__all__ = ["Generator", "default_generator", "manual_seed"]

ShapeLike = int | Sequence[int]


def _examples(**params: Any) -> tuple[Example, ...]:
    shapes = ((1,), (17,), (37, 53), (0, 3))
    return tuple(Example(params={"shape": shape, "seed": 7, "offset": 2**32 - 3, **params}) for shape in shapes)


RANDOM_UNIFORM = Primitive(
    "random_uniform", philox.uniform, lambda *, shape, dtype, **_: ((shape, dtype),),
    examples=(
        *_examples(dtype=float32, low=0.0, high=1.0, last=1 - 2.0**-24),
        *_examples(dtype=float64, low=0.0, high=1.0, last=1 - 2.0**-53),
        *_examples(dtype=float16, low=0.0, high=1.0, last=1 - 2.0**-11),
    ),
    family="random numbers",
)  # fmt: skip
RANDOM_NORMAL = Primitive(
    "random_normal", philox.normal, lambda *, shape, dtype, **_: ((shape, dtype),),
    examples=tuple(
        example for dtype in (float32, float64, float16) for example in _examples(dtype=dtype, mean=1.0, std=2.0)
    ),
    family="random numbers",
)  # fmt: skip
RANDOM_BERNOULLI = Primitive(
    "random_bernoulli", philox.bernoulli, lambda *, shape, **_: ((shape, bool_),),
    examples=_examples(threshold=2**30),
    family="random numbers",
)  # fmt: skip


class Generator:
    """A stream of random numbers: a seed and how many counter blocks were used. Threads may share one.

    Args:
        seed: an int; its low 64 bits count. By default one that the operating system draws.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._lock = freed_in_children(threading.Lock())
        self._seed = self._offset = 0
        self.manual_seed(int.from_bytes(os.urandom(8), "little") if seed is None else seed)

    @property
    def seed(self) -> int:
        return self._seed

    @property
    def offset(self) -> int:
        """The counter blocks used since the seed was set."""
        return self._offset

    def manual_seed(self, seed: int) -> Generator:
        """Start over from `seed`, and return the generator. Raises TypeError unless it is an int."""
        try:
            number = operator.index(seed)
        except TypeError:
            raise TypeError(f"seed={seed!r} must be an int") from None
        recordings.refuse("seeds a generator", "seed it where the function was called")
        with self._lock:
            self._seed, self._offset = number % 2**64, 0
        return self

    def get_state(self) -> tuple[int, int]:
        """(seed, offset), for `set_state`."""
        with self._lock:
            return self._seed, self._offset

    def set_state(self, state: tuple[int, int]) -> None:
        """Go on from where `get_state` was called."""
        recordings.refuse("sets the state of a generator", "set it where the function was called")
        seed, offset = map(operator.index, state)
        with self._lock:
            self._seed, self._offset = seed % 2**64, offset % 2**64

    def state_dict(self) -> dict[str, int]:
        """The state as `needle.save` takes it."""
        seed, offset = self.get_state()
        return {"seed": seed, "offset": offset}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was called. Raises ValueError for another thing's state."""
        if set(state_dict) != {"seed", "offset"}:
            raise ValueError(f"the state of a generator has 'seed' and 'offset', not {sorted(state_dict)}")
        self.set_state((state_dict["seed"], state_dict["offset"]))

    def reserve(self, blocks: int) -> tuple[int, int]:
        """The seed and the first of `blocks` counter blocks that nobody else will get."""
        numbers = self._take(blocks)
        recording = recordings.current()
        if recording is None:
            return numbers
        seed, offset = recording.draw(_Draw(self, blocks), numbers)
        return seed, offset

    def _take(self, blocks: int) -> tuple[int, int]:
        with self._lock:
            start = self._offset
            self._offset = (start + blocks) % 2**64
            return self._seed, start

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, offset={self._offset})"


class _Draw:
    """Drawing from a generator as a captured step does it anew in each replay (`needle.backend.recordings.Action`)."""

    #: The numbers are of use in a launch only: what the host computes from them, it would not compute again.
    is_draw = True

    def __init__(self, generator: Generator, blocks: int) -> None:
        self._generator, self._blocks = generator, blocks

    def run(self) -> tuple[int, int]:
        """The seed and the first counter block of this replay."""
        return self._generator._take(self._blocks)

    def undo(self) -> None:
        """Give the counter blocks back."""
        self._generator._take(-self._blocks)


#: What random functions draw from unless they are given a generator.
default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Make the default generator start over from `seed`, and return it."""
    return default_generator.manual_seed(seed)


def uniform(
    shape: ShapeLike,
    low: float = 0.0,
    high: float = 1.0,
    dtype: DTypeLike = DEFAULT_FLOAT,
    device: DeviceLike = None,
    generator: Generator | None = None,
) -> NDArray:
    """Numbers from the uniform distribution over [low, high).

    Raises ValueError unless low <= high, both finite, TypeError for a dtype that is not floating.
    """
    wanted = _float_dtype(dtype)
    _check_finite(low=low, high=high)
    if low > high:
        raise ValueError(f"low={low} must not be above high={high}")
    bounds = {"low": float(low), "high": float(high), "last": _last_below(wanted, float(low), float(high))}
    return _draw(RANDOM_UNIFORM, as_shape(shape), wanted, device, generator, {"dtype": wanted, **bounds})


def normal(
    shape: ShapeLike,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: DTypeLike = DEFAULT_FLOAT,
    device: DeviceLike = None,
    generator: Generator | None = None,
) -> NDArray:
    """Numbers from the normal distribution.

    Raises ValueError unless both parameters are finite and `std` is not negative, TypeError for a dtype that
    is not floating.
    """
    wanted = _float_dtype(dtype)
    _check_finite(mean=mean, std=std)
    if std < 0:
        raise ValueError(f"std={std} must not be negative")
    parameters = {"dtype": wanted, "mean": float(mean), "std": float(std)}
    return _draw(RANDOM_NORMAL, as_shape(shape), wanted, device, generator, parameters)


def bernoulli(
    shape: ShapeLike,
    p: float = 0.5,
    dtype: DTypeLike = bool_,
    device: DeviceLike = None,
    generator: Generator | None = None,
) -> NDArray:
    """True (1) with probability `p`, else False (0). Raises ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"p={p} must be a probability, from 0 to 1")
    threshold = round(p * 2**32)  # a word of 32 bits below it counts as True
    drawn = _draw(RANDOM_BERNOULLI, as_shape(shape), bool_, device, generator, {"threshold": threshold})
    return drawn.astype(as_dtype(dtype))


def _draw(
    primitive: Primitive,
    shape: Shape,
    dtype: DType,
    device: DeviceLike,
    generator: Generator | None,
    params: dict[str, Any],
) -> NDArray:
    place = as_device(device)
    check_dtype(dtype, place)  # before numbers are taken from the generator
    size = int(np.prod(shape, dtype=object))
    source = default_generator if generator is None else generator
    seed, offset = source.reserve(philox.blocks_for(size, dtype))
    return NDArray.run_new(primitive, place, shape=shape, seed=seed, offset=offset, **params)


def _last_below(dtype: DType, low: float, high: float) -> float:
    """The last number of `dtype` below `high`, but not below `low`: no rounding may lead beyond it."""
    below = np.nextafter(dtype.type(high), dtype.type(-np.inf))
    if float(below) >= high:  # `high` was rounded up
        below = np.nextafter(below, dtype.type(-np.inf))
    real = np.float64 if dtype == float64 else np.float32
    return float(max(real(below), real(low)))


def _float_dtype(dtype: DTypeLike) -> DType:
    wanted = as_dtype(dtype)
    if not is_float(wanted):
        raise TypeError(f"dtype={wanted} must be a floating dtype")
    return wanted


def _check_finite(**values: float) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise ValueError(f"{name}={value} must be finite")
