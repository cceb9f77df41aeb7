"""`RMSprop`: steps divided by the root of a running mean square of the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_flags, check_range, with_l2

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013, "Generating Sequences With RNNs").

        g = grad + weight_decay * w
        v = alpha * v + (1 - alpha) * g ** 2
        a = alpha * a + (1 - alpha) * g                 if centered, and then v - a ** 2 in place of v below
        d = g / (sqrt(v) + eps)
        u = momentum * u + d                            if there is momentum, and then u in place of d below
        w = w - lr * d

    v, a and u are 0 before the first step. Arguments and defaults are PyTorch's.

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        alpha: the decay rate of v and a, in [0, 1].
        eps: keeps the division finite.
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        momentum: at least 0.
        centered: whether the mean square is taken about the running mean.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("square_avg", "grad_avg", "momentum_buffer")
    _optional_state = ("grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, options)

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), alpha=(0, inf), eps=(0, inf), weight_decay=(0, inf), momentum=(0, inf))
        if group["alpha"] > 1:
            raise ValueError(f"alpha={group['alpha']!r} must be from 0 to 1")
        check_flags(group, "centered", "maximize")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        centered = ("grad_avg",) if group["centered"] else ()
        return ("square_avg", *centered, *(("momentum_buffer",) if group["momentum"] else ()))

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, alpha, eps, momentum = (float(group[name]) for name in ("lr", "alpha", "eps", "momentum"))
        g = with_l2(w, g, group)
        v = alpha * state[0] + (1 - alpha) * (g * g)
        new, variance = [v], v
        if group["centered"]:
            mean = alpha * state[1] + (1 - alpha) * g
            new, variance = [v, mean], v - mean * mean
        direction = g / (variance.sqrt() + eps)
        if momentum:
            direction = momentum * state[-1] + direction
            new.append(direction)
        return [w - lr * direction, *new]
