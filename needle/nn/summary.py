"""`summary`: a table of what a model consists of, and of the shapes that an input takes in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from needle.autograd import no_grad
from needle.dtypes import Shape
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = ["Summary", "SummaryRow", "summary"]


@dataclass(frozen=True)
class SummaryRow:
    """A module: its path, its class, its output's shape (None if it was not called), its own parameters' elements."""

    name: str
    kind: str
    output: Shape | None
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The modules of a model in their order. As a string it is a table, drawn by rich."""

    rows: tuple[SummaryRow, ...]
    parameters: int
    trainable: int

    def __str__(self) -> str:
        try:
            from rich.console import Console
            from rich.table import Table
        except ImportError as error:
            raise ImportError("a summary is drawn by rich: pip install 'needle-opencl[summary]'") from error
        table = Table()
        for title, side in (("module", "left"), ("class", "left"), ("output", "left"), ("parameters", "right")):
            table.add_column(title, justify=side)  # type: ignore[arg-type]
        for row in self.rows:
            output = "" if row.output is None else str(row.output)
            table.add_row(row.name or "(model)", row.kind, output, f"{row.parameters:,}" if row.parameters else "")
        console = Console(width=100, color_system=None)
        with console.capture() as capture:
            console.print(table)
            console.print(f"{self.parameters:,} parameters, {self.trainable:,} of them trained", highlight=False)
        return capture.get().rstrip()


def summary(model: Module, *inputs: Tensor) -> Summary:
    """What `model` consists of, and the shapes that its modules return when it is called with `inputs`.

    The model is called once, in evaluation mode and without gradients; its mode is as before afterwards. A module that
    is called several times shows its last output, one that returns several tensors the shape of the first.
    """
    outputs: dict[int, Shape] = {}

    def note(module: Module, args: Any, result: Any) -> None:
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(first, Tensor):
            outputs[id(module)] = first.shape

    modules = list(model.named_modules())
    modes = [module.training for _, module in modules]
    handles = [module.register_forward_hook(note) for _, module in modules]
    try:
        with no_grad():
            model.eval()(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for (_, module), mode in zip(modules, modes, strict=True):
            module.training = mode
    below = {name: _own(name, model) for name, _ in modules}
    rows = tuple(SummaryRow(name, type(m).__name__, outputs.get(id(m)), below[name]) for name, m in modules)
    parameters = model.parameters()
    trained = sum(p.size for p in parameters if p.requires_grad)
    return Summary(rows, sum(p.size for p in parameters), trained)


def _own(name: str, model: Module) -> int:
    """The elements of the parameters that belong to the module `name` itself, not to one below."""
    prefix = f"{name}." if name else ""
    paths = [path for path, _ in model.named_modules() if path.startswith(prefix) and path != name]
    return sum(
        p.size
        for path, p in model.named_parameters()
        if path.startswith(prefix) and not any(path.startswith(f"{other}.") for other in paths)
    )
