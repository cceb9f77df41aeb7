"""`nn.init`: values, moments and bounds of what is written into tensors in place, and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn


@pytest.fixture(autouse=True)
def seeded(device: ndl.Device) -> None:
    ndl.manual_seed(7)


CASES: dict[str, tuple[Callable[[ndl.Tensor], ndl.Tensor], float, float]] = {
    # what is called, the standard deviation, and the largest magnitude that is possible
    "uniform_": (lambda t: nn.init.uniform_(t, -2, 2), 2 / math.sqrt(3), 2),
    "normal_": (lambda t: nn.init.normal_(t, 0, 0.5), 0.5, math.inf),
    "trunc_normal_": (lambda t: nn.init.trunc_normal_(t, 0, 1, -1, 1), 0.5396, 1),
    "trunc_normal_ narrow": (lambda t: nn.init.trunc_normal_(t, 0, 1, -0.1, 0.1), 0.0577, 0.1),
    "xavier_uniform_": (lambda t: nn.init.xavier_uniform_(t, 2), 2 * math.sqrt(2 / 300), 2 * math.sqrt(6 / 300)),
    "xavier_normal_": (nn.init.xavier_normal_, math.sqrt(2 / 300), math.inf),
    "kaiming_uniform_": (lambda t: nn.init.kaiming_uniform_(t, nonlinearity="relu"), 0.1, math.sqrt(3) / 10),
    "kaiming_normal_ out": (
        lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="linear"),
        math.sqrt(1 / 100),
        math.inf,
    ),
}


@pytest.mark.parametrize(("fill", "std", "largest"), CASES.values(), ids=CASES)
def test_moments_and_bounds(device, fill: Any, std: float, largest: float) -> None:
    parameter = nn.Parameter(ndl.zeros((200, 100)))
    alias = parameter.detach()
    assert fill(parameter) is parameter and parameter.requires_grad and parameter.is_leaf
    values = alias.numpy()  # in place: another name of the memory sees it
    assert abs(values.mean()) < 0.03 * std + 1e-3
    assert values.std() == pytest.approx(std, rel=0.03)
    assert np.abs(values).max() <= largest * (1 + 1e-6)


def test_given_values(device):
    t = ndl.zeros((2, 3))
    assert nn.init.constant_(t, 4).tolist() == [[4, 4, 4]] * 2
    assert nn.init.ones_(t).tolist() == [[1, 1, 1]] * 2 and nn.init.zeros_(t).tolist() == [[0, 0, 0]] * 2
    assert nn.init.eye_(t).tolist() == [[1, 0, 0], [0, 1, 0]]
    kernel = nn.init.dirac_(ndl.ones((4, 2, 3)), groups=2).numpy()
    expected = np.zeros((4, 2, 3))
    expected[[0, 2], 0, 1] = expected[[1, 3], 1, 1] = 1
    np.testing.assert_array_equal(kernel, expected)


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 5), (4, 2, 3)])
def test_orthogonal(device, shape):
    values = nn.init.orthogonal_(ndl.zeros(shape), gain=2).numpy().reshape(shape[0], -1)
    product = values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_nothing_to_fill(device):
    empty = ndl.zeros((0, 3))
    for fill in (nn.init.orthogonal_, nn.init.xavier_normal_, nn.init.kaiming_uniform_, nn.init.trunc_normal_):
        assert fill(empty) is empty


def test_sparse(device):
    values = nn.init.sparse_(ndl.ones((10, 30)), 0.25, std=1).numpy()
    assert ((values == 0).sum(axis=0) == 3).all() and len(set(map(tuple, (values == 0).T))) > 1


def test_fans_of_kernels(device):
    values = nn.init.kaiming_uniform_(ndl.zeros((50, 4, 5, 5)), nonlinearity="linear").numpy()
    assert np.abs(values).max() == pytest.approx(math.sqrt(3 / 100), rel=0.01)


def test_half_precision(device):
    if device.supports(ndl.float16):
        assert nn.init.normal_(ndl.zeros(4000, dtype="float16")).numpy().std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.init.normal_(ndl.zeros(2, dtype="int32")),
            TypeError,
            "need a floating dtype; this tensor has int32",
        ),
        (lambda: nn.init.trunc_normal_(ndl.zeros(2), a=1, b=1), ValueError, "a=1, b=1"),
        (lambda: nn.init.eye_(ndl.zeros(2)), ValueError, r"two axes; its shape is \(2,\)"),
        (lambda: nn.init.dirac_(ndl.zeros((2, 2))), ValueError, "3 to 5 axes"),
        (lambda: nn.init.dirac_(ndl.zeros((3, 2, 1)), groups=2), ValueError, "groups=2 does not divide the 3"),
        (lambda: nn.init.xavier_normal_(ndl.zeros(3)), ValueError, "at least two axes"),
        (lambda: nn.init.kaiming_normal_(ndl.zeros((2, 2)), mode="fan"), ValueError, "mode='fan' is not known"),
        (lambda: nn.init.orthogonal_(ndl.zeros(3)), ValueError, "at least two axes"),
        (lambda: nn.init.sparse_(ndl.zeros((2, 2)), 2), ValueError, "0 <= sparsity <= 1"),
    ],
)
def test_errors(device, call, error, message):
    with pytest.raises(error, match=message):
        call()
