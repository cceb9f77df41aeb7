"""Recurrent layers: every step of a vanilla RNN, an LSTM or a GRU in one operation.

The products of the inputs come first, as one product of all steps; here is what remains, step by step.
`cl/recurrent.cl` has the formulas, which are PyTorch's. They are written out once below, in functions that NumPy's
arrays and needle's tensors take alike: the reference of the kernels, and the gradients that are differentiated
themselves.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Op, Value, is_grad_enabled
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import DType, Shape, compute_dtype, int32
from needle.ops.activation import sigmoid
from needle.ops.comparison import where
from needle.ops.creation import zeros
from needle.ops.matmul import matmul
from needle.ops.reductions import sum as sum_of
from needle.ops.shape import concat, reshape, stack, transpose
from needle.ops.trigonometric import tanh

__all__: list[str] = []

Signature = tuple[tuple[Shape, DType], ...]

#: The gates of a unit, and what is saved of it at each step.
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
SLOTS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 4}


# -- the formulas -----------------------------------------------------------------------------------


class _OfNumPy:
    """The functions that the formulas need, on NumPy's arrays."""

    where = staticmethod(np.where)
    tanh = staticmethod(np.tanh)

    @staticmethod
    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    @staticmethod
    def product(x: Any, y: Any) -> Any:
        return x @ y

    @staticmethod
    def transposed(x: Any) -> Any:
        return x.T

    @staticmethod
    def joined(parts: list[Any]) -> Any:
        return np.concatenate(parts, axis=-1)

    @staticmethod
    def stacked(parts: list[Any], shape: Shape, like: Any) -> Any:
        return np.stack(parts) if parts else np.zeros((0, *shape), like.dtype)


class _OfNeedle:
    """The same on needle's tensors and arrays."""

    where = staticmethod(where)
    tanh = staticmethod(tanh)
    sigmoid = staticmethod(sigmoid)
    product = staticmethod(matmul)
    transposed = staticmethod(transpose)

    @staticmethod
    def joined(parts: list[Any]) -> Any:
        return concat(parts, axis=-1)

    @staticmethod
    def stacked(parts: list[Any], shape: Shape, like: Any) -> Any:
        return stack(parts) if parts else zeros((0, *shape), like.dtype, like.device)


def _parts(x: Any, count: int) -> list[Any]:
    size = x.shape[-1] // count
    return [x[..., i * size : (i + 1) * size] for i in range(count)]


def _step(xp: Any, cell: str, x: Any, w: Any, b_x: Any, b_h: Any, h: Any, c: Any) -> tuple[Any, Any, list[Any]]:
    """The states after a step, and what is saved of it."""
    by_h = xp.product(h, xp.transposed(w)) + b_h
    if cell == "gru":
        (x_r, x_z, x_n), (h_r, h_z, m) = _parts(x + b_x, 3), _parts(by_h, 3)
        r, z = xp.sigmoid(x_r + h_r), xp.sigmoid(x_z + h_z)
        n = xp.tanh(x_n + r * m)
        return (1 - z) * n + z * h, None, [r, z, n, m]
    sums = x + b_x + by_h
    if cell == "lstm":
        s_i, s_f, s_g, s_o = _parts(sums, 4)
        i, f, g, o = xp.sigmoid(s_i), xp.sigmoid(s_f), xp.tanh(s_g), xp.sigmoid(s_o)
        c = f * c + i * g
        return o * xp.tanh(c), c, [i, f, g, o]
    h = xp.tanh(sums) if cell == "rnn_tanh" else xp.where(sums < 0, 0.0, sums)
    return h, None, [h]


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _over(lengths: Any, t: int) -> Any:
    """For each row, whether it is over at step t: a column of bools; None where none can be."""
    return None if lengths is None else (lengths <= t)[:, None]


def _forward(
    xp: Any, cell: str, reverse: bool, x: Any, w: Any, b_x: Any, b_h: Any, h: Any, c: Any, lengths: Any
) -> tuple[list[Any], list[Any], list[list[Any]]]:
    """The states and what is saved, each by its place in memory."""
    steps = x.shape[0]
    hs, cs, saved = [h] * (steps + 1), [c] * (steps + 1), [[h]] * steps
    for t in _order(steps, reverse):
        before, after = (t + 1, t) if reverse else (t, t + 1)
        h, c, saved[t] = _step(xp, cell, x[t], w, b_x, b_h, hs[before], cs[before])
        over = _over(lengths, t)
        hs[after] = h if over is None else xp.where(over, hs[before], h)
        cs[after] = c if over is None or c is None else xp.where(over, cs[before], c)
    return hs, cs, saved


def _backward(
    xp: Any, cell: str, reverse: bool, w: Any, hs: Any, cs: Any, saved: Any, lengths: Any, dh: Any, dc: Any
) -> tuple[list[Any], list[Any], Any, Any]:
    """The gradients of the products of the inputs and of the states, of the first h and of the first c."""
    steps = len(saved)
    by_x: list[Any] = [None] * steps
    by_m: list[Any] = [None] * steps
    zero = hs[0] * 0
    carried, carried_c = zero, zero
    for t in reversed(_order(steps, reverse)):
        before, after = (t + 1, t) if reverse else (t, t + 1)
        over = _over(lengths, t)
        by_h = carried + dh[after]
        grad = by_h if over is None else xp.where(over, 0.0, by_h)
        direct = zero
        if cell == "lstm":
            i, f, g, o = saved[t]
            by_c = carried_c + dc[after]
            y = xp.tanh(f * cs[before] + i * g)
            live = by_c if over is None else xp.where(over, 0.0, by_c)
            of_c = live + grad * o * (1 - y * y)
            parts = [
                of_c * g * (i * (1 - i)), of_c * cs[before] * (f * (1 - f)), of_c * i * (1 - g * g),
                grad * y * (o * (1 - o)),
            ]  # fmt: skip
            by_x[t] = by_m[t] = xp.joined(parts)
            carried_c = of_c * f if over is None else xp.where(over, by_c, of_c * f)
        elif cell == "gru":
            r, z, n, m = saved[t]
            slope = grad * (1 - z) * (1 - n * n)
            first = [slope * m * (r * (1 - r)), grad * (hs[before] - n) * (z * (1 - z))]
            by_x[t], by_m[t] = xp.joined([*first, slope]), xp.joined([*first, slope * r])
            direct = grad * z
        else:
            y = saved[t][0]
            by_x[t] = by_m[t] = grad * (1 - y * y) if cell == "rnn_tanh" else xp.where(y > 0, grad, 0.0)
        if over is not None:
            direct = xp.where(over, by_h, direct)
        carried = direct + xp.product(by_m[t], w)
    start = steps if reverse else 0
    return by_x, by_m, carried + dh[start], carried_c + dc[start] if cell == "lstm" else None


# -- the primitives ---------------------------------------------------------------------------------


def _unpacked(cell: str, ragged: bool, others: Any) -> tuple[Any, Any, list[Any]]:
    """The state c and the lengths, None where there are none, and what is left of `others`."""
    rest = list(others)
    c = rest.pop(0) if cell == "lstm" else None
    return c, rest.pop() if ragged else None, rest


def _reference(
    x: Any, w: Any, b_x: Any, b_h: Any, h0: Any, *others: Any, cell: str, reverse: bool, ragged: bool
) -> tuple[np.ndarray, ...]:
    c0, lengths, _ = _unpacked(cell, ragged, others)
    dtype = x.dtype
    real = compute_dtype(dtype)
    x, w, b_x, b_h, h0 = (a.astype(real) for a in (x, w, b_x, b_h, h0))
    c0 = None if c0 is None else c0.astype(real)
    with np.errstate(all="ignore"):
        hs, cs, saved = _forward(_OfNumPy, cell, reverse, x, w, b_x, b_h, h0, c0, lengths)
    gates = [np.concatenate(parts, axis=-1) for parts in saved]
    of_gates = _OfNumPy.stacked(gates, (h0.shape[0], SLOTS[cell] * h0.shape[1]), h0)
    states = (np.stack(hs), np.stack(cs)) if cell == "lstm" else (np.stack(hs),)
    return tuple(a.astype(dtype) for a in (*states, of_gates))


def _gradient_reference(w: Any, h: Any, *others: Any, cell: str, reverse: bool, ragged: bool) -> tuple[np.ndarray, ...]:
    rest = list(others)
    c = rest.pop(0) if cell == "lstm" else None
    gates = rest.pop(0)
    lengths = rest.pop(0) if ragged else None
    dtype = h.dtype
    real = compute_dtype(dtype)
    dh, dc = rest[0].astype(real), rest[1].astype(real) if cell == "lstm" else None
    w, h, gates = (a.astype(real) for a in (w, h, gates))
    saved = [_parts(step, SLOTS[cell]) for step in gates]
    c = None if c is None else c.astype(real)
    with np.errstate(all="ignore"):
        by_x, by_m, dh0, dc0 = _backward(_OfNumPy, cell, reverse, w, h, c, saved, lengths, dh, dc)
    shape = (h.shape[1], GATES[cell] * h.shape[2])
    of_products = [_OfNumPy.stacked(by_x, shape, h)]
    if cell == "gru":
        of_products.append(_OfNumPy.stacked(by_m, shape, h))
    return tuple(a.astype(dtype) for a in (*of_products, dh0, *(() if dc0 is None else (dc0,))))


def _signature(
    x: Any, w: Any, b_x: Any, b_h: Any, h0: Any, *others: Any, cell: str, reverse: bool, ragged: bool
) -> Signature:
    steps, (batch, size) = x.shape[0], h0.shape
    states = ((steps + 1, batch, size), x.dtype)
    return *(states,) * (2 if cell == "lstm" else 1), ((steps, batch, SLOTS[cell] * size), x.dtype)


def _gradient_signature(w: Any, h: Any, *others: Any, cell: str, reverse: bool, ragged: bool) -> Signature:
    steps, (batch, size) = h.shape[0] - 1, h.shape[1:]
    products = (((steps, batch, GATES[cell] * size), h.dtype),) * (2 if cell == "gru" else 1)
    return *products, *(((batch, size), h.dtype),) * (2 if cell == "lstm" else 1)


def _flops(x: Any, w: Any, *others: Any, **params: Any) -> int:
    return 2 * x.shape[0] * x.shape[1] * prod(w.shape)


def _gradient_flops(w: Any, h: Any, *others: Any, **params: Any) -> int:
    return 2 * (h.shape[0] - 1) * h.shape[1] * prod(w.shape)


#: Of each cell: steps, batch and size, whether it goes in reverse and whether rows have lengths.
_EXAMPLES: dict[str, tuple[tuple[int, int, int, bool, bool], ...]] = {
    "rnn_tanh": ((3, 7, 16, False, True),),
    "rnn_relu": ((3, 7, 16, True, False),),
    "lstm": ((3, 7, 16, True, True), (0, 2, 16, False, False), (2, 3, 5, False, False)),
    "gru": ((3, 7, 16, True, True), (2, 5, 32, False, False)),
}


def _examples(of_gradient: bool) -> tuple[Example, ...]:
    return tuple(_example(of_gradient, cell, *example) for cell, examples in _EXAMPLES.items() for example in examples)


def _example(of_gradient: bool, cell: str, steps: int, batch: int, size: int, reverse: bool, ragged: bool) -> Example:
    gates, is_lstm = GATES[cell], cell == "lstm"
    weight, state = Operand((gates * size, size), low=-1, high=1), Operand((batch, size))
    states = Operand((steps + 1, batch, size))
    lengths = [Operand((batch,), int32, low=1, high=steps + 1)] if ragged else []
    if of_gradient:
        saved = Operand((steps, batch, SLOTS[cell] * size), low=0, high=1)
        operands = [weight, states, *[states] * is_lstm, saved, *lengths, states, *[states] * is_lstm]
    else:
        bias = Operand((1, gates * size))
        operands = [Operand((steps, batch, gates * size)), weight, bias, bias, state, *[state] * is_lstm, *lengths]
    return Example(tuple(operands), {"cell": cell, "reverse": reverse, "ragged": ragged})


RECURRENT = Primitive(
    "recurrent", _reference, _signature, _flops, kinds="f", examples=_examples(False), family="recurrent"
)
RECURRENT_GRADIENT = Primitive(
    "recurrent_gradient", _gradient_reference, _gradient_signature, _gradient_flops, kinds="f",
    examples=_examples(True), family="recurrent",
)  # fmt: skip


# -- the operation ----------------------------------------------------------------------------------


class Recurrence(Op):
    """All steps of one direction of a layer.

    Arguments: the inputs' products (steps, batch, gates * H), weight (gates * H, H), two biases (gates * H,), the first
    state h (batch, H), of an LSTM the first c, and perhaps lengths, int32 (batch,).

    Outputs: the states h (steps + 1, batch, H), of an LSTM the states c too. Going forward state t is the one before
    step t, in reverse the one after it. What the gradient needs is saved.
    """

    name = "recurrence"
    saved = 1

    def __init__(self, cell: str, reverse: bool = False, ragged: bool = False) -> None:
        self.cell = cell
        self.params: dict[str, Any] = {"cell": cell, "reverse": reverse, "ragged": ragged}

    def compute(self, x: NDArray, w: NDArray, b_x: NDArray, b_h: NDArray, *others: NDArray) -> Any:
        return x.run(RECURRENT, w, b_x.reshape(1, -1), b_h.reshape(1, -1), *others, **self.params)

    def gradient(self, out_grad: Any, node: Any) -> Any:
        x, w, b_x, b_h, h0, *others = node.args
        c0, lengths, _ = _unpacked(self.cell, self.params["ragged"], others)
        *states, gates = node.outputs
        grads = [
            zeros(state.shape, state.dtype, state.device) if grad is None else grad
            for grad, state in zip(out_grad, states, strict=False)
        ]
        if is_grad_enabled():
            hs, by_x, by_m, firsts = self._composed(x, w, b_x, b_h, h0, c0, lengths, grads)
        else:
            extra = () if lengths is None else (lengths,)
            found = _RecurrenceGradient(self.params)(w, *states, gates, *extra, *grads)
            hs, by_x = states[0], found[0]
            by_m, firsts = (found[1], found[2:]) if self.cell == "gru" else (found[0], found[1:])
        steps, size = x.shape[0], h0.shape[1]
        before = hs[1:] if self.params["reverse"] else hs[:-1]
        rows = steps * h0.shape[0]
        flat = reshape(by_m, (rows, GATES[self.cell] * size))
        by_w = matmul(transpose(flat), reshape(before, (rows, size)))
        by_b_x = sum_of(by_x, axis=(0, 1))
        by_b_h = by_b_x if self.cell != "gru" else sum_of(by_m, axis=(0, 1))
        gradients = (by_x, by_w, by_b_x, by_b_h, *firsts, None)
        return tuple(g for g, arg in zip(gradients, node.args, strict=False) if isinstance(arg, Value))

    def _composed(
        self, x: Any, w: Any, b_x: Any, b_h: Any, h0: Any, c0: Any, lengths: Any, grads: list[Any]
    ) -> tuple[Any, Any, Any, tuple[Any, ...]]:
        """The states, and the gradients in operations that can be differentiated once more."""
        cell, reverse = self.cell, self.params["reverse"]
        hs, cs, saved = _forward(_OfNeedle, cell, reverse, x, w, b_x, b_h, h0, c0, lengths)
        dh, dc = grads[0], grads[1] if cell == "lstm" else None
        by_x, by_m, dh0, dc0 = _backward(_OfNeedle, cell, reverse, w, hs, cs, saved, lengths, dh, dc)
        shape = x.shape[1:]
        products = (_OfNeedle.stacked(by, shape, x) for by in (by_x, by_m))
        return stack(hs), *products, (dh0,) if dc0 is None else (dh0, dc0)


class _RecurrenceGradient(Op):
    """The gradients of `Recurrence`, in one launch for all steps."""

    name = "recurrence_gradient"

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params

    def compute(self, w: NDArray, *others: NDArray) -> Any:
        return w.run(RECURRENT_GRADIENT, *others, **self.params)
