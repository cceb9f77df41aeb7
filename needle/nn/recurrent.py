"""Recurrent layers and their cells under PyTorch's names, with PyTorch's weights."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from needle import init, ops
from needle.checks import integer, one_of, probability
from needle.dtypes import DTypeLike
from needle.nn import functional as F
from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.ops import creation
from needle.ops.base import check_tensor
from needle.ops.creation import DeviceLike
from needle.ops.recurrent import GATES, Recurrence
from needle.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]


class _WithWeights(Module):
    """What layers and cells share: the cell's kind, the sizes, and the making of parameters."""

    cell: str

    def _sizes(self, input_size: int, hidden_size: int) -> None:
        self.input_size = integer("input_size", input_size)
        self.hidden_size = integer("hidden_size", hidden_size)

    def _make(self, suffix: str, size: int, bias: bool, place: dict[str, Any]) -> None:
        """The parameters of one direction of one layer, for inputs of `size`."""
        rows, bound = GATES[self.cell] * self.hidden_size, 1 / sqrt(self.hidden_size)

        def drawn(*shape: int) -> Parameter:
            return Parameter(init.rand(*shape, low=-bound, high=bound, **place))

        setattr(self, f"weight_ih{suffix}", drawn(rows, size))
        setattr(self, f"weight_hh{suffix}", drawn(rows, self.hidden_size))
        setattr(self, f"bias_ih{suffix}", drawn(rows) if bias else None)
        setattr(self, f"bias_hh{suffix}", drawn(rows) if bias else None)

    def _run(self, suffix: str, x: Tensor, states: tuple[Tensor, ...], lengths: Any, reverse: bool = False) -> Any:
        """The states of one direction of one layer, for x of (steps, batch, size)."""
        w_ih, w_hh = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        b_ih, b_hh = getattr(self, f"bias_ih{suffix}"), getattr(self, f"bias_hh{suffix}")
        if b_ih is None:
            b_ih = b_hh = creation.zeros((w_hh.shape[0],), w_hh.dtype, w_hh.device)
        extra = () if lengths is None else (lengths,)
        op = Recurrence(self.cell, reverse, lengths is not None)
        return op(x @ w_ih.T, w_hh, b_ih, b_hh, *states, *extra)

    def _zeros(self, batch: int, like: Tensor, count: int = 1) -> list[Tensor]:
        return [creation.zeros((batch, self.hidden_size), like.dtype, like.device) for _ in range(count)]

    @property
    def _is_lstm(self) -> bool:
        return self.cell == "lstm"


class _Layers(_WithWeights):
    """Layers one upon another, each in one or two directions."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: DeviceLike,
        dtype: DTypeLike,
    ) -> None:
        self._sizes(input_size, hidden_size)
        self.num_layers = integer("num_layers", num_layers)
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = probability("dropout", dropout)
        self.bidirectional = bidirectional
        self._suffixes = [
            [f"_l{layer}{end}" for end in (("", "_reverse") if bidirectional else ("",))] for layer in range(num_layers)
        ]
        for layer, suffixes in enumerate(self._suffixes):
            size = self.input_size if layer == 0 else self.hidden_size * len(suffixes)
            for suffix in suffixes:
                self._make(suffix, size, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Tensor, hx: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """(output, last states).

        Args:
            input: (steps, batch, input_size), with `batch_first` (batch, steps, input_size); or (steps, input_size).
            hx: the states to begin with, by default zeros: (layers * directions, batch, hidden_size), of an LSTM a pair
                (h, c) of them. Without a batch in `input`, they have none.
            lengths: for each row of the batch the steps that count, from 1 to all, as ints on the host. Later outputs
                are zeros, and the last states are those after the last step that counts: in place of packed sequences.

        Returns: the output is like `input`, of size directions * hidden_size; the last states are like `hx`.

        Raises TypeError for what is no tensor, ValueError for shapes and lengths that do not fit.
        """
        check_tensor(type(self).__name__, "input", input)
        single = input.ndim == 2
        x = ops.expand_dims(input, 1) if single else input
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            raise ValueError(f"{type(self).__name__}: input of shape {input.shape} must have two or three axes, "
                             f"the last of {self.input_size}")  # fmt: skip
        if self.batch_first and not single:
            x = ops.permute_dims(x, (1, 0, 2))
        steps, batch = x.shape[:2]
        states = self._first_states(hx, x, batch, single)
        found = _lengths(lengths, steps, batch)
        device_lengths = None if found is None else creation.asarray(found, device=x.device)
        valid = None
        if found is not None:
            counts = np.arange(steps)[:, None] < found
            valid = creation.asarray(counts[..., None], device=x.device)
        lasts: list[tuple[Tensor, ...]] = []
        for layer, suffixes in enumerate(self._suffixes):
            outputs = []
            for direction, suffix in enumerate(suffixes):
                at = layer * len(suffixes) + direction
                first = tuple(state[at] for state in states)
                reverse = direction == 1
                results = self._run(suffix, x, first, device_lengths, reverse)
                results = results if isinstance(results, tuple) else (results,)
                output = results[0][:-1] if reverse else results[0][1:]
                outputs.append(output if valid is None else ops.where(valid, output, 0.0))
                lasts.append(tuple(result[0 if reverse else steps] for result in results))
            x = outputs[0] if len(outputs) == 1 else ops.concat(outputs, axis=-1)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        last = [ops.stack(list(parts)) for parts in zip(*lasts, strict=True)]
        if single:
            x, last = ops.squeeze(x, 1), [ops.squeeze(state, 1) for state in last]
        elif self.batch_first:
            x = ops.permute_dims(x, (1, 0, 2))
        return x, (last[0], last[1]) if self._is_lstm else last[0]

    def _first_states(self, hx: Any, x: Tensor, batch: int, single: bool) -> list[Any]:
        """The states to begin with, h and of an LSTM c, each with an entry for each direction of each layer."""
        count, names = self.num_layers * (2 if self.bidirectional else 1), ("h", "c") if self._is_lstm else ("h",)
        if hx is None:
            return [self._zeros(batch, x) * count for _ in names]
        given = hx if self._is_lstm else (hx,)
        if not isinstance(given, (tuple, list)) or len(given) != len(names):
            raise ValueError(f"{type(self).__name__}: hx must be a pair (h, c) of states, not a {type(hx).__name__}")
        shape = (count, self.hidden_size) if single else (count, batch, self.hidden_size)
        for name, state in zip(names, given, strict=True):
            if state.shape != shape:
                raise ValueError(f"{type(self).__name__}: the state {name} of shape {state.shape} must have the shape "
                                 f"{shape}")  # fmt: skip
        return [ops.expand_dims(state, 1) if single else state for state in given]

    def extra_repr(self) -> str:
        options = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        options += ", bidirectional=True" if self.bidirectional else ""
        return f"{self.input_size}, {self.hidden_size}{options}, batch_first={self.batch_first}"


def _lengths(lengths: Any, steps: int, batch: int) -> np.ndarray | None:
    """The lengths as int32; None if they are not given."""
    if lengths is None:
        return None
    found = np.asarray(lengths.numpy() if hasattr(lengths, "numpy") else lengths)
    if found.shape != (batch,) or found.dtype.kind not in "iu":
        raise ValueError(f"lengths of shape {found.shape} and dtype {found.dtype} must be {batch} ints, one a row")
    if batch and not 1 <= found.min() <= found.max() <= steps:
        raise ValueError(f"lengths={found.tolist()} must be from 1 to {steps}, the steps of the input")
    return found.astype(np.int32)


class RNN(_Layers):
    """h' = tanh(W x + b + U h + d), step by step (Elman 1990). See `forward` for inputs and results.

    Args:
        input_size: the size of the inputs' last axis.
        hidden_size: the size of the state h.
        num_layers: layers, each of which has the output of the one below as its input.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: whether inputs and outputs are (batch, steps, size).
        dropout: the probability of dropout between layers while training.
        bidirectional: whether there is a second direction from the last step to the first; outputs are side by side.
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: of layer 0, as in PyTorch (gates * hidden_size, size); `_l1`
            and so on; `_reverse` of the second direction. Uniform up to 1 / sqrt(hidden_size) at first.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        one_of("nonlinearity", nonlinearity, ("tanh", "relu"))
        self.nonlinearity = nonlinearity
        self.cell = f"rnn_{nonlinearity}"
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        )  # fmt: skip


class _Gated(_Layers):
    """Layers of cells with gates."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        )  # fmt: skip


class LSTM(_Gated):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    The arguments are those of `RNN` without `nonlinearity`; the states are a pair (h, c).
    """

    cell = "lstm"


class GRU(_Gated):
    """Gated recurrent units (Cho et al. 2014), the reset gate after the product as in PyTorch.

    The arguments are those of `RNN` without `nonlinearity`.
    """

    cell = "gru"


class _Cell(_WithWeights):
    """One step of a recurrent layer."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:  # fmt: skip
        self._sizes(input_size, hidden_size)
        self.bias = bias
        self._make("", self.input_size, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The state after a step: h of (batch, hidden_size), of an LSTM a pair (h, c).

        `input` is (batch, input_size) or (input_size,), and `hx` like the result, by default zeros. Raises TypeError
        for what is no tensor, ValueError for shapes that do not fit.
        """
        check_tensor(type(self).__name__, "input", input)
        single = input.ndim == 1
        x = ops.expand_dims(input, 0) if single else input
        if x.ndim != 2 or x.shape[-1] != self.input_size:
            raise ValueError(f"{type(self).__name__}: input of shape {input.shape} must be (batch, {self.input_size})")
        count = 2 if self._is_lstm else 1
        if hx is None:
            states = self._zeros(x.shape[0], x, count)
        else:
            states = [ops.expand_dims(s, 0) if single else s for s in (hx if self._is_lstm else (hx,))]
        for state in states:
            if state.shape != (x.shape[0], self.hidden_size):
                raise ValueError(f"{type(self).__name__}: a state of shape {state.shape} must have the shape "
                                 f"{(x.shape[0], self.hidden_size)}")  # fmt: skip
        results = self._run("", ops.expand_dims(x, 0), tuple(states), None)
        last = [result[1] for result in (results if isinstance(results, tuple) else (results,))]
        last = [ops.squeeze(state, 0) for state in last] if single else last
        return (last[0], last[1]) if self._is_lstm else last[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, bias={self.bias}"


class RNNCell(_Cell):
    """A step of an `RNN`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: DeviceLike = None, dtype: DTypeLike = "float32",
    ) -> None:  # fmt: skip
        one_of("nonlinearity", nonlinearity, ("tanh", "relu"))
        self.nonlinearity = nonlinearity
        self.cell = f"rnn_{nonlinearity}"
        super().__init__(input_size, hidden_size, bias, device, dtype)


class LSTMCell(_Cell):
    """A step of an `LSTM`."""

    cell = "lstm"


class GRUCell(_Cell):
    """A step of a `GRU`."""

    cell = "gru"
