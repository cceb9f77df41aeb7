"""Checks of the arguments that layers share."""

from __future__ import annotations

import operator
from typing import Any


def positive_int(name: str, value: Any) -> int:
    """`value` as an int. Raises TypeError unless it is one, ValueError unless it is at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={value!r} must be an int") from None
    if number < 1:
        raise ValueError(f"{name}={number} must be at least 1")
    return number


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is among `choices`."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not known; expected one of {', '.join(map(repr, choices))}")


def probability(name: str, value: float) -> float:
    """`value` as a float. Raises ValueError unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value} must be at least 0 and less than 1")
    return float(value)
