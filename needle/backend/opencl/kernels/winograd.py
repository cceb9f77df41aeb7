"""The launches of `cl/winograd.cl`: 3 x 3 convolutions of stride 1 on CPUs, and their transposes.

The environment variable NEEDLE_WINOGRAD=0 has the direct kernels compute them as well: Winograd's sums are other ones,
whose errors are of the same size.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels.convolution_planes import SLACK, Table, evenly, rows_that_fit, words
from needle.backend.opencl.kernels.convolution_problem import Convolution
from needle.backend.opencl.kernels.matmul_split import ceil_div
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.protocol import ArrayView
from needle.dtypes import DType

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_FILTERS = (None, None, _LONG, None)
_WINOGRAD = (None,) * 5 + (_LONG, None, None)

ENVIRONMENT_VARIABLE = "NEEDLE_WINOGRAD"

_FEWEST_CHANNELS = 16  # with fewer, of the input or the output, the transforms cost more than they save
_INPUT_BYTES = 1 << 19  # of transformed channels, which should stay in the second cache
_SUMS_BYTES = 1 << 17  # of sums before they are transformed back
_PADDED_BYTES = 1 << 15
_UNITS_A_CORE = 8

Pair = tuple[int, int]


@dataclass(frozen=True)
class Winograd:
    """`struct winograd` of `cl/winograd.h`, field by field."""

    batch: int
    groups: int
    channels: int
    filters: int
    extent: Pair
    outputs: Pair
    padding: Pair
    batch_step: int
    channel_step: int
    row_step: int
    last: int
    tile_rows: int
    tiles: int
    pitch: int
    block: int
    scratch_size: int
    weight_group: int = 0
    weight_filter: int = 0
    weight_channel: int = 0
    weight_row: int = 0
    weight_column: int = 0
    flip: int = 0
    padded: int = 0
    slices: int = 0
    slice_size: int = 0
    y_batch: int = 0
    y_filter: int = 0
    y_row: int = 0

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return words(self)


@dataclass(frozen=True)
class _Launches:
    filters: PreparedLaunch
    winograd: PreparedLaunch
    offsets: Any  # the buffer
    transformed: int  # elements of the transformed weights
    scratch: int


def serves(device: OpenCLDevice, c: Convolution, result: str, dtype: DType) -> bool:
    """Whether Winograd's algorithm computes the operand `result` of the convolution, and does so faster."""
    if os.environ.get(ENVIRONMENT_VARIABLE) == "0" or device.launch_shape.width(dtype.itemsize) < 2:
        return False
    fits = c.taps == (1, 3, 3) and c.stride == c.dilation == (1, 1, 1) and c.places[0] == c.outputs[0] == 1
    small_padding = c.padding[0] == 0 and max(c.padding) <= 2
    pays = min(c.channels, c.filters) >= _FEWEST_CHANNELS and min(c.places[1:]) >= 4 and min(c.outputs[1:]) >= 4
    read = {"y": (c.x_steps,), "x": (c.y_steps,), "w": (c.x_steps, c.y_steps)}[result]
    return fits and small_padding and pays and all(steps[-1] == 1 and min(steps) >= 0 for steps in read)


def launch(device: OpenCLDevice, problem: Convolution, result: str, views: Mapping[str, ArrayView]) -> None:
    """Compute the operand `result` (x or y) of `problem` from the two others."""
    out, w, source = views[result], views["w"], views["x" if result == "y" else "y"]
    made = device.prepared(_prepare, problem, result, out.dtype)
    transformed, scratch = device.empty(made.transformed, out.dtype), device.empty(made.scratch, out.dtype)
    made.filters.launch(device, (w.buffer, transformed, w.offset))
    operands = (source.buffer, transformed, out.buffer, scratch, made.offsets, source.offset)
    made.winograd.launch(device, operands, (device.counter,))


def _prepare(device: OpenCLDevice, problem: Convolution, result: str, dtype: DType) -> _Launches:
    shape = device.launch_shape
    width, (filters, vectors) = shape.width(dtype.itemsize), (8, 3) if shape.matmul_rows > 8 else (6, 2)
    cut = _cut(problem, result, shape.cores, filters, vectors * width, width, dtype.itemsize)
    defines = element_defines(dtype) | {"WIDTH": width, "KT": filters, "TV": vectors}
    tiles = ceil_div(cut.filters, filters)
    units = cut.batch * cut.groups * ceil_div(ceil_div(cut.outputs[0], 2), cut.tile_rows)
    groups = max(1, min(units, max(2, shape.cores)))
    transform = device.kernel("winograd.cl", "winograd_filters", defines, _FILTERS, problem.cost)
    convolve = device.kernel("winograd.cl", "winograd", defines, _WINOGRAD, problem.cost)
    struct = device.layout_buffer(cut)
    packers = max(1, min(2 * shape.cores, cut.groups * tiles * cut.channels))
    return _Launches(
        PreparedLaunch(transform, (packers,), (1,), (struct,)), PreparedLaunch(convolve, (groups,), (1,), (struct,)),
        device.layout_buffer(Table(tuple(i * cut.tiles for i in range(cut.channels)))),
        cut.groups * 16 * tiles * filters * cut.channels, groups * cut.scratch_size,
    )  # fmt: skip


def padded_pitch(columns: int, width: int) -> int:
    """The elements of a padded row, from which whole vectors of `columns` tiles are transformed."""
    return ceil_div(2 * ceil_div(columns, width) * width + 2, width) * width


def _cut(c: Convolution, result: str, cores: int, tile: int, pixels: int, width: int, itemsize: int) -> Winograd:
    """How the work is cut."""
    forward = result == "y"
    extent, outputs, steps = (c.places, c.outputs, c.x_steps) if forward else (c.outputs, c.places, c.y_steps)
    channels, filters = (c.channels, c.filters) if forward else (c.filters, c.channels)
    padding = c.padding[1:] if forward else (2 - c.padding[1], 2 - c.padding[2])
    high, wide = ceil_div(outputs[1], 2), ceil_div(outputs[2], 2)
    pitch = padded_pitch(wide, width)

    def tiles(rows: int) -> int:
        return ceil_div(rows * wide, pixels) * pixels + width

    def fits(rows: int) -> bool:
        planes = 16 * tiles(rows) * itemsize
        padded = (2 * rows + 2) * pitch * itemsize <= _PADDED_BYTES
        return padded and channels * planes <= _INPUT_BYTES and 2 * tile * planes <= _SUMS_BYTES

    rows = rows_that_fit(high, fits, c.batch * c.groups, _UNITS_A_CORE * cores)
    count = ceil_div(filters, tile)
    block = evenly(count, _SUMS_BYTES // itemsize // (16 * tile * tiles(rows)))
    scratch = 16 * (channels + block * tile) * tiles(rows) + (2 * rows + 2) * pitch + SLACK
    shape = (c.batch, c.groups * channels, *extent)
    last = sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) + 1
    weights = (c.w_steps[0], c.w_steps[1]) if forward else (c.w_steps[1], c.w_steps[0])
    return Winograd(
        c.batch, c.groups, channels, filters, (extent[1], extent[2]), (outputs[1], outputs[2]),
        (padding[0], padding[1]), steps[0], steps[1], steps[3], last, rows, tiles(rows), pitch, block, scratch,
        c.filters * c.w_steps[0], *weights, c.w_steps[3], c.w_steps[4], int(not forward),
    )  # fmt: skip
