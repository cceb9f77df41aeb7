"""Averages of a model's weights over its training, under PyTorch's names: exponential (EMA) and stochastic (SWA).

averaged = swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.999))
for x, y in loader:
    train_step(model, x, y)
    averaged.update_parameters(model)
evaluate(averaged)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from needle.array import evaluation
from needle.autograd import no_grad
from needle.checks import integer, one_of
from needle.optim.lr_scheduler.base import LRScheduler, each_group
from needle.optim.optimizer import Optimizer

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_swa_avg_fn", "update_bn"]

#: The new average, from the old one, the present value, and how often it was averaged before.
Average = Callable[[Any, Any, int], Any]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """decay * average + (1 - decay) * value. Raises ValueError unless 0 <= decay <= 1."""
    if not 0 <= decay <= 1:
        raise ValueError(f"decay={decay} must be from 0 to 1")
    return lambda average, value, count: average * decay + value * (1 - decay)


def get_swa_avg_fn() -> Average:
    """The mean of all values so far (Izmailov et al. 2018)."""
    return lambda average, value, count: average + (value - average) * (1 / (count + 1))


class AveragedModel:
    """A copy of a model whose parameters are averages of the model's; call it as the model.

    Args:
        model: a module. The average begins as its parameters at the first `update_parameters`.
        avg_fn: how a parameter is averaged, by default `get_swa_avg_fn()`.
        use_buffers: average floating buffers, too; else they are copied at each update.

    Attributes:
        module: the copy.
        n_averaged: how often it was updated.
    """

    def __init__(self, model: Any, avg_fn: Average | None = None, use_buffers: bool = False) -> None:
        if not hasattr(model, "named_parameters"):
            raise TypeError(f"AveragedModel takes a module, not a {type(model).__name__}")
        self.module = copy.deepcopy(model)
        self.module.zero_grad()
        self.n_averaged = 0
        self.use_buffers = use_buffers
        self._average = avg_fn or get_swa_avg_fn()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Any) -> None:
        """Take the model's present parameters into the average. Raises ValueError for another model's."""
        pairs = _paired("parameters", self.module.named_parameters(), model.named_parameters())
        buffers = _paired("buffers", self.module.named_buffers(), model.named_buffers())
        with no_grad():
            new = [self._next(mine, theirs) for mine, theirs in pairs]
            new += [self._next(m, t) if self._averages(m) else +t.detach() for m, t in buffers]
            evaluation.realize([value.cached_data for value in new])
        for (mine, _), value in zip([*pairs, *buffers], new, strict=True):
            mine.data = value
        self.n_averaged += 1

    def _averages(self, buffer: Any) -> bool:
        return self.use_buffers and buffer.dtype.kind == "f"

    def _next(self, mine: Any, theirs: Any) -> Any:
        value = theirs.detach()
        return +value if self.n_averaged == 0 else self._average(mine.detach(), value, self.n_averaged)

    def parameters(self) -> list[Any]:
        """The averages."""
        found: list[Any] = self.module.parameters()
        return found

    def train(self, mode: bool = True) -> AveragedModel:
        """Set the training mode of the copy."""
        self.module.train(mode)
        return self

    def eval(self) -> AveragedModel:
        """Leave training mode."""
        return self.train(False)

    def state_dict(self) -> dict[str, Any]:
        """The copy's state under "module", and how often it was updated, as `needle.save` takes it."""
        inner = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        return {**inner, "n_averaged": self.n_averaged}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`. Raises ValueError for that of another model."""
        if "n_averaged" not in state_dict:
            raise ValueError("the state does not fit AveragedModel: missing key 'n_averaged'")
        inner = {name: value for name, value in state_dict.items() if name != "n_averaged"}
        self.module.load_state_dict({name.removeprefix("module."): value for name, value in inner.items()})
        self.n_averaged = int(state_dict["n_averaged"])


def _paired(what: str, mine: Iterable[tuple[str, Any]], theirs: Iterable[tuple[str, Any]]) -> list[tuple[Any, Any]]:
    ours, others = dict(mine), dict(theirs)
    if {name: x.shape for name, x in ours.items()} != {name: x.shape for name, x in others.items()}:
        raise ValueError(f"the {what} of the model are not those of the one that is averaged")
    return [(value, others[name]) for name, value in ours.items()]


def update_bn(loader: Iterable[Any], model: Any) -> None:
    """Take the running statistics of batch normalisation anew, as means over the batches of `loader`.

    A batch is a tensor, or a tuple whose first element is one. The model's mode is as before afterwards.
    """
    layers = [module for module in getattr(model, "module", model).modules() if hasattr(module, "running_mean")]
    if not layers:
        return
    momenta, was_training = [layer.momentum for layer in layers], layers[0].training
    model.train()
    with no_grad():
        for number, batch in enumerate(loader):
            for layer in layers:
                layer.momentum = 1 / (number + 1)
            model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the initial rate to `swa_lr` over `anneal_epochs`, and then constant (Izmailov et al. 2018).

    Args:
        optimizer: as for every schedule.
        swa_lr: the last rate, or one for each parameter group.
        anneal_epochs: the epochs on the way; 0 for none.
        anneal_strategy: "cos" along a cosine, "linear" along a line.
        last_epoch: as for every schedule.
    """

    _absolute = True

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        one_of("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.anneal_epochs = integer("anneal_epochs", anneal_epochs, 0)
        self.anneal_strategy = anneal_strategy
        self.swa_lrs = each_group("swa_lr", swa_lr, optimizer)
        super().__init__(optimizer, last_epoch)

    def _set(self, rates: Any) -> None:
        share = min(1.0, self.last_epoch / self.anneal_epochs) if self.anneal_epochs else 1.0
        share = share if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * share)) / 2
        super()._set([
            base + (last - base) * share for base, last in zip(self.base_lrs, self.swa_lrs, strict=True)
        ])  # fmt: skip

    def _rate(self, epoch: int, base: float) -> float:
        return base
