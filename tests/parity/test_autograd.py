"""The engine: orders of gradients, accumulation, views, selections, ties, retained graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl
from needle import GraphError


def sample(*shape):
    return np.random.default_rng(61).standard_normal(shape)


# -- orders -----------------------------------------------------------------------------------------

FUNCTIONS = {
    "polynomial": (lambda x: (x**5 - 2 * x**3).sum(), lambda x: (x**5 - 2 * x**3).sum()),
    "exponential": (
        lambda x: (ndl.exp(ndl.sin(x)) / (1 + x * x)).sum(),
        lambda x: (torch.exp(torch.sin(x)) / (1 + x * x)).sum(),
    ),
    "softmax": (
        lambda x: (ndl.softmax(x * x, 0) * ndl.tanh(x)).sum(),
        lambda x: (torch.softmax(x * x, 0) * torch.tanh(x)).sum(),
    ),
    "reductions": (
        lambda x: ndl.std(x) * ndl.max(x) + ndl.prod(x) * ndl.mean(x),
        lambda x: torch.std(x, correction=0) * torch.amax(x) + torch.prod(x) * torch.mean(x),
    ),
    "gelu": (lambda x: (ndl.gelu(x) * x).sum(), lambda x: (torch.nn.functional.gelu(x) * x).sum()),
}


#: The highest order of each, and that of the short form, where there is one: higher ones have a kernel for each order.
LONG = {"polynomial": 4, "exponential": 3, "reductions": 2}
SHORT = {"polynomial": 3, "exponential": 2, "softmax": 2, "reductions": 1, "gelu": 2}


@pytest.mark.parametrize(
    ("name", "orders"), [*SHORT.items(), *(pytest.param(*item, marks=pytest.mark.slow) for item in LONG.items())]
)
def test_orders(parity, name, orders):
    """The gradient, the gradient of its weighted sum, and so on."""
    f, g = FUNCTIONS[name]
    ours, theirs = parity.pair(np.array([0.7, -0.4, 1.2, 0.3]))
    w, v = parity.pair(np.array([1.0, -2.0, 0.5, 3.0]), requires_grad=False)
    value, wanted = f(ours), g(theirs)
    for order in range(1, orders + 1):
        value.backward(create_graph=True)
        found, ours.grad = ours.grad, None
        (gradient,) = torch.autograd.grad(wanted, theirs, create_graph=True)
        parity.close(found, gradient, f"order {order}", rtol=1e-9, atol=1e-10)
        value, wanted = (found * w).sum(), (gradient * v).sum()


def test_mixed_second_derivatives(parity):
    (x, u), (y, v) = parity.pair(sample(3, 1)), parity.pair(sample(4))
    by_x = ndl.grad(lambda a, b: (ndl.sin(a * b) * b).sum())(x, y)
    (wanted,) = torch.autograd.grad((torch.sin(u * v) * v).sum(), u, create_graph=True)
    (by_x**2).sum().backward()
    (wanted**2).sum().backward()
    parity.close(by_x, wanted)
    parity.gradients_close([x, y], [u, v])


# -- accumulation and the life of the graph ---------------------------------------------------------


def test_gradients_accumulate_over_backwards_and_uses(parity):
    (x, u), (y, v) = parity.pair(sample(3, 4)), parity.pair(sample(4))
    for a, b in ((x, y), (u, v)):
        c = a * b
        (c * c + c + a).sum().backward()
        (a * 2 - b).sum().backward()
    parity.gradients_close([x, y], [u, v])


def test_retain_graph(parity):
    x, u = parity.pair(sample(5))
    for leaf, error in ((x, GraphError), (u, RuntimeError)):
        loss = (leaf * leaf).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        with pytest.raises(error, match="retain_graph=True"):
            loss.backward()
    parity.gradients_close([x], [u])


def test_two_losses_on_one_trunk(parity):
    x, u = parity.pair(sample(5))
    for leaf, tanh in ((x, ndl.tanh), (u, torch.tanh)):
        trunk = tanh(leaf)
        (trunk * 2).sum().backward(retain_graph=True)
        (trunk * trunk).sum().backward()
    parity.gradients_close([x], [u])


def test_detach_and_no_grad_cut_the_graph(parity):
    (x, u), (y, v) = parity.pair(sample(5)), parity.pair(sample(5))
    for a, b, library in ((x, y, ndl), (u, v, torch)):
        with library.no_grad():
            constant = a * b
        assert not constant.requires_grad
        (a.detach() * b + constant * b * a.detach()).sum().backward()
    assert u.grad is None
    parity.gradients_close([x, y], [u, v])


def test_gradient_through_a_conversion(parity):
    """Half of the way in float32."""
    x, u = parity.pair(np.array([0.5, -1.5, 2.0]))
    for leaf, narrow in ((x, lambda t: t.astype("float32")), (u, lambda t: t.float())):
        (narrow(leaf * leaf) * 2.5).sum().backward()
    parity.gradients_close([x], [u], rtol=1e-6)


# -- broadcasting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4,)),
        ((3, 1), (1, 4)),
        ((), (2, 3)),
        ((1,), (3,)),
        ((2, 1, 3), (4, 1)),
        ((1, 1, 1), (2, 3, 4)),
        ((0, 3), (3,)),
    ],
    ids=str,
)
def test_broadcasting(parity, shapes):
    parity.same(lambda a, b: a * b + a, lambda a, b: a * b + a, sample(*shapes[0]), sample(*shapes[1]) + 2)


def test_broadcast_to(parity):
    parity.same(lambda x: x.broadcast_to((2, 3, 4)) * x, lambda x: x.broadcast_to((2, 3, 4)) * x, sample(3, 1))


# -- views ------------------------------------------------------------------------------------------

VIEWS = {
    "reshape": (lambda x: x.reshape(4, 6), lambda x: x.reshape(4, 6)),
    "reshape of a view": (lambda x: x.permute(2, 0, 1).reshape(-1), lambda x: x.permute(2, 0, 1).reshape(-1)),
    "permute": (lambda x: x.permute(1, 2, 0), lambda x: x.permute(1, 2, 0)),
    "transpose": (lambda x: x.transpose((0, 2)), lambda x: x.transpose(0, 2)),
    "flip": (lambda x: x.flip((0, 2)), lambda x: x.flip((0, 2))),
    "squeeze": (lambda x: x[:, 1:2].squeeze(1), lambda x: x[:, 1:2].squeeze(1)),
    "expand_dims": (lambda x: ndl.expand_dims(x, -1), lambda x: x.unsqueeze(-1)),
    "flatten": (lambda x: x.flatten(1), lambda x: x.flatten(1)),
    "integer": (lambda x: x[1], lambda x: x[1]),
    "negative integer": (lambda x: x[:, -1], lambda x: x[:, -1]),
    "slice": (lambda x: x[:, 1:3], lambda x: x[:, 1:3]),
    "step": (lambda x: x[:, ::2, 1::2], lambda x: x[:, ::2, 1::2]),
    "negative step": (lambda x: x[:, ::-1, 3:0:-2], lambda x: x.flip(1)[:, :, [3, 1]]),
    "ellipsis and newaxis": (lambda x: x[..., None, 1], lambda x: x[..., None, 1]),
    "slice of a slice": (lambda x: x[1:, :, ::2][:, 1], lambda x: x[1:, :, ::2][:, 1]),
    "nothing": (lambda x: x[:, 2:2], lambda x: x[:, 2:2]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(parity, name):
    ours, theirs = VIEWS[name]
    parity.same(lambda x: ours(x) * 3, lambda x: theirs(x) * 3, sample(2, 3, 4))


def test_overlapping_views_add_up(parity):
    def program(x):
        return x[1:] * x[:-1] + x[:1] * x[2]

    parity.same(program, program, sample(5, 2))


# -- joining and selecting --------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(parity, axis):
    x, y = sample(2, 3, 4), sample(2, 3, 4)[::-1].copy()
    parity.same(lambda a, b: ndl.concat([a, b * 2, a], axis), lambda a, b: torch.cat([a, b * 2, a], axis), x, y)


def test_stack_and_split(parity):
    def ours(a, b):
        parts = ndl.split(ndl.stack([a, b, a * b], axis=1), 3, axis=1)
        return parts[0] * parts[2] - parts[1]

    def theirs(a, b):
        parts = torch.split(torch.stack([a, b, a * b], dim=1), 1, dim=1)
        return parts[0] * parts[2] - parts[1]

    parity.same(ours, theirs, sample(2, 4), sample(2, 4) + 1)


@pytest.mark.parametrize("axis", [0, 1])
def test_take_with_repeated_indices(parity, axis):
    index = np.array([[0, 2, 2], [1, 0, 2]])
    parity.same(
        lambda x: ndl.take(x, index, axis=axis),
        lambda x: x[torch.tensor(index)] if axis == 0 else x[:, torch.tensor(index)],
        sample(3, 4),
    )


def test_rows_by_a_tensor_of_indices(parity):
    """The look-up of an embedding."""
    index = np.array([3, 0, 3, 3, 1])
    parity.same(lambda x: x[ndl.asarray(index)] * 2, lambda x: x[torch.tensor(index)] * 2, sample(4, 3))


@pytest.mark.parametrize("axis", [0, 1])
def test_take_along_axis(parity, axis):
    index = np.array([[0, 1, 1], [2, 0, 1]]) if axis == 1 else np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0]])
    parity.same(
        lambda x: ndl.take_along_axis(x, index, axis=axis),
        lambda x: torch.take_along_dim(x, torch.tensor(index), axis),
        sample(2, 3),
    )


def test_second_order_of_take_and_slices(parity):
    index = np.array([0, 2, 2])
    x, u = parity.pair(sample(3, 2))
    first = ndl.grad(lambda t: (ndl.take(t, index, axis=0) ** 3).sum() + (t[::2] ** 4).sum())(x)
    (first**2).sum().backward()
    loss = (u[torch.tensor(index)] ** 3).sum() + (u[::2] ** 4).sum()
    (wanted,) = torch.autograd.grad(loss, u, create_graph=True)
    (wanted**2).sum().backward()
    parity.close(first, wanted, "first order")
    parity.gradients_close([x], [u], rtol=1e-9)


# -- ties and kinks, within a longer chain ----------------------------------------------------------


def test_ties_and_kinks_in_a_chain(parity):
    x = np.array([[-1.0, 0.0, 1.0, 1.0], [0.5, 0.5, -0.5, 0.0]])

    def ours(t):
        largest = ndl.max(t, axis=1, keepdims=True)
        clipped = ndl.clip(t * 2, -1, 1)
        return ndl.where(t >= largest, clipped * t, ndl.maximum(t, -t)) + ndl.relu(t) + ndl.abs(t)

    def theirs(t):
        largest = torch.amax(t, 1, keepdim=True)
        clipped = torch.clamp(t * 2, -1, 1)
        return torch.where(t >= largest, clipped * t, torch.maximum(t, -t)) + torch.relu(t) + torch.abs(t)

    parity.same(ours, theirs, x)
