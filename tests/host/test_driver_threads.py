"""A CPU driver's worker threads, each kept on a core of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from needle.backend.opencl.finding import threads as affinity

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads can be pinned on Linux only")


@contextmanager
def sleeping_threads(count: int) -> Iterator[list[set[int]]]:
    """The cores on which each of `count` threads, started under `one_core_each`, may run."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(count)]
    try:
        with affinity.one_core_each():
            for thread in threads:
                thread.start()
        yield [os.sched_getaffinity(thread.native_id or 0) for thread in threads]
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_as_many_threads_as_cores_get_one_each() -> None:
    cores = os.sched_getaffinity(0)
    with sleeping_threads(len(cores)) as found:
        assert sorted(map(sorted, found)) == [[core] for core in sorted(cores)]
    assert os.sched_getaffinity(0) == cores and os.sched_getscheduler(0) == os.SCHED_OTHER


def test_more_threads_than_cores_are_left_alone() -> None:
    cores = os.sched_getaffinity(0)
    with sleeping_threads(len(cores) + 1) as found:
        assert all(allowed == cores for allowed in found)


def test_the_environment_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(affinity.ENVIRONMENT_VARIABLE, "0")
    cores = os.sched_getaffinity(0)
    with sleeping_threads(len(cores)) as found:
        assert all(allowed == cores for allowed in found)
