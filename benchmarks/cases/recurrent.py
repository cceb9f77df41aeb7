"""LSTM and GRU layers over all steps of a sequence, forward and with gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Family, normal
from benchmarks.peers.base import Library

STEPS, BATCH, SIZE = 50, 32, 128
_WITHOUT = {"tinygrad": "it has no such layer"}


def _start(kind: str, gradient: bool) -> Any:
    def start(lib: Library, w_ih: np.ndarray, w_hh: np.ndarray) -> Any:
        return lib.recurrent(kind, w_ih.reshape(-1, SIZE), w_hh.reshape(-1, SIZE), gradient)

    return start


def _flops(passes: int) -> Any:
    def flops(inputs: Arrays, outputs: Arrays, state: Arrays) -> float:
        return passes * 2.0 * inputs[0].shape[0] * inputs[0].shape[1] * sum(w.size for w in state)

    return flops


def cases(kind: str, gates: int) -> tuple[Case, ...]:
    """A layer without biases: its outputs, and with the gradients of the inputs and of both weights."""
    x = normal(STEPS, BATCH, SIZE)
    weights = (normal(gates, SIZE, SIZE, scale=SIZE**-0.5),) * 2
    options: dict[str, Any] = {"state": weights, "without": _WITHOUT, "tolerance": 1e-4}
    return (
        Case("forward", (x,), start=_start(kind, False), flops=_flops(1), **options),
        Case("with gradient", (x, x), start=_start(kind, True), flops=_flops(3), **options),
    )


FAMILIES = (
    Family("lstm", f"LSTM, {STEPS} steps of {BATCH}x{SIZE}", cases("lstm", 4), bar=1.1, aim=1.3),
    Family("gru", f"GRU, {STEPS} steps of {BATCH}x{SIZE}", cases("gru", 3), bar=1.5, aim=2.0),
)
