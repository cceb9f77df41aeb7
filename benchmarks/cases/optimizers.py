"""Steps of the optimisers on 50 parameters of 4M elements together."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Family, normal
from benchmarks.peers.base import Library

COUNT, SHAPE = 50, (250, 320)


def step(kind: str, passes: int) -> Case:
    """A step that reads and writes `passes` arrays of the size of the parameters in all."""

    def start(lib: Library, *state: np.ndarray) -> Any:
        return lib.optimizer(kind, state[:COUNT], state[COUNT:])

    def traffic(inputs: Arrays, outputs: Arrays, state: Arrays) -> float:
        return passes * sum(p.size for p in state[:COUNT]) * 4.0

    return Case(kind, start=start, state=(normal(*SHAPE),) * (2 * COUNT), traffic=traffic, calls=3)


FAMILIES = (
    Family(
        "optimizers",
        "Optimiser steps, 50 parameters, 4M elements",
        (step("sgd", 5), step("adam", 7), step("adamw", 7)),
        bar=0.8,
        aim=1.1,
    ),
)
