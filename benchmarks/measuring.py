"""The comparison: every case by every library, checked, then timed in interleaved rounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks import peers
from benchmarks.case import Arrays, Case, Drawn, Family
from benchmarks.peers.base import Library
from benchmarks.results import Result
from benchmarks.runner import LocalRunner, error, reference
from benchmarks.timing import QUICK_SAMPLE_SECONDS, SAMPLE_SECONDS, interleave
from benchmarks.worker import RemoteRunner, TimedOutError

Runner = LocalRunner | RemoteRunner


def open_runners(names: Sequence[str], device: str, limit: float) -> tuple[dict[str, Runner], dict[str, str]]:
    """A runner for each library that can be measured, and for the others why not."""
    runners: dict[str, Runner] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            if name in peers.ISOLATED:
                runners[name] = RemoteRunner(name, device, limit)
            else:
                runners[name] = LocalRunner(peers.load(name, device))
        except (peers.UnavailableError, TimedOutError, RuntimeError) as problem:
            absent[name] = str(problem)
    return runners, absent


class Comparison:
    """Measures cases by the runners given. `numpy` computes the reference."""

    def __init__(self, runners: dict[str, Runner], numpy: Library, rounds: int, quick: bool, seed: int) -> None:
        self.runners, self.numpy = runners, numpy
        self.rounds, self.quick, self.seed = rounds, quick, seed

    def measure(self, family: Family, case: Case) -> Result:
        """One case by every library."""
        result = Result(family.name, case.name, {})
        drawn = case.draw(np.random.default_rng(self.seed), self.quick)
        expected = reference(case, drawn, self.numpy)
        ready: dict[str, Runner] = {}
        outputs: Arrays = []
        for name, runner in self.runners.items():
            found = self._prepare(result, name, runner, family, case, drawn, expected)
            if found is not None:
                ready[name] = runner
                outputs = outputs or found
        _note_work(result, case, drawn, outputs)
        guarded = {name: _Guarded(runner, result) for name, runner in ready.items()}
        span = QUICK_SAMPLE_SECONDS if self.quick else SAMPLE_SECONDS
        times = interleave(guarded, self.rounds, sample_seconds=span)
        result.seconds = {name: found for name, found in times.items() if name not in result.problems}
        for runner in ready.values():
            runner.release()
        return result

    def _prepare(
        self,
        result: Result,
        name: str,
        runner: Runner,
        family: Family,
        case: Case,
        drawn: Drawn,
        expected: Arrays,
    ) -> list[np.ndarray] | None:
        """The library's results if they are right; else None, and the result says why."""
        if name in case.without:
            result.problems[name] = case.without[name]
            return None
        if self.quick and name in peers.ISOLATED and case.name != family.cases[0].name:
            result.problems[name] = "not in a quick run"
            return None
        try:
            found = runner.prepare(case, self.seed, self.quick, drawn)
        except Exception as problem:  # a library that cannot is no reason to end the run
            if name == "needle":
                raise
            result.problems[name] = str(problem).splitlines()[0]
            return None
        result.errors[name] = wrong = error(found, expected)
        if runner.chosen:
            result.chosen[name] = runner.chosen
        if wrong > case.tolerance:
            result.problems[name] = f"wrong by {wrong:.1e}"
            result.wrong = result.wrong or name == "needle"
            return None
        return found


def _note_work(result: Result, case: Case, drawn: Drawn, outputs: Arrays) -> None:
    """Note the operations and the bytes that the case cannot do without."""
    (inputs, *_), state = drawn
    if case.flops is not None and outputs:
        result.flops = case.flops(inputs, outputs, state)
    if case.traffic is not None:
        result.traffic = case.traffic(inputs, outputs, state)
    else:
        result.traffic = float(sum(a.nbytes for a in (*inputs, *outputs)))


class _Guarded:
    """A runner whose failure while it is timed is noted rather than raised."""

    def __init__(self, runner: Runner, result: Result) -> None:
        self.runner, self.result = runner, result

    def sample(self, repeats: int) -> float:
        name = self.runner.name
        if name in self.result.problems:
            return float("inf")
        try:
            return self.runner.sample(repeats)
        except (TimedOutError, RuntimeError) as problem:
            if name == "needle":
                raise
            self.result.problems[name] = str(problem).splitlines()[0]
            return float("inf")
