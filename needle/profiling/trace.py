"""A profile as a file for chrome://tracing and https://ui.perfetto.dev."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from needle.profiling.rows import Span

_DEVICE_TRACK = 0


def events_of(spans: Sequence[Span], origin: float) -> list[dict[str, Any]]:
    """The Trace Event Format's events: a process for each device, in it a track for what the device runs and
    one for each host thread that enqueues. Times are microseconds since `origin`, on the host's clock.
    """
    processes: dict[str, int] = {}
    tracks: dict[tuple[int, str], int] = {}
    events: list[dict[str, Any]] = []
    operations = set()
    for span in spans:
        operation = span.operation
        name, thread = operation.device.name, operation.thread
        if name not in processes:
            processes[name] = len(processes) + 1
            events.append(_named("process_name", processes[name], _DEVICE_TRACK, name))
            events.append(_named("thread_name", processes[name], _DEVICE_TRACK, "device: runs"))
        process = processes[name]
        if (process, thread) not in tracks:
            tracks[process, thread] = len(tracks) + 1
            events.append(_named("thread_name", process, tracks[process, thread], f"host: enqueues ({thread})"))
        track = tracks[process, thread]
        if id(operation) not in operations:
            operations.add(id(operation))
            host = (operation.begin / 1e9, operation.end / 1e9)
            events.append(_complete(operation.cost.kind, process, track, host, origin))
        details = {
            "shape": list(operation.cost.shape), "dtype": operation.cost.dtype.name,
            "bytes": round(span.bytes), "flops": round(span.flops),
        }  # fmt: skip
        events.append(_complete(span.kernel, process, track, span.enqueue, origin))
        events.append(_complete(span.kernel, process, _DEVICE_TRACK, span.run, origin, details))
    return events


def _named(what: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": track, "args": {"name": name}}


def _complete(
    name: str, process: int, track: int, times: tuple[float, float], origin: float, details: Any = None
) -> dict[str, Any]:
    begin, end = times
    return {
        "ph": "X", "name": name, "pid": process, "tid": track,
        "ts": round((begin - origin) * 1e6, 3), "dur": round((end - begin) * 1e6, 3), "args": details or {},
    }  # fmt: skip
