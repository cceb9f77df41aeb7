"""Scaled dot-product attention beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import needle as ndl
from needle.nn import functional as F


def sample(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


SEEN = np.random.default_rng(9).random((3, 1, 37, 21)) < 0.6
SEEN[..., 0] = True


@pytest.mark.parametrize(
    "call", [{}, {"is_causal": True}, {"scale": 0.3}, {"enable_gqa": True}, {"attn_mask": SEEN}], ids=str
)
def test_attention(parity: Any, call: dict[str, Any]) -> None:
    heads = 2 if "enable_gqa" in call else 4
    hosts = sample(3, 4, 37, 16), sample(3, heads, 21, 16, seed=1), sample(3, heads, 21, 16, seed=2)
    mine, other = dict(call), dict(call)
    if "attn_mask" in call:
        mine["attn_mask"], other["attn_mask"] = ndl.asarray(SEEN), torch.tensor(SEEN)
    parity.same(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **mine),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, **other),
        *hosts,
    )


def test_an_added_mask_and_its_gradient(parity: Any) -> None:
    hosts = sample(3, 4, 37, 16), sample(3, 4, 21, 16, seed=1), sample(3, 4, 21, 16, seed=2), sample(4, 37, 21, seed=3)
    parity.same(F.scaled_dot_product_attention, torch.nn.functional.scaled_dot_product_attention, *hosts)
