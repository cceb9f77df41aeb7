"""The iteration space of a launch: axes merged and ordered, as few and as long as strides allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

from needle.dtypes import Shape

Strides = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Layout:
    """Extents of the merged axes, and each operand's strides along them, in elements.

    The last axis is walked in vectors; `columns` says of each operand how it lies along it. Layouts are
    cached by what they are made from, and so compared by identity.
    """

    shape: Shape
    strides: tuple[Strides, ...]

    @cached_property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple({0: "uniform", 1: "contiguous"}.get(s[-1], "strided") for s in self.strides)

    def words(self) -> list[int]:
        """Extents, then each operand's strides: the `layout` that kernels read."""
        return [*self.shape, *(s for strides in self.strides for s in strides)]

    @cached_property
    def transposed(self) -> bool:
        """Whether an operand's neighbours lie along the last axis but one and not along the last."""
        return self.rank > 1 and any(1 < abs(s[-1]) > abs(s[-2]) > 0 for s in self.strides)

    @cached_property
    def turned(self) -> tuple[bool, ...]:
        """Which operands are contiguous along the last axis but one and not along the last."""
        return tuple(self.rank > 1 and s[-2] == 1 < abs(s[-1]) for s in self.strides)

    @cached_property
    def reach(self) -> int:
        """The largest distance of an element from its operand's first, to choose an index type by."""
        far = [sum(abs(s) * (n - 1) for n, s in zip(self.shape, strides, strict=True)) for strides in self.strides]
        return max([prod(self.shape), *far])


def _merge(axes: Sequence[int], shape: Shape, strides: Sequence[Strides]) -> list[tuple[int, tuple[int, ...]]]:
    """The given axes as (extent, strides of each operand), neighbours joined where all operands allow."""
    merged: list[tuple[int, tuple[int, ...]]] = []
    for axis in axes:
        extent, steps = shape[axis], tuple(s[axis] for s in strides)
        if extent == 1:
            continue
        if merged and all(outer == extent * inner for outer, inner in zip(merged[-1][1], steps, strict=True)):
            merged[-1] = (merged[-1][0] * extent, steps)
        else:
            merged.append((extent, steps))
    return merged


def _layout(axes: Sequence[tuple[int, tuple[int, ...]]], operands: int) -> Layout:
    axes = axes or [(1, (1,) * operands)]
    return Layout(tuple(n for n, _ in axes), tuple(tuple(s[k] for _, s in axes) for k in range(operands)))


@lru_cache(maxsize=4096)
def elementwise_layout(shape: Shape, strides: tuple[Strides, ...]) -> Layout:
    """The layout of operands with the given strides over `shape`, axes in their order."""
    return _layout(_merge(range(len(shape)), shape, strides), len(strides))


@dataclass(frozen=True)
class FoldLayout:
    """The layout of a reduction: `outputs` rows of results, each folded from `fold_rows` rows.

    With `across`, columns are kept and rows folded; else whole rows are folded.
    """

    layout: Layout
    outputs: int
    fold_rows: int
    across: bool


@lru_cache(maxsize=4096)
def fold_layout(shape: Shape, strides: tuple[Strides, ...], axes: tuple[int, ...], ordered: bool) -> FoldLayout:
    """How inputs with the given strides over `shape` are folded over `axes`.

    Kept axes stay in order, since the output is contiguous. Folded axes go from far to near in memory, so
    that neighbours are read together, unless their order matters (`ordered`). The fold runs across rows
    when a kept axis is the nearest in memory.
    """
    kept = [a for a in range(len(shape)) if a not in axes and shape[a] != 1]
    folded = [a for a in axes if shape[a] != 1]

    def distance(axis: int) -> int:
        return max((abs(s[axis]) for s in strides), default=0)

    if not ordered:
        folded.sort(key=distance, reverse=True)
    across = bool(kept) and not ordered and (not folded or distance(kept[-1]) < distance(folded[-1]))
    outer = _merge(kept[:-1] if across else kept, shape, strides)
    middle = _merge(folded if across else folded[:-1], shape, strides)
    last = _merge(kept[-1:] if across else folded[-1:], shape, strides) or [(1, (1,) * len(strides))]
    if not across and middle:  # the last folded axis may continue the ones before it
        middle, last = (joined := _merge(folded, shape, strides))[:-1], joined[-1:]
    return FoldLayout(
        _layout([*outer, *middle, *last], len(strides)),
        outputs=prod(n for n, _ in outer),
        fold_rows=prod(n for n, _ in middle),
        across=across,
    )


@dataclass(frozen=True)
class ScanLayout:
    """The layout of a scan: `rows` sequences of `length` elements.

    With `across` the sequences run along the last axis but one, and each of the `rows` is one for each column.
    """

    layout: Layout
    rows: int
    length: int
    across: bool


@lru_cache(maxsize=4096)
def scan_layout(shape: Shape, strides: tuple[Strides, ...], axis: int, width: int, local: int) -> ScanLayout:
    """How operands with the given strides over `shape` are scanned along `axis`, by vectors of `width` lanes.

    The other axes keep their order; the last of them becomes the columns where it is long enough for vectors, or for
    work-groups of `local`, and is nearer in memory than `axis`, or `axis` is too short for them.
    """
    length, steps = shape[axis], tuple(s[axis] for s in strides)
    others = _merge([a for a in range(len(shape)) if a != axis], shape, strides)
    columns = others[-1][0] if others else 1
    nearest = not others or abs(steps[0]) < abs(others[-1][1][0])  # in the result
    if nearest:
        across = length <= max(2 * width, local // 8) and columns > length
    else:
        across = 2 * columns >= width * local or columns >= length
    scanned = [(length, steps)]
    axes = [*others[:-1], *scanned, others[-1]] if across else [*others, *scanned]
    layout = _layout(axes, len(strides))
    return ScanLayout(layout, prod(layout.shape[:-2] if across else layout.shape[:-1]), length, across)
