"""Whether a device computes in half though its driver does not say so, as NVIDIA's do not: found by trying."""

from __future__ import annotations

import numpy as np
import pyopencl as cl

from needle.backend.opencl.building import programs

#: What fused expressions do with a half: read it as it is stored, widen it, round it, store it.
_KERNEL = """
DEFINE_LOOSE(half)
__kernel void probe(__global const half *x, __global half *y) {
    const size_t i = get_global_id(0);
    const half value = *(__global const LOOSE(half) *)(x + i);
    const half doubled = CAST(half, WIDEN(half, value) * 2.0f);
    *(__global LOOSE(half) *)(y + i) = doubled;
}
"""

#: Ordinary numbers, the smallest, one whose double is infinite, and both infinities.
_VALUES = np.array([0.1, -1.5, 2**-24, 40000.0, np.inf, -np.inf, 0.0, 32000.0], np.float16)


def computes_halves(device: cl.Device) -> bool:
    """Whether a kernel on halves compiles for `device`, runs and gives what NumPy does."""
    try:
        context = cl.Context([device])
        queue = cl.CommandQueue(context)
        program = programs.build(context, programs.assemble("types.h", {"T": "half"}) + _KERNEL)
        flags = cl.mem_flags
        source = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=_VALUES)
        target = cl.Buffer(context, flags.WRITE_ONLY, _VALUES.nbytes)
        program.probe(queue, _VALUES.shape, None, source, target)
        doubled = np.empty_like(_VALUES)
        cl.enqueue_copy(queue, doubled, target)
    except (cl.Error, AttributeError):
        return False
    with np.errstate(over="ignore"):
        return bool(np.array_equal(doubled, _VALUES * np.float16(2)))
