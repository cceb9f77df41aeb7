"""The bar chart of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.case import Family
from benchmarks.results import Result

COLORS = {"torch": "#ee6c4d", "numpy": "#7fb3d5", "tinygrad": "#8a9a5b"}
COLUMNS = 2
ROW_INCHES = 0.3


def draw(path: Path, families: Sequence[Family], results: Sequence[Result], peers: Sequence[str], caption: str) -> None:
    """Bars from 1 to each peer's time over needle's, with their quartiles, and a mark at each case's bar."""
    shown = [r for r in results if any(r.ratio(p) for p in peers)]
    present = [p for p in peers if any(r.ratio(p) for r in shown)]
    columns = COLUMNS if len(shown) > 20 else 1
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(7.5 * columns, 1.3 + ROW_INCHES * rows), layout="constrained")
    figure.suptitle(caption, fontsize=10)
    bars = {f.name: f.bar for f in families}
    for i, axis in enumerate(figure.subplots(1, columns, sharex=True, squeeze=False)[0]):
        _panel(axis, shown[i * rows : (i + 1) * rows], present, bars)
        axis.set_ylim(rows - 0.4, -0.6)
    figure.supxlabel("the other library's time / needle's: right of 1 needle is the faster", fontsize=9)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=len(names), fontsize=8)
    figure.savefig(path, dpi=100)


def _panel(axis: Any, shown: Sequence[Result], peers: Sequence[str], bars: dict[str, float]) -> None:
    height = 0.8 / max(len(peers), 1)
    for k, peer in enumerate(peers):
        found = [
            (i + (k - (len(peers) - 1) / 2) * height, ratio) for i, r in enumerate(shown) if (ratio := r.ratio(peer))
        ]
        spans = [[r.median - r.low for _, r in found], [r.high - r.median for _, r in found]]
        axis.barh(
            [place for place, _ in found], [r.median - 1 for _, r in found], height, left=1, label=peer,
            color=COLORS.get(peer, "gray"), xerr=spans, error_kw={"elinewidth": 0.7, "ecolor": "#333333"},
        )  # fmt: skip
    marks = [bars[r.family] for r in shown]
    axis.scatter(marks, range(len(shown)), marker="|", s=90, color="black", label="must be at least", zorder=3)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_yticks(range(len(shown)), [r.name for r in shown], fontsize=7.5)
    axis.grid(axis="x", which="both", alpha=0.25)
