"""Launching argmax and argmin (`cl/argreduce.cl`)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from needle.backend.opencl.building.codegen import expression_defines
from needle.backend.opencl.building.layout import FoldLayout
from needle.backend.opencl.building.types import cl_type
from needle.backend.opencl.kernels.elementwise import (
    INT64,
    expression_arguments,
    expression_types,
    index_type,
    width_for,
)
from needle.backend.opencl.kernels.folding import (
    Partial,
    geometry_of,
    groups_for,
    layout_of,
    partial,
    reading,
    segments_for,
    with_type,
)
from needle.backend.protocol import ArrayView, Expression
from needle.backend.records import FusedProgram, Reduction
from needle.dtypes import DType, Shape, float32, int32, int64, is_float

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice


def argreduction(
    device: OpenCLDevice,
    record: Reduction,
    expression: Expression,
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
) -> None:
    """Write the positions of the extremes of `expression` along `axes` to `output`, in one launch or two."""
    fold = layout_of(geometry_of(expression), shape, axes, ordered=True)
    segments = segments_for(device, fold, _width(device, expression.program))
    if segments == 1:
        _launch(device, record, expression, fold, 1, output)
        return
    values = partial(device, (fold.outputs, segments, 1), _compared_dtype(expression.program))
    positions = partial(device, values.shape, int64)
    _launch(device, record, expression, fold, segments, positions, values=values)
    best = reading(values)
    fold = layout_of(geometry_of(best), values.shape, (1,), ordered=True)
    _launch(device, record, best, fold, 1, output, positions=positions)


def _compared_dtype(program: FusedProgram) -> DType:
    """The dtype in which elements are compared: of 32 bits at least, since positions are counted as wide."""
    dtype = program.dtypes[program.outputs[0]]
    if dtype.itemsize >= 4:
        return dtype
    return float32 if is_float(dtype) else int32


def _width(device: OpenCLDevice, program: FusedProgram) -> int:
    return width_for(device, program, _compared_dtype(program))


def _launch(
    device: OpenCLDevice,
    record: Reduction,
    expression: Expression,
    fold: FoldLayout,
    segments: int,
    target: ArrayView,
    values: Partial | None = None,
    positions: Partial | None = None,
) -> None:
    """Write positions to `target` and, of a first launch, the extremes themselves to `values`.

    `positions` are those that a first launch found for the elements of `expression`.
    """
    merged, program = fold.layout, expression.program
    index, width = index_type(device, merged.reach), _width(device, program)

    def build() -> Any:
        name = cl_type(_compared_dtype(program))
        defines = {
            "WIDTH": width,
            "INDEX": index,
            "LOCAL": device.launch_shape.local_size,
            "POSITIONS": int(positions is not None),
            "ACC": name,
            "BETTER(a, b)": f"({record.combine})",
            "IDENTITY": with_type(record.identity, name),
            **expression_defines(program, 0, merged.columns, merged.rank),
        }
        types = [None, None, INT64, None, *[INT64] * 3, None, *expression_types(program, 0)]
        return device.kernel("argreduce.cl", "argreduce", defines, types)

    groups = groups_for(device, fold.outputs * segments, prod(merged.shape) // width)
    key = ("argreduce", record, program, merged.columns, merged.rank, width, index, positions is None)
    kernel = device.expression_kernel(key, build)
    device.launch(
        kernel, (groups,), (device.launch_shape.local_size,),
        values and values.buffer, target.buffer, target.offset, positions and positions.buffer,
        fold.outputs, segments, fold.fold_rows, device.layout_buffer(merged), *expression_arguments(expression),
    )  # fmt: skip
