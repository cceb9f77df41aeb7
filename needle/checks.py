"""Checks of arguments, with errors that name the argument, its value and what is expected."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any


def integer(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int. Raises TypeError unless it is one, ValueError unless it is at least `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={value!r} must be an int") from None
    if number < least:
        raise ValueError(f"{name}={number} must be at least {least}")
    return number


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is among `choices`."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not known; expected one of {', '.join(map(repr, choices))}")


def probability(name: str, value: Any) -> float:
    """`value` as a float. Raises TypeError unless it is a number, ValueError unless 0 <= value < 1."""
    if not isinstance(value, Real):
        raise TypeError(f"{name}={value!r} must be a number")
    number = float(value)
    if not 0 <= number < 1:
        raise ValueError(f"{name}={number} must be at least 0 and less than 1")
    return number
