"""Launching sums, products, maxima and their kind (`cl/reduce.cl`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from needle.backend.opencl.codegen import expression_defines
from needle.backend.opencl.launchers.elementwise import (
    INT64,
    expression_arguments,
    expression_types,
    index_type,
    width_for,
)
from needle.backend.opencl.launchers.folding import layout_of, partial, reading, segments_for, with_type
from needle.backend.opencl.layout import FoldLayout
from needle.backend.opencl.types import cl_type
from needle.backend.protocol import ArrayView, Expression
from needle.backend.records import Reduction
from needle.dtypes import DType, Shape, float16, float32

if TYPE_CHECKING:
    from needle.backend.opencl.device import OpenCLDevice


#: The most nodes of an expression that is worth having several times over in a kernel.
MAX_UNROLLED = 2


@dataclass(frozen=True)
class _Fold:
    """One launch of a reduction: what is folded, in which layout, with what at the end."""

    record: Reduction
    expression: Expression
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
        structure = (self.kernel_name, self.record, self.finish, self.expression.program)
        return (*structure, merged.columns, merged.rank, self.width, index, result)

    def defines(self, device: OpenCLDevice, index: str, result: DType) -> dict[str, str | int]:
        merged, name = self.layout.layout, cl_type(self.accumulator)
        if self.accumulator.itemsize == 1 and device.profile.local_size > 1:
            name = "int"  # a register holds no less there, and bytes in local memory crash Mesa's compiler
        return {
            "WIDTH": self.width,
            "INDEX": index,
            "LOCAL": device.profile.local_size,
            "ACROSS": int(self.layout.across),
            "UNROLL": device.profile.fold_unroll if len(self.expression.program.nodes) <= MAX_UNROLLED else 1,
            "COLUMNS": device.profile.fold_columns,
            "COMPENSATED": int(self.record.compensated and self.accumulator.kind == "f"),
            "ACC": name,
            "OUT": cl_type(result),
            "COMBINE(a, b)": f"({self.record.combine})",
            "IDENTITY": with_type(self.record.identity, name),
            "FINISH(r, n)": f"({with_type(self.finish, name)})",
            **expression_defines(self.expression.program, 0, merged.columns, merged.rank),
        }

    def launch(self, device: OpenCLDevice, target: ArrayView, count: int) -> None:
        """Write the folds, of `count` elements each, to `target`, one for each output, segment and column."""
        merged, profile = self.layout.layout, device.profile
        index = index_type(device, merged.reach)

        def build() -> Any:
            types = [None, *[INT64] * 5, None, *expression_types(self.expression.program, 0)]
            return device.kernel("reduce.cl", self.kernel_name, self.defines(device, index, target.dtype), types)

        kernel = device.expression_kernel(self.key(index, target.dtype), build)
        strips = -(-merged.shape[-1] // (self.width * profile.fold_columns * profile.local_size))
        tasks = self.layout.outputs * self.segments * (strips if self.layout.across else 1)
        device.launch(
            kernel, (max(1, min(tasks, profile.groups)),), (profile.local_size,),
            target.buffer, target.offset, self.layout.outputs, self.segments, self.layout.fold_rows, count,
            device.layout_buffer(merged), *expression_arguments(self.expression),
        )  # fmt: skip


def reduction(
    device: OpenCLDevice,
    record: Reduction,
    expression: Expression,
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
) -> None:
    """Fold `expression`, over `shape`, over `axes` into the contiguous `output`, in one launch or two."""
    count = prod(shape[a] for a in axes)
    accumulator = float32 if output.dtype == float16 else output.dtype
    width = width_for(device, expression.program, accumulator)
    fold = layout_of(expression, shape, axes, ordered=False)
    segments = segments_for(device, fold, width)
    while segments > 1:
        columns = fold.layout.shape[-1] if fold.across else 1
        target = partial(device, (fold.outputs, segments, columns), accumulator)
        _Fold(record, expression, fold, accumulator, width, segments, "r").launch(device, target, count)
        expression = reading(target)
        fold = layout_of(expression, target.shape, (1,), ordered=False)
        width = width_for(device, expression.program)
        segments = segments_for(device, fold, width)
    _Fold(record, expression, fold, accumulator, width, 1, record.finish).launch(device, output, count)
