"""`Dropout`: random zeros while training."""

from __future__ import annotations

from needle.checks import probability
from needle.nn import functional as F
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = ["Dropout"]


class Dropout(Module):
    """While training, sets elements to zero with probability `p` and divides the others by 1 - p.

    Srivastava et al. 2014, in the inverted form: out of training mode it returns its input, which launches
    nothing. Raises ValueError unless 0 <= p < 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability("p", p)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
