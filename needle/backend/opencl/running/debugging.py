"""A device that describes each launch on stderr: what NEEDLE_DEBUG=kernels opens in place of an ordinary one.

It launches the same kernels in the same order and waits for nothing, so that a fault shows as it does without it. Each
description is written before its launch: the last one names the kernel that crashes a driver.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyopencl as cl

from needle.backend import debugging
from needle.backend.cost import input_names, text_of
from needle.backend.opencl.building import programs
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.building.layout import Layout
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.protocol import ArrayView, DeviceInfo, Expression
from needle.backend.records import FusedProgram, Primitive, Reduction, Scan
from needle.dtypes import Scalar, Shape
from needle.errors import DeviceError

#: What a define must be like to be printed: its value is a word, or it is a macro like COMBINE(a, b) and not long.
_WORD = re.compile(r"[-\w.]+")
_LONGEST = 60

#: A heading and what is said under it.
_Line = tuple[str, str]


@dataclass
class _Operation:
    """An operation of the device: in words, its operands, and how many launches it has made."""

    text: str
    operands: list[_Line]
    launches: int = 0


@dataclass(frozen=True)
class _Built:
    """What a kernel was built from."""

    file: str
    defines: programs.Defines
    parameters: list[str]  # their names
    source: Path | None  # the file that it was written to


@dataclass
class _Thread(threading.local):
    """The operation that a thread carries out, if any."""

    operation: _Operation | None = field(default=None)


class DebuggedDevice(OpenCLDevice):
    """An OpenCL device that describes each launch on stderr.

    With `asked.folder`, it writes the source of each program there. Raises DeviceError if it cannot.
    """

    #: Each launch is told of, so none is made again without its operation.
    replays = False

    def __init__(self, info: DeviceInfo, cl_device: cl.Device, asked: debugging.Kernels) -> None:
        self._folder = asked.folder
        self._thread = _Thread()
        self._built: dict[Kernel, _Built] = {}
        if self._folder is not None:
            with _writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
        super().__init__(info, cl_device)

    compiles_together = False  # or the launch that is described last would not be the one that crashes a driver

    # -- operations -----------------------------------------------------------------------------

    def evaluate(self, expression: Expression, outputs: Sequence[ArrayView]) -> None:
        with self._during(_text(expression.program), [*_operands(expression), *_results(outputs)]):
            super().evaluate(expression, outputs)

    def evaluate_alike(
        self,
        program: FusedProgram,
        scalars: Sequence[Scalar],
        batch: Sequence[Sequence[ArrayView]],
        reads: Sequence[int],
    ) -> None:
        first = batch[0]
        expression = Expression(program, [first[i] for i in reads], scalars)
        operands = [*_operands(expression), *_results(first[: len(program.outputs)])]
        with self._during(f"{_text(program)}, on {len(batch)} sets of arrays, of which this is the first", operands):
            super().evaluate_alike(program, scalars, batch, reads)

    def reduce(
        self,
        reduction: Reduction,
        expression: Expression,
        shape: Shape,
        axes: tuple[int, ...],
        output: ArrayView,
    ) -> None:
        text = f"{reduction.name}({text_of(expression.program)}) of shape {shape} over axes {axes}"
        with self._during(text, [*_operands(expression), *_results([output])]):
            super().reduce(reduction, expression, shape, axes, output)

    def scan(self, scan: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView) -> None:
        text = f"{scan.name}({text_of(expression.program)}) of shape {shape} along axis {axis}"
        with self._during(text, [*_operands(expression), *_results([output])]):
            super().scan(scan, expression, shape, axis, output)

    def run(
        self,
        primitive: Primitive,
        inputs: Sequence[ArrayView],
        outputs: Sequence[ArrayView],
        **params: Any,
    ) -> None:
        text = ", ".join([primitive.name, *(f"{name}={value}" for name, value in params.items())])
        with self._during(text, [*_views(input_names(len(inputs)), inputs), *_results(outputs)]):
            super().run(primitive, inputs, outputs, **params)

    @contextmanager
    def _during(self, text: str, operands: list[_Line]) -> Iterator[None]:
        """A block whose launches belong to the operation that `text` describes."""
        before, self._thread.operation = self._thread.operation, _Operation(text, operands)
        try:
            yield
        finally:
            self._thread.operation = before

    # -- kernels and launches -------------------------------------------------------------------

    def kernel(
        self, file: str, name: str, defines: programs.Defines, types: Sequence[Any], size: int | None = None
    ) -> Kernel:
        kernel = super().kernel(file, name, defines, types, size)
        if kernel not in self._built:  # it is compiled later, which may fail
            names = [re.findall(r"\w+", text)[-1] for text in programs.parameters(file, name, defines)]
            self._built[kernel] = _Built(file, defines, names, self._write_source(file, name, defines))
        return kernel

    def _write_source(self, file: str, name: str, defines: programs.Defines) -> Path | None:
        if self._folder is None:
            return None
        source = programs.assemble(file, defines)
        path = self._folder / f"{name}-{blake2b(source.encode(), digest_size=6).hexdigest()}.cl"
        with _writing(self._folder):
            path.write_text(source)
        return path

    def _write_layout(self, layout: Layout) -> cl.MemoryObject:
        buffer = super()._write_layout(layout)
        buffer.words = "; ".join(", ".join(map(str, part)) for part in (layout.shape, *layout.strides))
        return buffer

    def launch(self, kernel: Kernel, groups: Sequence[int], local: Sequence[int], *arguments: Any) -> None:
        built = self._built[kernel]
        head = f"needle: {kernel.function_name} on {self.name}, {_size(groups, 'group')} of {_size(local, 'item')}"
        lines = [*self._told_of_operation(), *_told_of_kernel(built, arguments)]
        text = "".join(f"    {heading:<10} {what}\n" for heading, what in lines)
        sys.stderr.write(f"{head}\n{text}")  # at once, so that threads do not mix theirs
        sys.stderr.flush()
        super().launch(kernel, groups, local, *arguments)

    def _told_of_operation(self) -> list[_Line]:
        """The operation that a launch belongs to, and its operands the first time."""
        operation = self._thread.operation
        if operation is None:
            return []
        operation.launches += 1
        if operation.launches > 1:
            return [("operation", f"launch {operation.launches} of {operation.text}")]
        return [("operation", operation.text), *operation.operands]


def _told_of_kernel(built: _Built, arguments: Sequence[Any]) -> list[_Line]:
    """A launch's scalar arguments and layouts, and what its kernel was built from.

    A kernel may be declared twice, with further parameters in the first place: then those are not there.
    """
    values = [
        f"{name}=[{argument.words}]" if hasattr(argument, "words") else f"{name}={argument}"
        for name, argument in zip(built.parameters, arguments, strict=False)
        if hasattr(argument, "words") or isinstance(argument, (int, float))
    ]
    defines = [f"{name}={value}" for name, value in built.defines.items() if _is_short(name, value)]
    lines = [("arguments", " ".join(values)), ("built from", f"cl/{built.file} with {' '.join(defines)}")]
    return lines if built.source is None else [*lines, ("source", str(built.source))]


def _is_short(name: str, value: str | int) -> bool:
    """Whether a define is worth printing: those that hold a fused expression's code are not, the text tells it."""
    text = str(value)
    return _WORD.fullmatch(text) is not None or ("(" in name and len(name) + len(text) < _LONGEST)


def _size(extents: Sequence[int], what: str) -> str:
    count = " x ".join(map(str, extents))
    return f"{count} work-{what}" if count == "1" else f"{count} work-{what}s"


def _text(program: FusedProgram) -> str:
    return text_of(program) if program.nodes else "copy" if program.inputs else "fill"


def _operands(expression: Expression) -> list[_Line]:
    """What an expression reads: its inputs by the names that its text has, and the values of its scalars."""
    lines = _views(input_names(len(expression.inputs)), expression.inputs)
    values = ", ".join(map(str, expression.scalars))
    return [*lines, ("c", values)] if values else lines


def _results(views: Sequence[ArrayView]) -> list[_Line]:
    return _views(["result"] if len(views) == 1 else [f"result {k}" for k in range(len(views))], views)


def _views(names: Sequence[str], views: Sequence[ArrayView]) -> list[_Line]:
    return [
        (name, f"{view.dtype} {view.shape}, strides {view.strides}, offset {view.offset}")
        for name, view in zip(names, views, strict=True)
    ]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """A block that writes to the folder which NEEDLE_DEBUG names."""
    try:
        yield
    except OSError as error:
        variable = debugging.ENVIRONMENT_VARIABLE
        raise DeviceError(f"{variable}=kernels:{folder}: the folder cannot be written: {error}") from error
