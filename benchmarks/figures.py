"""Single figures with their bars: what the subcommands beside the comparison report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks import document


@dataclass(frozen=True)
class Figure:
    """A measured quantity, its unit, and the bar that it must not exceed."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    def cells(self) -> list[str]:
        """Name, value, bar, verdict."""
        return [
            self.name,
            f"{self.value:.3g} {self.unit}".strip(),
            "" if self.bar is None else f"{self.bar:g} {self.unit}".strip(),
            "" if self.bar is None else "MISS" if self.value > self.bar else "ok",
        ]


HEAD = ["what", "measured", "at most", ""]


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
    return document.table([*HEAD[:3], "bar"], [f.cells() for f in figures])
