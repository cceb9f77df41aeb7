"""Counts, means, squares and sums of halves: computed in float32, and rounded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.nn import functional as F

#: More elements than a half can count, or hold the inverse of with three digits.
MANY = 70_000


@pytest.fixture
def halves(device: ndl.Device) -> Callable[..., ndl.Tensor]:
    """Makes a tensor of halves that requires a gradient."""
    if not device.supports(ndl.float16):
        pytest.skip("no float16 here")
    return lambda values: ndl.Tensor(np.asarray(values, np.float16))


def gradient(function: Callable[[ndl.Tensor], ndl.Tensor], x: ndl.Tensor) -> np.ndarray:
    y = function(x)
    assert y.dtype == ndl.float16
    y.backward()
    assert x.grad is not None and x.grad.dtype == ndl.float16
    return x.grad.numpy()


@pytest.mark.parametrize("function", [ndl.max, ndl.min, ndl.mean])
def test_shares_of_many(halves: Any, function: Any) -> None:
    x = halves(np.ones(MANY))
    np.testing.assert_array_equal(gradient(function, x), np.float16(1 / MANY))


def test_a_number_is_not_rounded_before_it_is_used(halves: Any) -> None:
    x = halves([70.0, 7.0])
    np.testing.assert_array_equal((x / MANY).numpy(), np.float16([1e-3, 1e-4]))
    np.testing.assert_array_equal((MANY / (x * 100)).numpy(), np.float16([10, 100]))
    assert gradient(lambda v: (v / MANY).sum(), x)[0] == np.float16(1 / MANY)


def test_squares_beyond_the_range(halves: Any) -> None:
    values = np.tile([512.0, -512.0], 50)
    x = halves(values)
    assert ndl.std(halves(values * (300 / 512))).item() == 300
    np.testing.assert_allclose(gradient(ndl.std, x), np.sign(values) / 100, rtol=1e-3)
    rows = halves(values.reshape(2, 50))
    np.testing.assert_array_equal(F.layer_norm(rows, 50).numpy(), np.sign(rows.numpy()))
    assert F.cosine_similarity(rows, rows).tolist() == [1, 1]
    x.grad = x.detach()
    assert nn.utils.clip_grad_norm_([x], 512.0).item() == 5120
    np.testing.assert_allclose(x.grad.numpy(), values / 10, rtol=1e-3)


def test_running_statistics_are_kept_in_floats(halves: Any) -> None:
    values = np.tile([512.0, -512.0], 50).reshape(100, 1)
    for layer in (nn.BatchNorm1d(1, dtype="float16"), nn.BatchNorm1d(1).half()):
        assert layer.running_var.dtype == ndl.float32 and layer.weight.dtype == ndl.float16
        layer.momentum = 1.0
        normal = layer(halves(values))
        assert normal.dtype == ndl.float16
        np.testing.assert_array_equal(normal.numpy(), np.sign(values))
        np.testing.assert_allclose(layer.running_var.numpy(), 512**2 / 0.99, rtol=1e-6)
        np.testing.assert_allclose(layer.eval()(halves(values)).numpy(), np.sign(values), rtol=6e-3)
    assert nn.BatchNorm1d(1).half().float().running_var.dtype == ndl.float32


def test_losses_of_many(halves: Any) -> None:
    labels, weight = np.zeros(MANY, np.int64), halves([1.0, 1.0])
    x = halves(np.zeros((MANY, 2)))
    slopes = gradient(lambda v: F.cross_entropy(v, labels, weight), x)
    np.testing.assert_array_equal(slopes, np.float16([[-0.5 / MANY, 0.5 / MANY]] * MANY))
    assert F.cross_entropy(x, labels, weight).item() == np.float16(np.log(2))
    assert F.nll_loss(halves(np.full((MANY, 2), -0.5)), labels, weight).item() == 0.5
    assert F.mse_loss(halves(np.full(2, 250.0)), halves([0.0, 250.0])).item() == 31248  # the half next to 250 ** 2 / 2
    assert F.mse_loss(x.detach(), ndl.zeros((MANY, 2))).dtype == ndl.float32  # where the dtypes meet
