"""`needle.profile()`."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType

from needle.backend import registry
from needle.backend.protocol import Device
from needle.backend.tracing import Operation, listen, unlisten
from needle.errors import DeviceError
from needle.profiling.rows import ProfileRow, Span, rows_of, spans_of, table_of
from needle.profiling.trace import events_of

__all__ = ["Profiler", "profile"]


class Profiler:
    """A profile of what devices do inside a `with` block; made by `needle.profile`.

    Every thread's work counts. It can be read after the block, also after one that raised; a profile inside
    another's block, or overlapping it, sees what it would see alone. Each launch is kept: about a kilobyte.
    """

    def __init__(self, *devices: Device) -> None:
        self._devices = devices
        self._stack: ExitStack | None = None
        self._operations: list[Operation] = []
        self._begin = self._end = 0.0

    def __enter__(self) -> Profiler:
        if self._stack is not None:
            raise RuntimeError("a profile serves one `with` block; make another one by needle.profile()")
        self._stack = ExitStack()
        try:
            chosen = self._devices
            if not chosen:
                chosen = tuple(registry.opened_devices(self._listen))
                self._stack.callback(registry.watchers.remove, self._listen)
            for device in chosen:
                self._listen(device)
        except BaseException:
            self._stack.close()
            raise
        self._begin = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._stack is not None
        try:
            self._stack.close()
        finally:
            self._end = time.perf_counter()

    def _listen(self, device: Device) -> None:
        assert self._stack is not None
        listen(device, self._operations.append)
        self._stack.callback(unlisten, device, self._operations.append)

    # -- reading --------------------------------------------------------------------------------

    @cached_property
    def _spans(self) -> list[Span]:
        self._check_ended()
        return spans_of(self._operations)

    def _check_ended(self) -> None:
        if not self._end:
            raise RuntimeError("a profile can be read after its `with` block has ended")

    @cached_property
    def rows(self) -> list[ProfileRow]:
        """The launches by device, kernel and dtype, those that took longest first."""
        return rows_of(self._spans)

    @property
    def wall_seconds(self) -> float:
        """How long the block took, with the wait for the devices at its end."""
        self._check_ended()
        return self._end - self._begin

    @property
    def device_seconds(self) -> float:
        """The devices' time in kernels and transfers, summed."""
        return sum(row.seconds for row in self.rows)

    def table(self, name_width: int = 60) -> str:
        """The rows as text, kernels' names cut to `name_width` characters, with a line of totals.

        Rates are those of the operations' work (see `ProfileRow`). "OF FLOOR" is the share of the device's
        best, which is measured now if it is not known yet.
        """
        if name_width < 10:
            raise ValueError(f"name_width={name_width} must be at least 10")
        calls = sum(row.calls for row in self.rows)
        totals = (
            f"{calls} launches took {self.device_seconds * 1e3:.3f} ms of device time "
            f"in {self.wall_seconds * 1e3:.3f} ms"
        )
        return f"{table_of(self.rows, name_width)}\n\n{totals}" if calls else totals

    def __str__(self) -> str:
        return self.table() if self._end else repr(self)

    def save_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the launches to `path` as JSON for chrome://tracing and https://ui.perfetto.dev.

        Each device is a process with a track for what the device runs and one for each host thread that
        enqueues.
        """
        trace = {"traceEvents": events_of(self._spans, self._begin), "displayTimeUnit": "ms"}
        Path(path).write_text(json.dumps(trace))


def profile(*devices: str | Device) -> Profiler:
    """Take the times of every launch inside a `with` block.

        with needle.profile() as p:
            train(model)
        print(p)
        p.save_trace("trace.json")

    Args:
        devices: the devices to watch, by name or as objects; by default every one that is opened before or
            inside the block.

    Elementwise work belongs to where it is computed: what the block leaves pending is not in its profile.
    The block's end waits for the devices. Raises DeviceError for a device that there is not.
    """
    chosen = dict.fromkeys(registry.device(d) for d in devices)
    for device in chosen:
        if not device.enabled():
            raise DeviceError(f"device {device.name!r} cannot be used: {device.info.problem}")
    return Profiler(*chosen)
