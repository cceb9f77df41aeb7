"""Elementwise work is recorded, runs fused, and gives what it would give one step at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl
from needle.array import evaluation, recording, writing
from needle.array.expression import MAX_AGE, MAX_SIZE
from needle.autograd import Op
from needle.backend.records import Elementwise
from needle.ops import registry


@contextmanager
def launches(device: ndl.Device, expected: int) -> Iterator[None]:
    before = device.launches
    yield
    assert device.launches - before == expected


def numbers(*shape: int, seed: int = 0) -> ndl.Tensor:
    return ndl.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# -- launch counts ----------------------------------------------------------------------------------


def test_an_elementwise_expression_is_one_launch(device: ndl.Device) -> None:
    x, m, s, b = numbers(37, 53), numbers(53, seed=1), numbers(53, seed=2), numbers(37, 1, seed=3)
    expected = np.maximum((x.numpy() - m.numpy()) * s.numpy() + b.numpy(), 0)
    with launches(device, 1):
        y = ((x - m) * s + b).relu().realize()
    np.testing.assert_array_equal(y.numpy(), expected)


def test_a_running_total_is_stored_as_it_goes(device: ndl.Device) -> None:
    """Else each number of steps between two readings is another kernel, and every step's loss is kept until then."""
    x, total = numbers(3, 5).realize(), ndl.zeros(())
    for step in range(4):
        loss = x.sum()
        with launches(device, min(step, 1)):
            total = total + loss
        for _ in range(MAX_AGE + 1):
            (x + 1).realize()
    np.testing.assert_allclose(total.item(), 4 * x.numpy().sum(dtype=np.float64), rtol=1e-5)


def test_a_mean_of_squares_is_one_fold(device: ndl.Device) -> None:
    x, y = numbers(8, 8), numbers(8, 8, seed=1)
    with launches(device, 1):
        loss = ((x - y) ** 2).mean().realize()
    np.testing.assert_allclose(loss.item(), ((x.numpy() - y.numpy()) ** 2).mean(), rtol=1e-5)


def test_a_long_mean_of_squares_is_at_most_two_launches(device: ndl.Device) -> None:
    x, y = numbers(1_000_000), numbers(1_000_000, seed=1)
    before = device.launches
    ((x - y) ** 2).mean().realize()
    assert device.launches - before <= 2


def test_nothing_is_launched_until_it_is_needed(device: ndl.Device) -> None:
    x = numbers(10, 10)
    with launches(device, 0):
        y = (x + 1).exp() * x.T
        constant = ndl.zeros((10, 10)) + 1
        total = y + constant
        (x * 3).sigmoid()  # nobody ever asks for it
        x.T[2:, ::-1].reshape(2, 4, 10)
    with launches(device, 1):
        total.realize()
    with launches(device, 0):
        total.realize()


def test_views_and_constants_launch_nothing(device: ndl.Device) -> None:
    x = numbers(4, 6)
    with launches(device, 0):
        for view in (x[1:], x[:, ::-1], x.T, x.reshape(2, 12), ndl.broadcast_to(x, (3, 4, 6)), ndl.flip(x)):
            view.realize()
        ndl.ones((4, 6)).T[1:].reshape(-1)


def test_a_value_read_by_two_reductions_is_stored_by_the_second(device: ndl.Device) -> None:
    x = numbers(8, 8)
    y = x * 2 + 1
    with launches(device, 1):
        y.sum().realize()
    with launches(device, 2):  # y itself, then the reduction
        y.max().realize()
    with launches(device, 1):
        y.min().realize()


@pytest.mark.parametrize("name", ["max", "min"])
def test_what_an_extremum_folds_is_stored_if_a_gradient_may_look_for_it(device: ndl.Device, name: str) -> None:
    fold, x = getattr(ndl, name), ndl.Tensor(numbers(8, 8), requires_grad=True)
    y = ndl.exp(x)
    with launches(device, 2):
        fold(y, axis=1).realize()
    with launches(device, 0):
        y.realize()
    with ndl.no_grad(), launches(device, 1):
        fold(ndl.exp(x), axis=1).realize()


def test_the_launches_of_a_products_gradient_find_the_same_zeros() -> None:
    """What is multiplied is computed once more at most, so that all of them read the same."""
    computed = []

    def noted(x: np.ndarray) -> np.ndarray:
        computed.append(x.shape)
        return x.copy()

    class Noted(Op):
        def compute(self, x: Any) -> Any:
            return recording.elementwise(Elementwise("noted", "x", noted, arity=1), (x,))

        def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
            return grad

    x = ndl.Tensor(numbers(8, 8).numpy(), requires_grad=True, device=ndl.device("numpy"))
    y = ndl.prod(Noted()(x), axis=1).realize()
    assert len(computed) == 1
    y.sum().backward()
    x.grad.realize()
    assert len(computed) == 2


def test_a_pending_operand_is_not_computed_again_for_every_row(device: ndl.Device) -> None:
    row, x = numbers(16), numbers(8, 16)
    with launches(device, 2):
        (row.exp() + x).realize()


def test_shared_steps_are_computed_once(device: ndl.Device) -> None:
    x = numbers(100)
    shared = x.exp()
    y = shared * shared + shared
    work = evaluation.linearize([y.cached_data])
    assert [node.record.name for node in work.expression.program.nodes] == ["exp", "multiply", "add"]
    assert len(work.inputs) == 1


def test_one_structure_is_one_program(device: ndl.Device) -> None:
    first = evaluation.linearize([(numbers(5) * 2 + 1).cached_data]).expression.program
    second = evaluation.linearize([(numbers(7, 3) * 3 + 4).cached_data]).expression.program
    assert first is second


# -- results do not depend on when ------------------------------------------------------------------

STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "fma": lambda a, b: a * b + a,
    "divide": lambda a, b: a / (b * b + 1),
    "exp": lambda a, b: (a * 0.01).exp(),
    "scale": lambda a, b: 0.1 * a - 0.7,
}


@given(names=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=3), size=st.sampled_from([5, 64]))
def test_results_do_not_depend_on_when_a_tree_is_realized(device: ndl.Device, names: list[str], size: int) -> None:
    x, y = numbers(size), numbers(size, seed=1)
    fused, stepwise = x, x
    for name in names:
        fused = STEPS[name](fused, y)
        stepwise = STEPS[name](stepwise, y).realize()
    np.testing.assert_array_equal(fused.numpy(), stepwise.numpy())


@pytest.mark.every_driver
def test_a_function_gives_the_same_beside_every_other(device: ndl.Device) -> None:
    """Intel's compiler takes a sine and a cosine of one kernel together, by a function that rounds otherwise."""
    functions = [d.function for d in registry.values() if d.record.arity == 1 and d.record.typing == "float"]
    host = np.random.default_rng(0).uniform(-0.9, 0.9, 4099).astype(np.float32)
    alone = {function: function(ndl.asarray(host)).numpy() for function in functions}
    parts = [functions[k : k + 7] for k in range(0, len(functions), 7)]
    for some in (a + b for a, b in itertools.combinations(parts, 2)):  # each pair of functions is in one of them
        x = ndl.asarray(np.tile(host, len(some)))
        number = ndl.asarray(np.repeat(np.arange(len(some)), host.size))
        together = ndl.zeros((), dtype="float32")
        with launches(device, 1):
            for k, function in enumerate(some):
                together = ndl.where(number == k, function(x), together)
            together.realize()
        np.testing.assert_array_equal(together.numpy(), np.concatenate([alone[function] for function in some]))


@pytest.mark.every_driver
@pytest.mark.parametrize("name", ["max", "min"])
def test_the_gradient_of_an_extremum_finds_the_element_that_was_taken(device: ndl.Device, name: str) -> None:
    """Also beside a cosine (of the sine's gradient), and where the result was stored by another launch."""
    x = ndl.Tensor(numbers(64, 33), requires_grad=True)
    taken = getattr(ndl, name)(ndl.acos(ndl.sin(x) * 0.9), axis=1).realize()
    taken.sum().backward()
    np.testing.assert_array_equal(np.count_nonzero(x.grad.numpy(), axis=1), 1)


@pytest.mark.every_driver
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_the_gradient_of_the_larger_of_two_finds_the_one_that_was_taken(device: ndl.Device, name: str) -> None:
    x, y = (ndl.Tensor(numbers(999, seed=seed), requires_grad=True) for seed in (1, 2))
    taken = getattr(ndl, name)(ndl.acos(ndl.sin(x) * 0.9), ndl.acos(ndl.sin(y) * 0.9)).realize()
    taken.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy() != 0, y.grad.numpy() == 0)


def test_a_product_and_a_sum_are_rounded_each(device: ndl.Device) -> None:
    x, y, z = numbers(1000), numbers(1000, seed=1), numbers(1000, seed=2)
    expected = x.numpy() * y.numpy() + z.numpy()
    np.testing.assert_array_equal((x * y + z).numpy(), expected)


def test_a_reduction_of_a_tree_is_that_of_its_values(device: ndl.Device) -> None:
    x = numbers(1000)
    pending, stored = x * 1.1 + 0.3, (x * 1.1 + 0.3).realize()
    assert pending.sum().item() == stored.sum().item()


# -- bounds -----------------------------------------------------------------------------------------


def test_a_long_chain_on_one_array(device: ndl.Device) -> None:
    x = numbers(100)
    expected, y = x.numpy(), x
    before = device.launches
    for _ in range(1000):
        y, expected = y * 1.01 - 0.01, expected * np.float32(1.01) - np.float32(0.01)
    np.testing.assert_array_equal(y.numpy(), expected)
    assert 10 < device.launches - before < 100


def test_trees_stay_bounded(device: ndl.Device) -> None:
    y = numbers(10)
    for _ in range(20):  # without a bound this would be a tree of a million leaves
        y = y + y * 0.5
        pending = y.cached_data._pending
        assert pending is None or pending.size <= MAX_SIZE
    np.testing.assert_allclose(y.numpy(), numbers(10).numpy() * 1.5**20, rtol=1e-5)


def test_many_operands(device: ndl.Device) -> None:
    parts = [ndl.full(6, i) + ndl.zeros(6) for i in range(200)]
    for part in parts:
        part.realize()
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.tolist() == [sum(range(200))] * 6


def test_many_pending_arrays_at_once(device: ndl.Device) -> None:
    x = numbers(6)
    results = [x + i for i in range(200)]
    evaluation.realize([r.cached_data for r in results])
    np.testing.assert_array_equal(results[199].numpy(), x.numpy() + np.float32(199))


# -- several outputs, and in place --------------------------------------------------------------------


def test_several_arrays_in_one_launch(device: ndl.Device) -> None:
    x = numbers(20)
    first = x * 2
    second = first + 1
    with launches(device, 1):
        evaluation.realize([second.cached_data, first.cached_data, first.cached_data])
    np.testing.assert_array_equal(first.numpy(), x.numpy() * 2)
    np.testing.assert_array_equal(second.numpy(), x.numpy() * 2 + 1)


def test_arrays_of_different_shapes_are_realized_together(device: ndl.Device) -> None:
    x, y = numbers(20) * 2, numbers(3, 4) * 2
    with launches(device, 2):
        evaluation.realize([x.cached_data, y.cached_data])


def test_assigning_several_targets_in_one_launch(device: ndl.Device) -> None:
    w, u, g = numbers(20), numbers(20, seed=1), numbers(20, seed=2)
    old_w, old_u = w.numpy(), u.numpy()
    reader = w * 1.0
    new_u = u * 0.5 + g
    new_w = w - 0.25 * new_u
    with launches(device, 2):  # the reader of the old values comes first
        writing.assign([w.cached_data, u.cached_data], [new_w.cached_data, new_u.cached_data])
    np.testing.assert_array_equal(u.numpy(), old_u * np.float32(0.5) + g.numpy())
    np.testing.assert_array_equal(w.numpy(), old_w - np.float32(0.25) * u.numpy())
    np.testing.assert_array_equal(reader.numpy(), old_w)


def test_assigning_exchanged_arrays(device: ndl.Device) -> None:
    a, b = numbers(20), numbers(20, seed=1)
    old_a, old_b = a.numpy(), b.numpy()
    new_a, new_b = b * 1.0, a * 1.0
    writing.assign([a.cached_data, b.cached_data], [new_a.cached_data, new_b.cached_data])
    np.testing.assert_array_equal(a.numpy(), old_b)
    np.testing.assert_array_equal(b.numpy(), old_a)


def test_an_update_keeps_its_memory(device: ndl.Device) -> None:
    w = numbers(20)
    storage = w.cached_data.storage
    w[...] = w * 0.5
    assert w.cached_data.storage is storage


def test_repeated_updates_stay_at_one_launch_each(device: ndl.Device) -> None:
    w = numbers(20)
    expected = w.numpy()
    with launches(device, 50):
        for _ in range(50):
            writing.assign([w.cached_data], [(w * 0.5).cached_data])
            expected = expected * np.float32(0.5)
    np.testing.assert_array_equal(w.numpy(), expected)
