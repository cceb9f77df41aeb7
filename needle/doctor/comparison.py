"""One result of a device beside what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import needle as ndl
from needle.dtypes import is_float

#: The relative error that is allowed, by the dtype computed in: a few roundings of its last bit.
TOLERANCE = {"float16": 4e-3, "float32": 5e-6, "float64": 1e-13}


@dataclass(frozen=True)
class Comparison:
    """`actual`, the device's, beside `expected`. Numbers may differ by TOLERANCE times their size, or `scale`."""

    what: str
    actual: np.ndarray
    expected: np.ndarray
    scale: Any = 0.0  # the size of the numbers that a result was summed from, where it is not the result's own
    floor: float = 0.1  # what is added to the size, for results that cancel; 0 asks for the digits of tiny ones
    exact: bool = False  # whether numbers must be equal

    def fault(self) -> str | None:
        """What is wrong with the result in one line, None if nothing."""
        if self.actual.shape != self.expected.shape:
            return f"{self.what} has the shape {self.actual.shape}, not {self.expected.shape}"
        wrong = np.argwhere(~self._equal())
        if not len(wrong):
            return None
        first = tuple(map(int, wrong[0]))
        return (
            f"{self.what}: {len(wrong)} of {self.expected.size} elements are wrong, the first at {first}: "
            f"{self.actual[first]}, not {self.expected[first]}"
        )

    def _equal(self) -> np.ndarray:
        actual, expected = self.actual, self.expected
        if self.exact or not is_float(actual.dtype):
            return np.asarray((actual == expected) | ((actual != actual) & (expected != expected)))
        allowed = TOLERANCE[actual.dtype.name] * (np.maximum(np.abs(expected), self.scale) + self.floor)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            near = np.abs(actual.astype(np.float64) - expected) <= allowed
        finite = np.isfinite(expected)
        same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        return np.asarray(np.where(finite, near, same))


def wide(array: np.ndarray) -> np.ndarray:
    """Floats in float64, in which the expected results are computed; others as they are."""
    return array.astype(np.float64) if is_float(array.dtype) else array


def float_dtypes(device: ndl.Device) -> list[np.dtype]:
    """The float dtypes that a device has."""
    return [d for d in (ndl.float32, ndl.float64, ndl.float16) if device.supports(d)]
