"""The numbers that shape launches on one kind of device, and what a device must have to run them.

The `.cl` file that uses a number documents it. A launch shape changes the speed of kernels, never the meaning of their
results. `defaults` makes one from what a device says of itself; `saved` reads what `python -m needle tune` found for a
device, and what the environment variable NEEDLE_LAUNCH_SHAPE names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import pyopencl as cl

from needle.backend.opencl.building.types import is_narrow
from needle.dtypes import DType

#: To be raised when kernels change so much that saved launch shapes no longer serve.
VERSION = 6

#: Tiles of A that are packed at once, at most: a batch of 64 is one block then.
_STRIP = 5

#: The least `matmul_block_bytes`: a few vectors of every type by a few rows.
LEAST_BLOCK_BYTES = 4096

_MAY_BE_0 = ("streamed_bytes", "held_launches", "matmul_rows", "matmul_sums")


@dataclass(frozen=True)
class LaunchShape:
    """The shape of launches on one device. `on_cpu` tells which of two kinds it is; some fields matter to one alone."""

    vector_bytes: int  # bytes of a work-item's vectors; lanes = bytes / size of the widest element
    local_size: int  # work-items of a work-group, products aside; 1 makes it a CPU's launch shape
    groups: int  # most groups a launch is split into; each walks its own stretch
    wide_index: bool  # whether 64-bit indices cost nothing here
    cores: int = 1  # compute units: a CPU's cores, among which work is cut where each part costs; a GPU's, to fill
    streamed_bytes: int = 0  # least size of a result that is written past the caches; 0: none is
    held_launches: int = 0  # launches of one group that may wait to be enqueued with others
    fold_columns: int = 1  # vectors that a work-item folds side by side when it reduces across rows
    fold_unroll: int = 4  # vectors, or rows, that a work-item folds at once if their expression is short
    matmul_rows: int = 0  # rows of matmul's register tile (CPUs); 0: products use tiles in local memory, as on GPUs
    matmul_depth: int = 256  # of the summed dimension, what a CPU packs at once where it does not pack all of it
    matmul_block_bytes: int = 1 << 18  # local memory for the block of B that a CPU packs; A gets half as much
    matmul_group: int = 16  # work-items along each side of a local-memory tile
    matmul_micro: int = 4  # results along each side of one work-item's share of such a tile
    matmul_sums: int = (
        0  # sums of floats that a GPU's work-item holds in registers: 64, 32, 16; 0: tiles as above serve
    )

    @property
    def on_cpu(self) -> bool:
        """Whether a work-group is one work-item that computes on vectors; on a GPU it is many, side by side."""
        return self.local_size == 1

    @property
    def matmul_packs(self) -> bool:
        """Whether products run on blocks that are packed for register tiles, rather than on tiles in local memory."""
        return self.on_cpu and self.matmul_rows > 0

    def matmul_packs_dtype(self, dtype: DType) -> bool:
        """Whether products of `dtype` do so, too. Packed blocks are summed in their own type, halves in floats."""
        return self.matmul_packs and not is_narrow(dtype)

    def width(self, itemsize: int) -> int:
        """Lanes of a vector whose widest element has `itemsize` bytes, at most OpenCL's 16."""
        return max(1, min(16, self.vector_bytes // itemsize))

    def streams(self, nbytes: int) -> bool:
        """Whether a result of `nbytes` is written past the caches, too small to keep it for its next reader."""
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
        _expect(self.matmul_sums in (0, 16, 32, 64), "matmul_sums", self.matmul_sums, "0, 16, 32 or 64")
        unroll, rows, block = self.fold_unroll, self.matmul_rows, self.matmul_block_bytes
        _expect(_is_power(unroll) and unroll <= 16, "fold_unroll", unroll, "a power of two of at most 16")
        _expect(rows == 0 or rows >= 4, "matmul_rows", rows, "0, or at least 4")
        expected = f"a power of two of at least {LEAST_BLOCK_BYTES}"
        _expect(_is_power(block) and block >= LEAST_BLOCK_BYTES, "matmul_block_bytes", block, expected)
        needed, there = self._matmul_local_bytes(device), device.local_mem_size
        name = "matmul_block_bytes" if self.matmul_packs else "matmul_micro"
        expected = f"smaller: products would take {needed} bytes of local memory, of which the device has {there}"
        _expect(needed <= there, name, getattr(self, name), expected)

    def matmul_deepest(self, itemsize: int) -> int:
        """The longest summed dimension that a CPU packs whole: a strip of A then takes a quarter of the block of B."""
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
        field, launch_shape = "matmul_depth" if self.matmul_packs else "matmul_group", self
        while launch_shape._matmul_local_bytes(device) > device.local_mem_size and getattr(launch_shape, field) > 1:
            launch_shape = replace(launch_shape, **{field: getattr(launch_shape, field) // 2})
        return launch_shape

    def _matmul_local_bytes(self, device: cl.Device) -> int:
        """Local memory that the kernel of matrix products takes at most."""
        if self.matmul_packs:
            tile = max(self.matmul_tile_bytes(itemsize) for itemsize in (1, 2, 4, 8))
            return self.matmul_block_bytes + max(self.matmul_block_bytes // 2, tile)
        itemsize = 8 if "cl_khr_fp64" in device.extensions.split() else 4
        return 2 * 16 * (self.matmul_group * self.matmul_micro + 1) * itemsize


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0


def _expect(fine: object, field: str, value: object, expected: str) -> None:
    if not fine:
        raise ValueError(f"{field}={value!r} must be {expected}")
