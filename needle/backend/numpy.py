"""The reference backend: every operation by its record's NumPy reference, on the host."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from needle.backend.protocol import ArrayView, Backend, Device, DeviceInfo, Expression
from needle.backend.records import Primitive, Reduction, Scan
from needle.dtypes import ALL, DType, Shape
from needle.errors import OutOfMemoryError


class NumpyDevice(Device):
    """The host, computing with NumPy: what the library runs on where there is no OpenCL at all."""

    def empty(self, size: int, dtype: DType) -> np.ndarray:
        try:
            return np.empty(size, dtype)
        except (MemoryError, ValueError) as error:  # ValueError: more than an address can say
            raise OutOfMemoryError(f"{self.name} cannot provide {size * dtype.itemsize} bytes: {error}") from error

    def upload(self, array: np.ndarray) -> np.ndarray:
        return array.flatten()

    def download(self, view: ArrayView) -> np.ndarray:
        return _array(view).copy()

    def host_view(self, view: ArrayView) -> np.ndarray:
        return _array(view)

    def evaluate(self, expression: Expression, outputs: Sequence[ArrayView]) -> None:
        self.launches += 1
        results = _run(expression)
        # An output may be the memory of an input that another result is still a view of.
        for output, result in zip(outputs, [r.copy() for r in results], strict=True):
            _array(output)[...] = result

    def reduce(
        self,
        reduction: Reduction,
        expression: Expression,
        shape: Shape,
        axes: tuple[int, ...],
        output: ArrayView,
    ) -> None:
        self.launches += 1
        (values,) = _run(expression)
        values = np.broadcast_to(values, shape)
        with np.errstate(all="ignore"):
            if reduction.index:
                result = reduction.reference(values, axis=axes[0], keepdims=True)
            else:
                result = reduction.reference(values, axis=axes, keepdims=True)
            _array(output)[...] = result.reshape(output.shape)

    def scan(self, scan: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView) -> None:
        self.launches += 1
        (values,) = _run(expression)
        values = np.broadcast_to(values, shape)
        with np.errstate(all="ignore"):
            _array(output)[...] = scan.reference(values, axis=axis)

    def run(
        self,
        primitive: Primitive,
        inputs: Sequence[ArrayView],
        outputs: Sequence[ArrayView],
        **params: Any,
    ) -> None:
        self.launches += 1
        with np.errstate(all="ignore"):
            results = primitive.reference(*(_array(i) for i in inputs), **params)
        for output, result in zip(outputs, results if isinstance(results, tuple) else (results,), strict=True):
            _array(output)[...] = result

    def synchronize(self) -> None:
        """Nothing to wait for: NumPy has finished when it returns."""


def _run(expression: Expression) -> list[np.ndarray]:
    return expression.program.evaluate([_array(i) for i in expression.inputs], list(expression.scalars))


def _array(view: ArrayView) -> np.ndarray:
    """A view as a NumPy array on the same memory."""
    strides = tuple(s * view.dtype.itemsize for s in view.strides)
    return as_strided(view.buffer[view.offset :], view.shape, strides)


class NumpyBackend(Backend):
    """The backend named "numpy", with its single device."""

    name = "numpy"

    def __init__(self) -> None:
        self._device: NumpyDevice | None = None

    def discover(self) -> list[DeviceInfo]:
        return [
            DeviceInfo(
                name="numpy",
                description=platform.processor() or platform.machine(),
                vendor="NumPy",
                driver=np.__version__,
                kind="host",
                memory=0,
                dtypes=frozenset(ALL),
            )
        ]

    def open(self, name: str) -> NumpyDevice:
        if self._device is None:
            self._device = NumpyDevice(self.discover()[0])
        return self._device
