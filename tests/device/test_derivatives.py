"""`autograd.grad`, Jacobians, Hessians and products with them, against derivatives that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import autograd

X, Y = np.array([1.0, -2.0, 0.5], np.float32), np.array([2.0, 3.0, -1.0], np.float32)


def outer(x: Any, y: Any) -> Any:
    return x[:, None] * y * y


def test_gradients_of_tensors(device: ndl.Device) -> None:
    x, y = ndl.Tensor(X), ndl.Tensor(Y)
    middle = x * y
    loss = (middle * middle).sum()
    by_x, by_middle = autograd.grad(loss, [x, middle])
    np.testing.assert_allclose(by_x.numpy(), 2 * X * Y * Y)
    np.testing.assert_allclose(by_middle.numpy(), 2 * X * Y)
    assert x.grad is None and not by_x.requires_grad
    (first,) = autograd.grad(loss, x, create_graph=True)
    (second,) = autograd.grad(first, x, grad_outputs=ndl.ones(3))
    np.testing.assert_allclose(second.numpy(), 2 * Y * Y)
    weights = [ndl.asarray([1.0, 0.0, 2.0]), None]
    (both,) = autograd.grad([middle, loss], (y,), grad_outputs=weights)
    np.testing.assert_allclose(both.numpy(), [1, 0, 2] * X + 2 * X * X * Y)
    assert autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None
    middle.sum().backward()  # no graph was freed


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, y: autograd.grad(x * y, x), ValueError, "needs out_grad"),
        (lambda x, y: autograd.grad(x.sum(), y), ndl.GraphError, r"no output depends on inputs\[0\]"),
        (lambda x, y: autograd.grad(x.detach().sum(), x), ndl.GraphError, r"outputs\[0\] does not require"),
        (lambda x, y: autograd.grad(x * y, x, ndl.ones(2)), ValueError, "out_grad has shape"),
        (lambda x, y: autograd.grad(x * y, x, [ndl.ones(3)] * 2), ValueError, "2 grad_outputs"),
        (lambda x, y: ndl.jvp(outer, (x, y), (x, x[:2])), ValueError, "v has the shapes"),
        (lambda x, y: ndl.hessian(lambda x: x * x, x), ValueError, r"returned shape \(3,\)"),
        (lambda x, y: ndl.jacobian(lambda x: x * x, ndl.asarray([1, 2])), TypeError, "a gradient needs a floating one"),
    ],
)
def test_what_cannot_be_differentiated(call: Callable[..., Any], error: type[Exception], message: str) -> None:
    with ndl.device("numpy"), pytest.raises(error, match=message):
        call(ndl.Tensor(X), ndl.Tensor(Y))


def test_jacobians_and_products(device: ndl.Device) -> None:
    x, y = ndl.asarray(X), ndl.Tensor(Y)
    by_x, by_y = ndl.jacobian(outer, (x, y))
    eye = np.eye(3, dtype=np.float32)
    wanted_x = eye[:, None] * (Y * Y)[None, :, None]
    wanted_y = X[:, None, None] * (2 * Y[:, None] * eye)[None]
    np.testing.assert_allclose(by_x.numpy(), wanted_x)
    np.testing.assert_allclose(by_y.numpy(), wanted_y)
    assert not by_x.requires_grad
    v, u = np.arange(9, dtype=np.float32).reshape(3, 3), (Y, X)
    value, products = autograd.vjp(outer, (x, y), ndl.asarray(v))
    np.testing.assert_allclose(value.numpy(), outer(X, Y))
    np.testing.assert_allclose(products[0].numpy(), np.einsum("ij,ijk->k", v, wanted_x), rtol=1e-6)
    np.testing.assert_allclose(products[1].numpy(), np.einsum("ij,ijk->k", v, wanted_y), rtol=1e-6)
    _, product = ndl.jvp(outer, (x, y), tuple(map(ndl.asarray, u)))
    np.testing.assert_allclose(product.numpy(), wanted_x @ u[0] + wanted_y @ u[1], rtol=1e-6)
    # Several results, one of them of no variable, and one that is linear.
    rows = ndl.jacobian(lambda x: (3 * x, ndl.ones(2)), x)
    np.testing.assert_allclose(rows[0].numpy(), 3 * eye)
    assert rows[1].tolist() == [[0, 0, 0], [0, 0, 0]]
    _, (linear, constant) = ndl.jvp(lambda x: (3 * x, ndl.ones(2)), x, ndl.asarray(Y))
    np.testing.assert_allclose(linear.numpy(), 3 * Y)
    assert constant.tolist() == [0, 0]
    assert ndl.jacobian(lambda x: x[:0], x).shape == (0, 3)


def test_hessians_and_products(device: ndl.Device) -> None:
    def f(x: Any, y: Any) -> Any:
        return (x**3 * y).sum()

    x, y = ndl.asarray(X), ndl.asarray(Y)
    (xx, xy), (yx, yy) = ndl.hessian(f, (x, y))
    np.testing.assert_allclose(xx.numpy(), np.diag(6 * X * Y), rtol=1e-6)
    np.testing.assert_allclose(xy.numpy(), np.diag(3 * X**2), rtol=1e-6)
    np.testing.assert_allclose(yx.numpy(), xy.numpy())
    assert not yy.numpy().any()
    value, product = ndl.hvp(f, (x, y), (ndl.asarray(Y), ndl.asarray(X)))
    assert value.item() == pytest.approx(float(f(X, Y))) and not value.requires_grad
    np.testing.assert_allclose(product[0].numpy(), 6 * X * Y * Y + 3 * X**2 * X, rtol=1e-6)
    np.testing.assert_allclose(product[1].numpy(), 3 * X**2 * Y, rtol=1e-6)


def test_derivatives_are_differentiable() -> None:
    with ndl.device("numpy"):
        x = ndl.Tensor(X)
        ndl.jacobian(lambda x: x**3, x, create_graph=True).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 6 * X)
        x.grad = None
        ndl.hvp(lambda x: (x**4).sum(), x, ndl.ones(3), create_graph=True)[1].sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 24 * X)
        x.grad = None
        ndl.jvp(lambda x: x**3, x, ndl.ones(3), create_graph=True)[1].sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 6 * X)
