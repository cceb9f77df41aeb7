"""Softmax and its kin, and the losses: ordinary, extreme and masked logits, every option, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import needle as ndl
from needle.nn import functional as F

TF = torch.nn.functional
REDUCTIONS = ["mean", "sum", "none"]

WEIGHT = np.array([0.5, 2.0, 1.0, 0.25])

SOFTMAX = {
    "softmax": (ndl.softmax, torch.softmax),
    "log_softmax": (ndl.log_softmax, torch.log_softmax),
    "logsumexp": (ndl.logsumexp, torch.logsumexp),
}


def logits(shape=(5, 4), scale=3.0):
    return np.random.default_rng(21).standard_normal(shape) * scale


def labels(n=5, classes=4):
    return np.random.default_rng(22).integers(0, classes, n)


# -- softmax, log_softmax, logsumexp ------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", SOFTMAX)
def test_along_an_axis(parity, name, axis):
    ours, theirs = SOFTMAX[name]
    parity.same(lambda x: ours(x, axis), lambda x: theirs(x, axis), logits((3, 4, 5)))


@pytest.mark.parametrize("name", SOFTMAX)
def test_extreme_logits(parity, name):
    ours, theirs = SOFTMAX[name]
    x = np.array([[1e4, 0.0, -1e4], [1e4, 1e4, 9999.0], [-1e4, -1e4 + 1, -1e4], [1e30, -1e30, 0.0], [0.0, 0.0, 0.0]])
    # The gradient of logsumexp is exp(x - y), and y of 1e4 is rounded to 5e-4 in float32.
    rtol = 0 if parity.dtype == np.float64 else 1e-3
    parity.same(lambda t: ours(t, 1), lambda t: theirs(t, 1), x, rtol=rtol)


@pytest.mark.parametrize("name", SOFTMAX)
def test_masked_logits(parity, name):
    """-inf among finite logits: its probability and its gradient are 0."""
    ours, theirs = SOFTMAX[name]
    x = logits((4, 3))
    x[0, 1], x[1, :2], x[2, 0] = -np.inf, -np.inf, -1e4
    parity.same(lambda t: ours(t, 1), lambda t: theirs(t, 1), x)


@pytest.mark.parametrize("name", SOFTMAX)
def test_rows_without_a_finite_largest_logit(parity, name):
    """All -inf, one +inf, NaN: the values, and which of the gradients are NaN."""
    ours, theirs = SOFTMAX[name]
    x = logits((5, 3))
    x[0], x[1, 1], x[2, 2], x[3] = -np.inf, np.inf, np.nan, np.inf
    parity.same(lambda t: ours(t, 1), lambda t: theirs(t, 1), x)


def test_logsumexp_of_all_axes(parity):
    parity.same(lambda x: ndl.logsumexp(x), lambda x: torch.logsumexp(x, (0, 1, 2)), logits((2, 3, 4)))


def test_one_class(parity):
    parity.same(lambda x: ndl.log_softmax(x, 1), lambda x: torch.log_softmax(x, 1), logits((3, 1)))


# -- cross-entropy ----------------------------------------------------------------------------------


# Every pair of options meets; not every triple does, for the time that compiling the kernels takes.
OPTIONS = [
    ("mean", 0.0, None),
    ("mean", 0.1, WEIGHT),
    ("sum", 0.0, WEIGHT),
    ("sum", 0.1, None),
    ("none", 0.0, WEIGHT),
    ("none", 0.1, None),
]
each_option = pytest.mark.parametrize(
    ("reduction", "smoothing", "weight"),
    OPTIONS,
    ids=[f"{r}-{s}-{'plain' if w is None else 'weighted'}" for r, s, w in OPTIONS],
)


def check_cross_entropy(parity, x, target, *, weight=None, function="cross_entropy", **options):
    """The loss and its gradient by logits, for labels or probabilities."""
    if target.dtype.kind == "f":
        mine, other = parity.pair(target, requires_grad=False)
    else:
        mine, other = target, torch.tensor(target)
    weights = (None, None) if weight is None else parity.pair(weight, requires_grad=False)
    parity.same(
        lambda z: getattr(F, function)(z, mine, weights[0], **options),
        lambda z: getattr(TF, function)(z, other, weights[1], **options),
        x,
    )


@each_option
def test_labels(parity, reduction, smoothing, weight):
    check_cross_entropy(parity, logits(), labels(), weight=weight, reduction=reduction, label_smoothing=smoothing)


@each_option
def test_probabilities(parity, reduction, smoothing, weight):
    target = np.random.default_rng(23).dirichlet(np.ones(4), 5)
    check_cross_entropy(parity, logits(), target, weight=weight, reduction=reduction, label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("ignore_index", "smoothing", "weight"), [(-100, 0.0, None), (2, 0.0, WEIGHT), (-100, 0.2, WEIGHT), (2, 0.2, None)]
)
def test_ignored_labels(parity, ignore_index, smoothing, weight):
    target = np.array([0, ignore_index, 3, ignore_index, 1])
    check_cross_entropy(parity, logits(), target, weight=weight, ignore_index=ignore_index, label_smoothing=smoothing)


def test_every_label_ignored(parity):
    """The mean of nothing is NaN, the sum 0."""
    target = np.full(5, -100)
    for reduction in ("mean", "sum"):
        loss = F.cross_entropy(parity.ours(logits()), target, reduction=reduction)
        parity.close(loss, TF.cross_entropy(parity.theirs(logits()), torch.tensor(target), reduction=reduction))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_more_axes_after_the_classes(parity, reduction):
    target = np.random.default_rng(24).integers(0, 4, (2, 3, 2))
    target[0, 0, 0] = -100
    check_cross_entropy(parity, logits((2, 4, 3, 2)), target, weight=WEIGHT, reduction=reduction)


def test_a_single_element_without_a_batch(parity):
    check_cross_entropy(parity, logits((4,)), np.array(2), label_smoothing=0.1)
    check_cross_entropy(parity, logits((4,)), np.array([0.1, 0.2, 0.3, 0.4]))


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_label_dtypes(parity, dtype):
    target = labels()
    ours = F.cross_entropy(parity.ours(logits()), target.astype(dtype))
    parity.close(ours, TF.cross_entropy(parity.theirs(logits()), torch.tensor(target)))


def test_cross_entropy_of_extreme_logits(parity):
    x = np.array([[1e4, 0.0, -1e4, 5.0], [-1e4, 1e4, 1e4, 0.0], [0.0, -np.inf, 1.0, -np.inf], [1e4 + 1, 1e4, 0, 0]])
    for reduction in ("mean", "none"):
        check_cross_entropy(parity, x, np.array([0, 2, 2, 1]), reduction=reduction)


def test_cross_entropy_of_an_impossible_label(parity):
    """The label's logit is -inf: the loss is infinite, and the gradient still finite."""
    x = logits((2, 4))
    x[0, 1] = -np.inf
    check_cross_entropy(parity, x, np.array([1, 2]), reduction="none")


def test_cross_entropy_of_an_all_masked_row(parity):
    """NaN where the row counts, and in no other row."""
    x = logits((3, 4))
    x[1] = -np.inf
    check_cross_entropy(parity, x, np.array([1, 2, 3]), reduction="none")


@pytest.mark.parametrize(("reduction", "weight"), [("mean", WEIGHT), ("sum", None), ("none", WEIGHT)])
def test_nll_loss(parity, reduction, weight):
    target = np.array([0, -100, 3, 2, 1])
    check_cross_entropy(parity, logits(), target, weight=weight, function="nll_loss", reduction=reduction)


def test_modules(parity):
    x, target = logits(), labels()
    weight, their_weight = parity.pair(WEIGHT, requires_grad=False)
    for ours, theirs in (
        (ndl.nn.SoftmaxLoss(), torch.nn.CrossEntropyLoss()),
        (
            ndl.nn.CrossEntropyLoss(weight, ignore_index=1, reduction="sum", label_smoothing=0.1),
            torch.nn.CrossEntropyLoss(their_weight, ignore_index=1, reduction="sum", label_smoothing=0.1),
        ),
    ):
        parity.same(lambda z, f=ours: f(z, target), lambda z, f=theirs: f(z, torch.tensor(target)), x)


def test_second_order(parity):
    """The Hessian of the loss along a direction."""
    x, direction = logits(), logits((5, 4), 1.0)[::-1].copy()
    ours, theirs = parity.pair(x)
    d, e = parity.pair(direction, requires_grad=False)
    first = ndl.grad(lambda z: F.cross_entropy(z, labels()))(ours)
    (first * d).sum().backward()
    (wanted,) = torch.autograd.grad(TF.cross_entropy(theirs, torch.tensor(labels())), theirs, create_graph=True)
    (wanted * e).sum().backward()
    parity.close(first, wanted, "first order")
    parity.gradients_close([ours], [theirs])


# -- differences ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_losses_of_differences(parity, name, reduction):
    x, y = logits(), logits((5, 4), 1.0)[::-1].copy()
    y[0] = x[0]  # a difference of 0, where |x| has a kink
    parity.same(
        lambda a, b: getattr(F, name)(a, b, reduction=reduction),
        lambda a, b: getattr(TF, name)(a, b, reduction=reduction),
        x,
        y,
    )


def test_mse_module(parity):
    parity.same(ndl.nn.MSELoss("sum"), torch.nn.MSELoss(reduction="sum"), logits(), logits()[::-1].copy())
