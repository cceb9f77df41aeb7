"""What Python costs: recording an operation, launching it, and where that time goes."""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import needle as ndl
from benchmarks.figures import Figure
from benchmarks.statistics import spread

ROUNDS, CALLS = 15, 1000
PROFILED_CALLS, PROFILED_LINES = 5000, 18


def microseconds(device: ndl.Device, call: Callable[[], object]) -> float:
    """The median over rounds of the host's time for a call; the device is waited for between rounds, untimed."""
    samples = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        samples.append((time.perf_counter() - began) / CALLS * 1e6)
        device.synchronize()
    return spread(samples[1:]).median  # the first round warms up


def last_launch(device: ndl.Device, work: Callable[[], object]) -> Callable[[], object]:
    """The last launch that `work` makes, ready to be made again: its kernel is built and its arguments are known."""
    launch: Any = device.launch  # type: ignore[attr-defined]
    seen: list[tuple[Any, ...]] = []

    def spy(*arguments: Any) -> None:
        seen.append(arguments)
        launch(*arguments)

    device.launch = spy  # type: ignore[attr-defined]
    try:
        work()
    finally:
        del device.launch  # type: ignore[attr-defined]
    if not seen:
        raise RuntimeError(f"{device.name} launched nothing through its launch method")
    return lambda: launch(*seen[-1])


def measure(device: ndl.Device) -> list[Figure]:
    """The figures, in microseconds of the host's time."""
    values = np.random.default_rng().standard_normal(8, dtype=np.float32)
    x, y = ndl.asarray(values, device=device), ndl.asarray(values, device=device)
    v = ndl.asarray(values, device=device, requires_grad=True)

    def with_gradients() -> None:
        z = v + y
        z.realize()

    figures = [
        Figure("x + y without gradients, recorded", microseconds(device, lambda: x + y), "µs", bar=8),
        Figure("x + y with gradients, recorded", microseconds(device, lambda: v + y), "µs", bar=15),
        Figure("x + y without gradients, recorded and launched", microseconds(device, lambda: (x + y).realize()), "µs"),
        Figure("x + y with gradients, recorded and launched", microseconds(device, with_gradients), "µs"),
    ]
    if hasattr(device, "launch"):
        prepared = last_launch(device, lambda: (x + y).realize())
        figures.insert(2, Figure("a prepared launch", microseconds(device, prepared), "µs", bar=5))
    return figures


def profile(device: ndl.Device) -> str:
    """Where the time of an operation that is recorded and launched goes, function by function."""
    x = ndl.asarray(np.ones(8, np.float32), device=device)
    (x + x).realize()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(PROFILED_CALLS):
        (x + x).realize()
    profiler.disable()
    device.synchronize()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(PROFILED_LINES)
    return text.getvalue()
