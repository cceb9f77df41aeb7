"""How fast a device is at best: measured by the library's own kernels, once a process, when it is first asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

from needle.array import NDArray, evaluation
from needle.array.operators import TABLE
from needle.backend.protocol import Device
from needle.backend.tracing import Stopwatch, stopwatch
from needle.dtypes import DType, float32, is_float
from needle.locks import freed_in_children

#: Bytes of the array that is copied: larger than the caches that a device may have.
_COPIED = 1 << 27
#: Rows of the largest matrices that are multiplied.
_LARGEST = 4096
#: Seconds after which a measurement is long enough.
_LONG_ENOUGH = 0.01
_REPEATS = 5
#: Seconds by the clock after which no larger size is tried: some drivers' own times are far too short.
_PATIENCE = 0.25

_lock = freed_in_children(threading.RLock())
_bandwidths: WeakKeyDictionary[Device, float] = WeakKeyDictionary()
_rates: WeakKeyDictionary[Device, dict[DType, float]] = WeakKeyDictionary()


def bandwidth(device: Device) -> float:
    """Bytes a second, read and written, of copying an array too large for caches."""
    with _lock:
        if device not in _bandwidths:
            _bandwidths[device] = _measure_bandwidth(device)
        return _bandwidths[device]


def arithmetic_rate(device: Device, dtype: DType) -> float:
    """Operations a second of a product of square matrices of `dtype`; of one that is no float, of float32."""
    dtype = dtype if is_float(dtype) else float32
    with _lock:
        rates = _rates.setdefault(device, {})
        if dtype not in rates:
            rates[dtype] = _measure_rate(device, dtype)
        return rates[dtype]


def _measure_bandwidth(device: Device) -> float:
    # A slow device, as a simulator is, stops at a size that takes it long; its memory bounds the largest.
    most = min(_COPIED, device.info.memory // 16) if device.info.memory else _COPIED
    nbytes = 1 << 15
    patience = time.perf_counter() + _PATIENCE
    with stopwatch(device) as seconds_of:
        while True:
            source = NDArray.from_numpy(np.ones(nbytes // 4, float32), device)
            seconds = _fewest(seconds_of, partial(evaluation.copy, source))
            if 8 * nbytes > most or seconds > 4 * _LONG_ENOUGH or time.perf_counter() > patience:
                return 2 * nbytes / seconds
            nbytes *= 8


def _measure_rate(device: Device, dtype: DType) -> float:
    best, n = 0.0, 64
    patience = time.perf_counter() + _PATIENCE
    with stopwatch(device) as seconds_of:
        while True:
            x = NDArray.from_numpy(np.ones((n, n), dtype), device)
            seconds = _fewest(seconds_of, partial(TABLE["matmul"], x, x))
            best = max(best, 2 * n**3 / seconds)
            if n >= _LARGEST or seconds > _LONG_ENOUGH or time.perf_counter() > patience:
                return best
            n *= 2


def _fewest(seconds_of: Stopwatch, work: Callable[[], object]) -> float:
    """The fewest seconds that `work` takes, warm."""
    seconds_of(work)
    return max(1e-9, min(seconds_of(work) for _ in range(_REPEATS)))
