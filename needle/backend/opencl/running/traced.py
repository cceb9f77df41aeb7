"""Commands that a tracer is told of, with the times that the device took for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pyopencl as cl

from needle.backend.tracing import Times, Tracer


def recorded(tracer: Tracer, name: str, enqueue: Callable[..., cl.Event], *args: Any) -> cl.Event:
    """Enqueue a command by `enqueue(*args)`, on a queue that takes times, and tell the tracer of it."""
    began = time.perf_counter_ns()
    event = enqueue(*args)
    if event.command_execution_status == cl.command_execution_status.COMPLETE:
        known = _times_of(event)  # and let go of the event: that of a transfer keeps the host's memory alive
        tracer.launched(name, began, lambda: known)
    else:
        tracer.launched(name, began, partial(_times_of, event))
    return event


def _times_of(event: cl.Event) -> Times:
    """When a command that is done was enqueued, started and ended, in ns of the device's clock."""
    times = event.profile
    return times.queued, times.start, times.end
