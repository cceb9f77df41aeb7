"""Elementwise functions that are recorded once for each kind of operands, for where Python's time counts.

Recording costs a few microseconds a node each time. A `Template` keeps the program that its function made of
operands of the same shapes, dtypes and options, and computes at once; so what it gives is not fused into what
reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from needle.array import evaluation
from needle.array.expression import FULL, linearize
from needle.array.ndarray import NDArray
from needle.backend.protocol import Expression
from needle.backend.records import Program, Reduction
from needle.dtypes import Scalar, Shape


class _Known(NamedTuple):
    program: Program
    scalars: list[Scalar]
    reads: list[int]  # which operand each input of the program is
    shape: Shape
    axes: tuple[int, ...]  # what is folded
    result: Shape


class Template:
    """`function(*arrays, **options)`, elementwise, computed in one launch.

    With `reduction` it is folded as well: over all axes, or over `axis` alone, which stays with size 1. The arrays must
    be different objects, and the result depends on nothing but them and the options.
    """

    def __init__(self, function: Callable[..., NDArray], reduction: Reduction | None = None) -> None:
        self._function = function
        self._reduction = reduction
        self._known: dict[Hashable, _Known] = {}

    def __call__(self, *arrays: NDArray, axis: int | None = None, **options: Scalar) -> NDArray:
        evaluation.realize(arrays)
        kind = (*[(a.shape, a.dtype) for a in arrays], axis, *options.items())
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = self._record(arrays, axis, options)
        device, program = arrays[0].device, known.program
        expression = Expression(program, [arrays[i] for i in known.reads], known.scalars)
        if self._reduction is None:
            output = NDArray.empty(known.shape, program.dtype, device)
            if output.size:
                device.evaluate(expression, [output])
        else:
            output = NDArray.empty(known.result, self._reduction.result(program.dtype), device)
            if output.size:
                device.reduce(self._reduction, expression, known.shape, known.axes, output)
        return output

    def _record(self, arrays: tuple[NDArray, ...], axis: int | None, options: dict[str, Any]) -> _Known:
        result = self._function(*arrays, **options)
        work = linearize([result])
        reads = [next(i for i, array in enumerate(arrays) if array is source) for source in work.inputs]
        shape = result.shape
        axes = tuple(range(len(shape))) if axis is None else (axis,)
        folded = () if axis is None else (*shape[:axis], 1, *shape[axis + 1 :])
        return _Known(work.expression.program, list(work.expression.scalars), reads, shape, axes, folded)


def constant_value(array: NDArray) -> Scalar | None:
    """The value of every element, if the array is a constant that has not been written out."""
    pending = array._pending
    value: Scalar | None = pending.operands[0] if pending is not None and pending.record is FULL else None
    return value
