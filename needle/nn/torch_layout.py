"""How parameters of layers lie in PyTorch's, where they lie otherwise, and states that come from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from needle.autograd import Value
from needle.checks import one_of
from needle.dtypes import Shape
from needle.tensor import Tensor


@dataclass(frozen=True)
class TorchLayout:
    """A parameter's form in PyTorch: `to_torch` makes it, `from_torch` makes needle's, of a shape, of an array."""

    to_torch: Callable[[Tensor], Tensor]
    from_torch: Callable[[np.ndarray, Shape], np.ndarray]


def _turned(array: np.ndarray, shape: Shape) -> np.ndarray:
    return array.T


def _as_row(array: np.ndarray, shape: Shape) -> np.ndarray:
    return array.reshape(1, -1) if array.ndim == 1 else array


#: A matrix that PyTorch keeps transposed.
TRANSPOSED = TorchLayout(lambda t: t.T, _turned)
#: A vector that needle keeps as the one row of a matrix.
ROW = TorchLayout(lambda t: t.reshape((t.size,)), _as_row)


def check_layout(layout: str | None) -> bool:
    """Whether the layout is PyTorch's rather than needle's own. Raises ValueError for another."""
    if layout is not None:
        one_of("layout", layout, ("torch",))
    return layout is not None


def from_torch(state: Any, layouts: Mapping[str, TorchLayout], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """The state of a PyTorch module as NumPy arrays in needle's layout.

    `state` is a mapping, or has `keys()` and `get_tensor(name)` as an open safetensors file does. Raises TypeError for
    another.
    """
    take = state.__getitem__ if isinstance(state, Mapping) else getattr(state, "get_tensor", None)
    if take is None:
        raise TypeError(f"a state must be a dict or an open safetensors file, not {type(state).__name__}")
    arrays = {name: _array(take(name)) for name in list(state.keys())}
    return {
        name: layouts[name].from_torch(array, shapes[name]) if name in layouts and name in shapes else array
        for name, array in arrays.items()
    }


def _array(value: Any) -> Any:
    """A tensor of either library as a NumPy array; other things as they are."""
    if isinstance(value, Value):
        return value.cached_data.numpy()
    if not isinstance(value, np.ndarray) and hasattr(value, "detach"):
        host = value.detach().cpu()
        return (host.float() if "bfloat16" in str(host.dtype) else host).numpy()
    return value
