"""Operations that a user defines, with `compute` on arrays and `gradient` on tensors."""

from __future__ import annotations

from typing import Any

import pytest

import needle as ndl


class ScaledProduct(ndl.TensorOp):
    """As the course writes operations: on arrays forwards, on tensors backwards."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def compute(self, a: Any, b: Any) -> Any:
        return a * b * self.scale

    def gradient(self, out_grad: ndl.Tensor, node: ndl.Tensor) -> tuple[ndl.Tensor, ndl.Tensor]:
        a, b = node.inputs
        assert node.realize_cached_data().shape == out_grad.shape
        return out_grad * b * self.scale, out_grad * a * self.scale


def test_a_user_defined_operation(device: ndl.Device) -> None:
    a, b = ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0])  # broadcast: the engine sums the gradient back
    y = ScaledProduct(2.0)(a, b)
    assert isinstance(y, ndl.Tensor)
    assert (repr(y.op), y.inputs) == ("ScaledProduct", (a, b))
    y.sum().backward()
    assert a.grad.tolist() == [6, 6]
    assert b.grad.tolist() == [6]
    assert ndl.gradcheck(ScaledProduct(0.5), [a, b])


def test_a_user_defined_operation_under_create_graph(device: ndl.Device) -> None:
    cube = ndl.grad(lambda x: ScaledProduct(1.0)(x, x * x).sum())
    assert ndl.grad(lambda x: cube(x).sum())(ndl.asarray([2.0])).item() == 12


def test_a_user_defined_operation_may_give_no_gradient(device: ndl.Device) -> None:
    class First(ndl.Op):
        def compute(self, a: Any, b: Any) -> Any:
            return a + 0 * b

        def gradient(self, out_grad: ndl.Tensor, node: ndl.Tensor) -> tuple[Any, Any]:
            return out_grad, None

    a, b = ndl.Tensor([1.0]), ndl.Tensor([2.0])
    First()(a, b).backward()
    assert a.grad.item() == 1
    assert b.grad is None


def test_a_user_defined_operation_with_too_few_gradients(device: ndl.Device) -> None:
    class Wrong(ScaledProduct):
        def gradient(self, out_grad: ndl.Tensor, node: ndl.Tensor) -> Any:
            return out_grad

    with pytest.raises(ndl.GraphError, match=r"Wrong\.gradient returned 1 gradients for 2 inputs"):
        Wrong(1.0)(ndl.Tensor([1.0]), ndl.Tensor([2.0])).backward()


def test_gradcheck_finds_a_wrong_gradient(device: ndl.Device) -> None:
    class Wrong(ScaledProduct):
        def gradient(self, out_grad: ndl.Tensor, node: ndl.Tensor) -> Any:
            by_a, by_b = super().gradient(out_grad, node)
            return by_a, by_b * 2

    inputs = [ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0, 4.0])]
    with pytest.raises(AssertionError, match=r"gradient of input 1: backward gives .*, finite differences"):
        ndl.gradcheck(Wrong(1.0), inputs)
