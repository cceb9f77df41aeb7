"""Launching reductions (`cl/reduce.cl`, `cl/argreduce.cl`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from needle.backend.opencl.codegen import expression_defines, program_dtypes
from needle.backend.opencl.launchers.elementwise import (
    INT64,
    expression_arguments,
    expression_values,
    index_type,
    width_for,
)
from needle.backend.opencl.layout import FoldLayout, fold_layout
from needle.backend.opencl.types import cl_type
from needle.backend.protocol import ArrayView, Buffer
from needle.backend.records import Program, Reduction
from needle.dtypes import DType, Scalar, Shape, float16, float32, int64
from needle.strides import broadcast_strides, contiguous_strides

if TYPE_CHECKING:
    from needle.backend.opencl.device import OpenCLDevice

#: The shortest stretch of a fold worth a segment of its own, in vectors.
MIN_VECTORS = 256


@dataclass(frozen=True)
class Partial:
    """A contiguous array between the two launches of a segmented fold."""

    buffer: Buffer
    shape: Shape
    dtype: DType
    offset: int = 0

    @property
    def strides(self) -> tuple[int, ...]:
        return contiguous_strides(self.shape)


def _identity_program(dtype: DType) -> Program:
    return _IDENTITY.setdefault(dtype, Program((dtype,), (), (), (0,)))


_IDENTITY: dict[DType, Program] = {}


def reduction(
    device: OpenCLDevice,
    record: Reduction,
    program: Program,
    inputs: Sequence[ArrayView],
    scalars: Sequence[Scalar],
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
) -> None:
    """Fold the output of `program` over `axes` into the contiguous `output`, in one launch or two."""
    count = prod(shape[a] for a in axes)
    if record.index:
        _argreduce(device, record, program, inputs, scalars, shape, axes, output)
    else:
        _fold(device, record, program, inputs, scalars, shape, axes, output, count)


def _fold_layout(inputs: Sequence[ArrayView], shape: Shape, axes: tuple[int, ...], ordered: bool) -> FoldLayout:
    strides = tuple(broadcast_strides(i.shape, i.strides, shape) for i in inputs)
    return fold_layout(shape, strides or ((0,) * len(shape),), axes, ordered)


def _segments(device: OpenCLDevice, fold: FoldLayout, width: int) -> int:
    """Into how many parts to cut each fold so that every core is busy, each part long enough to pay."""
    groups, local = device.profile.groups, device.profile.local_size
    vectors = -(-fold.layout.shape[-1] // width)
    if fold.across:
        strips = -(-vectors // (device.profile.fold_columns * local))
        tasks, length = fold.outputs * strips, fold.fold_rows * min(vectors, device.profile.fold_columns)
    else:
        tasks, length = fold.outputs, fold.fold_rows * vectors // local
    return max(1, min(groups // tasks if tasks else 1, length // MIN_VECTORS))


def _fold(
    device: OpenCLDevice,
    record: Reduction,
    program: Program,
    inputs: Sequence[ArrayView],
    scalars: Sequence[Scalar],
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
    count: int,
) -> None:
    accumulator = float32 if output.dtype == float16 else output.dtype
    width = width_for(device, [*program_dtypes(program), accumulator])
    fold = _fold_layout(inputs, shape, axes, ordered=False)
    segments = _segments(device, fold, width)
    target = output
    if segments > 1:
        columns = fold.layout.shape[-1] if fold.across else 1
        target = Partial(
            device.empty(fold.outputs * segments * columns, accumulator), (fold.outputs, segments, columns), accumulator
        )
    _launch_fold(device, record, program, inputs, scalars, fold, segments, target, width, count)
    if target is not output:
        step = _identity_program(accumulator)
        _fold(device, record, step, [target], [], target.shape, (1,), output, count)


def _launch_fold(
    device: OpenCLDevice,
    record: Reduction,
    program: Program,
    inputs: Sequence[ArrayView],
    scalars: Sequence[Scalar],
    fold: FoldLayout,
    segments: int,
    target: ArrayView,
    width: int,
    count: int,
) -> None:
    finish = record.finish if segments == 1 else "r"
    name = "reduce_columns" if fold.across else "reduce_rows"
    layout, index = fold.layout, index_type(device, fold.layout.reach)
    accumulator = float32 if target.dtype == float16 else target.dtype

    def build() -> Any:
        T = cl_type(accumulator)
        defines = {
            "WIDTH": width,
            "INDEX": index,
            "LOCAL": device.profile.local_size,
            "ACROSS": int(fold.across),
            "COLUMNS": device.profile.fold_columns,
            "COMPENSATED": int(record.compensated and accumulator.kind == "f"),
            "ACC": T,
            "OUT": cl_type(target.dtype),
            "COMBINE(a, b)": f"({record.combine})",
            "IDENTITY": _with_type(record.identity, T),
            "FINISH(r, n)": f"({_with_type(finish, T)})".replace("/ n", f"/ ({T})n"),
            **expression_defines(program, 0, layout.columns, layout.rank),
        }
        return device.kernel("reduce.cl", name, defines, [None, *[INT64] * 5, None, *expression_arguments(program, 0)])

    key = (name, record, finish, program, layout.columns, layout.rank, width, index, target.dtype)
    kernel = device.expression_kernel(key, build)
    strips = -(-layout.shape[-1] // (width * device.profile.fold_columns * device.profile.local_size))
    tasks = fold.outputs * segments * (strips if fold.across else 1)
    device.launch(
        kernel, (max(1, min(tasks, device.profile.groups)),), (device.profile.local_size,),
        target.buffer, target.offset, fold.outputs, segments, fold.fold_rows, count,
        device.layout_buffer(layout), *expression_values((), inputs, scalars),
    )  # fmt: skip


def _with_type(expression: str, name: str) -> str:
    """An expression of a record with `T` written out."""
    return re.sub(r"\bT\b", name, expression)


def _argreduce(
    device: OpenCLDevice,
    record: Reduction,
    program: Program,
    inputs: Sequence[ArrayView],
    scalars: Sequence[Scalar],
    shape: Shape,
    axes: tuple[int, ...],
    output: ArrayView,
) -> None:
    dtype = program_dtypes(program)[program.outputs[0]]
    width = width_for(device, program_dtypes(program))
    fold = _fold_layout(inputs, shape, axes, ordered=True)
    segments = _segments(device, fold, width)
    values = positions = None
    target = output
    if segments > 1:
        size = (fold.outputs, segments)
        values = Partial(device.empty(fold.outputs * segments, dtype), size, dtype)
        target = positions = Partial(device.empty(fold.outputs * segments, int64), size, int64)
    _launch_argreduce(device, record, program, inputs, scalars, fold, segments, values, target, None, width)
    if values is not None and positions is not None:
        chosen = _fold_layout([values], values.shape, (1,), ordered=True)
        step = _identity_program(dtype)
        _launch_argreduce(device, record, step, [values], [], chosen, 1, None, output, positions, width)


def _launch_argreduce(
    device: OpenCLDevice,
    record: Reduction,
    program: Program,
    inputs: Sequence[ArrayView],
    scalars: Sequence[Scalar],
    fold: FoldLayout,
    segments: int,
    values: Partial | None,
    target: ArrayView,
    positions: Partial | None,
    width: int,
) -> None:
    layout, index = fold.layout, index_type(device, fold.layout.reach)

    def build() -> Any:
        T = cl_type(program_dtypes(program)[program.outputs[0]])
        defines = {
            "WIDTH": width,
            "INDEX": index,
            "LOCAL": device.profile.local_size,
            "POSITIONS": int(positions is not None),
            "ACC": T,
            "BETTER(a, b)": f"({record.combine})",
            "IDENTITY": _with_type(record.identity, T),
            **expression_defines(program, 0, layout.columns, layout.rank),
        }
        arguments = [None, None, INT64, None, *[INT64] * 3, None, *expression_arguments(program, 0)]
        return device.kernel("argreduce.cl", "argreduce", defines, arguments)

    key = ("argreduce", record, program, layout.columns, layout.rank, width, index, positions is None)
    kernel = device.expression_kernel(key, build)
    device.launch(
        kernel, (max(1, min(fold.outputs * segments, device.profile.groups)),), (device.profile.local_size,),
        values and values.buffer, target.buffer, target.offset, positions and positions.buffer,
        fold.outputs, segments, fold.fold_rows, device.layout_buffer(layout),
        *expression_values((), inputs, scalars),
    )  # fmt: skip
