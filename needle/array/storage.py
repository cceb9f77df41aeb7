"""The memory behind arrays, and the pending arrays that still have to read it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import ReferenceType

from needle.backend import recordings
from needle.backend.protocol import Buffer
from needle.locks import freed_in_children

if TYPE_CHECKING:
    from needle.array.ndarray import NDArray

#: Held while a list of readers is pruned. A thread that finds it taken prunes at a later occasion.
_pruning = freed_in_children(threading.Lock())


class Readers:
    """Weak references to the pending arrays that still have to read an array."""

    __slots__ = ("_limit", "_references")

    def __init__(self) -> None:
        self._references: list[ReferenceType[NDArray]] = []
        self._limit = 64

    def add(self, reference: ReferenceType[NDArray]) -> None:
        """Add a pending array; now and then drop those that are gone or computed."""
        references = self._references
        references.append(reference)
        if len(references) > self._limit and _pruning.acquire(blocking=False):
            try:
                known = references[:]  # what other threads add meanwhile comes after these, and stays
                references[: len(known)] = [r for r in known if (a := r()) is not None and a._pending is not None]
                self._limit = 64 + 2 * len(references)
            finally:
                _pruning.release()

    def __bool__(self) -> bool:
        """Whether there may be any: those that are gone or computed count until they are dropped."""
        return bool(self._references)

    def move_to(self, other: Readers) -> None:
        """Hand all readers over to `other`."""
        references, self._references = self._references, []
        for reference in references:
            other.add(reference)

    def take(self) -> list[NDArray]:
        """The arrays that are still there, which are then no longer kept."""
        references, self._references = self._references, []  # what another thread adds from now on is kept
        return [array for array in (reference() for reference in references) if array is not None]


class Storage:
    """A buffer shared by views, and the pending arrays that still have to read it."""

    __slots__ = ("__weakref__", "buffer", "host_bounds", "readers", "version")

    def __init__(self, buffer: Buffer, host_bounds: tuple[int, int] | None = None) -> None:
        self.buffer = buffer
        self.readers = Readers()
        #: Smallest and largest element, while it is known that integers from the host have not been overwritten.
        self.host_bounds = host_bounds
        #: How often elements have been overwritten.
        self.version = 0
        if recordings.active and (recording := recordings.current()) is not None:
            recording.stored(self)

    def note_write(self) -> None:
        """Elements have been overwritten."""
        self.host_bounds = None
        self.version += 1
        if recordings.active and (recording := recordings.current()) is not None:
            recording.wrote(self)
