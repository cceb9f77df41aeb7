"""What costs users more than it should: powers by numbers, sums of short rows, sums of integers. 4M elements."""

from __future__ import annotations

from benchmarks.case import Case, Family, labels, normal, uniform

N = 1 << 22

FAMILIES = (
    Family(
        "small-things",
        "Powers and sums that are easy to make slow, 4M elements",
        (
            Case("x ** 3", (normal(N),), lambda lib, x: x**3),
            Case("x ** -1", (uniform(N),), lambda lib, x: (x + 1) ** -1),
            Case("sum of rows of 3", (normal(N // 3, 3),), lambda lib, x: lib.sum(x, axis=-1)),
            Case("sum of int64", (labels(N, classes=1000),), lambda lib, x: lib.sum(x)),
        ),
        bar=1.0,
    ),
)
