"""Medians, quartiles and means of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np


@dataclass(frozen=True)
class Spread:
    """A median with the quartiles on both sides of it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median and the quartiles."""
    low, median, high = np.quantile(np.asarray(values), (0.25, 0.5, 0.75))
    return Spread(float(median), float(low), float(high))


def ratio(peer: Sequence[float], own: Sequence[float]) -> Spread:
    """The peer's time over needle's, of rounds taken beside each other; above 1 needle is the faster.

    A peer with fewer rounds is compared with needle's of the same rounds.
    """
    return spread([p / o for p, o in zip(peer, own, strict=False)])


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return exp(sum(map(log, values)) / len(values))
