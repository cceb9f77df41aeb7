"""Running one case by one library: prepared once, then sampled in rounds."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.case import Case, Drawn
from benchmarks.peers.base import Library


class LocalRunner:
    """Runs cases by a library in this process."""

    def __init__(self, library: Library) -> None:
        self.lib = library
        self.name = library.name

    def prepare(self, case: Case, seed: int, quick: bool, drawn: Drawn | None = None) -> list[np.ndarray]:
        """Compute with fresh inputs, `drawn` if given, and return the results of the first calls for the check."""
        lib = self.lib
        lib.chosen = ""
        sets, state = drawn or case.draw(np.random.default_rng(seed), quick)
        call = case.bind(lib, state)
        if case.moves == "up":
            inputs: list[list[Any]] = sets
        else:
            grads = case.gradients
            inputs = [[lib.tensor(a, requires_grad=i in grads) for i, a in enumerate(arrays)] for arrays in sets]
        self._computes = case.moves != "down"
        self._records = bool(case.gradients) or case.start is not None
        self._call, self._inputs = call, cycle(inputs)
        results = []
        for i in range(case.calls):
            with self._scope():
                outputs = self._submit(inputs[i % len(inputs)])
                results += [np.array(o) if isinstance(o, np.ndarray) else lib.numpy(o) for o in outputs]
        lib.wait()
        return results

    def _scope(self) -> Any:
        return Library.inference(self.lib) if self._records else self.lib.inference()

    def _submit(self, inputs: Sequence[Any]) -> Sequence[Any]:
        result = self._call(*inputs)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        if self._computes:
            self.lib.compute(outputs)
        return outputs

    def sample(self, repeats: int) -> float:
        """Seconds of one call: `repeats` of them, one after the other, with one wait at the end."""
        submit, inputs, wait = self._submit, self._inputs, self.lib.wait
        gc.disable()
        try:
            with self._scope():
                began = time.perf_counter()
                for _ in range(repeats):
                    submit(next(inputs))
                wait()
                return (time.perf_counter() - began) / repeats
        finally:
            gc.enable()

    def release(self) -> None:
        """Let go of the case's memory."""
        self._call = self._inputs = None  # type: ignore[assignment]
        gc.collect()

    @property
    def chosen(self) -> str:
        """Which of several ways was the fastest."""
        return self.lib.chosen

    def facts(self) -> tuple[str, str]:
        """The library's version and note."""
        return self.lib.version, self.lib.note

    def close(self) -> None:
        """End it."""


def reference(case: Case, drawn: Drawn, numpy: Library) -> list[np.ndarray]:
    """What the first calls of a case give in float64, by NumPy."""

    def widened(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float64) if array.dtype == np.float32 else array

    sets, state = drawn
    call = case.bind(numpy, [widened(a) for a in state])
    results: list[np.ndarray] = []
    for i in range(case.calls):
        outputs = call(*(widened(a) for a in sets[i % len(sets)]))
        results += [np.array(o) for o in (outputs if isinstance(outputs, (tuple, list)) else (outputs,))]
    return results


def error(results: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest error as a share of the largest magnitude of the array it is in; NaN counts as infinite."""
    if len(results) != len(expected):
        return float("inf")
    worst = 0.0
    for got, want in zip(results, expected, strict=True):
        if got.shape != want.shape:
            return float("inf")
        scale = float(np.max(np.abs(want))) or 1.0
        share = float(np.max(np.abs(got - want))) / scale
        worst = max(worst, share if share == share else float("inf"))
    return worst
