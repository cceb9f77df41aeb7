"""GPUs by the names that compilers give them: what drivers say of such a device, and what a compute unit of it has."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pyopencl as cl

from needle.backend.opencl.shapes.defaults import gpu_launch_shape
from needle.backend.opencl.shapes.launch_shape import LaunchShape


@dataclass(frozen=True)
class Target:
    """A GPU. What it lacks (dtypes by their OpenCL name) no kernel needs to be compiled for."""

    name: str
    card: str
    vendor: str
    units: int
    local_bytes: int  # the most local memory of a work-group
    unit_local_bytes: int  # local memory of a compute unit, for all its work-groups
    registers: int  # of a compute unit, for all its work-items; on Intel, hardware threads of a unit
    most_items: int  # work-items that a compute unit holds at once
    most_registers: int  # of a work-item
    granularity: int  # registers of a work-item are given out in so many
    lacks: tuple[str, ...] = ()

    @property
    def launch_shape(self) -> LaunchShape:
        """The launch shape that needle gives such a device."""
        described = SimpleNamespace(
            vendor=self.vendor, max_compute_units=self.units, local_mem_size=self.local_bytes,
            max_work_group_size=512 if self.is_intel else 1024, extensions="cl_khr_fp64", name=self.card,
        )  # fmt: skip
        return gpu_launch_shape(cast(cl.Device, described))

    @property
    def is_intel(self) -> bool:
        return self.vendor.startswith("Intel")

    def groups_in_flight(self, items: int, registers: int, local_bytes: int, simd: int) -> int:
        """The work-groups of so many work-items that a compute unit holds at once, by what each of them takes."""
        if self.is_intel:
            fits = self.registers // -(-items // max(1, simd))
        else:
            given = -(-max(1, registers) // self.granularity) * self.granularity
            fits = min(self.registers // (given * -(-items // 32) * 32), self.most_items // items)
        return min(fits, self.unit_local_bytes // local_bytes if local_bytes else fits)


_K = 1 << 10
_NVIDIA, _AMD, _INTEL = "NVIDIA Corporation", "Advanced Micro Devices, Inc.", "Intel(R) Corporation"

#: By name. NVIDIA's by compute capability, AMD's by LLVM's processor, Intel's by the name of the family.
TARGETS = {
    target.name: target
    for target in (
        Target("sm_75", "RTX 2080", _NVIDIA, 46, 48 * _K, 64 * _K, 64 * _K, 1024, 255, 8),
        Target("sm_86", "RTX 3060", _NVIDIA, 28, 48 * _K, 100 * _K, 64 * _K, 1536, 255, 8),
        Target("sm_90", "H100", _NVIDIA, 132, 48 * _K, 228 * _K, 64 * _K, 2048, 255, 8),
        Target("gfx906", "Radeon VII", _AMD, 60, 64 * _K, 64 * _K, 64 * _K, 2560, 256, 4),
        Target("gfx1030", "RX 6800", _AMD, 60, 64 * _K, 64 * _K, 64 * _K, 1024, 256, 8),
        Target("gfx1100", "RX 7900", _AMD, 96, 64 * _K, 64 * _K, 96 * _K, 1024, 256, 24),
        Target("dg2", "Arc A770", _INTEL, 512, 64 * _K, 128 * _K, 128, 2048, 128, 128, ("double",)),
        Target("tgllp", "Iris Xe", _INTEL, 96, 64 * _K, 64 * _K, 112, 1792, 128, 128, ("double",)),
    )
}
