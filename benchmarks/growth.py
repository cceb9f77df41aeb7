"""How time grows with size, and launches with depth: series, and their plots."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Plot
from rich.console import Console

import needle as ndl
from benchmarks import machine, peers
from benchmarks.peers.base import Library
from benchmarks.statistics import spread
from benchmarks.timing import interleave

ROUNDS = 7

MATMUL_SIZES = (
    15, 16, 17, 31, 32, 33, 63, 64, 65, 99, 127, 128, 129, 191, 255, 256, 257, 383, 511, 512, 513, 701, 767, 1023,
    1024, 1025, 1279, 1535, 1536, 1537, 2047, 2048, 2049,
)  # fmt: skip
LENGTHS = tuple(n + d for n in (1 << k for k in range(8, 26)) for d in (-1, 0, 1))
COLUMNS = tuple(n + d for n in (1 << k for k in range(3, 14)) for d in (-1, 0, 1))
SOFTMAX_ELEMENTS = 1 << 21
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
WIDTH, BATCH = 64, 32


@dataclass(frozen=True)
class Series:
    """One quantity over another, a line for each library."""

    title: str
    x_label: str
    y_label: str
    x: Sequence[int]
    lines: dict[str, list[float]]
    logarithmic: bool = True


class _Call:
    """A computation by one library, as it is sampled."""

    def __init__(self, library: Library, call: Callable[[], Any]) -> None:
        self.lib, self.call = library, call

    def sample(self, repeats: int) -> float:
        lib, call = self.lib, self.call
        with lib.inference():
            began = time.perf_counter()
            for _ in range(repeats):
                lib.compute((call(),))
            lib.wait()
            return (time.perf_counter() - began) / repeats


def timed(libraries: Sequence[Library], run: Callable[[Library, Any], Any], shapes: Sequence[tuple[int, ...]]) -> Any:
    """For each library, the median seconds of `run` on an input of each shape."""
    lines: dict[str, list[float]] = {lib.name: [] for lib in libraries}
    random = np.random.default_rng()
    for shape in shapes:
        array = random.standard_normal(shape, dtype=np.float32)
        calls = {}
        for lib in libraries:
            x = lib.tensor(array)
            calls[lib.name] = _Call(lib, lambda lib=lib, x=x: run(lib, x))  # type: ignore[misc]
        for name, seconds in interleave(calls, ROUNDS).items():
            lines[name].append(spread(seconds).median)
    return lines


def matmul(libraries: Sequence[Library], sizes: Sequence[int] = MATMUL_SIZES) -> Series:
    """The rate of square products, around powers of two and at odd sizes."""
    seconds = timed(libraries, lambda lib, x: lib.matmul(x, x), [(n, n) for n in sizes])
    rates = {name: [2e-9 * n**3 / t for n, t in zip(sizes, ts, strict=True)] for name, ts in seconds.items()}
    return Series("matrix product n x n", "n", "GFLOP/s", sizes, rates)


def total(libraries: Sequence[Library], sizes: Sequence[int] = LENGTHS) -> Series:
    """The time of the sum of a vector."""
    seconds = timed(libraries, lambda lib, x: lib.sum(x), [(n,) for n in sizes])
    lines = {name: [1e6 * t for t in ts] for name, ts in seconds.items()}
    return Series("sum of n elements", "n", "µs", sizes, lines)


def softmax(libraries: Sequence[Library], sizes: Sequence[int] = COLUMNS) -> Series:
    """The time of an element in softmax, of rows of different lengths in an array of about 2M elements."""
    shapes = [(SOFTMAX_ELEMENTS // n, n) for n in sizes]
    seconds = timed(libraries, lambda lib, x: lib.softmax(x), shapes)
    lines = {name: [1e9 * t / (m * n) for (m, n), t in zip(shapes, ts, strict=True)] for name, ts in seconds.items()}
    return Series("softmax of rows of n, 2M elements", "n", "ns an element", sizes, lines)


def launches(device: ndl.Device, depths: Sequence[int] = DEPTHS) -> Series:
    """Kernels launched by a training step of an MLP, over its hidden layers."""
    library = peers.load("needle", device.name)
    random = np.random.default_rng()
    x = library.tensor(random.standard_normal((BATCH, WIDTH), dtype=np.float32))
    y = library.tensor(random.integers(0, 10, BATCH, dtype=np.int32))
    counts = []
    for depth in depths:
        sizes = [WIDTH] * (depth + 1) + [10]
        weights = [random.standard_normal(s, dtype=np.float32) * np.float32(sqrt(2 / s[0])) for s in pairwise(sizes)]
        step = library.trainer(weights)
        library.compute([step(x, y)])  # makes the optimiser's state
        before = device.launches
        library.compute([step(x, y)])
        counts.append(float(device.launches - before))
    return Series("a training step with Adam", "hidden layers", "launches", depths, {"needle": counts}, False)


def slope(series: Series) -> float:
    """Launches that a layer adds."""
    x, y = series.x, series.lines["needle"]
    return (y[-1] - y[0]) / (x[-1] - x[0])


def measure(device: ndl.Device, folder: Path, console: Console) -> str:
    """All series, plotted into `growth.png` in a folder. Returns what a document says of it."""
    libraries = [peers.load("needle", device.name)]
    try:
        libraries.append(peers.load("torch", device.name))
    except peers.UnavailableError as problem:
        console.print(f"torch is not measured: {problem}", style="yellow")
    series = []
    for make in (matmul, total, softmax):
        series.append(make(libraries))
        console.print(f"measured: {series[-1].title}", highlight=False)
    series.append(launches(device))
    facts = machine.describe(device)
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "growth.png", series, f"{facts['date']}, {facts['processor']}, {facts['device']}")
    text = f"A hidden layer adds {slope(series[-1]):.1f} launches to a training step."
    console.print(text, highlight=False)
    console.print(f"written: {folder / 'growth.png'}", highlight=False)
    return f"![time over size, launches over depth](growth.png)\n\n{text}\n"


def draw(path: Path, series: Sequence[Series], caption: str) -> None:
    """The series side by side."""
    plot = Plot(figsize=(12, 8), layout="constrained")
    plot.suptitle(caption, fontsize=9)
    for axis, one in zip(plot.subplots(2, 2).flat, series, strict=False):
        for name, values in one.lines.items():
            axis.plot(one.x, values, marker=".", markersize=4, linewidth=1, label=name)
        if one.logarithmic:
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
        axis.set(title=one.title, xlabel=one.x_label, ylabel=one.y_label)
        axis.grid(which="both", alpha=0.25)
        axis.legend(fontsize=8)
    plot.savefig(path, dpi=110)
