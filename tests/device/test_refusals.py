"""Values and gradients that would be lost without a word: each is refused with an error that says what to do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn


def test_attributes_pass_the_checks_of_the_functions() -> None:
    integers = ndl.asarray([1, 2, 3])
    with pytest.raises(TypeError, match="needs a floating dtype; this tensor has int64"):
        integers.requires_grad = True
    integers.requires_grad = False
    assert not integers.requires_grad
    x = ndl.Tensor([1.0])
    with pytest.raises(ValueError, match="cannot stop requiring a gradient; use detach"):
        (x * 2).requires_grad = False
    x.requires_grad = False
    assert not (x * 2).requires_grad


@pytest.mark.parametrize(
    "part",
    [
        lambda b: b,
        lambda b: b[0],
        lambda b: b[..., 1],
        lambda b: b.T,
        lambda b: b.reshape(2, 1, 3),
        lambda b: b.flip(0),
        lambda b: b[1:, None],
        lambda b: b.permute(1, 0)[0],
    ],
)
@pytest.mark.parametrize("source", [lambda: ndl.asarray([[1.0, 2.0, 3.0]]), lambda: ndl.zeros((1, 3))])
def test_no_part_of_a_view_that_repeats_elements_is_written_into(
    device: ndl.Device, part: Callable[[Any], Any], source: Callable[[], ndl.Tensor]
) -> None:
    whole = source()
    before = whole.tolist()
    repeated = part(whole.broadcast_to((2, 3)))
    for index in (0, ..., slice(None)):
        with pytest.raises(ValueError, match="repeats elements cannot be written into"):
            repeated[index] = 9
    assert whole.tolist() == before
    copied = repeated + 0
    copied[...] = 9
    assert (copied == 9).all()
    whole[0] = 4
    assert whole.tolist() == [[4, 4, 4]]


def test_a_view_that_repeats_nothing_is_written_into(device: ndl.Device) -> None:
    x = ndl.zeros((2, 1))
    x.broadcast_to((2, 1))[0] = 1
    x.broadcast_to((1, 2, 1))[0, 1] = 2
    assert x.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    "lift", [lambda a: ndl.Tensor([a * 2, a * 3]), lambda a: ndl.asarray([[a, a * 3]]), np.linalg.norm, np.asarray]
)
def test_a_tensor_that_requires_a_gradient_is_not_taken_for_data(lift: Callable[[Any], Any]) -> None:
    x = ndl.Tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"requires a gradient.*ndl\.stack.*x\.detach\(\)"):
        lift(x)
    lift(x.detach())
    with ndl.no_grad():
        lift(x)


def test_a_copy_keeps_the_gradient_and_no_view() -> None:
    layer = nn.Linear(2, 2)
    layer(ndl.Tensor([[1.0, 2.0]])).sum().backward()
    copied = copy.deepcopy(layer)
    assert copied.weight.grad is not None and layer.weight.grad is not None
    assert copied.weight.grad.tolist() == layer.weight.grad.tolist()
    assert copied.weight.grad is not layer.weight.grad
    assert isinstance(copied.weight, nn.Parameter)

    x = ndl.asarray([[1.0, 2.0]])
    whole, row, again = copy.deepcopy([x, x[0], x])
    assert again is whole
    row[...] = 5
    assert whole.tolist() == x.tolist() == [[1, 2]]
    with pytest.raises(RuntimeError, match="only leaves can be pickled or deep-copied"):
        copy.deepcopy(ndl.Tensor([1.0]) * 2)


@pytest.mark.parametrize("other", [[1, 2, 3], (1, 2, 3)])
def test_a_comparison_with_a_sequence_is_refused_as_a_sum_is(other: Any) -> None:
    x = ndl.asarray([1, 2, 3])
    for compare in (lambda: x == other, lambda: x != other, lambda: other == x, lambda: x + other, lambda: x < other):
        with pytest.raises(TypeError, match="is not a tensor or a number"):
            compare()
    assert (x == None) is False  # noqa: E711
    assert x != "abc"


def test_membership_is_that_of_an_element(device: ndl.Device) -> None:
    x = ndl.Tensor([[2.5, 1.0]])
    assert 2.5 in x
    assert 3 not in x
    assert ndl.asarray([1.0]) in x
    assert 0 not in ndl.zeros((0, 3))
