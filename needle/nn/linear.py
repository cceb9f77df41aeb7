"""`Linear`, a fully connected layer, and `Identity`."""

from __future__ import annotations

from needle import init
from needle.checks import integer
from needle.dtypes import DTypeLike
from needle.nn import functional as F
from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.nn.torch_layout import ROW, TRANSPOSED
from needle.ops.creation import DeviceLike
from needle.tensor import Tensor

__all__ = ["Identity", "Linear"]


class Linear(Module):
    """x @ weight + bias over the last axis.

    Args:
        in_features: the size of the input's last axis, which may be 0; the axes before it are free.
        out_features: the size of the output's last axis.
        bias: whether there is a bias; without one, `bias` is None.
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        weight: of shape (in_features, out_features), as in the course; drawn by `init.kaiming_uniform`.
        bias: of shape (1, out_features), drawn by `init.kaiming_uniform(out_features, 1)` as in the course.

    Raises ValueError for an input whose last axis has another size.
    """

    torch_layouts = {"weight": TRANSPOSED, "bias": ROW}

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.in_features = integer("in_features", in_features, least=0)
        self.out_features = integer("out_features", out_features, least=0)
        self.weight = Parameter(_drawn(self.in_features, self.out_features, device, dtype))
        self.bias: Parameter | None = None
        if bias:
            drawn = _drawn(self.out_features, 1, device, dtype)
            self.bias = Parameter(drawn.reshape((1, self.out_features)))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _drawn(rows: int, columns: int, device: DeviceLike, dtype: DTypeLike) -> Tensor:
    """First values, of which there may be none."""
    if not rows or not columns:
        return init.zeros(rows, columns, device=device, dtype=dtype)
    return init.kaiming_uniform(rows, columns, device=device, dtype=dtype)


class Identity(Module):
    """Returns its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x
