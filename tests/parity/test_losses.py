"""Every loss beside PyTorch's: values for each reduction, gradients of all operands, as function and as module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from needle import nn

RNG = np.random.default_rng(11)
A, B, C = (RNG.standard_normal((4, 6)) for _ in range(3))
P, Q = (1 / (1 + np.exp(-RNG.standard_normal((4, 6)))) for _ in range(2))
SIGNS = np.where(RNG.random((4, 6)) < 0.5, -1.0, 1.0)
CLASSES = (RNG.random((4, 6)) < 0.4).astype(float)
COUNTS = RNG.integers(0, 5, (4, 6)).astype(float)
WEIGHT = np.array([0.5, 1, 2, 0.1, 3, 1.5])
EDGES = np.array([[0.0, 1.0, 0.5, 1e-30, 1.0, 0.0]] * 4)

#: The module's name, the function's, the operands (those in brackets need no gradient), and options.
CASES: list[tuple[str, str, list[Any], dict[str, Any]]] = [
    ("L1Loss", "l1_loss", [A, B], {}),
    ("SmoothL1Loss", "smooth_l1_loss", [A, B], {"beta": 0.5}),
    ("SmoothL1Loss", "smooth_l1_loss", [A, B], {"beta": 0.0}),
    ("HuberLoss", "huber_loss", [A, B], {"delta": 0.7}),
    ("PoissonNLLLoss", "poisson_nll_loss", [A, [COUNTS]], {"full": True}),
    ("PoissonNLLLoss", "poisson_nll_loss", [P, [COUNTS]], {"log_input": False}),
    ("GaussianNLLLoss", "gaussian_nll_loss", [A, B, P], {"full": True}),
    ("GaussianNLLLoss", "gaussian_nll_loss", [A, B, P[:, 0] * 0.5], {"eps": 0.25}),
    ("BCELoss", "binary_cross_entropy", [P, Q], {}),
    ("BCELoss", "binary_cross_entropy", [P, [CLASSES]], {"weight": WEIGHT}),
    ("BCELoss", "binary_cross_entropy", [EDGES, [CLASSES]], {}),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", [A * 40, Q], {}),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", [A, [CLASSES]], {"weight": WEIGHT, "pos_weight": WEIGHT}),
    ("KLDivLoss", "kl_div", [A, [CLASSES * Q]], {}),
    ("KLDivLoss", "kl_div", [A, B], {"log_target": True}),
    ("MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss", [A, [CLASSES]], {"weight": WEIGHT}),
    ("MarginRankingLoss", "margin_ranking_loss", [A, B, [SIGNS]], {"margin": 0.3}),
    ("HingeEmbeddingLoss", "hinge_embedding_loss", [A, [SIGNS]], {"margin": 0.6}),
    ("SoftMarginLoss", "soft_margin_loss", [A * 30, [SIGNS]], {}),
    ("CosineEmbeddingLoss", "cosine_embedding_loss", [A, B, [SIGNS[:, 0]]], {"margin": 0.1}),
    ("TripletMarginLoss", "triplet_margin_loss", [A, B, C], {"swap": True}),
    ("TripletMarginLoss", "triplet_margin_loss", [A, B, C], {"p": 3.0, "margin": 0.5}),
    ("TripletMarginWithDistanceLoss", "triplet_margin_with_distance_loss", [A, B, C], {}),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(("module", "function", "operands", "options"), CASES, ids=[c[0] for c in CASES])
def test_losses(parity, module, function, operands, options, reduction) -> None:
    pairs = [parity.pair(o[0] if isinstance(o, list) else o, requires_grad=not isinstance(o, list)) for o in operands]
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    arrays = {name: parity.pair(v, requires_grad=False) for name, v in options.items() if isinstance(v, np.ndarray)}
    mine = {**options, **{name: pair[0] for name, pair in arrays.items()}, "reduction": reduction}
    yours = {**options, **{name: pair[1] for name, pair in arrays.items()}, "reduction": reduction}
    found = getattr(nn, module)(**mine)(*ours)
    expected = getattr(torch.nn, module)(**yours)(*theirs)
    parity.close(found, expected, "loss")
    parity.close(getattr(nn.functional, function)(*ours, **mine), expected, "loss of the function")
    found.sum().backward()
    expected.sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        if b.requires_grad:
            parity.close(a.grad, b.grad, "gradient", rtol=1e-8)


def test_batchmean(parity) -> None:
    (a, b), (q, r) = parity.pair(A), parity.pair(Q, requires_grad=False)
    parity.close(nn.KLDivLoss("batchmean")(a, q), torch.nn.KLDivLoss(reduction="batchmean")(b, r), "loss")


@pytest.mark.parametrize("p", [1.0, 2.0, float("inf")])
def test_distances(parity, p) -> None:
    (a, b), (c, d) = parity.pair(A), parity.pair(B)
    for keepdim in (False, True):
        parity.close(nn.PairwiseDistance(p, keepdim=keepdim)(a, c), torch.nn.PairwiseDistance(p, keepdim=keepdim)(b, d))
    parity.close(nn.CosineSimilarity(0)(a, c), torch.nn.CosineSimilarity(0)(b, d))


def test_nll(parity) -> None:
    (a, b), (w, v) = parity.pair(A), parity.pair(WEIGHT, requires_grad=False)
    labels = np.array([0, 5, 3, 2])
    found = nn.NLLLoss(w, ignore_index=3)(a, labels)
    parity.close(found, torch.nn.NLLLoss(v, ignore_index=3)(b, torch.as_tensor(labels)), "loss")
