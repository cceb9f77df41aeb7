"""Layers with PyTorch's weights: outputs, gradients of inputs and parameters, running statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl
from needle import nn
from needle.nn import functional as F


def sample(*shape):
    return np.random.default_rng(31).standard_normal(shape) * 1.5 + 0.3


def copy_parameters(parity, ours, theirs):
    """Give both modules the same random parameters; needle's Linear has PyTorch's weight transposed."""
    rng = np.random.default_rng(32)
    state = theirs.state_dict()
    mine = ours.state_dict()
    assert set(mine) == set(state)
    for name, tensor in mine.items():
        if name.endswith("num_batches_tracked"):
            continue
        values = parity.host(rng.uniform(0.2, 1.2, tensor.shape))
        mine[name] = ndl.asarray(values)
        other = torch.tensor(values.astype(np.float64))
        state[name] = untransposed(ours, name, other, state[name].shape)
    ours.load_state_dict(mine)
    theirs.load_state_dict(state)


def untransposed(module, name, tensor, shape):
    """What the parameter `name` of needle's module is in PyTorch's, or the other way round."""
    owner = dict(module.named_modules())[name.rpartition(".")[0]]
    if not isinstance(owner, nn.Linear):
        return tensor
    return tensor.T if name.endswith("weight") else tensor.reshape(shape)


def check_module(parity, ours, theirs, *inputs, **tolerance):
    """One forward and backward pass through both, on equal parameters."""
    mine, other = [parity.ours(x) for x in inputs], [parity.theirs(x) for x in inputs]
    result, expected = ours(*mine), theirs(*other)
    weights = parity.host(np.random.default_rng(33).uniform(0.5, 2, expected.shape))
    result.backward(ndl.asarray(weights))
    expected.backward(torch.tensor(weights.astype(np.float64)))
    parity.close(result, expected, "output", **tolerance)
    parity.gradients_close(mine, other, "gradient of input", **tolerance)
    theirs_by_name = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        wanted = untransposed(ours, name, theirs_by_name[name].grad, parameter.shape)
        parity.close(parameter.grad, wanted, f"gradient of {name}", **tolerance)


# -- Linear -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (3,)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(parity, shape, bias):
    ours = nn.Linear(3, 4, bias=bias, dtype=parity.dtype)
    theirs = torch.nn.Linear(3, 4, bias=bias, dtype=torch.float64)
    copy_parameters(parity, ours, theirs)
    check_module(parity, ours, theirs, sample(*shape))


# -- normalisation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5)], ids=str)
def test_layer_norm(parity, shape):
    ours, theirs = nn.LayerNorm1d(5, dtype=parity.dtype), torch.nn.LayerNorm(5, dtype=torch.float64)
    copy_parameters(parity, ours, theirs)
    check_module(parity, ours, theirs, sample(*shape))


def test_layer_norm_over_several_axes(parity):
    parity.same(
        lambda x, w: F.layer_norm(x, (3, 4), w, None, 1e-3),
        lambda x, w: torch.nn.functional.layer_norm(x, (3, 4), w, None, 1e-3),
        sample(5, 3, 4),
        sample(3, 4),
    )


def test_layer_norm_of_equal_elements(parity):
    """No variance: only eps keeps the division finite."""
    ours, theirs = nn.LayerNorm1d(4, dtype=parity.dtype), torch.nn.LayerNorm(4, dtype=torch.float64)
    check_module(parity, ours, theirs, np.ones((2, 4)), atol=1e-9)


@pytest.mark.parametrize(("shape", "momentum"), [((6, 4), 0.3), ((3, 4, 5), 0.3), ((6, 4), None)], ids=str)
def test_batch_norm_in_training_and_evaluation(parity, shape, momentum):
    ours = nn.BatchNorm1d(4, eps=1e-4, momentum=momentum, dtype=parity.dtype)
    theirs = torch.nn.BatchNorm1d(4, eps=1e-4, momentum=momentum, dtype=torch.float64)
    copy_parameters(parity, ours, theirs)
    x = sample(*shape)
    for step in range(3):
        ours.zero_grad()
        theirs.zero_grad()
        check_module(parity, ours, theirs, x * (step + 1) - step)
        parity.close(ours.running_mean, theirs.running_mean, "running_mean")
        parity.close(ours.running_var, theirs.running_var, "running_var")
        assert ours.num_batches_tracked.item() == theirs.num_batches_tracked.item()
    ours.eval()
    theirs.eval()
    ours.zero_grad()
    theirs.zero_grad()
    before = ours.running_mean.numpy().copy()
    check_module(parity, ours, theirs, x)
    np.testing.assert_array_equal(ours.running_mean.numpy(), before)


def test_second_order_through_normalisation(parity):
    """A penalty on the gradient of the input: the closed-form gradients have to be differentiable themselves."""
    x = sample(6, 4)
    ours, theirs = parity.pair(x)
    gradient = ndl.grad(lambda t: (F.batch_norm(t, None, None, training=True) ** 3).sum())(ours)
    (gradient**2).sum().backward()
    loss = (torch.nn.functional.batch_norm(theirs, None, None, training=True) ** 3).sum()
    (wanted,) = torch.autograd.grad(loss, theirs, create_graph=True)
    (wanted**2).sum().backward()
    parity.close(gradient, wanted, "first order", rtol=1e-8, atol=1e-9)
    parity.gradients_close([ours], [theirs], rtol=1e-8, atol=1e-8 if parity.dtype == np.float64 else 1e-2)


# -- activations ------------------------------------------------------------------------------------

ACTIVATIONS = {
    "ReLU": ({}, {}),
    "Sigmoid": ({}, {}),
    "Tanh": ({}, {}),
    "SiLU": ({}, {}),
    "GELU": ({}, {}),
    "Softplus": ({"beta": 2.0}, {"beta": 2.0, "threshold": 100.0}),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(parity, name):
    ours, theirs = ACTIVATIONS[name]
    x = np.concatenate([sample(20), [0.0, -0.0, 20.0, -20.0]])
    check_module(parity, getattr(nn, name)(**ours), getattr(torch.nn, name)(**theirs), x)


def test_approximate_gelu(parity):
    check_module(parity, nn.GELU("tanh"), torch.nn.GELU("tanh"), sample(20))


# -- dropout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_has_the_statistics_of_pytorchs(parity, p):
    """The share of zeros, the scale of the rest, and the gradient, which is the mask's."""
    ndl.manual_seed(5)
    n = 40_000
    results = []
    for module, x in (
        (nn.Dropout(p), parity.ours(np.ones(n))),
        (torch.nn.Dropout(p), parity.theirs(np.ones(n))),
    ):
        y = module(x)
        (y * 3).sum().backward()
        host = y.detach().numpy()
        np.testing.assert_allclose(np.unique(host), [0, 1 / (1 - p)], rtol=1e-6)
        np.testing.assert_allclose(x.grad.numpy(), 3 * host, rtol=1e-6)
        results.append(np.mean(host == 0))
    deviation = np.sqrt(p * (1 - p) / n)
    assert abs(results[0] - p) < 5 * deviation
    assert abs(results[0] - results[1]) < 7 * deviation


def test_dropout_in_evaluation(parity):
    check_module(parity, nn.Dropout(0.7).eval(), torch.nn.Dropout(0.7).eval(), sample(3, 4))


# -- together ---------------------------------------------------------------------------------------


def test_a_model_of_all_layers(parity):
    ours = nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 8, dtype=parity.dtype),
        nn.BatchNorm1d(8, dtype=parity.dtype),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Linear(8, 8, dtype=parity.dtype), nn.LayerNorm1d(8, dtype=parity.dtype))),
        nn.Identity(),
        nn.Linear(8, 3, dtype=parity.dtype),
    )

    class Residual(torch.nn.Module):
        def __init__(self, fn):
            super().__init__()
            self.fn = fn

        def forward(self, x):
            return x + self.fn(x)

    theirs = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(12, 8),
        torch.nn.BatchNorm1d(8),
        torch.nn.ReLU(),
        Residual(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8))),
        torch.nn.Identity(),
        torch.nn.Linear(8, 3),
    ).double()
    copy_parameters(parity, ours, theirs)
    check_module(parity, ours, theirs, sample(6, 3, 4), rtol=1e-9, atol=1e-10)
