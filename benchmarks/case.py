"""What is measured: `Case`, `Family` with its bars, and `Draw`, from which fresh random inputs come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]

#: Sets of inputs, and the state.
Drawn = tuple[list[list[np.ndarray]], list[np.ndarray]]

#: Bytes of inputs that a case rotates through, so that none is read from a cache by accident.
ROTATED_BYTES = 64 << 20
MAX_SETS = 16


@dataclass(frozen=True)
class Draw:
    """A random array: float32 from a normal or uniform distribution, int32 labels below `classes`, or bool."""

    shape: tuple[int, ...]
    kind: str = "normal"  # or "images" (normal, too), "uniform", "labels", "image labels", "filters", "bool"
    scale: float = 1.0
    classes: int = 0

    def array(self, random: np.random.Generator) -> np.ndarray:
        """A fresh array."""
        if self.kind in ("labels", "image labels"):
            return random.integers(0, self.classes, self.shape, dtype=np.int32)
        if self.kind == "bool":
            return random.integers(0, 2, self.shape, dtype=np.uint8).astype(bool)
        draw = random.standard_normal if self.kind in ("normal", "images", "filters") else random.random
        values: np.ndarray = draw(self.shape, dtype=np.float32)
        if self.scale != 1:
            values *= np.float32(self.scale)
        return values

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return prod(self.shape) * (1 if self.kind == "bool" else 4)

    def reduced(self) -> Draw:
        """The same on fewer elements, for a run that only has to show that everything works."""
        if self.kind in ("images", "image labels"):
            return Draw((min(2, self.shape[0]), *self.shape[1:]), self.kind, self.scale, self.classes)
        if self.kind == "filters":
            return self
        return Draw(tuple(map(reduced, self.shape)), self.kind, self.scale, reduced(self.classes))


def reduced(n: int) -> int:
    """A size for a quick run: equal sizes stay equal, so that shapes still fit each other."""
    return n // 64 if n >= 1 << 20 else n // 8 if n > 320 else n


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Numbers with mean 0 and standard deviation `scale`."""
    return Draw(shape, scale=scale)


def images(*shape: int) -> Draw:
    """A batch (N, C, H, W) of numbers with mean 0 and standard deviation 1; a quick run has two of them."""
    return Draw(shape, "images")


def uniform(*shape: int) -> Draw:
    """Numbers from 0 to 1."""
    return Draw(shape, "uniform")


def labels(*shape: int, classes: int) -> Draw:
    """Whole numbers below `classes`."""
    return Draw(shape, "labels", classes=classes)


def filters(*shape: int, scale: float) -> Draw:
    """Weights of a network of images, with mean 0 and standard deviation `scale`; a quick run has all of them."""
    return Draw(shape, "filters", scale)


def image_labels(count: int, classes: int) -> Draw:
    """Whole numbers below `classes`, one for each of `count` images."""
    return Draw((count,), "image labels", classes=classes)


def mask(*shape: int) -> Draw:
    """Truth values."""
    return Draw(shape, "bool")


@dataclass(frozen=True)
class Case:
    """One computation, written once for all libraries.

    Either `run(lib, *inputs)` computes it from tensors of the library `lib`, or `start(lib, *state)` sets up
    something that lives on (an optimiser, a model) and returns the function of the inputs that is timed. Results
    are a tensor or a sequence of tensors.
    """

    name: str
    inputs: tuple[Draw, ...] = ()
    run: Callable[..., Any] | None = None
    start: Callable[..., Callable[..., Any]] | None = None
    state: tuple[Draw, ...] = ()
    gradients: tuple[int, ...] = ()  # the inputs that require a gradient
    numpy: Callable[..., Any] | None = None  # `run` by hand, for NumPy, which has no gradients: numpy(*arrays)
    moves: str = ""  # "up": the inputs are NumPy arrays; "down": the result is one
    flops: Callable[[Arrays, Arrays, Arrays], float] | None = None  # of inputs, outputs, state
    traffic: Callable[[Arrays, Arrays, Arrays], float] | None = None  # bytes; None: inputs and outputs once each
    tolerance: float = 1e-5  # largest error allowed, as a share of the result's largest magnitude
    calls: int = 1  # how many calls, one after the other, are checked
    without: Mapping[str, str] = field(default_factory=dict)  # libraries that sit out, and why

    def __post_init__(self) -> None:
        if (self.run is None) == (self.start is None):
            raise ValueError(f"case {self.name!r} must have either run or start")

    def bind(self, lib: Any, state: Arrays) -> Callable[..., Any]:
        """The function of the inputs to time with the library `lib`."""
        if self.start is not None:
            return self.start(lib, *state)
        if self.numpy is not None and lib.name == "numpy":
            return self.numpy
        run = self.run
        assert run is not None
        return lambda *inputs: run(lib, *inputs)

    def draw(self, random: np.random.Generator, quick: bool = False) -> Drawn:
        """Fresh sets of inputs, as many as go beyond the caches, and the state."""
        inputs = [d.reduced() if quick else d for d in self.inputs]
        state = [d.reduced() if quick else d for d in self.state]
        sets = rotated_sets(sum(d.nbytes for d in inputs))
        return [[d.array(random) for d in inputs] for _ in range(sets)], [d.array(random) for d in state]


def rotated_sets(nbytes: int) -> int:
    """How many sets of inputs of `nbytes` each are rotated: two at least, and enough to leave the caches."""
    return max(2, min(MAX_SETS, -(-ROTATED_BYTES // max(nbytes, 1))))


@dataclass(frozen=True)
class Family:
    """Cases with common bars: a peer's time divided by needle's must be at least `bar`, and aims at `aim`."""

    name: str
    title: str
    cases: tuple[Case, ...]
    bar: float
    aim: float | None = None
    mean_bar: float | None = None  # for the geometric mean over the family
    mean_aim: float | None = None
    against: str = "torch"  # the peer that the bars are about
    ahead: float = 1.0  # what is aimed at against tinygrad
