"""Interleaved rounds: A B C, A B C, ... so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Protocol

SAMPLE_SECONDS = 0.02  # a sample repeats a short call until it lasts this long
QUICK_SAMPLE_SECONDS = 0.002  # the same where no time is of interest
MAX_REPEATS = 2000
SLOW = 10.0  # a peer this many times slower than needle gets fewer rounds
SLOW_ROUNDS = 3
VERY_SLOW_SECONDS = 2.0  # a call that lasts this long is taken once more, not in rounds
PAUSE_SECONDS = 0.006  # before a sample: threads of the library before it stop spinning (GNU OpenMP: about 4 ms)
WARMED_SECONDS = 0.05  # a call shorter than this is made once, untimed, at the start of each sample


class Sampler(Protocol):
    """What can be timed."""

    def sample(self, repeats: int) -> float:
        """Seconds of one call, the mean of `repeats`."""


@dataclass(frozen=True)
class Plan:
    """How often a library is sampled."""

    repeats: int
    rounds: int
    warms: bool


def plan(seconds: float, needle_seconds: float, rounds: int, sample_seconds: float = SAMPLE_SECONDS) -> Plan:
    """The plan for calls of so many seconds, beside needle's."""
    repeats = _repeats(seconds, sample_seconds)
    if seconds > VERY_SLOW_SECONDS:
        rounds = 1
    elif seconds > SLOW * needle_seconds:
        rounds = min(rounds, SLOW_ROUNDS)
    return Plan(repeats, rounds, seconds < WARMED_SECONDS)


def calibrate(sampler: Sampler, sample_seconds: float = SAMPLE_SECONDS) -> float:
    """About how long a call takes among as many as make a sample, from a few alone after one that warms up."""
    least = sampler.sample(1)
    for _ in range(3):
        second = sampler.sample(1)
        if min(least, second) > VERY_SLOW_SECONDS:  # two in a row: not the machine's hiccup
            return min(least, second)
        least = min(least, second)
    repeats = 1
    while least * repeats < sample_seconds / 2 and repeats < MAX_REPEATS:  # a wait is shared: calls get shorter
        repeats = _repeats(least, sample_seconds)
        least = sampler.sample(repeats)
    return least


def _repeats(seconds: float, sample_seconds: float) -> int:
    """How many calls of so many seconds make a sample."""
    return max(1, min(MAX_REPEATS, ceil(sample_seconds / seconds))) if seconds > 0 else MAX_REPEATS


def interleave(
    samplers: Mapping[str, Sampler], rounds: int, base: str = "needle", sample_seconds: float = SAMPLE_SECONDS
) -> dict[str, list[float]]:
    """Seconds of a call, for each library a number for each of its rounds."""
    seconds = {name: calibrate(sampler, sample_seconds) for name, sampler in samplers.items()}
    against = seconds.get(base, min(seconds.values()))
    plans = {name: plan(s, against, rounds, sample_seconds) for name, s in seconds.items()}
    times: dict[str, list[float]] = {name: [] for name in samplers}
    for i in range(rounds):
        for name, sampler in samplers.items():
            own = plans[name]
            if i >= own.rounds:
                continue
            time.sleep(PAUSE_SECONDS)
            if own.warms:
                sampler.sample(1)
            times[name].append(sampler.sample(own.repeats))
    return times
