"""tinygrad on OpenCL, on the device that needle uses."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import needle as ndl
from benchmarks.peers.base import Function, Library, UnavailableError


def _use_our_loader() -> None:
    """Point tinygrad at the OpenCL loader of PyOpenCL: the one in its wheel is on no library path."""
    maps = Path("/proc/self/maps")
    if "OPENCL_PATH" not in os.environ and maps.exists():
        found = re.search(r"/\S*libOpenCL\S*\.so\S*", maps.read_text())
        if found:
            os.environ["OPENCL_PATH"] = found[0]


def open_library(device: str) -> Tinygrad:
    """tinygrad with DEV=CL, on needle's device. Raises UnavailableError where that is not an OpenCL device."""
    opened = ndl.device(device)
    handle = getattr(getattr(opened, "cl_device", None), "int_ptr", None)
    if handle is None:
        raise UnavailableError(f"it is measured on OpenCL, and {device} is not an OpenCL device")
    _use_our_loader()
    os.environ.update(DEV="CL", TRAINING="1")
    return Tinygrad(handle)


class Tinygrad(Library):
    """Lazy tinygrad. Steps of optimisers and of training are captured by TinyJit, as its users do."""

    name = "tinygrad"
    note = "DEV=CL; optimiser and training steps by TinyJit"

    def __init__(self, handle: int) -> None:
        from importlib.metadata import version

        import tinygrad
        from tinygrad.runtime import ops_cl

        # By itself it takes the first device of whatever platform the loader names first.
        ops_cl.CLDevice.device_ids = [ctypes.cast(handle, ops_cl.cl.cl_device_id)]
        self.version = version("tinygrad")
        self.module = tinygrad
        self.device = tinygrad.Device["CL"]

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> Any:
        return self.module.Tensor(array.copy(), device="CL").realize()

    def numpy(self, tensor: Any) -> np.ndarray:
        return np.array(tensor.numpy())

    def compute(self, outputs: Sequence[Any]) -> None:
        self.module.Tensor.realize(*outputs)

    def wait(self) -> None:
        self.device.synchronize()

    def upload(self, array: np.ndarray) -> Any:
        return self.module.Tensor(array, device="CL").realize()

    def download(self, tensor: Any) -> np.ndarray:
        result: np.ndarray = tensor.numpy()
        return result

    @staticmethod
    def matmul(x: Any, y: Any) -> Any:
        return x @ y

    @staticmethod
    def exp(x: Any) -> Any:
        return x.exp()

    @staticmethod
    def tanh(x: Any) -> Any:
        return x.tanh()

    @staticmethod
    def erf(x: Any) -> Any:
        return x.erf()

    @staticmethod
    def sqrt(x: Any) -> Any:
        return x.sqrt()

    @staticmethod
    def relu(x: Any) -> Any:
        return x.relu()

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Any:
        return condition.where(x, y)

    @staticmethod
    def sum(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        return x.sum(axis=axis, keepdim=keepdims)

    @staticmethod
    def mean(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        return x.mean(axis=axis, keepdim=keepdims)

    @staticmethod
    def max(x: Any, axis: int | None = None) -> Any:
        return x.max(axis=axis)

    @staticmethod
    def var(x: Any, axis: int | None = None) -> Any:
        return x.var(axis=axis, correction=0)

    @staticmethod
    def softmax(x: Any) -> Any:
        return x.softmax()

    @staticmethod
    def log_softmax(x: Any) -> Any:
        return x.log_softmax()

    @staticmethod
    def cross_entropy(x: Any, y: Any) -> Any:
        return x.sparse_categorical_crossentropy(y)

    @staticmethod
    def take(table: Any, ids: Any) -> Any:
        return table[ids]

    @staticmethod
    def contiguous(x: Any) -> Any:
        return x.contiguous()

    @staticmethod
    def attention(q: Any, k: Any, v: Any, causal: bool) -> Any:
        return q.scaled_dot_product_attention(k, v, is_causal=causal)

    def to_int32(self, x: Any) -> Any:
        return x.cast(self.module.dtypes.int32)

    def gradients(self, output: Any, seed: Any | None, inputs: Sequence[Any]) -> Sequence[Any]:
        found: Sequence[Any] = output.gradient(*inputs, gradient=seed)
        return found

    def optimizer(self, kind: str, parameters: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> Function:
        params = [self.tensor(p) for p in parameters]
        for param, grad in zip(params, grads, strict=True):
            param.grad = self.tensor(grad)
        update = self._optimizer(kind, params)

        def step() -> list[Any]:
            jitted()
            return [params[0], params[-1]]

        jitted = self.module.TinyJit(update.step)
        return step

    def _optimizer(self, kind: str, params: list[Any]) -> Any:
        from tinygrad.nn import optim

        if kind == "sgd":
            return optim.SGD(params, lr=0.01, momentum=0.9)
        return optim.Adam(params, lr=0.001) if kind == "adam" else optim.AdamW(params, lr=0.001, weight_decay=0.01)

    def trainer(self, weights: Sequence[np.ndarray]) -> Function:
        params = [self.tensor(p) for w in weights for p in (w, np.zeros(w.shape[1], w.dtype))]
        update = self._optimizer("adam", params)

        def step(x: Any, y: Any) -> Any:
            for i, (w, b) in enumerate(zip(params[::2], params[1::2], strict=True)):
                x = (x.relu() if i else x).linear(w, b)
            loss = x.sparse_categorical_crossentropy(y)
            update.zero_grad()
            loss.backward()
            return loss.realize(*update.schedule_step())

        jitted: Function = self.module.TinyJit(step)
        return jitted
