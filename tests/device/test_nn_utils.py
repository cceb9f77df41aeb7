"""`nn.utils`: gradients cut to size, parameters as one vector. Beside PyTorch: tests/parity/test_nn_utils.py."""

from __future__ import annotations

import numpy as np
import pytest

import needle as ndl
from needle import nn


def parameters(*grads: object) -> list[nn.Parameter]:
    found = []
    for grad in grads:
        parameter = nn.Parameter(np.zeros_like(np.asarray(grad, np.float32)))
        parameter.grad = ndl.asarray(np.asarray(grad, np.float32))
        found.append(parameter)
    return found


def test_a_small_norm_is_left_alone(device):
    a, b = parameters([3.0], [[4.0]])
    assert nn.utils.clip_grad_norm_([a, b], 10).item() == 5
    assert a.grad.item() == 3 and b.grad.item() == 4


def test_a_large_norm_is_cut_and_frozen_parameters_are_passed_over(device):
    a, b = parameters([3.0], [[4.0]])
    frozen = nn.Parameter([1.0])
    total = nn.utils.clip_grad_norm_([a, frozen, b], 1.0)
    assert total.item() == 5 and frozen.grad is None
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.8], rtol=1e-5)


def test_norms_that_are_not_finite(device):
    for bad in (float("nan"), float("inf")):
        (a,) = parameters([1.0, bad])
        with pytest.raises(RuntimeError, match=r"the total norm of order 2\.0 is (nan|inf), which is not finite"):
            nn.utils.clip_grad_norm_(a, 1.0, error_if_nonfinite=True)
        assert a.grad.numpy()[0] == 1
    assert nn.utils.get_total_norm([]).item() == 0 and nn.utils.get_total_norm([ndl.zeros(0)]).item() == 0


def test_vectors(device):
    model = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    (vector * vector).sum().backward()
    np.testing.assert_allclose(model.weight.grad.numpy(), 2 * model.weight.numpy(), rtol=1e-6)
    nn.utils.vector_to_parameters(ndl.arange(9, dtype="float32"), model.parameters())
    assert model.weight.tolist() == [[0, 1, 2], [3, 4, 5]] and model.bias.tolist() == [[6, 7, 8]]
    with pytest.raises(ValueError, match=r"vec has shape \(3,\); the parameters need \(9,\)"):
        nn.utils.vector_to_parameters(ndl.zeros(3), model.parameters())
    with pytest.raises(TypeError, match="vec must be a tensor, not a list"):
        nn.utils.vector_to_parameters([1.0], model.parameters())
    with pytest.raises(ValueError, match="clip_value=-1 must be at least 0"):
        nn.utils.clip_grad_value_(model.parameters(), -1)
