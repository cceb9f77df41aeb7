"""PyTorch on the CPU, at its best: all cores, contiguous inputs, no gradients recorded where none are needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import needle as ndl
from benchmarks.peers.base import Function, Library, UnavailableError

TRIALS = 10  # of each kind of optimiser, in turns, to find the faster


class Torch(Library):
    """Eager PyTorch. Optimisers are the fused or the foreach ones, whichever is the faster in the case."""

    name = "torch"
    compares = True  # whether the faster of two ways is looked for
    version = torch.__version__

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self.note = f"{threads} threads"

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> torch.Tensor:
        tensor = torch.from_numpy(array).clone()
        if tensor.dtype == torch.int32:  # its labels and ids
            return tensor.long()
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=_layout(tensor.shape[1]))
        return tensor.requires_grad_() if requires_grad else tensor

    def numpy(self, tensor: Any) -> np.ndarray:
        return np.array(tensor.detach().numpy())

    def inference(self) -> AbstractContextManager[Any]:
        return torch.inference_mode()

    def upload(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array)

    def download(self, tensor: torch.Tensor) -> np.ndarray:
        return tensor.numpy()

    matmul = staticmethod(torch.matmul)
    exp = staticmethod(torch.exp)
    tanh = staticmethod(torch.tanh)
    erf = staticmethod(torch.erf)
    sqrt = staticmethod(torch.sqrt)
    relu = staticmethod(torch.relu)
    where = staticmethod(torch.where)
    contiguous = staticmethod(torch.Tensor.contiguous)

    @staticmethod
    def sum(x: torch.Tensor, axis: int | None = None, keepdims: bool = False) -> torch.Tensor:
        return torch.sum(x, dim=axis, keepdim=keepdims)

    @staticmethod
    def mean(x: torch.Tensor, axis: int | None = None, keepdims: bool = False) -> torch.Tensor:
        return torch.mean(x, dim=axis, keepdim=keepdims)

    @staticmethod
    def max(x: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        return torch.max(x) if axis is None else torch.amax(x, dim=axis)

    @staticmethod
    def var(x: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        return torch.var(x, dim=axis, correction=0)

    @staticmethod
    def softmax(x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x, -1)

    @staticmethod
    def log_softmax(x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(x, -1)

    @staticmethod
    def cross_entropy(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x, y)

    @staticmethod
    def take(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids, table)

    @staticmethod
    def sort(x: torch.Tensor) -> torch.Tensor:
        return torch.sort(x)[0]

    @staticmethod
    def argsort(x: torch.Tensor) -> torch.Tensor:
        return torch.argsort(x, stable=True)

    @staticmethod
    def topk(x: torch.Tensor, k: int) -> torch.Tensor:
        return torch.topk(x, k)[0]

    @staticmethod
    def cumulative_sum(x: torch.Tensor) -> torch.Tensor:
        return torch.cumsum(x, 0)

    unique = staticmethod(torch.unique)
    bincount = staticmethod(torch.bincount)

    @staticmethod
    def to_int32(x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.int32)

    @staticmethod
    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def recurrent(self, kind: str, w_ih: np.ndarray, w_hh: np.ndarray, gradient: bool) -> Function:
        make = torch.nn.LSTM if kind == "lstm" else torch.nn.GRU
        layer = make(w_ih.shape[1], w_hh.shape[1], bias=False)
        weights = list(layer.parameters())
        with torch.no_grad():
            for parameter, w in zip(weights, (w_ih, w_hh), strict=True):
                parameter.copy_(torch.from_numpy(w))

        def run(x: torch.Tensor, g: torch.Tensor | None = None) -> Any:
            if not gradient:
                with torch.inference_mode():
                    return layer(x)[0]
            leaf = x.detach().requires_grad_()
            y = layer(leaf)[0]
            return y, *self.gradients(y, g, (leaf, *weights))

        return run

    @staticmethod
    def convolve(x: torch.Tensor, w: torch.Tensor, stride: int, pad: int, groups: int) -> torch.Tensor:
        return F.conv2d(x, w, None, stride, pad, 1, groups)

    @staticmethod
    def convolve_transposed(
        y: torch.Tensor, w: torch.Tensor, places: tuple[int, ...], stride: int, pad: int, groups: int
    ) -> torch.Tensor:
        x = torch.empty((y.shape[0], w.shape[1] * groups, *places), memory_format=_layout(w.shape[1] * groups))
        return _backward(y, x, w, stride, pad, groups, 0)

    @staticmethod
    def convolve_weights(
        x: torch.Tensor, y: torch.Tensor, taps: tuple[int, ...], stride: int, pad: int, groups: int
    ) -> torch.Tensor:
        w = x.new_empty((y.shape[1], x.shape[1] // groups, *taps))
        return _backward(y, x, w, stride, pad, groups, 1)

    @staticmethod
    def max_pool(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 2)

    @staticmethod
    def avg_pool(x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def batch_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, w, b, True)

    @staticmethod
    def group_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.group_norm(x, 8, w, b)

    def gradients(
        self, output: torch.Tensor, seed: torch.Tensor | None, inputs: Sequence[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        return torch.autograd.grad(output, inputs, seed)

    def optimizer(self, kind: str, parameters: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> Function:
        def start(way: str) -> Function:
            params = [self.tensor(p, requires_grad=True) for p in parameters]
            for param, grad in zip(params, grads, strict=True):
                param.grad = self.tensor(grad)
            update = _optimizer(kind, params, way)

            def step() -> list[torch.Tensor]:
                update.step()
                return [params[0], params[-1]]

            return step

        return self._faster(start, ())

    def trainer(self, weights: Sequence[np.ndarray]) -> Function:
        random = np.random.default_rng(0)
        x = self.tensor(random.standard_normal((512, weights[0].shape[0]), dtype=np.float32))
        y = self.tensor(random.integers(0, weights[-1].shape[1], 512))
        return self._faster(lambda way: self.training_step(weights, way), (x, y))

    def training_step(self, weights: Sequence[np.ndarray], way: str) -> Function:
        """A training step with the "fused" or the "foreach" optimiser."""
        return _training(mlp(weights), way)

    def network_trainer(self, make: Callable[[Any], Any], weights: Sequence[np.ndarray]) -> Function:
        """The step with the fused optimiser, channels last: the faster layout of networks of convolutions."""
        model: torch.nn.Module = make(torch.nn)
        left = list(weights)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
                elif parameter.ndim > 1:
                    parameter.copy_(torch.from_numpy(left.pop(0).copy()))
        return _training(model.to(memory_format=torch.channels_last), "fused")

    def _faster(self, start: Callable[[str], Function], inputs: Sequence[torch.Tensor]) -> Function:
        """A fresh start of the faster way, fused or foreach; of the first of them if it does not compare."""
        if not self.compares:
            return start("fused")
        steps = {way: start(way) for way in ("fused", "foreach")}
        least = dict.fromkeys(steps, float("inf"))
        for _ in range(TRIALS):
            for way, step in steps.items():
                step(*inputs)
                began = time.perf_counter()
                step(*inputs)
                least[way] = min(least[way], time.perf_counter() - began)
        self.chosen = min(least, key=lambda way: least[way])
        return start(self.chosen)


def _layout(channels: int) -> torch.memory_format:
    """The layout in which PyTorch is faster: channels last, but for few of them."""
    return torch.channels_last if channels > 4 else torch.contiguous_format


def _backward(
    y: torch.Tensor, x: torch.Tensor, w: torch.Tensor, stride: int, pad: int, groups: int, which: int
) -> torch.Tensor:
    """The gradient of a convolution with respect to the images (0) or the weights (1)."""
    backward: Any = torch.ops.aten.convolution_backward
    wanted = [which == 0, which == 1, False]
    found: torch.Tensor = backward(y, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups, wanted)[which]
    return found


def _optimizer(kind: str, params: list[torch.Tensor], way: str) -> Any:
    options: dict[str, Any] = {way: True}
    if kind == "sgd":
        return torch.optim.SGD(params, lr=0.01, momentum=0.9, **options)
    if kind == "adam":
        return torch.optim.Adam(params, lr=0.001, **options)
    return torch.optim.AdamW(params, lr=0.001, weight_decay=0.01, **options)


def _training(model: torch.nn.Module, way: str) -> Function:
    """A training step of `model` with Adam of that way."""
    update = _optimizer("adam", list(model.parameters()), way)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(model(x), y)
        update.zero_grad()
        loss.backward()
        update.step()
        return loss

    return step


def mlp(weights: Sequence[np.ndarray]) -> torch.nn.Sequential:
    """An MLP with these weights, ReLU between them, and biases of zero."""
    layers: list[torch.nn.Module] = []
    for w in weights:
        linear = torch.nn.Linear(*w.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w.T.copy()))
            linear.bias.zero_()
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def open_library(device: str) -> Torch:
    """PyTorch with a thread a core, beside a device that is the same CPU. Raises UnavailableError beside another."""
    kind = ndl.device(device).info.kind
    if kind not in ("cpu", "host"):
        raise UnavailableError(f"it is measured on the CPU, and {device} is a {kind}")
    return Torch(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
