"""NumPy, with SciPy's erf. Its float64 results are the reference that every library is checked against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import numpy as np
from scipy.special import erf

from benchmarks import by_hand
from benchmarks.peers.base import Function, Library
from needle.ops.convolution import CONVOLVE, CONVOLVE_TRANSPOSED, CONVOLVE_WEIGHTS, output_size


class NumPy(Library):
    """NumPy as it comes; gradients are written by hand."""

    name = "numpy"
    version = np.__version__

    def __init__(self) -> None:
        self._warm: dict[tuple[int, ...], np.ndarray] = {}

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> np.ndarray:
        return array.copy()

    def numpy(self, tensor: Any) -> np.ndarray:
        return np.array(tensor)

    def upload(self, array: np.ndarray) -> np.ndarray:
        """One memcpy into warm memory: what a copy costs at least."""
        warm = self._warm.get(array.shape)
        if warm is None:
            warm = self._warm[array.shape] = np.zeros_like(array)
        np.copyto(warm, array)
        return warm

    def download(self, tensor: Any) -> np.ndarray:
        return self.upload(tensor)

    matmul = staticmethod(np.matmul)
    exp = staticmethod(np.exp)
    tanh = staticmethod(np.tanh)
    erf = staticmethod(erf)
    sqrt = staticmethod(np.sqrt)
    where = staticmethod(np.where)
    sum = staticmethod(np.sum)
    mean = staticmethod(np.mean)
    max = staticmethod(np.max)
    var = staticmethod(np.var)
    contiguous = staticmethod(np.ascontiguousarray)
    softmax = staticmethod(by_hand.softmax)
    log_softmax = staticmethod(by_hand.log_softmax)

    @staticmethod
    def convolve(x: np.ndarray, w: np.ndarray, **sizes: int) -> np.ndarray:
        return CONVOLVE.reference(x, w, size=_outputs(x, w, **sizes), **_params(**sizes))

    @staticmethod
    def convolve_transposed(y: np.ndarray, w: np.ndarray, places: tuple[int, ...], **sizes: int) -> np.ndarray:
        return CONVOLVE_TRANSPOSED.reference(y, w, size=places, **_params(**sizes))

    @staticmethod
    def convolve_weights(x: np.ndarray, y: np.ndarray, taps: tuple[int, ...], **sizes: int) -> np.ndarray:
        return CONVOLVE_WEIGHTS.reference(x, y, size=taps, **_params(**sizes))

    @staticmethod
    def max_pool(x: np.ndarray) -> np.ndarray:
        return _boxes(x).max((3, 5))

    @staticmethod
    def avg_pool(x: np.ndarray) -> np.ndarray:
        return _boxes(x).mean((3, 5))

    @staticmethod
    def relu(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    @staticmethod
    def cross_entropy(x: np.ndarray, y: np.ndarray) -> Any:
        return by_hand.cross_entropy_gradient(x, y)[0]

    @staticmethod
    def take(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return table[ids]

    sort = staticmethod(np.sort)
    cumulative_sum = staticmethod(np.cumsum)
    unique = staticmethod(np.unique)
    bincount = staticmethod(np.bincount)

    @staticmethod
    def argsort(x: np.ndarray) -> np.ndarray:
        return np.argsort(x, kind="stable")

    @staticmethod
    def topk(x: np.ndarray, k: int) -> np.ndarray:
        places = np.argpartition(x, x.size - k)[-k:]
        return np.sort(x[places])[::-1]

    @staticmethod
    def to_int32(x: np.ndarray) -> np.ndarray:
        return x.astype(np.int32)

    def recurrent(self, kind: str, w_ih: np.ndarray, w_hh: np.ndarray, gradient: bool) -> Function:
        def run(x: np.ndarray, g: np.ndarray | None = None) -> Any:
            return by_hand.recurrent(kind, x, w_ih.astype(x.dtype), w_hh.astype(x.dtype), g)

        return run

    def optimizer(self, kind: str, parameters: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> Function:
        params = [p.copy() for p in parameters]
        update = _UPDATES[kind](params)

        def step() -> list[np.ndarray]:
            update(grads)
            return [params[0], params[-1]]

        return step

    def network_trainer(self, make: Callable[[Any], Any], weights: Sequence[np.ndarray]) -> Function:
        """By needle's layers on its reference device, in float64: for the values; nobody writes this by hand."""
        from benchmarks.peers import needle

        library = needle.open_library("numpy")
        step = library.network_trainer(make, weights, dtype="float64")
        return lambda x, y: library.numpy(step(library.tensor(x), library.tensor(y)))

    def trainer(self, weights: Sequence[np.ndarray]) -> Function:
        params = [p for w in weights for p in (w.copy(), np.zeros(w.shape[1], w.dtype))]
        update = Adam(params)

        def step(x: np.ndarray, y: np.ndarray) -> Any:
            activations = []
            for i, (w, b) in enumerate(zip(params[::2], params[1::2], strict=True)):
                activations.append(np.maximum(x, 0) if i else x)
                x = activations[-1] @ w + b
            loss, g = by_hand.cross_entropy_gradient(x, y)
            grads: list[np.ndarray] = []
            for i in reversed(range(len(weights))):
                grads[:0] = [activations[i].T @ g, g.sum(axis=0)]
                if i:
                    g = (g @ params[2 * i].T) * (activations[i] > 0)
            update(grads)
            return loss

        return step


class Momentum:
    """SGD with momentum 0.9."""

    def __init__(self, params: Sequence[np.ndarray]) -> None:
        self.params = params
        self.u = [np.zeros_like(p) for p in params]

    def __call__(self, grads: Sequence[np.ndarray]) -> None:
        for p, u, g in zip(self.params, self.u, grads, strict=True):
            u *= 0.9
            u += g
            p -= 0.01 * u


class Adam:
    """Adam; with a decay AdamW."""

    def __init__(self, params: Sequence[np.ndarray], decay: float = 0.0) -> None:
        self.params, self.decay, self.t = params, decay, 0
        self.m = [np.zeros_like(p) for p in params]
        self.v = [np.zeros_like(p) for p in params]

    def __call__(self, grads: Sequence[np.ndarray]) -> None:
        self.t += 1
        size, root = 0.001 / (1 - 0.9**self.t), sqrt(1 - 0.999**self.t)
        for p, m, v, g in zip(self.params, self.m, self.v, grads, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            if self.decay:
                p *= 1 - 0.001 * self.decay
            p -= size * m / (np.sqrt(v) / root + 1e-8)


_UPDATES: dict[str, Any] = {"sgd": Momentum, "adam": Adam, "adamw": lambda params: Adam(params, 0.01)}


def open_library(device: str) -> NumPy:
    """NumPy, whatever the device: it computes on the host."""
    return NumPy()


def _params(stride: int, pad: int, groups: int) -> dict[str, Any]:
    """The parameters of needle's references, whose implementation in NumPy is the one to compare with."""
    return {"stride": (stride,) * 2, "padding": (pad,) * 2, "dilation": (1, 1), "groups": groups}


def _outputs(x: np.ndarray, w: np.ndarray, stride: int, pad: int, groups: int) -> tuple[int, ...]:
    return output_size(x.shape[2:], w.shape[2:], (stride,) * 2, (pad,) * 2, (pad,) * 2, (1, 1))


def _boxes(x: np.ndarray) -> np.ndarray:
    n, c, height, width = x.shape
    return x.reshape(n, c, height // 2, 2, width // 2, 2)
