"""What the losses of probabilities, regressions and margins refuse, and where they stay finite."""

from __future__ import annotations

import numpy as np
import pytest

import needle as ndl
from needle import nn

F = nn.functional


def t(x: object) -> ndl.Tensor:
    return ndl.Tensor(np.asarray(x, np.float32))


def test_logits_of_any_size(device):
    x = t([-1000.0, -50.0, 0.0, 50.0, 1000.0])
    loss = F.binary_cross_entropy_with_logits(x, [0.0, 1.0, 1.0, 0.0, 1.0], reduction="none")
    np.testing.assert_allclose(loss.numpy(), [0, 50, np.log(2), 50, 0], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, -1, -0.5, 1, 0], rtol=1e-6, atol=1e-30)


def test_certain_answers_that_are_wrong(device):
    p = t([0.0, 1.0])
    loss = F.binary_cross_entropy(p, [1.0, 0.0], reduction="none")
    assert loss.tolist() == [100, 100]
    loss.sum().backward()
    assert np.isfinite(p.grad.numpy()).all() and p.grad.numpy()[0] < 0 < p.grad.numpy()[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.huber_loss(t([1.0]), t([1.0, 2.0])), ValueError, r"input has shape \(1,\), target \(2,\)"),
        (lambda: F.huber_loss(t([1.0]), t([1.0]), delta=0), ValueError, "delta=0 must be positive"),
        (lambda: F.smooth_l1_loss(t([1.0]), t([1.0]), beta=-1), ValueError, "beta=-1 must be at least 0"),
        (lambda: F.binary_cross_entropy(ndl.arange(3), [0, 1, 1]), TypeError, "must have a floating dtype, not int64"),
        (lambda: F.binary_cross_entropy(t([0.5]), [1.0], [1.0, 2.0]), ValueError, "weight of shape"),
        (lambda: F.kl_div(t([0.5]), [1.0], reduction="batch"), ValueError, "reduction='batch' is not known"),
        (lambda: nn.BCELoss(reduction="batchmean"), ValueError, "reduction='batchmean' is not known"),
        (lambda: F.gaussian_nll_loss(t([[1.0, 2.0]]), [[1.0, 2.0]], [1.0, 1.0, 1.0]), ValueError, "var of shape"),
        (lambda: F.cosine_embedding_loss(t([[1.0]]), t([[1.0]]), [1, 1]), ValueError, r"expected \(N, D\) and \(N,\)"),
        (lambda: F.pairwise_distance(t([1.0]), t([1.0]), p=0), ValueError, "p=0 must be positive"),
        (lambda: F.margin_ranking_loss(t([1.0]), t([1.0, 2.0]), 1), ValueError, "they must be equal"),
        (lambda: F.soft_margin_loss([1.0], [1.0]), TypeError, "is not a tensor"),
    ],
)
def test_what_is_refused(device, call, error, message):
    with pytest.raises(error, match=message):
        call()
