"""Sorting, selecting, scanning and counting of 1M elements."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Case, Family, labels, normal, uniform

N = 1 << 20

#: The bars are about PyTorch; tinygrad has not been taught these words.
_WITHOUT = {"tinygrad": "sorting is measured against PyTorch and NumPy alone"}


def _case(name: str, operation: str, draw: Any, *arguments: Any, tolerance: float = 1e-5) -> Case:
    """One word of the common vocabulary, applied to one array and further arguments."""

    def run(lib: Any, x: Any) -> Any:
        return getattr(lib, operation)(x, *arguments)

    return Case(name, (draw,), run, tolerance=tolerance, without=_WITHOUT)


FAMILIES = (
    Family(
        "sorting",
        "Sorting, scans and counts, 1M elements",
        (
            _case("sort", "sort", normal(N)),
            _case("argsort", "argsort", normal(N)),
            _case("sort 4096x256", "sort", normal(4096, 256)),
            _case("topk 100", "topk", normal(N), 100),
            _case("cumulative sum", "cumulative_sum", uniform(N), tolerance=1e-4),
            _case("unique", "unique", normal(N)),
            _case("bincount 1000", "bincount", labels(N, classes=1000)),
        ),
        bar=1.0,
        aim=2.0,
    ),
)
