"""`SGD`: stochastic gradient descent, with momentum if asked."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from needle.array import NDArray
from needle.optim.optimizer import Optimizer, Params, check_range

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent.

        g = grad + weight_decay * w
        u = momentum * u + g
        w = w - lr * u                      with nesterov: w - lr * (g + momentum * u)

    u is 0 before the first step and is not kept without momentum. This is PyTorch's form; the Nesterov variant
    is that of Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".

    Args:
        params: see `Optimizer`.
        lr: the learning rate.
        momentum: in [0, 1).
        weight_decay: the strength of the L2 penalty weight_decay / 2 * w ** 2.
        nesterov: whether to look ahead along the momentum, which then must be positive.

    Raises:
        ValueError: for an option out of its range.
    """

    _state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov})

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), momentum=(0, 1), weight_decay=(0, inf))
        if not isinstance(group["nesterov"], bool):
            raise ValueError(f"nesterov={group['nesterov']!r} must be True or False")
        if group["nesterov"] and group["momentum"] == 0:
            raise ValueError("nesterov=True needs a momentum above 0")

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        lr, momentum, weight_decay = (float(group[name]) for name in ("lr", "momentum", "weight_decay"))
        if weight_decay:
            g = g + weight_decay * w
        if not momentum:
            return [w - lr * g]
        u = momentum * state[0] + g
        return [w - lr * (g + momentum * u if group["nesterov"] else u), u]
