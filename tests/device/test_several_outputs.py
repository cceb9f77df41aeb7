"""Operations with several outputs, and what an operation saves for its gradient."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.autograd import gradients
from needle.backend.records import PRIMITIVES, Primitive
from needle.nn.functional.standardize import standardize
from needle.ops.indexing.taking import ScatterAddAlongAxis

REFUSED = "written to in place since"


class ProductAndQuotient(ndl.Op):
    """a b and a / b, by a rule of its own for each input."""

    def compute(self, a: Any, b: Any) -> tuple[Any, Any]:
        return a * b, a / b

    def vjp(self, index: int, grad: tuple[Any, Any], output: tuple[Any, Any], a: Any, b: Any) -> Any:
        by_product, by_quotient = grad
        parts = []
        if by_product is not None:
            parts.append(by_product * (b if index == 0 else a))
        if by_quotient is not None:
            parts.append(by_quotient / b if index == 0 else -by_quotient * output[1] / b)
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


class OnTensors(ndl.Op):
    """The same as the course writes operations: arrays forwards, tensors backwards."""

    def compute(self, a: Any, b: Any) -> tuple[Any, Any]:
        return a * b, a / b

    def gradient(self, out_grad: tuple[Any, Any], node: Any) -> tuple[Any, Any]:
        (a, b), (_, quotient) = node.inputs, node.outputs
        zero = ndl.zeros_like(quotient)
        by_product, by_quotient = (zero if grad is None else grad for grad in out_grad)
        return by_product * b + by_quotient / b, by_product * a - by_quotient * quotient / b


USED: dict[str, Callable[[ndl.Tensor, ndl.Tensor], ndl.Tensor]] = {
    "both": lambda p, q: p * p + 3 * q,
    "first": lambda p, q: p * p,
    "second": lambda p, q: q * q,
}

operations = pytest.mark.parametrize("operation", [ProductAndQuotient(), OnTensors()], ids=["vjp", "gradient"])
used = pytest.mark.parametrize("use", USED.values(), ids=USED)


def operands() -> list[ndl.Tensor]:
    return [ndl.Tensor([1.5, -2.0, 0.5]), ndl.Tensor([2.0, 1.25, -1.5])]


@operations
@used
def test_gradients(device: ndl.Device, operation: ndl.Op, use: Any) -> None:
    def f(a: ndl.Tensor, b: ndl.Tensor) -> ndl.Tensor:
        return use(*operation(a, b))

    assert ndl.gradcheck(f, operands())


@operations
@used
def test_second_derivatives(device: ndl.Device, operation: ndl.Op, use: Any) -> None:
    def slope(a: ndl.Tensor, b: ndl.Tensor) -> ndl.Tensor:
        by_a, by_b = ndl.grad(lambda a, b: use(*operation(a, b)).sum(), (0, 1))(a, b)
        return by_a * by_a + by_b

    assert ndl.gradcheck(slope, operands(), eps=None if device.supports(ndl.float64) else 1e-3)


@operations
def test_a_broadcast_operand_gets_a_gradient_of_its_shape(device: ndl.Device, operation: ndl.Op) -> None:
    a, b = operands()[0], ndl.Tensor([2.0])
    p, q = operation(a, b)
    (p + q).sum().backward()
    np.testing.assert_allclose(b.grad.numpy(), [(a.numpy() - a.numpy() / 4).sum()], rtol=1e-5, atol=1e-6)


def test_outputs_that_nobody_uses(device: ndl.Device) -> None:
    a, b = operands()
    p, q = ProductAndQuotient()(a, b)
    assert p.requires_grad and q.requires_grad
    assert gradients((a * 2).sum(), [b, p, q], ndl.ones(()).cached_data) == [None, None, None]


def test_without_a_gradient_and_on_plain_arrays(device: ndl.Device) -> None:
    a, b = (t.detach() for t in operands())
    for outputs in (ProductAndQuotient()(a, b), ProductAndQuotient()(a.cached_data, b.cached_data)):
        assert isinstance(outputs, tuple)
        np.testing.assert_allclose(outputs[1].numpy(), a.numpy() / b.numpy(), rtol=1e-6)
    assert not ProductAndQuotient()(a, b)[0].requires_grad


def test_a_node_is_visited_once(device: ndl.Device) -> None:
    asked: list[int] = []

    class Recording(ProductAndQuotient):
        def vjp(self, index: int, *rest: Any) -> Any:
            asked.append(index)
            return super().vjp(index, *rest)

    a, b = operands()
    p, q = Recording()(a, b)
    late = (p.exp() + q) * p  # the gradient of q arrives long before the last one of p
    (late + q * 2).sum().backward()
    assert asked == [0, 1]
    host_a, host_b = a.numpy(), b.numpy()
    by_p = (np.exp(host_a * host_b) * (host_a * host_b + 1)) + host_a / host_b
    by_q = host_a * host_b + 2
    np.testing.assert_allclose(a.grad.numpy(), by_p * host_b + by_q / host_b, rtol=1e-5)


def test_every_output_gets_its_grad(device: ndl.Device) -> None:
    a, b = operands()
    p, q = ProductAndQuotient()(a, b)
    (p * 2 + q * 3).sum().backward()
    assert p.grad.tolist() == [2, 2, 2]
    assert q.grad.tolist() == [3, 3, 3]
    assert (p.op, p.inputs) == (q.op, q.inputs)


def test_retain_graph(device: ndl.Device) -> None:
    a, b = operands()
    p, q = ProductAndQuotient()(a, b)
    (p + q).sum().backward(retain_graph=True)
    once = a.grad.numpy()
    q.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), once + 1 / b.numpy(), rtol=1e-6)
    with pytest.raises(ndl.GraphError, match="already freed"):
        p.sum().backward()


@operations
def test_writing_into_one_output(device: ndl.Device, operation: ndl.Op) -> None:
    """The rules read the quotient, not the product."""
    a, b = operands()
    p, q = operation(a, b)
    p.realize()
    p.data[...] = 0
    (p + q).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.numpy() + 1 / b.numpy(), rtol=1e-6)
    p, q = operation(a, b)
    q.realize()
    q.data[...] = 0
    with pytest.raises(ndl.GraphError, match=REFUSED):
        (p + q).sum().backward()


def test_a_replaced_output_does_not_pass_for_the_one_computed(device: ndl.Device) -> None:
    a, b = operands()
    _, q = ProductAndQuotient()(a, b)
    expected = -a.numpy() / b.numpy() ** 2
    q.data = ndl.zeros((3,))
    q.sum().backward(retain_graph=True)
    np.testing.assert_allclose(b.grad.numpy(), expected, rtol=1e-6)
    with pytest.raises(ndl.GraphError, match=REFUSED):
        q.sum().backward(create_graph=True)


def test_the_graph_is_freed_by_counting_references(device: ndl.Device) -> None:
    a, b = operands()
    p, q = ProductAndQuotient()(a, b)
    held = [weakref.ref(q), weakref.ref(q.cached_data)]
    loss = p.sum()
    gc.disable()
    try:
        del q
        assert held[0]() is None  # the node keeps the array, for the rule, but not the value
        assert held[1]() is not None
        loss.backward()
        a.grad.realize()
        b.grad.realize()
        assert held[1]() is None
        p, q = ProductAndQuotient()(a, b)
        held = [weakref.ref(p), weakref.ref(q)]
        del p, q
        assert [reference() for reference in held] == [None, None]
    finally:
        gc.enable()


# -- outputs of several dtypes, and a primitive ---------------------------------------------------------


def _least_signature(x: Any, *, axis: int) -> tuple[Any, ...]:
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return ((shape, x.dtype), (shape, ndl.int64))


LEAST = Primitive(
    "least",
    lambda x, *, axis: (x.min(axis, keepdims=True), x.argmin(axis, keepdims=True)),
    _least_signature,
)
del PRIMITIVES[LEAST.name]  # other tests take what is listed there for needle's own


class Least(ndl.Op):
    """The least element along an axis, and where it is."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def compute(self, x: Any) -> tuple[Any, Any]:
        outputs: tuple[Any, Any] = x.run(LEAST, axis=self.axis)
        return outputs

    def vjp(self, index: int, grad: tuple[Any, Any], output: tuple[Any, Any], x: Any) -> Any:
        assert grad[1] is None
        return ScatterAddAlongAxis(self.axis, x.shape[self.axis])(output[1], grad[0])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("pending", [False, True])
def test_a_primitive_with_two_outputs(axis: int, pending: bool) -> None:
    host = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    x = ndl.Tensor(host, device="numpy")
    least, where = Least(axis)(x * 1.0 if pending else x)
    np.testing.assert_array_equal(least.numpy(), host.min(axis, keepdims=True))
    np.testing.assert_array_equal(where.numpy(), host.argmin(axis, keepdims=True))
    assert (least.dtype, where.dtype) == (ndl.float32, ndl.int64)
    assert least.requires_grad and not where.requires_grad and where.inputs == ()
    del where  # the rule reads it nevertheless
    (least * least).sum().backward()
    expected = np.zeros_like(host)
    np.put_along_axis(expected, host.argmin(axis, keepdims=True), 2 * host.min(axis, keepdims=True), axis)
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    assert ndl.gradcheck(lambda t: Least(axis)(t)[0] ** 2, x)
    slope = ndl.grad(lambda t: (Least(axis)(t)[0] ** 3).sum())
    assert ndl.gradcheck(lambda t: slope(t).sum(axis=axis), x)


def test_a_primitive_with_two_outputs_of_no_elements() -> None:
    least, where = Least(1)(ndl.Tensor(np.zeros((0, 3), np.float32), device="numpy"))
    assert least.shape == where.shape == (0, 1)


def test_outputs_of_two_dtypes(device: ndl.Device) -> None:
    class SignedRoot(ndl.Op):
        """sqrt(|x|), and whether x is positive."""

        def compute(self, x: Any) -> tuple[Any, Any]:
            return abs(x).sqrt(), x > 0

        def vjp(self, index: int, grad: tuple[Any, Any], output: tuple[Any, Any], x: Any) -> Any:
            root, positive = output
            return grad[0] * ndl.where(positive, 0.5, -0.5) / root

    x = ndl.Tensor([4.0, -1.0, 0.25])
    root, positive = SignedRoot()(x)
    assert positive.tolist() == [True, False, True]
    assert not positive.requires_grad
    root.sum().backward()
    assert x.grad.tolist() == [0.25, -0.5, 1.0]
    assert ndl.gradcheck(lambda t: SignedRoot()(t)[0], x)
    slope = ndl.grad(lambda t: SignedRoot()(t)[0].sum())
    np.testing.assert_allclose(ndl.grad(lambda t: slope(t).sum())(x).numpy(), [-1 / 32, -1 / 4, -2], rtol=1e-6)


# -- saved values ---------------------------------------------------------------------------------------


class Cube(ndl.Op):
    """x ** 3; the rule reads the square, which it saved."""

    saved = 1

    def compute(self, x: Any) -> tuple[Any, Any]:
        square = x * x
        return square * x, square

    def vjp(self, index: int, grad: tuple[Any, Any], output: tuple[Any, Any], x: Any) -> Any:
        by_cube, by_square = grad
        total = None if by_cube is None else by_cube * output[1] * 3
        if by_square is None:
            return total
        return by_square * 2 * x if total is None else total + by_square * 2 * x


def test_a_saved_value_is_for_the_gradient_alone(device: ndl.Device) -> None:
    x = ndl.Tensor([2.0, -1.0])
    y = Cube()(x)
    assert isinstance(y, ndl.Tensor)
    y.sum().backward()
    assert x.grad.tolist() == [12, 3]
    assert Cube()(x.detach()).tolist() == [8, -1]
    assert Cube()(x.cached_data).numpy().tolist() == [8, -1]


def test_saved_values_have_derivatives(device: ndl.Device) -> None:
    x = ndl.asarray([2.0, -1.0])
    first = ndl.grad(lambda t: Cube()(t).sum())
    second = ndl.grad(lambda t: first(t).sum())
    np.testing.assert_allclose(second(x).numpy(), 6 * x.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ndl.grad(lambda t: second(t).sum())(x).numpy(), [6, 6], rtol=1e-6)


def test_one_op_applied_twice_saves_for_each(device: ndl.Device) -> None:
    cube = Cube()
    x, y = ndl.Tensor([2.0]), ndl.Tensor([5.0])
    first, second = cube(x), cube(y)
    (first + second).sum().backward()
    assert (x.grad.item(), y.grad.item()) == (12, 75)


def test_one_op_in_two_threads(device: ndl.Device) -> None:
    cube = Cube()
    found: dict[int, float] = {}
    applied = threading.Barrier(4)

    def differentiate(value: int) -> None:
        x = ndl.Tensor([float(value)], device=device)
        y = cube(x)
        applied.wait()
        y.backward()
        found[value] = x.grad.item()

    threads = [threading.Thread(target=differentiate, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: 3 * n * n for n in range(1, 5)}


def test_a_saved_array_that_was_overwritten(device: ndl.Device) -> None:
    class SavesItsInput(ndl.Op):
        saved = 1

        def compute(self, x: Any) -> tuple[Any, Any]:
            return x * x, x

        def vjp(self, index: int, grad: tuple[Any, Any], output: tuple[Any, Any], x: Any) -> Any:
            return grad[0] * 2 * output[1]

    x = ndl.Tensor([3.0]).realize()
    y = SavesItsInput()(x).realize()
    x.data[...] = 1
    with pytest.raises(ndl.GraphError, match=f"the gradient of SavesItsInput .*{REFUSED}"):
        y.backward()


def test_saved_arrays_are_freed_with_the_node(device: ndl.Device) -> None:
    kept: list[weakref.ref[Any]] = []

    class Watched(Cube):
        def compute(self, x: Any) -> tuple[Any, Any]:
            y, square = super().compute(x)
            kept.append(weakref.ref(square.realize()))
            return y, square

    x = ndl.Tensor([2.0])
    y = Watched()(x).realize()
    assert kept[0]() is not None
    gc.disable()
    try:
        y.backward()
        x.grad.realize()
        assert kept[0]() is None
        y = Watched()(x).realize()
        del y
        assert kept[1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("output", [0, 1, 2])
def test_the_statistics_of_a_standardization_have_gradients(device: ndl.Device, output: int) -> None:
    x = ndl.Tensor(np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32))
    assert ndl.gradcheck(lambda t: standardize(t, (1,), 1e-3)[output], x)


@pytest.mark.parametrize("axes", [(0, 2), (2,)])
def test_gradients_of_both_orders_of_normalized_channels(device: ndl.Device, axes: tuple[int, ...]) -> None:
    """With respect to what is normalized, to the weights and to the biases, which share their sums."""
    random = np.random.default_rng(2)
    inputs = [ndl.Tensor(random.standard_normal(s).astype(np.float32)) for s in ((3, 2, 4), (2, 1), (2, 1))]

    def result(*inputs: ndl.Tensor) -> ndl.Tensor:
        x, weight, bias = inputs
        normal, mean, var = standardize(x, axes, 1e-2, weight, bias)
        return (normal * 0.5).tanh() + mean * var

    def slopes(*inputs: ndl.Tensor) -> ndl.Tensor:
        found = ndl.autograd.grad(result(*inputs).sum(), list(inputs), create_graph=True)
        return sum((t * t).sum() for t in found)

    assert ndl.gradcheck(result, inputs)
    assert ndl.gradcheck(slopes, inputs)
