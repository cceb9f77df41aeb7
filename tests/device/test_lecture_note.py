"""The programs of the lecture note on neural network libraries that needle grew from, section by section."""

import numpy as np
import pytest

import needle as ndl
from needle.nn import Module, Parameter


def graph_size(tensor):
    """The number of nodes that a tensor's history holds, itself included."""
    seen, stack = set(), [tensor]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            stack.extend(node.inputs)
    return len(seen)


# -- 1. Mutating the data field ---------------------------------------------------------------------


def test_naive_update_grows_the_graph(device):
    w = ndl.Tensor([1.0, 2.0, 3.0])
    grad = ndl.Tensor([1.0, 1.0, 1.0])
    lr = 0.001
    sizes = []
    for _ in range(1000):
        w = w + (-lr) * grad
        sizes.append(graph_size(w))
    assert sizes[-1] - sizes[0] == 2 * 999  # a sum and a product each step
    np.testing.assert_allclose(w.numpy(), [0.0, 1.0, 2.0], atol=1e-4)


def test_update_through_data_grows_no_graph(device):
    w = ndl.Tensor([1.0, 2.0, 3.0])
    grad = ndl.Tensor([1.0, 1.0, 1.0])
    lr = 0.001
    for _ in range(1000):
        w.data = w.data + (-lr) * grad.data
        assert graph_size(w) == 1
    assert w.is_leaf
    assert w.requires_grad
    np.testing.assert_allclose(w.numpy(), [0.0, 1.0, 2.0], atol=1e-4)


def test_data_shares_memory_and_detach_leaves_the_graph(device):
    x = ndl.Tensor([1.0, 2.0])
    y = x * 2
    assert not y.data.requires_grad
    assert y.data.inputs == ()
    assert y.detach().realize_cached_data() is y.realize_cached_data()


# -- 2. Numerical stability -------------------------------------------------------------------------


def test_floats_are_not_exact(device):
    difference = (ndl.Tensor(0.4) - 0.1).numpy()
    assert difference.dtype == np.float32
    assert abs(float(difference) - 0.3) < 1e-6
    assert float(difference) != 0.3


def test_softmax_is_stable(device):
    logits = np.array([[1e4, 1e4 - 1, 0.0], [-1e4, -1e4, -1e4], [1.0, 2.0, 3.0]], np.float32)
    with np.errstate(all="ignore"):
        naive = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.isnan(naive).any()
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    expected = shifted / shifted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ndl.softmax(ndl.Tensor(logits), axis=1).numpy(), expected, rtol=1e-6, atol=1e-30)


def test_softmax_by_hand_is_stable_after_subtracting_the_maximum(device):
    x = ndl.Tensor([[1e4, 1e4 - 1, 0.0]])
    e = ndl.exp(x - x.max(axis=1, keepdims=True))
    result = (e / e.sum(axis=1, keepdims=True)).numpy()
    np.testing.assert_allclose(result, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0.0]], rtol=1e-6)


# -- 3.1 nn.Module ----------------------------------------------------------------------------------


class ScaleAdd(Module):
    def __init__(self, init_s=1, init_b=0):
        super().__init__()
        self.s = Parameter([init_s], dtype="float32")
        self.b = Parameter([init_b], dtype="float32")

    def forward(self, x):
        return x * self.s + self.b


class MultiPathScaleAdd(Module):
    def __init__(self):
        super().__init__()
        self.path0 = ScaleAdd()
        self.path1 = ScaleAdd()

    def forward(self, x):
        return self.path0(x) + self.path1(x)


class ScaleAddWithoutSuper(Module):
    """As in the note, which does not call the constructor of Module."""

    def __init__(self, init_s=1, init_b=0):
        self.s = Parameter([init_s], dtype="float32")
        self.b = Parameter([init_b], dtype="float32")

    def forward(self, x):
        return x * self.s + self.b


def _get_parameters(value):
    if isinstance(value, Parameter):
        return [value]
    if isinstance(value, dict):
        return [p for v in value.values() for p in _get_parameters(v)]
    if isinstance(value, NoteModule):
        return value.parameters()
    return []


class NoteModule:
    """The Module that the note builds from Parameter alone."""

    def parameters(self):
        return _get_parameters(self.__dict__)

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)


class NoteScaleAdd(NoteModule):
    def __init__(self, init_s=1, init_b=0):
        self.s = Parameter([init_s], dtype="float32")
        self.b = Parameter([init_b], dtype="float32")

    def forward(self, x):
        return x * self.s + self.b


@pytest.mark.parametrize("scale_add", [ScaleAdd, ScaleAddWithoutSuper, NoteScaleAdd])
def test_scale_add_finds_its_parameters(device, scale_add):
    model = scale_add(2, 3)
    assert [id(p) for p in model.parameters()] == [id(model.s), id(model.b)]
    assert model(ndl.Tensor([1.0, 2.0])).numpy().tolist() == [5.0, 7.0]


def test_multi_path_scale_add_finds_its_parameters(device):
    model = MultiPathScaleAdd()
    wanted = [model.path0.s, model.path0.b, model.path1.s, model.path1.b]
    assert [id(p) for p in model.parameters()] == [id(p) for p in wanted]
    assert model(ndl.Tensor([1.0, 2.0])).numpy().tolist() == [2.0, 4.0]


# -- 3.2 Loss function ------------------------------------------------------------------------------


class L2Loss(Module):
    def forward(self, x, y):
        z = x + (-1) * y
        return (z * z).sum()


def test_loss_is_a_module_and_backward_fills_every_grad(device):
    model, loss_function = MultiPathScaleAdd(), L2Loss()
    assert loss_function.parameters() == []
    x, y = ndl.Tensor([1.0, 2.0]), ndl.Tensor([5.0, 7.0])
    output = model(x)
    loss = loss_function(output, y)
    loss.backward()
    # z = 2x - y = [-3, -3]; d loss / d output = 2z, and from it every other gradient
    assert output.grad.numpy().tolist() == [-6.0, -6.0]
    for path in (model.path0, model.path1):
        assert path.s.grad.numpy().tolist() == [-18.0]
        assert path.b.grad.numpy().tolist() == [-12.0]
    assert x.grad.numpy().tolist() == [-12.0, -12.0]
    assert loss.grad.numpy() == 1.0


# -- 3.3 Optimizer ----------------------------------------------------------------------------------


class Optimizer:
    def __init__(self, parameters):
        self.parameters = parameters

    def reset_grad(self):
        for p in self.parameters:
            p.grad = None

    def step(self):
        raise NotImplementedError


class SGD(Optimizer):
    def __init__(self, parameters, lr=0.01):
        super().__init__(parameters)
        self.lr = lr

    def step(self):
        for w in self.parameters:
            w.data = w.data + (-self.lr) * w.grad.data


class SGDWithMomentum(Optimizer):
    def __init__(self, parameters, lr=0.01, momentum=0.9):
        super().__init__(parameters)
        self.momentum = momentum
        self.lr = lr
        self.u = [ndl.zeros_like(p) for p in parameters]

    def step(self):
        for i, w in enumerate(self.parameters):
            self.u[i] = self.u[i] * self.momentum + w.grad.data
            w.data = w.data + (-self.lr) * self.u[i]


class OnNeedle(ndl.optim.Optimizer):
    """The note's SGD on needle's own Optimizer."""

    def __init__(self, parameters, lr=0.01):
        super().__init__(parameters)
        self.lr = lr

    def step(self):
        for w in self.parameters:
            w.data = w.data + (-self.lr) * w.grad.data


@pytest.mark.parametrize("optimizer_class", [SGD, SGDWithMomentum, OnNeedle, ndl.optim.SGD])
def test_optimizers_of_the_note_train(device, optimizer_class):
    model, loss_function = ScaleAdd(), L2Loss()
    optimizer = optimizer_class(model.parameters(), lr=0.01)
    x = ndl.Tensor(np.linspace(-1, 1, 16, dtype=np.float32))
    y = 3 * x - 2
    for _ in range(200):
        optimizer.reset_grad()
        loss = loss_function(model(x), y.detach())
        loss.backward()
        optimizer.step()
        assert graph_size(model.s) == graph_size(model.b) == 1
    np.testing.assert_allclose([model.s.item(), model.b.item()], [3.0, -2.0], atol=1e-2)


def test_momentum_is_that_of_the_note(device):
    ours, theirs = ScaleAdd(), ScaleAdd()
    x = ndl.Tensor([1.0, 2.0, -1.0])
    optimizers = [ndl.optim.SGD(ours.parameters(), lr=0.01, momentum=0.9), SGDWithMomentum(theirs.parameters())]
    for _ in range(20):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.reset_grad()
            L2Loss()(model(x), 2 * x.detach() + 1).backward()
            optimizer.step()
    np.testing.assert_allclose(ours.s.numpy(), theirs.s.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.b.numpy(), theirs.b.numpy(), rtol=1e-6)


def test_a_loss_prints_as_a_number(device):
    loss = ndl.Tensor([1.0, 2.0]).sum()
    assert f"{loss:.2f}" == "3.00"
    with pytest.raises(ValueError, match="exactly one element"):
        f"{ndl.zeros(2):.2f}"
