"""A step that is replayed: the launches of a recorded call with memory of their own."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from needle.array import NDArray, evaluation, writing
from needle.array.storage import Storage
from needle.backend.protocol import Device, Replayer
from needle.backend.recordings import Place, RecordedBuffer, StaleError
from needle.capturing.arguments import Arguments
from needle.capturing.recorded_call import RecordedCall, is_same_memory
from needle.capturing.results import Argument, Made, Outside, View, tensor_of, view
from needle.dtypes import uint8
from needle.tensor import Tensor


class Step:
    """What replays a recorded call.

    `earlier` is a call that was the same to a replay: what both copied from the very same array of the host is copied
    anew in each replay, other values of the host were equal and stay.
    """

    def __init__(self, call: RecordedCall, earlier: RecordedCall) -> None:
        self.before = call.before
        self._call = call
        self._results = call.results
        recording = call.recording
        self._actions = recording.actions
        self._inputs = [(k, n) for k, n in enumerate(call.inputs) if n is not None]
        self._incoming = [(k, n) for k, n in enumerate(call.incoming) if n is not None]
        self._layouts = [_layout(call.old_gradients[k]) for k, _ in self._incoming]
        made = [*call.results.made, *[g.made for g in call.gradients if g.made is not None]]
        #: How many results and gradients lie in a buffer.
        self._counts = Counter([m.number for m in made if isinstance(m, View) and m.number is not None])
        #: Buffers that each replay allocates anew, since what it gives must stay what it is.
        self._fresh = {number: recording.buffers[number] for number in self._counts}
        #: Arrays of the host that are copied before each replay, by the number of their buffer.
        self._uploads: dict[int, tuple[Device, np.ndarray]] = {}
        fixed = self._copy_from_host(earlier)
        given = {number for _, number in (*self._inputs, *self._incoming)}
        outside = {n: b.outside for n, b in enumerate(recording.buffers) if b.outside is not None and n not in given}
        fixed |= outside
        fixed |= _scratch(call, {*given, *fixed, *self._uploads, *self._fresh})
        self._replayers = _replayers(call, fixed)
        stand_ins = {id(stand_in.cached_data._storage) for stand_in in call.stand_ins}
        self._written = [
            storage for key, storage in recording.written.items() if key not in stand_ins and _is_outside(storage, call)
        ]
        self._written_inputs = [k for k, is_written in enumerate(call.written) if is_written]
        self.bounds = [stand_in.cached_data.host_bounds for stand_in in call.stand_ins]
        self._gradients = [g for g in call.gradients[: len(self.before.tensors)] if not g.kept]
        #: Tensors whose gradient gives way to another, and is not read: its memory is free for the new one.
        self._replaced = [
            (g.owner, g.made.number if isinstance(g.made, View) and g.made.number is not None else -1)
            for g, number in zip(call.gradients, call.incoming, strict=False)
            if not g.kept and number is None
        ]
        #: The gradients that the latest replay has given, by number: tensor, array and memory.
        self._given: dict[int, tuple[Tensor, NDArray, Storage]] = {}
        self._argument_gradients = call.gradients[len(self.before.tensors) :]
        call.forget()

    def _copy_from_host(self, earlier: RecordedCall) -> dict[int, Any]:
        """Buffers with values of the host that stay what they are, by number; others are noted in `_uploads`."""
        fixed: dict[int, Any] = {}
        written = _written(self._call)
        buffers = self._call.recording.buffers
        for number, (buffer, before) in enumerate(zip(buffers, earlier.recording.buffers, strict=True)):
            if buffer.host is None or buffer.device is None:
                continue
            if is_same_memory(buffer.host, before.host) or number in written or number in self._fresh:
                self._uploads[number] = buffer.device, buffer.host
            else:
                fixed[number] = buffer.device.upload(buffer.host)
        self.before.forget_host([host for _, host in self._uploads.values()])
        return fixed

    def replay(self, arguments: Arguments) -> Any:
        """Make the launches again on other arguments; returns the results. Raises StaleError, having done nothing.

        After another error, such as one of missing memory, what the host counts (steps, random numbers) is as before.
        """
        if [_layout(self.before.tensors[k].grad) for k, _ in self._incoming] != self._layouts:
            raise StaleError("a gradient lies in memory in another way")
        arrays = arguments.plain()
        numbers = self._act()
        try:
            storages = self._launch(arrays, numbers)
        except BaseException:
            self._undo(len(numbers))
            raise
        for k in self._written_inputs:
            if arrays[k] is not arguments.tensors[k].cached_data:
                writing.write(arguments.tensors[k].cached_data, arrays[k])
        self._give_gradients(arguments, arrays, storages)
        return self._results.finished([self._tensor(made, arguments, arrays, storages) for made in self._results.made])

    def _launch(self, arrays: Sequence[NDArray], numbers: Sequence[Sequence[Any]]) -> dict[int, Storage]:
        """Make the launches on the arguments' `arrays`; returns the memory that they have filled, by number."""
        with evaluation.lock:
            buffers = {number: arrays[k].buffer for k, number in self._inputs}
            for k, number in self._incoming:
                buffers[number] = self.before.tensors[k].grad.cached_data.buffer
            kept = self._gradient_memory()
            buffers |= {number: storage.buffer for number, storage in kept.items()}
            for number, (device, host) in self._uploads.items():
                buffers[number] = device.upload(host)
            storages = dict(kept)
            for number, buffer in self._fresh.items():
                if number in kept:
                    continue
                if number not in buffers:
                    buffers[number] = buffer.device.empty(buffer.nbytes, uint8)  # type: ignore[union-attr]
                storages[number] = Storage(buffers[number])
            written = [*self._written, *kept.values(), *[arrays[k].storage for k in self._written_inputs]]
            writing.before_writing(written)
            for replayer in self._replayers:
                replayer.run(buffers, numbers)
            for storage in written:
                storage.note_write()
        return storages

    def _gradient_memory(self) -> dict[int, Storage]:
        """Memory of gradients of the latest replay that nobody has but their owners, by number: it is written again.

        The owners of other gradients, which are replaced, lose them now, so that their memory is free for the new ones.
        """
        found: dict[int, Storage] = {}
        latest, self._given = self._given, {}
        for owner, number in self._replaced:
            given = latest.pop(number, None)
            if given is not None and owner.grad is given[0] and _is_alone(*given):
                self._given[number] = given
                found[number] = given[2]
            else:
                owner.grad = given = None
        return found

    def _act(self) -> list[Sequence[Any]]:
        """Do what the call did on the host, and return the numbers of each action."""
        numbers: list[Sequence[Any]] = []
        try:
            for action in self._actions:
                numbers.append(action.run())
        except BaseException:
            self._undo(len(numbers))
            raise
        return numbers

    def _undo(self, count: int) -> None:
        """Leave the host's state as it was before the first `count` actions."""
        for action in reversed(self._actions[:count]):
            action.undo()

    def _give_gradients(self, arguments: Arguments, arrays: Sequence[NDArray], storages: dict[int, Storage]) -> None:
        for gradient in self._gradients:
            made = gradient.made
            number = made.number if isinstance(made, View) else None
            if number is not None and number in self._given:
                continue  # it is there, and has been written again
            gradient.owner.grad = given = None if made is None else self._tensor(made, arguments, arrays, storages)
            if given is not None and number is not None and self._counts[number] == 1:
                array = given.cached_data
                self._given[number] = given, array, array._storage
        for tensor, gradient in zip(arguments.tensors, self._argument_gradients, strict=True):
            if gradient.made is not None:
                tensor.grad = self._tensor(gradient.made, arguments, arrays, storages)

    def _tensor(
        self, made: Made, arguments: Arguments, arrays: Sequence[NDArray], storages: dict[int, Storage]
    ) -> Tensor:
        if isinstance(made, Argument):
            return arguments.tensors[made.position]
        if isinstance(made, Outside):
            return tensor_of(made.array)
        storage = storages[made.number] if made.number is not None else arrays[made.position or 0].storage
        return tensor_of(view(storage, made))


def _layout(gradient: Tensor) -> Hashable:
    """How the elements of a gradient lie in memory."""
    array = gradient.cached_data
    return array.geometry, array.dtype, array.device


def _is_alone(tensor: Tensor, array: NDArray, storage: Storage) -> bool:
    """Whether nobody has a tensor, its array or its memory but its owner, `Step._given` and this function's callers."""
    return (
        tensor.cached_data is array
        and array._storage is storage
        and sys.getrefcount(tensor) <= 4  # in its owner, in the tuple, as our argument, as that of getrefcount
        and sys.getrefcount(array) <= 4
        and sys.getrefcount(storage) <= 4
    )


def _written(call: RecordedCall) -> set[int]:
    """The numbers of the buffers that launches write into."""
    found: set[int] = set()
    for launch in call.recording.launches:
        for position in launch.kernel.written:
            argument = launch.arguments[position]
            if isinstance(argument, Place):
                found.add(argument.number)
    return found


def _is_outside(storage: Storage, call: RecordedCall) -> bool:
    number = call.recording.numbers.get(id(storage.buffer))
    return number is None or call.recording.buffers[number].outside is not None


def _scratch(call: RecordedCall, others: set[int]) -> dict[int, Any]:
    """Memory for the buffers that live within a replay, shared by those that are not in use at the same time."""
    last: dict[int, int] = {}
    for position, launch in enumerate(call.recording.launches):
        for argument in launch.arguments:
            if isinstance(argument, Place) and argument.number not in others:
                last[argument.number] = position
    ending: defaultdict[int, list[int]] = defaultdict(list)
    for number, position in last.items():
        ending[position].append(number)
    found: dict[int, Any] = {}
    free: defaultdict[tuple[Device, int], list[Any]] = defaultdict(list)
    for position, launch in enumerate(call.recording.launches):
        for argument in launch.arguments:
            if isinstance(argument, Place) and argument.number in last and argument.number not in found:
                buffer = call.recording.buffers[argument.number]
                kept = free[_kind(buffer)]
                found[argument.number] = kept.pop() if kept else buffer.device.empty(_rounded(buffer.nbytes), uint8)  # type: ignore[union-attr]
        for number in ending[position]:
            free[_kind(call.recording.buffers[number])].append(found[number])
    return found


def _rounded(nbytes: int) -> int:
    """A size that buffers of about the same size share: rounded up by less than an eighth."""
    step = max(64, 1 << max(0, nbytes.bit_length() - 4))
    return -(-nbytes // step) * step


def _kind(buffer: RecordedBuffer) -> tuple[Device, int]:
    assert buffer.device is not None
    return buffer.device, _rounded(buffer.nbytes)


def _replayers(call: RecordedCall, fixed: dict[int, Any]) -> list[Replayer]:
    """One for each device; launches on several devices share nothing but what is outside."""
    launches: dict[Device, list[Any]] = {}
    for launch in call.recording.launches:
        launches.setdefault(launch.device, []).append(launch)
    found = []
    for device, own in launches.items():
        device.synchronize()  # what is to be replayed is compiled then
        replayer = device.replayer(own, fixed)
        assert replayer is not None
        found.append(replayer)
    return found
