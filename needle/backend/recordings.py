"""Recording what a thread does on devices, so that it can be replayed: launches, buffers, and numbers that change.

A recording holds each launch with its buffers by number. It keeps no memory alive but what was there before it began:
buffers that are allocated meanwhile are noted by their size, and whoever replays the launches provides others.

A number that changes from call to call, such as a learning rate, comes from an `Action`: host code that is run again
before each replay. `needle.capturing` begins recordings and replays them.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import ref

import numpy as np

from needle.errors import CaptureError

if TYPE_CHECKING:
    from needle.backend.protocol import Device

F = TypeVar("F", bound=Callable[..., Any])

#: How many recordings are under way in all threads: what code on hot paths looks at before it asks for its own.
active = 0

_counting = threading.Lock()

#: The folder of this library: what stands outside of it is the user's.
_LIBRARY = str(Path(__file__).parent.parent)


class StaleError(Exception):
    """A recording no longer tells what its function would do. It is caught by whoever replays, who records anew."""


class Action(Protocol):
    """Host code of a recorded call, run again before each replay."""

    def run(self) -> Sequence[Any]:
        """Do what the call did on the host, and return the numbers for its launches. Raises StaleError."""

    def undo(self) -> None:
        """Leave everything as it was before the latest `run`."""


class LiveInt(int):
    """An integer among the arguments of a launch that an action provides: number `part` of action `action`."""

    action: int
    part: int


@dataclass(frozen=True)
class Place:
    """Stands for a buffer among the arguments of a launch: its number in the recording."""

    number: int


@dataclass(frozen=True)
class Live:
    """Stands for a number among the arguments of a launch: number `part` of what action `action` returns."""

    action: int
    part: int


@dataclass(slots=True)
class RecordedLaunch:
    """A launch; `arguments` has a `Place` for each buffer and a `Live` for each number that changes."""

    device: Device
    kernel: Any
    size: tuple[int, ...]
    local: tuple[int, ...]
    arguments: list[Any]


@dataclass(slots=True)
class RecordedBuffer:
    """A buffer of a recording.

    Attributes:
        device: where it lies; None if it was there before.
        nbytes: its size.
        outside: the buffer itself, if it was there before.
        host: what was copied into it from the host, if that is what it was allocated for.
        storage: a weak reference to the storage that holds it.
    """

    device: Device | None = None
    nbytes: int = 0
    outside: Any = None
    host: np.ndarray | None = None
    storage: Any = None


@dataclass
class Recording:
    """What one thread did on devices, in order."""

    launches: list[RecordedLaunch] = field(default_factory=list)
    buffers: list[RecordedBuffer] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    #: Storages that were there before and whose elements were overwritten.
    written: dict[int, Any] = field(default_factory=dict)
    #: The numbers of buffers by their identity; that of a buffer which is gone may become another's.
    numbers: dict[int, int] = field(default_factory=dict)
    #: The number of the action whose numbers the launches of expressions take; None where they stay what they are.
    _renewing: int | None = None
    _in_action: bool = False

    # -- what devices tell ----------------------------------------------------------------------

    def allocated(self, device: Device, buffer: Any, nbytes: int) -> None:
        """Note a new buffer."""
        self.numbers[id(buffer)] = len(self.buffers)
        self.buffers.append(RecordedBuffer(device, nbytes))

    def uploaded(self, buffer: Any, host: np.ndarray) -> None:
        """Note that a new buffer was filled with `host`."""
        self.buffers[self.numbers[id(buffer)]].host = host

    def launched(
        self, device: Device, kernel: Any, size: Any, local: Any, arguments: Sequence[Any], kind: type
    ) -> None:
        """Note a launch; `kind` is the class of buffers."""
        noted: list[Any] = []
        for argument in arguments:
            if isinstance(argument, kind):
                noted.append(Place(self._number(argument)))
            elif argument.__class__ is LiveInt:
                noted.append(Live(argument.action, argument.part))
            else:
                noted.append(argument)
        self.launches.append(RecordedLaunch(device, kernel, tuple(size), tuple(local), noted))

    def evaluated(self, first: int, scalars: Sequence[Any]) -> None:
        """Note that the launches from number `first` on computed an expression with `scalars`, their last arguments.

        If an action is being recorded, it provides these numbers at each replay.
        """
        count = len(scalars)
        if self._renewing is None or not count:
            return
        for launch in self.launches[first:]:
            if launch.arguments[-count:] != list(scalars):
                raise CaptureError("the launches of an optimiser's step do not end with its numbers")
            launch.arguments[-count:] = [Live(self._renewing, part) for part in range(count)]

    def _number(self, buffer: Any) -> int:
        number = self.numbers.get(id(buffer))
        if number is None:
            number = self.numbers[id(buffer)] = len(self.buffers)
            self.buffers.append(RecordedBuffer(outside=buffer))
        return number

    # -- what arrays tell -----------------------------------------------------------------------

    def stored(self, storage: Any) -> None:
        """Note the storage of a new buffer."""
        number = self.numbers.get(id(storage.buffer))
        if number is not None:
            self.buffers[number].storage = ref(storage)

    def wrote(self, storage: Any) -> None:
        """Note that elements of `storage` were overwritten, if it was there before."""
        number = self.numbers.get(id(storage.buffer))
        if number is None or self.buffers[number].outside is not None:
            self.written[id(storage)] = storage

    # -- host code ------------------------------------------------------------------------------

    def act(self, action: Action) -> int:
        """Let `action` be run before each replay. Returns its number."""
        self.actions.append(action)
        return len(self.actions) - 1

    def draw(self, action: Action, numbers: Sequence[int]) -> tuple[LiveInt, ...]:
        """`numbers` as an action provides them: marked, so that they are found among the arguments of launches."""
        index = self.act(action)
        marked = tuple([LiveInt(number) for number in numbers])
        for part, number in enumerate(marked):
            number.action, number.part = index, part
        return marked

    @contextmanager
    def renewing(self, action: Action) -> Iterator[None]:
        """Within the block, `action` provides the numbers in the expressions that are computed."""
        known = [number for number, other in enumerate(self.actions) if other is action]
        self._renewing = known[0] if known else self.act(action)
        try:
            yield
        finally:
            self._renewing = None

    @contextmanager
    def acting(self, action: Action) -> Iterator[None]:
        """Within the block, what happens on the host is done again by `action`; actions in it are part of it."""
        if self._in_action:
            yield
            return
        self.act(action)
        self._in_action = True
        try:
            yield
        finally:
            self._in_action = False


class _Thread(threading.local):
    recording: Recording | None = None


_thread = _Thread()


def current() -> Recording | None:
    """The recording of this thread, if one is under way."""
    return _thread.recording if active else None


@contextmanager
def recorded() -> Iterator[Recording]:
    """Record what this thread does in the block."""
    global active
    recording = Recording()
    with _counting:
        active += 1
    _thread.recording = recording
    try:
        yield recording
    finally:
        _thread.recording = None
        with _counting:
            active -= 1


@contextmanager
def paused() -> Iterator[None]:
    """Record nothing that this thread does in the block."""
    recording, _thread.recording = _thread.recording, None
    try:
        yield
    finally:
        _thread.recording = recording


def refuse(what: str, instead: str) -> None:
    """Raise CaptureError if this thread is recording: `what` happens on the host, and a replay would not repeat it."""
    if current() is not None:
        raise CaptureError(f"{users_line()} {what} inside a captured function, which a replay cannot repeat; {instead}")


def users_line() -> str:
    """File and number of the line that called into this library."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    return "the host" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def repeated(action: Callable[..., Action]) -> Callable[[F], F]:
    """Decorator of a method on the host that each replay has to repeat: by `action(self, method, args, kwargs)`."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            recording = current()
            if recording is None:
                return method(self, *args, **kwargs)
            with recording.acting(action(self, method, args, kwargs)):
                return method(self, *args, **kwargs)

        return noted  # type: ignore[return-value]

    return decorate
