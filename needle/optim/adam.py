"""`Adam` and `AdamW`: steps scaled by running moments of the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, sqrt
from typing import Any

from needle.array import NDArray
from needle.ops.arithmetic import maximum
from needle.optim.optimizer import Optimizer, Params, check_betas, check_flags, check_range, shrunk, with_l2

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1).

        g = grad + weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        w = w - lr * (m / (1 - beta1 ** t)) / (sqrt(v / (1 - beta2 ** t)) + eps)

    m and v are 0 before the first step, t counts the steps from 1 for each parameter. Arguments and defaults
    are PyTorch's; the course's keywords beta1 and beta2 are taken as well.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        betas: the decay rates of m and v, each in [0, 1).
        eps: keeps the division finite.
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        amsgrad: whether the largest v so far takes the place of v in the last line (Reddi et al. 2018, "On the
            Convergence of Adam and Beyond").
        maximize: whether to go up the gradient instead of down.
        beta1: instead of the first of `betas`.
        beta2: instead of the second of `betas`.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _optional_state = ("max_exp_avg_sq",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        beta1: float | None = None,
        beta2: float | None = None,
    ) -> None:
        first, second = check_betas(betas)
        options = {
            "lr": lr,
            "beta1": first if beta1 is None else beta1,
            "beta2": second if beta2 is None else beta2,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, options)

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), beta1=(0, 1), beta2=(0, 1), eps=(0, inf), weight_decay=(0, inf))
        check_flags(group, "amsgrad", "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, beta1, beta2, eps = (float(group[name]) for name in ("lr", "beta1", "beta2", "eps"))
        w, g = self._decay(w, g, group)
        m = beta1 * state[0] + (1 - beta1) * g
        v = beta2 * state[1] + (1 - beta2) * (g * g)
        of_state: Any = state
        largest = [maximum(of_state[2], v)] if group["amsgrad"] else []
        # The bias corrections depend on the step alone: they are scalars, which no kernel is compiled for.
        size = lr / (1 - beta1**step)
        root = sqrt(1 - beta2**step)
        return [w - size * m / ((largest or [v])[0].sqrt() * (1 / root) + eps), m, v, *largest]

    def _decay(self, w: NDArray, g: NDArray, group: Mapping[str, Any]) -> tuple[NDArray, NDArray]:
        """The weight and the gradient with weight decay in them."""
        return w, with_l2(w, g, group)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization").

    The decay shrinks the weight itself and does not pass through the moments:

        w = w - lr * weight_decay * w
        then Adam's step, with g = grad

    As in PyTorch the decay is scaled by `lr`. Arguments are those of `Adam`, but for the default of weight_decay.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        beta1: float | None = None,
        beta2: float | None = None,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, beta1=beta1, beta2=beta2)

    def _decay(self, w: NDArray, g: NDArray, group: Mapping[str, Any]) -> tuple[NDArray, NDArray]:
        return shrunk(w, group), g
