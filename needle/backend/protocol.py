"""What a backend is: a `Backend` finds `Device`s, a `Device` holds memory and runs records."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from needle.backend.records import FusedProgram, Primitive, Reduction, Scan
from needle.dtypes import REQUIRED, DType, Scalar, Shape
from needle.errors import DeviceError

if TYPE_CHECKING:
    from needle.backend.recordings import RecordedLaunch
    from needle.backend.tracing import Tracer

__all__ = ["Backend", "Device", "DeviceInfo", "MemoryInfo"]

Buffer = Any  # a device's own handle for a stretch of memory


class ArrayView(Protocol):
    """A strided window on a buffer: what `needle.array.NDArray` looks like from below.

    `strides` and `offset` count elements, not bytes; strides may be negative or zero.
    """

    @property
    def buffer(self) -> Buffer: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def size(self) -> int: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def offset(self) -> int: ...
    @property
    def dtype(self) -> DType: ...


@dataclass(frozen=True, eq=False)
class Expression:
    """A fused elementwise program with the arrays and the scalars that it reads."""

    program: FusedProgram
    inputs: Sequence[ArrayView]
    scalars: Sequence[Scalar]


class Replayer(Protocol):
    """Makes the recorded launches of one device again (`Device.replayer`)."""

    def run(self, buffers: Mapping[int, Buffer], numbers: Sequence[Sequence[Any]]) -> None:
        """Make all launches, with these `buffers` by number, and for each action its `numbers`; do not wait."""


@dataclass(frozen=True)
class DeviceInfo:
    """The facts of a device that `python -m needle` prints; `problem` says why it cannot be used."""

    name: str
    description: str
    vendor: str
    driver: str
    kind: str  # "gpu", "accelerator", "cpu", "host" (NumPy) or "other"
    memory: int  # bytes, 0 where unknown
    dtypes: frozenset[DType] = REQUIRED  # what its arrays may have
    problem: str | None = None


@dataclass(frozen=True)
class MemoryInfo:
    """The state of a device's memory pool, in bytes."""

    in_use: int  # what arrays occupy
    held: int  # what the pool has taken from the device: what is in use, rounded up, and what it keeps for reuse
    peak: int  # the most that was in use since the device was opened, or since reset_peak_memory
    limit: int | None  # the most that the pool may hold; None: what the device gives


def checked_limit(limit: int | None) -> int | None:
    """`limit`, a number of bytes or None. Raises TypeError or ValueError for anything else."""
    if limit is None:
        return None
    try:
        nbytes = operator.index(limit)
    except TypeError:
        raise TypeError(f"limit={limit!r} must be a number of bytes, or None for no limit") from None
    if nbytes < 1:
        raise ValueError(f"limit={nbytes} must be at least 1 byte, or None for no limit")
    return nbytes


_scope: ContextVar[tuple[Device, ...]] = ContextVar("needle_device_scope", default=())


def scoped_device() -> Device | None:
    """The device of the innermost `with device:` block, if any."""
    scope = _scope.get()
    return scope[-1] if scope else None


class Device(ABC):
    """One device. Work on it is asynchronous and in order; only `download` and `synchronize` wait.

    As a context manager it is the default device of its block.
    """

    #: Whether launches are recorded, and can be made again by a `replayer`.
    replays = False

    def __init__(self, info: DeviceInfo) -> None:
        self.info = info
        self.launches = 0  # kernels launched so far: what the fusion tests count
        #: Told of every launch while somebody listens (`needle.backend.tracing`).
        self.tracer: Tracer | None = None

    @property
    def name(self) -> str:
        return self.info.name

    def supports(self, dtype: DType) -> bool:
        """Whether arrays of `dtype` can live on this device."""
        return dtype in self.info.dtypes

    def time_launches(self, on: bool) -> bool:
        """Begin, or end, to take the device's own times of launches and tell `tracer` of each.

        Returns whether the device can. Where not, an operation counts as one launch that takes as long as
        the host waits for it.
        """
        return False

    def enabled(self) -> bool:
        """Whether the device can be used (the course's name)."""
        return self.info.problem is None

    @abstractmethod
    def empty(self, size: int, dtype: DType) -> Buffer:
        """Memory for `size` elements, its contents undefined. Raises OutOfMemoryError if there is not so much."""

    def memory(self) -> MemoryInfo | None:
        """The state of the device's memory pool; None of a device that has none, as the host has."""
        return None

    def reset_peak_memory(self) -> None:  # noqa: B027 (without a pool there is nothing to do)
        """Let `memory().peak` start again from what is in use now."""

    def limit_memory(self, limit: int | None) -> None:
        """Let the device's pool hold at most `limit` bytes; None: as much as the device gives.

        What is in use stays, even if it is more. Raises DeviceError for a device that has no pool.
        """
        raise DeviceError(f"{self.name} has no memory pool that could be limited")

    def release_memory(self) -> None:  # noqa: B027 (without a pool there is nothing to do)
        """Give back to the device what the pool keeps for reuse. It does so by itself when memory runs out."""

    @abstractmethod
    def upload(self, array: np.ndarray) -> Buffer:
        """A new buffer with a copy of the C-contiguous `array`."""

    @abstractmethod
    def download(self, view: ArrayView) -> np.ndarray:
        """A NumPy copy of the elements that `view` covers, in its shape."""

    def host_view(self, view: ArrayView) -> np.ndarray | None:
        """The elements that `view` covers as a NumPy array on the very same memory, or None if that cannot be had."""
        return None

    @abstractmethod
    def evaluate(self, expression: Expression, outputs: Sequence[ArrayView]) -> None:
        """Compute a fused expression into `outputs`, one for each output of its program, in one launch.

        All outputs have one shape, which the inputs broadcast to. An output may be an input's very
        memory (same elements), never a shifted overlap of it.
        """

    def evaluate_alike(
        self,
        program: FusedProgram,
        scalars: Sequence[Scalar],
        batch: Sequence[Sequence[ArrayView]],
        reads: Sequence[int],
    ) -> None:
        """Run one program on several sets of arrays, those of a set contiguous, distinct and of one shape.

        The program's outputs are a set's first arrays; its inputs those at the positions `reads`, outputs among
        them. Shapes differ from set to set. A device that can do with fewer launches than sets overrides this.
        """
        for arrays in batch:
            expression = Expression(program, [arrays[i] for i in reads], scalars)
            self.evaluate(expression, arrays[: len(program.outputs)])

    @abstractmethod
    def reduce(
        self,
        reduction: Reduction,
        expression: Expression,
        shape: Shape,
        axes: tuple[int, ...],
        output: ArrayView,
    ) -> None:
        """Fold the expression's one output, of `shape`, over `axes` into `output`.

        `output` is contiguous and has the other axes in their order, those folded with size 1 or left out.
        """

    def scan(self, scan: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView) -> None:
        """Write the scan of the expression's one output, of `shape`, along `axis` into `output`, a view of any strides.

        The expression and `output` have the same dtype; halves are accumulated in float32. A device without scans
        raises NotImplementedError.
        """
        raise NotImplementedError(f"{self.name} has no scans, which {scan.name} needs")

    @abstractmethod
    def run(
        self,
        primitive: Primitive,
        inputs: Sequence[ArrayView],
        outputs: Sequence[ArrayView],
        **params: Any,
    ) -> None:
        """Run a primitive; `outputs` are contiguous and newly allocated to its signature.

        `inputs` are contiguous and begin at the first element of their buffers, unless the primitive is `strided`.
        """

    def replayer(self, launches: Sequence[RecordedLaunch], buffers: Mapping[int, Buffer]) -> Replayer | None:
        """What makes recorded `launches` again; None of a device that records none.

        `buffers` has, by number, those that are the same in each replay.
        """
        return None

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything submitted so far is done."""

    def __enter__(self) -> Device:
        _scope.set((*_scope.get(), self))
        return self

    def __exit__(self, *exc: object) -> None:
        _scope.set(_scope.get()[:-1])

    def __repr__(self) -> str:
        return f"device({self.name!r})"


class Backend(ABC):
    """A family of devices. Registered under the entry-point group `needle.backends`."""

    name: str

    @abstractmethod
    def discover(self) -> Sequence[DeviceInfo]:
        """The facts of every device, usable or not, without opening any."""

    @abstractmethod
    def open(self, name: str) -> Device:
        """The device of that `name` among those discovered; the same object each time."""
