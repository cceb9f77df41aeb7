"""What reductions and argreductions share: the layout of a fold, and the parts into which a long fold is cut.

A fold that is cut takes two launches or more: the first folds each part (a segment), the next folds the results of the
parts, which lie in a `Partial` array meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from needle.backend.opencl.building.layout import FoldLayout, fold_layout
from needle.backend.opencl.shapes.groups import VECTORS, groups_for, parts_for
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.backend.protocol import Buffer, Expression
from needle.backend.records import FusedProgram
from needle.dtypes import DType, Shape
from needle.strides import Strides, broadcast_strides, contiguous_strides

#: The shape and the strides of an operand.
OperandLayout = tuple[Shape, Strides]

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

#: A CPU does not cut folds of fewer vectors, in all, into parts: the second launch would cost more than it saves.
_WHOLE = 32768
#: Work-groups that a compute unit of a GPU works on at the same time.
_GROUPS_A_UNIT = 8
#: The vectors of each work-item for which a further work-group pays for the second launch, once no unit is idle.
_LONG = 16


@dataclass(frozen=True)
class Partial:
    """A contiguous array that one launch of a reduction writes and the next reads."""

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
    """A new array for partial results; its three axes are outputs, segments and columns."""
    return Partial(device.empty(shape[0] * shape[1] * shape[2], dtype), shape, dtype)


_COPIES: dict[DType, FusedProgram] = {}


def copying(dtype: DType) -> FusedProgram:
    """The program that returns its one input, of `dtype`, unchanged."""
    return _COPIES.setdefault(dtype, FusedProgram((dtype,), (), (), (0,)))


def reading(source: Partial) -> Expression:
    """The expression that returns the elements of `source` unchanged."""
    return Expression(copying(source.dtype), [source], [])


def geometry_of(expression: Expression) -> tuple[OperandLayout, ...]:
    """The shape and strides of each input of an expression."""
    return tuple([(view.shape, view.strides) for view in expression.inputs])


def layout_of(inputs: tuple[OperandLayout, ...], shape: Shape, axes: tuple[int, ...], ordered: bool) -> FoldLayout:
    """How an expression over `shape` that reads `inputs` is folded over `axes` (see `fold_layout`)."""
    strides = tuple(broadcast_strides(own, strides, shape) for own, strides in inputs)
    return fold_layout(shape, strides or ((0,) * len(shape),), axes, ordered)


def segments_for(device: OpenCLDevice, fold: FoldLayout, width: int) -> int:
    """The number of segments into which to cut each fold: enough to fill all work-groups, each long enough to pay."""
    launch_shape = device.launch_shape
    vectors = -(-fold.layout.shape[-1] // width)
    total = fold.outputs * fold.fold_rows * vectors
    if launch_shape.on_cpu and total < _WHOLE:
        return 1
    if fold.across:
        tasks = fold.outputs * -(-vectors // (launch_shape.fold_columns * launch_shape.local_size))
        length = fold.fold_rows * min(vectors, launch_shape.fold_columns)
    else:
        tasks, length = fold.outputs, fold.fold_rows * vectors // launch_shape.local_size
    if launch_shape.on_cpu:
        return parts_for(launch_shape, tasks, most=length // VECTORS.group)
    return segments_on_gpu(launch_shape, tasks, length, total)


def segments_on_gpu(launch_shape: LaunchShape, tasks: int, length: int, total: int) -> int:
    """The number of segments for each of `tasks`, with `length` vectors for a work-item of its group, `total` in all.

    Every compute unit gets a work-group, and as many as hide the latency of memory if enough is left for each.
    """
    units = launch_shape.cores
    if total < units * launch_shape.local_size or not tasks:
        return 1
    idle, few = -(-units // tasks), -(-_GROUPS_A_UNIT * units // tasks)
    wanted = max(idle, min(few, length // _LONG))
    return max(1, min(wanted, length, -(-launch_shape.groups // tasks)))


def fold_groups(device: OpenCLDevice, tasks: int, vectors: int) -> int:
    """The number of work-groups for `tasks`, which read so many vectors in all.

    A GPU's work-group folds a whole task. A CPU's takes several if they are short.
    """
    launch_shape = device.launch_shape
    if not launch_shape.on_cpu:
        return groups_for(launch_shape, tasks)
    return groups_for(launch_shape, tasks, VECTORS.worth(launch_shape, vectors))


def with_type(expression: str, name: str) -> str:
    """A record's OpenCL `expression` with the type `name` in place of `T`."""
    return re.sub(r"\bT\b", name, expression)
