"""The arguments of a captured function: the tensors in them, and what calls have in common that share a recording."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from needle.array import NDArray, evaluation
from needle.autograd import make_value
from needle.errors import CaptureError
from needle.tensor import Tensor


def map_parts(item: Any, kind: type, visit: Callable[[Any], Any]) -> Any:
    """`item` with `visit(part)` in place of each part of class `kind` in nested lists, tuples and dicts."""
    if isinstance(item, kind):
        return visit(item)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*[map_parts(part, kind, visit) for part in item])
    if type(item) in (list, tuple):
        return type(item)([map_parts(part, kind, visit) for part in item])
    if type(item) is dict:
        return {key: map_parts(part, kind, visit) for key, part in item.items()}
    return item


class Arguments:
    """The arguments of one call.

    NumPy arrays become tensors on the default device, which require no gradient.

    Attributes:
        tensors: the tensors among them, each once.
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
            self._args, self._kwargs = map_parts((args, dict(kwargs)), np.ndarray, _tensor)
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

        return map_parts(self._args, Tensor, visit), map_parts(dict(self._kwargs), Tensor, visit)

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


def _tensor(array: np.ndarray) -> Tensor:
    return Tensor(array, requires_grad=False)


def _kind(tensor: Tensor) -> Hashable:
    """What must be the same for two tensors to share a recording."""
    if tensor.node is not None and tensor.requires_grad:
        raise CaptureError(
            f"a tensor of shape {tensor.shape}, computed by {tensor.op!r}, requires a gradient: a captured function "
            "cannot pass it on; give it x.detach()"
        )
    data = tensor.cached_data
    flags = (tensor._requires_grad, tensor.grad is not None, data.host_bounds is not None)
    return data.shape, data.dtype, data.device, flags, type(tensor)
