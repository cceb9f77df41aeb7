"""Pooling as its kernels see it: over three axes, with tables of where windows begin and end."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol

from needle.backend.opencl.kernels.convolution_planes import Table, TableBuilder, words
from needle.backend.opencl.kernels.convolution_problem import Triple, three
from needle.dtypes import Shape

_LINE = 2048  # COLUMNS in cl/pooling_rows.cl


class Pattern(Protocol):
    """A rule that windows follow; see `needle.ops.pooling`."""

    @property
    def stride(self) -> int: ...
    @property
    def firsts(self) -> tuple[int, ...]: ...
    @property
    def taps(self) -> tuple[int, ...]: ...


class Windows(Protocol):
    """The windows along one axis; see `needle.ops.pooling`."""

    @property
    def places(self) -> int: ...
    @property
    def starts(self) -> tuple[int, ...]: ...
    @property
    def ends(self) -> tuple[int, ...]: ...
    @property
    def step(self) -> int: ...
    @property
    def pattern(self) -> Pattern | None: ...
    @property
    def covers(self) -> tuple[tuple[int, ...], tuple[int, ...]]: ...


@dataclass(frozen=True)
class _Windows:
    """`struct windows` of `cl/pooling.h`, field by field."""

    images: int
    inner: int
    outer_step: int
    inner_step: int
    step: Triple
    extent: Triple
    outputs: Triple
    tap_step: Triple
    starts: Triple
    ends: Triple
    chunks: int
    chunk: int
    spans: int
    phases: int
    stride: int
    firsts: tuple[int, int]
    taps: tuple[int, int]

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return words(self)


@dataclass(frozen=True)
class Pooled:
    """The sizes of pooled images: how many there are, the places of each, and its windows."""

    images: int
    extent: Triple
    outputs: Triple
    windows: tuple[Windows, ...]

    @classmethod
    def of(cls, shape: Shape, windows: tuple[Windows, ...]) -> Pooled:
        """From the shape of images (N, C, *places)."""
        axes = len(windows)
        outputs = three(tuple(len(w.starts) for w in windows), 1)
        return cls(prod(shape[:-axes]), three(shape[-axes:], 1), outputs, windows)


def windows_of(shape: Shape, strides: Shape, windows: tuple[Windows, ...]) -> tuple[_Windows, Table]:
    """What the kernels have to know of `windows` over the last axes of an array, and their table.

    There are no chunks where a row's windows reach over too much for a line. Raises ValueError for an array of more
    than two axes beside those of the windows.
    """
    axes = len(windows)
    *lead, outer, inner = (1, 1, *shape[:-axes])
    *_, outer_step, inner_step = (0, 0, *strides[:-axes])
    if prod(lead) != 1:
        raise ValueError(f"pooling takes arrays of at most two axes beside those of the windows; the shape is {shape}")
    pooled, table = Pooled.of(shape, windows), TableBuilder()
    starts = three(tuple(table.add(w.starts) for w in windows), table.add([0]))
    ends = three(tuple(table.add(w.ends) for w in windows), table.add([1]))
    phases, stride, firsts, taps = _rule(windows[-1])
    chunk, spans = _chunks(windows[-1], phases)
    problem = _Windows(
        outer * inner, inner, outer_step, inner_step, three(strides[-axes:], 0), pooled.extent, pooled.outputs,
        three(tuple(w.step for w in windows), 1), starts, ends, len(spans), chunk,
        table.add([n for span in spans for n in span]), phases, stride, firsts, taps,
    )  # fmt: skip
    return problem, table.table()


def _rule(windows: Windows) -> tuple[int, int, tuple[int, int], tuple[int, int]]:
    """The phases, the stride, each phase's first place and its taps; no phases if vectors cannot follow them."""
    pattern = windows.pattern
    if pattern is not None and min(pattern.taps) > 0:
        (first, *others), (taps, *more) = pattern.firsts, pattern.taps
        if not others and pattern.stride in (1, 2):
            return 1, pattern.stride, (first, 0), (taps, 0)
        if len(others) == 1 and pattern.stride == windows.step == 1:
            return 2, 1, (first, others[0]), (taps, more[0])
    return 0, 0, (0, 0), (0, 0)


def _chunks(windows: Windows, phases: int) -> tuple[int, list[tuple[int, int]]]:
    """How many windows to make at once, and which places each chunk of so many reaches over; none if it is too much."""
    count = chunk = len(windows.starts)
    begins, ends = _reaches(windows, phases)
    while chunk:
        parts = [slice(i, min(i + chunk, count)) for i in range(0, count, chunk)]
        spans = [(min(begins[part]), max(ends[part])) for part in parts]
        if chunk <= _LINE and all(end - begin <= _LINE for begin, end in spans):
            return chunk, spans
        chunk = (
            chunk // 2 if chunk < 4 else (chunk // 2 + 1) // 2 * 2
        )  # even, so that a chunk begins with a first phase
    return 0, []


def _reaches(windows: Windows, phases: int) -> tuple[list[int], list[int]]:
    """Where each window begins and ends, with what of it is outside of the axis if it follows a rule."""
    pattern = windows.pattern
    if not phases or pattern is None:
        return list(windows.starts), list(windows.ends)
    begins = [i // phases * pattern.stride + pattern.firsts[i % phases] for i in range(len(windows.starts))]
    sizes = [(taps - 1) * windows.step + 1 for taps in pattern.taps]
    return begins, [begin + sizes[i % phases] for i, begin in enumerate(begins)]


@dataclass(frozen=True)
class _Maxima:
    """`struct maxima` of `cl/pooling_gradient.cl`, field by field."""

    images: int
    extent: Triple
    outputs: Triple
    covers: Triple
    cover_ends: Triple
    axis: int
    band: int
    run: int
    result_run: int

    @property
    def bands(self) -> int:
        """The bands of all images."""
        return self.images * -(-self.extent[self.axis] // self.band)

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return words(self)


def maxima_of(pooled: Pooled, band: int) -> tuple[_Maxima, Table]:
    """What the kernels of the gradient have to know, and their table, for bands of about `band` elements."""
    table = TableBuilder()
    covers = [w.covers for w in pooled.windows]
    starts = three(tuple(table.add(start) for start, _ in covers), table.add([0]))
    ends = three(tuple(table.add(end) for _, end in covers), table.add([1]))
    axis = next((a for a in range(3) if (pooled.extent[a], pooled.outputs[a]) != (1, 1)), 2)
    run = prod(pooled.extent[axis + 1 :])
    problem = _Maxima(
        pooled.images, pooled.extent, pooled.outputs, starts, ends, axis, max(1, band // max(1, run)), run,
        prod(pooled.outputs[axis + 1 :]),
    )  # fmt: skip
    return problem, table.table()
