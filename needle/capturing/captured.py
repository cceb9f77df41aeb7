"""`capture`: a function whose launches are recorded once and then replayed."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, Generic, ParamSpec, TypeVar

from needle.autograd import is_grad_enabled
from needle.backend import recordings
from needle.backend.protocol import scoped_device
from needle.backend.recordings import StaleError
from needle.capturing.arguments import Arguments
from needle.capturing.recorded_call import RecordedCall
from needle.capturing.step import Step
from needle.errors import CaptureError
from needle.locks import freed_in_children

P = ParamSpec("P")
R = TypeVar("R")

#: The recordings that one captured function keeps; the one that was not used for longest goes first.
MOST_RECORDINGS = 16

#: The calls in a row that may be recorded without one that is replayed, for arguments of one kind.
MOST_ATTEMPTS = 8

#: The recorded calls, for arguments of one kind, that later ones are compared with: their surroundings may take turns.
RECENT_CALLS = 3

_KEPT = (
    "a captured function keeps a tensor that it has computed, in an attribute or a list perhaps: a replay could not "
    "give it another; return it, or write into a tensor that is there before"
)

__all__ = ["Captured", "capture"]


class Captured(Generic[P, R]):
    """A function that runs at the device's speed from its third call on; made by `capture`.

    Attributes:
        function: the function itself.
        replays: how many calls have been replayed.
        recordings: how many recordings are kept.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        if not callable(function):
            raise TypeError(f"capture takes a function, not {function!r}")
        self.function = function
        self.replays = 0
        functools.update_wrapper(self, function)
        self._lock = freed_in_children(threading.RLock())
        self._steps: OrderedDict[Hashable, list[Step]] = OrderedDict()
        self._calls: dict[Hashable, deque[RecordedCall]] = {}
        self._attempts: dict[Hashable, int] = {}

    @property
    def recordings(self) -> int:
        return sum(map(len, self._steps.values()))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or replay what it did in an earlier call with arguments of the same shapes and dtypes."""
        if recordings.current() is not None:  # within another captured function, whose launches these are
            return self.function(*args, **kwargs)
        with self._lock:
            arguments = Arguments(args, kwargs)
            key = (arguments.key, is_grad_enabled(), scoped_device())
            for step in self._steps.get(key, ()):
                if step.before.holds():
                    if not _within(arguments, step):
                        return self._checked(arguments, step)
                    try:
                        result: R = step.replay(arguments)
                    except StaleError:
                        continue
                    self._steps.move_to_end(key)
                    self._attempts[key] = 0
                    self.replays += 1
                    return result
            return self._record(key, arguments)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """The captured method of `instance`; it is recorded for each instance apart."""
        if instance is None:
            return self
        name = self.__name__  # type: ignore[attr-defined]
        bound = instance.__dict__.get(f"_captured_{name}")
        if bound is None:
            bound = Captured(functools.partial(self.function, instance))
            functools.update_wrapper(bound, self.function)
            object.__setattr__(instance, f"_captured_{name}", bound)
        return bound

    def __reduce__(self) -> Any:
        """A copy and a pickle have no recordings: a function is found by its name, a method by its instance's."""
        name = self.__name__  # type: ignore[attr-defined]
        if isinstance(self.function, functools.partial):
            return getattr, (self.function.args[0], name)
        return self.__qualname__  # type: ignore[attr-defined]

    def clear(self) -> None:
        """Forget all recordings and free their memory."""
        with self._lock:
            self._steps.clear()
            self._calls.clear()
            self._attempts.clear()

    def _checked(self, arguments: Arguments, step: Step) -> R:
        """Record a call with integers beyond the range that has been checked, which is then as wide as theirs."""
        call = RecordedCall(self.function, arguments)  # raises what the function raises for an index out of range
        for k, (tensor, known) in enumerate(zip(arguments.tensors, step.bounds, strict=True)):
            bounds = tensor.cached_data.host_bounds
            if known is not None and bounds is not None:
                step.bounds[k] = min(known[0], bounds[0]), max(known[1], bounds[1])
        returned: R = call.returned
        return returned

    def _record(self, key: Hashable, arguments: Arguments) -> R:
        """Call the function and record what it does; once two calls were the same, the next one can be replayed."""
        call = RecordedCall(self.function, arguments)
        if any(launch.device.replays for launch in call.recording.launches):
            self._keep(key, call)
        returned: R = call.returned
        call.returned = None
        return returned

    def _keep(self, key: Hashable, call: RecordedCall) -> None:
        """Make a replay of `call` if the latest call with the same surroundings did the same; else keep it for others.

        Raises CaptureError for a tensor that would have to be another in each replay, and after too many attempts.
        """
        recent = self._calls.setdefault(key, deque(maxlen=RECENT_CALLS))
        changes = [call.before.change_since(earlier.before) for earlier in recent]
        alike = next((earlier for earlier, change in zip(recent, changes, strict=True) if not change), None)
        reason = f"{changes[0]} changes" if changes else ""
        if alike is not None:
            reason = call.difference(alike)
            if not reason and call.kept:
                raise CaptureError(_KEPT)
            recent.remove(alike)
        if alike is not None and not reason:
            steps = self._steps.setdefault(key, [])
            steps.insert(0, Step(call, alike))
            del steps[4:]
            while self.recordings > MOST_RECORDINGS:
                self._steps.popitem(last=False)
        else:
            recent.appendleft(call)
        attempts = self._attempts[key] = self._attempts.get(key, 0) + 1
        if attempts > MOST_ATTEMPTS and call.kept:
            raise CaptureError(_KEPT)
        if attempts > MOST_ATTEMPTS:
            raise CaptureError(
                f"{getattr(self.function, '__qualname__', self.function)} was called {attempts} times, and no two "
                f"calls in a row did the same: {reason or 'what it reads changes'}"
            )


def _within(arguments: Arguments, step: Step) -> bool:
    """Whether integers whose range the host knows lie in the range for which they have been checked."""
    for tensor, known in zip(arguments.tensors, step.bounds, strict=True):
        if known is not None:
            low, high = tensor.cached_data.host_bounds or known
            if low < known[0] or high > known[1]:
                return False
    return True


def capture(function: Callable[P, R]) -> Captured[P, R]:
    """`function`, whose launches on devices are recorded, and from the third like call on replayed. A decorator, too.

        @ndl.capture
        def step(x, y):
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

    A replay does what the call would have done, without running its Python: with the tensors and arrays that it is
    given, with parameters, learning rates, numbers of steps and random numbers as they are then. Results are new
    tensors without history. Calls with other shapes or dtypes, other Python values, or in another mode are recorded
    anew, and so is a function whose surroundings have changed. docs/capture.md says what can be captured.

    Raises CaptureError where a call does what cannot be replayed: reading a value on the host, for example.
    """
    return Captured(function)
