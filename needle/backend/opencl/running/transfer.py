"""Copies between the host and a device that shares its memory, made by the device's own threads.

A CPU's driver copies with one thread, and a fresh NumPy array costs as much again for the pages that the system
must first provide. Here a kernel copies, on all cores, and into memory that earlier results have left behind.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pyopencl as cl

from needle.backend.opencl.kernels.elementwise import expression_arguments, prepare_elementwise
from needle.backend.opencl.kernels.folding import Partial, reading
from needle.backend.protocol import Buffer
from needle.dtypes import DType, Shape
from needle.locks import freed_in_children

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

#: Bytes from which on a kernel's copy is worth more than its launch.
LARGE = 1 << 20

#: The most bytes that host memory keeps for results to come.
KEPT = 1 << 28

#: Bytes of OpenCL's longest vectors.
ALIGNMENT = 128

_WORDS = np.dtype(np.uint32), np.dtype(np.uint8)


def shares_host_memory(device: cl.Device) -> bool:
    """Whether the device computes in the host's memory, so that a kernel reaches a NumPy array."""
    return bool(device.type & cl.device_type.CPU) and bool(device.host_unified_memory)


def host_buffer(context: cl.Context, array: np.ndarray) -> cl.Buffer:
    """The memory of a C-contiguous NumPy array as a buffer, for as long as the array lives."""
    # Not READ_ONLY, even if it is but read: Intel's driver then copies arrays that are not aligned to its liking.
    access = cl.mem_flags.READ_WRITE if array.flags.writeable else cl.mem_flags.READ_ONLY
    return cl.Buffer(context, access | cl.mem_flags.USE_HOST_PTR, hostbuf=array)


def enqueue_copy(
    device: OpenCLDevice, queue: cl.CommandQueue, target: Buffer, source: Buffer, offset: int, nbytes: int
) -> cl.Event:
    """Enqueue a kernel that copies `nbytes` bytes from `offset` in `source` to the start of `target`."""
    word = next(w for w in _WORDS if offset % w.itemsize == 0 and nbytes % w.itemsize == 0)
    shape = (nbytes // word.itemsize,)
    expression = reading(Partial(source, shape, word, offset // word.itemsize))
    outputs = [Partial(target, shape, word)]
    launch = device.prepared(prepare_elementwise, expression.program, 1, ((shape, (1,)),) * 2)
    kernel = device.compiled(launch.kernel)
    kernel.set_args(*launch.arguments, *expression_arguments(expression, outputs))
    return cl.enqueue_nd_range_kernel(queue, kernel, [launch.groups[0] * launch.local[0]], launch.local)


class HostMemory:
    """Memory for results in NumPy arrays. When the last view of one is gone, its memory serves the next."""

    def __init__(self) -> None:
        self._free: dict[int, list[np.ndarray]] = {}
        self._held = 0
        self._lock = freed_in_children(threading.RLock())  # the collector may free a lease while its thread holds this

    def empty(self, shape: Shape, dtype: DType, nbytes: int) -> np.ndarray:
        """An array with undefined contents, which anybody may keep and write into."""
        with self._lock:
            blocks = self._free.get(nbytes)
            block = blocks.pop() if blocks else None
            if block is not None:
                self._held -= nbytes
        if block is None:
            block = _aligned(nbytes)
        return np.asarray(_Lease(block, self._take_back)).view(dtype).reshape(shape)

    def _take_back(self, block: np.ndarray) -> None:
        with self._lock:
            if self._held + block.nbytes <= KEPT:
                self._held += block.nbytes
                self._free.setdefault(block.nbytes, []).append(block)


def _aligned(nbytes: int) -> np.ndarray:
    """Fresh bytes from an address on which vectors of any length are aligned, so that kernels may stream into them."""
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + nbytes]


class _Lease:
    """What NumPy arrays on borrowed memory have as their base; gone when all of them are."""

    def __init__(self, block: np.ndarray, give_back: Any) -> None:
        self.__array_interface__ = block.__array_interface__
        weakref.finalize(self, give_back, block).atexit = False
