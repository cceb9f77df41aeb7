"""Initialisers: values, the bounds and moments of their formulas, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import needle as ndl
from needle import init
from needle.ops.random import manual_seed

N = 200  # 40,000 numbers: a mean is known to about 0.005 standard deviations


@pytest.fixture(autouse=True)
def _seeded() -> None:
    manual_seed(5)


def moments(t: ndl.Tensor) -> tuple[float, float]:
    x = t.numpy().astype(np.float64)
    return x.mean(), x.std()


def test_constants(device):
    assert init.ones(2, 3).numpy().tolist() == [[1.0] * 3] * 2
    assert init.zeros(2).numpy().tolist() == [0.0, 0.0]
    filled = init.constant(2, 2, c=2.5, requires_grad=True)
    assert filled.numpy().tolist() == [[2.5, 2.5]] * 2
    assert filled.requires_grad and filled.device is device and filled.dtype == np.float32
    assert init.constant(2, c=3, dtype="int32").dtype == np.int32
    assert init.zeros().shape == ()


def test_like(device):
    x = ndl.Tensor([[1.0, 2.0]], dtype="float32")
    for made, value in ((init.ones_like(x), 1.0), (init.zeros_like(x, requires_grad=True), 0.0)):
        assert made.numpy().tolist() == [[value] * 2]
        assert made.device is device and made.dtype == x.dtype
    assert init.zeros_like(x, requires_grad=True).requires_grad
    assert not init.ones_like(x).requires_grad
    assert init.ones_like(x, device="numpy").device is ndl.device("numpy")


def test_one_hot_takes_the_number_first(device):
    expected = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    for indices in ([1, 2], np.array([1, 2]), ndl.asarray([1, 2])):
        assert init.one_hot(3, indices).numpy().tolist() == expected
    assert init.one_hot(3, 1).numpy().tolist() == [0.0, 1.0, 0.0]
    assert init.one_hot(3, ndl.asarray([1]), device="numpy", dtype="int8").dtype == np.int8
    with pytest.raises(IndexError, match="index 3 is out of range"):
        init.one_hot(3, [3])


def test_rand(device):
    x = init.rand(N, N, low=-1.0, high=3.0)
    values = x.numpy()
    assert values.min() >= -1 and values.max() < 3
    mean, std = moments(x)
    assert abs(mean - 1) < 0.03 and abs(std - 4 / math.sqrt(12)) < 0.03
    assert x.shape == (N, N) and x.dtype == np.float32 and x.device is device and not x.requires_grad


def test_randn(device):
    mean, std = moments(init.randn(N, N, mean=2.0, std=0.5))
    assert abs(mean - 2) < 0.015 and abs(std - 0.5) < 0.01


def test_randb(device):
    x = init.randb(N, N, p=0.3)
    assert x.dtype == np.bool_
    assert abs(moments(x)[0] - 0.3) < 0.012
    assert set(np.unique(init.randb(N, p=0.5, dtype="float32").numpy())) == {0.0, 1.0}


def test_random_values_are_those_of_the_seed(device):
    first = init.randn(5, 5).numpy()
    assert not np.array_equal(first, init.randn(5, 5).numpy())
    manual_seed(5)
    assert np.array_equal(first, init.randn(5, 5).numpy())


@pytest.mark.parametrize("function", [init.rand, init.randn, init.ones])
def test_options(device, function):
    x = function(2, 3, device="numpy", requires_grad=True)
    assert x.device is ndl.device("numpy") and x.requires_grad and x.is_leaf
    with pytest.raises(TypeError, match="shape"):
        function("three")
    with pytest.raises(TypeError):
        function(2, dtype="int32", requires_grad=True)


UNIFORM = [
    (init.xavier_uniform, {}, math.sqrt(6 / (N + 2 * N))),
    (init.xavier_uniform, {"gain": 2.0}, 2 * math.sqrt(6 / (N + 2 * N))),
    (init.kaiming_uniform, {}, math.sqrt(2) * math.sqrt(3 / N)),
    (init.kaiming_uniform, {"nonlinearity": "linear"}, math.sqrt(3 / N)),
    (init.kaiming_uniform, {"nonlinearity": "tanh"}, 5 / 3 * math.sqrt(3 / N)),
    (init.kaiming_uniform, {"nonlinearity": "leaky_relu"}, math.sqrt(2 / (1 + 1e-4)) * math.sqrt(3 / N)),
    (init.kaiming_uniform, {"nonlinearity": "leaky_relu", "negative_slope": 1.0}, math.sqrt(3 / N)),
]


@pytest.mark.parametrize(("function", "kwargs", "bound"), UNIFORM)
def test_uniform_bounds(device, function, kwargs, bound):
    x = function(N, 2 * N, **kwargs)
    values = np.abs(x.numpy())
    assert x.shape == (N, 2 * N)
    assert 0.999 * bound < values.max() <= bound * (1 + 1e-6)
    mean, std = moments(x)
    assert abs(mean) < 0.02 * bound and abs(std - bound / math.sqrt(3)) < 0.02 * bound


NORMAL = [
    (init.xavier_normal, {}, math.sqrt(2 / (N + 2 * N))),
    (init.xavier_normal, {"gain": 5 / 3}, 5 / 3 * math.sqrt(2 / (N + 2 * N))),
    (init.kaiming_normal, {}, math.sqrt(2 / N)),
    (init.kaiming_normal, {"nonlinearity": "sigmoid"}, math.sqrt(1 / N)),
]


@pytest.mark.parametrize(("function", "kwargs", "std"), NORMAL)
def test_normal_deviation(device, function, kwargs, std):
    mean, found = moments(function(N, 2 * N, **kwargs))
    assert abs(mean) < 0.02 * std and abs(found - std) < 0.02 * std


@pytest.mark.parametrize(
    "function", [init.xavier_uniform, init.xavier_normal, init.kaiming_uniform, init.kaiming_normal]
)
def test_scaled_options_and_errors(device, function):
    x = function(9, 4, shape=(3, 3, 1, 4), requires_grad=True)
    assert x.shape == (3, 3, 1, 4) and x.requires_grad
    with pytest.raises(ValueError, match="fan_in=0 must be an int of at least 1"):
        function(0, 4)
    with pytest.raises(ValueError, match=r"fan_out=2\.5 must be"):
        function(4, 2.5)


def test_unknown_nonlinearity():
    with pytest.raises(ValueError, match="nonlinearity='swish' is not known; expected one of linear"):
        init.kaiming_uniform(2, 2, nonlinearity="swish")
    assert init.calculate_gain("relu") == math.sqrt(2)
