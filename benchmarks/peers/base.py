"""The vocabulary that cases are written in. Each library gives its own meaning to every word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

T = Any  # a library's own tensor
Function = Callable[..., T]


class UnavailableError(Exception):
    """A library cannot be measured here; the message says why."""


class Library(ABC):
    """One library on one device. Functions are its own where the names agree: nothing stands in between."""

    name: str
    version: str
    note: str = ""  # what a reader of the figures should know
    chosen: str = ""  # which of several ways was the fastest in the case prepared last

    # -- data and time

    @abstractmethod
    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> T:
        """The array as a tensor on the device, in memory of its own."""

    @abstractmethod
    def numpy(self, tensor: T) -> np.ndarray:
        """The values of a tensor."""

    def compute(self, outputs: Sequence[T]) -> None:
        """Have lazy results computed; do not wait. Libraries that compute at once have nothing to do."""
        return

    def wait(self) -> None:
        """Wait for what was submitted, where calls do not wait by themselves."""
        return

    def inference(self) -> AbstractContextManager[Any]:
        """The scope of computations without gradients."""
        return nullcontext()

    @abstractmethod
    def upload(self, array: np.ndarray) -> T:
        """A NumPy array to the device, as a user writes it."""

    @abstractmethod
    def download(self, tensor: T) -> np.ndarray:
        """A tensor to NumPy, as a user writes it."""

    # -- operations; reductions take axis= and keepdims=

    matmul: Function
    exp: Function
    tanh: Function
    erf: Function
    sqrt: Function
    relu: Function
    where: Function
    sum: Function
    mean: Function
    max: Function
    var: Function  # the biased one
    softmax: Function  # over the last axis
    log_softmax: Function
    cross_entropy: Function  # mean, of logits and integer labels
    take: Function  # rows of a table
    sort: Function  # along the last axis
    argsort: Function  # stable
    topk: Function  # the k largest of an array of one axis, in descending order; their positions are computed too
    cumulative_sum: Function  # of an array of one axis
    unique: Function  # the distinct elements in ascending order
    bincount: Function
    to_int32: Function
    attention: Function  # of q, k, v (batch, heads, length, size), and whether it is causal
    contiguous: Function  # a copy of a view in the order of its axes

    # of images (N, C, H, W) and weights (K, C / groups, R, S); `pad`, `stride` and `groups` are numbers
    convolve: Function  # images, weights
    convolve_transposed: Function  # gradient, weights, the sizes of the images: the gradient of the images
    convolve_weights: Function  # images, gradient, the sizes of the taps: the gradient of the weights
    max_pool: Function  # of windows of 2 x 2
    avg_pool: Function
    batch_norm: Function  # images, weights, biases; by the statistics of the batch
    group_norm: Function  # images, weights, biases; in eight groups

    def gradients(self, output: T, seed: T | None, inputs: Sequence[T]) -> Sequence[T]:
        """The gradient of `output` with respect to each of `inputs`, given that with respect to `output`."""
        raise NotImplementedError(f"{self.name} has no gradients")

    def recurrent(self, kind: str, w_ih: np.ndarray, w_hh: np.ndarray, gradient: bool) -> Function:
        """An "lstm" or "gru" layer without biases; weights are (gates * size, size), in PyTorch's order.

        Its function takes x (steps, batch, size) and gives the outputs. With `gradient` it takes the outputs' gradient,
        too, and gives the gradients of x and of both weights as well.
        """
        raise NotImplementedError(f"{self.name} has no recurrent layers")

    # -- training

    @abstractmethod
    def optimizer(self, kind: str, parameters: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> Function:
        """An update of all parameters by constant gradients, returning the first and the last parameter.

        `kind` is "sgd" (learning rate 0.01, momentum 0.9), "adam" (0.001) or "adamw" (0.001, decay 0.01).
        """

    def network_trainer(self, make: Callable[[Any], Any], weights: Sequence[np.ndarray]) -> Function:
        """A training step by Adam (0.001) of the network make(nn), returning the loss; nn is the library's module.

        Biases begin as zeros, and the weights of convolutions and linear layers as `weights`, in their order, which lie
        as PyTorch has them; the step takes images and integer labels.
        """
        raise NotImplementedError(f"{self.name} has no layers")

    @abstractmethod
    def trainer(self, weights: Sequence[np.ndarray]) -> Function:
        """A training step by Adam (0.001) of an MLP with ReLU and no initial bias, returning the loss.

        `weights` are of shape (in, out); the step takes inputs and integer labels.
        """
