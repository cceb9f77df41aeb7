"""Means, variances and softmaxes of integers that float32 does not hold: they are not rounded before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.ops import reductions

pytestmark = pytest.mark.every_driver

#: Large numbers close together.
VALUES: dict[str, Any] = {
    "int64": [[100000001, 100000002, 100000003], [-(2**40), 1 - 2**40, 5 - 2**40]],
    "uint64": [[100000001, 100000002, 100000003], [2**40 + 3, 2**40, 2**40 + 1]],
    "int32": [[100000001, 100000002, 100000003], [-(2**31), 0, 2**31 - 1]],
    "uint8": [[1, 2, 3], [0, 0, 255]],
}
#: Beyond what float64 holds, and both ends of the range.
FAR: dict[str, Any] = {
    "int64": [[2**60 + 3, 2**60, 2**60 + 1], [-(2**63), 0, 2**63 - 1]],
    "uint64": [[2**63 + 3, 2**63, 2**63 + 1], [2**64 - 1, 0, 2**63]],
    "uint32": [[2**32 - 1, 2**32 - 2, 2**32 - 6], [2**32 - 1, 0, 7]],
}


def expected(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance, exactly: Python's integers have no last digit."""
    rows = [[int(value) for value in row] for row in values]
    means = [sum(row) / 3 for row in rows]
    variances = [sum((3 * value - sum(row)) ** 2 for value in row) / 27 for row in rows]
    return np.array(means), np.array(variances)


@pytest.mark.parametrize("dtype", VALUES)
def test_moments(device: ndl.Device, dtype: str) -> None:
    values = np.array(VALUES[dtype], dtype)
    x = ndl.asarray(values)
    means, variances = expected(values)
    assert x.mean(1).dtype == x.var(1).dtype == ndl.float32
    assert (np.abs(x.mean(1).numpy() - means) <= 2e-7 * (np.abs(means) + np.sqrt(variances))).all()
    np.testing.assert_allclose(x.var(1).numpy(), variances, rtol=3e-7)
    np.testing.assert_allclose(x.std(1, correction=1).numpy(), np.sqrt(variances * 1.5), rtol=3e-7)


@pytest.mark.parametrize("dtype", FAR)
def test_moments_without_float64(device: ndl.Device, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reductions, "_needs_shift", lambda x: True)
    values = np.array(FAR[dtype], dtype)
    x = ndl.asarray(values)
    means, variances = expected(values)
    np.testing.assert_allclose(x.mean(1, keepdims=True).numpy()[:, 0], means, rtol=2e-7, atol=0.5)
    np.testing.assert_allclose(x.var(1).numpy(), variances, rtol=1e-6)


def test_softmax(device: ndl.Device) -> None:
    if not device.supports(ndl.float64):
        pytest.skip("no float64 here: the integers are rounded to float32 first")
    for dtype in ("int64", "int32"):
        x = ndl.asarray(np.array([100000001, 100000002], dtype))
        found = ndl.softmax(x)
        assert found.dtype == ndl.float32
        np.testing.assert_allclose(found.numpy(), [0.2689414, 0.7310586], rtol=1e-6)
