"""Single figures with their bars: what the subcommands beside the comparison report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks import document


@dataclass(frozen=True)
class Figure:
    """A measured quantity, its unit, and the bar that it must not exceed, or with `least` must reach."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    least: bool = False

    def cells(self) -> list[str]:
        """Name, value, bar, verdict."""
        measured = f"{self.value:.3g} {self.unit}".strip()
        if self.bar is None:
            return [self.name, measured, "", ""]
        missed = self.value < self.bar if self.least else self.value > self.bar
        bar = f"{'at least' if self.least else 'at most'} {self.bar:g} {self.unit}".strip()
        return [self.name, measured, bar, "MISS" if missed else "ok"]


HEAD = ["what", "measured", "bar", ""]


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    """The figures as a table on the terminal."""
    table = Table(*HEAD, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for figure in figures:
        cells = figure.cells()
        table.add_row(*cells, style="bold red" if cells[-1] == "MISS" else "")
    console.print(table)


def markdown(figures: Sequence[Figure]) -> str:
    """The figures as a table for a document."""
    return document.table([*HEAD[:3], "met"], [f.cells() for f in figures])
