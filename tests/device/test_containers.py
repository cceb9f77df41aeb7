"""Containers of modules and parameters, what modules offer beside their forward pass, and hooks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn

# -- containers -------------------------------------------------------------------------------------


def test_sequential_with_names(device):
    model = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 3), act=nn.ReLU(), out=nn.Linear(3, 1)))
    assert list(model.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
    assert model.hidden is model[0] and model[-1] is model.out and len(model) == 3
    assert model(ndl.ones((4, 2))).shape == (4, 1)
    assert list(model[:2].state_dict()) == ["hidden.weight", "hidden.bias"] and isinstance(model[:2], nn.Sequential)
    assert "(hidden): Linear" in repr(model)
    model.append(nn.Tanh())
    assert isinstance(model[3], nn.Tanh)
    model.act = nn.Sigmoid()
    assert isinstance(model[1], nn.Sigmoid) and len(model.modules()) == 5
    with pytest.raises(TypeError, match="Sequential takes modules; argument 'act' is a int"):
        model.act = 3
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute 'nothing'"):
        _ = model.nothing


def test_module_list(device):
    layers = nn.ModuleList([nn.Linear(2, 2, bias=False) for _ in range(2)])
    layers.append(nn.ReLU()).extend([nn.Tanh()])
    layers += [nn.Sigmoid()]
    layers.insert(1, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Linear", "Identity", "Linear", "ReLU", "Tanh", "Sigmoid"]
    assert list(layers.state_dict()) == ["0.weight", "2.weight"]
    assert isinstance(layers.pop(), nn.Sigmoid)
    layers[1] = nn.Linear(2, 2)
    del layers[3:]
    assert list(layers.state_dict()) == ["0.weight", "1.weight", "1.bias", "2.weight"]
    assert isinstance(layers[1:], nn.ModuleList) and len(layers[1:]) == 2
    with pytest.raises(IndexError, match="index 3 is out of range for 3 members"):
        layers[3]
    with pytest.raises(TypeError, match="ModuleList takes modules; argument 3 is a function"):
        layers.append(lambda x: x)
    with pytest.raises(NotImplementedError, match="ModuleList defines no forward"):
        layers(ndl.ones(2))


def test_module_dict(device):
    heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 3)})
    heads.update([("c", nn.ReLU())])
    assert list(heads) == ["a", "b", "c"] and "b" in heads and len(heads) == 3 and heads.get("z") is None
    assert heads.a is heads["a"] and dict(heads.items())["b"] is heads["b"]
    assert list(heads.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert isinstance(heads.pop("c"), nn.ReLU)
    del heads["b"]
    assert list(heads.keys()) == ["a"] and len(list(heads.values())) == 1
    with pytest.raises(TypeError, match="the keys of ModuleDict are strings; 1 is a int"):
        heads[1] = nn.ReLU()
    with pytest.raises(TypeError, match="ModuleDict takes modules; argument 'd' is a Tensor"):
        heads["d"] = ndl.ones(1)
    heads.clear()
    assert not len(heads)


def test_parameter_containers(device):
    row = nn.ParameterList([ndl.ones(2), nn.Parameter([3.0])])
    named = nn.ParameterDict({"w": ndl.zeros((2, 2))})
    assert all(isinstance(p, nn.Parameter) for p in [*row, *named.values()])
    outer = nn.Module()
    outer.row, outer.named = row, named
    assert list(outer.state_dict()) == ["row.0", "row.1", "named.w"]
    with pytest.raises(TypeError, match="ParameterList takes tensors; argument 2 is a list"):
        row.append([1.0])


# -- modules ----------------------------------------------------------------------------------------


def model_of() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def test_paths(device):
    model = model_of()
    assert model.get_submodule("1") is model[1] and model.get_submodule("") is model
    assert model.get_parameter("0.weight") is model[0].weight
    assert model.get_buffer("1.running_mean") is model[1].running_mean
    for get, what in (
        (model.get_submodule, "module"),
        (model.get_parameter, "parameter"),
        (model.get_buffer, "buffer"),
    ):
        with pytest.raises(AttributeError, match=rf"Sequential has no {what} '9\.x'"):
            get("9.x")


def test_registering_by_name(device):
    module = nn.Module()
    module.register_parameter("scale", nn.Parameter([2.0]))
    module.register_parameter("shift", None)
    module.add_module("inner", nn.ReLU())
    assert module.scale.item() == 2 and module.shift is None and isinstance(module.inner, nn.ReLU)
    with pytest.raises(TypeError, match="parameter 'x' must be a Parameter or None, not Tensor"):
        module.register_parameter("x", ndl.ones(1))
    with pytest.raises(TypeError, match="module 'x' must be a Module or None, not int"):
        module.add_module("x", 3)
    for name in ("", "a.b", "forward", "inner"):
        with pytest.raises(ValueError, match=f"parameter name '{name}' is empty, has a dot or is taken"):
            module.register_parameter(name, nn.Parameter([1.0]))


def test_apply_goes_through_the_inner_modules_first(device):
    seen = []
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert model.apply(lambda module: seen.append(type(module).__name__)) is model
    assert seen == ["Tanh", "Sequential", "ReLU", "Sequential"]


def test_freezing(device):
    model = model_of().requires_grad_(False)
    assert not any(p.requires_grad for p in model.parameters())
    assert all(p.requires_grad for p in model.requires_grad_().parameters())


def test_conversions(device):
    model = model_of()
    model.register_buffer("count", ndl.asarray(3))
    (model(ndl.ones((4, 2))) ** 2).sum().backward()
    parameters = model.parameters()
    if device.supports(ndl.float64):
        for convert in (
            lambda m: m.double(), lambda m: m.to("float64"), lambda m: m.to(ndl.float64), lambda m: m.to(float64_of()),
            lambda m: m.to(device, ndl.float64), lambda m: m.to(dtype="float64", device=device.name),
        ):  # fmt: skip
            assert convert(model) is model and model.parameters() == parameters
            assert {p.dtype for p in parameters} == {p.grad.dtype for p in parameters} == {ndl.float64}
            assert model[1].running_var.dtype == ndl.float64 and model.count.dtype == ndl.int64
            assert all(p.is_leaf and p.requires_grad for p in parameters)
            model.float()
    assert {p.dtype for p in parameters} == {ndl.float32}
    if device.supports(ndl.float16):
        assert model.half()[0].weight.dtype == ndl.float16
    for wrong, message in [
        (("int32",), "floating dtypes alone, not to int32"),
        ((3,), "3 is neither a device nor a dtype"),
        (("float32", "float64"), "a dtype is given twice"),
    ]:
        with pytest.raises(TypeError, match=message):
            model.to(*wrong)
    with pytest.raises(ndl.DeviceError, match="there is no device 'float65'"):
        model.to("float65")


def float64_of() -> ndl.Tensor:
    return ndl.zeros(1, dtype="float64")


# -- hooks ------------------------------------------------------------------------------------------


def test_hooks_see_and_change_what_passes(device):
    layer = nn.ReLU()
    seen: list[Any] = []
    before = layer.register_forward_pre_hook(lambda module, args: seen.append((module, args)))
    changing = layer.register_forward_pre_hook(lambda module, args: args[0] - 1)
    after = layer.register_forward_hook(lambda module, args, result: result * 10)
    first = layer.register_forward_hook(lambda module, args, result: result + 1, prepend=True)
    x = ndl.asarray([1.0, 3.0])
    assert layer(x).tolist() == [10, 30]
    assert seen[0][0] is layer and seen[0][1] == (x,)
    first.remove()
    assert layer(x).tolist() == [0, 20]
    for handle in (before, changing, after, first):
        handle.remove()
    assert layer(x).tolist() == [1, 3] and len(seen) == 2


def test_hooks_with_keyword_arguments(device):
    class Scale(nn.Module):
        def forward(self, x: ndl.Tensor, by: float = 1.0) -> ndl.Tensor:
            return x * by

    scale = Scale()
    before = scale.register_forward_pre_hook(lambda m, a, k: (a, {**k, "by": 3.0}), with_kwargs=True)
    after = scale.register_forward_hook(lambda m, a, k, result: result + k["by"], with_kwargs=True)
    with before, after:
        assert scale(ndl.asarray([1.0]), by=2.0).tolist() == [6]
    assert scale(ndl.asarray([1.0]), by=2.0).tolist() == [2]
    scale.register_forward_pre_hook(lambda m, a, k: a, with_kwargs=True)
    with pytest.raises(TypeError, match=r"must return None or \(args, kwargs\)"):
        scale(ndl.asarray([1.0]))
    with pytest.raises(TypeError, match="a hook must be a function, not int"):
        scale.register_forward_hook(3)


def test_hooks_see_gradients_flow(device):
    layer = nn.Linear(2, 1, bias=False)
    layer.register_forward_hook(lambda module, args, result: result * 2)
    layer(ndl.asarray([[1.0, 2.0]])).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[2], [4]])
