"""Optimisers: the parameters after 20 steps on one model and one batch, with every option."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl
from needle import optim

STEPS = 20

OPTIONS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.001, "maximize": True}),
    ("Adam", {"lr": 0.05, "betas": (0.5, 0.8), "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "maximize": True}),
    ("Adamax", {"lr": 0.02, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {"lr": 0.01, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "alpha": 0.9, "eps": 1e-4, "centered": True}),
    ("Adagrad", {"lr": 0.05, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    ("Adadelta", {"weight_decay": 0.1}),
]


def hosts():
    """Two parameters, inputs and targets of a small regression."""
    rng = np.random.default_rng(41)
    shapes = ((3, 5), (5, 2), (8, 3), (8, 2))
    return [rng.standard_normal(shape) for shape in shapes]


def losses(parity):
    """The leaves of both libraries, and for each the function that computes its loss from them."""
    first, second, inputs, targets = hosts()
    (w1, v1), (w2, v2) = parity.pair(first), parity.pair(second)
    (x, z), (y, t) = parity.pair(inputs, requires_grad=False), parity.pair(targets, requires_grad=False)
    return (
        [w1, w2],
        [v1, v2],
        lambda: ((ndl.tanh(x @ w1) @ w2 - y) ** 2).mean(),
        lambda: ((torch.tanh(z @ v1) @ v2 - t) ** 2).mean(),
    )


def step(optimizer, loss):
    optimizer.zero_grad()
    loss = loss()
    loss.backward()
    optimizer.step()
    return loss


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=lambda value: str(value).replace(" ", ""))
def test_twenty_steps(parity, name, options):
    ours, theirs, our_loss, their_loss = losses(parity)
    optimizer = getattr(optim, name)(ours, **options)
    reference = getattr(torch.optim, name)(theirs, **options)
    start = ours[0].numpy().copy()
    rtol = 1e-7 if name == "NAdam" else 0  # PyTorch keeps the product of its momenta in float32
    for i in range(STEPS):
        parity.close(step(optimizer, our_loss), step(reference, their_loss), f"loss of step {i}", rtol=rtol)
    for w, v in zip(ours, theirs, strict=True):
        parity.close(w, v, "parameter", rtol=rtol)
    assert np.abs(ours[0].numpy() - start).max() > 1e-3  # they did move


def test_groups_and_a_changed_learning_rate(parity):
    ours, theirs, our_loss, their_loss = losses(parity)
    optimizer = optim.SGD([{"params": [ours[0]], "lr": 0.1}, {"params": [ours[1]], "momentum": 0.5}], lr=0.01)
    reference = torch.optim.SGD([{"params": [theirs[0]], "lr": 0.1}, {"params": [theirs[1]], "momentum": 0.5}], lr=0.01)
    for i in range(6):
        if i == 3:
            for group in (*optimizer.param_groups, *reference.param_groups):
                group["lr"] *= 0.5
        step(optimizer, our_loss)
        step(reference, their_loss)
    for w, v in zip(ours, theirs, strict=True):
        parity.close(w, v, "parameter")


def test_a_parameter_that_joins_late_counts_its_own_steps(parity):
    """Adam's bias correction: a parameter without a gradient is passed over and its count stands still."""
    ours, theirs, our_loss, their_loss = losses(parity)
    optimizer, reference = optim.Adam(ours, lr=0.1), torch.optim.Adam(theirs, lr=0.1)
    for i in range(6):
        for o, loss, leaves in ((optimizer, our_loss, ours), (reference, their_loss, theirs)):
            o.zero_grad()
            loss().backward()
            if i < 3:
                leaves[1].grad = None
            o.step()
    for w, v in zip(ours, theirs, strict=True):
        parity.close(w, v, "parameter")


def test_gradients_accumulate_over_two_batches(parity):
    ours, theirs, our_loss, their_loss = losses(parity)
    optimizer, reference = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    for o, loss in ((optimizer, our_loss), (reference, their_loss)):
        (loss() * 0.5).backward()
        (loss() * 0.25).backward()
        o.step()
    for w, v in zip(ours, theirs, strict=True):
        parity.close(w, v, "parameter")


@pytest.mark.parametrize(
    "options",
    [{"lr": 0.1}, {"lr": 0.5, "max_iter": 4, "history_size": 3}, {"line_search_fn": "strong_wolfe"},
     {"lr": 0.3, "max_iter": 5, "line_search_fn": "strong_wolfe", "tolerance_change": 1e-6}],
    ids=str,
)  # fmt: skip
def test_lbfgs(parity, options):
    if parity.dtype != "float64":
        pytest.skip("rounding decides how many iterations a step takes")
    ours, theirs, our_loss, their_loss = losses(parity)
    optimizer, reference = optim.LBFGS(ours, **options), torch.optim.LBFGS(theirs, **options)

    def closure(of, loss):
        def evaluate():
            of.zero_grad()
            value = loss()
            value.backward()
            return value

        return evaluate

    for i in range(3):
        found, expected = optimizer.step(closure(optimizer, our_loss)), reference.step(closure(reference, their_loss))
        parity.close(found, expected, f"loss of step {i}", rtol=1e-6)
    for w, v in zip(ours, theirs, strict=True):
        parity.close(w, v, "parameter", rtol=1e-5, atol=1e-6)
