"""What reductions have in common: how a fold is laid out, and cut into parts that several cores take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from needle.backend.opencl.building.layout import FoldLayout, fold_layout
from needle.backend.protocol import Buffer, Expression
from needle.backend.records import FusedProgram
from needle.dtypes import DType, Shape
from needle.strides import Strides, broadcast_strides, contiguous_strides

#: The shape and the strides of an operand.
OperandLayout = tuple[Shape, Strides]

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice
    from needle.backend.opencl.shapes.launch_shape import LaunchShape

#: The shortest stretch worth a work-group of its own, in vectors.
MIN_VECTORS = 256

#: Vectors below which one work-group does it all on a CPU: to wake the other cores takes as long.
ALONE = 4096

#: Vectors below which a CPU does not cut one fold into parts: that takes a second launch as well.
WHOLE = 32768


@dataclass(frozen=True)
class Partial:
    """A contiguous array between the two launches of a segmented fold."""

    buffer: Buffer
    shape: Shape
    dtype: DType
    offset: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        return contiguous_strides(self.shape)


def partial(device: OpenCLDevice, shape: Shape, dtype: DType) -> Partial:
    """An array for partial results of three axes: outputs, segments, columns."""
    return Partial(device.empty(shape[0] * shape[1] * shape[2], dtype), shape, dtype)


_COPIES: dict[DType, FusedProgram] = {}


def copying(dtype: DType) -> FusedProgram:
    """The program that is just the elements of its one input."""
    return _COPIES.setdefault(dtype, FusedProgram((dtype,), (), (), (0,)))


def reading(source: Partial) -> Expression:
    """The expression that is just the elements of `source`."""
    return Expression(copying(source.dtype), [source], [])


def geometry_of(expression: Expression) -> tuple[OperandLayout, ...]:
    """The shapes and strides of what an expression reads."""
    return tuple([(view.shape, view.strides) for view in expression.inputs])


def layout_of(inputs: tuple[OperandLayout, ...], shape: Shape, axes: tuple[int, ...], ordered: bool) -> FoldLayout:
    """How an expression over `shape` that reads `inputs` is folded over `axes` (see `fold_layout`)."""
    strides = tuple(broadcast_strides(own, strides, shape) for own, strides in inputs)
    return fold_layout(shape, strides or ((0,) * len(shape),), axes, ordered)


def segments_for(device: OpenCLDevice, fold: FoldLayout, width: int) -> int:
    """Into how many parts to cut each fold so that every core is busy, each part long enough to pay."""
    launch_shape = device.launch_shape
    vectors = -(-fold.layout.shape[-1] // width)
    if launch_shape.local_size == 1 and fold.outputs * fold.fold_rows * vectors < WHOLE:
        return 1
    if fold.across:
        tasks = fold.outputs * -(-vectors // (launch_shape.fold_columns * launch_shape.local_size))
        length = fold.fold_rows * min(vectors, launch_shape.fold_columns)
    else:
        tasks, length = fold.outputs, fold.fold_rows * vectors // launch_shape.local_size
    return max(1, min(launch_shape.groups // tasks if tasks else 1, length // MIN_VECTORS))


def groups_for(device: OpenCLDevice, tasks: int, vectors: int) -> int:
    """How many work-groups share `tasks`, which read so many vectors in all: on a CPU none for a trifle."""
    launch_shape = device.launch_shape
    worthwhile = worth(launch_shape, vectors) if launch_shape.local_size == 1 else tasks
    return max(1, min(tasks, launch_shape.groups, worthwhile))


def worth(launch_shape: LaunchShape, vectors: int) -> int:
    """The most work-groups that so many vectors are worth."""
    if launch_shape.local_size == 1 and vectors < ALONE:
        return 1
    return max(1, vectors // (MIN_VECTORS * launch_shape.local_size))


def with_type(expression: str, name: str) -> str:
    """An expression of a record with `T` written out."""
    return re.sub(r"\bT\b", name, expression)
