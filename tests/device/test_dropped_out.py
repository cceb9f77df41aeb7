"""Nothing drops out of a module without a word: parameters, modules and buffers that are replaced or have no name."""

from __future__ import annotations

from collections import UserDict, deque
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn


class Holder(nn.Module):
    """A module with one attribute, `held`."""

    def __init__(self, held: Any) -> None:
        self.held = held


@pytest.mark.parametrize("value", [ndl.Tensor(np.eye(2, dtype=np.float32)), np.eye(2), [[1.0]], 3.0])
def test_a_parameter_is_replaced_by_a_parameter_or_none(value: Any) -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight
    with pytest.raises(TypeError, match=r"'weight' is a parameter of Linear.*nn\.Parameter\(\.\.\.\)"):
        layer.weight = value
    assert layer.weight is before
    layer.weight = nn.Parameter(np.eye(2, dtype=np.float32))
    layer.bias = None
    assert layer.parameters() == [layer.weight] and list(layer.state_dict()) == ["weight"]


def test_a_module_is_replaced_by_a_module_or_none() -> None:
    outer = Holder(nn.ReLU())
    with pytest.raises(TypeError, match=r"'held' is a module of Holder.*not by function"):
        outer.held = lambda x: x
    outer.held = nn.Tanh()
    outer.held = None
    assert outer.children() == []


@pytest.mark.parametrize("value", [np.zeros(3, np.float32), [0.0, 0.0, 0.0], 0.0])
def test_a_buffer_is_replaced_by_a_tensor_or_none(value: Any) -> None:
    layer = nn.BatchNorm1d(3)
    with pytest.raises(TypeError, match=r"the buffer 'running_mean' of BatchNorm1d must be a Tensor or None.*asarray"):
        layer.running_mean = value
    layer.running_mean = ndl.ones(3)
    assert layer.state_dict()["running_mean"].numpy().tolist() == [1, 1, 1]


def test_a_buffer_that_becomes_a_parameter_is_trained_and_saved_once() -> None:
    layer = nn.BatchNorm1d(3)
    layer.running_mean = nn.Parameter(np.zeros(3, np.float32))
    assert "running_mean" in dict(layer.named_parameters()) and "running_mean" not in dict(layer.named_buffers())
    assert list(layer.state_dict()).count("running_mean") == 1


@pytest.mark.parametrize(
    "container", [list, tuple, deque, lambda items: UserDict(a=items[0]), lambda items: {"a": items}]
)
def test_containers_that_keep_an_order_are_searched(container: Any) -> None:
    assert len(Holder(container([nn.Linear(2, 2)])).parameters()) == 2


def in_an_array(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


@pytest.mark.parametrize("container", [set, frozenset, in_an_array])
@pytest.mark.parametrize("item", [nn.Linear(2, 2), nn.Parameter([1.0])], ids=["module", "parameter"])
def test_containers_without_names_are_refused(container: Any, item: Any) -> None:
    holder = Holder([container([item])])
    with pytest.raises(TypeError, match=r"'held\.0' holds a \w+ in a \w+, where it has no name"):
        holder.parameters()


def test_other_sets_and_arrays_may_be_attributes() -> None:
    assert Holder([{1, "a"}, frozenset(), np.zeros(3), np.array([None, "x"], dtype=object)]).parameters() == []
