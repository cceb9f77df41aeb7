"""The numbers of an in-place update, computed anew for each replay of a captured step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from needle.array.expression import linearize
from needle.array.ndarray import NDArray
from needle.backend import recordings
from needle.backend.protocol import Expression
from needle.backend.recordings import StaleError
from needle.backend.records import FusedProgram
from needle.errors import CaptureError

Compute = Callable[..., list[NDArray]]


class Renewal:
    """Numbers that an update takes from the host's state, such as a learning rate and a number of steps.

    Subclasses say how the update is computed at present, and what it depends on. The numbers are read off the
    expression that it then is, so an update is written once, for a captured step and otherwise.
    """

    def __init__(self, arrays: Sequence[NDArray]) -> None:
        #: Arrays of one element that stand for the update's own, on which no launch is made.
        with recordings.paused():
            self._stand_ins = [NDArray.empty((1,), array.dtype, array.device) for array in arrays]
        self._program: FusedProgram | None = None
        self._key: Hashable = None
        self._numbers: Sequence[Any] = ()

    def compute(self) -> Compute:
        """The update at present. Raises StaleError if it takes other arrays than it did."""
        raise NotImplementedError

    def key(self) -> Hashable:
        """What the numbers depend on: where it is as before, so are they."""
        raise NotImplementedError

    def begin(self, expression: Expression) -> None:
        """Take `expression` for what the update was when it was recorded."""
        if self._program not in (None, expression.program):
            raise CaptureError("the parameters of one optimiser's group take different steps")
        self._program = expression.program

    def run(self) -> Sequence[Any]:
        """The numbers at present. Raises StaleError if the update has become another expression."""
        key = self.key()
        if key != self._key:
            expression = linearize(self.compute()(*self._stand_ins)).expression
            if expression.program is not self._program:
                raise StaleError("the options of an optimiser")
            self._key, self._numbers = key, tuple(expression.scalars)
        return self._numbers

    def undo(self) -> None:
        """Nothing has changed."""
