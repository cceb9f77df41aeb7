"""Sorts, order statistics, scans and counts: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl


def sample(shape=(4, 7)):
    """Numbers without ties, of which PyTorch may take any."""
    size = int(np.prod(shape))
    return np.random.default_rng(5).permutation(size).reshape(shape) / 4 - 3


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize(
    "name", ["cumsum", "cumprod", "sort", "descending", "topk", "smallest", "kthvalue", "cummax", "cummin"]
)
def test_values_and_gradients(parity, name, axis):
    ours, theirs = {
        "cumsum": (lambda x: ndl.cumsum(x, axis), lambda x: torch.cumsum(x, axis)),
        "cumprod": (lambda x: ndl.cumprod(x, axis), lambda x: torch.cumprod(x, axis)),
        "sort": (lambda x: ndl.sort(x, axis), lambda x: torch.sort(x, axis)[0]),
        "descending": (lambda x: ndl.sort(x, axis, True), lambda x: torch.sort(x, axis, True)[0]),
        "topk": (lambda x: ndl.topk(x, 3, axis)[0], lambda x: torch.topk(x, 3, axis)[0]),
        "smallest": (lambda x: ndl.topk(x, 3, axis, False)[0], lambda x: torch.topk(x, 3, axis, False)[0]),
        "kthvalue": (lambda x: ndl.kthvalue(x, 2, axis)[0], lambda x: torch.kthvalue(x, 2, axis)[0]),
        "cummax": (lambda x: ndl.cummax(x, axis)[0], lambda x: torch.cummax(x, axis)[0]),
        "cummin": (lambda x: ndl.cummin(x, axis)[0], lambda x: torch.cummin(x, axis)[0]),
    }[name]
    parity.same(ours, theirs, sample())


def test_positions(parity):
    x = sample()
    x[1, 2], x[2, 3], x[3, 0] = np.nan, np.inf, -np.inf
    ours, theirs = parity.pair(x)
    for descending in (False, True):
        parity.close(ndl.argsort(ours, descending=descending), torch.argsort(theirs, descending=descending))
        parity.close(ndl.topk(ours, 2, largest=descending)[1], torch.topk(theirs, 2, largest=descending)[1])
    parity.close(ndl.cummax(ours, 1)[1], torch.cummax(theirs, 1)[1])


def test_quantiles(parity):
    x = sample((3, 8))
    parity.same(lambda t: ndl.quantile(t, 0.3, 1), lambda t: torch.quantile(t, 0.3, 1), x)
    parity.same(lambda t: ndl.median(t, 0), lambda t: torch.quantile(t, 0.5, 0), x)


def test_second_order_of_products_with_zeros(parity):
    x, direction = np.array([[0.0, 2.0, 3.0, -1.5], [1.0, 0.0, 2.0, 0.0]]), np.array([[1.0, -2.0, 0.5, 3.0]] * 2)
    ours, theirs = parity.pair(x)
    weights = np.array([0.5, 1.0, -2.0, 1.5])
    gradient = ndl.grad(lambda t: (ndl.cumprod(t, 1) * ndl.asarray(parity.host(weights))).sum())
    (gradient(ours) * ndl.asarray(parity.host(direction))).sum().backward()
    total = (torch.cumprod(theirs, 1) * torch.tensor(weights)).sum()
    (first,) = torch.autograd.grad(total, theirs, create_graph=True)
    (first * torch.tensor(direction)).sum().backward()
    parity.gradients_close([ours], [theirs])


def test_unique_and_counts(parity):
    x = np.random.default_rng(6).integers(0, 9, (5, 40))
    ours, theirs = parity.pair(x)
    expected = torch.unique(theirs, return_inverse=True, return_counts=True)
    for found, wanted in zip(ndl.unique(ours, return_inverse=True, return_counts=True), expected, strict=True):
        parity.close(found, wanted)
    parity.close(ndl.bincount(ours[0], minlength=12), torch.bincount(theirs[0], minlength=12))
    for found, wanted in zip(ndl.nonzero(ours), torch.nonzero(theirs, as_tuple=True), strict=True):
        parity.close(found, wanted)
    rows, values = np.sort(sample((3, 9)), 1), sample((3, 5))
    for side in ("left", "right"):
        found = ndl.searchsorted(parity.ours(rows, False), parity.ours(values, False), side=side)
        parity.close(found, torch.searchsorted(parity.theirs(rows, False), parity.theirs(values, False), side=side))
