"""The bar chart of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.case import Family
from benchmarks.results import Result

COLORS = {"torch": "#ee6c4d", "numpy": "#98c1d9", "tinygrad": "#8a9a5b"}


def draw(path: Path, families: Sequence[Family], results: Sequence[Result], peers: Sequence[str], caption: str) -> None:
    """Bars of each peer's time over needle's, with their quartiles, and a mark at each case's bar."""
    bars = {f.name: f.bar for f in families}
    shown = [r for r in results if any(r.ratio(p) for p in peers)]
    present = [p for p in peers if any(r.ratio(p) for r in shown)]
    height = 0.8 / max(len(present), 1)
    figure = Figure(figsize=(10, 1.5 + 0.16 * len(shown) * (1 + len(present))), layout="constrained")
    axis = figure.subplots()
    for k, peer in enumerate(present):
        places, medians, spans = [], [], []
        for i, result in enumerate(shown):
            ratio = result.ratio(peer)
            if ratio is None:
                continue
            places.append(i + (k - (len(present) - 1) / 2) * height)
            medians.append(ratio.median)
            spans.append((ratio.median - ratio.low, ratio.high - ratio.median))
        axis.barh(
            places, medians, height, label=f"{peer} / needle", color=COLORS.get(peer, "gray"),
            xerr=list(zip(*spans, strict=True)), error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
        )  # fmt: skip
    axis.scatter(
        [bars[r.family] for r in shown], range(len(shown)), marker="|", s=120, color="black", label="bar", zorder=3
    )
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_yticks(range(len(shown)), [r.name for r in shown], fontsize=8)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlabel("the other library's time / needle's (logarithmic); right of 1 needle is the faster")
    axis.set_title(caption, fontsize=9)
    axis.grid(axis="x", which="both", alpha=0.25)
    axis.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=110)
