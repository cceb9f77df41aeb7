"""Small functions of PyTorch and NumPy against NumPy; they are made of operations that are tested on every device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import needle as ndl

X = np.random.default_rng(2).uniform(0.1, 0.9, (3, 4)).astype(np.float32)
Y = X[::-1].copy()
WITH_NAN = np.where(X > 0.5, np.float32(np.nan), X)


@pytest.fixture(autouse=True)
def on_numpy() -> Iterator[None]:
    with ndl.device("numpy"):
        yield


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x, y, n: x.t(), X.T), (lambda x, y, n: x[0].t(), X[0]), (lambda x, y, n: x.select(1, 2), X[:, 2]),
        (lambda x, y, n: ndl.fliplr(x), X[:, ::-1]), (lambda x, y, n: x.flipud(), X[::-1]),
        (lambda x, y, n: ndl.addcmul(x, y, y, value=2), X + 2 * Y * Y),
        (lambda x, y, n: ndl.addcdiv(x, y, x), X + Y / X),
        (lambda x, y, n: ndl.baddbmm(x[None], x[None], y[None].mT @ y[None], beta=2), (2 * X + X @ (Y.T @ Y))[None]),
        (lambda x, y, n: x.clamp_min(0.5), np.maximum(X, 0.5)), (lambda x, y, n: x.clamp_max(y), np.minimum(X, Y)),
        (lambda x, y, n: ndl.exp2(x), np.exp2(X)), (lambda x, y, n: ndl.xlogy(x, y), X * np.log(Y)),
        (lambda x, y, n: ndl.xlogy(x * 0, y * 0), X * 0), (lambda x, y, n: ndl.xlogy(x, 0.5), X * np.log(0.5)),
        (lambda x, y, n: ndl.xlogy(x * 0, 0.0), X * 0), (lambda x, y, n: ndl.xlogy(x * 0, n * 0), WITH_NAN * 0),
        (lambda x, y, n: ndl.logit(x), np.log(X / (1 - X))),
        (lambda x, y, n: ndl.logit(x * 9, eps=0.25), np.log((q := np.clip(X * 9, 0.25, 0.75)) / (1 - q))),
        (lambda x, y, n: ndl.deg2rad(x), np.deg2rad(X)), (lambda x, y, n: ndl.rad2deg(x), np.rad2deg(X)),
        (lambda x, y, n: ndl.aminmax(x, dim=1).max, X.max(1)), (lambda x, y, n: ndl.aminmax(x).min, X.min()),
        (lambda x, y, n: ndl.nansum(n, 0), np.nansum(WITH_NAN, 0)),
        (lambda x, y, n: ndl.nanmean(n), np.nanmean(WITH_NAN)),
        (lambda x, y, n: ndl.dist(x, y), np.linalg.norm(X - Y)), (lambda x, y, n: ndl.cov(x), np.cov(X)),
        (lambda x, y, n: ndl.cov(x[0]), np.cov(X[0])), (lambda x, y, n: ndl.corrcoef(x), np.corrcoef(X)),
        (lambda x, y, n: ndl.isposinf(1 / (x * 0)), np.ones((3, 4))),
        (lambda x, y, n: ndl.isneginf(x), np.zeros((3, 4))),
        (lambda x, y, n: ndl.real(x), X), (lambda x, y, n: ndl.imag(x), X * 0), (lambda x, y, n: ndl.conj(x), X),
    ],
)  # fmt: skip
def test_values(call: Callable[..., Any], expected: np.ndarray) -> None:
    found = call(*map(ndl.asarray, (X, Y, WITH_NAN)))
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_gradients_where_a_logarithm_has_none() -> None:
    x, y = ndl.Tensor([0.0, 2.0]), ndl.Tensor([0.0, 3.0])
    ndl.xlogy(x, y).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), [0, 2 / 3], rtol=1e-6)


def test_refusals() -> None:
    x = ndl.zeros(2, 2, 2)
    for call, message in ((lambda: x.t(), "at most two axes"), (lambda: ndl.cov(x), "its only axes")):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(IndexError, match="out of bounds"):
        x.select(0, 2)
