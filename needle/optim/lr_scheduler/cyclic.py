"""Schedules that go up and down: `CyclicLR` and `OneCycleLR`, the momentum moving against the rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, floor, pi

from needle.checks import integer, one_of
from needle.optim.lr_scheduler.base import LRScheduler, each_group
from needle.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]


class _MovingMomentum(LRScheduler):
    """A schedule that also sets the groups' momentum: the option "momentum", or Adam's "beta1"."""

    _absolute = True

    def __init__(self, optimizer: Optimizer, cycle_momentum: bool, last_epoch: int) -> None:
        self.cycle_momentum = cycle_momentum
        self._momentum_option = ""
        if cycle_momentum and isinstance(optimizer, Optimizer):
            known = [name for name in ("momentum", "beta1") if name in optimizer.defaults]
            if not known:
                name = type(optimizer).__name__
                raise ValueError(f"cycle_momentum=True needs an optimizer with momentum or betas; {name} has none")
            self._momentum_option = known[0]
        super().__init__(optimizer, last_epoch)

    def _group_rate(self, group: int, epoch: int) -> float:
        """The learning rate of the group with that number."""
        raise NotImplementedError

    def _group_momentum(self, group: int, epoch: int) -> float:
        """The momentum of the group with that number."""
        raise NotImplementedError

    def _begin(self) -> None:
        for i, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self._group_rate(i, self.last_epoch)
            if self.cycle_momentum:
                group[self._momentum_option] = self._group_momentum(i, self.last_epoch)

    def step(self) -> None:
        self.last_epoch += 1
        self._begin()


class CyclicLR(_MovingMomentum):
    """Between `base_lr` and `max_lr` and back (Smith 2017, "Cyclical Learning Rates for Training Neural Networks").

    Args:
        optimizer: see `LRScheduler`.
        base_lr: the lowest rate, one for all groups or a list.
        max_lr: the highest rate of the first cycle, one for all groups or a list.
        step_size_up: steps from the lowest to the highest.
        step_size_down: steps back; by default as many.
        mode: "triangular"; "triangular2", whose height halves with each cycle; or "exp_range", whose height is
            multiplied by `gamma` at each step.
        gamma: see `mode`.
        scale_fn: a function that takes the place of `mode`: the factor of the height.
        scale_mode: whether `scale_fn` takes the number of the "cycle", from 1, or of the step ("iterations").
        cycle_momentum: whether the momentum goes from `max_momentum` to `base_momentum` meanwhile.
        base_momentum: the lowest momentum, one for all groups or a list.
        max_momentum: the highest momentum, one for all groups or a list.
        last_epoch: the step to go on from.

    Raises ValueError for another mode, or for an optimizer without momentum if `cycle_momentum`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[int], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        one_of("mode", mode, ("triangular", "triangular2", "exp_range"))
        one_of("scale_mode", scale_mode, ("cycle", "iterations"))
        up = integer("step_size_up", step_size_up)
        self._length = up + (up if step_size_down is None else integer("step_size_down", step_size_down))
        self._turn = up / self._length
        self._lowest = each_group("base_lr", base_lr, optimizer)
        self._highest = each_group("max_lr", max_lr, optimizer)
        self._lowest_momentum = each_group("base_momentum", base_momentum, optimizer)
        self._highest_momentum = each_group("max_momentum", max_momentum, optimizer)
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        super().__init__(optimizer, cycle_momentum, last_epoch)
        self.base_lrs = list(self._lowest)

    def _height(self, step: int) -> float:
        """How far the rate is above the lowest one, as a part of the way to the highest one of the first cycle."""
        cycle = floor(1 + step / self._length)
        place = 1 + step / self._length - cycle
        height = place / self._turn if place <= self._turn else (place - 1) / (self._turn - 1)
        return height * self._scale(cycle, step)

    def _scale(self, cycle: int, step: int) -> float:
        if self.scale_fn is not None:
            return float(self.scale_fn(cycle if self.scale_mode == "cycle" else step))
        if self.mode == "exp_range":
            return float(self.gamma**step)
        return 1.0 if self.mode == "triangular" else 1 / 2.0 ** (cycle - 1)

    def _group_rate(self, group: int, epoch: int) -> float:
        low, high = self._lowest[group], self._highest[group]
        return float(low + (high - low) * self._height(epoch))

    def _group_momentum(self, group: int, epoch: int) -> float:
        low, high = self._lowest_momentum[group], self._highest_momentum[group]
        return float(high - (high - low) * self._height(epoch))


class OneCycleLR(_MovingMomentum):
    """Up to `max_lr` and far down, once (Smith & Topin 2018, "Super-Convergence").

    The rate goes from max_lr / div_factor to max_lr in the first part of the steps, and then to
    max_lr / div_factor / final_div_factor; with `three_phase` it first comes down to where it began.

    Args:
        optimizer: see `LRScheduler`.
        max_lr: the highest rate, one for all groups or a list.
        total_steps: the steps of the cycle; without it epochs * steps_per_epoch.
        epochs: see `total_steps`.
        steps_per_epoch: see `total_steps`.
        pct_start: the part of the steps in which the rate rises, from 0 to 1.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether the momentum goes from `max_momentum` to `base_momentum` and back meanwhile.
        base_momentum: the lowest momentum, one for all groups or a list.
        max_momentum: the highest momentum, one for all groups or a list.
        div_factor: the highest rate over the first one.
        final_div_factor: the first rate over the last one.
        three_phase: see above.
        last_epoch: the step to go on from.

    Raises ValueError without a number of steps, for another strategy, for an optimizer without momentum if
    `cycle_momentum`, and for a step beyond the last.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("OneCycleLR needs total_steps, or both epochs and steps_per_epoch")
        if total_steps is None:
            total_steps = integer("epochs", epochs) * integer("steps_per_epoch", steps_per_epoch)
        self.total_steps = integer("total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start={pct_start!r} must be from 0 to 1")
        one_of("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.anneal_strategy = anneal_strategy
        highest = each_group("max_lr", max_lr, optimizer)
        first = [rate / div_factor for rate in highest]
        low, high = (
            each_group(name, value, optimizer)
            for name, value in (("base_momentum", base_momentum), ("max_momentum", max_momentum))
        )
        # What each phase ends with, and at which step.
        top, last = pct_start * self.total_steps - 1, self.total_steps - 1
        final = [rate / final_div_factor for rate in first]
        middle = [(2 * pct_start * self.total_steps - 2, first, high)] if three_phase else []
        self._phases = [(0.0, first, high), (top, highest, low), *middle, (last, final, high)]
        super().__init__(optimizer, cycle_momentum, last_epoch)
        self.base_lrs = first

    def _between(self, group: int, epoch: int, column: int) -> float:
        """The value of a phase's `column` at a step: between the phase's start and its end."""
        if epoch >= self.total_steps:
            raise ValueError(f"step {epoch} is beyond the {self.total_steps} steps of this OneCycleLR")
        number = 1
        while number + 1 < len(self._phases) and epoch > self._phases[number][0]:
            number += 1
        start, stop = self._phases[number - 1], self._phases[number]
        part = (epoch - start[0]) / (stop[0] - start[0]) if stop[0] != start[0] else 1.0
        before, after = start[column][group], stop[column][group]  # type: ignore[index]
        if self.anneal_strategy == "linear":
            return float(before + (after - before) * part)
        return float(after + (before - after) * (1 + cos(pi * part)) / 2)

    def _group_rate(self, group: int, epoch: int) -> float:
        return self._between(group, epoch, 1)

    def _group_momentum(self, group: int, epoch: int) -> float:
        return self._between(group, epoch, 2)
