"""`RAdam`: Adam that does not scale its first steps, whose variance is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, sqrt
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_betas, check_flags, check_range, shrunk, with_l2

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """RAdam (Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", algorithm 2).

        g = grad + weight_decay * w                   decoupled: w = w - lr * weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        n = 2 / (1 - beta2) - 1,   p = n - 2 * t * beta2 ** t / (1 - beta2 ** t)
        w = w - lr * m / (1 - beta1 ** t) * r / (sqrt(v) + eps) * sqrt(1 - beta2 ** t)     if p > 5
        w = w - lr * m / (1 - beta1 ** t)                                                  otherwise
        with r = sqrt((p - 4) * (p - 2) * n / ((n - 4) * (n - 2) * p))

    m and v are 0 before the first step, t counts the steps from 1. Arguments and defaults are PyTorch's.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        betas: the decay rates of m and v, each in [0, 1).
        eps: keeps the division finite.
        weight_decay: the strength of the L2 penalty, or of the decay if that is decoupled.
        decoupled_weight_decay: whether the decay shrinks the weight itself, as in `AdamW`.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        beta1, beta2 = check_betas(betas)
        options = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(
            params, {**options, "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        )  # fmt: skip

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), beta1=(0, 1), beta2=(0, 1), eps=(0, inf), weight_decay=(0, inf))
        check_flags(group, "decoupled_weight_decay", "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, beta1, beta2, eps = (float(group[name]) for name in ("lr", "beta1", "beta2", "eps"))
        w, g = (shrunk(w, group), g) if group["decoupled_weight_decay"] else (w, with_l2(w, g, group))
        m = beta1 * state[0] + (1 - beta1) * g
        v = beta2 * state[1] + (1 - beta2) * (g * g)
        size = lr / (1 - beta1**step)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / (1 - beta2**step)
        if length <= 5:
            return [w - size * m, m, v]
        above, below = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2) * length
        size *= sqrt(above / below) * sqrt(1 - beta2**step)
        return [w - size * m / (v.sqrt() + eps), m, v]
