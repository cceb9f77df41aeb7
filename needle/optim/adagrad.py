"""`Adagrad`: steps divided by the root of the sum of all squared gradients."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_flags, check_range, with_l2

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization").

        g = grad + weight_decay * w
        s = s + g ** 2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    t counts the steps from 1. Arguments and defaults are PyTorch's.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        lr_decay: how fast the learning rate falls, at least 0.
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        initial_accumulator_value: s before the first step, at least 0.
        eps: keeps the division finite.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("step", "sum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, options)

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), lr_decay=(0, inf), weight_decay=(0, inf), eps=(0, inf))
        check_range(group, initial_accumulator_value=(0, inf))
        check_flags(group, "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _first_value(self, group: Mapping[str, Any], name: str) -> float:
        return float(group["initial_accumulator_value"])

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, lr_decay, eps = (float(group[name]) for name in ("lr", "lr_decay", "eps"))
        g = with_l2(w, g, group)
        total = state[0] + g * g
        return [w - lr / (1 + (step - 1) * lr_decay) * (g / (total.sqrt() + eps)), total]
