"""Random zeros."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.checks import probability
from needle.ops import random
from needle.ops.base import takes_tensor
from needle.tensor import Tensor

__all__ = ["dropout"]


@takes_tensor
def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """While `training`, zero with probability `p`, else input / (1 - p); otherwise `input` itself.

    Srivastava et al. 2014, inverted. The mask comes from the default generator. Raises ValueError unless
    0 <= p < 1.
    """
    p = probability("p", p)
    if not training or p == 0:
        return input
    keep: Any = random.bernoulli(input.shape, 1 - p, device=input.device)
    return input * (ops.astype(keep, input.dtype) * (1 / (1 - p)))
