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


def copy_to(reference, model):
    """Give PyTorch's model the parameters of needle's, whose Linear has the weight transposed."""
    with torch.no_grad():
        parameters = dict(reference.named_parameters())
        for name, parameter in model.named_parameters():
            values = torch.tensor(parameter.numpy().astype(np.float64))
            parameters[name].copy_(values.T if name.endswith("weight") and values.ndim == 2 else values.flatten())


def train(model, loss_of, optimizer, to_tensor):
    """The loss of every step."""
    curve = []
    for x, y in batches():
        loss = loss_of(model(to_tensor(x)), to_tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve


def check(model, reference, dtype, optimizer, options, rtol):
    """Train both, PyTorch's in float64, and compare the curves and the trained models."""
    copy_to(reference, model)

    def ours(host):
        return ndl.asarray(host.astype(dtype) if host.dtype.kind == "f" else host)

    def theirs(host):
        return torch.tensor(host.astype(dtype).astype(np.float64) if host.dtype.kind == "f" else host)

    curve = train(model, nn.CrossEntropyLoss(), getattr(optim, optimizer)(model.parameters(), **options), ours)
    expected = train(
        reference,
        torch.nn.CrossEntropyLoss(),
        getattr(torch.optim, optimizer)(reference.parameters(), **options),
        theirs,
    )
    np.testing.assert_allclose(curve, expected, rtol=rtol)
    assert np.mean(expected[-5:]) < 0.9 * np.mean(expected[:5])  # it did learn
    model.eval()
    reference.eval()
    x = data()[0]
    np.testing.assert_allclose(
        model(ours(x)).numpy(), reference(theirs(x)).detach().numpy(), rtol=10 * rtol, atol=10 * rtol
    )


def test_loss_curve(parity):
    ndl.manual_seed(53)
    dtype = parity.dtype
    model = nn.Sequential(
        nn.Linear(FEATURES, 32, dtype=dtype),
        nn.BatchNorm1d(32, dtype=dtype),
        nn.ReLU(),
        nn.Linear(32, 16, dtype=dtype),
        nn.Tanh(),
        nn.Linear(16, CLASSES, dtype=dtype),
    )
    reference = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 32),
        torch.nn.BatchNorm1d(32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, CLASSES),
    ).double()
    # Rounding errors grow from step to step: 1e-16 to some 1e-12, and 1e-7 to some 1e-3 in float32.
    rtol = 1e-8 if dtype == np.float64 else 2e-2
    check(model, reference, dtype, "SGD", {"lr": 0.1, "momentum": 0.9}, rtol)


@pytest.mark.slow
def test_loss_curve_in_the_default_dtype(parity):
    ndl.manual_seed(54)
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    reference = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 32), torch.nn.ReLU(), torch.nn.Linear(32, CLASSES)
    ).double()
    check(model, reference, np.float32, "AdamW", {"lr": 0.02}, 1e-3)
