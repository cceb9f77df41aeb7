"""The launchers of `cl/random.cl`: random numbers that are the same on every device."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.types import cl_type
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, float16, float32, float64

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG, _ULONG = np.dtype(np.int64), np.dtype(np.uint64)
_BATCH = 64  # counter blocks that a CPU's work-item makes at once
_GRAIN = 1 << 12  # numbers that are worth a work-group of their own on a CPU

Arguments = Sequence[ArrayView]
Defines = dict[str, "str | int"]


@launches("random_uniform")
def _uniform(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape, dtype: DType,
    seed: int, offset: int, low: float, high: float, last: float,
) -> None:  # fmt: skip
    real = _real(dtype)
    scale = float(real.type(high) - real.type(low))
    _numbers(device, outputs[0], 0, seed, offset, (scale, low, last))


@launches("random_normal")
def _normal(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape, dtype: DType,
    seed: int, offset: int, mean: float, std: float,
) -> None:  # fmt: skip
    _numbers(device, outputs[0], 1, seed, offset, (std, mean, 0.0))


def _real(dtype: DType) -> DType:
    return float64 if dtype == float64 else float32


def _numbers(
    device: OpenCLDevice, out: ArrayView, kind: int, seed: int, offset: int, scaling: tuple[float, float, float]
) -> None:
    real = _real(out.dtype)
    bits = {float16: 11, float32: 24, float64: 53}[out.dtype]
    defines: Defines = {"KIND": kind, "T": cl_type(out.dtype), "REAL": cl_type(real), "BITS": bits}
    if out.dtype == float64:
        defines["WIDE"] = 1
    if out.dtype == float16:
        defines["HALF"] = 1
    parameters = (None, _LONG, _ULONG, _ULONG, real, real, real)
    _launch(device, out, "numbers", defines, parameters, (seed, offset, *scaling))


@launches("random_bernoulli")
def _bernoulli(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape,
    seed: int, offset: int, threshold: int,
) -> None:  # fmt: skip
    defines: Defines = {"KIND": 2, "T": "uchar"}
    parameters = (None, _LONG, _ULONG, _ULONG, _ULONG)
    _launch(device, outputs[0], "bernoulli", defines, parameters, (seed, offset, threshold))


def _launch(
    device: OpenCLDevice, out: ArrayView, name: str, defines: Defines,
    parameters: Sequence[DType | None], arguments: tuple[float, ...],
) -> None:  # fmt: skip
    size, local = prod(out.shape), device.launch_shape.local_size
    if size == 0:
        return
    shape = (
        {"LOCAL": local} if local > 1 else {"LOCAL": 1, "LANES": min(8, device.launch_shape.width(8)), "BATCH": _BATCH}
    )
    kernel = device.kernel("random.cl", name, defines | shape, parameters)
    groups = min(device.launch_shape.groups, -(-size // (_GRAIN if local == 1 else 4 * local)))
    device.launch(kernel, (groups,), (local,), out.buffer, size, *arguments)
