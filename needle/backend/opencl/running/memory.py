"""Device memory: PyOpenCL's pool of buffers, under a limit, and what is known of it.

The pool keeps a freed buffer for the next request of about its size (sizes are rounded up by at most an
eighth). What it keeps it gives back under pressure: when the device, or the limit, refuses a request.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable

import pyopencl as cl
import pyopencl.tools as cl_tools

from needle.backend.opencl.running import faults, huge_pages, transfer
from needle.backend.protocol import MemoryInfo
from needle.errors import DeviceError, OutOfMemoryError

#: Limits the memory that each device's pool may hold: bytes, or with a suffix ("512M", "2G", "50%").
ENVIRONMENT_VARIABLE = "NEEDLE_MEMORY_LIMIT"

#: The bytes that may come into use before launches are enqueued that wait for their kernels to be compiled.
_MOST_GROWTH = 64 << 20

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(%?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def limit_from_environment(capacity: int) -> int | None:
    """The limit that NEEDLE_MEMORY_LIMIT sets on a device with so many bytes; None where it is not set."""
    text = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not text:
        return None
    match = _AMOUNT.fullmatch(text)
    if match is None or (match[2] and match[3]):
        raise DeviceError(
            f"{ENVIRONMENT_VARIABLE}={text!r} is not an amount of memory; expected bytes, or a number followed by "
            "K, M, G or T (powers of 1024), or by % of the device's memory"
        )
    amount = float(match[1])
    limit = int(amount * capacity / 100 if match[3] else amount * _UNITS[match[2].upper()])
    if limit < 1:
        raise DeviceError(f"{ENVIRONMENT_VARIABLE}={text!r} is {limit} bytes; it must be at least 1")
    return limit


class Memory:
    """The buffers of one queue. Callers hold the device's lock."""

    def __init__(self, device_name: str, queue: cl.CommandQueue, drain: Callable[[], None], limit: int | None) -> None:
        self._device_name = device_name
        self._queue = queue
        self._drain = drain  # waits until all that was launched is done
        self._pool = cl_tools.MemoryPool(cl_tools.ImmediateAllocator(queue))
        self._limit = limit
        self._peak = self._marked = 0
        self._huge_pages = transfer.shares_host_memory(queue.device) and huge_pages.wanted()
        #: The most bytes of one buffer.
        self.largest: int = queue.device.max_mem_alloc_size

    def info(self) -> MemoryInfo:
        """The state of the pool."""
        return MemoryInfo(self._pool.active_bytes, self._pool.managed_bytes, self._peak, self._limit)

    def set_limit(self, limit: int | None) -> None:
        """Let the pool hold at most `limit` bytes from now on; None: as much as the device gives."""
        self._limit = limit
        if limit is not None and self._pool.managed_bytes > limit:
            self.release()

    def reset_peak(self) -> None:
        """Count the peak from the bytes in use now."""
        self._peak = self._pool.active_bytes

    def mark(self) -> None:
        """Count from now on for `has_grown`."""
        self._marked = self._pool.active_bytes

    def has_grown(self) -> bool:
        """Whether much more is in use than at the latest mark: launches that are not enqueued keep their operands."""
        return bool(self._pool.active_bytes - self._marked > _MOST_GROWTH)

    def release(self) -> None:
        """Give the device back what nobody uses, once nothing submitted can still be reading it."""
        self._drain()
        self._pool.free_held()

    def give_back(self) -> None:
        """Give the device back what nobody uses, when nothing is running."""
        self._pool.free_held()

    def allocate(self, nbytes: int) -> cl.MemoryObject:
        """A buffer of `nbytes`. Raises OutOfMemoryError if there is none after all that is unused was freed."""
        if nbytes > self.largest:
            raise self.refusal(f"{nbytes} bytes", nbytes)
        held = self._pool.managed_bytes
        try:
            buffer = self._pool.allocate(nbytes) if self._limit is None else self._attempt(nbytes)
        except cl.Error:  # what it means is found out below
            buffer = None
        if buffer is None:
            buffer = self._allocate_under_pressure(nbytes)
        if self._huge_pages and nbytes >= huge_pages.LEAST and self._pool.managed_bytes != held:
            huge_pages.advise(self._queue, buffer)
        in_use = self._pool.active_bytes
        if in_use > self._peak:
            self._peak = in_use
        return buffer

    def _allocate_under_pressure(self, nbytes: int) -> cl.MemoryObject:
        self.release()
        buffer = self._attempt(nbytes)
        if buffer is None:  # arrays that only garbage in a cycle holds are unused as well
            gc.collect()
            self.release()
            buffer = self._attempt(nbytes)
        if buffer is None:
            raise self.refusal(f"{nbytes} bytes", nbytes)
        return buffer

    def _attempt(self, nbytes: int) -> cl.MemoryObject | None:
        """A buffer, or None if the device or the limit refuses it."""
        if self._limit is not None and self._pool.active_bytes + nbytes > self._limit:
            return None
        try:
            buffer = self._pool.allocate(nbytes)
        except cl.Error as error:
            if faults.lacks_memory(error):
                return None
            if error.code == cl.status_code.INVALID_BUFFER_SIZE:  # the pool made it more than the largest buffer
                return None
            raise
        if self._limit is not None and self._pool.managed_bytes > self._limit:
            self._pool.free_held()  # the new buffer is one beside those kept; they go
            if self._pool.managed_bytes > self._limit:  # the rounded size is too much
                del buffer
                return None
        return buffer

    def refusal(self, what: str, nbytes: int = 0, doubtful: bool = False) -> OutOfMemoryError:
        """The error that says what could not be had, `nbytes` where that is known, and how things stand.

        `doubtful`: it may be that memory was not what the driver lacked.
        """
        info = self.info()
        bound = f"the device has {self._queue.device.global_mem_size} bytes and gives at most {self.largest} at once"
        if info.limit is not None and nbytes <= self.largest:
            bound = f"the limit is {info.limit} bytes (set by {ENVIRONMENT_VARIABLE} or limit_memory)"
        doubt = "; or the kernel needs more registers or local memory than the device has" if doubtful else ""
        return OutOfMemoryError(
            f"{self._device_name} cannot provide {what}: {info.in_use} bytes are in use, "
            f"{info.held - info.in_use} bytes more are held by the pool, and {bound}{doubt}"
        )
