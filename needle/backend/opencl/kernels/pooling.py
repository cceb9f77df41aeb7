"""The launchers of `cl/pooling_*.cl`: maxima and sums over windows, and the gradient of maxima."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.types import argument_dtype, element_defines, is_narrow
from needle.backend.opencl.kernels import costs
from needle.backend.opencl.kernels.elementwise import index_type
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.pooling_problem import Pooled, Windows, maxima_of, windows_of
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, compute_dtype

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_RESULTS = Grain(group=1 << 11, rounded_up=True)
_BAND_BYTES = 1 << 14  # of a plane that a CPU's work-item clears and adds to: half of a small first-level cache


@launches("pool_max")
def _pool_max(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, windows: tuple[Windows, ...]
) -> None:
    (x,), (maxima, positions) = inputs, outputs
    made, table = device.prepared(_prepare, x.shape, x.strides, x.dtype, windows, True)
    made.launch(device, (x.buffer, maxima.buffer, positions.buffer, table, x.offset))


@launches("pool_sum")
def _pool_sum(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, windows: tuple[Windows, ...],
    factor: float,
) -> None:  # fmt: skip
    (x,), (sums,) = inputs, outputs
    made, table = device.prepared(_prepare, x.shape, x.strides, x.dtype, windows, False)
    made.launch(device, (x.buffer, sums.buffer, factor, table, x.offset))


def _prepare(
    device: OpenCLDevice, shape: Shape, strides: Shape, dtype: DType, windows: tuple[Windows, ...], maximum: bool
) -> tuple[PreparedLaunch, Any]:
    """By rows on a CPU, if a row's windows do not reach over too much; by places on a GPU, where no row is too long."""
    launch_shape = device.launch_shape
    width = launch_shape.width(compute_dtype(dtype).itemsize)
    problem, table = windows_of(shape, strides, windows)
    by_rows = launch_shape.on_cpu and width > 1 and problem.chunks > 0
    size = problem.images * prod(problem.outputs)
    defines = element_defines(dtype) | ({"MAXIMUM": 1} if maximum else {})
    if by_rows:
        name, units, local = "pooling_rows", problem.chunks * size // max(1, problem.outputs[2]), 1
        defines |= {"LOCAL": local, "WIDTH": width}
    else:
        name, units, local = "pooling_places", size, launch_shape.local_size
        defines |= {"LOCAL": local, "INDEX": index_type(device, max(size, _reach(shape, strides)))}
    types = (None, None, None if maximum else argument_dtype(dtype), None, _LONG, None)
    kernel = device.kernel(f"{name}.cl", name, defines, types, costs.of_functions(size))
    groups = groups_for(launch_shape, max(1, units), _RESULTS.worth(launch_shape, size))
    launch = PreparedLaunch(kernel, (groups,), (local,), (device.layout_buffer(problem),))
    return launch, device.layout_buffer(table)


def _reach(shape: Shape, strides: Shape) -> int:
    return sum(max(0, n - 1) * abs(step) for n, step in zip(shape, strides, strict=True))


@launches("pool_max_gradient")
def _pool_max_gradient(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, windows: tuple[Windows, ...]
) -> None:
    (grad, positions), (result,) = inputs, outputs
    launch = device.prepared(_prepare_gradient, result.shape, result.dtype, windows)
    launch.launch(device, (grad.buffer, positions.buffer, result.buffer))


def _prepare_gradient(device: OpenCLDevice, shape: Shape, dtype: DType, windows: tuple[Windows, ...]) -> PreparedLaunch:
    launch_shape = device.launch_shape
    scatters = launch_shape.on_cpu and not is_narrow(dtype)
    pooled = Pooled.of(shape, windows)
    problem, table = maxima_of(pooled, _BAND_BYTES // dtype.itemsize)
    size = prod(shape)
    name, units = ("scatter_maxima", problem.bands) if scatters else ("gather_maxima", size)
    defines = element_defines(dtype) | {"LOCAL": launch_shape.local_size, "SCATTERS": int(scatters)}
    defines |= {"INDEX": index_type(device, max(size, pooled.images * prod(pooled.outputs)))}
    kernel = device.kernel("pooling_gradient.cl", name, defines, (None,) * 5, costs.of_functions(size))
    groups = groups_for(launch_shape, max(1, units), _RESULTS.worth(launch_shape, size))
    arguments = (device.layout_buffer(table), device.layout_buffer(problem))
    return PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), arguments)
