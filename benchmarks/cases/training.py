"""Whole training steps of an MLP with Adam: forward, loss, backward, update."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Family, labels, normal
from benchmarks.peers.base import Library


def _start(lib: Library, *weights: np.ndarray) -> Any:
    return lib.trainer(weights)


def _flops(inputs: Arrays, outputs: Arrays, weights: Arrays) -> float:
    """Three products a layer, but for the first, whose input needs no gradient."""
    return 2.0 * len(inputs[0]) * (3 * sum(w.size for w in weights) - weights[0].size)


def _traffic(inputs: Arrays, outputs: Arrays, weights: Arrays) -> float:
    """What Adam alone moves: weight, gradient and two moments read, all but the gradient written."""
    return 7 * 4.0 * sum(w.size for w in weights)


def mlp(name: str, sizes: tuple[int, ...], batch: int) -> Case:
    """A training step of an MLP with layers of these sizes."""
    weights = tuple(normal(n, m, scale=sqrt(2 / n)) for n, m in pairwise(sizes))
    return Case(
        name,
        (normal(batch, sizes[0]), labels(batch, classes=sizes[-1])),
        start=_start,
        state=weights,
        flops=_flops,
        traffic=_traffic,
        tolerance=1e-3,
        calls=3,
    )


FAMILIES = (
    Family(
        "training-small",
        "Training step, batch 64",
        (mlp("MLP 784-256-256-10", (784, 256, 256, 10), 64),),
        bar=0.7,
        aim=1.0,
    ),
    Family(
        "training-large",
        "Training step, batch 512",
        (mlp("MLP 784-2048-2048-10", (784, 2048, 2048, 10), 512),),
        bar=0.9,
        aim=1.2,
    ),
)
