"""The least time that a case could take: its bytes over the copy bandwidth, its operations over the peak rate.

Both are measured on the spot. Bandwidth: 256 MiB copied between warm buffers, by needle on the device or, if that is
a CPU, by NumPy with a thread a core, the faster of them; bytes read and written counted. Peak: the best rate that any
library reaches in float32 matrix products, in a probe or in a case.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

import needle as ndl
from benchmarks.peers.base import Library

COPIED_BYTES = 256 << 20
PROBED_SIZES = (1024, 2048)


@dataclass(frozen=True)
class Floors:
    """What the machine can do."""

    bandwidth: float  # bytes a second
    peak: float  # floating-point operations a second

    def seconds(self, traffic: float, flops: float) -> float:
        """The least time for so many bytes and operations."""
        return max(traffic / self.bandwidth, flops / self.peak)


def best_seconds(work: Callable[[], object], times: int) -> float:
    """The least time of several, after one that warms up."""
    work()
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def copy_bandwidth(device: ndl.Device, quick: bool = False) -> float:
    """Bytes read and written a second by the faster of the copies of warm memory."""
    nbytes = COPIED_BYTES // 8 if quick else COPIED_BYTES
    best = _seconds_on_device(device, nbytes)
    if device.info.kind in ("cpu", "host"):
        best = min(best, _seconds_on_host(nbytes))
    return 2 * nbytes / best


def _seconds_on_device(device: ndl.Device, nbytes: int) -> float:
    source = ndl.zeros((nbytes // 4,), device=device).realize()

    def copy() -> None:
        kept = ndl.asarray(source, copy=True)  # held: memory freed before the copy ran would be lent again
        device.synchronize()
        del kept

    return best_seconds(copy, 7)


def _seconds_on_host(nbytes: int) -> float:
    threads = os.cpu_count() or 1
    sources = np.array_split(np.ones(nbytes // 4, np.float32), threads)
    targets = np.array_split(np.ones(nbytes // 4, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        return best_seconds(lambda: list(pool.map(np.copyto, targets, sources)), 7)


def peak_flops(libraries: Iterable[Library], quick: bool = False) -> float:
    """The best rate of float32 matrix products by any of the libraries."""
    best = 0.0
    for size in PROBED_SIZES[:1] if quick else PROBED_SIZES:
        x = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
        for lib in libraries:
            a = lib.tensor(x)

            def multiply(lib: Library = lib, a: object = a) -> None:
                lib.compute([lib.matmul(a, a)])
                lib.wait()

            best = max(best, 2.0 * size**3 / best_seconds(multiply, 5))
    return best
