"""Where a mask is true."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.array import NDArray
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import bool_, int64, uint8
from needle.ops.base import data_of
from needle.strides import contiguous_strides

#: Into how many parts a mask is cut. The host reads back a count of each.
PARTS = 256


def _count_reference(mask: np.ndarray, *, parts: int) -> np.ndarray:
    sums = np.concatenate([[0], np.cumsum(mask != 0)])
    return np.diff(sums[mask.size * np.arange(parts + 1) // parts])


#: How many elements of a mask are true, in each of so many equal parts.
COUNT_TRUE = Primitive(
    "count_true",
    _count_reference,
    lambda mask, parts: (((parts,), int64),),
    examples=tuple(Example((Operand(shape, bool_),), {"parts": 5}) for shape in ((3, 7), (50, 33), (0, 4))),
    family="compact",
)
#: The positions of the elements of a mask that are true, `count` of them, given what `COUNT_TRUE` finds.
TRUE_POSITIONS = Primitive(
    "true_positions",
    lambda mask, counts, count: np.flatnonzero(mask),
    lambda mask, counts, count: (((count,), int64),),
    examples=(  # masks that are true throughout: their counts are known
        Example((Operand((3, 7), uint8, 1, 3), Operand((3, 1), int64, 7, 8)), {"count": 21}),
        Example((Operand((0, 4), uint8, 1, 3), Operand((3, 1), int64, 0, 1)), {"count": 0}),
    ),
    family="compact",
)


def positions(mask: Any) -> tuple[Any, ...]:
    """For each axis of `mask`, which has one at least, the indices of what is true, in C order.

    A mask of the host's gives NumPy arrays, one on a device arrays there; the host reads back how many there are.
    """
    if isinstance(mask, np.ndarray):
        return tuple(indices.astype(int64, copy=False) for indices in np.nonzero(mask))
    array = data_of(mask)
    found = flat_positions(array)
    if array.ndim == 1:
        return (found,)
    steps = contiguous_strides(array.shape)
    return tuple([found // s % n if a else found // s for a, (n, s) in enumerate(zip(array.shape, steps, strict=True))])


def flat_positions(mask: NDArray) -> NDArray:
    """The int64 positions, counted in C order, of what is true in a mask. The host reads back how many there are."""
    counts = mask.run(COUNT_TRUE, parts=max(1, min(PARTS, mask.size)))
    found: NDArray = mask.run(TRUE_POSITIONS, counts, count=int(counts.numpy().sum()))
    return found
