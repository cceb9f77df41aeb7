"""Tuning launch shapes: how the kernels of `cl/` are shaped for a kind of device.

Every number here is a default that a kernel's `.cl` file documents where it is used. A launch shape only
changes speed, never results' meaning. There are two, for CPUs and for GPUs, in `default_launch_shape`. What
`python -m needle tune` finds for a device overrides them, and so does a file that the environment variable
NEEDLE_LAUNCH_SHAPE names (see `saved`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import pyopencl as cl

#: To be raised when kernels change so much that saved launch shapes no longer serve.
VERSION = 5

#: Tiles of A that are packed at once, at most: a batch of 64 is one block then.
_STRIP = 5

_MAY_BE_0 = ("streamed_bytes", "held_launches", "matmul_rows")


@dataclass(frozen=True)
class LaunchShape:
    """The shape of launches on one device."""

    vector_bytes: int  # bytes of a work-item's vectors; lanes = bytes / size of the widest element
    local_size: int  # work-items of a group in elementwise and reduction kernels
    groups: int  # most groups a launch is split into; each walks its own stretch
    wide_index: bool  # whether 64-bit indices cost nothing here
    cores: int = 1  # compute units of a CPU, among which work is cut where each part costs something
    streamed_bytes: int = 0  # least size of a result that is written past the caches; 0: none is
    held_launches: int = 0  # launches of one group that may wait to be enqueued with others
    fold_columns: int = 1  # vectors that a work-item folds side by side when it reduces across rows
    fold_unroll: int = 4  # vectors, or rows, that a work-item folds at once if their expression is short
    matmul_rows: int = 0  # rows of matmul's register tile in vectors (CPUs); 0: tiles in local memory (GPUs)
    matmul_depth: int = 256  # of the summed dimension, what a CPU packs at once where it does not pack all of it
    matmul_block_bytes: int = 1 << 18  # local memory for the block of B that a CPU packs; A gets half as much
    matmul_group: int = 16  # work-items along each side of a local-memory tile
    matmul_micro: int = 4  # results along each side of one work-item's share of such a tile

    def width(self, itemsize: int) -> int:
        """Lanes of a vector whose widest element has `itemsize` bytes, at most OpenCL's 16."""
        return max(1, min(16, self.vector_bytes // itemsize))

    def streams(self, nbytes: int) -> bool:
        """Whether a result of that size goes past the caches, too small to keep it for whoever reads it next."""
        return 0 < self.streamed_bytes <= nbytes

    def check(self, device: cl.Device) -> None:
        """Raise ValueError, naming the field, its value and what is expected, unless `device` can run this."""
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name in _MAY_BE_0 else 1
            if field.name == "wide_index":
                _expect(isinstance(value, bool), field.name, value, "true or false")
            else:
                _expect(type(value) is int and value >= least, field.name, value, f"an integer of at least {least}")
        lanes, items, tile = self.vector_bytes, self.local_size, self.matmul_group
        _expect(_is_power(lanes) and 4 <= lanes <= 128, "vector_bytes", lanes, "a power of two from 4 to 128")
        most = device.max_work_group_size
        expected = f"a power of two of at most {most}, the device's largest work-group"
        _expect(_is_power(items) and items <= most, "local_size", items, expected)
        expected = f"a power of two, and smaller: its square is a work-group, and the device's largest is {most}"
        _expect(_is_power(tile) and tile * tile <= most, "matmul_group", tile, expected)
        unroll, rows, block = self.fold_unroll, self.matmul_rows, self.matmul_block_bytes
        _expect(_is_power(unroll) and unroll <= 16, "fold_unroll", unroll, "a power of two of at most 16")
        _expect(rows == 0 or rows >= 4, "matmul_rows", rows, "0, or at least 4")
        _expect(_is_power(block) and block >= 4096, "matmul_block_bytes", block, "a power of two of at least 4096")
        needed, there = self._matmul_local_bytes(device), device.local_mem_size
        name = "matmul_block_bytes" if self.matmul_rows else "matmul_micro"
        expected = f"smaller: products would take {needed} bytes of local memory, of which the device has {there}"
        _expect(needed <= there, name, getattr(self, name), expected)

    def matmul_deepest(self, itemsize: int) -> int:
        """The longest summed dimension that a CPU packs whole: a strip of A is a quarter as large as the block of B."""
        strip = self.matmul_block_bytes // 4 // max(1, _STRIP * self.matmul_rows * itemsize)
        return max(self.matmul_depth, strip // 16 * 16)

    def matmul_strip(self, itemsize: int) -> int:
        """How many tiles of A a CPU packs at once."""
        return max(1, min(_STRIP, self.matmul_block_bytes // 2 // self.matmul_tile_bytes(itemsize)))

    def matmul_tile_bytes(self, itemsize: int) -> int:
        """Local memory that a tile of A takes when a CPU packs it, by rows or by columns (`cl/matmul_pack.h`)."""
        lanes, depth = self.width(itemsize), self.matmul_deepest(itemsize)
        column = -(-self.matmul_rows // lanes) * lanes
        return max(self.matmul_rows * (depth + 16), column * depth + 16) * itemsize

    def fitting(self, device: cl.Device) -> LaunchShape:
        """This launch shape, with products in tiles that are small enough for the local memory of `device`."""
        field, launch_shape = "matmul_depth" if self.matmul_rows else "matmul_group", self
        while launch_shape._matmul_local_bytes(device) > device.local_mem_size and getattr(launch_shape, field) > 1:
            launch_shape = replace(launch_shape, **{field: getattr(launch_shape, field) // 2})
        return launch_shape

    def _matmul_local_bytes(self, device: cl.Device) -> int:
        """Local memory that the kernel of matrix products takes at most."""
        if self.matmul_rows:
            tile = max(self.matmul_tile_bytes(itemsize) for itemsize in (1, 2, 4, 8))
            return self.matmul_block_bytes + max(self.matmul_block_bytes // 2, tile)
        itemsize = 8 if "cl_khr_fp64" in device.extensions.split() else 4
        return 2 * 16 * (self.matmul_group * self.matmul_micro + 1) * itemsize


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0


def _expect(fine: object, field: str, value: object, expected: str) -> None:
    if not fine:
        raise ValueError(f"{field}={value!r} must be {expected}")


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
    if cpu_vector_bytes(device) == 64 and local_bytes >= 2 << 20:  # that is PoCL's word for the second-level cache
        return {"matmul_rows": 14, "matmul_depth": 384, "matmul_block_bytes": 1 << 20}
    has_32_registers = cpu_vector_bytes(device) == 64 or any(n in device.name.lower() for n in ("arm", "aarch64"))
    return {
        "matmul_rows": 14 if has_32_registers else 6,
        "matmul_depth": 256 if local_bytes >= 3 << 16 else 64,
        "matmul_block_bytes": min(1 << 18, 1 << ((local_bytes // 2).bit_length() - 1)),
    }


def default_launch_shape(device: cl.Device) -> LaunchShape:
    """The launch shape for an OpenCL device, from what it says of itself."""
    units = device.max_compute_units
    local = 1 << (min(256, device.max_work_group_size).bit_length() - 1)
    matmul_group = 1 << ((local.bit_length() - 1) // 2)
    if device.type & cl.device_type.CPU and device.native_vector_width_float > 1:
        # One work-item a group, long vectors: a CPU's lanes are its vector registers. Many groups a
        # core even out what other processes take.
        launch_shape = LaunchShape(
            vector_bytes=cpu_vector_bytes(device), local_size=1, groups=128 * units, wide_index=True,
            cores=units, fold_columns=128, held_launches=32, matmul_group=matmul_group,
            streamed_bytes=max(16 << 20, device.global_mem_cache_size // 2), **_matmul_on_cpu(device),
        )  # fmt: skip
        return launch_shape.fitting(device)
    # A GPU, or a CPU whose driver makes its vectors of neighbouring work-items (Mesa's llvmpipe).
    launch_shape = LaunchShape(
        vector_bytes=4, local_size=local, groups=32 * units, wide_index=False, matmul_group=matmul_group
    )
    return launch_shape.fitting(device)
