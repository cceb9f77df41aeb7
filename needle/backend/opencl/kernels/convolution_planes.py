"""Where taps lie in packed planes: what `cl/convolution.h` has to know of the operand that a convolution gathers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

from needle.backend.opencl.kernels.convolution_problem import Steps, Triple
from needle.backend.opencl.kernels.matmul_split import ceil_div

#: Elements behind the last plane that tiles may read and rows may be written to: more than a tile and a vector.
SLACK = 256


@dataclass(frozen=True)
class Planes:
    """`struct planes` of the header, field by field."""

    batch_step: int
    group_step: int
    channel_step: int
    step: Steps
    extent: Triple
    stride: Triple
    first: int
    last: int
    width: int
    top: int
    tall: int
    remainders: int
    size: int


@dataclass(frozen=True)
class Gathered:
    """The operand that is gathered: its sizes, steps, and the stride at which it is walked."""

    batch: int
    groups: int
    channels: int
    extent: Triple
    steps: Steps  # batch, channel, places
    stride: Triple

    def planes(self, rows: Sequence[int], width: int, height: int) -> tuple[Planes, list[int]]:
        """Planes of `width` columns for `height` rows of a result with taps at `rows`, and the remainders of these."""
        lowest = min((row // self.stride[1] for row in rows), default=0)
        highest = max((row // self.stride[1] for row in rows), default=0)
        remainders = sorted({row % self.stride[1] for row in rows}) or [0]
        tall = height + highest - lowest
        size = ceil_div(len(remainders) * tall * width, 16) * 16 + 16
        first, last = self._reach()
        batch_step, channel_step, *step = self.steps
        planes = Planes(
            batch_step, self.channels * channel_step, channel_step, tuple(step), self.extent, self.stride, first, last,
            width, lowest, tall, len(remainders), size,
        )  # fmt: skip
        return planes, remainders

    def _reach(self) -> tuple[int, int]:
        """Where the view begins and ends in memory, counted from its first element."""
        shape = (self.batch, self.groups * self.channels, *self.extent)
        far = [(n - 1) * step for n, step in zip(shape, self.steps, strict=True)]
        return sum(min(0, f) for f in far), sum(max(0, f) for f in far) + 1

    def flat(self) -> bool:
        """Whether the rows of a plane lie one after another, without gaps, in memory."""
        _, rows, columns = self.steps[-3:]
        return (columns == 1 or self.extent[2] == 1) and (rows == self.extent[2] or self.extent[1] == 1)


def tap_offsets(
    planes: Planes, remainders: list[int], stride: int, rows: Sequence[int], columns: int, channels: int
) -> list[int]:
    """The distance of each tap of `channels` packed channels: by channel, then by column, then by row."""
    in_plane = [
        (remainders.index(row % stride) * planes.tall + row // stride - planes.top) * planes.width for row in rows
    ]
    return [plane * planes.size + place for plane in range(channels * columns) for place in in_plane]


def words(value: object) -> list[int]:
    """The numbers of a dataclass of numbers, tuples and such dataclasses, in their order."""
    return _flat(astuple(value))  # type: ignore[call-overload]


def _flat(values: Sequence[object]) -> list[int]:
    return [n for v in values for n in (_flat(v) if isinstance(v, tuple) else (int(v),))]  # type: ignore[call-overload]


@dataclass(frozen=True)
class Table:
    """Numbers that a kernel reads; hashable, so that `OpenCLDevice.layout_buffer` writes equal ones once."""

    numbers: tuple[int, ...]

    def words(self) -> list[int]:
        """The numbers."""
        return list(self.numbers) or [0]


class TableBuilder:
    """Collects the numbers of a table, and where each part of them begins."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def add(self, values: Sequence[int]) -> int:
        """Append `values`, and return where they begin."""
        start = len(self.numbers)
        self.numbers += values
        return start

    def entries(self, lists: Sequence[Sequence[int]], seconds: Sequence[int]) -> int:
        """Append each of `lists`, then pairs of its beginning and a second number; return where the pairs begin."""
        starts = [self.add(values) for values in lists]
        return self.add([n for pair in zip(starts, seconds, strict=True) for n in pair])

    def table(self) -> Table:
        """What was collected."""
        return Table(tuple(self.numbers))


def rows_that_fit(rows: int, fits: Callable[[int], bool], others: int, wanted: int) -> int:
    """How many of `rows` to take at once: as many as fit, cut evenly; fewer where there are not `wanted` units of work.

    `others` is the number of units for each block of rows.
    """
    taken = rows
    while taken > 1 and not fits(taken):
        taken -= 1
    taken = ceil_div(rows, ceil_div(rows, taken))
    while taken > 1 and others * ceil_div(rows, taken) < wanted:
        taken = ceil_div(taken, 2)
    return taken


def evenly(count: int, most: int) -> int:
    """The size of blocks of at most `most` into which to cut `count`, all about the same."""
    return ceil_div(count, ceil_div(count, max(1, most))) if count else 1
