"""A whole classifier, trained from the same weights on the same batches, follows PyTorch's loss curve."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl
from needle import nn, optim

STEPS, BATCH, FEATURES, CLASSES = 50, 32, 8, 3


def data():
    """Three classes on rings around a centre: no linear model tells them apart."""
    rng = np.random.default_rng(51)
    x = rng.standard_normal((256, FEATURES))
    return x, np.digitize((x[:, :4] ** 2).sum(1), [2.5, 4.5])


def batches():
    x, y = data()
    rng = np.random.default_rng(52)
    for _ in range(STEPS):
        rows = rng.choice(len(x), BATCH, replace=False)
        yield x[rows], y[rows]


def ours(dtype):
    return nn.Sequential(
        nn.Linear(FEATURES, 32, dtype=dtype),
        nn.BatchNorm1d(32, dtype=dtype),
        nn.ReLU(),
        nn.Linear(32, 16, dtype=dtype),
        nn.Tanh(),
        nn.Linear(16, CLASSES, dtype=dtype),
    )


def theirs():
    layers = torch.nn
    return layers.Sequential(
        layers.Linear(FEATURES, 32),
        layers.BatchNorm1d(32),
        layers.ReLU(),
        layers.Linear(32, 16),
        layers.Tanh(),
        layers.Linear(16, CLASSES),
    )


def copy_to(reference, model):
    """Give PyTorch's model the parameters of needle's, whose Linear has the weight transposed."""
    with torch.no_grad():
        parameters = dict(reference.named_parameters())
        for name, parameter in model.named_parameters():
            values = torch.tensor(parameter.numpy().astype(np.float64))
            parameters[name].copy_(values.T.reshape(parameters[name].shape))


@pytest.mark.parametrize(("optimizer", "options"), [("SGD", {"lr": 0.1, "momentum": 0.9}), ("AdamW", {"lr": 0.01})])
def test_loss_curve(parity, optimizer, options):
    # Rounding errors grow from step to step: 1e-16 to some 1e-12, and 1e-7 to some 1e-3 in float32.
    check(parity, parity.dtype, optimizer, options, 1e-8 if parity.dtype == np.float64 else 2e-2)


def test_loss_curve_in_the_default_dtype(parity):
    check(parity, np.dtype(np.float32), "SGD", {"lr": 0.05}, 1e-3)


def check(parity, dtype, optimizer, options, rtol):
    ndl.manual_seed(53)
    model, reference = ours(dtype), theirs().double()
    copy_to(reference, model)
    loss_of, their_loss_of = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    step = getattr(optim, optimizer)(model.parameters(), **options)
    their_step = getattr(torch.optim, optimizer)(reference.parameters(), **options)
    curve, expected = [], []
    for x, y in batches():
        x = x.astype(dtype)
        loss = loss_of(model(ndl.asarray(x)), y)
        step.zero_grad()
        loss.backward()
        step.step()
        curve.append(loss.item())
        wanted = their_loss_of(reference(torch.tensor(x.astype(np.float64))), torch.tensor(y))
        their_step.zero_grad()
        wanted.backward()
        their_step.step()
        expected.append(wanted.item())
    np.testing.assert_allclose(curve, expected, rtol=rtol)
    assert np.mean(expected[-5:]) < 0.8 * np.mean(expected[:5])  # it did learn
    model.eval()
    reference.eval()
    x = data()[0].astype(dtype)
    logits = reference(torch.tensor(x.astype(np.float64))).detach().numpy()
    np.testing.assert_allclose(model(ndl.asarray(x)).numpy(), logits, rtol=10 * rtol, atol=10 * rtol)
