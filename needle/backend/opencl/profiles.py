"""Tuning profiles: how the kernels of `cl/` are shaped for a kind of device.

Every number here is a default that a kernel's `.cl` file documents where it is used. A profile only
changes speed, never results' meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyopencl as cl


@dataclass(frozen=True)
class Profile:
    """The shape of launches on one device."""

    vector_bytes: int  # bytes of a work-item's vectors; lanes = bytes / size of the widest element
    local_size: int  # work-items of a group in elementwise and reduction kernels
    groups: int  # most groups a launch is split into; each walks its own stretch
    wide_index: bool  # whether 64-bit indices cost nothing here
    held_launches: int = 0  # launches of one group that may wait to be enqueued with others
    fold_columns: int = 1  # vectors that a work-item folds side by side when it reduces across rows
    fold_unroll: int = 4  # vectors, or rows, that a work-item folds at once if their expression is short
    matmul_rows: int = 0  # rows of matmul's register tile in vectors (CPUs); 0: tiles in local memory (GPUs)
    matmul_cores: int = 1  # compute units that share the blocks of a product
    matmul_depth: int = 256  # most of the summed dimension that a CPU packs at once
    matmul_block_bytes: int = 1 << 18  # local memory for the block of B that a CPU packs; A gets half as much
    matmul_group: int = 16  # work-items along each side of a local-memory tile
    matmul_micro: int = 4  # results along each side of one work-item's share of such a tile

    def width(self, itemsize: int) -> int:
        """Lanes of a vector whose widest element has `itemsize` bytes, at most OpenCL's 16."""
        return max(1, min(16, self.vector_bytes // itemsize))


#: Words in the LLVM processor names, which PoCL puts in a device's version, of those with AVX-512. PoCL
#: reports the vectors that the hardware has; an older LLVM that takes a new processor for its predecessor
#: generates code for shorter ones, and vectors twice as long as the target's have crashed its compiler.
_AVX512_NAMES = (
    "avx512", "icelake", "tigerlake", "rocketlake", "cascadelake", "cooperlake", "cannonlake", "sapphirerapids",
    "emeraldrapids", "graniterapids", "znver4", "znver5",
)  # fmt: skip


def cpu_vector_bytes(device: cl.Device) -> int:
    """Bytes of the vector registers that the compiler of a CPU device generates code for."""
    if "pocl" in device.version.lower() and device.native_vector_width_float == 16:
        return 64 if any(name in device.version for name in _AVX512_NAMES) else 32
    return 4 * max(4, device.native_vector_width_float)


def _matmul_on_cpu(device: cl.Device) -> dict[str, int]:
    """The matmul tunables of a CPU: what its vector registers, its cores and its local memory allow."""
    local_bytes = device.local_mem_size
    has_32_registers = cpu_vector_bytes(device) == 64 or any(n in device.name.lower() for n in ("arm", "aarch64"))
    return {
        "matmul_rows": 14 if has_32_registers else 6,
        "matmul_cores": device.max_compute_units,
        "matmul_depth": 256 if local_bytes >= 3 << 16 else 64,
        "matmul_block_bytes": min(1 << 18, 1 << ((local_bytes // 2).bit_length() - 1)),
    }


def profile_for(device: cl.Device) -> Profile:
    """The profile for an OpenCL device, from what it says of itself."""
    units = device.max_compute_units
    if device.type & cl.device_type.CPU and device.native_vector_width_float > 1:
        # One work-item a group, long vectors: a CPU's lanes are its vector registers. Several groups a
        # core even out what other processes take.
        return Profile(
            vector_bytes=cpu_vector_bytes(device), local_size=1, groups=16 * units, wide_index=True,
            fold_columns=64, held_launches=16, **_matmul_on_cpu(device),
        )  # fmt: skip
    # A GPU, or a CPU whose driver makes its vectors of neighbouring work-items (Mesa's llvmpipe).
    local = 1 << (min(256, device.max_work_group_size).bit_length() - 1)
    matmul_group = 1 << ((local.bit_length() - 1) // 2)
    return Profile(
        vector_bytes=4, local_size=local, groups=32 * units, wide_index=False, matmul_group=min(16, matmul_group)
    )
