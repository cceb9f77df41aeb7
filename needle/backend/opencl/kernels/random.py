"""The launchers of `cl/random.cl`: random numbers that are the same on every device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, compute_dtype

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG, _ULONG = np.dtype(np.int64), np.dtype(np.uint64)
_BATCH = 64  # counter blocks that a CPU's work-item makes at once
_GRAIN = 1 << 12  # numbers that are worth a work-group of their own on a CPU

Arguments = Sequence[ArrayView]
Defines = dict[str, "str | int"]


def _uniform(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape, dtype: DType,
    seed: int, offset: int, low: float, high: float, last: float,
) -> None:  # fmt: skip
    real = compute_dtype(dtype).type
    scale = float(real(high) - real(low))
    _numbers(device, outputs[0], 0, seed, offset, (scale, low, last))


def _normal(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape, dtype: DType,
    seed: int, offset: int, mean: float, std: float,
) -> None:  # fmt: skip
    _numbers(device, outputs[0], 1, seed, offset, (std, mean, 0.0))


def _numbers(
    device: OpenCLDevice, out: ArrayView, kind: int, seed: int, offset: int, scaling: tuple[float, float, float]
) -> None:
    real = compute_dtype(out.dtype)
    defines: Defines = {"KIND": kind, **element_defines(out.dtype)}
    parameters = (None, _LONG, _ULONG, _ULONG, real, real, real)
    _launch(device, out, "numbers", defines, parameters, (seed, offset, *scaling))


def _bernoulli(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape,
    seed: int, offset: int, threshold: int,
) -> None:  # fmt: skip
    defines: Defines = {"KIND": 2, **element_defines(outputs[0].dtype)}
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


PRIMITIVES: Mapping[str, Callable[..., None]] = {
    "random_uniform": _uniform,
    "random_normal": _normal,
    "random_bernoulli": _bernoulli,
}
