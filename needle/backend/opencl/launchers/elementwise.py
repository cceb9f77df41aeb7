"""Launching fused elementwise programs (`cl/elementwise.cl`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.codegen import expression_defines, program_dtypes
from needle.backend.opencl.layout import Layout, elementwise_layout
from needle.backend.protocol import ArrayView
from needle.backend.records import Program
from needle.dtypes import DType, Scalar
from needle.strides import broadcast_strides

if TYPE_CHECKING:
    from needle.backend.opencl.device import OpenCLDevice

#: The smallest stretch worth a work-group of its own, in vectors.
MIN_VECTORS = 256

INT64 = np.int64


def index_type(device: OpenCLDevice, reach: int) -> str:
    """The OpenCL type that counts up to `reach`: 32 bits where they are cheaper and suffice."""
    return "long" if device.profile.wide_index or reach >= 2**30 else "int"


def expression_arguments(program: Program, output_count: int) -> list[Any]:
    """The argument types of a kernel's PARAMETERS: None for a pointer, else the scalar's dtype."""
    arrays: list[Any] = [None, INT64] * (output_count + len(program.inputs))
    scalars = [np.float32 if d.name == "float16" else np.uint8 if d.kind == "b" else d.type for d in program.scalars]
    return [*arrays, *scalars] or [INT64]


def expression_values(
    outputs: Sequence[ArrayView], inputs: Sequence[ArrayView], scalars: Sequence[Scalar]
) -> list[Any]:
    """The arguments for a kernel's PARAMETERS."""
    values: list[Any] = []
    for view in (*outputs, *inputs):
        values += (view.buffer, view.offset)
    values += scalars
    return values or [0]


def width_for(device: OpenCLDevice, dtypes: Sequence[DType]) -> int:
    """Vector lanes for an expression: so many of its widest element as fill the device's vectors."""
    return device.profile.width(max(d.itemsize for d in dtypes))


def elementwise(
    device: OpenCLDevice,
    program: Program,
    inputs: Sequence[ArrayView],
    scalars: Sequence[Scalar],
    outputs: Sequence[ArrayView],
) -> None:
    """Run `program` over the shape of `outputs` in one launch."""
    shape = outputs[0].shape
    strides = tuple(o.strides for o in outputs) + tuple(broadcast_strides(i.shape, i.strides, shape) for i in inputs)
    layout = elementwise_layout(shape, strides)
    width = width_for(device, program_dtypes(program))
    kernel = device.expression_kernel(
        ("elementwise", program, layout.columns, layout.rank, width, index_type(device, layout.reach)),
        lambda: _build(device, program, len(outputs), layout, width),
    )
    rows = prod(layout.shape[:-1])
    vectors = rows * -(-layout.shape[-1] // width)
    local = device.profile.local_size
    groups = max(1, min(device.profile.groups, vectors // (MIN_VECTORS * local)))
    per_group = -(-vectors // groups)
    device.launch(
        kernel, (groups,), (local,),
        device.layout_buffer(layout), rows, per_group, *expression_values(outputs, inputs, scalars),
    )  # fmt: skip


def _build(device: OpenCLDevice, program: Program, output_count: int, layout: Layout, width: int) -> Any:
    defines = {
        "WIDTH": width,
        "INDEX": index_type(device, layout.reach),
        "LOCAL": device.profile.local_size,
        **expression_defines(program, output_count, layout.columns, layout.rank),
    }
    arguments = [None, INT64, INT64, *expression_arguments(program, output_count)]
    return device.kernel("elementwise.cl", "elementwise", defines, arguments)
