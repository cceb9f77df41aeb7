"""How the CPU's matrix product (`cl/matmul.cl`) is cut into blocks of C, and the summed dimension into parts."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from needle.backend.opencl.profiles import Profile

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of blocks that rows or columns may be split into

# Estimates, in cycles. A driver's threads sleep when they have nothing to do: all but the first start a launch late.
_LATE = 100_000
_UNIT = 500  # what a block takes beside its packing and its sums


@dataclass(frozen=True)
class Split:
    """C in row_blocks x column_blocks blocks, each summed over `depth` of the summed dimension at a time."""

    row_blocks: int
    column_blocks: int
    depth: int


def split(rows: int, depth: int, columns: int, batches: int, itemsize: int, profile: Profile) -> Split:
    """The split with the least estimated time for `batches` products of (rows, depth) and (depth, columns).

    Every block of columns packs A anew, every block of rows its columns of B, unless the work-group has it from the
    block before. Few blocks leave cores idle, at the start and at the end.
    """
    width = 2 * profile.width(itemsize)
    tiles, panels = _ceil(rows, profile.matmul_rows), _ceil(columns, width)
    cores, strip = profile.cores, profile.matmul_strip(itemsize)
    whole = depth <= profile.matmul_deepest(itemsize)
    part = max(1, depth if whole else _even_part(depth, profile.matmul_depth, width))
    part = min(part, profile.matmul_block_bytes // itemsize // width)
    fewest = _ceil(panels, profile.matmul_block_bytes // itemsize // width // part)  # blocks of columns: they must fit

    def cycles(split: tuple[int, int]) -> float:
        row_blocks, column_blocks = split
        units = batches * row_blocks * column_blocks
        strips = row_blocks * _ceil(_ceil(tiles, row_blocks), strip)
        keeps_a, keeps_b = whole and strips == 1, whole
        packs_a = min(column_blocks, cores) if keeps_a else column_blocks
        packs_b = min(row_blocks, cores) if keeps_b else row_blocks
        sums = rows * columns / width + strips * columns / 16  # each strip reads B from the cache
        work = batches * (sums + packs_a * rows + packs_b * columns) * depth + _UNIT * units
        return _shared_time(units, work / units, cores) * (1 + cores / units / 4)

    row_splits = [n for n in (*_COUNTS, tiles) if n <= tiles]
    column_splits = [n for n in (*(fewest * n for n in _COUNTS), panels) if n <= panels]
    return Split(*min(itertools.product(row_splits, column_splits), key=cycles), part)


def _shared_time(units: int, unit: float, cores: int) -> float:
    """The time for so many units, each of so many cycles, that cores take from one heap, all but one `_LATE`."""
    others = max(1, cores - 1)
    given = max(0.0, units - _LATE / unit) * (cores - 1) / cores  # to the others, so that all end together
    return min(
        max((units - n) * unit, _LATE + _ceil(n, others) * unit if n else 0)
        for n in (math.floor(given), math.ceil(given))
    )


def _even_part(depth: int, most: int, multiple: int) -> int:
    """At most `most` of `depth`, so that all parts are about as long."""
    even = _ceil(depth, _ceil(depth, most))
    return min(most, _ceil(even, multiple) * multiple)


def _ceil(n: int, d: int) -> int:
    return -(-n // d)
