"""Launching argmax and argmin (`cl/argreduce.cl`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from needle.backend.opencl.building.codegen import expression_defines
from needle.backend.opencl.building.kernel import Kernel
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
    OperandLayout,
    copying,
    fold_groups,
    geometry_of,
    layout_of,
    partial,
    reading,
    segments_for,
    with_type,
)
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.protocol import ArrayView, Expression
from needle.backend.records import FusedProgram, Reduction
from needle.dtypes import DType, Shape, float32, int32, int64, is_float
from needle.strides import contiguous_strides

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice


@dataclass(frozen=True)
class _ArgReduction:
    """The launches of an argreduction: one, or two with partial results of the shape `between` in between."""

    first: PreparedLaunch | None
    between: Shape
    last: PreparedLaunch


def argreduction(
    device: OpenCLDevice,
    record: Reduction,
    expression: Expression,
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
) -> None:
    """Write the positions of the extremes of `expression` along `axes` to `output`, in one launch or two."""
    prepared = device.prepared(_prepare, record, expression.program, geometry_of(expression), shape, axes)
    found = None  # the positions that the first launch found, beside its extremes
    if prepared.first is not None:
        extremes = partial(device, prepared.between, _compared_dtype(expression.program))
        positions = partial(device, prepared.between, int64)
        before = (extremes.buffer, positions.buffer, positions.offset, None)
        prepared.first.launch(device, before, expression_arguments(expression))
        found, expression = positions.buffer, reading(extremes)
    prepared.last.launch(device, (None, output.buffer, output.offset, found), expression_arguments(expression))


def _prepare(
    device: OpenCLDevice,
    record: Reduction,
    program: FusedProgram,
    inputs: tuple[OperandLayout, ...],
    shape: Shape,
    axes: tuple[int, ...],
) -> _ArgReduction:
    """The launches that search `program`, which reads `inputs`, over the `axes` of `shape`."""
    fold = layout_of(inputs, shape, axes, ordered=True)
    segments = segments_for(device, fold, _width(device, program))
    between = (fold.outputs, segments, 1)
    if segments == 1:
        return _ArgReduction(None, between, _launch(device, record, program, fold, 1, refines=False))
    first = _launch(device, record, program, fold, segments, refines=False)
    fold = layout_of(((between, contiguous_strides(between)),), between, (1,), ordered=True)
    extremes = copying(_compared_dtype(program))
    return _ArgReduction(first, between, _launch(device, record, extremes, fold, 1, refines=True))


def _compared_dtype(program: FusedProgram) -> DType:
    """The dtype in which elements are compared: of 32 bits at least, as a position has the width of an element."""
    dtype = program.dtypes[program.outputs[0]]
    if dtype.itemsize >= 4:
        return dtype
    return float32 if is_float(dtype) else int32


def _width(device: OpenCLDevice, program: FusedProgram) -> int:
    return width_for(device, program, _compared_dtype(program))


def _launch(
    device: OpenCLDevice, record: Reduction, program: FusedProgram, fold: FoldLayout, segments: int, refines: bool
) -> PreparedLaunch:
    """One launch; with `refines`, on extremes that an earlier launch found, whose positions it is given as well."""
    merged = fold.layout
    index, width = index_type(device, merged.reach), _width(device, program)

    def build() -> Kernel:
        name = cl_type(_compared_dtype(program))
        defines = {
            "WIDTH": width,
            "INDEX": index,
            "LOCAL": device.launch_shape.local_size,
            "POSITIONS": int(refines),
            "ACC": name,
            "BETTER(a, b)": f"({record.combine})",
            "IDENTITY": with_type(record.identity, name),
            **expression_defines(program, 0, merged.columns, merged.rank),
        }
        types = [None, None, INT64, None, *[INT64] * 3, None, *expression_types(program, 0)]
        return device.kernel("argreduce.cl", "argreduce", defines, types, prod(merged.shape))

    groups = fold_groups(device, fold.outputs * segments, prod(merged.shape) // width)
    key = ("argreduce", record, program, merged.columns, merged.rank, width, index, refines)
    return PreparedLaunch(
        device.expression_kernel(key, prod(merged.shape), build), (groups,), (device.launch_shape.local_size,),
        (fold.outputs, segments, fold.fold_rows, device.layout_buffer(merged)),
    )  # fmt: skip
