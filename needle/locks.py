"""Locks that a forked process finds free: the threads that held them exist in its parent alone."""

from __future__ import annotations

import os
from typing import Any, TypeVar
from weakref import WeakSet

Lock = TypeVar("Lock")

_locks: WeakSet[Any] = WeakSet()


def freed_in_children(lock: Lock) -> Lock:
    """`lock`, of `threading`, which will be free in each process that is forked from now on."""
    _locks.add(lock)
    return lock


def _free() -> None:
    for lock in _locks:
        if lock.acquire(blocking=False):  # it was free, or the thread that goes on here holds it
            lock.release()
        else:
            lock._at_fork_reinit()  # what `threading` and `logging` do with theirs


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
