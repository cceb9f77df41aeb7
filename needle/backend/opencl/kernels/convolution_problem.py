"""A convolution as its kernels see it: over three axes, whatever the number of the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from needle.backend.opencl.kernels import costs
from needle.dtypes import Shape

Triple = tuple[int, int, int]
Steps = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """y[n, k, o] = sum over c, t of w[k, c, t] * x[n, c, o * stride + t * dilation - padding], in groups.

    `channels` and `filters` are those of a group. Steps are the distances in memory along the axes of x (n, c, places),
    of w (k, c, taps) and of y (n, k, places).
    """

    batch: int
    groups: int
    channels: int
    filters: int
    places: Triple  # of x
    taps: Triple
    outputs: Triple  # the places of y
    stride: Triple
    padding: Triple
    dilation: Triple
    x_steps: Steps
    w_steps: Steps
    y_steps: Steps

    @classmethod
    def of(
        cls, operands: Mapping[str, tuple[Shape, Steps]], stride: Shape, padding: Shape, dilation: Shape, groups: int
    ) -> Convolution:
        """From the shapes and steps of x, w and y; axes of one place come before those that there are."""
        (x, x_steps), (w, w_steps), (y, y_steps) = (operands[name] for name in "xwy")
        return cls(
            x[0], groups, x[1] // groups, w[0] // groups, three(x[2:], 1), three(w[2:], 1), three(y[2:], 1),
            three(stride, 1), three(padding, 0), three(dilation, 1),
            (*x_steps[:2], *three(x_steps[2:], 0)), (*w_steps[:2], *three(w_steps[2:], 0)),
            (*y_steps[:2], *three(y_steps[2:], 0)),
        )  # fmt: skip

    @property
    def cost(self) -> int:
        """What its launch costs (`costs`)."""
        sums = self.batch * self.groups * self.filters * prod(self.outputs)
        return costs.of_products(sums * self.channels * prod(self.taps))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sum."""
        sizes = (self.batch, self.channels, self.filters, *self.places, *self.outputs, *self.taps)
        return 0 in sizes


def three(values: Shape, other: int) -> Triple:
    """Up to three values as three: `other` stands for those that are missing, the first."""
    first, second, third = ((other,) * 3 + tuple(values))[-3:]
    return first, second, third
