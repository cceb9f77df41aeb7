"""Writing in place into what a graph still has to read: never a wrong gradient without a word."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.errors import GraphError

REFUSED = "written to in place since"


def leaves(shape: tuple[int, ...] = (3, 4)) -> tuple[ndl.Tensor, ndl.Tensor]:
    """A leaf that requires a gradient and one that does not, realized."""
    rng = np.random.default_rng(0)
    w, x = (ndl.asarray(rng.standard_normal(shape).astype(np.float32)).realize() for _ in range(2))
    return w.requires_grad_(), x


#: Operations whose gradient with respect to w reads x or w.
READING: dict[str, Callable[[ndl.Tensor, ndl.Tensor], ndl.Tensor]] = {
    "product": lambda w, x: w * x,
    "reflected product": lambda w, x: x * w,
    "quotient": lambda w, x: w / x,
    "power": lambda w, x: x**w,
    "maximum": ndl.maximum,
    "matrix product": lambda w, x: w @ x.T,
    "selection": lambda w, x: ndl.where(x > 0, w, 0) * x,
    "chain": lambda w, x: ndl.tanh((w * x + 1) * 2),
}


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("realized", [True, False])
def test_an_operand_that_was_overwritten_is_noticed(device: ndl.Device, name: str, realized: bool) -> None:
    w, x = leaves()
    y = READING[name](w, x)
    if realized:
        y.realize()
    x[...] = 0
    with pytest.raises(GraphError, match=REFUSED):
        y.sum().backward()
    assert w.grad is None


NORMALISED = functools.partial(nn.functional.layer_norm, normalized_shape=4)


@pytest.mark.parametrize(
    "function", [ndl.exp, ndl.log, ndl.sqrt, ndl.tanh, ndl.relu, ndl.softmax, lambda w: w.max(0), NORMALISED]
)
def test_an_input_and_output_that_were_overwritten_are_noticed(
    device: ndl.Device, function: Callable[[ndl.Tensor], ndl.Tensor]
) -> None:
    w, _ = leaves()
    y = function(w).realize()
    w.data[...] = 0.5
    y.data[...] = 0.5
    with pytest.raises(GraphError, match=REFUSED):
        y.sum().backward()


def test_what_is_not_read_again_may_be_overwritten(device: ndl.Device) -> None:
    w, x = leaves()
    y = ((w + x) * 2 - x).reshape((4, 3)).sum(0).sum()
    x[...] = 0
    y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), np.full((3, 4), 2, np.float32))


@pytest.mark.parametrize("function", [ndl.maximum, ndl.minimum])
def test_the_larger_of_two_may_be_overwritten(
    device: ndl.Device, function: Callable[[ndl.Tensor, ndl.Tensor], ndl.Tensor]
) -> None:
    """Its gradient compares the operands: the result, stored by another launch, may be rounded otherwise."""
    w, x = leaves()
    y = function(w, x).realize()
    taken = y.numpy() == w.numpy()
    y.data[...] = 0
    y.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), taken)


def test_writing_into_a_part_counts_for_the_whole(device: ndl.Device) -> None:
    w, x = leaves()
    y = (w * x[1:]).sum() if w.shape == x[1:].shape else (w[1:] * x[1:]).sum()
    x.T[0, 2] = 1
    with pytest.raises(GraphError, match=REFUSED):
        y.backward()


def test_a_pending_operand_keeps_its_values(device: ndl.Device) -> None:
    """What is written into the source of a recorded expression comes after it."""
    w, x = leaves()
    before = x.numpy().copy()
    y = (w * (x * 2)).sum()
    x[...] = 0
    y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), 2 * before)


def test_replaced_data_leave_the_graph_as_it_was(device: ndl.Device) -> None:
    w, x = leaves()
    x.requires_grad_()
    before = w.numpy().copy()
    y = (w * x).sum()
    w.data = ndl.zeros((3, 4))
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), before)


def test_an_optimizer_between_forward_and_backward(device: ndl.Device) -> None:
    w, x = leaves()
    optimizer = optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    late = (w * w * x).sum()
    optimizer.step()
    with pytest.raises(GraphError, match=REFUSED):
        late.backward()
    optimizer.zero_grad()
    (w * w * x).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * w.numpy() * x.numpy(), rtol=1e-6)


@pytest.mark.parametrize("how", ["write", "replace"])
def test_a_graph_of_the_gradient_reads_the_values_themselves(device: ndl.Device, how: str) -> None:
    w, x = leaves()
    y = (w * x).sum()
    if how == "write":
        x[...] = 0
    else:
        x.data = ndl.zeros((3, 4))
    with pytest.raises(GraphError, match=REFUSED):
        y.backward(create_graph=True)


def test_a_graph_of_a_gradient_that_reads_no_values(device: ndl.Device) -> None:
    w, x = leaves()
    y = (w + x).sum()
    x[...] = 0
    y.backward(create_graph=True)
    np.testing.assert_array_equal(w.grad.numpy(), np.ones((3, 4), np.float32))


def test_a_loss_keeps_what_it_needs_of_the_logits(device: ndl.Device) -> None:
    w, _ = leaves()
    labels = ndl.asarray(np.array([0, 3, 1]))
    nn.functional.cross_entropy(w, labels).backward()
    expected = w.grad.numpy()
    w.grad = None
    late = nn.functional.cross_entropy(w, labels)
    late.realize()
    w.data[...] = 0
    late.backward()
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-6)


class Doubled(ndl.Op):
    def compute(self, a):
        return a * 2

    def gradient(self, out_grad, node):
        return out_grad * 2


def test_an_operation_of_the_users(device: ndl.Device) -> None:
    w, _ = leaves()
    y = Doubled()(w)
    w.data[...] = 0
    with pytest.raises(GraphError, match=REFUSED):
        y.sum().backward()


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_labels_that_were_overwritten(device: ndl.Device, dtype: str) -> None:
    w, labels = ndl.Tensor([[1.0, 2.0, 3.0]]), ndl.asarray(np.array([0], dtype))
    loss = nn.functional.cross_entropy(w, labels)
    labels[0] = 2
    with pytest.raises(GraphError, match=REFUSED):
        loss.backward()
    assert w.grad is None


def test_a_differentiable_gradient_reads_what_was_saved(device: ndl.Device) -> None:
    """It computes nothing again from an input, which may have been overwritten."""

    def slopes(write: bool) -> tuple[np.ndarray, np.ndarray]:
        w = ndl.Tensor([[1.0, 2.0, 4.0]])
        z = w * 1.0
        loss = nn.functional.cross_entropy(z, [1])
        if write:
            z.detach()[0, 0] = 5.0
        loss.backward(create_graph=True)
        first, w.grad = w.grad, None
        (first * ndl.asarray([1.0, -2.0, 0.5])).sum().backward()
        return first.numpy(), w.grad.numpy()

    for written, untouched in zip(slopes(True), slopes(False), strict=True):
        np.testing.assert_allclose(written, untouched, rtol=1e-5, atol=1e-6)


def test_a_write_that_would_lose_a_gradient(device: ndl.Device) -> None:
    target, w = ndl.zeros((2,), dtype="int32"), ndl.Tensor([1.0])
    with pytest.raises(GraphError, match="requires a gradient cannot be written into another of dtype int32"):
        target[0:1] = w * 2
    target[0:1] = (w * 2).data
    with ndl.no_grad():
        target[1:] = w * 3
    assert target.tolist() == [2, 3]
