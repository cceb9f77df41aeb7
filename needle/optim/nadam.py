"""`NAdam`: Adam with Nesterov's look ahead."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf, sqrt
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_betas, check_flags, check_range, shrunk, with_l2

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """NAdam (Dozat 2016, "Incorporating Nesterov Momentum into Adam").

        g = grad + weight_decay * w                   decoupled: w = w - lr * weight_decay * w
        mu(t) = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2),   M(t) = mu(1) * ... * mu(t)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        s = sqrt(v / (1 - beta2 ** t)) + eps
        w = w - lr * ((1 - mu(t)) / (1 - M(t)) * g + mu(t + 1) / (1 - M(t + 1)) * m) / s

    m and v are 0 before the first step, t counts the steps from 1. Arguments and defaults are PyTorch's, but M(t)
    follows from the present beta1 and momentum_decay alone: changing them in mid-course gives other steps than there.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        betas: the decay rates of m and v, each in [0, 1).
        eps: keeps the division finite.
        weight_decay: the strength of the L2 penalty, or of the decay if that is decoupled.
        momentum_decay: how fast the momentum mu(t) approaches beta1.
        decoupled_weight_decay: whether the decay shrinks the weight itself, as in `AdamW`.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        beta1, beta2 = check_betas(betas)
        options = {
            "lr": lr,
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, options)

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), beta1=(0, 1), beta2=(0, 1), eps=(0, inf))
        check_range(group, weight_decay=(0, inf), momentum_decay=(0, inf))
        check_flags(group, "decoupled_weight_decay", "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, beta1, beta2, eps = (float(group[name]) for name in ("lr", "beta1", "beta2", "eps"))
        w, g = (shrunk(w, group), g) if group["decoupled_weight_decay"] else (w, with_l2(w, g, group))
        decay = float(group["momentum_decay"])
        ahead = _momentum(beta1, decay, step + 1)
        m = beta1 * state[0] + (1 - beta1) * g
        v = beta2 * state[1] + (1 - beta2) * (g * g)
        scale = v.sqrt() * (1 / sqrt(1 - beta2**step)) + eps
        of_gradient = lr * (1 - _momentum(beta1, decay, step)) / (1 - _product(beta1, decay, step))
        of_momentum = lr * ahead / (1 - _product(beta1, decay, step + 1))
        return [w - (of_gradient * g + of_momentum * m) / scale, m, v]


def _momentum(beta1: float, decay: float, step: int) -> float:
    """mu(step)."""
    return beta1 * (1 - 0.5 * 0.96 ** (step * decay))


@lru_cache(maxsize=64)
def _products(beta1: float, decay: float) -> list[float]:
    """M(0), M(1), ... as far as they have been asked for: the list grows."""
    return [1.0]


def _product(beta1: float, decay: float, step: int) -> float:
    """M(step)."""
    known = _products(beta1, decay)
    while len(known) <= step:
        known.append(known[-1] * _momentum(beta1, decay, len(known)))
    return known[step]
