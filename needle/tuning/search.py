"""Coordinate descent: one setting after the other takes the value that is clearly fastest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = ["Change", "Outcome"]

P = TypeVar("P")

#: How much faster a value must be, over the workloads together, to displace another one.
MARGIN = 0.04
#: How much slower it may make any one of them.
TOLERANCE = 0.05
#: How often the settings are gone through: a value may pay only after another setting has changed.
PASSES = 2

#: For each workload, the candidate's time by that of the launch shape in its place.
Ratios = Mapping[str, float]


class UnusableError(Exception):
    """A candidate that does not compile, does not launch or computes wrong results."""


@dataclass(frozen=True)
class Setting:
    """A field of the launch shape, the values to try, and the families of workloads that it matters to."""

    field: str
    values: tuple[int, ...]
    families: frozenset[str]


@dataclass(frozen=True)
class Change:
    """A setting's new value, and by how much of the time the setting's workloads took it was faster."""

    field: str
    old: Any
    new: Any
    gain: float


@dataclass
class Outcome(Generic[P]):
    """What a search found. `skipped` says of each candidate that could not be used, why."""

    launch_shape: P
    changes: list[Change] = field(default_factory=list)
    tried: int = 0
    skipped: list[str] = field(default_factory=list)
    complete: bool = True


def search(
    start: P,
    settings: Sequence[Setting],
    vary: Callable[[P, str, int], P],
    compare: Callable[[P, P, Setting, bool], Ratios],
    going_on: Callable[[], bool] = lambda: True,
    progress: Callable[[str], None] = lambda what: None,
) -> Outcome[P]:
    """The best launch shape found from `start`.

    `vary(launch shape, field, value)` gives a launch shape with another value. `compare(incumbent, candidate, setting,
    thorough)` measures both; it and `vary` raise UnusableError for a candidate to be skipped. A candidate
    that wins is measured again, thoroughly, and must win again. `going_on` tells whether there is time for
    another candidate; `progress` hears of each.
    """
    outcome = Outcome(start)
    compared: set[tuple[P, str, int]] = set()
    for _ in range(PASSES):
        before = outcome.launch_shape
        for setting in settings:
            for value in setting.values:
                trial = (outcome.launch_shape, setting.field, value)
                if trial in compared or value == getattr(outcome.launch_shape, setting.field):
                    continue
                if not going_on():
                    outcome.complete = False
                    return outcome
                compared.add(trial)
                progress(f"{setting.field}={value}")
                _try(outcome, setting, value, vary, compare)
        if outcome.launch_shape == before:
            break
    return outcome


def _try(
    outcome: Outcome[P],
    setting: Setting,
    value: int,
    vary: Callable[[P, str, int], P],
    compare: Callable[[P, P, Setting, bool], Ratios],
) -> None:
    """Let the launch shape have `value` if that wins twice."""
    incumbent = outcome.launch_shape
    outcome.tried += 1
    try:
        candidate = vary(incumbent, setting.field, value)
        if not wins(compare(incumbent, candidate, setting, False)):
            return
        ratios = compare(incumbent, candidate, setting, True)
    except UnusableError as error:
        outcome.skipped.append(f"{setting.field}={value}: {error}")
        return
    if wins(ratios):
        gain = 1 - mean_ratio(ratios)
        outcome.changes.append(Change(setting.field, getattr(incumbent, setting.field), value, gain))
        outcome.launch_shape = candidate


def wins(ratios: Ratios) -> bool:
    """Whether the candidate is clearly faster over all workloads and clearly slower at none."""
    return mean_ratio(ratios) < 1 - MARGIN and max(ratios.values()) < 1 + TOLERANCE


def mean_ratio(ratios: Ratios) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios.values())) / len(ratios))
