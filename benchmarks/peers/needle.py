"""needle, through its public names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

import needle as ndl
from benchmarks.peers.base import Function, Library
from needle import nn, optim
from needle.nn import functional as F
from needle.ops.convolution import ConvolveTransposed, ConvolveWeights


class Needle(Library):
    """needle on one device. Work is submitted without waiting; `wait` waits once, at the end of a sample."""

    name = "needle"
    version = ndl.__version__

    def __init__(self, device: str) -> None:
        self.device = ndl.device(device)

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> ndl.Tensor:
        # A copy: needle may share the memory of an array that it is given.
        return ndl.asarray(array.copy(), device=self.device, requires_grad=requires_grad).realize()

    def numpy(self, tensor: Any) -> np.ndarray:
        return np.array(tensor.numpy())

    def compute(self, outputs: Sequence[ndl.Tensor]) -> None:
        for output in outputs:
            output.realize()

    def wait(self) -> None:
        self.device.synchronize()

    def inference(self) -> AbstractContextManager[Any]:
        return ndl.no_grad()

    def upload(self, array: np.ndarray) -> ndl.Tensor:
        return ndl.asarray(array, device=self.device)

    def download(self, tensor: ndl.Tensor) -> np.ndarray:
        return tensor.numpy()

    matmul = staticmethod(ndl.matmul)
    exp = staticmethod(ndl.exp)
    tanh = staticmethod(ndl.tanh)
    erf = staticmethod(ndl.erf)
    sqrt = staticmethod(ndl.sqrt)
    relu = staticmethod(ndl.relu)
    where = staticmethod(ndl.where)
    sum = staticmethod(ndl.sum)
    mean = staticmethod(ndl.mean)
    max = staticmethod(ndl.max)
    var = staticmethod(ndl.var)
    softmax = staticmethod(ndl.softmax)
    log_softmax = staticmethod(ndl.log_softmax)
    cross_entropy = staticmethod(F.cross_entropy)
    sort = staticmethod(ndl.sort)
    argsort = staticmethod(ndl.argsort)
    cumulative_sum = staticmethod(ndl.cumulative_sum)
    unique = staticmethod(ndl.unique_values)
    bincount = staticmethod(ndl.bincount)

    @staticmethod
    def topk(x: ndl.Tensor, k: int) -> ndl.Tensor:
        return ndl.topk(x, k)[0]

    @staticmethod
    def take(table: ndl.Tensor, ids: ndl.Tensor) -> ndl.Tensor:
        return ndl.take(table, ids, axis=0)

    @staticmethod
    def to_int32(x: ndl.Tensor) -> ndl.Tensor:
        return x.astype(ndl.int32)

    @staticmethod
    def contiguous(x: ndl.Tensor) -> ndl.Tensor:
        return ndl.asarray(x, copy=True)

    @staticmethod
    def attention(q: ndl.Tensor, k: ndl.Tensor, v: ndl.Tensor, causal: bool) -> ndl.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def recurrent(self, kind: str, w_ih: np.ndarray, w_hh: np.ndarray, gradient: bool) -> Function:
        make = nn.LSTM if kind == "lstm" else nn.GRU
        layer = make(w_ih.shape[1], w_hh.shape[1], bias=False, device=self.device)
        weights = layer.parameters()
        for parameter, w in zip(weights, (w_ih, w_hh), strict=True):
            parameter.data = self.tensor(w)

        def run(x: ndl.Tensor, g: ndl.Tensor | None = None) -> Any:
            if not gradient:
                with ndl.no_grad():
                    return layer(x)[0]
            leaf = ndl.asarray(x, requires_grad=True)
            y = layer(leaf)[0]
            return y, *self.gradients(y, g, (leaf, *weights))

        return run

    @staticmethod
    def convolve(x: ndl.Tensor, w: ndl.Tensor, stride: int, pad: int, groups: int) -> ndl.Tensor:
        return F.conv2d(x, w, None, stride, pad, 1, groups)

    @staticmethod
    def convolve_transposed(
        y: ndl.Tensor, w: ndl.Tensor, places: tuple[int, ...], stride: int, pad: int, groups: int
    ) -> ndl.Tensor:
        return ConvolveTransposed((stride,) * 2, (pad,) * 2, (1, 1), groups, places)(y, w)

    @staticmethod
    def convolve_weights(
        x: ndl.Tensor, y: ndl.Tensor, taps: tuple[int, ...], stride: int, pad: int, groups: int
    ) -> ndl.Tensor:
        return ConvolveWeights((stride,) * 2, (pad,) * 2, (1, 1), groups, taps)(x, y)

    @staticmethod
    def max_pool(x: ndl.Tensor) -> ndl.Tensor:
        result: ndl.Tensor = F.max_pool2d(x, 2)
        return result

    @staticmethod
    def avg_pool(x: ndl.Tensor) -> ndl.Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def batch_norm(x: ndl.Tensor, w: ndl.Tensor, b: ndl.Tensor) -> ndl.Tensor:
        return F.batch_norm(x, None, None, w, b, True)

    @staticmethod
    def group_norm(x: ndl.Tensor, w: ndl.Tensor, b: ndl.Tensor) -> ndl.Tensor:
        return F.group_norm(x, 8, w, b)

    def gradients(
        self, output: ndl.Tensor, seed: ndl.Tensor | None, inputs: Sequence[ndl.Tensor]
    ) -> Sequence[ndl.Tensor]:
        output.backward(seed)
        found = [x.grad for x in inputs]
        for x in inputs:
            x.grad = None
        return found

    def optimizer(self, kind: str, parameters: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> Function:
        params = [self.tensor(p, requires_grad=True) for p in parameters]
        for param, grad in zip(params, grads, strict=True):
            param.grad = self.tensor(grad)
        update = _optimizer(kind, params)

        def step() -> list[ndl.Tensor]:
            update.step()
            return [params[0], params[-1]]

        return step

    def network_trainer(
        self, make: Callable[[Any], Any], weights: Sequence[np.ndarray], dtype: str = "float32"
    ) -> Function:
        with self.device:
            model: nn.Module = make(nn).to(dtype=dtype)
        left = list(weights)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.data = self.tensor(np.zeros(parameter.shape, dtype))
            elif parameter.ndim > 1:
                w = left.pop(0).astype(dtype)
                parameter.data = self.tensor(w if w.ndim > 2 else w.T)  # a Linear keeps its weight as (in, out)
        return self._training(model)

    def trainer(self, weights: Sequence[np.ndarray]) -> Function:
        return self._training(self.mlp(weights))

    @staticmethod
    def _training(model: nn.Module) -> Function:
        update = optim.Adam(model.parameters(), lr=0.001)

        def step(x: ndl.Tensor, y: ndl.Tensor) -> ndl.Tensor:
            loss = F.cross_entropy(model(x), y)
            update.zero_grad()
            loss.backward()
            update.step()
            return loss

        return step

    def mlp(self, weights: Sequence[np.ndarray]) -> nn.Module:
        """An MLP with these weights, ReLU between them, and biases of zero."""
        layers: list[nn.Module] = []
        for w in weights:
            linear = nn.Linear(w.shape[0], w.shape[1], device=self.device)
            linear.weight.data = self.tensor(w)
            assert linear.bias is not None
            linear.bias.data = self.tensor(np.zeros(linear.bias.shape, w.dtype))
            layers += [linear, nn.ReLU()]
        return nn.Sequential(*layers[:-1])


def _optimizer(kind: str, params: list[ndl.Tensor]) -> optim.Optimizer:
    if kind == "sgd":
        return optim.SGD(params, lr=0.01, momentum=0.9)
    return optim.Adam(params, lr=0.001) if kind == "adam" else optim.AdamW(params, lr=0.001, weight_decay=0.01)


def open_library(device: str) -> Needle:
    """needle on its device of this name."""
    return Needle(device)
