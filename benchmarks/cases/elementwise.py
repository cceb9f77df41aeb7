"""Single elementwise operations, broadcasting, and the copy of a transposed view."""

from __future__ import annotations

from benchmarks.case import Case, Family, mask, normal

SIZE = 1 << 24
SIDE = 4096

FAMILIES = (
    Family(
        "elementwise",
        "Elementwise operations on 16M elements",
        (
            Case("a + b", (normal(SIZE), normal(SIZE)), lambda lib, a, b: a + b),
            Case("exp", (normal(SIZE),), lambda lib, x: lib.exp(x)),
            Case("tanh", (normal(SIZE),), lambda lib, x: lib.tanh(x)),
            Case("erf", (normal(SIZE),), lambda lib, x: lib.erf(x)),
            Case(
                "where",
                (mask(SIZE), normal(SIZE), normal(SIZE)),
                lambda lib, condition, a, b: lib.where(condition, a, b),
            ),
            Case("cast to int32", (normal(SIZE, scale=1e6),), lambda lib, x: lib.to_int32(x)),
            Case("add row", (normal(SIDE, SIDE), normal(SIDE)), lambda lib, x, row: x + row),
            Case("add column", (normal(SIDE, SIDE), normal(SIDE, 1)), lambda lib, x, column: x + column),
            Case("copy transposed", (normal(SIDE, SIDE),), lambda lib, x: lib.contiguous(x.T)),
        ),
        bar=1.0,
    ),
)
