"""A profile's launches, gathered by kernel, and their table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from needle.backend.cost import Cost
from needle.backend.protocol import Device
from needle.backend.tracing import Operation
from needle.dtypes import DType
from needle.errors import DeviceError
from needle.profiling import peaks as _peaks

__all__ = ["ProfileRow"]


@dataclass(frozen=True)
class Span:
    """One launch: when the host enqueued it and when the device ran it, in seconds of the host's clock.

    `part` is the share of the operation's work that is counted for this launch: that of its device time.
    """

    operation: Operation
    kernel: str
    enqueue: tuple[float, float]
    run: tuple[float, float]
    part: float

    @property
    def seconds(self) -> float:
        return self.run[1] - self.run[0]

    @property
    def bytes(self) -> float:
        return self.operation.cost.bytes * self.part

    @property
    def flops(self) -> float:
        return self.operation.cost.flops * self.part


@dataclass(frozen=True)
class ProfileRow:
    """What one kernel did on one device while it was profiled.

    `kernel` names it, with the fused expression that it computes (inputs x, y, z, ..., scalars c). `seconds`
    are of device time. `bytes` and `flops` are the work that the operations ask for, however a kernel goes
    about it: each distinct element read and written once; a matrix product's 2 m n k; of an expression one
    operation a node and element. The work of an operation that takes several launches counts for each by its
    time. A rate is NaN where no time was measured.
    """

    device: str
    kernel: str
    dtype: DType
    calls: int
    seconds: float
    bytes: int
    flops: int
    _spans: tuple[Span, ...] = field(repr=False, compare=False)

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.seconds if self.seconds else math.nan

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.seconds if self.seconds else math.nan

    @cached_property
    def floor(self) -> float:
        """The seconds that the work would take at the device's measured best, NaN for a transfer.

        For each operation the longer of its bytes at the bandwidth of a copy and its flops at the rate of a
        large matrix product of its dtype. The first row asked on a device measures these, in about a second.
        """
        return sum(_floor(span.operation.device, span.operation.cost) * span.part for span in self._spans)

    @property
    def share(self) -> float:
        """The floor by the time taken: 1 is as fast as can be, above it the data came from a cache."""
        return self.floor / self.seconds if self.seconds else math.nan


def _floor(device: Device, cost: Cost) -> float:
    if not cost.on_device:
        return math.nan
    moving = cost.bytes / _peaks.bandwidth(device)
    return max(moving, cost.flops / _peaks.arithmetic_rate(device, cost.dtype)) if cost.flops else moving


def spans_of(operations: Iterable[Operation]) -> list[Span]:
    """The launches of `operations`, whose device has been synchronized, on the host's clock."""
    spans = []
    by_device: dict[Device, list[Operation]] = {}
    for operation in operations:
        by_device.setdefault(operation.device, []).append(operation)
    for members in by_device.values():
        launches = [(operation, launch, launch.times()) for operation in members for launch in operation.launches]
        # A device has a clock of its own; it reads the moment of the host's enqueueing as `queued`.
        ahead = statistics.median(times[0] - launch.begin for _, launch, times in launches)
        totals = {
            id(operation): sum(launch.times()[2] - launch.times()[1] for launch in operation.launches)
            for operation in members
        }
        for operation, launch, (_, start, end) in launches:
            total = totals[id(operation)]
            part = (end - start) / total if total else 1 / len(operation.launches)
            run = ((start - ahead) / 1e9, (end - ahead) / 1e9)
            enqueue = (launch.begin / 1e9, launch.end / 1e9)
            spans.append(Span(operation, _label(launch.kernel, operation.cost), enqueue, run, part))
    return spans


def _label(kernel: str, cost: Cost) -> str:
    """A kernel's name, and what it computes where the name does not tell."""
    kernel = kernel or cost.kind
    return kernel if kernel.startswith(cost.detail) else f"{kernel}: {cost.detail}"


def rows_of(spans: Iterable[Span]) -> list[ProfileRow]:
    """The spans gathered by device, kernel and dtype, those that took longest first."""
    groups: dict[tuple[str, str, DType], list[Span]] = {}
    for span in spans:
        key = (span.operation.device.name, span.kernel, span.operation.cost.dtype)
        groups.setdefault(key, []).append(span)
    rows = [
        ProfileRow(
            device, kernel, dtype, len(members), sum(s.seconds for s in members),
            round(sum(s.bytes for s in members)), round(sum(s.flops for s in members)), tuple(members),
        )
        for (device, kernel, dtype), members in groups.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: row.seconds, reverse=True)


def table_of(rows: Sequence[ProfileRow], width: int) -> str:
    """The rows in columns, kernels' names cut to `width` characters."""
    total = sum(row.seconds for row in rows)
    note = ""
    try:
        shares = [row.share for row in rows]
    except DeviceError as error:  # a device that is full, say, is no reason to withhold what was measured
        shares, note = [math.nan] * len(rows), f"\n\nthe device's best could not be measured: {error}"
    several = len({row.device for row in rows}) > 1
    headings = ("KERNEL", *(["DEVICE"] if several else []), "DTYPE", "CALLS", "MS", "%", "GB/S", "GFLOPS", "OF FLOOR")
    cells = [headings]
    for row, share in zip(rows, shares, strict=True):
        cells.append((
            _cut(row.kernel, width), *([row.device] if several else []), row.dtype.name, str(row.calls),
            f"{row.seconds * 1e3:.3f}", _number(100 * row.seconds / total if total else math.nan, ".1f"),
            _number(row.bytes_per_second / 1e9, ".1f"),
            _number(row.flops_per_second / 1e9 if row.flops else math.nan, ".1f"), _number(100 * share, ".0f", "%"),
        ))  # fmt: skip
    texts = 2 + several
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        aligned = [c.ljust(w) if k < texts else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))]
        lines.append("  ".join(aligned))
    return "\n".join(lines) + note


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 3] + "..."


def _number(value: float, form: str, unit: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{form}}{unit}"
