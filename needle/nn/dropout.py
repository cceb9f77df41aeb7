"""`Dropout`: random zeros while training."""

from __future__ import annotations

from needle.checks import probability
from needle.nn import functional as F
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class Dropout(Module):
    """While training, sets elements to zero with probability `p` and divides the others by 1 - p.

    Srivastava et al. 2014, in the inverted form: out of training mode it returns its input, which launches
    nothing. `inplace` is taken as PyTorch takes it and changes nothing. Raises ValueError unless 0 <= p < 1.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p = probability("p", p)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout1d(Dropout):
    """Dropout of whole channels of (N, C, L); see `functional.dropout1d`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(x, self.p, self.training)


class Dropout2d(Dropout):
    """Dropout of whole channels of (N, C, H, W); see `functional.dropout2d`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout2d(x, self.p, self.training)


class Dropout3d(Dropout):
    """Dropout of whole channels of (N, C, D, H, W); see `functional.dropout3d`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout3d(x, self.p, self.training)


class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance; see `functional.alpha_dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.alpha_dropout(x, self.p, self.training)


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels; see `functional.feature_alpha_dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.feature_alpha_dropout(x, self.p, self.training)
