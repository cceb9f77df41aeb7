"""Layers: values against their formulas in NumPy's float64, gradients, launches, errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.nn import functional as F
from needle.ops.random import manual_seed

rng = np.random.default_rng(1)


def tensor(*shape: int) -> ndl.Tensor:
    return ndl.Tensor(rng.standard_normal(shape).astype(np.float32))


def wide(x: ndl.Tensor) -> np.ndarray:
    return x.numpy().astype(np.float64)


def launches(device: ndl.Device, work: Callable[[], object]) -> int:
    before = device.launches
    work()
    return device.launches - before


def realized(module: nn.Module) -> nn.Module:
    for t in (*module.parameters(), *module.buffers()):
        t.realize()
    return module


# -- Linear -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (2, 1, 5, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(device, shape, bias):
    layer, x = nn.Linear(3, 4, bias=bias), tensor(*shape)
    want = wide(x) @ wide(layer.weight)
    if bias:
        want = want + wide(layer.bias)[0]
    got = layer(x)
    assert got.shape == (*shape[:-1], 4)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-6)


def test_linear_parameters(device):
    manual_seed(0)
    layer = nn.Linear(300, 200)
    assert layer.weight.shape == (300, 200) and layer.bias.shape == (1, 200)
    assert np.abs(layer.weight.numpy()).max() <= np.sqrt(6 / 300)
    assert np.sqrt(6 / 300) < np.abs(layer.bias.numpy()).max() <= np.sqrt(6 / 200)
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.is_leaf
    assert nn.Linear(2, 2, device="numpy").bias.device is ndl.device("numpy")
    assert nn.Linear(2, 2, bias=False).bias is None


def test_linear_gradients(device):
    w, b, x = tensor(3, 4), tensor(1, 4), tensor(2, 5, 3)
    assert ndl.gradcheck(F.linear, [x, w, b])
    assert ndl.gradcheck(F.linear, [tensor(3), w, tensor(4)])


def test_linear_with_relu_is_two_launches(device):
    layer, x = realized(nn.Linear(16, 8)), tensor(4, 16).realize()
    assert launches(device, lambda: layer(x).relu().realize()) <= 2


def test_linear_errors(device):
    with pytest.raises(ValueError, match=r"must have 3 features on its last axis; its shape is \(2, 4\)"):
        nn.Linear(3, 2)(tensor(2, 4))
    with pytest.raises(ValueError, match=r"its shape is \(\)"):
        nn.Linear(3, 2)(ndl.Tensor(1.0))
    with pytest.raises(ValueError, match="in_features=-1 must be at least 0"):
        nn.Linear(-1, 2)
    with pytest.raises(TypeError, match=r"out_features=2\.0 must be an int"):
        nn.Linear(1, 2.0)
    with pytest.raises(ValueError, match=r"bias of shape \(3,\) does not fit 4 outputs"):
        F.linear(tensor(2, 3), tensor(3, 4), tensor(3))
    with pytest.raises(ValueError, match=r"weight of shape \(3,\) must be"):
        F.linear(tensor(2, 3), tensor(3))


# -- activations ------------------------------------------------------------------------------------


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = [
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    (nn.Tanh(), np.tanh),
    (nn.SiLU(), lambda x: x / (1 + np.exp(-x))),
    (nn.GELU("tanh"), _gelu),
    (nn.Softplus(), lambda x: np.log1p(np.exp(x))),
    (nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2),
]


@pytest.mark.parametrize(("module", "formula"), ACTIVATIONS)
def test_activation(device, module, formula):
    x = ndl.Tensor(np.linspace(-4, 4, 50, dtype=np.float32))
    np.testing.assert_allclose(module(x).numpy(), formula(wide(x)), rtol=1e-5, atol=1e-6)


def test_exact_gelu(device):
    x = ndl.Tensor([-1.0, 0.0, 1.0, 3.0])
    np.testing.assert_allclose(nn.GELU()(x).numpy(), [-0.15865525, 0, 0.84134475, 2.9959503], rtol=1e-6)


def test_softmax_functions(device):
    x = tensor(3, 4)
    np.testing.assert_array_equal(F.softmax(x, dim=0).numpy(), ndl.softmax(x, axis=0).numpy())
    np.testing.assert_array_equal(F.log_softmax(x).numpy(), ndl.log_softmax(x, axis=1).numpy())
    np.testing.assert_array_equal(F.logsumexp(x, 1, keepdim=True).numpy(), ndl.logsumexp(x, 1, True).numpy())


def test_activation_errors():
    with pytest.raises(ValueError, match="approximate='erf' is not known; expected one of 'none', 'tanh'"):
        nn.GELU("erf")
    with pytest.raises(ValueError, match="beta=0 must be positive"):
        nn.Softplus(0)


# -- Dropout ----------------------------------------------------------------------------------------


def test_dropout(device):
    manual_seed(2)
    x = ndl.Tensor(np.ones((200, 200), np.float32))
    y = nn.Dropout(0.3)(x)
    values = y.numpy()
    np.testing.assert_allclose(np.unique(values), [0, 1 / 0.7], rtol=1e-6)
    assert abs((values == 0).mean() - 0.3) < 0.012
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)  # the same mask


def test_dropout_out_of_training_launches_nothing(device):
    layer, x = nn.Dropout(0.5).eval(), tensor(4, 4).realize()
    assert launches(device, lambda: layer(x).realize()) == 0
    assert layer(x) is x and nn.Dropout(0)(x) is x
    assert launches(device, lambda: layer.train()(x).realize()) == 2  # the mask, the product


@pytest.mark.parametrize("p", [1.0, -0.1, float("nan"), 2])
def test_dropout_probability(p):
    with pytest.raises(ValueError, match="must be at least 0 and less than 1"):
        nn.Dropout(p)


# -- normalisation ----------------------------------------------------------------------------------


def standardized(x: np.ndarray, axes: tuple[int, ...], eps: float = 1e-5) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def randomized(module: nn.Module) -> nn.Module:
    for p in module.parameters():
        p.data = ndl.asarray(rng.standard_normal(p.shape).astype(np.float32))
    return module


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 3, 6)])
def test_layer_norm(device, shape):
    layer, x = randomized(nn.LayerNorm1d(6)), tensor(*shape)
    want = standardized(wide(x), (-1,)) * wide(layer.weight) + wide(layer.bias)
    got = layer(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-5)


def test_layer_norm_over_several_axes(device):
    x, w, b = tensor(2, 3, 4), tensor(3, 4), tensor(3, 4)
    want = standardized(wide(x), (1, 2), 1e-3) * wide(w) + wide(b)
    np.testing.assert_allclose(F.layer_norm(x, (3, 4), w, b, eps=1e-3).numpy(), want, rtol=1e-4, atol=1e-5)
    assert ndl.gradcheck(lambda x, w, b: F.layer_norm(x, (3, 4), w, b), [x, w, b])


def test_layer_norm_of_a_large_mean_keeps_its_digits(device):
    x = tensor(4, 64)
    shifted = ndl.Tensor(x.numpy() + np.float32(4096))
    want = standardized(wide(shifted), (1,))
    # The mean, near 4096, is itself a float32: a unit in its last place is 4.9e-4.
    np.testing.assert_allclose(F.layer_norm(shifted, 64).numpy(), want, rtol=1e-4, atol=8e-4)


def test_layer_norm_launches(device):
    layer, x = realized(nn.LayerNorm1d(32)), tensor(16, 32).realize()
    y = None

    def forward():
        nonlocal y
        y = layer(x).realize()

    def backward():
        y.backward(seed)
        for t in (x, *layer.parameters()):
            t.grad.realize()

    assert launches(device, forward) <= 4  # mean, variance, its root, the result
    seed = tensor(16, 32).realize()
    assert launches(device, backward) <= 6  # a sum for each parameter, two means, what they share, the result


def test_second_order_of_layer_norm(device):
    # The gradient's own gradient by finite differences: the scale must not count as a constant.
    def slope(x):
        return ndl.grad(lambda t: (F.layer_norm(t, 5) ** 3).sum())(x)

    tolerance = 1e-4 if device.supports(np.dtype("float64")) else 0.1  # finite differences in float32 say little
    assert ndl.gradcheck(slope, tensor(3, 5), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5)])
def test_batch_norm(device, shape):
    layer, axes = randomized(nn.BatchNorm1d(3)), (0, *range(2, len(shape)))
    per_channel = (3, *(1,) * (len(shape) - 2))
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(3):
        x = tensor(*shape)
        want = standardized(wide(x), axes) * wide(layer.weight).reshape(per_channel)
        want += wide(layer.bias).reshape(per_channel)
        np.testing.assert_allclose(layer(x).numpy(), want, rtol=1e-4, atol=1e-5)
        mean = 0.9 * mean + 0.1 * wide(x).mean(axes)
        var = 0.9 * var + 0.1 * wide(x).var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)
    x = tensor(*shape)
    shaped = [v.reshape(per_channel) for v in (mean, var, wide(layer.weight), wide(layer.bias))]
    want = (wide(x) - shaped[0]) / np.sqrt(shaped[1] + 1e-5) * shaped[2] + shaped[3]
    np.testing.assert_allclose(layer.eval()(x).numpy(), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)  # left alone


def test_batch_norm_gradients(device):
    x, w, b = tensor(4, 3), tensor(3), tensor(3)
    assert ndl.gradcheck(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [x, w, b])
    mean, var = ndl.asarray([0.1, 0.2, 0.3]), ndl.asarray([1.0, 2.0, 3.0])
    assert ndl.gradcheck(lambda x, w, b: F.batch_norm(x, mean, var, w, b), [x, w, b])


def test_running_statistics_grow_nothing(device):
    layer = nn.BatchNorm1d(4)
    buffers = layer.buffers()
    for _ in range(5):
        layer(tensor(6, 4))
    assert all(a is b for a, b in zip(buffers, layer.buffers(), strict=True))
    for buffer in layer.buffers():
        assert buffer.is_leaf and not buffer.requires_grad
        assert buffer.dtype == (np.int64 if buffer is layer.num_batches_tracked else np.float32)
        assert launches(device, buffer.realize) == 0  # already computed: nothing pending holds the batches


def test_batch_norm_launches(device):
    layer, x = realized(nn.BatchNorm1d(16)), tensor(32, 16).realize()
    # The mean, the variance, its root, the count of batches, both running statistics, the result.
    assert launches(device, lambda: layer(x).realize()) <= 6
    layer.eval()
    assert launches(device, lambda: layer(x).realize()) <= 2


def test_normalization_errors(device):
    with pytest.raises(ValueError, match="needs both running_mean and running_var, or neither"):
        nn.functional.batch_norm(tensor(2, 3), ndl.zeros(3), None, training=True)
    with pytest.raises(ValueError, match=r"BatchNorm1d expects inputs of shape \(N, 3\) or \(N, 3, L\); got \(2, 4\)"):
        nn.BatchNorm1d(3)(tensor(2, 4))
    with pytest.raises(ValueError, match=r"more than one value per channel to train; input is \(1, 3\)"):
        nn.BatchNorm1d(3)(tensor(1, 3))
    with pytest.raises(ValueError, match="needs running_mean and running_var"):
        F.batch_norm(tensor(2, 3), None, None)
    with pytest.raises(ValueError, match=r"weight has shape \(2,\); 3 channels need \(3,\)"):
        F.batch_norm(tensor(2, 3), None, None, tensor(2), training=True)
    with pytest.raises(ValueError, match=r"layer_norm over shape \(3,\): the last axes of input of shape \(2, 4\)"):
        nn.LayerNorm1d(3)(tensor(2, 4))
    with pytest.raises(ValueError, match=r"layer_norm over shape \(4,\): bias has shape \(3,\)"):
        F.layer_norm(tensor(2, 4), 4, None, tensor(3))
    with pytest.raises(ValueError, match="dim=-1 must be at least 1"):
        nn.BatchNorm1d(-1)


# -- all together -----------------------------------------------------------------------------------


def test_a_small_model_learns(device):
    manual_seed(0)
    random = np.random.default_rng(0)
    x = random.standard_normal((64, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(2, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
    inputs, loss_function, losses = ndl.asarray(x), nn.SoftmaxLoss(), []
    for _ in range(40):
        loss = loss_function(model(inputs), labels)
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data = p.data - 0.5 * p.grad.data
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    predicted = model.eval()(inputs).numpy().argmax(1)
    assert (predicted == labels).mean() > 0.9


def test_an_empty_batch_leaves_the_running_statistics(device):
    layer = nn.BatchNorm1d(2)
    assert layer(ndl.zeros((0, 2))).shape == (0, 2)
    assert layer.running_mean.tolist() == [0, 0] and layer.running_var.tolist() == [1, 1]
