"""Gradients cut to size, beside PyTorch's functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl
from needle import nn


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("most", [0.5, 100.0])
def test_clip_grad_norm(parity, norm, most):
    rng = np.random.default_rng(3)
    pairs = [parity.pair(rng.standard_normal(shape)) for shape in ((3, 4), (5,), ())]
    for ours, theirs in pairs:
        (ours * ours * ours).sum().backward()
        (theirs * theirs * theirs).sum().backward()
    ours, theirs = zip(*pairs, strict=True)
    total = nn.utils.clip_grad_norm_(ours, most, norm)
    parity.close(total, torch.nn.utils.clip_grad_norm_(theirs, most, norm), "norm")
    for a, b in pairs:
        parity.close(a.grad, b.grad, "gradient")
    nn.utils.clip_grad_value_(ours, 0.02)
    torch.nn.utils.clip_grad_value_(theirs, 0.02)
    for a, b in pairs:
        parity.close(a.grad, b.grad, "gradient")


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize(
    ("make", "shape"), [(lambda n: n.Linear(3, 5), (4, 3)), (lambda n: n.ConvTranspose2d(2, 4, 3), (2, 2, 5, 5))]
)
def test_weight_norm(make, shape: tuple[int, ...], dim: int | None) -> None:
    """Weights travel both ways; results and gradients are the same; afterwards the weight is a parameter again."""
    theirs, ours = torch.nn.utils.weight_norm(make(torch.nn), dim=dim), nn.utils.weight_norm(make(nn), dim=dim)
    state = theirs.state_dict()
    ours.load_state_dict(state, layout="torch")
    for name, value in ours.state_dict(layout="torch").items():
        np.testing.assert_allclose(value.numpy(), state[name].numpy(), rtol=1e-6)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x, y = torch.tensor(values, requires_grad=True), ndl.Tensor(values)
    expected, found = theirs(x), ours(y)
    expected.square().sum().backward()
    (found * found).sum().backward()
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-4, atol=1e-4)
    for name in ("weight_g", "weight_v"):
        slope = getattr(ours, name).grad.numpy()
        wanted = getattr(theirs, name).grad.numpy()
        np.testing.assert_allclose(slope.T if slope.ndim == 2 else slope, wanted, rtol=1e-4, atol=1e-4)
    nn.utils.remove_weight_norm(ours)
    assert sorted(ours.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(ours(y).numpy(), expected.detach().numpy(), atol=1e-5)


def test_weight_norm_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="name='scale' must be a parameter of Linear"):
        nn.utils.weight_norm(nn.Linear(2, 3), "scale")
    with pytest.raises(ValueError, match="dim=2 must be None or an axis of 'weight'"):
        nn.utils.weight_norm(nn.Linear(2, 3), dim=2)
    with pytest.raises(ValueError, match="weight_norm was not applied to 'weight' of Linear"):
        nn.utils.remove_weight_norm(nn.Linear(2, 3))
