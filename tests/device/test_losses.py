"""Losses against their formulas in NumPy's float64, their gradients, launches and errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl
from needle import nn
from needle.nn import functional as F

rng = np.random.default_rng(3)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    x = x.astype(np.float64)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def reference(
    z: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """Cross-entropy of labels by a loop over elements."""
    axis = 0 if z.ndim == 1 else 1
    logs = np.moveaxis(log_softmax(z, axis), axis, -1)
    count = logs.shape[-1]
    w = np.ones(count) if weight is None else weight.astype(np.float64)
    losses, weights = np.zeros(y.shape), np.zeros(y.shape)
    for place in np.ndindex(y.shape):
        label = y[place]
        if label == ignore_index:
            continue
        weights[place] = w[label]
        losses[place] = -(1 - label_smoothing) * w[label] * logs[place][label]
        if label_smoothing:
            losses[place] -= label_smoothing / count * (w * logs[place]).sum()
    if reduction == "none":
        return losses
    return losses.sum() / (weights.sum() if reduction == "mean" else 1.0)


def logits(*shape: int) -> ndl.Tensor:
    return ndl.Tensor(rng.standard_normal(shape).astype(np.float32) * 3)


def launches(device: ndl.Device, work: Callable[[], object]) -> int:
    before = device.launches
    work()
    return device.launches - before


# -- cross-entropy ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "reduction", "label_smoothing", "weighted"),
    [
        ((4, 5), "mean", 0.0, False),
        ((4, 5), "mean", 0.0, True),
        ((4, 5), "none", 0.2, False),
        ((5,), "none", 0.0, False),
        ((5,), "mean", 0.2, True),
        ((3, 5, 2), "mean", 0.2, True),
        ((3, 5, 2), "sum", 0.0, True),
        ((2, 4, 3, 2), "none", 0.2, True),
    ],
)
def test_cross_entropy_of_labels(device, reduction, label_smoothing, weighted, shape):
    z = logits(*shape)
    axis = min(1, len(shape) - 1)
    y = rng.integers(0, shape[axis], (*shape[:axis], *shape[axis + 1 :]))
    weight = rng.uniform(0.5, 2, shape[axis]).astype(np.float32) if weighted else None
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    want = reference(z.numpy(), y, weight, **options)
    got = F.cross_entropy(z, y, weight, **options)
    assert got.shape == want.shape and got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), want, rtol=2e-6, atol=1e-6)
    loss = nn.CrossEntropyLoss(None if weight is None else ndl.asarray(weight), **options)
    np.testing.assert_array_equal(loss(z, ndl.asarray(y)).numpy(), got.numpy())
    assert ndl.gradcheck(lambda t: F.cross_entropy(t, y, weight, **options), z)


@pytest.mark.parametrize("ignored", [-100, 0, 99])
@pytest.mark.parametrize(
    ("reduction", "label_smoothing", "weighted"), [("mean", 0.0, False), ("mean", 0.1, True), ("none", 0.1, False)]
)
@pytest.mark.parametrize("known", [False, True])
def test_ignored_labels(device, ignored, reduction, label_smoothing, weighted, known):
    z = logits(6, 5)
    y = np.array([ignored, 1, 2, ignored, 3, 1])
    weight = rng.uniform(0.5, 2, 5).astype(np.float32) if weighted else None
    options = {"ignore_index": ignored, "reduction": reduction, "label_smoothing": label_smoothing}
    labels = ndl.asarray(y) if known else ndl.asarray(y) + 0  # computed by the device: not known to the host
    got = F.cross_entropy(z, labels, weight, **options)
    np.testing.assert_allclose(got.numpy(), reference(z.numpy(), y, weight, **options), rtol=2e-6, atol=1e-6)
    got.sum().backward()
    assert not z.grad.numpy()[[0, 3]].any()


def test_all_ignored_is_the_mean_of_nothing(device):
    z = logits(2, 3)
    assert np.isnan(F.cross_entropy(z, [-100, -100]).item())
    assert F.cross_entropy(z, [-100, -100], reduction="sum").item() == 0
    assert np.isnan(F.cross_entropy(ndl.zeros((0, 3)), np.zeros(0, np.int64)).item())
    assert F.cross_entropy(ndl.zeros((0, 3)), np.zeros(0, np.int64), reduction="none").shape == (0,)


def test_ignored_rows_may_be_nan(device):
    z = ndl.Tensor([[np.nan, 1.0], [1.0, 1.0]])
    for smoothing in (0.0, 0.1):
        loss = F.cross_entropy(z, [-100, 1], label_smoothing=smoothing)
        np.testing.assert_allclose(loss.item(), np.log(2), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_label_dtypes(device, dtype):
    z = logits(3, 300)
    y = np.array([0, 100, 5], dtype)
    np.testing.assert_allclose(F.cross_entropy(z, ndl.asarray(y)).item(), reference(z.numpy(), y), rtol=2e-6)
    if dtype[0] != "u":
        y[1] = -100
        np.testing.assert_allclose(F.cross_entropy(z, ndl.asarray(y)).item(), reference(z.numpy(), y), rtol=2e-6)


@given(data=st.data())
def test_cross_entropy_property(device, data):
    rows, classes = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 300))
    scale = data.draw(st.sampled_from([1.0, 30.0, 1e4]))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    z = (random.standard_normal((rows, classes)) * scale).astype(np.float32)
    y = random.integers(0, classes, rows)
    x = ndl.Tensor(z)
    loss = nn.SoftmaxLoss()(x, y)
    np.testing.assert_allclose(loss.item(), reference(z, y), rtol=1e-5, atol=1e-6)
    loss.backward()
    want = (np.exp(log_softmax(z, 1)) - np.eye(classes)[y]) / rows
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-4, atol=1e-6)


def test_large_logits_lose_no_digits(device):
    z = ndl.Tensor([[1e4, 1e4 - 1, 0.0], [-1e4, -1e4 + 2, -2e4]])
    y = np.array([0, 1])
    np.testing.assert_allclose(F.cross_entropy(z, y).item(), reference(z.numpy(), y), rtol=1e-6)


def test_infinite_logits(device):
    z = ndl.Tensor([[0.0, -np.inf, 0.0], [1.0, -np.inf, -np.inf]])
    np.testing.assert_allclose(F.cross_entropy(z, [0, 0], reduction="none").numpy(), [np.log(2), 0.0], rtol=1e-6)
    assert F.cross_entropy(z, [1, 0]).item() == np.inf
    loss = F.cross_entropy(z, [0, 0])
    loss.backward()
    np.testing.assert_allclose(z.grad.numpy(), [[-0.25, 0, 0.25], [0, 0, 0]], atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "reduction", "weighted"),
    [((3, 4), "mean", False), ((4,), "none", False), ((4,), "mean", True), ((2, 4, 3), "sum", True)],
)
def test_cross_entropy_of_probabilities(device, reduction, weighted, shape):
    z = logits(*shape)
    axis = min(1, len(shape) - 1)
    p = rng.uniform(0.1, 1, shape).astype(np.float32)
    p /= p.sum(axis=axis, keepdims=True)
    weight = rng.uniform(0.5, 2, 4).astype(np.float32) if weighted else None
    smooth = p * 0.9 + 0.1 / 4
    w = np.ones(4) if weight is None else weight
    each = -(log_softmax(z.numpy(), axis) * smooth * w.reshape(4, *(1,) * max(len(shape) - 2, 0))).sum(axis)
    want = each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()
    options = {"reduction": reduction, "label_smoothing": 0.1}
    got = F.cross_entropy(z, ndl.asarray(p), weight, **options)
    np.testing.assert_allclose(got.numpy(), want, rtol=2e-6, atol=1e-6)
    assert ndl.gradcheck(lambda t, q: F.cross_entropy(t, q, weight, **options), [z, ndl.Tensor(p)])


def test_cross_entropy_launches(device):
    z, y = logits(64, 100).realize(), ndl.asarray(rng.integers(0, 100, 64))
    loss = None

    def forward():
        nonlocal loss
        loss = F.cross_entropy(z, y)
        loss.realize()

    def backward():
        loss.backward()
        z.grad.realize()

    assert launches(device, forward) <= 3  # log_softmax, and a sum over everything, which takes one or two
    assert launches(device, backward) <= 2


def test_second_order(device):
    z = logits(3, 4)
    y = np.array([0, 3, 1])
    norm = ndl.grad(lambda t: (ndl.grad(lambda s: F.cross_entropy(s, y))(t) ** 2).sum())(z).numpy()
    p = np.exp(log_softmax(z.numpy(), 1))
    g = (p - np.eye(4)[y]) / 3
    hessians = [(np.diag(row) - np.outer(row, row)) / 3 for row in p]
    np.testing.assert_allclose(norm, [2 * h @ row for h, row in zip(hessians, g, strict=True)], rtol=1e-4, atol=1e-6)


# -- wrong labels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [F.cross_entropy, F.nll_loss, nn.SoftmaxLoss(), nn.CrossEntropyLoss()])
@pytest.mark.parametrize("wrong", [10, -1, 77])
@pytest.mark.parametrize("convert", [ndl.asarray, np.asarray, list])
def test_label_out_of_range(device, function, wrong, convert):
    with pytest.raises(IndexError, match=f"10 classes: label {wrong} is out of range: it must be from 0 to 9"):
        function(logits(3, 10), convert([0, wrong, 3]))


def test_label_out_of_range_beside_ignored_ones(device):
    with pytest.raises(IndexError, match="label 5 is out of range"):
        F.cross_entropy(logits(2, 5), [-100, 5])
    with pytest.raises(IndexError, match="label -7 is out of range"):
        F.cross_entropy(logits(2, 5), [-1, -7], ignore_index=-1)


@pytest.mark.parametrize("hidden", [[0, 5], [0, -1], [-100, -1]])
def test_wrong_label_that_only_the_device_knows_makes_nan(device, hidden):
    z = logits(2, 5)
    loss = F.cross_entropy(z, ndl.asarray(hidden) + 0)
    assert np.isnan(loss.item())
    loss.backward()
    assert np.isnan(z.grad.numpy()[1]).all()


def test_wrong_label_between_known_bounds_makes_nan(device):
    assert np.isnan(F.cross_entropy(logits(3, 5), [-100, -1, 2], reduction="sum").item())


def test_bad_arguments(device):
    z = logits(3, 4)
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) do not fit input of shape \(3, 4\); expected \(3,\)"):
        F.cross_entropy(z, [0, 1])
    with pytest.raises(ValueError, match=r"class probabilities of shape \(3,\) do not fit logits of shape \(3, 4\)"):
        F.cross_entropy(z, [0.0, 1.0, 2.0])
    with pytest.raises(TypeError, match="labels must be integers; the dtype is bool"):
        F.cross_entropy(z, np.array([True, False, True]))
    with pytest.raises(TypeError, match="labels must be integers; the dtype is float32"):
        F.nll_loss(z, [0.0, 1.0, 2.0])
    with pytest.raises(TypeError, match="input must have a floating dtype, not int64"):
        F.cross_entropy(ndl.asarray([[1, 2]]), [0])
    with pytest.raises(ValueError, match="class axis"):
        F.cross_entropy(ndl.Tensor(1.0), 0)
    with pytest.raises(ValueError, match=r"weight has shape \(3,\); 4 classes need \(4,\)"):
        F.cross_entropy(z, [0, 1, 2], np.ones(3, np.float32))
    with pytest.raises(ValueError, match="reduction='avg' is not known; expected one of 'mean', 'sum', 'none'"):
        F.cross_entropy(z, [0, 1, 2], reduction="avg")
    for make in (nn.CrossEntropyLoss, nn.MSELoss):
        with pytest.raises(ValueError, match="reduction='avg'"):
            make(reduction="avg")
    for call in (nn.CrossEntropyLoss, lambda **kw: F.cross_entropy(z, [0, 1, 2], **kw)):
        with pytest.raises(ValueError, match=r"label_smoothing=1\.5 must be from 0 to 1"):
            call(label_smoothing=1.5)


# -- the others -------------------------------------------------------------------------------------


def test_nll_loss(device):
    z, y = logits(4, 5), np.array([0, 4, 2, -100])
    weight = np.arange(1, 6, dtype=np.float32)
    logs = ndl.log_softmax(z, axis=1)
    for w in (None, weight):
        np.testing.assert_allclose(F.nll_loss(logs, y, w).item(), F.cross_entropy(z, y, w).item(), rtol=1e-6)
    assert F.nll_loss(logs[0], 2).shape == ()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_elementwise_losses(device, name, reduction):
    x, y = logits(3, 4), logits(3, 4)
    each = x.numpy().astype(np.float64) - y.numpy()
    each = each**2 if name == "mse_loss" else np.abs(each)
    want = each if reduction == "none" else getattr(each, reduction)()
    function = getattr(F, name)
    np.testing.assert_allclose(function(x, y, reduction=reduction).numpy(), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(function(x, y.numpy(), reduction=reduction).numpy(), want, rtol=1e-6, atol=1e-6)
    assert ndl.gradcheck(lambda a, b: function(a, b, reduction=reduction), [x, y])
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(3, 4\), target \(3,\); they must be equal"):
        function(x, y[:, 0], reduction=reduction)


def test_mse_module_and_launches(device):
    x, y = logits(30, 40).realize(), logits(30, 40).realize()
    np.testing.assert_array_equal(nn.MSELoss()(x, y).numpy(), F.mse_loss(x, y).numpy())
    assert launches(device, lambda: F.mse_loss(x, y).realize()) <= 2
    assert repr(nn.MSELoss("sum")) == "MSELoss(reduction='sum')"
    assert repr(nn.CrossEntropyLoss(label_smoothing=0.1)) == "CrossEntropyLoss(reduction='mean', label_smoothing=0.1)"


def test_class_weights_move_with_the_loss_and_are_no_state(device):
    loss = nn.CrossEntropyLoss(ndl.ones(3))
    assert loss.state_dict() == {} and loss.parameters() == []
    assert loss.to("numpy").weight.device is ndl.device("numpy")


def test_class_weights_may_be_a_list(device: ndl.Device) -> None:
    scores, labels = ndl.asarray([[1.0, 2.0], [0.5, 0.0]]), [0, 1]
    expected = nn.functional.cross_entropy(scores, labels, [1.0, 3.0])
    assert nn.CrossEntropyLoss(weight=[1.0, 3.0])(scores, labels).item() == expected.item()
