"""Searching the length of a step so that the strong Wolfe conditions hold."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, sqrt
from typing import Any, NamedTuple

#: The conditions: loss <= start + SUFFICIENT * length * slope, and |slope| <= FLAT * |slope at the start|.
SUFFICIENT, FLAT = 1e-4, 0.9

#: The most evaluations of one search.
MOST = 25


class Point(NamedTuple):
    """A length of the step, the loss there, its gradient, and the loss's slope along the direction of the step."""

    length: float
    loss: float
    gradient: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, length: float, tolerance: float
) -> tuple[Point, int]:
    """A point that satisfies the strong Wolfe conditions, or the best that was found, and the evaluations it took.

    Nocedal & Wright, "Numerical Optimization", 2nd edition: algorithm 3.5 brackets such a point and 3.6 closes in on
    it, both by cubic interpolation. An interval shorter than `tolerance` ends the search.
    """
    bracket, evaluations = _bracket(evaluate, start, length)
    if len(bracket) == 1:
        return bracket[0], evaluations
    low, high = sorted(bracket, key=lambda point: point.loss)
    slow = False  # whether the last point came close to an end of the interval
    while evaluations - 1 < MOST and abs(high.length - low.length) >= tolerance:
        near, far = sorted((low.length, high.length))
        trial = minimum_of_cubic(low, high, near, far)
        margin = 0.1 * (far - near)
        if min(far - trial, trial - near) < margin:
            if slow or trial >= far or trial <= near:
                trial = far - margin if abs(trial - far) < abs(trial - near) else near + margin
                slow = False
            else:
                slow = True
        else:
            slow = False
        point = evaluate(trial)
        evaluations += 1
        if _is_too_high(point, start) or point.loss >= low.loss:
            low, high = sorted((low, point), key=lambda one: one.loss)
            continue
        if abs(point.slope) <= -FLAT * start.slope:
            return point, evaluations
        if point.slope * (high.length - low.length) >= 0:
            high = low
        low = point
    return low, evaluations


def _bracket(evaluate: Callable[[float], Point], start: Point, length: float) -> tuple[list[Point], int]:
    """One point that satisfies the conditions, or two with such a point between them."""
    before, point = start, evaluate(length)
    evaluations = 1
    for trial in range(MOST):
        if _is_too_high(point, start) or (trial > 1 and point.loss >= before.loss):
            return [before, point], evaluations
        if abs(point.slope) <= -FLAT * start.slope:
            return [point], evaluations
        if point.slope >= 0:
            return [before, point], evaluations
        nearest, farthest = point.length + 0.01 * (point.length - before.length), point.length * 10
        length = minimum_of_cubic(before, point, nearest, farthest)
        before, point = point, evaluate(length)
        evaluations += 1
    return [start, point], evaluations


def _is_too_high(point: Point, start: Point) -> bool:
    """Whether the loss did not fall enough; a loss that is no number did not."""
    return not isfinite(point.loss) or point.loss > start.loss + SUFFICIENT * point.length * start.slope


def minimum_of_cubic(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is least, cut to [low, high]; the middle if nowhere.

    Nocedal & Wright, equation 3.59.
    """
    if a.length > b.length:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.length - b.length)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = sqrt(square)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return (low + high) / 2
    least = b.length - (b.length - a.length) * ((b.slope + d2 - d1) / divisor)
    return min(max(least, low), high)
