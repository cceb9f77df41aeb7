"""NumPy's functions given tensors: needle's function where there is one, else NumPy's answer or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl

X = np.linspace(-1.5, 2, 24, dtype=np.float32).reshape(2, 3, 4)
Y = X[0] + 3

#: Calls that give a tensor, with the same numbers as of arrays.
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda x, y: np.sum(x),
    "sum, axis": lambda x, y: np.sum(x, axis=1, keepdims=True, dtype=None),
    "mean, axes": lambda x, y: np.mean(x, (0, 2)),
    "std": lambda x, y: np.std(x, 1, ddof=1),
    "var": lambda x, y: np.var(x, axis=0),
    "amax": lambda x, y: np.amax(x, 0),
    "min": lambda x, y: np.min(x, axis=-1),
    "any": lambda x, y: np.any(x, 1),
    "argmax": lambda x, y: np.argmax(x, axis=1),
    "transpose": lambda x, y: np.transpose(x),
    "transpose, axes": lambda x, y: np.transpose(x, np.array([1, 2, 0])),
    "matrix_transpose": lambda x, y: np.matrix_transpose(x),
    "moveaxis": lambda x, y: np.moveaxis(x, [0, 1], [-1, 0]),
    "swapaxes": lambda x, y: np.swapaxes(x, 0, 2),
    "reshape": lambda x, y: np.reshape(x, (4, -1)),
    "ravel": lambda x, y: np.ravel(x),
    "expand_dims": lambda x, y: np.expand_dims(x, 1),
    "squeeze": lambda x, y: np.squeeze(np.reshape(x, (2, 1, 12))),
    "flip": lambda x, y: np.flip(x, (0, 2)),
    "broadcast_to": lambda x, y: np.broadcast_to(x, (2, 2, 3, 4)),
    "concatenate": lambda x, y: np.concatenate([x, X], axis=1),
    "stack": lambda x, y: np.stack((X, x), -1),
    "split": lambda x, y: np.split(x, 2)[1],
    "where": lambda x, y: np.where(X > 0, x, 0.0),
    "clip": lambda x, y: np.clip(x, a_min=-1, a_max=1),
    "clip, array first": lambda x, y: np.clip(X[0], -1, y),
    "round": lambda x, y: np.round(x),
    "take": lambda x, y: np.take(x, [2, 0], axis=1),
    "dot": lambda x, y: np.dot(y, y[0]),
    "outer": lambda x, y: np.outer(y[0], Y[1]),
    "zeros_like": lambda x, y: np.zeros_like(x),
    "full_like": lambda x, y: np.full_like(x, 7),
    "exp": lambda x, y: np.exp(x),
    "absolute": lambda x, y: np.absolute(x),
    "arctan2": lambda x, y: np.arctan2(X, x + 5),
    "add": lambda x, y: np.add(X, x),
    "power": lambda x, y: np.power(y, 2),
    "isnan": lambda x, y: np.isnan(x),
    "operators": lambda x, y: (X + x) * np.float32(2) - Y / y,
    "a comparison": lambda x, y: x <= X,
    "a product": lambda x, y: Y.T @ y,
}

#: Calls that give what NumPy gives: functions that needle does not have, and plain facts.
ON_VALUES: dict[str, Callable[[Any], Any]] = {
    "median": np.median,
    "norm": np.linalg.norm,
    "cov": lambda x: np.cov(x[0]),
    "allclose": lambda x: np.allclose(x, X),
    "vstack": lambda x: np.vstack([x, X]),
    "fmax": lambda x: np.fmax(x, 0),
    "a reduction": np.add.reduce,
    "an outer product": lambda x: np.multiply.outer(x[0, 0], [1, 2]),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_that_needle_has(name: str) -> None:
    with ndl.device("numpy"):
        x, y = ndl.Tensor(X), ndl.Tensor(Y)
        found, wanted = CALLS[name](x, y), CALLS[name](X, Y)
    assert isinstance(found, ndl.Tensor)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert found.requires_grad == (found.dtype == ndl.float32 and "_like" not in name)


def test_gradients_pass(device: ndl.Device) -> None:
    x = ndl.Tensor(X)
    np.sum(np.multiply(X, x)).backward()
    assert x.grad is not None and (x.grad.numpy() == X).all()


@pytest.mark.parametrize("name", ON_VALUES)
def test_other_functions_get_the_values_and_never_lose_a_gradient(name: str) -> None:
    call = ON_VALUES[name]
    with ndl.device("numpy"):
        x = ndl.Tensor(X)
        found = call(x.detach())
        assert not isinstance(found, ndl.Tensor)
        np.testing.assert_allclose(found, call(X), rtol=1e-6)
        with pytest.raises(RuntimeError, match=r"requires a gradient.*x\.detach\(\)"):
            call(x)


def test_facts_cost_no_gradient() -> None:
    x = ndl.Tensor(X, device="numpy")
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1), np.iscomplexobj(x)) == ((2, 3, 4), 3, 24, 3, False)
    assert [positions.tolist() for positions in np.where(x[0, 0] > -1.3)] == [[2, 3]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.sum(x, dtype=float), "np.sum of a tensor takes a, axis, keepdims: .*'dtype'"),
        (lambda x: np.moveaxis(x, [0, 0], [1, 2]), "must be as many axes, none twice"),
        (lambda x: np.exp(x, where=X > 0), "np.exp of a tensor takes no where; use ndl.exp"),
        (lambda x: np.add(X, x, out=X.copy()), r"cannot write a tensor into out=.*array \+= x\.numpy\(\)"),
        (lambda x: np.add(x, [1, 2]), r"add: operand \[1, 2\] of type list is not a tensor or a number"),
        (lambda x: np.round(x, 2), "decimals=2: ndl.round rounds to whole numbers"),
        (lambda x: np.dot(x, x), "use ndl.matmul"),
    ],
)
def test_what_is_refused(call: Callable[[Any], Any], message: str) -> None:
    x = ndl.Tensor(X, device="numpy")
    with pytest.raises((TypeError, ValueError), match=message):
        call(x)


def test_dlpack(device: ndl.Device) -> None:
    x = ndl.Tensor(X)
    for values in (x.detach(), x.detach()[1, 2, 3], ndl.asarray(3)):
        assert np.array_equal(np.from_dlpack(values), values.numpy())
    with pytest.raises(BufferError, match="requires a gradient"):
        np.from_dlpack(x)
