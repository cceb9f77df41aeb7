"""The table of a run, on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import document
from benchmarks.case import Family
from benchmarks.floors import Floors
from benchmarks.results import Result, means
from benchmarks.statistics import Spread


def seconds(value: float) -> str:
    """A time with three digits and its unit."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1 or unit == "µs":
            return f"{value * factor:.3g} {unit}"
    raise AssertionError


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.0f}"


def with_spread(value: Spread | None, problem: str = "") -> str:
    """A ratio with its quartiles, or why there is none."""
    if value is None:
        return problem or "-"
    return f"{times(value.median)} ({times(value.low)}-{times(value.high)})"


def verdict(value: float | None, bar: float, aim: float | None) -> str:
    """Whether a ratio is below its bar, above it, or above its aim too."""
    if value is None:
        return "-"
    if value < bar:
        return "MISS"
    return "aim" if aim is not None and value >= aim else "ok"


def rows(families: Iterable[Family], results: Sequence[Result], peers: Sequence[str]) -> list[list[str]]:
    """The cells of the table, in the order of `columns`; the rows of means have no time."""
    found = []
    for family in families:
        own = [r for r in results if r.family == family.name]
        for result in own:
            time, ratio = result.time("needle"), result.ratio(family.against)
            bars = _bars(family.bar, family.aim)
            state = "WRONG" if result.wrong else verdict(ratio.median if ratio else None, family.bar, family.aim)
            share = f"{100 * result.share:.0f} %" if result.share is not None else "-"
            cells = [with_spread(result.ratio(p), _short(result.problems.get(p, ""))) for p in peers]
            own_time = seconds(time.median) if time else _short(result.problems.get("needle", "-"))
            found.append([result.name, own_time, *cells, bars, state, share])
        mean = means(family, own, family.against)
        if family.mean_bar is not None and mean is not None and len(own) > 1:
            cells = [times(m) if (m := means(family, own, p)) is not None else "-" for p in peers]
            state = verdict(mean, family.mean_bar, family.mean_aim)
            found.append(
                [f"{family.name}: geometric mean", "", *cells, _bars(family.mean_bar, family.mean_aim), state, ""]
            )
    return found


def _bars(bar: float, aim: float | None) -> str:
    return f"{bar:g}" if aim is None else f"{bar:g} / {aim:g}"


def _short(problem: str) -> str:
    return problem if len(problem) <= 24 else problem[:23] + "…"


def columns(peers: Sequence[str]) -> list[str]:
    """The head of the table."""
    return ["case", "needle", *peers, "must / aim", "", "of floor"]


STYLES = {"MISS": "bold red", "WRONG": "bold white on red", "ok": "", "aim": "green"}


def print_table(console: Console, families: Iterable[Family], results: Sequence[Result], peers: Sequence[str]) -> None:
    """The whole table on the terminal."""
    table = Table(*columns(peers), title="peer's time / needle's: median (quartiles); above 1 needle is the faster")
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    table.columns[0].no_wrap = True
    for cells in rows(families, results, peers):
        table.add_row(*cells, style=STYLES.get(cells[-2], ""))
    console.print(table)


def progress(result: Result) -> str:
    """A case's times in a line."""
    parts = [f"{name} {seconds(t.median)}" for name in result.seconds if (t := result.time(name))]
    parts += [f"{name}: {problem}" for name, problem in result.problems.items()]
    return f"{result.name}: {', '.join(parts)}"


def notes(results: Sequence[Result], measured: Floors) -> list[str]:
    """What the table cannot say."""
    bandwidth, peak = measured.bandwidth / 1e9, measured.peak / 1e9
    lines = [f"floors: copies {bandwidth:.1f} GB/s, bytes read and written; float32 {peak:.0f} GFLOP/s"]
    chosen = [f"{r.case}: {way}" for r in results for way in r.chosen.values()]
    if chosen:
        lines.append(f"PyTorch's optimiser, the faster of fused and foreach: {'; '.join(chosen)}")
    most = max((len(t) for r in results for t in r.seconds.values()), default=0)
    fewer = sorted({n for r in results for n, t in r.seconds.items() if 0 < len(t) < most})
    if fewer:
        lines.append(f"fewer than {most} rounds in cases in which it is far behind: {', '.join(fewer)}")
    return lines


def summary(families: Sequence[Family], results: Sequence[Result]) -> list[str]:
    """How many bars and aims were reached, and where needle stands against tinygrad."""
    judged = [(f, r.ratio(f.against)) for f in families for r in results if r.family == f.name]
    measured = [(f, ratio.median) for f, ratio in judged if ratio is not None]
    lines = []
    if measured:
        missed = sum(value < family.bar for family, value in measured)
        lines.append(f"{len(measured) - missed} of {len(measured)} cases reach their bar")
    others = [(f, ratio) for f in families for r in results if r.family == f.name and (ratio := r.ratio("tinygrad"))]
    if others:
        behind = sum(ratio.median < 1 for _, ratio in others)
        lines.append(f"ahead of tinygrad in {len(others) - behind} of {len(others)} cases")
        products = [(f.ahead, ratio.median) for f, ratio in others if f.ahead > 1]
        if products:
            reached = sum(value >= ahead for ahead, value in products)
            lines.append(f"{products[0][0]:g} times ahead of it in {reached} of {len(products)} matrix products")
    return lines


def markdown(families: Iterable[Family], results: Sequence[Result], peers: Sequence[str]) -> str:
    """The same table for a document."""
    return document.table([name or "bar" for name in columns(peers)], rows(families, results, peers))
