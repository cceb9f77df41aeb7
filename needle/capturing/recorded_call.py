"""One call of a captured function, recorded: what it launched, and where its results and gradients come from."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from needle.array import NDArray, evaluation, writing
from needle.backend import recordings
from needle.backend.recordings import RecordedBuffer
from needle.capturing.arguments import Arguments
from needle.capturing.results import Made, Results, View, describe, tensor_of
from needle.capturing.surroundings import Snapshot, memory_key
from needle.errors import CaptureError
from needle.tensor import Tensor


@dataclass
class Gradient:
    """The gradient that a tensor has after the call; `made` is None if it has none, or still the one it had."""

    owner: Tensor
    made: Made | None
    kept: bool


class RecordedCall:
    """Calls `function` on copies of its arguments, and records what it does.

    Attributes:
        returned: what the call gives to its caller.
        recording: the launches.
        before: what the function reads from outside, as it was when the call began.
        inputs: the numbers of the buffers of the arguments; None for one that no launch uses.
        gradients: of the tensors in `before`, and after them of the arguments.
        written: for each argument whether the call wrote into it.

    Raises CaptureError for what a replay could not repeat; by then the function has done what it does.
    """

    def __init__(self, function: Callable[..., Any], arguments: Arguments) -> None:
        self.before = Snapshot(function, tuple(arguments.others))
        self.stand_ins = arguments.stand_ins()
        self.old_gradients = [tensor.grad for tensor in self.before.tensors]
        args, kwargs = arguments.given(self.stand_ins)
        self._given = [stand_in.cached_data for stand_in in self.stand_ins]
        versions = [stand_in.cached_data.version for stand_in in self.stand_ins]
        with recordings.recorded() as self.recording:
            results = Results(function(*args, **kwargs), self.stand_ins, self.recording)
            del args, kwargs
            self._restore_memory()
            self.gradients = [*map(self._gradient, self.before.tensors, self.old_gradients)]
            self.gradients += [self._gradient(stand_in, None) for stand_in in self.stand_ins]
        self.results = results
        self.written = [s.cached_data.version != v for s, v in zip(self.stand_ins, versions, strict=True)]
        self.inputs = [self._input(stand_in.cached_data) for stand_in in self.stand_ins]
        self.incoming = [self._incoming(gradient) for gradient in self.old_gradients]
        if any(self.written) and arguments.share_memory:
            raise CaptureError("a captured function wrote into an argument that shares memory with another argument")
        self._check_actions()
        self._hand_back(arguments)
        self.returned = results.finished(self._finished(arguments))
        self._keep_nothing()

    # -- while it is recorded -------------------------------------------------------------------

    def _restore_memory(self) -> None:
        """Write what outside tensors have been bound to into the memory that they had: replays find it there."""
        pairs = [(tensor, array) for tensor, (array, *_) in zip(self.before.tensors, self.before.memory, strict=True)]
        pairs += zip(self.stand_ins, self._given, strict=True)
        changed = [(tensor, array, tensor.cached_data) for tensor, array in pairs if tensor.cached_data is not array]
        memory = {id(array._storage) for _, array, _ in changed}
        for tensor, array, now in changed:
            if now.shape != array.shape or now.dtype != array.dtype or now.device is not array.device:
                raise CaptureError(
                    f"a captured function replaced a tensor of shape {array.shape}, {array.dtype} on "
                    f"{array.device.name} by one of shape {now.shape}, {now.dtype} on {now.device.name}"
                )
            # What lies in memory that is about to be written, as after a swap, is read before.
            tensor.cached_data = evaluation.copy(now) if id(now._storage) in memory else now
        for tensor, array, _ in changed:
            array[...] = tensor.cached_data
            tensor.cached_data = array

    def _gradient(self, owner: Tensor, old: Tensor | None) -> Gradient:
        new = owner.grad
        if new is old:
            return Gradient(owner, None, kept=True)
        if new is None:
            return Gradient(owner, None, kept=False)
        array = new.cached_data.realize()
        made = describe(new, array, self.stand_ins, self.recording)
        if new.node is not None:
            owner.grad = tensor_of(array)
        return Gradient(owner, made, kept=False)

    # -- afterwards -----------------------------------------------------------------------------

    def _input(self, array: NDArray) -> int | None:
        return self.recording.numbers.get(id(array.buffer))

    def _incoming(self, gradient: Tensor | None) -> int | None:
        """The number of the buffer of a gradient that a tensor had before the call, if launches use it."""
        if gradient is None or gradient.cached_data._storage is None:
            return None
        number = self.recording.numbers.get(id(gradient.cached_data.buffer))
        return number if number is not None and self.recording.buffers[number].outside is not None else None

    def _check_actions(self) -> None:
        """Raise CaptureError for random numbers that the host has used instead of a launch."""
        used = {a.action for launch in self.recording.launches for a in launch.arguments if hasattr(a, "action")}
        for number, action in enumerate(self.recording.actions):
            if self.recording.launches and number not in used and getattr(action, "is_draw", False):
                raise CaptureError(
                    "a captured function drew random numbers on the host (as randint, randperm and multinomial do), "
                    "which a replay cannot repeat; draw them where the function is called, and pass them"
                )

    def _hand_back(self, arguments: Arguments) -> None:
        """Give the arguments what was written into their copies, and their gradients."""
        for tensor, stand_in, written in zip(arguments.tensors, self.stand_ins, self.written, strict=True):
            if written:
                writing.write(tensor.cached_data.realize(), stand_in.cached_data)
            if stand_in.grad is not None:
                if tensor.grad is not None:
                    raise CaptureError("an argument that has a gradient already cannot get another; set x.grad = None")
                tensor.grad = tensor_of(stand_in.grad.cached_data)

    def _finished(self, arguments: Arguments) -> list[Tensor]:
        """The tensors among the results, as the caller gets them."""
        found = []
        for made, array in zip(self.results.made, self.results.arrays, strict=True):
            position = getattr(made, "position", None)
            if position is None or isinstance(made, View):
                found.append(tensor_of(array))
            else:
                found.append(arguments.tensors[position])
        return found

    def _keep_nothing(self) -> None:
        """Let go of the arrays, and check that nobody else keeps memory that the call has allocated."""
        known = {m.number for m in self.results.made if isinstance(m, View)}
        known |= {g.made.number for g in self.gradients if isinstance(g.made, View)}
        self.results.arrays = []
        self.results._stand_ins = ()
        suspects = [buffer for number, buffer in enumerate(self.recording.buffers) if number not in known]
        if any(map(_is_kept, suspects)):
            gc.collect()  # a cycle may hold it that nobody can reach
        self.kept = sum(map(_is_kept, suspects))

    def forget(self) -> None:
        """Let go of the copies of the arguments."""
        for number in (*self.inputs, *self.incoming):
            if number is not None:
                self.recording.buffers[number].outside = None
        self.stand_ins, self._given = [], []
        self.old_gradients = []

    # -- comparing ------------------------------------------------------------------------------

    def difference(self, other: RecordedCall) -> str:
        """Why two calls are not the same to a replay; "" if they are."""
        mine, others = self.recording, other.recording
        if [_launch(a) for a in mine.launches] != [_launch(b) for b in others.launches]:
            for a, b in zip(mine.launches, others.launches, strict=False):
                if a.kernel is not b.kernel or a.size != b.size:
                    return f"it launched {a.kernel.function_name!r} where it launched {b.kernel.function_name!r} before"
                for x, y in zip(_launch(a), _launch(b), strict=True):
                    if x != y:
                        return f"a launch of {a.kernel.function_name!r} took other numbers or memory than before"
            return f"it made {len(mine.launches)} launches where it made {len(others.launches)} before"
        if len(mine.buffers) != len(others.buffers):
            return "it used other memory"
        for x, y in zip(mine.buffers, others.buffers, strict=True):
            if reason := self._other_buffer(x, y, other):
                return reason
        if self.results.outline != other.results.outline or self.results.made != other.results.made:
            return "it returned something else"
        if [(g.made, g.kept) for g in self.gradients] != [(g.made, g.kept) for g in other.gradients]:
            return "other gradients were there when it ended"
        return ""

    def _other_buffer(self, mine: RecordedBuffer, others: RecordedBuffer, other: RecordedCall) -> str:
        if (mine.outside is None) is not (others.outside is None) or mine.nbytes != others.nbytes:
            return "it used other memory"
        if mine.outside is not None and mine.outside is not others.outside:
            given = [*self.inputs, *self.incoming]
            number = self.recording.numbers.get(id(mine.outside))
            if number not in given or [*other.inputs, *other.incoming] != given:
                return "a tensor that it reads from outside was another one"
        if (mine.host is None) is not (others.host is None):
            return "it copied other values from the host"
        if mine.host is not None and not is_same_memory(mine.host, others.host):
            assert others.host is not None
            if mine.host.shape != others.host.shape or not np.array_equal(mine.host, others.host, equal_nan=True):
                return "values that it copied from the host were others; pass them as an argument"
        return ""


def is_same_memory(mine: np.ndarray, others: np.ndarray | None) -> bool:
    """Whether two calls copied from the very same elements of an array of the host."""
    return others is not None and memory_key(mine) == memory_key(others)


def _is_kept(buffer: RecordedBuffer) -> bool:
    """Whether a buffer that the call has allocated, and that no host's values were for, is still in use."""
    return buffer.host is None and buffer.storage is not None and buffer.storage() is not None


def _launch(launch: Any) -> list[Any]:
    """What must be the same for two launches to be the same; numbers by their text, which tells -0.0 from 0.0."""
    arguments = [repr(a) if isinstance(a, (int, float, np.generic)) else a for a in launch.arguments]
    return [launch.device, launch.kernel, launch.size, launch.local, *arguments]
