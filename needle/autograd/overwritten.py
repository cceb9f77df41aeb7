"""What a gradient rule is given in place of an array that no longer holds the values that were computed with."""

from __future__ import annotations

from typing import Any

from needle.errors import GraphError


class Overwritten:
    """Stands for an array that was written to after an operation had read it: it has a layout, but no values."""

    __slots__ = ("_array", "_op")

    def __init__(self, array: Any, op: object) -> None:
        self._array = array
        self._op = op

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "device", "ndim", "size"):
            return getattr(self._array, name)
        return self.refuse()

    def refuse(self, *_: Any) -> Any:
        """Raise the error that says so."""
        raise GraphError(
            f"the gradient of {self._op!r} needs an array of shape {self._array.shape} that has been written to in "
            "place since; write into a copy, or after backward()"
        )


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    setattr(Overwritten, f"__{_name}__", Overwritten.refuse)
    setattr(Overwritten, f"__r{_name}__", Overwritten.refuse)
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "getitem"):
    setattr(Overwritten, f"__{_name}__", Overwritten.refuse)
