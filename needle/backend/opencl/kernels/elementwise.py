"""Launching fused elementwise programs (`cl/elementwise.cl`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.codegen import block_defines, expression_defines, streaming_defines
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.building.layout import Layout, elementwise_layout
from needle.backend.opencl.building.types import argument_dtype
from needle.backend.opencl.kernels.folding import OperandLayout
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import VECTORS, groups_for, stretch_for
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.backend.protocol import ArrayView, Expression
from needle.backend.records import FusedProgram
from needle.dtypes import DType
from needle.strides import broadcast_strides

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

#: Rows of a tile on a GPU, and on a CPU: see `cl/elementwise.cl`.
TILE, CPU_TILE = 32, 128

INT64 = np.int64


def index_type(device: OpenCLDevice, reach: int) -> str:
    """The OpenCL type that counts up to `reach`: 32 bits where they are cheaper and suffice."""
    return "long" if device.launch_shape.wide_index or reach >= 2**30 else "int"


def expression_types(program: FusedProgram, output_count: int) -> list[Any]:
    """The types of a kernel's PARAMETERS: None for a pointer, else the scalar's dtype."""
    arrays: list[Any] = [None, INT64] * (output_count + len(program.inputs))
    return [*arrays, *scalar_types(program)] or [INT64]


def scalar_types(program: FusedProgram) -> list[Any]:
    """The dtypes of a program's scalars as a kernel's parameters."""
    return [argument_dtype(dtype).type for dtype in program.scalars]


def expression_arguments(expression: Expression, outputs: Sequence[ArrayView] = ()) -> list[Any]:
    """The arguments for a kernel's PARAMETERS."""
    arguments: list[Any] = []
    for view in (*outputs, *expression.inputs):
        arguments += (view.buffer, view.offset)
    arguments += expression.scalars
    return arguments or [0]


def width_for(device: OpenCLDevice, program: FusedProgram, *others: DType) -> int:
    """Vector lanes for a program: so many of its widest element as fill the device's vectors."""
    return device.launch_shape.width(max(d.itemsize for d in (*program.dtypes, *others)))


def elementwise(device: OpenCLDevice, expression: Expression, outputs: Sequence[ArrayView]) -> None:
    """Compute `expression` over the shape of `outputs` in one launch."""
    geometry = tuple([(view.shape, view.strides) for view in (*outputs, *expression.inputs)])
    prepared = device.prepared(prepare_elementwise, expression.program, len(outputs), geometry)
    prepared.launch(device, (), expression_arguments(expression, outputs))


def prepare_elementwise(
    device: OpenCLDevice, program: FusedProgram, output_count: int, geometry: tuple[OperandLayout, ...]
) -> PreparedLaunch:
    """The launch of `program` on operands of the given shapes and strides, outputs first."""
    shape = geometry[0][0]
    layout = elementwise_layout(shape, tuple(broadcast_strides(s, strides, shape) for s, strides in geometry))
    width = width_for(device, program)
    streamed = _is_streamed(device, program, output_count, layout, width)
    kernel = device.expression_kernel(
        (
            "elementwise",
            program,
            layout.columns,
            layout.rank,
            layout.transposed,
            layout.turned,
            width,
            streamed,
            index_type(device, layout.reach),
        ),
        prod(shape),
        lambda: _build(device, program, output_count, layout, width, streamed),
    )
    launch_shape = device.launch_shape
    rows, vectors = prod(layout.shape[:-1]), -(-layout.shape[-1] // width)
    if layout.transposed:
        pieces, tile = _tiles(layout, vectors, launch_shape), _tile(launch_shape)
        groups = groups_for(launch_shape, VECTORS.worth(launch_shape, pieces * tile * _across(launch_shape)))
        stretch = -(-pieces // groups)
    else:
        pieces = rows * vectors
        groups = groups_for(launch_shape, VECTORS.worth(launch_shape, pieces))
        stretch = stretch_for(launch_shape, pieces, groups)
    arguments = (device.layout_buffer(layout), rows, stretch)
    return PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), arguments)


def _is_streamed(device: OpenCLDevice, program: FusedProgram, output_count: int, layout: Layout, width: int) -> bool:
    """Whether results go past the caches: large ones do, written in vectors that can be aligned in every row."""
    itemsize = min([program.dtypes[number].itemsize for number in program.outputs[:output_count]])
    return (
        device.launch_shape.streams(prod(layout.shape) * itemsize)
        and not layout.transposed
        and all(s[-1] == 1 and not any(step % width for step in s[:-1]) for s in layout.strides[:output_count])
    )


def _tile(launch_shape: LaunchShape) -> int:
    """Rows of a tile."""
    return CPU_TILE if launch_shape.on_cpu else TILE


def _tiles(layout: Layout, vectors: int, launch_shape: LaunchShape) -> int:
    """The number of tiles of a transposed layout whose rows have so many vectors (see `cl/elementwise.cl`)."""
    strips = -(-layout.shape[-2] // _tile(launch_shape))
    return prod(layout.shape[:-2]) * strips * -(-vectors // _across(launch_shape))


def _across(launch_shape: LaunchShape) -> int:
    """Vectors side by side in a tile: on a GPU as many as give every work-item one."""
    return max(1, launch_shape.local_size // _tile(launch_shape))


def _build(
    device: OpenCLDevice, program: FusedProgram, output_count: int, layout: Layout, width: int, streamed: bool
) -> Kernel:
    launch_shape = device.launch_shape
    defines = {
        "WIDTH": width,
        "INDEX": index_type(device, layout.reach),
        "LOCAL": launch_shape.local_size,
        "TILED": int(layout.transposed),
        "TILE": _tile(launch_shape),
        **expression_defines(program, output_count, layout.columns, layout.rank),
    }
    if layout.transposed and launch_shape.on_cpu and width > 1:
        defines |= block_defines(program, output_count, layout.columns, layout.turned)
    if streamed:
        defines |= streaming_defines(program, output_count)
    name = "tiles" if layout.transposed else "elementwise"
    types = [None, INT64, INT64, *expression_types(program, output_count)]
    return device.kernel("elementwise.cl", name, defines, types, prod(layout.shape))
