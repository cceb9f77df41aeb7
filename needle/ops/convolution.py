"""Convolution over up to three axes, the convolution transposed, and the gradient of its weights.

Each of the three is bilinear, and each one's gradients are the other two: so there are gradients of any order.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Op
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import DType, Shape, compute_dtype, is_float, promote
from needle.ops.base import as_operands
from needle.ops.shape import astype

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["convolution", "convolution_transposed"]

Signature = tuple[tuple[Shape, DType], ...]
Window = tuple[slice, ...]

# -- the primitives ---------------------------------------------------------------------------------
#
# x is (N, G * C, *places), w is (G * K, C, *taps), y is (N, G * K, *places), G the number of groups:
#     y[n, k, o] = sum over c, t of w[k, c, t] * x[n, c, o * stride + t * dilation - padding]
# Each parameter but `groups` has a number for each axis; `size` are the places, or the taps, of the result.


class _Taps:
    """x with zeros around it, and for each tap the window of it that meets y."""

    def __init__(self, places: Shape, taps: Shape, outputs: Shape, params: dict[str, Any]) -> None:
        self.padding = params["padding"]
        axes = list(zip(places, taps, outputs, params["stride"], params["padding"], params["dilation"], strict=True))
        reach = [(o - 1) * s + (t - 1) * d + 1 if o else 0 for _, t, o, s, _, d in axes]
        self.padded = tuple(max(n + p, r) for (n, _, _, _, p, _), r in zip(axes, reach, strict=True))
        self.windows: list[tuple[Shape, Window]] = [
            (at, tuple(slice(t * d, t * d + o * s, s) for t, (_, _, o, s, _, d) in zip(at, axes, strict=True)))
            for at in product(*map(range, taps))
        ]
        self.inside = tuple(slice(p, p + n) for n, _, _, _, p, _ in axes)


def _last(index: tuple[Any, ...]) -> Any:
    """The index that selects along the last axes."""
    return (Ellipsis, *index)


def _in_groups(x: np.ndarray, groups: int) -> np.ndarray:
    """(A, G * B, ...) as (A, G, B, ...), in the dtype to compute in."""
    shape = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return x.astype(compute_dtype(x.dtype), copy=False).reshape(shape)


def _weights(w: np.ndarray, groups: int) -> np.ndarray:
    """(G * K, C, ...) as (G, K, C, ...), in the dtype to compute in."""
    shape = (groups, w.shape[0] // groups, *w.shape[1:])
    return w.astype(compute_dtype(w.dtype), copy=False).reshape(shape)


def _matrix(x: np.ndarray, kept: int = 3) -> np.ndarray:
    """The axes after the first `kept` joined into one."""
    return x.reshape((*x.shape[:kept], prod(x.shape[kept:])))


def _forward(x: np.ndarray, w: np.ndarray, *, groups: int, size: Shape, **params: Any) -> np.ndarray:
    taps = _Taps(x.shape[2:], w.shape[2:], size, params)
    inputs, weights = _in_groups(x, groups), _weights(w, groups)
    padded = np.zeros((*inputs.shape[:3], *taps.padded), inputs.dtype)
    padded[_last(taps.inside)] = inputs
    result = np.zeros((*inputs.shape[:2], weights.shape[1], prod(size)), inputs.dtype)
    for at, window in taps.windows:
        result += weights[_last(at)] @ _matrix(padded[_last(window)])
    return result.reshape((x.shape[0], w.shape[0], *size)).astype(x.dtype)


def _transposed(y: np.ndarray, w: np.ndarray, *, groups: int, size: Shape, **params: Any) -> np.ndarray:
    taps = _Taps(size, w.shape[2:], y.shape[2:], params)
    outputs, weights = _in_groups(y, groups), _weights(w, groups)
    channels = weights.shape[2]
    padded = np.zeros((*outputs.shape[:2], channels, *taps.padded), outputs.dtype)
    for at, window in taps.windows:
        part = weights[_last(at)].swapaxes(1, 2) @ _matrix(outputs)
        padded[_last(window)] += part.reshape((*outputs.shape[:2], channels, *y.shape[2:]))
    result = padded[_last(taps.inside)]
    return result.reshape((y.shape[0], groups * channels, *size)).astype(y.dtype)


def _weight_gradient(x: np.ndarray, y: np.ndarray, *, groups: int, size: Shape, **params: Any) -> np.ndarray:
    taps = _Taps(x.shape[2:], size, y.shape[2:], params)
    inputs, outputs = _in_groups(x, groups), _matrix(_in_groups(y, groups))
    padded = np.zeros((*inputs.shape[:3], *taps.padded), inputs.dtype)
    padded[_last(taps.inside)] = inputs
    result = np.zeros((groups, outputs.shape[2], inputs.shape[2], *size), inputs.dtype)
    for at, window in taps.windows:
        result[_last(at)] = (outputs @ _matrix(padded[_last(window)]).swapaxes(2, 3)).sum(0)
    return result.reshape((y.shape[1], inputs.shape[2], *size)).astype(x.dtype)


def _forward_signature(x: Any, w: Any, *, size: Shape, **params: Any) -> Signature:
    return (((x.shape[0], w.shape[0], *size), x.dtype),)


def _transposed_signature(y: Any, w: Any, *, groups: int, size: Shape, **params: Any) -> Signature:
    return (((y.shape[0], groups * w.shape[1], *size), y.dtype),)


def _weight_signature(x: Any, y: Any, *, groups: int, size: Shape, **params: Any) -> Signature:
    return (((y.shape[1], x.shape[1] // groups, *size), x.dtype),)


def _forward_flops(x: Any, w: Any, *, size: Shape, **params: Any) -> int:
    return 2 * x.shape[0] * prod(w.shape) * prod(size)


def _transposed_flops(y: Any, w: Any, **params: Any) -> int:
    return 2 * y.shape[0] * prod(w.shape) * prod(y.shape[2:])


def _weight_flops(x: Any, y: Any, *, groups: int, size: Shape, **params: Any) -> int:
    return 2 * prod(y.shape) * x.shape[1] // groups * prod(size)


#: Sizes of a convolution: x, w, stride, padding, dilation, groups. The last output may need no more than a part of x.
_SIZES: tuple[tuple[Shape, Shape, Shape, Shape, Shape, int], ...] = (
    ((2, 3, 7), (5, 3, 3), (1,), (1,), (1,), 1),
    ((2, 3, 7, 9), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 4, 11, 8), (6, 2, 3, 2), (2, 3), (2, 0), (1, 2), 2),
    ((2, 7, 5, 21), (19, 7, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((3, 1, 13, 13), (4, 1, 4, 5), (1, 2), (3, 1), (2, 1), 1),
    ((1, 6, 9, 10), (6, 1, 3, 3), (1, 1), (1, 1), (1, 1), 6),
    ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), (2, 1, 1), (1, 1, 0), (1, 1, 2), 1),
    ((2, 35, 6, 7), (9, 35, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((2, 17, 9, 12), (18, 17, 3, 3), (1, 1), (1, 2), (1, 1), 1),
    ((2, 1, 21), (1, 1, 3), (1,), (1,), (1,), 1),
    ((1, 3, 5, 6), (3, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((0, 3, 7), (5, 3, 3), (1,), (1,), (1,), 1),
)


def _examples(which: str) -> tuple[Example, ...]:
    found = []
    for x, w, stride, padding, dilation, groups in _SIZES:
        y = (x[0], w[0], *output_size(x[2:], w[2:], stride, padding, padding, dilation))
        operands, size = {"y": ((x, w), y), "x": ((y, w), x), "w": ((x, y), w)}[which]
        params = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "size": size[2:]}
        found.append(Example(tuple(map(Operand, operands)), params))
    return tuple(found)


def output_size(
    places: Shape, taps: Shape, stride: Shape, before: Shape, after: Shape, dilation: Shape
) -> tuple[int, ...]:
    """The places of the result for an input of so many `places`, with zeros `before` and `after` them."""
    axes = zip(places, taps, stride, before, after, dilation, strict=True)
    return tuple((n + a + b - d * (t - 1) - 1) // s + 1 for n, t, s, a, b, d in axes)


CONVOLVE = Primitive(
    "convolve", _forward, _forward_signature, _forward_flops,
    strided=True, kinds="f", examples=_examples("y"), family="convolution",
)  # fmt: skip
CONVOLVE_TRANSPOSED = Primitive(
    "convolve_transposed", _transposed, _transposed_signature, _transposed_flops,
    strided=True, kinds="f", examples=_examples("x"), family="convolution",
)  # fmt: skip
CONVOLVE_WEIGHTS = Primitive(
    "convolve_weights", _weight_gradient, _weight_signature, _weight_flops,
    strided=True, kinds="f", examples=_examples("w"), family="convolution",
)  # fmt: skip


# -- the operations ---------------------------------------------------------------------------------


class _Convolution(Op):
    """One of the three; `size` are the places, or the taps, of its result."""

    primitive: Primitive

    def __init__(self, stride: Shape, padding: Shape, dilation: Shape, groups: int, size: Shape) -> None:
        self.shared = (stride, padding, dilation, groups)
        self.size = size

    def compute(self, a: NDArray, b: NDArray) -> NDArray:
        stride, padding, dilation, groups = self.shared
        return a.run(
            self.primitive, b, stride=stride, padding=padding, dilation=dilation, groups=groups, size=self.size
        )

    def __repr__(self) -> str:
        stride, padding, dilation, groups = self.shared
        return f"{self.name}(stride={stride}, padding={padding}, dilation={dilation}, groups={groups})"


class Convolve(_Convolution):
    """y from x and w."""

    name = "convolve"
    primitive = CONVOLVE

    def vjp(self, index: int, grad: Any, output: Any, x: Any, w: Any) -> Any:
        if index == 0:
            return ConvolveTransposed(*self.shared, x.shape[2:])(grad, w)
        return ConvolveWeights(*self.shared, w.shape[2:])(x, grad)


class ConvolveTransposed(_Convolution):
    """x from y and w: the gradient of `Convolve` with respect to x."""

    name = "convolve_transposed"
    primitive = CONVOLVE_TRANSPOSED

    def vjp(self, index: int, grad: Any, output: Any, y: Any, w: Any) -> Any:
        if index == 0:
            return Convolve(*self.shared, y.shape[2:])(grad, w)
        return ConvolveWeights(*self.shared, w.shape[2:])(grad, y)


class ConvolveWeights(_Convolution):
    """w from x and y: the gradient of `Convolve` with respect to w."""

    name = "convolve_weights"
    primitive = CONVOLVE_WEIGHTS

    def vjp(self, index: int, grad: Any, output: Any, x: Any, y: Any) -> Any:
        if index == 0:
            return ConvolveTransposed(*self.shared, x.shape[2:])(y, grad)
        return Convolve(*self.shared, y.shape[2:])(x, grad)


# -- the functions ----------------------------------------------------------------------------------


def convolution(
    x: Tensor, weight: Tensor, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape, groups: int = 1
) -> Tensor:
    """The cross-correlation of `x` with `weight`, which neural networks call convolution.

    `x` is (N, G * C, *places) with one to three axes of places, `weight` (G * K, C, *taps), the result
    (N, G * K, *outputs), G being the number of `groups`. `stride`, `dilation` and `padding`, the numbers of zeros
    before and after the places, have an entry for each axis. Raises ValueError, naming the argument, for sizes that do
    not fit, TypeError for what is no float.
    """
    x, weight = _operands("convolution", x, weight)
    axes = _check_ranks("convolution", x, weight, stride, padding, dilation)
    _check_groups("convolution", x.shape[1], weight.shape, groups, transposed=False)
    before, after = tuple(p[0] for p in padding), tuple(p[1] for p in padding)
    size = output_size(x.shape[2:], weight.shape[2:], stride, before, after, dilation)
    for axis in range(axes):
        reach, there = dilation[axis] * (weight.shape[2 + axis] - 1) + 1, x.shape[2 + axis] + sum(padding[axis])
        if weight.shape[2 + axis] < 1 or reach > there:
            raise ValueError(
                f"convolution: weight={weight.shape} has a kernel that reaches over {reach} places of axis {2 + axis}; "
                f"it must reach over at least 1, and no more than the {there} of the padded input"
            )
    return Convolve(stride, before, dilation, groups, size)(x, weight)


def convolution_transposed(
    y: Tensor, weight: Tensor, stride: Shape, padding: Shape, extra: Shape, dilation: Shape, groups: int = 1
) -> Tensor:
    """The gradient of `convolution` with respect to its input, as an operation of its own.

    `y` is (N, G * K, *places), `weight` (G * K, C, *taps); the result is (N, G * C, *outputs), with `extra` places at
    the end of each axis beyond the smallest that a convolution would make `y` of. Raises what `convolution` does.
    """
    y, weight = _operands("convolution_transposed", y, weight)
    axes = _check_ranks("convolution_transposed", y, weight, stride, padding, dilation)
    _check_groups("convolution_transposed", y.shape[1], weight.shape, groups, transposed=True)
    size = tuple(
        (y.shape[2 + a] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (weight.shape[2 + a] - 1) + 1 + extra[a]
        for a in range(axes)
    )
    if min(size) < 1 or min(weight.shape[2:]) < 1:
        raise ValueError(
            f"convolution_transposed: the result of input {y.shape}, weight {weight.shape} and padding={padding} would "
            f"have sizes {size}; each must be at least 1"
        )
    return ConvolveTransposed(stride, padding, dilation, groups, size)(y, weight)


def _operands(name: str, x: Any, weight: Any) -> tuple[Any, Any]:
    """Both in their common floating dtype."""
    x, weight = as_operands(name, (x, weight))
    for argument, tensor in (("input", x), ("weight", weight)):
        if not is_float(getattr(tensor, "dtype", np.dtype(bool))):
            kind = getattr(tensor, "dtype", type(tensor).__name__)
            raise TypeError(f"{name}: {argument} must be a tensor of a floating dtype, not of {kind}")
    if x.dtype != weight.dtype:
        dtype = promote(x.dtype, weight.dtype)
        x, weight = astype(x, dtype), astype(weight, dtype)
    return x, weight


def _check_ranks(name: str, x: Any, weight: Any, *per_axis: tuple[Any, ...]) -> int:
    """The number of axes of places. Raises ValueError unless all arguments are made for it."""
    axes = len(x.shape) - 2
    if not 1 <= axes <= 3:
        raise ValueError(f"{name}: input must be (N, C, ...) with one to three further axes; its shape is {x.shape}")
    if len(weight.shape) != axes + 2 or any(len(values) != axes for values in per_axis):
        raise ValueError(f"{name}: input {x.shape} and weight {weight.shape} must have equally many axes")
    return axes


def _check_groups(name: str, channels: int, weight: Shape, groups: int, *, transposed: bool) -> None:
    if groups < 1 or channels % groups or weight[0] % groups:
        raise ValueError(f"{name}: groups={groups} must divide the {channels} channels of the input and the first size "
                         f"of weight {weight}")  # fmt: skip
    expected = weight[0] if transposed else weight[1] * groups
    if channels != expected:
        raise ValueError(f"{name}: weight of shape {weight} with groups={groups} needs input of {expected} channels; "
                         f"it has {channels}")  # fmt: skip
