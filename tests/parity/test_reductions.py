"""Reductions: values and gradients over all kinds of axes, ties, NaN, and the dtypes of integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl

SHAPE = (3, 4, 5)
AXES = [None, 1]


def every_axis(axis):
    """`axis` as PyTorch wants it where None is not taken for all."""
    return tuple(range(len(SHAPE))) if axis is None else axis


def prod(x, axis, keepdims):
    """torch.prod takes one axis or none."""
    if axis is None:
        return torch.prod(x).reshape((1,) * x.ndim if keepdims else ())
    axes = (axis,) if isinstance(axis, int) else axis
    for a in sorted((a % x.ndim for a in axes), reverse=True):
        x = torch.prod(x, a, keepdim=keepdims)
    return x


#: Operation -> PyTorch's, of a tensor, axes and whether they are kept.
REDUCTIONS = {
    "sum": lambda x, axis, keepdims: torch.sum(x, every_axis(axis), keepdim=keepdims),
    "mean": lambda x, axis, keepdims: torch.mean(x, every_axis(axis), keepdim=keepdims),
    "var": lambda x, axis, keepdims: torch.var(x, every_axis(axis), correction=0, keepdim=keepdims),
    "std": lambda x, axis, keepdims: torch.std(x, every_axis(axis), correction=0, keepdim=keepdims),
    "max": lambda x, axis, keepdims: torch.amax(x, every_axis(axis), keepdim=keepdims),
    "min": lambda x, axis, keepdims: torch.amin(x, every_axis(axis), keepdim=keepdims),
    "logsumexp": lambda x, axis, keepdims: torch.logsumexp(x, every_axis(axis), keepdim=keepdims),
    "prod": prod,
}


def sample(shape=SHAPE):
    return np.random.default_rng(3).standard_normal(shape)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_values_and_gradients(parity, name, axis):
    for keepdims in (False, True):
        parity.same(
            lambda x, k=keepdims: getattr(ndl, name)(x, axis=axis, keepdims=k),
            lambda x, k=keepdims: REDUCTIONS[name](x, axis, k),
            sample(),
        )


@pytest.mark.parametrize("name", ["mean", "max"])
def test_several_axes(parity, name):
    parity.same(lambda x: getattr(ndl, name)(x, axis=(-1, 0)), lambda x: REDUCTIONS[name](x, (-1, 0), False), sample())


@pytest.mark.parametrize("name", ["sum", "min"])
def test_views_are_reduced_as_they_are_seen(parity, name):
    parity.same(
        lambda x: getattr(ndl, name)(ndl.permute_dims(x, (2, 0, 1))[::-1, :, ::2], axis=0),
        lambda x: REDUCTIONS[name](x.permute(2, 0, 1).flip(0)[:, :, ::2], 0, False),
        sample(),
    )


@pytest.mark.parametrize("correction", [1, 0.5])
def test_correction_of_the_variance(parity, correction):
    for name in ("var", "std"):
        parity.same(
            lambda x, f=getattr(ndl, name): f(x, axis=1, correction=correction),
            lambda x, f=getattr(torch, name): f(x, 1, correction=correction),
            sample(),
        )


def test_variance_of_a_small_spread_around_a_large_mean(parity):
    x = 1e3 + sample() / 8
    rtol = 0 if parity.dtype == np.float64 else 1e-2
    parity.same(lambda t: ndl.var(t, axis=1), lambda t: torch.var(t, 1, correction=0), x, rtol=rtol)


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient(parity, name):
    x = np.array([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0], [0.0, -0.0, -1.0, 1.0], [np.inf, -np.inf, np.inf, 0.0]])
    parity.same(lambda t: getattr(ndl, name)(t, axis=1), lambda t: REDUCTIONS[name](t, 1, False), x)


@pytest.mark.parametrize("zeros", [(), (2,), (0, 3)], ids=["none", "one", "two"])
def test_gradient_of_a_product_with_zeros(parity, zeros):
    x = np.array([[2.0, -3.0, 0.5, 4.0]])
    x[0, list(zeros)] = 0
    parity.same(lambda t: ndl.prod(t, axis=1), lambda t: torch.prod(t, 1), x)
    parity.same(ndl.prod, torch.prod, x)


def test_second_order_of_a_product_with_a_zero(parity):
    """The Hessian of abc at a = 0 is not zero: its element (a, b) is c."""
    x, direction = np.array([0.0, 2.0, 3.0, -1.5]), np.array([1.0, -2.0, 0.5, 3.0])
    ours, theirs = parity.pair(x)
    (ndl.grad(ndl.prod)(ours) * ndl.asarray(parity.host(direction))).sum().backward()
    (first,) = torch.autograd.grad(torch.prod(theirs), theirs, create_graph=True)
    (first * torch.tensor(direction)).sum().backward()
    parity.gradients_close([ours], [theirs])


def test_gradient_of_the_standard_deviation_of_equal_elements(parity):
    """0, the subgradient; the root's infinite slope times 0 would make it NaN."""
    x = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]])
    parity.same(lambda t: ndl.std(t, axis=1), lambda t: torch.std(t, 1, correction=0), x)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_nan_and_infinities(parity, name):
    """Values. A gradient that is of a NaN says nothing."""
    x = sample((7, 3))
    x[0, 1] = np.nan
    x[1, 0] = np.inf
    x[2, 2] = -np.inf
    x[3] = [np.inf, 1.0, -np.inf]
    x[4] = np.inf
    x[5] = -np.inf
    ours, theirs = parity.pair(x)
    parity.close(getattr(ndl, name)(ours, axis=1), REDUCTIONS[name](theirs, 1, False))


@pytest.mark.parametrize("name", ["sum", "prod", "mean"])
def test_no_elements(parity, name):
    ours, theirs = parity.pair(np.zeros((2, 0)))
    parity.close(getattr(ndl, name)(ours, axis=1), getattr(torch, name)(theirs, 1))


@pytest.mark.parametrize("axis", [None, 0, -1], ids=str)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_position_of_the_extremum(parity, name, axis):
    """Without ties, of which PyTorch may take any."""
    x = sample((6, 7))
    ours, theirs = parity.pair(x)
    parity.close(getattr(ndl, name)(ours, axis=axis), getattr(torch, name)(theirs, axis))
    if axis is not None:
        x[2, 3] = np.nan
        ours, theirs = parity.pair(x)
        found = getattr(ndl, name)(ours, axis=axis, keepdims=True)
        parity.close(found, getattr(torch, name)(theirs, axis, keepdim=True))


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", ["any", "all"])
def test_any_and_all(parity, name, axis):
    x = np.random.default_rng(5).integers(0, 5, SHAPE) != (0 if name == "all" else 4)
    x[0, 0], x[1, :, 2] = True, False
    for host in (x, np.where(x, np.nan, 0.0)):
        ours, theirs = parity.pair(host)
        parity.close(getattr(ndl, name)(ours, axis=axis), getattr(torch, name)(theirs, every_axis(axis)))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32"])
@pytest.mark.parametrize("name", ["sum", "prod", "max"])
def test_integers(parity, name, dtype):
    x = np.random.default_rng(6).integers(0, 2 if dtype == "bool" else 100, (4, 6)).astype(dtype)
    if name == "max" and dtype == "bool":
        x[2] = False
    found = getattr(ndl, name)(ndl.asarray(x), axis=1)
    wanted = REDUCTIONS[name](torch.tensor(x), 1, False)
    expected = {"uint8": "uint64"}.get(dtype, "int64")  # the Array API keeps unsigned sums unsigned; PyTorch does not
    assert found.dtype == (expected if name != "max" else dtype)
    np.testing.assert_array_equal(found.numpy(), wanted.numpy().astype(found.dtype))


def test_sum_and_mean_of_many_numbers(parity):
    x = np.random.default_rng(8).uniform(0, 1, 100_003)
    ours, theirs = parity.pair(x)
    parity.close(ours.sum(), theirs.sum())
    parity.close(ours.mean(), theirs.mean())
