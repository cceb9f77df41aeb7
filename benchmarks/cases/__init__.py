"""Every case, a file a group of families."""

from __future__ import annotations

from fnmatch import fnmatchcase

from benchmarks.case import Case, Family
from benchmarks.cases import (
    attention,
    composed,
    elementwise,
    embedding,
    images,
    matmul,
    networks,
    optimizers,
    recurrent,
    reductions,
    small_things,
    softmax,
    sorting,
    training,
    transfer,
)

FAMILIES: tuple[Family, ...] = (
    *matmul.FAMILIES,
    *elementwise.FAMILIES,
    *reductions.FAMILIES,
    *softmax.FAMILIES,
    *composed.FAMILIES,
    *optimizers.FAMILIES,
    *embedding.FAMILIES,
    *sorting.FAMILIES,
    *small_things.FAMILIES,
    *attention.FAMILIES,
    *recurrent.FAMILIES,
    *images.FAMILIES,
    *training.FAMILIES,
    *networks.FAMILIES,
    *transfer.FAMILIES,
)


def find(name: str) -> tuple[Family, Case]:
    """The case called "family/case"."""
    return next((f, c) for f in FAMILIES for c in f.cases if full_name(f, c) == name)


def full_name(family: Family, case: Case) -> str:
    """A case's name with its family's, as `--only` takes it."""
    return f"{family.name}/{case.name}"


def select(patterns: list[str]) -> list[tuple[Family, Case]]:
    """The cases whose full name contains, or as a shell pattern matches, one of the patterns; without any all."""
    every = [(f, c) for f in FAMILIES for c in f.cases]
    if not patterns:
        return every
    return [(f, c) for f, c in every if any(p in (n := full_name(f, c)) or fnmatchcase(n, p) for p in patterns)]
