"""An optimiser's step as a captured function takes it anew in each replay."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from needle.array import NDArray
from needle.array.renewal import Compute, Renewal
from needle.backend.recordings import StaleError

if TYPE_CHECKING:
    from needle.optim.optimizer import Optimizer

#: What an optimiser remembers of one parameter: the number of steps, and arrays.
State = dict[str, Any]


def count_steps(states: Iterable[State], step: int) -> None:
    """Note that `step` steps have been taken, in those `states` that count them."""
    for state in states:
        if "step" in state:
            state["step"] = step


class CapturedStep(Renewal):
    """A step of parameters that are alike, as a captured step takes it anew in each replay."""

    def __init__(
        self,
        optimizer: Optimizer,
        group: Mapping[str, Any],
        names: tuple[str, ...],
        states: list[State],
        arrays: tuple[NDArray, ...],
    ) -> None:
        super().__init__(arrays)
        self._optimizer, self._group, self._names, self._states = optimizer, group, names, states

    def compute(self) -> Compute:
        """The step that comes next. Raises StaleError if an option has been changed for which other state is kept."""
        if self._optimizer._state_arrays(self._group) != self._names:
            raise StaleError("the options of an optimiser")
        return partial(self._optimizer._new_values, self._group, self._next())

    def key(self) -> Hashable:
        """The step and the options."""
        return self._next(), tuple([value for name, value in self._group.items() if name != "params"])

    def _next(self) -> int:
        step: int = self._states[0].get("step", 0)
        return step + 1

    def run(self) -> Sequence[Any]:
        """The numbers of the step that comes next, which counts as taken."""
        numbers = super().run()
        count_steps(self._states, self._next())
        return numbers

    def undo(self) -> None:
        """Count a step less."""
        count_steps(self._states, self._next() - 2)
