"""What an operation has to do, told for the profiler: a name, the bytes it moves, its arithmetic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from needle.backend.protocol import ArrayView, Expression
from needle.backend.records import Elementwise, FusedProgram, Primitive, Reduction, Scan
from needle.dtypes import DType, Scalar, Shape, float32, is_float

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Cost:
    """One operation: `kind` and `detail` name it; `shape` and `dtype` are those of its result.

    `bytes` are those of the distinct elements that its views cover, read and written; `flops` its arithmetic
    operations on elements. A transfer is not `on_device`: the device's memory does not bound it.
    """

    kind: str
    detail: str
    shape: Shape
    dtype: DType
    bytes: int
    flops: int
    on_device: bool = True


def of_expression(expression: Expression, outputs: Sequence[ArrayView]) -> Cost:
    """The work of `Device.evaluate`: an operation for each node and element."""
    program, shape = expression.program, outputs[0].shape
    detail = text_of(program) if program.nodes else "copy" if program.inputs else "fill"
    return Cost(
        "elementwise", detail, shape, _computed_in(outputs[0].dtype, program.inputs),
        _covered(expression.inputs) + _covered(outputs), len(program.nodes) * prod(shape),
    )  # fmt: skip


def of_batch(
    program: FusedProgram, scalars: Sequence[Scalar], batch: Sequence[Sequence[ArrayView]], reads: Sequence[int]
) -> Cost:
    """The work of `Device.evaluate_alike`: that of its sets together."""
    count = len(program.outputs)
    sets = [of_expression(Expression(program, [a[i] for i in reads], scalars), a[:count]) for a in batch]
    shape = (sum(prod(one.shape) for one in sets),)
    return Cost(
        "elementwise", sets[0].detail, shape, sets[0].dtype, sum(w.bytes for w in sets), sum(w.flops for w in sets)
    )


def of_reduction(
    reduction: Reduction, expression: Expression, shape: Shape, axes: tuple[int, ...], output: ArrayView
) -> Cost:
    """The work of `Device.reduce`: for each element the expression's nodes and one to fold it."""
    program = expression.program
    return Cost(
        "reduce", f"{reduction.name}({text_of(program)})", output.shape, _computed_in(output.dtype, program.inputs),
        _covered(expression.inputs) + _covered([output]), (len(program.nodes) + 1) * prod(shape),
    )  # fmt: skip


def of_scan(scan: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView) -> Cost:
    """The work of `Device.scan`: for each element the expression's nodes and one to accumulate it."""
    program = expression.program
    return Cost(
        "scan", f"{scan.name}({text_of(program)})", output.shape, _computed_in(output.dtype, program.inputs),
        _covered(expression.inputs) + _covered([output]), (len(program.nodes) + 1) * prod(shape),
    )  # fmt: skip


def of_primitive(
    primitive: Primitive, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], **params: Any
) -> Cost:
    """The work of `Device.run`, as the record counts it."""
    read = _covered(inputs)
    if primitive.reads is not None:
        first = _distinct(inputs[0])
        read -= max(0, first - primitive.reads(*inputs, **params)) * inputs[0].dtype.itemsize
    flops = primitive.flops(*inputs, **params) if primitive.flops is not None else 0
    dtype = _computed_in(outputs[0].dtype, [i.dtype for i in inputs])
    return Cost(primitive.name, primitive.name, outputs[0].shape, dtype, read + _covered(outputs), flops)


def of_upload(array: np.ndarray) -> Cost:
    """The work of `Device.upload`."""
    return Cost("upload", "upload", array.shape, array.dtype, array.nbytes, 0, on_device=False)


def of_download(view: ArrayView) -> Cost:
    """The work of `Device.download`."""
    nbytes = prod(view.shape) * view.dtype.itemsize
    return Cost("download", "download", view.shape, view.dtype, nbytes, 0, on_device=False)


def of_replay(kernel: str) -> Cost:
    """A launch of `kernel` made again by a captured function; what it moves and computes is not known."""
    return Cost("replayed", kernel, (), float32, 0, 0, on_device=False)


def _computed_in(result: DType, inputs: Iterable[DType]) -> DType:
    """The dtype whose arithmetic counts: of a result that is not a float, that of the floats it comes from."""
    return result if is_float(result) else next((d for d in inputs if is_float(d)), result)


def _covered(views: Iterable[ArrayView]) -> int:
    """The bytes of the distinct elements of `views`; the same view twice counts once."""
    seen = {(id(v.buffer), v.offset, v.shape, v.strides): v for v in views}
    return sum(_distinct(v) * v.dtype.itemsize for v in seen.values())


def _distinct(view: ArrayView) -> int:
    """The elements of memory that a view covers: one along an axis that repeats."""
    steps = [(n, abs(s)) for n, s in zip(view.shape, view.strides, strict=True) if s != 0]
    reach = 1 + sum((n - 1) * s for n, s in steps)  # fewer than the product where axes overlap
    return 0 if 0 in view.shape else min(prod(n for n, _ in steps), reach)


# -- programs in words ------------------------------------------------------------------------------

_INFIX = re.compile(r"x (\S{1,2}) y")
_PREFIX = re.compile(r"([-~!])x")
_INPUTS = "xyzwuvabdefgh"


@lru_cache(maxsize=4096)
def text_of(program: FusedProgram) -> str:
    """A fused program as its user may have written it: inputs x, y, z, ..., every scalar c."""
    values = [*input_names(len(program.inputs)), *("c" for _ in program.scalars)]
    for node in program.nodes:
        values.append(_text_of_step(node.record, [values[i] for i in node.operands], node.dtype))
    return "; ".join(values[i] for i in program.outputs)


def input_names(count: int) -> list[str]:
    """The names that `text_of` gives to the inputs of a program that has so many."""
    return [_INPUTS[i] if i < len(_INPUTS) else f"x{i}" for i in range(count)]


def _text_of_step(record: Elementwise, operands: Sequence[str], dtype: DType) -> str:
    form = record.cl if isinstance(record.cl, str) else next(iter(record.cl.values()))
    if record.typing == "cast":
        return f"{dtype.name}({operands[0]})"
    if infix := _INFIX.fullmatch(form):
        return f"{_bracketed(operands[0])} {infix[1]} {_bracketed(operands[1])}"
    if prefix := _PREFIX.fullmatch(form):
        return f"{prefix[1]}{_bracketed(operands[0])}"
    return f"{record.name}({', '.join(operands)})"


def _bracketed(operand: str) -> str:
    """`operand` in brackets if an operator stands outside of all brackets in it."""
    depth = 0
    for character in operand:
        depth += (character == "(") - (character == ")")
        if character == " " and depth == 0:
            return f"({operand})"
    return operand
