"""Launching sums, products, maxima and their kind (`cl/reduce.cl`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from needle.backend.opencl.building.codegen import expression_defines
from needle.backend.opencl.building.layout import FoldLayout
from needle.backend.opencl.building.types import cl_type, wrapping_type
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
from needle.dtypes import DType, Shape, compute_dtype
from needle.strides import contiguous_strides

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice


#: The most nodes of an expression that is worth having several times over in a kernel.
MAX_UNROLLED = 2


@dataclass(frozen=True)
class _Fold:
    """One launch of a reduction: what is folded, in which layout, with what at the end."""

    record: Reduction
    program: FusedProgram
    layout: FoldLayout
    accumulator: DType
    width: int
    segments: int
    finish: str

    @property
    def kernel_name(self) -> str:
        return "reduce_columns" if self.layout.across else "reduce_rows"

    def key(self, index: str, result: DType) -> tuple[object, ...]:
        """What the kernel depends on."""
        merged = self.layout.layout
        structure = (self.kernel_name, self.record, self.finish, self.program)
        return (*structure, merged.columns, merged.rank, self.width, index, result)

    def defines(self, device: OpenCLDevice, index: str, result: DType) -> dict[str, str | int]:
        merged, type_of = self.layout.layout, wrapping_type if self.record.wraps else cl_type
        name = type_of(self.accumulator)
        if self.accumulator.itemsize == 1 and device.launch_shape.local_size > 1:
            name = "int"  # a register holds no less there, and bytes in local memory crash Mesa's compiler
        unroll = device.launch_shape.fold_unroll if len(self.program.nodes) <= MAX_UNROLLED else 1
        floats = self.accumulator.kind == "f"
        return {
            "WIDTH": self.width,
            "INDEX": index,
            "LOCAL": device.launch_shape.local_size,
            "ACROSS": int(self.layout.across),
            "UNROLL": unroll,
            "COLUMNS": device.launch_shape.fold_columns,
            "COMPENSATED": int(self.record.compensated and floats),
            "ACC": name,
            "OUT": cl_type(result),
            "COMBINE(a, b)": f"({self.record.combine})",
            **({"QUICK(a, b)": f"({self.record.quick})"} if self.record.quick and floats and unroll > 1 else {}),
            "IDENTITY": with_type(self.record.identity, name),
            "FINISH(r, n)": f"({with_type(self.finish, name)})",
            **expression_defines(self.program, 0, merged.columns, merged.rank),
        }

    def stage(self, device: OpenCLDevice, count: int, result: DType) -> Stage:
        """The launch that writes the folds, of `count` elements each, for each output, segment and column."""
        merged, launch_shape = self.layout.layout, device.launch_shape
        index = index_type(device, merged.reach)

        def build() -> Any:
            types = [None, *[INT64] * 5, None, *expression_types(self.program, 0)]
            return device.kernel("reduce.cl", self.kernel_name, self.defines(device, index, result), types)

        kernel = device.expression_kernel(self.key(index, result), build)
        strips = -(-merged.shape[-1] // (self.width * launch_shape.fold_columns * launch_shape.local_size))
        tasks = self.layout.outputs * self.segments * (strips if self.layout.across else 1)
        columns = merged.shape[-1] if self.layout.across else 1
        return Stage(
            kernel, (groups_for(device, tasks, prod(merged.shape) // self.width),), (launch_shape.local_size,),
            (self.layout.outputs, self.segments, self.layout.fold_rows, count, device.layout_buffer(merged)),
            (self.layout.outputs, self.segments, columns),
        )  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A launch but for the target and the expression's arguments."""

    kernel: Any
    groups: tuple[int]
    local: tuple[int]
    arguments: tuple[Any, ...]
    shape: Shape  # what it writes: outputs, segments, columns


def reduction(
    device: OpenCLDevice,
    record: Reduction,
    expression: Expression,
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
) -> None:
    """Fold `expression`, over `shape`, over `axes` into the contiguous `output`, in one launch or two."""
    accumulator = compute_dtype(output.dtype)
    inputs = geometry_of(expression)
    *first, last = device.reduction_stages(record, expression.program, inputs, shape, axes, output.dtype)
    for stage in first:
        target = partial(device, stage.shape, accumulator)
        _launch(device, stage, target, expression)
        expression = reading(target)
    _launch(device, last, output, expression)


def _launch(device: OpenCLDevice, stage: Stage, target: ArrayView, expression: Expression) -> None:
    device.launch(
        stage.kernel, stage.groups, stage.local, target.buffer, target.offset, *stage.arguments,
        *expression_arguments(expression),
    )  # fmt: skip


def reduction_stages(
    device: OpenCLDevice,
    record: Reduction,
    program: FusedProgram,
    inputs: tuple[OperandLayout, ...],
    shape: Shape,
    axes: tuple[int, ...],
    result: DType,
) -> tuple[Stage, ...]:
    """The launches that fold `program` over `shape` and `inputs`: all that does not depend on the arrays."""
    count = prod(shape[a] for a in axes)
    accumulator = compute_dtype(result)
    width = width_for(device, program, accumulator)
    fold = layout_of(inputs, shape, axes, ordered=False)
    stages: list[Stage] = []
    while (segments := segments_for(device, fold, width)) > 1:
        part = _Fold(record, program, fold, accumulator, width, segments, "r").stage(device, count, accumulator)
        stages.append(part)
        program, inputs = copying(accumulator), ((part.shape, contiguous_strides(part.shape)),)
        fold = layout_of(inputs, part.shape, (1,), ordered=False)
        width = width_for(device, program)
    last = _Fold(record, program, fold, accumulator, width, 1, record.finish).stage(device, count, result)
    return (*stages, last)
