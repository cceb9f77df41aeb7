"""What reductions have in common: how a fold is laid out, and cut into parts that several cores take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from needle.backend.opencl.layout import FoldLayout, fold_layout
from needle.backend.protocol import Buffer, Expression
from needle.backend.records import Program
from needle.dtypes import DType, Shape
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
    def size(self) -> int:
        return prod(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        return contiguous_strides(self.shape)


def partial(device: OpenCLDevice, shape: Shape, dtype: DType) -> Partial:
    """An array for partial results of three axes: outputs, segments, columns."""
    return Partial(device.empty(shape[0] * shape[1] * shape[2], dtype), shape, dtype)


_COPIES: dict[DType, Program] = {}


def reading(source: Partial) -> Expression:
    """The expression that is just the elements of `source`."""
    program = _COPIES.setdefault(source.dtype, Program((source.dtype,), (), (), (0,)))
    return Expression(program, [source], [])


def layout_of(expression: Expression, shape: Shape, axes: tuple[int, ...], ordered: bool) -> FoldLayout:
    """How `expression`, over `shape`, is folded over `axes` (see `fold_layout`)."""
    strides = tuple(broadcast_strides(i.shape, i.strides, shape) for i in expression.inputs)
    return fold_layout(shape, strides or ((0,) * len(shape),), axes, ordered)


def segments_for(device: OpenCLDevice, fold: FoldLayout, width: int) -> int:
    """Into how many parts to cut each fold so that every core is busy, each part long enough to pay."""
    profile = device.profile
    vectors = -(-fold.layout.shape[-1] // width)
    if fold.across:
        tasks = fold.outputs * -(-vectors // (profile.fold_columns * profile.local_size))
        length = fold.fold_rows * min(vectors, profile.fold_columns)
    else:
        tasks, length = fold.outputs, fold.fold_rows * vectors // profile.local_size
    return max(1, min(profile.groups // tasks if tasks else 1, length // MIN_VECTORS))


def with_type(expression: str, name: str) -> str:
    """An expression of a record with `T` written out."""
    return re.sub(r"\bT\b", name, expression)
