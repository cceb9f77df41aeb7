"""Whole training steps of networks of convolutions with Adam: forward, loss, backward, update.

Each network is written once, in layers that have the same names and arguments in every library that has layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod, sqrt
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Draw, Family, filters, image_labels, images
from benchmarks.peers.base import Function, Library

_WITHOUT = {
    "numpy": "it has no layers",
    "tinygrad": "its layers have other names; its training steps are measured with the perceptrons",
}


def make_cnn(nn: Any) -> Any:
    """The network of examples/images.py, without dropout, whose masks are others in every library."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


_CNN = ((32, 1, 3, 3), (64, 32, 3, 3), (128, 64 * 12 * 12), (10, 128))


def make_resnet(nn: Any) -> Any:
    """Eight convolutions in three stages of 16, 32 and 64 channels, with two blocks around which the input goes."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.first, self.second = _convolved(nn, channels, channels), _convolved(nn, channels, channels, relu=False)

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(x + self.second(self.first(x)))

    return nn.Sequential(
        _convolved(nn, 3, 16), Block(16), _convolved(nn, 16, 32, 2), Block(32), _convolved(nn, 32, 64, 2),
        _convolved(nn, 64, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def _convolved(nn: Any, channels: int, filters: int, stride: int = 1, relu: bool = True) -> Any:
    layers = [nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


_RESNET = (
    (16, 3, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3),
    (64, 64, 3, 3), (10, 64),
)  # fmt: skip


def _start(make: Callable[[Any], Any], lib: Library, *weights: np.ndarray) -> Function:
    return lib.network_trainer(make, weights)


def _traffic(inputs: Arrays, outputs: Arrays, weights: Arrays) -> float:
    """What Adam alone moves: weight, gradient and two moments read, all but the gradient written."""
    return 7 * 4.0 * sum(w.size for w in weights)


def _network(name: str, make: Callable[[Any], Any], weights: tuple[tuple[int, ...], ...], inputs: Draw) -> Case:
    return Case(
        name, (inputs, image_labels(inputs.shape[0], classes=10)), start=partial(_start, make),
        state=tuple(filters(*shape, scale=sqrt(2 / prod(shape[1:]))) for shape in weights), traffic=_traffic,
        tolerance=1e-3, without=_WITHOUT,
    )  # fmt: skip


CNN = _network("CNN of examples/images.py", make_cnn, _CNN, images(128, 1, 28, 28))
RESNET = _network("ResNet of 8 convolutions", make_resnet, _RESNET, images(32, 3, 32, 32))

FAMILIES = (
    Family("training-cnn", "Training step, 128 images of 28x28", (CNN,), bar=1.1, aim=1.4),
    Family("training-resnet", "Training step, 32 images of 3x32x32", (RESNET,), bar=1.0, aim=1.3),
)
