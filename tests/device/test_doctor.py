"""What the self-test calls wrong, and that it finds nothing wrong with the devices here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from support.together import realize

import needle as ndl
from needle.backend.records import PRIMITIVES
from needle.doctor import FAMILIES, limits, primitives
from needle.doctor.comparison import Comparison
from needle.doctor.primitives import families

#: The families of primitives are what `test_primitives.py` runs.
OTHERS = [family for family in FAMILIES if family not in families()]


#: Families whose kernels are many: one by one they take half a minute to compile.
OF_MANY_KERNELS = ("reductions", "positions")


def compile_together(device: ndl.Device, family: str) -> None:
    """Compile the kernels of a family in few programs: begin each computation, then await all of them."""
    begun: list[ndl.Tensor] = []

    def postponed(tensor: ndl.Tensor) -> np.ndarray:
        begun.append(tensor)
        return np.zeros(tensor.shape, tensor.dtype)

    with mock.patch.object(ndl.Tensor, "numpy", postponed):
        list(FAMILIES[family](device))
    realize(begun)


def test_every_primitive_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitives, "check", lambda record, device: [record.name])
    examined = [name for family in families() for name in FAMILIES[family](ndl.device("numpy"))]
    assert sorted(examined) == sorted(PRIMITIVES)
    assert {"softmax", "matrix products", "gathering", "random numbers"} <= set(FAMILIES)


@pytest.mark.parametrize("family", OTHERS)
def test_a_device_that_works_passes(device: ndl.Device, family: str) -> None:
    if family in OF_MANY_KERNELS:
        compile_together(device, family)
    comparisons = list(FAMILIES[family](device))
    assert len(comparisons) > 5
    assert [fault for c in comparisons if (fault := c.fault())] == []


@pytest.mark.parametrize(
    ("family", "name", "wrong", "message"),
    [
        ("limits", "tanh", lambda x: ndl.asarray(np.tanh(x.numpy()) * np.float32(0.99999994)), "the limits of tanh"),
        ("limits", "gelu", lambda x: ndl.gelu(x) * (abs(x) < 5), "gelu of float32"),
        ("limits", "sqrt", lambda x: ndl.sqrt(ndl.where(ndl.isnan(x), 0, x)), "sqrt of float32"),
        ("recomputed", "exp", lambda x, n=iter(range(9)): ndl.exp(x) * (1 + next(n) * 1e-6), "exp, computed again"),
    ],
)
def test_a_driver_whose_functions_are_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, family: str, name: str, wrong: Any, message: str
) -> None:
    """A tanh that does not reach 1, a tail that is cut off, a NaN that is lost, a value that changes."""
    monkeypatch.setitem(ndl.ops.registry, name, replace(ndl.ops.registry[name], function=wrong))
    with ndl.device("numpy") as device:
        monkeypatch.setattr(limits, "float_dtypes", lambda device: [ndl.float32])
        faults = [fault for c in FAMILIES[family](device) if (fault := c.fault())]
    assert faults and all(message in fault for fault in faults)


def of(actual: list, expected: list, dtype: str = "float32", scale: float = 0) -> str | None:
    return Comparison("x", np.array(actual, dtype), np.array(expected), scale).fault()


def test_what_is_near_enough() -> None:
    assert of([1.0, np.nan, np.inf, -np.inf], [1.000001, np.nan, np.inf, -np.inf]) is None
    assert of([1.0], [1.0001]) == "x: 1 of 1 elements are wrong, the first at (0,): 1.0, not 1.0001"
    assert of([1.0], [1.0001], scale=100) is None
    assert of([1.0], [1.001], "float16") is None
    assert of([], []) is None


@pytest.mark.parametrize(
    ("actual", "expected"), [(np.nan, 1), (1, np.nan), (np.inf, 1), (1, np.inf), (np.inf, -np.inf), (1e30, np.inf)]
)
def test_nan_and_infinity_must_be_where_they_are_expected(actual: float, expected: float) -> None:
    assert of([2, actual, 3], [2, expected, 3]) is not None
    assert of([2, actual, 3], [2, expected, 3], scale=1e6) is not None


def test_integers_must_be_equal() -> None:
    assert of([1, 2], [1, 2], "int32") is None
    assert of([[1, 2], [3, 5]], [[1, 2], [3, 4]], "int32") == (
        "x: 1 of 4 elements are wrong, the first at (1, 1): 5, not 4"
    )


def test_shapes_must_be_equal() -> None:
    assert of([1, 1], [1]) == "x has the shape (2,), not (1,)"
