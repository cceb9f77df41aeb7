"""Gradients cut to size, beside PyTorch's functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from needle import nn


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("most", [0.5, 100.0])
def test_clip_grad_norm(parity, norm, most):
    rng = np.random.default_rng(3)
    pairs = [parity.pair(rng.standard_normal(shape)) for shape in ((3, 4), (5,), ())]
    for ours, theirs in pairs:
        (ours * ours * ours).sum().backward()
        (theirs * theirs * theirs).sum().backward()
    ours, theirs = zip(*pairs, strict=True)
    total = nn.utils.clip_grad_norm_(ours, most, norm)
    parity.close(total, torch.nn.utils.clip_grad_norm_(theirs, most, norm), "norm")
    for a, b in pairs:
        parity.close(a.grad, b.grad, "gradient")
    nn.utils.clip_grad_value_(ours, 0.02)
    torch.nn.utils.clip_grad_value_(theirs, 0.02)
    for a, b in pairs:
        parity.close(a.grad, b.grad, "gradient")
