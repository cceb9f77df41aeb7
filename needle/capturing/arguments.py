"""The arguments of a captured function: the tensors in them, and what calls have in common that share a recording."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from needle.array import NDArray, evaluation
from needle.autograd import make_value
from needle.errors import CaptureError
from needle.tensor import Tensor

#: What `map_tensors` calls for each tensor.
Visit = Callable[[Tensor], Any]


def map_tensors(item: Any, visit: Visit) -> Any:
    """`item` with `visit(tensor)` in place of each tensor in nested lists, tuples and dicts."""
    if isinstance(item, Tensor):
        return visit(item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*[map_tensors(part, visit) for part in item])
    if type(item) in (list, tuple):
        return type(item)([map_tensors(part, visit) for part in item])
    if type(item) is dict:
        return {key: map_tensors(part, visit) for key, part in item.items()}
    return item


class Arguments:
    """The arguments of one call.

    NumPy arrays become tensors on the default device, which require no gradient.

    Attributes:
        tensors: the tensors among them, each once.
        structure: everything else: nested tuples with positions in `tensors`, hashable.
        key: what calls have in common that share a recording.
        others: the objects among them that are compared by identity, modules for example.

    Raises CaptureError for a tensor that was computed and requires a gradient.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.tensors: list[Tensor] = []
        self.others: list[Any] = []
        self._positions: dict[int, int] = {}
        if not kwargs and all(arg.__class__ is Tensor for arg in args):  # as most are
            self._args, self._kwargs = args, kwargs
            structure: Hashable = tuple([self._position(arg) for arg in args])
        else:
            self._args, self._kwargs = _with_tensors(args), _with_tensors(dict(kwargs))
            structure = (self._outline(self._args), self._outline(self._kwargs))
        self.key: Hashable = (structure, tuple([_kind(tensor) for tensor in self.tensors]), self._shared())

    @property
    def share_memory(self) -> bool:
        """Whether two of the tensors share memory."""
        return len(set(self._shared())) < len(self.tensors)

    def given(self, tensors: list[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments with `tensors` in the places of those of the call."""

        def visit(tensor: Tensor) -> Tensor:
            return tensors[self._positions[id(tensor)]]

        return map_tensors(self._args, visit), map_tensors(self._kwargs, visit)

    def stand_ins(self) -> list[Tensor]:
        """Copies of the tensors, leaves, in memory that nobody else knows."""
        found = []
        for tensor in self.tensors:
            array = evaluation.copy(tensor.cached_data).realize()
            found.append(make_value(array, tensor._requires_grad))
        return found  # type: ignore[return-value]

    def plain(self) -> list[NDArray]:
        """The arrays of the tensors, computed, each contiguous from the beginning of its memory: copies where not."""
        arrays = []
        for tensor in self.tensors:
            array = tensor.cached_data
            if array._pending is not None:
                array.realize()
            if array._offset or not array._whole or not array.is_contiguous():
                array = evaluation.copy(array)
            arrays.append(array)
        return arrays

    def _position(self, tensor: Tensor) -> int:
        """The position of a tensor among `tensors`, to which it is added."""
        position = self._positions.setdefault(id(tensor), len(self.tensors))
        if position == len(self.tensors):
            self.tensors.append(tensor)
        return position

    def _outline(self, item: Any) -> Hashable:
        """An argument as a hashable value: containers as tuples, a tensor by its position."""
        if isinstance(item, Tensor):
            return Tensor, self._position(item)
        if isinstance(item, (list, tuple)):
            return type(item), tuple([self._outline(part) for part in item])
        if isinstance(item, dict):
            return dict, tuple([(key, self._outline(part)) for key, part in item.items()])
        try:
            hash(item)
        except TypeError:
            raise CaptureError(
                f"a captured function takes tensors, arrays, hashable values and lists, tuples and dicts of them, "
                f"not {type(item).__name__}"
            ) from None
        self.others.append(item)
        return (type(item), repr(item)) if isinstance(item, float) else (type(item), item)

    def _shared(self) -> tuple[int, ...]:
        """For each tensor the first one with the same memory."""
        first: dict[int, int] = {}
        return tuple([first.setdefault(id(t.cached_data._storage or t), k) for k, t in enumerate(self.tensors)])


def _with_tensors(item: Any) -> Any:
    """`item` with a tensor in place of each NumPy array."""
    if isinstance(item, np.ndarray):
        return Tensor(item, requires_grad=False)
    if type(item) in (list, tuple):
        return type(item)([_with_tensors(part) for part in item])
    if type(item) is dict:
        return {key: _with_tensors(part) for key, part in item.items()}
    return item


def _kind(tensor: Tensor) -> Hashable:
    """What must be the same for two tensors to share a recording."""
    if tensor.node is not None and tensor.requires_grad:
        raise CaptureError(
            f"a tensor of shape {tensor.shape}, computed by {tensor.op!r}, requires a gradient: a captured function "
            "cannot pass it on; give it x.detach()"
        )
    data = tensor.cached_data
    return data.shape, data.dtype, data.device, tensor._requires_grad, data.host_bounds is not None, type(tensor)
