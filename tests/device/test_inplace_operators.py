"""+=, -= and their like, and the methods that end with an underscore: what they write, and what the graph says."""

from __future__ import annotations

import gc
import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.errors import DeviceError, GraphError

#: The operators, each with the dtype of its operands.
OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "+=": (operator.iadd, "float32"), "-=": (operator.isub, "float32"), "*=": (operator.imul, "float32"),
    "/=": (operator.itruediv, "float32"), "//=": (operator.ifloordiv, "float32"), "%=": (operator.imod, "float32"),
    "**=": (operator.ipow, "float32"), "@=": (operator.imatmul, "float32"), "&=": (operator.iand, "int32"),
    "|=": (operator.ior, "int32"), "^=": (operator.ixor, "int32"), "<<=": (operator.ilshift, "int32"),
    ">>=": (operator.irshift, "int32"),
}  # fmt: skip


def hosts(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return tuple(random.uniform(1, 5, (3, 3)).astype(dtype) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.every_driver
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_writes_into_the_tensor(device: ndl.Device, name: str) -> None:
    operate, dtype = OPERATORS[name]
    x, y = hosts(dtype)
    t = other = ndl.asarray(x)
    alias, view = t.detach(), t.T
    t = operate(t, ndl.asarray(y))
    assert t is other
    want = operate(x.copy(), y)
    for seen in (t, alias, view.T):
        np.testing.assert_allclose(seen.numpy(), want, rtol=1e-5)


def test_numbers_and_numpy_arrays_beside_it(device: ndl.Device) -> None:
    x, y = hosts("float32")
    t = ndl.asarray(x)
    t *= 2
    t *= y
    t *= y[0]
    np.testing.assert_allclose(t.numpy(), x * 2 * y * y[0], rtol=1e-5)


def test_a_view_writes_into_the_whole(device: ndl.Device) -> None:
    x = ndl.zeros((3, 4))
    column = x[:, 1]
    column += 2
    x.T[0] -= ndl.asarray([1.0, 2.0, 3.0])
    x[[0, 0], [3, 3]] += 1  # once, as in NumPy: it is read, then written
    x[1:, 2:] *= 5
    x[x == 2] /= 4
    assert x.tolist() == [[-1, 0.5, 0, 1], [-2, 0.5, 0, 0], [-3, 0.5, 0, 0]]


def test_what_is_pending_stays_pending(device: ndl.Device) -> None:
    a, b = (ndl.asarray(h).realize() for h in hosts("float32"))
    before = device.launches
    x = a * b
    x += 1
    x *= a
    total = x.sum()
    total.realize()
    assert device.launches == before + 1
    c = ndl.asarray(hosts("float32")[0]).realize()
    before = device.launches
    c += a * 2 - a / 3
    assert device.launches == before + 1
    want = (hosts("float32")[0] * hosts("float32")[1] + 1) * hosts("float32")[0]
    np.testing.assert_allclose(x.numpy(), want, rtol=1e-5)
    np.testing.assert_allclose(total.item(), want.sum(), rtol=1e-5)


def test_what_was_recorded_before_has_the_old_values(device: ndl.Device) -> None:
    a = ndl.asarray([1.0, 2.0])
    pending = a * 3
    for x, old in ((a, [1, 2]), (pending, [3, 6]), (ndl.zeros((2,)), [0, 0])):
        before, kept = x * 10, x + 0
        x += 1
        x.mul_(2)
        assert kept.tolist() == old
        assert before.tolist() == [10 * v for v in old]
        assert x.tolist() == [2 * (v + 1) for v in old]


def test_views_of_constants(device: ndl.Device) -> None:
    x = ndl.zeros((2, 3))
    row = x[1]
    x += 1
    row -= 3
    assert x.tolist() == [[1, 1, 1], [-2, -2, -2]]


def test_a_tensor_beside_itself(device: ndl.Device) -> None:
    x = ndl.asarray(np.arange(4, dtype=np.float32).reshape(2, 2))
    x += x
    x += x.T
    assert x.tolist() == [[0, 6], [6, 12]]
    x @= x
    assert x.tolist() == [[36, 72], [72, 180]]


def test_methods(device: ndl.Device) -> None:
    x = ndl.asarray([1.0, -2.0, 3.0])
    y, view = x, x[1:]
    assert x.add_(1, alpha=2) is x
    assert x.sub_(y, alpha=0.5).mul_(2).div_(ndl.asarray([1.0, 2.0, 4.0])).tolist() == [3, 0, 1.25]
    assert x.clamp_(1, 2).tolist() == [2, 1, 1.25]
    assert x.clamp_(max=1.5).pow_(2).tolist() == [2.25, 1, 1.5625]
    assert x.copy_(ndl.asarray([[7, 8, 9]])).tolist() == [7, 8, 9]
    assert x.masked_fill_(x > 7, 0.5).tolist() == [7, 0.5, 0.5]
    assert x.fill_(4).tolist() == [4, 4, 4]
    assert view.zero_().tolist() == [0, 0]
    assert x.scatter_(0, [1, 1], ndl.asarray([5.0, 6.0])).tolist() == [4, 6, 0]
    assert x.scatter_add_(0, [1, 1], ndl.asarray([5.0, 6.0])).tolist() == [4, 17, 0]
    assert x.index_add_(0, [0, 0], ndl.asarray([1.0, 2.0]), alpha=2).tolist() == [10, 17, 0]
    assert y.tolist() == [10, 17, 0] and view.tolist() == [17, 0]
    with pytest.raises(ValueError, match=r"fill_: value has shape \(3,\)"):
        x.fill_(x)


@pytest.mark.parametrize(
    ("target", "change", "error", "message"),
    [
        ([1, 2], lambda x: x.__itruediv__(2), TypeError, "divide: the result has dtype float32, which a tensor of"),
        ([1, 2], lambda x: x.__iadd__(0.5), TypeError, "dtype int64 cannot hold"),
        ([True], lambda x: x.__iadd__(1), TypeError, "dtype bool cannot hold"),
        ([1.0, 2.0], lambda x: x.__iadd__(ndl.ones((3, 2))), ValueError, r"shape \(3, 2\) does not fit in .* \(2,\)"),
        ([1.0, 2.0], lambda x: x.broadcast_to((3, 2)).__imul__(2), ValueError, "repeats elements"),
        ([1.0], lambda x: x.requires_grad_().__iadd__(1), GraphError, r"add: a leaf .* under ndl\.no_grad\(\)"),
        ([1.0], lambda x: x.requires_grad_().zero_(), GraphError, r"a leaf that requires a gradient"),
        ([1.0, 2.0], lambda x: x.requires_grad_()[0].__imul__(2), GraphError, r"a leaf that requires a gradient"),
    ],
)  # fmt: skip
def test_refusals(
    device: ndl.Device, target: list[Any], change: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    x = ndl.asarray(target)
    with pytest.raises(error, match=message):
        change(x)
    assert x.tolist() == target


def test_smaller_dtypes_of_one_kind_hold_the_result(device: ndl.Device) -> None:
    x = ndl.asarray(np.array([1, 2], np.int8))
    x += ndl.asarray(np.array([300, 1], np.int32))
    assert x.dtype == np.int8 and x.tolist() == [45, 3]


# -- the graph --------------------------------------------------------------------------------------


def test_a_step_by_hand(device: ndl.Device) -> None:
    w = ndl.Tensor([1.0, 2.0])
    for _ in range(3):
        (w * w).sum().backward()
        with ndl.no_grad():
            w -= 0.25 * w.grad
        w.grad = None
    assert w.requires_grad and w.is_leaf
    np.testing.assert_allclose(w.numpy(), [0.125, 0.25])


#: Each changes h in place, with b beside it; and does the same out of place.
CHANGES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "add": (lambda h, b: h.add_(b), lambda h, b: h + b),
    "multiply": (lambda h, b: h.mul_(b), lambda h, b: h * b),
    "divide": (lambda h, b: h.div_(b), lambda h, b: h / b),
    "by itself": (lambda h, b: h.mul_(h), lambda h, b: h * h),
    "by its own part": (lambda h, b: h.add_(h[0]), lambda h, b: h + h[0]),
    "power": (lambda h, b: h.mul_(h).add_(1).pow_(b), lambda h, b: (h * h + 1) ** b),
    "product": (operator.imatmul, operator.matmul),
    "clamp": (lambda h, b: h.clamp_(0), lambda h, b: ndl.clip(h, 0)),
    "fill": (lambda h, b: h.fill_(2).mul_(b), lambda h, b: h * 0 + 2 * b),
    "copy": (lambda h, b: h.copy_(b[0]), lambda h, b: h * 0 + b[0]),
    "masked": (lambda h, b: h.masked_fill_(b > 0.5, 3), lambda h, b: ndl.where(b > 0.5, 3, h)),
    "a row": (lambda h, b: h[1].mul_(b[0]), lambda h, b: ndl.stack([h[0], h[1] * b[0]])),
    "the other way": (lambda h, b: h.T.reshape(2, 2)[0].sub_(b[1]), lambda h, b: h - ndl.stack([b[1], b[1] * 0]).T),
}


@pytest.mark.parametrize(
    ("name", "pending"),
    [*((name, False) for name in CHANGES), *((name, True) for name in ("add", "multiply", "a row"))],
)
def test_gradients_are_those_of_the_same_out_of_place(device: ndl.Device, name: str, pending: bool) -> None:
    in_place, out_of_place = CHANGES[name]
    found = []
    for where in (device, ndl.device("numpy")):  # the reference compiles nothing
        with where:
            w, b = ndl.Tensor([[0.5, -1.0], [2.0, 1.5]]), ndl.Tensor([[0.25, 1.0], [0.75, 0.5]])
            h = w + 1
            if not pending:
                h.realize()
            if not found:
                in_place(h, b)
            else:
                h = out_of_place(h, b)
            h.backward(ndl.asarray([[1.0, 2.0], [3.0, 4.0]]))
            grads = [np.zeros((2, 2), np.float32) if t.grad is None else t.grad.numpy() for t in (w, b)]
            found.append([h.numpy(), *grads])
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_every_name_holds_the_new_node(device: ndl.Device) -> None:
    x, w, b = ndl.Tensor([[1.0, 2.0]]), ndl.Tensor([[3.0], [4.0]]), ndl.Tensor([5.0])
    h = x @ w
    other, early = h, h * 2
    h += b
    assert other is h and h.op is not None and h.op.name == "add"
    assert not any(arg is h for arg in h.inputs)
    (h + early).sum().backward()
    assert h.tolist() == [[16]] and early.tolist() == [[22]]
    assert b.grad.tolist() == [1] and w.grad.tolist() == [[3], [6]]


def test_a_value_that_a_gradient_needs_is_noticed(device: ndl.Device) -> None:
    x = ndl.Tensor([0.5, 1.0])
    for realized in (True, False):
        y = ndl.exp(x)
        if realized:
            y.realize()
        y += 1
        with pytest.raises(GraphError, match="written to in place since"):
            y.sum().backward()
        z = x * 1
        product = z * z
        z += 1
        with pytest.raises(GraphError, match="written to in place since"):
            product.sum().backward()


def test_second_gradients_pass_through(device: ndl.Device) -> None:
    def f(x: ndl.Tensor) -> ndl.Tensor:
        y = x * x
        y *= x
        y[0] += x[1] ** 3
        return y.sum()

    x = ndl.Tensor([0.5, 1.5])
    (slope := ndl.grad(f)(x)).sum().backward()
    np.testing.assert_allclose(slope.numpy(), [3 * 0.25, 6 * 2.25], rtol=1e-5)
    np.testing.assert_allclose(x.grad.numpy(), [6 * 0.5, 12 * 1.5], rtol=1e-5)


def test_out_of_the_graph(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    y = x * 3
    assert y.detach_() is y
    assert y.is_leaf and not y.requires_grad and y.tolist() == [3, 6]
    y += 1
    assert y.requires_grad_() is y and y.requires_grad


def test_a_running_total(device: ndl.Device) -> None:
    """As training loops keep it; nothing grows."""
    w, total = ndl.Tensor([1.0, 2.0]), ndl.zeros(())
    for _ in range(50):
        loss = (w * w).sum()
        total += loss.detach()
    assert total.item() == 250 and not total.requires_grad


def test_a_graph_that_nobody_needs_is_freed_at_once(device: ndl.Device) -> None:
    w, out = ndl.Tensor([1.0, 2.0]), ndl.zeros((2, 2))
    gc.disable()
    try:
        h = w * 2
        held = weakref.ref(h)
        out[0] = h
        assert out.requires_grad
        del h, out
        assert held() is None
        h, out = w * 2, ndl.zeros((2, 2))
        held = weakref.ref(h)
        row = out[1]
        row += h
        out.sum().backward()
        del h, row, out
        assert held() is None
    finally:
        gc.enable()


def test_operands_of_other_devices_are_refused(device: ndl.Device) -> None:
    if device.name == "numpy":
        pytest.skip("the other device is this one")
    x, y = ndl.zeros((2,)), ndl.Tensor([1.0, 2.0], device="numpy")
    for write in (lambda: x.__iadd__(y), lambda: x.copy_(y), lambda: x.__setitem__([0, 1], y)):
        with pytest.raises(DeviceError, match="on different devices"):
            write()


def test_an_error_leaves_everything_as_it_was(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    y = x * 3
    with pytest.raises(ValueError):
        y += ndl.ones((3,))
    with pytest.raises(ValueError):
        y[[0, 1]] = x[:1].broadcast_to((3,))
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]
