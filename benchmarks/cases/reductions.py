"""Reductions of 16M elements over everything, rows, columns and a middle axis."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Case, Draw, Family, normal, uniform

#: What is reduced: its name, the input's shape, and the axis.
AXES = (
    ("all", (1 << 24,), None),
    ("rows", (4096, 4096), 1),
    ("columns", (4096, 4096), 0),
    ("middle", (256, 256, 256), 1),
)


def reduction(operation: str, title: str, draw: Draw, axis: int | None) -> Case:
    """An operation of the common vocabulary over one axis or all."""

    def run(lib: Any, x: Any) -> Any:
        return getattr(lib, operation)(x, axis=axis)

    return Case(f"{operation} {title}", (draw,), run, tolerance=1e-4)


def cases() -> tuple[Case, ...]:
    """Every operation over every axis. Sums are of positive numbers: an error is not to hide in a cancelled sum."""
    return tuple(
        reduction(operation, title, uniform(*shape) if operation in ("sum", "mean") else normal(*shape), axis)
        for operation in ("sum", "max", "mean", "var")
        for title, shape, axis in AXES
    )


FAMILIES = (Family("reductions", "Reductions of 16M elements", cases(), bar=1.0),)
