"""The matrix product: shapes, stacks that broadcast, views, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl

SHAPES = [
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((1, 7), (7, 1)),
    ((33, 65), (65, 17)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((1, 3, 4), (6, 4, 2)),
    ((2, 3, 0), (2, 0, 5)),
    ((0, 4), (4, 3)),
    ((0, 3, 4), (4, 2)),
]


def draw(*shapes):
    rng = np.random.default_rng(11)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_values_and_gradients(parity, shapes):
    parity.same(ndl.matmul, torch.matmul, *draw(*shapes))


@pytest.mark.parametrize(
    ("ours", "theirs", "shapes"),
    [
        (lambda a, b: a.T @ b, lambda a, b: a.mT @ b, ((4, 3), (4, 5))),
        (lambda a, b: a @ b.T, lambda a, b: a @ b.mT, ((2, 3, 4), (5, 4))),
        (lambda a, b: a.T @ b.T, lambda a, b: a.mT @ b.mT, ((2, 4, 3), (2, 5, 4))),
        (lambda a, b: a[::-1, 1::2] @ b[::2], lambda a, b: a.flip(0)[:, 1::2] @ b[::2], ((5, 9), (8, 3))),
        (
            lambda a, b: a.permute(1, 2, 0) @ b.broadcast_to((4, 3, 6)),
            lambda a, b: a.permute(1, 2, 0) @ b.broadcast_to((4, 3, 6)),
            ((3, 4, 5), (3, 6)),
        ),
        (lambda a, b: (a @ b).T @ a, lambda a, b: (a @ b).mT @ a, ((3, 4), (4, 5))),
    ],
    ids=["first", "second", "both", "sliced", "permuted", "twice"],
)
def test_views(parity, ours, theirs, shapes):
    parity.same(ours, theirs, *draw(*shapes))


def test_an_operand_that_is_pending(parity):
    parity.same(lambda a, b: (a * 2 + 1) @ ndl.tanh(b), lambda a, b: (a * 2 + 1) @ torch.tanh(b), *draw((3, 4), (4, 2)))


def test_a_matrix_times_itself(parity):
    parity.same(lambda a: a @ a, lambda a: a @ a, *draw((4, 4)))


def test_nan_and_infinities_reach_their_row_and_column(parity):
    a, b = draw((4, 3), (3, 5))
    a[0, 1], a[1, 0], b[2, 3] = np.nan, np.inf, -np.inf
    b[0, 0] = 0  # inf * 0 is NaN
    a[2, 2] = 0
    (ours, theirs), (ours_b, theirs_b) = parity.pair(a), parity.pair(b)
    parity.close(ours @ ours_b, theirs @ theirs_b)


def test_gradient_of_only_one_operand(parity):
    a, b = draw((2, 3, 4), (4, 5))
    ours, theirs = parity.pair(a)
    ours_b, theirs_b = parity.pair(b, requires_grad=False)
    (ours @ ours_b).sum().backward()
    (theirs @ theirs_b).sum().backward()
    parity.gradients_close([ours, ours_b], [theirs, theirs_b])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers(parity, dtype):
    rng = np.random.default_rng(12)
    a, b = rng.integers(-9, 9, (2, 3, 4)).astype(dtype), rng.integers(-9, 9, (4, 5)).astype(dtype)
    parity.close(ndl.asarray(a) @ ndl.asarray(b), torch.tensor(a) @ torch.tensor(b))


def test_second_order(parity):
    a, b = draw((3, 4), (4, 2))
    (ours, theirs), (ours_b, theirs_b) = parity.pair(a), parity.pair(b)
    first = ndl.grad(lambda x, y: ((x @ y) ** 3).sum(), argnums=(0, 1))(ours, ours_b)
    wanted = torch.autograd.grad(((theirs @ theirs_b) ** 3).sum(), (theirs, theirs_b), create_graph=True)
    for f, w in zip(first, wanted, strict=True):
        parity.close(f, w, "first order")
    ((first[0] ** 2).sum() + (first[1] ** 2).sum()).backward()
    ((wanted[0] ** 2).sum() + (wanted[1] ** 2).sum()).backward()
    parity.gradients_close([ours, ours_b], [theirs, theirs_b], rtol=1e-9)
