"""The launches of `cl/convolution_weights.cl`: the gradients of convolutions' weights on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels.convolution_planes import (
    SLACK,
    Gathered,
    Planes,
    TableBuilder,
    evenly,
    rows_that_fit,
    tap_offsets,
    words,
)
from needle.backend.opencl.kernels.convolution_problem import Convolution, Steps, Triple
from needle.backend.opencl.kernels.matmul_split import ceil_div
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.protocol import ArrayView
from needle.dtypes import DType

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_SUM_UP = (None,) * 5 + (_LONG, _LONG, None, None)
_SUM_SLICES = (None,) * 4

_PLANE_BYTES = 3 << 17  # of packed planes, which should stay in the second cache
_TURNED_BYTES = 1 << 18  # of transposed gradients, which should, too
_MOST_PIXELS = 1024  # of a unit
_CHUNK = 256  # pixels that a tile sums at once, about
_SLICES = 16  # wanted, if the partial sums are no more than
_PARTS_BYTES = 32 << 20


@dataclass(frozen=True)
class _Weights:
    """`struct weights` of the kernels' file, field by field."""

    planes: Planes
    batch: int
    groups: int
    channels: int
    filters: int
    extent: Triple
    rows: int
    block: int
    padded: int
    taps: int
    wide: int
    deep: int
    chunk: int
    direct: int
    slices: int
    slice_size: int
    planes_size: int
    scratch_size: int
    batch_step: int
    filter_step: int
    step: Steps
    shifts: int
    columns: int
    remainders: int
    offsets: int
    places: int

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return words(self)


@dataclass(frozen=True)
class _Launches:
    sums: PreparedLaunch
    slices: PreparedLaunch
    table: Any  # the buffer
    parts: int  # elements of all partial sums
    scratch: int


def launch(device: OpenCLDevice, problem: Convolution, views: Mapping[str, ArrayView]) -> None:
    """Compute the gradient w of `problem` from x and y, neither of which is empty."""
    x, w, y = (views[name] for name in "xwy")
    made = device.prepared(_prepare, problem, w.dtype)
    parts, scratch = device.empty(made.parts, w.dtype), device.empty(made.scratch, w.dtype)
    operands = (x.buffer, y.buffer, parts, scratch, made.table, x.offset, y.offset)
    made.sums.launch(device, operands, (device.counter,))
    made.slices.launch(device, (parts, w.buffer, made.table))


def _prepare(device: OpenCLDevice, problem: Convolution, dtype: DType) -> _Launches:
    shape = device.launch_shape
    width, (taps, vectors) = shape.width(dtype.itemsize), (6, 4) if shape.matmul_rows > 8 else (6, 2)
    lone = problem.filters == 1  # lanes are pixels then, because there are no filters to fill them
    vectors = 1 if lone else vectors
    weights, table = _cut(problem, shape.cores, taps, vectors * width, dtype.itemsize)
    defines = element_defines(dtype) | {"WIDTH": width, "JT": taps, "KV": vectors, "SLACK": SLACK}
    defines |= {"LONE": 1} if lone else {}
    groups = max(1, min(weights.slices * weights.groups, max(2, shape.cores)))
    adders = min(2 * shape.cores, weights.groups * weights.channels * ceil_div(weights.filters, vectors * width))
    sums = device.kernel("convolution_weights.cl", "convolve_weights_blocks", defines, _SUM_UP, problem.cost)
    slices = device.kernel("convolution_weights.cl", "sum_weight_slices", defines, _SUM_SLICES, problem.cost)
    struct = device.layout_buffer(weights)
    return _Launches(
        PreparedLaunch(sums, (groups,), (1,), (struct,)), PreparedLaunch(slices, (max(1, adders),), (1,), (struct,)),
        device.layout_buffer(table), weights.slices * weights.slice_size, groups * weights.scratch_size,
    )  # fmt: skip


def _cut(c: Convolution, cores: int, tile: int, lanes: int, itemsize: int) -> tuple[_Weights, Any]:
    """How the work is cut, and the table of it."""
    depths, rows_at, columns = (
        [t * d - p for t in range(n)] for n, d, p in zip(c.taps, c.dilation, c.padding, strict=True)
    )
    source = Gathered(c.batch, c.groups, c.channels, c.places, c.x_steps, c.stride)
    channels, taps = c.channels * len(depths), len(rows_at) * len(columns)
    at_places = (depths, rows_at, columns) == ([0], [0], [0]) and c.stride == (1, 1, 1)
    direct = at_places and c.places == c.outputs and source.flat()
    padded_filters, room = ceil_div(c.filters, lanes) * lanes, _PLANE_BYTES // itemsize

    def size(rows: int) -> int:
        return len(columns) * source.planes(rows_at, c.outputs[2], rows)[0].size

    def fits(rows: int) -> bool:
        pixels = rows * c.outputs[2]
        few = pixels * padded_filters * itemsize <= _TURNED_BYTES and pixels <= _MOST_PIXELS
        return few and (direct or min(channels, 8) * size(rows) <= room)

    rows = rows_that_fit(c.outputs[1], fits, 1, 1)
    planes, remainders = source.planes(rows_at, c.outputs[2], rows)
    block = channels if direct else evenly(channels, min(channels, room // size(rows)))
    padded = ceil_div(block * taps, tile) * tile
    blocks, pixels = ceil_div(channels, block), rows * c.outputs[2]
    slice_size = c.groups * blocks * padded_filters * padded
    units = c.batch * c.outputs[0] * ceil_div(c.outputs[1], rows)
    slices = min(units, max(cores, min(_SLICES, _PARTS_BYTES // itemsize // slice_size)))

    table = TableBuilder()
    if direct:
        offsets = [v * source.steps[1] for v in range(block)]
    else:
        offsets = tap_offsets(planes, remainders, c.stride[1], rows_at, len(columns), block)
    offsets += offsets[-1:] * tile
    high, wide = c.taps[1:]
    order = [(z * high + y) * wide + x for z in range(c.taps[0]) for x in range(wide) for y in range(high)]
    planes_size = 0 if direct else block * size(rows) + SLACK
    batch_step, filter_step, *step = c.y_steps
    weights = _Weights(
        planes, c.batch, c.groups, channels, c.filters, c.outputs, rows, block, padded, taps, len(columns), len(depths),
        evenly(pixels, _CHUNK), int(direct), slices, slice_size, planes_size,
        planes_size + pixels * padded_filters + SLACK, batch_step, filter_step, tuple(step), table.add(depths),
        table.add(columns), table.add(remainders), table.add(offsets), table.add(order),
    )  # fmt: skip
    return weights, table.table()
