"""What NumPy's functions do with tensors: `np.sum(x)`, `np.exp(x)`, `array + x`.

Where needle has the function, under NumPy's name or another, that is called, and the result is a tensor with its
gradient. It takes NumPy's names of those arguments that needle's function has; others are refused. Any other function
of NumPy's gets the values, and gives what NumPy gives of arrays; a tensor that requires a gradient is refused there,
by `Tensor.__array__`, since the result would be without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from needle.array.operators import TABLE
from needle.array.views import normalize_axis
from needle.autograd import Value
from needle.ops import arithmetic, comparison, creation, reductions
from needle.ops import shape as shapes
from needle.ops.indexing import taking
from needle.ops.matmul import matmul

if TYPE_CHECKING:
    from needle.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

#: NumPy's universal functions that needle has by another name.
_UFUNCS = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "fabs": "abs",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
}

#: By NumPy's function, ours under NumPy's names of the arguments.
_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}


class NumpyFunctions:
    """The protocols by which NumPy hands a call of its functions to the class of an argument."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not all(isinstance(x, (Value, np.ndarray, np.generic)) or type(x).__module__ == "builtins" for x in inputs):
            return NotImplemented  # a foreign class gets its turn
        name = _UFUNCS.get(ufunc.__name__, ufunc.__name__)
        if method != "__call__" or name not in TABLE:
            return getattr(ufunc, method)(*_values(inputs), **_values(kwargs))
        if kwargs.get("out") is not None:
            raise TypeError(
                f"np.{ufunc.__name__} cannot write a tensor into out=, as `array += x` would; use ndl.{name} or "
                "array += x.numpy()"
            )
        if kwargs:
            raise TypeError(f"np.{ufunc.__name__} of a tensor takes no {', '.join(kwargs)}; use ndl.{name}")
        return TABLE[name](*inputs)

    def __array_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        if not all(issubclass(kind, (NumpyFunctions, np.ndarray)) for kind in types):
            return NotImplemented
        ours = _FUNCTIONS.get(func)
        if ours is None:
            return func(*_values(args), **_values(kwargs))
        signature = inspect.signature(ours)
        given = {k: v for k, v in kwargs.items() if k in signature.parameters or v is not None}
        try:
            bound = signature.bind(*args, **given)
        except TypeError as error:
            known = ", ".join(signature.parameters)
            raise TypeError(f"np.{func.__name__} of a tensor takes {known}: {error}; or give x.numpy()") from None
        return ours(*bound.args, **bound.kwargs)


def _values(data: Any) -> Any:
    """`data` with NumPy arrays in the place of tensors. Raises RuntimeError for one that requires a gradient."""
    if isinstance(data, Value):
        return np.asarray(data)
    if isinstance(data, dict):
        return {key: _values(value) for key, value in data.items()}
    return type(data)([_values(value) for value in data]) if type(data) in (list, tuple) else data


def _stands_for(*functions: Callable[..., Any]) -> Callable[[F], F]:
    """Let the decorated function be called for these of NumPy's, where an argument is a tensor."""

    def enter(function: F) -> F:
        _FUNCTIONS.update(dict.fromkeys(functions, function))
        return function

    return enter


def _tensors(data: Sequence[Any], others: Sequence[Any] = ()) -> list[Any]:
    """Each of `data` as a tensor, NumPy's arrays on the device of the first tensor, which may be among `others`."""
    device = next(x.cached_data.device for x in (*data, *others) if isinstance(x, Value))
    return [x if isinstance(x, Value) else creation.asarray(x, device=device) for x in data]


# -- reductions -------------------------------------------------------------------------------------


def _fold(function: Callable[..., Any]) -> Callable[..., Any]:
    def fold(a: Tensor, axis: Any = None, *, keepdims: bool = False) -> Any:
        return function(a, axis, keepdims)

    return fold


for _numpy, _needle in (
    (np.sum, reductions.sum),
    (np.prod, reductions.prod),
    (np.mean, reductions.mean),
    (np.any, reductions.any),
    (np.all, reductions.all),
    (np.max, reductions.max),
    (np.amax, reductions.max),
    (np.min, reductions.min),
    (np.amin, reductions.min),
    (np.argmax, reductions.argmax),
    (np.argmin, reductions.argmin),
):
    _stands_for(_numpy)(_fold(_needle))


def _moment(function: Callable[..., Any]) -> Callable[..., Any]:
    def moment(
        a: Tensor, axis: Any = None, *, ddof: float = 0, correction: float | None = None, keepdims: bool = False
    ) -> Any:
        return function(a, axis, keepdims, ddof if correction is None else correction)

    return moment


_stands_for(np.var)(_moment(reductions.var))
_stands_for(np.std)(_moment(reductions.std))


# -- shapes -----------------------------------------------------------------------------------------


@_stands_for(np.shape)
def _shape(a: Tensor) -> Any:
    return a.shape


@_stands_for(np.ndim)
def _ndim(a: Tensor) -> int:
    return a.ndim


@_stands_for(np.size)
def _size(a: Tensor, axis: int | None = None) -> int:
    return a.size if axis is None else a.shape[normalize_axis(axis, a.ndim)]


@_stands_for(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return False


@_stands_for(np.reshape)
def _reshape(a: Tensor, shape: Any) -> Any:
    return shapes.reshape(a, shape)


@_stands_for(np.ravel)
def _ravel(a: Tensor) -> Any:
    return shapes.reshape(a, (-1,))


@_stands_for(np.transpose)
def _transpose(a: Tensor, axes: Any = None) -> Any:
    """All axes in reverse order where NumPy's function is given none; needle's exchanges the last two."""
    return shapes.permute_dims(a, range(a.ndim)[::-1] if axes is None else axes)


@_stands_for(np.matrix_transpose)
def _matrix_transpose(x: Tensor) -> Any:
    return shapes.transpose(x)


@_stands_for(np.swapaxes)
def _swapaxes(a: Tensor, axis1: int, axis2: int) -> Any:
    return shapes.transpose(a, (axis1, axis2))


def _axes(axes: Any, ndim: int) -> list[int]:
    """One axis or several in their order, counted from the front."""
    return [normalize_axis(axis, ndim) for axis in (axes if isinstance(axes, Sequence) else (axes,))]


@_stands_for(np.moveaxis)
def _moveaxis(a: Tensor, source: Any, destination: Any) -> Any:
    sources, targets = _axes(source, a.ndim), _axes(destination, a.ndim)
    if not len(sources) == len(targets) == len({*sources}) == len({*targets}):
        raise ValueError(f"source={source!r} and destination={destination!r} must be as many axes, none twice")
    order = [axis for axis in range(a.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return shapes.permute_dims(a, order)


@_stands_for(np.expand_dims)
def _expand_dims(a: Tensor, axis: int) -> Any:
    return shapes.expand_dims(a, axis)


@_stands_for(np.squeeze)
def _squeeze(a: Tensor, axis: Any = None) -> Any:
    return shapes.squeeze(a, axis)


@_stands_for(np.flip)
def _flip(m: Tensor, axis: Any = None) -> Any:
    return shapes.flip(m, axis)


@_stands_for(np.broadcast_to)
def _broadcast_to(array: Tensor, shape: Any) -> Any:
    return shapes.broadcast_to(array, shape)


@_stands_for(np.broadcast_arrays)
def _broadcast_arrays(*args: Tensor) -> Any:
    return shapes.broadcast_arrays(*_tensors(args))


@_stands_for(np.concatenate)
def _concatenate(arrays: Sequence[Tensor], axis: int | None = 0) -> Any:
    return shapes.concat(_tensors(arrays), axis)


@_stands_for(np.stack)
def _stack(arrays: Sequence[Tensor], axis: int = 0) -> Any:
    return shapes.stack(_tensors(arrays), axis)


@_stands_for(np.split)
def _split(ary: Tensor, indices_or_sections: Any, axis: int = 0) -> Any:
    return shapes.split(ary, indices_or_sections, axis)


# -- elements ---------------------------------------------------------------------------------------


@_stands_for(np.where)
def _where(condition: Any, *choices: Any) -> Any:
    """With one argument NumPy's function gives the positions of what is true, as arrays."""
    return comparison.where(condition, *choices) if choices else np.where(_values(condition))


@_stands_for(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    (a,) = _tensors((a,), (low, high))
    return arithmetic.clip(a, low, high)


@_stands_for(np.round, np.around)
def _round(a: Tensor, decimals: int = 0) -> Any:
    if decimals:
        raise TypeError(f"np.round of a tensor with decimals={decimals!r}: ndl.round rounds to whole numbers")
    return arithmetic.round(a)


@_stands_for(np.take)
def _take(a: Any, indices: Any, axis: int | None = None) -> Any:
    (a,) = _tensors((a,), (indices,))
    return taking.take(a, indices, axis)


@_stands_for(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: int = -1) -> Any:
    (arr,) = _tensors((arr,), (indices,))
    return taking.take_along_axis(arr, indices, axis)


@_stands_for(np.dot)
def _dot(a: Any, b: Any) -> Any:
    a, b = _tensors((a, b))
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim > 2:
        raise TypeError(f"np.dot of shapes {a.shape} and {b.shape}: use ndl.matmul, which pairs the axes before")
    return matmul(a, b)


@_stands_for(np.outer)
def _outer(a: Any, b: Any) -> Any:
    a, b = _tensors((a, b))
    return shapes.reshape(a, (-1, 1)) * shapes.reshape(b, (1, -1))


# -- arrays like another ------------------------------------------------------------------------------


@_stands_for(np.zeros_like)
def _zeros_like(a: Tensor, dtype: Any = None) -> Any:
    return creation.zeros_like(a, dtype)


@_stands_for(np.ones_like)
def _ones_like(a: Tensor, dtype: Any = None) -> Any:
    return creation.ones_like(a, dtype)


@_stands_for(np.empty_like)
def _empty_like(prototype: Tensor, dtype: Any = None) -> Any:
    return creation.empty_like(prototype, dtype)


@_stands_for(np.full_like)
def _full_like(a: Tensor, fill_value: Any, dtype: Any = None) -> Any:
    return creation.full_like(a, fill_value, dtype)
