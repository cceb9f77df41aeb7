"""Placing the worker threads of a CPU driver: each on a core of its own, none before the thread that feeds them.

Schedulers like to wake two sleeping threads on one core and take milliseconds to part them, as long as a
whole training step: small products ran at two thirds of their speed on PoCL. A thread per core, pinned, cannot
meet another. But one of them shares its core with Python, which each small kernel would interrupt; threads
scheduled as a batch wait until Python waits. Linux only; elsewhere, and where the driver has fewer or more threads
than the process has cores, nothing is changed. The environment variable NEEDLE_PIN_THREADS=0 turns it off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ENVIRONMENT_VARIABLE = "NEEDLE_PIN_THREADS"

_THREADS = Path("/proc/self/task")


@contextmanager
def one_core_each() -> Iterator[None]:
    """Place the threads that are started within the block, if there is one for each core of this process."""
    if os.environ.get(ENVIRONMENT_VARIABLE) == "0" or not (_THREADS.is_dir() and hasattr(os, "sched_setaffinity")):
        yield
        return
    before = _threads()
    yield
    started = sorted(_threads() - before)
    cores = sorted(os.sched_getaffinity(0))
    if len(started) == len(cores):
        for thread, core in zip(started, cores, strict=True):
            _place(thread, core)


def _threads() -> set[int]:
    return {int(entry.name) for entry in _THREADS.iterdir()}


def _place(thread: int, core: int) -> None:
    with suppress(OSError):  # the thread is gone, or a sandbox forbids it: it runs as it did, only slower
        os.sched_setaffinity(thread, {core})
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
