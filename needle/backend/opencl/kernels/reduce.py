"""Launching sums, products, maxima and their kind (`cl/reduce.cl`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from needle.backend.opencl.building.codegen import expression_defines
from needle.backend.opencl.building.kernel import Kernel
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
from needle.dtypes import DType, Shape, compute_dtype, is_float
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
        if self.accumulator.itemsize == 1 and not device.launch_shape.on_cpu:
            name = "int"  # a register holds no less there, and bytes in local memory crash Mesa's compiler
        unroll = device.launch_shape.fold_unroll if len(self.program.nodes) <= MAX_UNROLLED else 1
        floats = is_float(self.accumulator)
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

    @property
    def written(self) -> Shape:
        """The shape of the results: outputs, segments, columns."""
        return self.layout.outputs, self.segments, self.layout.layout.shape[-1] if self.layout.across else 1

    def prepared(self, device: OpenCLDevice, count: int, result: DType) -> PreparedLaunch:
        """The launch that writes the folds, of `count` elements each, for each output, segment and column."""
        merged, launch_shape = self.layout.layout, device.launch_shape
        index, size = index_type(device, merged.reach), prod(merged.shape)

        def build() -> Kernel:
            types = [None, *[INT64] * 5, None, *expression_types(self.program, 0)]
            return device.kernel("reduce.cl", self.kernel_name, self.defines(device, index, result), types, size)

        kernel = device.expression_kernel(self.key(index, result), size, build)
        strips = -(-merged.shape[-1] // (self.width * launch_shape.fold_columns * launch_shape.local_size))
        tasks = self.layout.outputs * self.segments * (strips if self.layout.across else 1)
        groups = fold_groups(device, tasks, size // self.width)
        return PreparedLaunch(
            kernel, (groups,), (launch_shape.local_size,),
            (self.layout.outputs, self.segments, self.layout.fold_rows, count, device.layout_buffer(merged)),
        )  # fmt: skip


@dataclass(frozen=True)
class _Reduction:
    """The launches of a reduction: those that write partial results, each with their shape, and the last one."""

    partials: tuple[tuple[PreparedLaunch, Shape], ...]
    last: PreparedLaunch


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
    prepared = device.prepared(_prepare, record, expression.program, inputs, shape, axes, output.dtype)
    for launch, written in prepared.partials:
        target = partial(device, written, accumulator)
        launch.launch(device, (target.buffer, target.offset), expression_arguments(expression))
        expression = reading(target)
    prepared.last.launch(device, (output.buffer, output.offset), expression_arguments(expression))


def _prepare(
    device: OpenCLDevice,
    record: Reduction,
    program: FusedProgram,
    inputs: tuple[OperandLayout, ...],
    shape: Shape,
    axes: tuple[int, ...],
    result: DType,
) -> _Reduction:
    """The launches that fold `program`, which reads `inputs`, over the `axes` of `shape`."""
    count = prod(shape[a] for a in axes)
    accumulator = compute_dtype(result)
    width = width_for(device, program, accumulator)
    fold = layout_of(inputs, shape, axes, ordered=False)
    partials: list[tuple[PreparedLaunch, Shape]] = []
    # A GPU folds the results of parts in one launch: a third would take longer than units being idle.
    while (device.launch_shape.on_cpu or not partials) and (segments := segments_for(device, fold, width)) > 1:
        part = _Fold(record, program, fold, accumulator, width, segments, "r")
        partials.append((part.prepared(device, count, accumulator), part.written))
        program, inputs = copying(accumulator), ((part.written, contiguous_strides(part.written)),)
        fold = layout_of(inputs, part.written, (1,), ordered=False)
        width = width_for(device, program)
    last = _Fold(record, program, fold, accumulator, width, 1, record.finish)
    return _Reduction(tuple(partials), last.prepared(device, count, result))
