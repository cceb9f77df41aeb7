"""What a captured function returned: for each tensor how a replay makes it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from needle.array import NDArray
from needle.array.storage import Storage
from needle.array.views import Geometry
from needle.autograd import make_value
from needle.backend.recordings import Recording
from needle.capturing.arguments import map_parts
from needle.errors import CaptureError
from needle.tensor import Tensor

#: Values other than tensors that a function may return: each replay returns them again.
_CONSTANTS = (int, float, complex, str, bytes, bool, type(None))


@dataclass(frozen=True)
class Argument:
    """An argument itself: number `position` among its tensors."""

    position: int


@dataclass(frozen=True)
class View:
    """A window on the memory of an argument (`position`), or on a buffer of the recording (`number`)."""

    position: int | None
    number: int | None
    geometry: Geometry
    dtype: Any
    device: Any
    whole: bool
    repeats: bool


@dataclass(frozen=True, eq=False)
class Outside:
    """A window on memory that was there before the call, such as a parameter's."""

    array: NDArray

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Outside)
            and self.array.geometry == other.array.geometry
            and (self.array._storage is other.array._storage)
        )

    def __hash__(self) -> int:
        return id(self.array._storage)


Made = Argument | View | Outside


class Results:
    """The nested results of a call, with a description of each tensor.

    Raises CaptureError for a result that is neither a tensor, a plain value, nor a list, tuple or dict of such.
    """

    def __init__(self, returned: Any, stand_ins: Sequence[Tensor], recording: Recording) -> None:
        self._stand_ins = stand_ins
        self._recording = recording
        self.made: list[Made] = []
        self.arrays: list[NDArray] = []
        self.template = map_parts(returned, Tensor, self._describe)
        self.outline = repr(self.template)
        _check(self.template)

    def _describe(self, tensor: Tensor) -> _Slot:
        array = tensor.cached_data.realize()
        self.made.append(describe(tensor, array, self._stand_ins, self._recording))
        self.arrays.append(array)
        return _Slot(len(self.made) - 1)

    def finished(self, tensors: Sequence[Tensor]) -> Any:
        """The results with `tensors` in their places."""
        return map_parts(self.template, _Slot, lambda slot: tensors[slot.index])


@dataclass(frozen=True)
class _Slot:
    """Stands for a tensor among the results."""

    index: int


def describe(tensor: Tensor, array: NDArray, stand_ins: Sequence[Tensor], recording: Recording) -> Made:
    """How a replay makes `tensor`, whose realized array is `array`."""
    for position, stand_in in enumerate(stand_ins):
        if tensor is stand_in:
            return Argument(position)
        if array._storage is stand_in.cached_data._storage:
            return _view_of(array, position, None)
    number = recording.numbers.get(id(array.buffer))
    if number is None or recording.buffers[number].outside is not None:
        return Outside(array)
    return _view_of(array, None, number)


def _view_of(array: NDArray, position: int | None, number: int | None) -> View:
    return View(position, number, array.geometry, array.dtype, array.device, array._whole, array._repeats)


def view(storage: Storage, made: View) -> NDArray:
    """The window that `made` describes, on `storage`."""
    shape, strides, offset = made.geometry
    array = NDArray._make(made.device, made.dtype, shape, storage, strides, offset)
    array._whole, array._repeats = made.whole, made.repeats
    return array


def tensor_of(array: NDArray) -> Tensor:
    """A leaf without gradient."""
    found: Tensor = make_value(array)  # type: ignore[assignment]
    return found


def _check(template: Any) -> None:
    if isinstance(template, (list, tuple)):
        for part in template:
            _check(part)
    elif isinstance(template, Mapping):
        for part in template.values():
            _check(part)
    elif not isinstance(template, (_Slot, *_CONSTANTS)):
        raise CaptureError(
            f"a captured function returns tensors, numbers, strings, None and lists, tuples and dicts of them, not "
            f"{type(template).__name__}"
        )
