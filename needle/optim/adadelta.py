"""`Adadelta`: steps as large as recent steps were, for gradients as large as recent gradients were."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_flags, check_range, with_l2

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method").

        g = grad + weight_decay * w
        v = rho * v + (1 - rho) * g ** 2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d ** 2
        w = w - lr * d

    v and u are 0 before the first step. Arguments and defaults are PyTorch's.

    Args:
        params: see `Optimizer`.
        lr: a factor on the step, at least 0.
        rho: the decay rate of v and u, in [0, 1).
        eps: keeps the division finite, and the first steps above 0.
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        options = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options)

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), rho=(0, 1), eps=(0, inf), weight_decay=(0, inf))
        check_flags(group, "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, rho, eps = (float(group[name]) for name in ("lr", "rho", "eps"))
        g = with_l2(w, g, group)
        v = rho * state[0] + (1 - rho) * (g * g)
        delta = (state[1] + eps).sqrt() / (v + eps).sqrt() * g
        return [w - lr * delta, v, rho * state[1] + (1 - rho) * (delta * delta)]
