"""The launches of `cl/convolution_tiles.cl`: convolutions on any device, as products of tiles in local memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels.convolution_problem import Convolution, Steps, Triple
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for, parts_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, compute_dtype

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_TILES = (None,) * 4 + (_LONG,) * 2 + (None,)
_SUM = (None, None, _LONG, _LONG)

_DEEP = 512  # of the depth, the least that pays for a further part of a weight gradient
_ADDED = Grain(group=1 << 12, rounded_up=True)


@dataclass(frozen=True)
class _Problem:
    """`struct convolution` of the kernels' file, field by field."""

    groups: int
    rows: int = 0
    columns: int = 0
    depth: int = 0
    plane: int = 0
    slices: int = 1
    depth_is_pixels: int = 0
    pixels: Triple = (1, 1, 1)
    taps: Triple = (1, 1, 1)
    extent: Triple = (1, 1, 1)
    divisor: Triple = (1, 1, 1)
    pixel_scale: Triple = (1, 1, 1)
    pixel_shift: Triple = (0, 0, 0)
    tap_scale: Triple = (1, 1, 1)
    gathered_group: int = 0
    gathered_batch: int = 0
    gathered_channel: int = 0
    gathered_step: Steps = ()
    left_group: int = 0
    left_row: int = 0
    left_outer: int = 0
    left_step: Steps = ()

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return [n for value in astuple(self) for n in (value if isinstance(value, tuple) else (value,))]


@dataclass(frozen=True)
class _Launches:
    tiles: PreparedLaunch
    sums: PreparedLaunch | None
    parts: int  # elements of the sums of all slices


def launch(device: OpenCLDevice, problem: Convolution, result: str, views: Mapping[str, ArrayView]) -> None:
    """Compute the operand `result` (x, w or y) of `problem` from the two others."""
    out = views[result]
    left, gathered = (views[name] for name in {"y": "wx", "x": "wy", "w": "yx"}[result])
    made = device.prepared(_prepare, problem, result, out.dtype)
    parts = out.buffer if made.sums is None else device.empty(made.parts, compute_dtype(out.dtype))
    operands = (left.buffer, gathered.buffer, out.buffer, parts, left.offset, gathered.offset)
    made.tiles.launch(device, operands)
    if made.sums is not None:
        made.sums.launch(device, (parts, out.buffer))


def _prepare(device: OpenCLDevice, problem: Convolution, result: str, dtype: DType) -> _Launches:
    shape = device.launch_shape
    side = shape.matmul_group * shape.matmul_micro
    matrices = _PROBLEMS[result](problem)
    tiles = matrices.groups * -(-matrices.rows // side) * -(-matrices.columns // side)
    if matrices.depth_is_pixels:
        matrices = replace(matrices, slices=parts_for(shape, tiles, most=max(1, matrices.depth // _DEEP)))
    slices = matrices.slices
    defines = element_defines(dtype) | {"GROUP": shape.matmul_group, "MICRO": shape.matmul_micro}
    defines["LOCAL"] = shape.local_size
    kernel = device.kernel("convolution_tiles.cl", "convolve_tiles", defines, _TILES, problem.cost)
    made = PreparedLaunch(kernel, (tiles * slices,), (shape.matmul_group**2,), (device.layout_buffer(matrices),))
    if slices == 1:
        return _Launches(made, None, 0)
    size = matrices.groups * matrices.rows * matrices.columns
    groups = groups_for(shape, size, _ADDED.worth(shape, size))
    kernel = device.kernel("convolution_tiles.cl", "sum_slices", defines, _SUM, slices * size)
    return _Launches(made, PreparedLaunch(kernel, (groups,), (shape.local_size,), (size, slices)), slices * size)


def _forward(c: Convolution) -> _Problem:
    """y: rows are filters, columns the pixels of y, the depth channels and taps."""
    return replace(
        _gathering_x(c), columns=c.batch * prod(c.outputs), depth=c.channels * prod(c.taps), plane=prod(c.outputs),
        left_group=c.filters * c.w_steps[0], left_row=c.w_steps[0], left_outer=c.w_steps[1], left_step=c.w_steps[2:],
    )  # fmt: skip


def _weights(c: Convolution) -> _Problem:
    """w: rows are filters, columns channels and taps, the depth the pixels of y."""
    columns = c.channels * prod(c.taps)
    return replace(
        _gathering_x(c), columns=columns, depth=c.batch * prod(c.outputs), plane=columns, depth_is_pixels=1,
        left_group=c.filters * c.y_steps[1], left_row=c.y_steps[1], left_outer=c.y_steps[0], left_step=c.y_steps[2:],
    )  # fmt: skip


def _gathering_x(c: Convolution) -> _Problem:
    """What y and w have in common."""
    return _Problem(
        groups=c.groups, rows=c.filters, pixels=c.outputs, taps=c.taps, extent=c.places, divisor=(1, 1, 1),
        pixel_scale=c.stride, pixel_shift=_negated(c.padding), tap_scale=c.dilation,
        gathered_group=c.channels * c.x_steps[1], gathered_batch=c.x_steps[0], gathered_channel=c.x_steps[1],
        gathered_step=c.x_steps[2:],
    )  # fmt: skip


def _transposed(c: Convolution) -> _Problem:
    """x: rows are channels, columns the pixels of x, the depth filters and taps; y is gathered."""
    return _Problem(
        groups=c.groups, rows=c.channels, columns=c.batch * prod(c.places), depth=c.filters * prod(c.taps),
        plane=prod(c.places), pixels=c.places, taps=c.taps, extent=c.outputs, divisor=c.stride,
        pixel_scale=(1, 1, 1), pixel_shift=c.padding, tap_scale=_negated(c.dilation),
        gathered_group=c.filters * c.y_steps[1], gathered_batch=c.y_steps[0], gathered_channel=c.y_steps[1],
        gathered_step=c.y_steps[2:], left_group=c.filters * c.w_steps[0], left_row=c.w_steps[1],
        left_outer=c.w_steps[0], left_step=c.w_steps[2:],
    )  # fmt: skip


def _negated(values: Triple) -> Triple:
    first, second, third = values
    return -first, -second, -third


_PROBLEMS = {"y": _forward, "x": _transposed, "w": _weights}
