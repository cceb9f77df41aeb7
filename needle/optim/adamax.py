"""`Adamax`: Adam with the largest recent gradient in place of the mean square."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from needle.array import NDArray
from needle.ops.arithmetic import maximum
from needle.optim.optimizer import Optimizer, Params, check_betas, check_flags, check_range, with_l2

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 2).

        g = grad + weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, |g| + eps)
        w = w - lr / (1 - beta1 ** t) * m / u

    m and u are 0 before the first step, t counts the steps from 1. Arguments and defaults are PyTorch's.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        betas: the decay rates of m and u, each in [0, 1).
        eps: keeps the division finite.
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("step", "exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        beta1, beta2 = check_betas(betas)
        options = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "maximize": maximize})

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), beta1=(0, 1), beta2=(0, 1), eps=(0, inf), weight_decay=(0, inf))
        check_flags(group, "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, beta1, beta2, eps = (float(group[name]) for name in ("lr", "beta1", "beta2", "eps"))
        g = with_l2(w, g, group)
        m = beta1 * state[0] + (1 - beta1) * g
        u = maximum(beta2 * state[1], abs(g) + eps)
        return [w - lr / (1 - beta1**step) * (m / u), m, u]
