"""Modules: what they collect, save, load, move, print and refuse."""

from __future__ import annotations

import numpy as np
import pytest

import needle as ndl
from needle import nn

rng = np.random.default_rng(1)


def tensor(*shape: int) -> ndl.Tensor:
    return ndl.Tensor(rng.standard_normal(shape).astype(np.float32))


def wide(x: ndl.Tensor) -> np.ndarray:
    return x.numpy().astype(np.float64)


class Net(nn.Module):
    """Parameters in attributes, a list, a tuple and nested dicts, a shared one, and a cycle."""

    def __init__(self):
        self.scale = nn.Parameter([2.0])
        self.plain = ndl.Tensor([1.0])
        self.layers = [nn.Linear(3, 3), nn.ReLU(), (nn.Linear(3, 2, bias=False), nn.Parameter([0.5]))]
        self.heads = {"a": nn.Linear(2, 1), "b": {"deep": [nn.Parameter([1.0, 2.0])]}}
        self.again = self.layers[0]
        self.tied = self.scale
        self.layers.append(self.layers)

    def forward(self, x):
        return self.heads["a"](self.layers[2][0](self.layers[1](self.layers[0](x)))) * self.scale


NAMES = [
    "scale",
    "layers.2.1",
    "heads.b.deep.0",
    "layers.0.weight",
    "layers.0.bias",
    "layers.2.0.weight",
    "heads.a.weight",
    "heads.a.bias",
]


# -- Parameter --------------------------------------------------------------------------------------


def test_parameter(device):
    p = nn.Parameter([1, 2], dtype="float32")
    assert isinstance(p, ndl.Tensor) and p.requires_grad and p.is_leaf and p.dtype == np.float32
    assert repr(p).startswith("Parameter containing:\nTensor([1., 2.]")
    assert type(p * 2) is ndl.Tensor
    with ndl.no_grad():
        assert nn.Parameter([1.0]).requires_grad
    with pytest.raises(TypeError, match="floating dtype; this tensor has int64"):
        nn.Parameter([1, 2])
    assert nn.Parameter(ndl.ones(2, device="numpy")).device is ndl.device("numpy")


# -- Module -----------------------------------------------------------------------------------------


def test_parameters_are_found_once_and_in_order(device):
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert isinstance(net.parameters(), list)
    assert [name for name, _ in net.named_children()] == ["layers.0", "layers.1", "layers.2.0", "heads.a"]
    assert [name for name, _ in net.named_modules()] == ["", "layers.0", "layers.1", "layers.2.0", "heads.a"]
    assert net.modules() == [net, *net.children()]


def test_gradients_reach_every_parameter(device):
    net = Net()
    net(tensor(4, 3)).sum().backward()
    used = [n for n, p in net.named_parameters() if p.grad is not None]
    assert used == [n for n in NAMES if n not in ("layers.2.1", "heads.b.deep.0")]
    for p in net.parameters():
        assert p.grad is None or p.grad.shape == p.shape
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_module_without_forward(device):
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines no forward"):
        Empty()(1)


def test_buffers(device):
    module = nn.Module()
    module.register_buffer("steps", ndl.zeros(2))
    module.register_buffer("cache", ndl.ones(1), persistent=False)
    module.register_buffer("none", None)
    assert [name for name, _ in module.named_buffers()] == ["steps", "cache"]
    assert list(module.state_dict()) == ["steps"]
    module.steps = module.steps + 1
    assert module.buffers()[0].numpy().tolist() == [1.0, 1.0]
    module.register_buffer("steps", ndl.zeros(1))
    outer = nn.Module()
    outer.inner = [module]
    assert [name for name, _ in outer.named_buffers()] == ["inner.0.steps", "inner.0.cache"]
    with pytest.raises(ValueError, match="'forward' is empty, has a dot or is taken"):
        module.register_buffer("forward", ndl.zeros(1))
    with pytest.raises(ValueError, match=r"'a\.b' is empty"):
        module.register_buffer("a.b", ndl.zeros(1))
    with pytest.raises(TypeError, match="buffer 'x' must be a Tensor that is not a Parameter, not Parameter"):
        module.register_buffer("x", nn.Parameter([1.0]))


def test_train_and_eval(device):
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.5)))
    assert net.training
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())


def test_repr():
    assert repr(nn.Linear(3, 4, bias=False)) == "Linear(in_features=3, out_features=4, bias=False)"
    assert repr(nn.GELU("tanh")) == "GELU(approximate='tanh')"
    assert repr(nn.Softplus()) == "Softplus(beta=1.0)"
    model = nn.Sequential(
        nn.Flatten(), nn.Residual(nn.Sequential(nn.LayerNorm1d(4), nn.Dropout(0.1))), nn.BatchNorm1d(4)
    )
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Flatten(start_dim=1, end_dim=-1)\n"
        "  (1): Residual(\n"
        "    (fn): Sequential(\n"
        "      (0): LayerNorm1d(4, eps=1e-05)\n"
        "      (1): Dropout(p=0.1)\n"
        "    )\n"
        "  )\n"
        "  (2): BatchNorm1d(4, eps=1e-05, momentum=0.1)\n"
        ")"
    )
    loop = nn.Residual(nn.Identity())
    loop.fn.parent = loop
    assert repr(loop) == "Residual(\n  (fn): Identity(\n    (parent): ...\n  )\n)"


# -- state ------------------------------------------------------------------------------------------


def test_state_round_trip(device):
    source, target = Net(), Net()
    state = source.state_dict()
    assert list(state) == NAMES
    assert not any(t.requires_grad for t in state.values())
    before = target.parameters()
    assert target.load_state_dict(state) == ([], [])
    assert all(a is b for a, b in zip(before, target.parameters(), strict=True))
    for a, b in zip(source.parameters(), target.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert b.requires_grad and b.is_leaf
    source.layers[0].weight.data[...] = 7.0
    assert not (target.layers[0].weight.numpy() == 7).any()  # copied, not shared
    numpy_state = {name: t.numpy() for name, t in state.items()}
    target.load_state_dict(numpy_state)
    assert (target.layers[0].weight.numpy() == 7).all()


def test_state_has_running_statistics_and_crosses_devices(device):
    source, target = nn.BatchNorm1d(3), nn.BatchNorm1d(3, device="numpy")
    source(tensor(5, 3))
    assert list(source.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    target.load_state_dict(source.state_dict())
    assert target.running_mean.device is ndl.device("numpy")
    np.testing.assert_array_equal(target.running_var.numpy(), source.running_var.numpy())


def test_load_names_everything_that_is_wrong_and_loads_nothing(device):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = [p.numpy() for p in model.parameters()]
    state = {name: t.numpy() + 1 for name, t in model.state_dict().items()}
    state["0.weight"] = np.zeros((3, 2), np.float32)
    state["1.weight"] = state["1.weight"].astype(np.float64)
    state["2.weight"] = state.pop("1.bias")
    state["0.bias"] = [1.0]
    with pytest.raises(ValueError, match="the state does not fit Sequential") as caught:
        model.load_state_dict(state)
    message = str(caught.value)
    for part in (
        "missing key '1.bias'",
        "unexpected key '2.weight'",
        "'0.weight' has shape (3, 2), the module's has (2, 3)",
        "'1.weight' has dtype float64, the module's has float32",
        "'0.bias' is a list, not a tensor or a NumPy array",
    ):
        assert part in message
    with pytest.raises(ValueError, match="has shape"):
        model.load_state_dict(state, strict=False)
    for value, p in zip(before, model.parameters(), strict=True):
        np.testing.assert_array_equal(value, p.numpy())


def test_load_what_fits(device):
    model = nn.Linear(2, 1)
    result = model.load_state_dict({"weight": np.ones((2, 1), np.float32), "extra": 1}, strict=False)
    assert result.missing_keys == ["bias"] and result.unexpected_keys == ["extra"]
    assert (model.weight.numpy() == 1).all()


def test_two_parameters_of_one_name(device):
    model = nn.Module()
    model.a = {"b": nn.Parameter([1.0])}
    model.__dict__["a.b"] = nn.Parameter([2.0])
    with pytest.raises(ValueError, match=r"have the name 'a\.b'"):
        model.state_dict()


def test_to_moves_in_place(device):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model(tensor(4, 2)).sum().backward()
    before = model.parameters()
    values = [p.numpy() for p in before]
    host = ndl.device("numpy")
    assert model.to("numpy") is model
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))
    for value, p in zip(values, model.parameters(), strict=True):
        assert p.device is host and p.grad.device is host and p.is_leaf
        np.testing.assert_array_equal(value, p.numpy())
    assert all(b.device is host for b in model.buffers())


# -- Sequential, Flatten, Identity, Residual --------------------------------------------------------


def test_sequential(device):
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    model = nn.Sequential(first, nn.ReLU()).append(second)
    assert len(model) == 3 and model[0] is first and model[-1] is second and list(model)[2] is second
    part = model[1:]
    assert isinstance(part, nn.Sequential) and len(part) == 2 and part[1] is second
    assert [n for n, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = tensor(4, 2)
    np.testing.assert_array_equal(model(x).numpy(), second(first(x).relu()).numpy())
    assert nn.Sequential()(x) is x
    with pytest.raises(TypeError, match="Sequential takes modules; argument 1 is a function"):
        nn.Sequential(first, lambda t: t)


def test_flatten_identity_residual(device):
    x = tensor(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0)(x).shape == (24,)
    assert nn.Identity()(x) is x
    np.testing.assert_allclose(nn.Residual(nn.Tanh())(x).numpy(), np.tanh(wide(x)) + wide(x), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r"Residual: the module turns shape \(2, 3, 4\) into \(2, 12\)"):
        nn.Residual(nn.Flatten())(x)
