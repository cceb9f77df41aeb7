"""The launches of `cl/convolution_blocks.cl`: convolutions, and convolutions transposed, on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
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
_PACK = (None, None, None, _LONG, None)
_CONVOLVE = (None,) * 5 + (_LONG, None, None)

#: Channels times taps that are summed before the next channels are packed: a tile's share of them fits the first cache.
_DEEP = 144
#: Bytes of packed planes that should stay in the second cache.
_PLANE_BYTES = 1 << 19
#: Units of work for each core: so many even out what one core does more than another.
_UNITS_A_CORE = 16

#: For each phase along an axis, the taps that reach it: their numbers, and how far from a place they read.
Taps = list[list[tuple[int, int]]]


@dataclass(frozen=True)
class _Roles:
    """What a convolution and a convolution transposed have in common: a result, gathered from a source by taps."""

    source: Gathered
    filters: int
    extent: Triple
    phases: Triple
    taps: tuple[Taps, Taps, Taps]
    weight_group: int
    weight_filter: int
    weight_channel: int
    weight_steps: Steps

    @classmethod
    def forward(cls, c: Convolution) -> _Roles:
        """y from x."""
        taps = [[[(t, t * d - p) for t in range(n)]] for n, d, p in zip(c.taps, c.dilation, c.padding, strict=True)]
        return cls(
            Gathered(c.batch, c.groups, c.channels, c.places, c.x_steps, c.stride), c.filters, c.outputs, (1, 1, 1),
            (taps[0], taps[1], taps[2]), c.filters * c.w_steps[0], c.w_steps[0], c.w_steps[1], c.w_steps[2:],
        )  # fmt: skip

    @classmethod
    def transposed(cls, c: Convolution) -> _Roles:
        """x from y."""
        taps = [
            [[(t, (q + p - t * d) // s) for t in range(n) if (q + p - t * d) % s == 0] for q in range(s)]
            for n, s, d, p in zip(c.taps, c.stride, c.dilation, c.padding, strict=True)
        ]
        return cls(
            Gathered(c.batch, c.groups, c.filters, c.outputs, c.y_steps, (1, 1, 1)), c.channels, c.places, c.stride,
            (taps[0], taps[1], taps[2]), c.filters * c.w_steps[0], c.w_steps[1], c.w_steps[0], c.w_steps[2:],
        )  # fmt: skip

    def reads_in_place(self, pixels: int) -> bool:
        """Whether the result is a product of matrices as they lie: of one tap, at the place itself."""
        return (
            self.taps == ([[(0, 0)]],) * 3
            and self.phases == self.source.stride == (1, 1, 1)
            and self.extent == self.source.extent
            and self.source.flat()
            and prod(self.extent[1:]) >= pixels
        )

    def most_taps(self, axis: int) -> int:
        """The taps of the phase that has most along an axis."""
        return max(len(taps) for taps in self.taps[axis])


@dataclass(frozen=True)
class _Blocks:
    """`struct blocks` of the kernels' file, field by field."""

    planes: Planes
    batch: int
    groups: int
    channels: int
    filters: int
    extent: Triple
    phases: Triple
    phase_rows: int
    rows: int
    block: int
    direct: int
    planes_size: int
    scratch_size: int
    weight_group: int
    weight_filter: int
    weight_channel: int
    depths: int
    columns: int
    remainders: int
    offsets: int
    weights: int

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return words(self)


@dataclass(frozen=True)
class _Launches:
    pack: PreparedLaunch
    convolve: PreparedLaunch
    table: Any  # the buffer
    packed: int  # elements of the packed weights
    scratch: int


def launch(device: OpenCLDevice, problem: Convolution, result: str, views: Mapping[str, ArrayView]) -> None:
    """Compute the operand `result` (x or y) of `problem` from the two others."""
    out, w, source = views[result], views["w"], views["x" if result == "y" else "y"]
    made = device.prepared(_prepare, problem, result, out.dtype)
    packed, scratch = device.empty(made.packed, out.dtype), device.empty(made.scratch, out.dtype)
    made.pack.launch(device, (w.buffer, packed, made.table, w.offset))
    operands = (source.buffer, packed, out.buffer, scratch, made.table, source.offset)
    made.convolve.launch(device, operands, (device.counter,))


def _prepare(device: OpenCLDevice, problem: Convolution, result: str, dtype: DType) -> _Launches:
    roles = _Roles.forward(problem) if result == "y" else _Roles.transposed(problem)
    shape = device.launch_shape
    filters, vectors = (8, 3) if shape.matmul_rows > 8 else (4, 3)  # by the number of vector registers
    if roles.filters == 1:  # as in a depthwise convolution: no other filters share what is loaded
        filters, vectors = 1, 8
    width = shape.width(dtype.itemsize)
    blocks, table, packed = _cut(roles, shape.cores, filters, vectors * width, dtype.itemsize)
    units = blocks.batch * blocks.groups * blocks.extent[0] * ceil_div(blocks.phase_rows, blocks.rows)
    groups = max(1, min(units, max(2, shape.cores)))
    defines = element_defines(dtype) | {"WIDTH": width, "KT": filters, "TV": vectors, "SLACK": SLACK}
    convolve = device.kernel("convolution_blocks.cl", "convolve_blocks", defines, _CONVOLVE, problem.cost)
    pack = device.kernel("convolution_blocks.cl", "pack_filters", defines, _PACK, problem.cost)
    packers = max(1, min(2 * shape.cores, prod(blocks.phases) * blocks.groups * ceil_div(blocks.filters, filters)))
    struct = device.layout_buffer(blocks)
    return _Launches(
        PreparedLaunch(pack, (packers,), (1,), (struct,)), PreparedLaunch(convolve, (groups,), (1,), (struct,)),
        device.layout_buffer(table), packed, groups * blocks.scratch_size,
    )  # fmt: skip


def _cut(roles: _Roles, cores: int, tile: int, pixels: int, itemsize: int) -> tuple[_Blocks, Any, int]:
    """How the work is cut, the table of it, and the elements of the packed weights."""
    source, extent, phases = roles.source, roles.extent, roles.phases
    direct = roles.reads_in_place(pixels)
    all_rows = [shift for taps in roles.taps[1] for _, shift in taps]
    wide, deep = roles.most_taps(2), roles.most_taps(0)
    width, phase_rows = ceil_div(extent[2], phases[2]), ceil_div(extent[1], phases[1])
    channels = source.channels * deep
    block = channels if direct else evenly(channels, min(channels, _DEEP // max(1, wide * roles.most_taps(1))))
    room = _PLANE_BYTES // itemsize

    def size(rows: int) -> int:
        return block * wide * source.planes(all_rows, width, rows)[0].size

    while block > 1 and not direct and size(1) > room:
        block = ceil_div(block, 2)
    others = source.batch * source.groups * extent[0]
    rows = rows_that_fit(phase_rows, lambda n: direct or size(n) <= room, others, _UNITS_A_CORE * cores)
    planes, remainders = source.planes(all_rows, width, rows)
    planes_size = 0 if direct else size(rows) + SLACK
    scratch_size = planes_size
    if phases[1] * phases[2] > 1:
        scratch_size += phases[1] * phases[2] * roles.filters * (rows * width + pixels) + tile * (rows * width + pixels)

    table = TableBuilder()
    places = {
        axis: table.entries([[s for _, s in taps] for taps in roles.taps[axis]], list(map(len, roles.taps[axis])))
        for axis in (0, 2)
    }
    weights, packed = _weights(table, roles, tile)
    blocks = _Blocks(
        planes, source.batch, source.groups, source.channels, roles.filters, extent, phases, phase_rows, rows,
        max(1, block), int(direct), planes_size, max(1, scratch_size), roles.weight_group, roles.weight_filter,
        roles.weight_channel, places[0], places[2], table.add(remainders),
        _offsets(table, roles, planes, remainders, block, direct), weights,
    )  # fmt: skip
    return blocks, table.table(), packed


def _offsets(
    table: TableBuilder, roles: _Roles, planes: Planes, remainders: list[int], block: int, direct: bool
) -> int:
    """Add where taps lie in the packed planes, for each phase of rows and columns."""
    lists, counts = [], []
    for rows, columns in product(roles.taps[1], roles.taps[2]):
        shifts = [shift for _, shift in rows]
        if direct:
            lists.append([v * planes.channel_step for v in range(block)])
        else:
            lists.append(tap_offsets(planes, remainders, roles.source.stride[1], shifts, len(columns), block))
        counts.append(len(rows) * len(columns))
    return table.entries(lists, counts)


def _weights(table: TableBuilder, roles: _Roles, tile: int) -> tuple[int, int]:
    """Add where the taps of each phase lie in the weights, and where its packed weights begin; and count these."""
    z_step, y_step, x_step = roles.weight_steps
    tiles, starts, lists, packed = ceil_div(roles.filters, tile), [], [], 0
    for depths, rows, columns in product(*roles.taps):
        distances = [z * z_step + x * x_step + y * y_step for z, _ in depths for x, _ in columns for y, _ in rows]
        starts.append(packed)
        lists.append(distances)
        packed += roles.source.groups * tiles * tile * roles.source.channels * len(distances)
    pairs = [n for start, at in zip(starts, map(table.add, lists), strict=True) for n in (start, at)]
    return table.add(pairs), packed
