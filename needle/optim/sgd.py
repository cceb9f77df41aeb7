"""`SGD`: stochastic gradient descent, with momentum if asked."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_flags, check_range, with_l2

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

        g = grad + weight_decay * w
        u = momentum * u + (1 - dampening) * g      at the first step u = g
        w = w - lr * u                      with nesterov: w - lr * (g + momentum * u)

    u is not kept without momentum. This is PyTorch's form; the Nesterov variant
    is that of Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        momentum: in [0, 1).
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        nesterov: whether to look ahead along the momentum, which then must be positive, and `dampening` 0.
        dampening: by how much of it the gradient enters the momentum less.
        maximize: whether to go up the gradient instead of down.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("step", "momentum_buffer")
    _optional_state = ("step",)

    def __init__(
        self,
        params: Params,
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        dampening: float = 0.0,
        maximize: bool = False,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, {**options, "dampening": dampening, "maximize": maximize})

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), momentum=(0, 1), weight_decay=(0, inf), dampening=(0, inf))
        check_flags(group, "nesterov", "maximize")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("nesterov=True needs a momentum above 0 and a dampening of 0")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _counts_steps(self, group: Mapping[str, Any]) -> bool:
        return bool(group["dampening"])  # the first step is another

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, momentum, dampening = (float(group[name]) for name in ("lr", "momentum", "dampening"))
        g = with_l2(w, g, group)
        if not momentum:
            return [w - lr * g]
        first = bool(dampening) and step == 1
        u = momentum * state[0] + (1 if first else 1 - dampening) * g
        return [w - lr * (g + momentum * u if group["nesterov"] else u), u]
