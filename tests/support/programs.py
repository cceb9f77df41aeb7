"""Random programs as text: 10 to 40 operations that run alike on `needle` and in a `World` of the reference.

`programs()` draws them. While a program is drawn it already runs in several worlds, so that every line is known to
fit, to stay finite (unless special values are what the program is about), and to decide nothing by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from support.lines import KINDS
from support.writer import Writer


class FusedProgram:
    """A drawn program: its text, the names to compare, and what the reference worlds made of it."""

    def __init__(
        self, lines: list[str], leaves: list[str], values: list[str], dtypes: set[str], worlds: list[dict[str, Any]]
    ) -> None:
        self.lines = lines
        self.leaves = leaves  # the tensors that require a gradient
        self.values = values  # the names that live to the end
        self.dtypes = dtypes
        self.worlds = worlds
        self.backward: list[str] = []
        self.second: str | None = None  # the tensor whose second derivatives can be had

    def __repr__(self) -> str:
        return "\n".join(["import numpy as np", "import needle as ndl", "", *self.lines, *self.backward, ""])

    def expected(self, name: str) -> list[np.ndarray]:
        return [world[name].value for world in self.worlds]

    def gradients(self, name: str) -> list[np.ndarray | None]:
        return [None if world[name].grad is None else world[name].grad.value for world in self.worlds]


def run(lines: Sequence[str], library: Any) -> dict[str, Any]:
    """The names that a program leaves when `ndl` is `library`."""
    names: dict[str, Any] = {"ndl": library, "np": np}
    with np.errstate(all="ignore"):
        exec("\n".join(lines), names)
    return names


@st.composite
def programs(draw: Callable[..., Any], least: int = 10, most: int = 40) -> FusedProgram:
    """Programs of `least` to `most` operations, and a backward pass where one can be had."""
    writer = Writer(draw)
    writer.begin()
    wanted = draw(st.integers(least, most))
    for _ in range(4 * wanted):  # a line that does not fit what there is adds nothing
        if writer.operations == wanted:
            break
        writer.pick(KINDS)(writer)
    else:
        reject()
    program = FusedProgram(writer.lines, writer.leaves, writer.alive, writer.dtypes, writer.names)
    if not writer.special:
        _finish(writer, program)
    return program


def _finish(w: Writer, program: FusedProgram) -> None:
    """Append backward passes from one or two tensors, if every gradient is finite."""
    roots = [n for n in w.alive if w.value(n).requires_grad and n not in w.leaves]
    if not roots:
        return
    roots.sort(key=lambda n: w.value(n).depth)
    lines = []
    for _ in range(w.number(1, 2)):
        root = w.pick(roots[-4:])
        weights = f"np.random.default_rng({w.number(0, 99)}).integers(-8, 9, {w.shape(root)}) / 4"
        dtype = w.value(root).dtype.name
        lines.append(f"{root}.backward(ndl.asarray({weights}, dtype={dtype!r}), retain_graph=True)")
    for line in lines:
        w.execute(line)
    grads = [g for n in w.leaves for g in program.gradients(n) if g is not None]
    limit = 500 if "float16" in w.dtypes else 1e6
    if all(np.isfinite(g).all() and (np.abs(g) < limit).all() for g in grads):
        program.backward = lines
        if w.dtypes.isdisjoint({"float16", "float32"}):
            program.second = root
