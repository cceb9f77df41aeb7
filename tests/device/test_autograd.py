"""Reverse mode: values, what is recorded and freed, depth, and higher orders."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.autograd import topological_order

# -- values -----------------------------------------------------------------------------------------


def test_chain_rule(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0, 3.0])
    ((x * 2 + 1) ** 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 4 * (2 * x.numpy() + 1))


def test_a_value_used_twice_gets_both_gradients(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    (x * x + 3 * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.numpy() + 3)


def test_a_diamond(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, -2.0])
    middle = x * 3
    left, right = middle * middle, middle + 1
    (left * right).sum().backward()
    m = 3 * x.numpy()
    np.testing.assert_allclose(x.grad.numpy(), 3 * (2 * m * (m + 1) + m * m))


def test_doubling_thirty_times_is_linear_work(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0])
    y = x
    for _ in range(30):  # 2 ** 30 paths, 30 nodes
        y = y + y
    assert len(topological_order(y)) == 31
    y.backward()
    assert x.grad.item() == 2.0**30


def test_gradients_of_broadcast_operands_have_their_shapes(device: ndl.Device) -> None:
    x, row, column, single = (ndl.Tensor(np.ones(s, np.float32)) for s in ((3, 4), (4,), (3, 1), ()))
    (x * row + column * single).sum().backward()
    assert [t.grad.shape for t in (x, row, column, single)] == [(3, 4), (4,), (3, 1), ()]
    assert row.grad.tolist() == [3, 3, 3, 3]
    assert column.grad.tolist() == [[4], [4], [4]]
    assert single.grad.item() == 12


def test_gradients_are_cast_back(device: ndl.Device) -> None:
    if not device.supports(ndl.float64):
        pytest.skip("no float64")
    x, y = ndl.Tensor([1.0, 2.0]), ndl.Tensor(np.array([3.0, 4.0]))
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (ndl.float32, ndl.float64)
    assert x.grad.tolist() == [3, 4]
    z = ndl.Tensor([1.5])
    (z.astype("float64") * 2).sum().backward()
    assert z.grad.dtype == ndl.float32


def test_views_pass_gradients_on(device: ndl.Device) -> None:
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    weights = np.arange(4, dtype=np.float32)
    x = ndl.Tensor(host)
    (x[::-2, 1:].T.reshape(2, 3).flip(0)[0] * ndl.asarray(weights[:3])).sum().backward()
    expected = np.zeros_like(host)
    flat = np.zeros(6, np.float32)
    flat[3:] = weights[:3]
    expected[::-2, 1:] = flat.reshape(3, 2).T
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_out_grad(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    (x * 2).backward(ndl.asarray([10.0, 100.0]))
    assert x.grad.tolist() == [20, 200]


# -- what requires a gradient -----------------------------------------------------------------------


def test_only_what_requires_a_gradient_gets_one(device: ndl.Device) -> None:
    x, fixed, whole = ndl.Tensor([1.0]), ndl.asarray([2.0]), ndl.Tensor([3])
    y = x * fixed * whole
    assert y.requires_grad
    y.backward()
    assert x.grad.item() == 6
    assert fixed.grad is None
    assert whole.grad is None
    assert not (fixed * 2).requires_grad


def test_integer_results_carry_no_history(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 3.0])
    for result in (x > 2, ndl.argmax(x), x.astype("int32")):
        assert not result.requires_grad
        assert result.inputs == ()


def test_no_gradient_is_computed_that_nobody_asked_for(device: ndl.Device) -> None:
    asked: list[int] = []

    class Recording(ndl.Op):
        def compute(self, a: Any, b: Any) -> Any:
            return a * b

        def vjp(self, index: int, grad: Any, output: Any, a: Any, b: Any) -> Any:
            asked.append(index)
            return grad * (b, a)[index]

    Recording()(ndl.Tensor([2.0]), ndl.asarray([3.0])).backward()
    assert asked == [0]


def test_no_grad_and_enable_grad(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0])
    with ndl.no_grad():
        assert not ndl.is_grad_enabled()
        assert not (x * 2).requires_grad
        with ndl.enable_grad():
            assert (x * 2).requires_grad
        assert not ndl.is_grad_enabled()
    assert ndl.is_grad_enabled()

    @ndl.no_grad()
    def evaluate() -> ndl.Tensor:
        return x * 2

    assert not evaluate().requires_grad
    with pytest.raises(ValueError, match="inside"), ndl.no_grad():
        raise ValueError("inside")
    assert ndl.is_grad_enabled()


def test_no_grad_holds_for_its_thread_alone(device: ndl.Device) -> None:
    seen: list[bool] = []
    with ndl.no_grad():
        thread = threading.Thread(target=lambda: seen.append(ndl.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach_and_data_share_memory_and_record_nothing(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    for outside in (x.detach(), x.data):
        assert not outside.requires_grad
        assert not (outside * 2).requires_grad
    x.data[0] = 5
    assert x.tolist() == [5, 2]
    assert x.detach().cached_data.storage is x.cached_data.storage
    x.data = x.data - 1
    assert x.tolist() == [4, 1]
    assert x.is_leaf
    assert x.requires_grad


def test_requires_grad_can_be_set_on_leaves(device: ndl.Device) -> None:
    x = ndl.asarray([1.0]).requires_grad_()
    y = x * 2
    with pytest.raises(ValueError, match="use detach"):
        y.requires_grad_(False)
    with pytest.raises(TypeError, match="needs a floating dtype; this tensor has int64"):
        ndl.asarray([1]).requires_grad_()
    with pytest.raises(TypeError, match="needs a floating dtype; this tensor has int64"):
        ndl.Tensor([1], requires_grad=True)
    assert not x.requires_grad_(False).requires_grad


# -- accumulation and aliasing ----------------------------------------------------------------------


def test_gradients_accumulate(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    for count in (1, 2, 3):
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3 * count] * 2
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_gradients_of_two_leaves_are_not_one_memory(device: ndl.Device) -> None:
    x, y = ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0, 4.0])
    out_grad = ndl.asarray([5.0, 6.0])
    (x + y).backward(out_grad)
    x.grad[...] = 0
    assert y.grad.tolist() == [5, 6]
    assert out_grad.tolist() == [5, 6]


def test_accumulation_leaves_a_gradient_kept_earlier_as_it_was(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0])
    (x * 2).backward()
    kept = x.grad
    (x * 2).backward()
    assert kept.item() == 2
    assert x.grad.item() == 4


# -- freeing ----------------------------------------------------------------------------------------


def test_a_second_backward_needs_retain_graph(device: ndl.Device) -> None:
    x = ndl.Tensor([2.0])
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(ndl.GraphError, match=r"already freed by backward\(\).*retain_graph=True"):
        y.backward()
    assert x.grad.item() == 8


def test_backward_through_a_part_that_was_freed(device: ndl.Device) -> None:
    x = ndl.Tensor([2.0])
    shared = x * x
    (shared + 1).backward()
    with pytest.raises(ndl.GraphError, match="already freed"):
        (shared + x).backward()


def test_backward_without_a_graph(device: ndl.Device) -> None:
    with pytest.raises(ndl.GraphError, match="does not require a gradient"):
        ndl.asarray([1.0]).backward()
    with ndl.no_grad():
        y = ndl.Tensor([1.0]) * 2
    with pytest.raises(ndl.GraphError, match="does not require a gradient"):
        y.backward()


def test_backward_needs_an_out_grad_of_the_right_shape(device: ndl.Device) -> None:
    y = ndl.Tensor([1.0, 2.0]) * 2
    with pytest.raises(ValueError, match=r"shape \(2,\) needs out_grad"):
        y.backward()
    with pytest.raises(ValueError, match=r"out_grad has shape \(3,\); the tensor has \(2,\)"):
        y.backward(ndl.ones(3))


def test_the_graph_is_freed_after_backward(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    hidden = (x * 2).exp()
    array = weakref.ref(hidden.cached_data)
    node = weakref.ref(hidden)
    loss = (hidden * 3).sum()
    del hidden
    assert node() is not None
    loss.backward()
    gc.disable()  # by reference counting alone
    try:
        assert node() is None
        x.grad.realize()  # until then it is an expression of what it is computed from
        assert array() is None
    finally:
        gc.enable()
    assert loss.item() == pytest.approx(3 * np.exp([2.0, 4.0]).sum(), rel=1e-5)


def test_a_graph_dropped_without_backward_is_freed(device: ndl.Device) -> None:
    y = x = ndl.Tensor([1.0])
    for _ in range(100_000):
        y = -y
    node = weakref.ref(y)
    del y
    assert node() is None
    assert x.item() == 1


def test_depth_of_100_000(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    y = x
    for _ in range(50_000):
        y = (y + 1.0) * 1.0
    middle = weakref.ref(y)
    y = y.sum()
    y.backward()
    assert x.grad.tolist() == [1, 1]
    assert middle() is None


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: ndl.maximum(x, 0).sqrt(), -1.0), (lambda x: ndl.minimum(x, 0).sqrt(), 1.0),
        (lambda x: ndl.floor(x).log(), 0.3), (lambda x: ndl.ceil(x).log(), -0.3), (lambda x: ndl.trunc(x).log(), 0.3),
        (lambda x: ndl.round(x).log(), 0.3), (lambda x: ndl.sqrt(ndl.sign(x)), 0.0),
        (lambda x: (x**0 - 1).sqrt(), 3.0), (lambda x: (ndl.pow(x, ndl.zeros(1)) - 1).sqrt(), 3.0),
    ],
)  # fmt: skip
def test_what_does_not_depend_on_x_has_gradient_0(device: ndl.Device, function: Any, x: float) -> None:
    """Even where the gradient that comes from above is infinite, as PyTorch has it."""
    w = ndl.Tensor([x])
    function(w).sum().backward()
    assert w.grad.tolist() == [0]


def test_the_gradient_of_an_unused_infinity_is_0(device: ndl.Device) -> None:
    gradient = ndl.grad(lambda x, y: y.sum())(ndl.asarray([np.inf, 1.0]), ndl.ones(2))
    assert gradient.tolist() == [0, 0]


# -- higher orders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_share_no_memory(device: ndl.Device, create_graph: bool) -> None:
    a, b = ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0, 4.0])
    seed = ndl.ones((2,)).realize()
    (a + b).backward(seed, create_graph=create_graph)
    for grad in (a.grad, b.grad):
        grad.data[...] = grad.data * 2
    assert a.grad.tolist() == b.grad.tolist() == [2, 2] and seed.tolist() == [1, 1]


def test_create_graph(device: ndl.Device) -> None:
    x = ndl.Tensor([1.0, 2.0])
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    np.testing.assert_allclose(first.numpy(), 3 * x.numpy() ** 2, rtol=1e-6)
    x.grad = None
    first.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.numpy(), rtol=1e-6)


def test_three_orders_by_grad(device: ndl.Device) -> None:
    def f(x: ndl.Tensor) -> ndl.Tensor:
        return x**4

    x = ndl.asarray(1.5)
    first = ndl.grad(f)
    second = ndl.grad(first)
    third = ndl.grad(second)
    np.testing.assert_allclose(first(x).item(), 4 * 1.5**3, rtol=1e-6)
    np.testing.assert_allclose(second(x).item(), 12 * 1.5**2, rtol=1e-6)
    np.testing.assert_allclose(third(x).item(), 24 * 1.5, rtol=1e-6)
    np.testing.assert_allclose(ndl.grad(third)(x).item(), 24, rtol=1e-6)
    np.testing.assert_array_equal(ndl.grad(ndl.grad(third))(x).item(), 0)


def test_second_order_through_matmul_views_and_reductions(device: ndl.Device) -> None:
    if not device.supports(ndl.float64):
        pytest.skip("finite differences of gradients need float64")
    a = ndl.Tensor(np.random.default_rng(0).standard_normal((3, 4)))

    def gradient(a: ndl.Tensor) -> ndl.Tensor:
        return ndl.grad(lambda t: ((t @ t.T.tanh()) ** 2).mean() * t[::2, 1].sum())(a)

    assert ndl.gradcheck(gradient, a)


def test_grad_of_several_arguments(device: ndl.Device) -> None:
    def f(x: ndl.Tensor, y: ndl.Tensor, scale: float) -> ndl.Tensor:
        return (x * x * y).sum() * scale

    x, y = ndl.asarray([1.0, 2.0]), ndl.asarray([3.0, 4.0])
    by_x, by_y = ndl.grad(f, (0, 1))(x, y, 2.0)
    assert by_x.tolist() == [12, 32]
    assert by_y.tolist() == [2, 8]
    value, by_y = ndl.value_and_grad(f, 1)(x, y, 2.0)
    assert value.item() == 38
    assert by_y.tolist() == [2, 8]
    assert x.grad is None


def test_grad_of_what_does_not_matter_is_zero(device: ndl.Device) -> None:
    assert ndl.grad(lambda x, y: (x * 2).sum(), 1)(ndl.ones(2), ndl.ones(3)).tolist() == [0, 0, 0]


def test_grad_touches_no_grad_attribute_and_works_under_no_grad(device: ndl.Device) -> None:
    w = ndl.Tensor([3.0])
    with ndl.no_grad():
        found = ndl.grad(lambda x: (x * w).sum())(ndl.ones(1))
    assert found.item() == 3
    assert w.grad is None


def test_grad_refuses(device: ndl.Device) -> None:
    with pytest.raises(ValueError, match=r"one element; it returned shape \(2,\)"):
        ndl.grad(lambda x: x * 2)(ndl.ones(2))
    with pytest.raises(TypeError, match="argument 0 has dtype int64"):
        ndl.grad(lambda x: x.sum())(ndl.asarray([1, 2]))


def test_gradcheck_of_a_zero_dimensional_input(device: ndl.Device) -> None:
    assert ndl.gradcheck(lambda x: x * x, ndl.Tensor(np.float32(0.3)), seed=1)


def test_the_mixed_second_derivative_of_a_power_at_exponent_0(device: ndl.Device) -> None:
    """d/dy of y x^(y-1) at y = 0 is 1/x; it was lost where the gradient was cut to 0 (found by a random program)."""
    x, y = ndl.Tensor([2.0, 0.5]), ndl.Tensor([0.0, 0.0])
    ndl.pow(x, y).sum().backward(create_graph=True)
    slope, y.grad = x.grad, None
    slope.sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), [0.5, 2.0], rtol=1e-6)


def test_the_gradient_of_a_power_at_exponent_0_is_0_whatever_the_base_is(device: ndl.Device) -> None:
    x = ndl.Tensor(np.array([np.nan, np.inf, 0.0, -2.0, 1e-45], np.float32))
    ndl.pow(x, ndl.Tensor(np.zeros(5, np.float32))).sum().backward()
    assert x.grad.tolist() == [0.0] * 5
