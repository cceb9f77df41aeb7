"""The launch shapes of CPUs and of GPUs, made from what a device says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyopencl as cl

from needle.backend.opencl.shapes.launch_shape import LEAST_BLOCK_BYTES, LaunchShape

#: Local memory of the largest register tiles, of doubles: of two operands two steps each.
_REGISTER_TILES_BYTES = 36 << 10

#: PoCL puts LLVM's name of the processor into a device's version. These words mark the processors with AVX-512.
#: PoCL reports the vectors that the hardware has. An older LLVM may take a new processor for its predecessor and
#: generate code for shorter vectors; vectors twice as long as its target's have crashed it.
_AVX512_NAMES = (
    "avx512", "icelake", "tigerlake", "rocketlake", "cascadelake", "cooperlake", "cannonlake", "sapphirerapids",
    "emeraldrapids", "graniterapids", "znver4", "znver5",
)  # fmt: skip


def cpu_vector_bytes(device: cl.Device) -> int:
    """Bytes of the vector registers that the compiler of a CPU device generates code for."""
    if "pocl" in device.version.lower() and device.native_vector_width_float == 16:
        return 64 if any(name in device.version for name in _AVX512_NAMES) else 32
    return 4 * max(4, device.native_vector_width_float)


def cpu_launch_shape(device: cl.Device) -> LaunchShape:
    """A CPU's launch shape: one work-item a work-group, vectors as long as the registers, many work-groups a core.

    The many work-groups even out the time that other processes take from a core.
    """
    units = device.max_compute_units
    return LaunchShape(
        vector_bytes=cpu_vector_bytes(device), local_size=1, groups=128 * units, wide_index=True,
        cores=units, fold_columns=128, held_launches=32, matmul_group=_matmul_group(_local_size(device)),
        streamed_bytes=max(16 << 20, device.global_mem_cache_size // 2), **_matmul_on_cpu(device),
    ).fitting(device)  # fmt: skip


def gpu_launch_shape(device: cl.Device) -> LaunchShape:
    """A GPU's launch shape: work-groups of up to 256 work-items, each on scalars, and products in local memory."""
    local = _local_size(device)
    return LaunchShape(
        vector_bytes=4, local_size=local, groups=32 * device.max_compute_units, wide_index=False,
        cores=device.max_compute_units, matmul_group=_matmul_group(local), matmul_sums=_matmul_sums(device),
    ).fitting(device)  # fmt: skip


def default_launch_shape(device: cl.Device) -> LaunchShape:
    """The launch shape for an OpenCL device, from what it says of itself.

    A CPU has a GPU's if its driver makes vectors of neighbouring work-items, as Mesa's llvmpipe does.
    """
    has_vectors = device.type & cl.device_type.CPU and device.native_vector_width_float > 1
    return cpu_launch_shape(device) if has_vectors else gpu_launch_shape(device)


#: Launch shapes that have a name, for any device: a CPU can run the kernels as a GPU does, to look for a fault in them.
NAMED: Mapping[str, Callable[[cl.Device], LaunchShape]] = {
    "default": default_launch_shape,
    "cpu": cpu_launch_shape,
    "gpu": gpu_launch_shape,
}


def _local_size(device: cl.Device) -> int:
    """The largest power of two that is a work-group on `device`, up to 256."""
    return 1 << (min(256, device.max_work_group_size).bit_length() - 1)


def _matmul_group(local_size: int) -> int:
    """The side of the largest square of work-items, a power of two, that fits into such a work-group."""
    return 1 << ((local_size.bit_length() - 1) // 2)


def _matmul_sums(device: cl.Device) -> int:
    """The sums of a product that a work-item of a GPU holds in registers.

    Of 128 registers of 32 bytes, which a hardware thread of Intel's has for 16 work-items, 64 sums would take all.
    """
    if device.local_mem_size < _REGISTER_TILES_BYTES:
        return 0
    return 32 if "intel" in device.vendor.lower() else 64


def _matmul_on_cpu(device: cl.Device) -> dict[str, int]:
    """How a CPU multiplies matrices, by its vector registers, its cores and its local memory."""
    local_bytes = device.local_mem_size
    if cpu_vector_bytes(device) == 64 and local_bytes >= 2 << 20:  # PoCL reports the size of the second-level cache
        return {"matmul_rows": 14, "matmul_depth": 384, "matmul_block_bytes": 1 << 20}
    block_bytes = min(1 << 18, 1 << ((local_bytes // 2).bit_length() - 1))
    if block_bytes < LEAST_BLOCK_BYTES:
        return {}  # too little for packed blocks: tiles serve
    has_32_registers = cpu_vector_bytes(device) == 64 or any(n in device.name.lower() for n in ("arm", "aarch64"))
    return {
        "matmul_rows": 14 if has_32_registers else 6,
        "matmul_depth": 256 if local_bytes >= 3 << 16 else 64,
        "matmul_block_bytes": block_bytes,
    }
