"""Elementwise functions that are recorded once for each kind of operands, for where Python's time counts.

Recording costs a few microseconds a node each time. On small arrays a `Template` keeps the program that its
function makes of operands of the same shapes, dtypes and options, and computes at once. On large arrays passes over
memory cost more than recording does. There it records as always, so that the result may be fused into its reader.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from needle.array import evaluation
from needle.array.expression import FULL, clock, linearize, positions
from needle.array.ndarray import NDArray
from needle.array.operators import TABLE
from needle.array.storage import Storage
from needle.backend.protocol import Device, Expression
from needle.backend.records import FusedProgram, Reduction
from needle.dtypes import DType, Scalar, Shape

#: Up to so many elements recording takes longer than what fusing could save.
SMALL = 1 << 14


class _Known(NamedTuple):
    program: FusedProgram
    scalars: list[Scalar]
    reads: list[int]  # which operand each input of the program is
    shape: Shape
    axes: tuple[int, ...]  # what is folded
    result: Shape
    dtype: DType  # of the result


class Template:
    """`function(*operands, **options)`, elementwise; with `reduction` folded over all axes, or over `axis` alone.

    An axis given stays with size 1. The operands are arrays, or values under `create_graph`; the result depends on
    nothing but them and the options.
    """

    def __init__(self, function: Callable[..., Any], reduction: Reduction | None = None) -> None:
        self._function = function
        self._name = function.__name__.strip("_")
        self._reduction = reduction
        self._recorded = lru_cache(maxsize=1024)(self._record)

    def __call__(self, *operands: Any, axis: int | None = None, **options: Scalar) -> Any:
        pending = False
        for operand in operands:
            if operand.__class__ is not NDArray or prod(operand.shape) > SMALL:
                return self._fused(operands, axis, options)
            pending = pending or operand._pending is not None
        if pending:
            evaluation.realize(operands)
        device = evaluation.common_device(self._name, operands)
        kinds = tuple([(o.shape, o.dtype) for o in operands])
        known = self._recorded(device, kinds, axis, tuple(options.items()))
        expression = Expression(known.program, [operands[i] for i in known.reads], known.scalars)
        output = NDArray.empty(known.result, known.dtype, device)
        if not output.size:
            return output
        clock.launches += 1
        if self._reduction is None:
            device.evaluate(expression, [output])
        else:
            device.reduce(self._reduction, expression, known.shape, known.axes, output)
        return output

    def _fused(self, operands: tuple[Any, ...], axis: int | None, options: dict[str, Scalar]) -> Any:
        result = self._function(*operands, **options)
        return result if self._reduction is None else TABLE[self._reduction.name](result, axis, axis is not None)

    def _record(
        self,
        device: Device,
        kinds: tuple[tuple[Shape, DType], ...],
        axis: int | None,
        options: tuple[tuple[str, Scalar], ...],
    ) -> _Known:
        # On arrays without memory. They are all different: a call that passes one array twice may be followed by
        # one that passes two.
        operands = [NDArray._make(device, dtype, shape, Storage(None)) for shape, dtype in kinds]
        result = self._function(*operands, **dict(options))
        linear = linearize([result])
        shape = result.shape
        axes = tuple(range(len(shape))) if axis is None else (axis,)
        folded = () if axis is None else (*shape[:axis], 1, *shape[axis + 1 :])
        final = shape if self._reduction is None else folded
        dtype = result.dtype if self._reduction is None else self._reduction.result(result.dtype)
        reads = positions(linear.inputs, operands)
        return _Known(linear.expression.program, list(linear.expression.scalars), reads, shape, axes, final, dtype)


def constant_value(array: Any) -> Scalar | None:
    """The value of every element, if this is an array, of one value, that has not been written out."""
    pending = array._pending if isinstance(array, NDArray) else None
    value: Scalar | None = pending.operands[0] if pending is not None and pending.record is FULL else None
    return value
