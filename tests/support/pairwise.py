"""A few of all combinations, in which every pair of values still meets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any


def pairwise(*factors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Combinations of one value of each factor, such that any two values of two factors meet in one of them.

    Of a single factor, each value.

    Each combination is the first of those that bring most pairs which have not met yet; so the list is always the same.
    """
    if len(factors) == 1:
        return [(value,) for value in factors[0]]
    numbers = [range(len(factor)) for factor in factors]
    values = [[(i, n) for n in numbers[i]] for i in range(len(factors))]
    waiting = {pair for first, second in combinations(values, 2) for pair in product(first, second)}
    chosen = []
    while waiting:
        best = max(product(*numbers), key=lambda row: sum(pair in waiting for pair in combinations(enumerate(row), 2)))
        waiting.difference_update(combinations(enumerate(best), 2))
        chosen.append(tuple(factor[n] for factor, n in zip(factors, best, strict=True)))
    return chosen
