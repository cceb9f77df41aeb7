"""The launches of `cl/winograd_weights.cl`: the gradients of the weights of 3 x 3 convolutions on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels.convolution_planes import SLACK, Table, rows_that_fit
from needle.backend.opencl.kernels.convolution_problem import Convolution
from needle.backend.opencl.kernels.matmul_split import ceil_div
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.kernels.winograd import Winograd, padded_pitch
from needle.backend.protocol import ArrayView
from needle.dtypes import DType

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_SUM_UP = (None,) * 5 + (_LONG, _LONG, None, None)
_SUM_SLICES = (None,) * 3

_INPUT_BYTES = 3 << 16  # of transformed channels of a block
_GRADIENT_BYTES = 1 << 19  # of transformed gradients
_TURNED_BYTES = 1 << 16
_PADDED_BYTES = 1 << 14
_AT_LEAST = 24  # channels of a block for which rows are chosen
_SLICES = 16  # wanted, if the partial sums are no more than
_PARTS_BYTES = 32 << 20


@dataclass(frozen=True)
class _Launches:
    sums: PreparedLaunch
    slices: PreparedLaunch
    offsets: Any  # the buffer
    parts: int  # elements of all partial sums
    scratch: int


def launch(device: OpenCLDevice, problem: Convolution, views: Mapping[str, ArrayView]) -> None:
    """Compute the gradient w of `problem` from x and y."""
    x, w, y = (views[name] for name in "xwy")
    made = device.prepared(_prepare, problem, w.dtype)
    parts, scratch = device.empty(made.parts, w.dtype), device.empty(made.scratch, w.dtype)
    operands = (x.buffer, y.buffer, parts, scratch, made.offsets, x.offset, y.offset)
    made.sums.launch(device, operands, (device.counter,))
    made.slices.launch(device, (parts, w.buffer))


def _prepare(device: OpenCLDevice, problem: Convolution, dtype: DType) -> _Launches:
    shape = device.launch_shape
    width, (taps, vectors) = shape.width(dtype.itemsize), (6, 4) if shape.matmul_rows > 8 else (6, 2)
    cut = _cut(problem, shape.cores, taps, vectors * width, width, dtype.itemsize)
    defines = element_defines(dtype) | {"WIDTH": width, "JT": taps, "KV": vectors}
    groups = max(1, min(cut.slices * cut.groups, max(2, shape.cores)))
    adders = max(1, min(2 * shape.cores, cut.groups * cut.channels * ceil_div(cut.filters, vectors * width)))
    sums = device.kernel("winograd_weights.cl", "winograd_weights", defines, _SUM_UP, problem.cost)
    slices = device.kernel("winograd_weights.cl", "winograd_sum", defines, _SUM_SLICES, problem.cost)
    struct = device.layout_buffer(cut)
    places = [min(i, cut.block - 1) * cut.tiles for i in range(cut.block + taps)]
    return _Launches(
        PreparedLaunch(sums, (groups,), (1,), (struct,)), PreparedLaunch(slices, (adders,), (1,), (struct,)),
        device.layout_buffer(Table(tuple(places))), cut.slices * cut.slice_size, groups * cut.scratch_size,
    )  # fmt: skip


def _cut(c: Convolution, cores: int, tile: int, lanes: int, width: int, itemsize: int) -> Winograd:
    """How the work is cut."""
    outputs = (c.outputs[1], c.outputs[2])
    high, wide = ceil_div(outputs[0], 2), ceil_div(outputs[1], 2)
    pitch, filters, channels = (
        padded_pitch(wide, width),
        ceil_div(c.filters, lanes) * lanes,
        ceil_div(c.channels, tile) * tile,
    )

    def tiles(rows: int) -> int:
        return rows * wide + width

    def fits(rows: int) -> bool:
        planes = 16 * tiles(rows) * itemsize
        turned = 2 * rows * outputs[1] * lanes * itemsize <= _TURNED_BYTES
        padded = (2 * rows + 2) * pitch * itemsize <= _PADDED_BYTES
        return (
            turned
            and padded
            and filters * planes <= _GRADIENT_BYTES
            and min(channels, _AT_LEAST) * planes <= _INPUT_BYTES
        )

    rows = rows_that_fit(high, fits, 1, 1)
    most = max(tile, min(channels, _INPUT_BYTES // itemsize // (16 * tiles(rows)) // tile * tile))
    block = ceil_div(ceil_div(c.channels, ceil_div(c.channels, most)), tile) * tile
    padded = ceil_div(c.channels, block) * block
    slice_size = c.groups * 16 * filters * padded
    slices = max(cores, min(_SLICES, _PARTS_BYTES // itemsize // slice_size))
    scratch = 16 * (block + filters) * tiles(rows) + 2 * rows * outputs[1] * lanes + (2 * rows + 2) * pitch + SLACK
    shape = (c.batch, c.groups * c.channels, *c.places)
    last = sum((n - 1) * step for n, step in zip(shape, c.x_steps, strict=True)) + 1
    return Winograd(
        c.batch, c.groups, c.channels, c.filters, (c.places[1], c.places[2]), outputs, (c.padding[1], c.padding[2]),
        c.x_steps[0], c.x_steps[1], c.x_steps[3], last, rows, tiles(rows), pitch, block, scratch,
        padded=padded, slices=min(slices, c.batch * ceil_div(high, rows)), slice_size=slice_size,
        y_batch=c.y_steps[0], y_filter=c.y_steps[1], y_row=c.y_steps[3],
    )  # fmt: skip
