"""A backend as a package of somebody else would bring it: memory is bytes, every record runs by its reference.

ABACUS_FAULT in the environment breaks it, which the self-test has to find: "wrong" spoils every sum,
"crash" ends the process at the first sum, "hang" never returns from it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from needle.backend.protocol import ArrayView, Backend, Device, DeviceInfo, Expression
from needle.backend.records import Primitive, Reduction, Scan
from needle.dtypes import ALL, DType, Shape

ABACUS = DeviceInfo("abacus", "beads on wires", "wood", "1.0", "other", 2**20, frozenset(ALL))
BROKEN = DeviceInfo("abacus:1", "beads", "wood", "1.0", "other", 0, problem="a bead is missing")


class Abacus(Device):
    """A device of beads."""

    def empty(self, size: int, dtype: DType) -> bytearray:
        return bytearray(size * dtype.itemsize)

    def upload(self, array: np.ndarray) -> bytearray:
        return bytearray(array.tobytes())

    def download(self, view: ArrayView) -> np.ndarray:
        return _beads(view).copy()

    def evaluate(self, expression: Expression, outputs: Sequence[ArrayView]) -> None:
        self.launches += 1
        for output, values in zip(outputs, [v.copy() for v in _values(expression)], strict=True):
            _beads(output)[...] = values

    def reduce(
        self, reduction: Reduction, expression: Expression, shape: Shape, axes: tuple[int, ...], output: ArrayView
    ) -> None:
        self.launches += 1
        values = np.broadcast_to(_values(expression)[0], shape)
        along: Any = axes[0] if reduction.index else axes
        with np.errstate(all="ignore"):
            _beads(output)[...] = reduction.reference(values, axis=along, keepdims=True).reshape(output.shape)
        if reduction.name == "sum":
            _misbehave(output)

    def scan(self, scan: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView) -> None:
        self.launches += 1
        with np.errstate(all="ignore"):
            _beads(output)[...] = scan.reference(np.broadcast_to(_values(expression)[0], shape), axis=axis)

    def run(
        self, primitive: Primitive, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], **params: Any
    ) -> None:
        self.launches += 1
        with np.errstate(all="ignore"):
            results = primitive.reference(*map(_beads, inputs), **params)
        for output, result in zip(outputs, results if isinstance(results, tuple) else (results,), strict=True):
            _beads(output)[...] = result

    def synchronize(self) -> None:
        """Beads rest when they are let go."""


class AbacusBackend(Backend):
    """One abacus that works and one that does not."""

    name = "abacus"
    device = Abacus(ABACUS)

    def discover(self) -> list[DeviceInfo]:
        return [ABACUS, BROKEN]

    def open(self, name: str) -> Abacus:
        return self.device


def _beads(view: ArrayView) -> np.ndarray:
    strides = tuple(s * view.dtype.itemsize for s in view.strides)
    return as_strided(np.frombuffer(view.buffer, view.dtype)[view.offset :], view.shape, strides)


def _values(expression: Expression) -> list[np.ndarray]:
    return expression.program.evaluate([_beads(i) for i in expression.inputs], list(expression.scalars))


def _misbehave(output: ArrayView) -> None:
    fault = os.environ.get("ABACUS_FAULT")
    if fault == "wrong" and output.dtype.kind == "f":
        _beads(output)[...] += 1
    elif fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "hang":
        time.sleep(600)
