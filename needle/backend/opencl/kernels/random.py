"""The launchers of `cl/random.cl`: random numbers that are the same on every device."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels import costs
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, bool_, compute_dtype

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG, _ULONG = np.dtype(np.int64), np.dtype(np.uint64)
_BATCH = 64  # counter blocks that a CPU's work-item makes at once
_NUMBERS = Grain(group=1 << 12, item=4, whole=4, rounded_up=True)  # a GPU's work-item makes a counter block: 4 numbers
_MOST_ITEMS = 64  # of a GPU's work-group, each of which makes several numbers

Arguments = Sequence[ArrayView]
Defines = dict[str, "str | int"]


@launches("random_uniform")
def _uniform(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape, dtype: DType,
    seed: int, offset: int, low: float, high: float, last: float,
) -> None:  # fmt: skip
    real = compute_dtype(dtype).type
    scale = float(real(high) - real(low))
    _numbers(device, outputs[0], 0, seed, offset, (scale, low, last))


@launches("random_normal")
def _normal(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape, dtype: DType,
    seed: int, offset: int, mean: float, std: float,
) -> None:  # fmt: skip
    _numbers(device, outputs[0], 1, seed, offset, (std, mean, 0.0))


def _numbers(
    device: OpenCLDevice, out: ArrayView, kind: int, seed: int, offset: int, scaling: tuple[float, float, float]
) -> None:
    size = prod(out.shape)
    if size > 0:
        prepared = device.prepared(_prepare_numbers, kind, out.dtype, size)
        prepared.launch(device, (out.buffer,), (seed, offset, *scaling))


def _prepare_numbers(device: OpenCLDevice, kind: int, dtype: DType, size: int) -> PreparedLaunch:
    real = compute_dtype(dtype)
    defines: Defines = {"KIND": kind, **element_defines(dtype)}
    parameters = (None, _LONG, _ULONG, _ULONG, real, real, real)
    return _prepare(device, "numbers", defines, parameters, size)


@launches("random_bernoulli")
def _bernoulli(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, shape: Shape,
    seed: int, offset: int, threshold: int,
) -> None:  # fmt: skip
    size = prod(outputs[0].shape)
    if size > 0:
        device.prepared(_prepare_bernoulli, size).launch(device, (outputs[0].buffer,), (seed, offset, threshold))


def _prepare_bernoulli(device: OpenCLDevice, size: int) -> PreparedLaunch:
    defines: Defines = {"KIND": 2, **element_defines(bool_)}
    return _prepare(device, "bernoulli", defines, (None, _LONG, _ULONG, _ULONG, _ULONG), size)


def _prepare(
    device: OpenCLDevice, name: str, defines: Defines, parameters: Sequence[DType | None], size: int
) -> PreparedLaunch:
    """The launch of kernel `name` that makes `size` numbers."""
    launch_shape = device.launch_shape
    local = min(_MOST_ITEMS, launch_shape.local_size)
    shape: Defines = {"LOCAL": local}
    if launch_shape.on_cpu:
        shape |= {"LANES": min(8, launch_shape.width(8)), "BATCH": _BATCH}
    kernel = device.kernel("random.cl", name, defines | shape, parameters, costs.of_functions(size))
    groups = groups_for(launch_shape, _NUMBERS.worth(launch_shape, size, local))
    return PreparedLaunch(kernel, (groups,), (local,), (size,))
