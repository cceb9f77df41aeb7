"""Convolution: gradients of both orders on every device, programs that serve all sizes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import needle as ndl
from needle.ops import convolution, convolution_transposed

#: x, weight, stride, padding, dilation, groups.
CASES = [
    ((2, 3, 7), (4, 3, 3), (2,), ((1, 1),), (1,), 1),
    ((2, 4, 5, 6), (6, 2, 3, 2), (1, 2), ((1, 2), (0, 1)), (2, 1), 2),
    ((1, 2, 3, 4, 3), (2, 1, 2, 3, 1), (1, 1, 1), ((0, 0), (1, 1), (2, 2)), (1, 1, 1), 2),
]


def sample(*shape: int) -> ndl.Tensor:
    return ndl.Tensor(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize(("x", "weight", "stride", "padding", "dilation", "groups"), CASES)
def test_gradients_of_both_orders(device: ndl.Device, x, weight, stride, padding, dilation, groups) -> None:
    """Each of the three primitives is a gradient of the others, so two orders run all of them."""

    def forward(x: ndl.Tensor, w: ndl.Tensor) -> ndl.Tensor:
        return convolution(x, w, stride, padding, dilation, groups)

    def first(x: ndl.Tensor, w: ndl.Tensor) -> ndl.Tensor:
        by_x, by_w = ndl.grad(lambda x, w: forward(x, w).tanh().sum(), (0, 1))(x, w)
        return ndl.concat([by_x.reshape((-1,)), by_w.reshape((-1,))])

    assert ndl.gradcheck(forward, [sample(*x), sample(*weight)])
    assert ndl.gradcheck(first, [sample(*x), sample(*weight)])


def test_a_transposed_convolution_is_the_gradient(device: ndl.Device) -> None:
    x, w = sample(2, 4, 5, 6), sample(4, 3, 3, 2)
    y = convolution_transposed(x, w, (2, 1), (1, 0), (1, 0), (1, 2))
    assert y.shape == (2, 3, 10, 8)
    (back,) = [ndl.grad(lambda t: (convolution(t, w, (2, 1), ((1, 1), (0, 0)), (1, 2)) * x).sum())(ndl.zeros_like(y))]
    np.testing.assert_allclose(y.numpy(), back.numpy(), rtol=1e-4, atol=1e-5)


def test_an_infinity_reaches_what_it_should(device: ndl.Device) -> None:
    """What lies outside is not multiplied with: an infinite weight does not make NaN of the zeros around x."""
    x, w = ndl.ones((1, 1, 4)), ndl.Tensor(np.array([[[np.inf, 1, 1]]], np.float32))
    inside = convolution(x, w, (1,), ((0, 0),), (1,)).numpy()
    assert np.isposinf(inside).all()


@pytest.mark.parametrize(
    ("x", "weight", "groups", "match"),
    [
        ((1, 3, 5), (4, 3, 3), 2, r"groups=2 must divide the 3 channels"),
        ((1, 4, 5), (4, 3, 3), 1, r"needs input of 3 channels; it has 4"),
        ((1, 3, 5), (4, 3, 9), 1, r"weight=\(4, 3, 9\) has a kernel that reaches over 9 places of axis 2"),
        ((1, 3, 5, 5), (4, 3, 3), 1, r"must have equally many axes"),
        ((1, 3), (4, 3), 1, r"one to three further axes"),
    ],
)
def test_what_does_not_fit_is_refused(x, weight, groups, match) -> None:
    axes = max(1, len(weight) - 2)
    with pytest.raises(ValueError, match=match):
        convolution(ndl.ones(x), ndl.ones(weight), (1,) * axes, ((0, 0),) * axes, (1,) * axes, groups)


def test_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="convolution: input must be a tensor of a floating dtype, not of int32"):
        convolution(ndl.ones((1, 1, 3), dtype="int32"), ndl.ones((1, 1, 1)), (1,), ((0, 0),), (1,))
