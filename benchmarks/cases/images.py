"""Convolutions, each alone, pooling and normalisation, of images (N, C, H, W).

PyTorch has them channels-last where it is faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Family, images, normal
from benchmarks.peers.base import Library

_NONE = {"tinygrad": "its gradients are measured with whole training steps"}
_IMAGES = (32, 64, 56, 56)


def convolution(
    name: str, title: str, image: tuple[int, int, int, int], filters: int, taps: int, bar: float, aim: float,
    stride: int = 1, pad: int = 0, groups: int = 1,
) -> Family:  # fmt: skip
    """A convolution, the gradient of its images and that of its weights."""
    batch, channels, height, width = image
    outputs = ((height + 2 * pad - taps) // stride + 1, (width + 2 * pad - taps) // stride + 1)
    x, y = images(*image), images(batch, filters, *outputs)
    w = normal(filters, channels // groups, taps, taps, scale=0.1)
    sizes = {"stride": stride, "pad": pad, "groups": groups}

    def flops(inputs: Arrays, results: Arrays, state: Arrays) -> float:
        return 2.0 * len(inputs[0]) * filters * outputs[0] * outputs[1] * (channels // groups) * taps * taps

    def forward(lib: Library, x: Any, w: Any) -> Any:
        return lib.convolve(x, w, **sizes)

    def by_images(lib: Library, y: Any, w: Any) -> Any:
        return lib.convolve_transposed(y, w, (height, width), **sizes)

    def by_weights(lib: Library, x: Any, y: Any) -> Any:
        return lib.convolve_weights(x, y, (taps, taps), **sizes)

    cases = (
        Case("forward", (x, w), forward, flops=flops, without=_NONE),
        Case("gradient of images", (y, w), by_images, flops=flops, without=_NONE),
        Case("gradient of weights", (x, y), by_weights, flops=flops, without=_NONE),
    )
    return Family(name, title, cases, bar=bar, aim=aim)


def _pooling(kind: str) -> Case:
    x, g = images(*_IMAGES), images(32, 64, 28, 28)

    def run(lib: Library, x: Any) -> Any:
        return lib.max_pool(x) if kind == "max" else lib.avg_pool(x)

    def with_gradient(lib: Library, x: Any, g: Any) -> Any:
        y = run(lib, x)
        return y, *lib.gradients(y, g, (x,))

    def by_hand(x: Any, g: Any) -> Any:
        spread = g.repeat(2, 2).repeat(2, 3)
        boxes = x.reshape(*x.shape[:2], 28, 2, 28, 2)
        if kind == "avg":
            return boxes.mean((3, 5)), spread / 4
        y = boxes.max((3, 5))
        return y, spread * (x == y.repeat(2, 2).repeat(2, 3))

    return Case(f"{kind}-pool with gradient", (x, g), with_gradient, gradients=(0,), numpy=by_hand, without=_NONE)


def _normalization(kind: str) -> Case:
    x, g, w, b = images(*_IMAGES), images(*_IMAGES), normal(_IMAGES[1]), normal(_IMAGES[1])

    def with_gradient(lib: Library, x: Any, g: Any, w: Any, b: Any) -> Any:
        y = lib.batch_norm(x, w, b) if kind == "batch" else lib.group_norm(x, w, b)
        return y, *lib.gradients(y, g, (x, w, b))

    def by_hand(x: Any, g: Any, w: Any, b: Any) -> Any:
        groups = (1, x.shape[1]) if kind == "batch" else (x.shape[0], 8)
        shape = (x.shape[0] // groups[0], groups[0], groups[1], x.shape[1] // groups[1], *x.shape[2:])
        axes, per_channel = (0, 3, 4, 5), (1, -1, 1, 1)
        boxes = x.reshape(shape)
        scale = 1 / np.sqrt(boxes.var(axes, keepdims=True) + 1e-5)
        normal = (boxes - boxes.mean(axes, keepdims=True)) * scale
        by_normal = (g * w.reshape(per_channel)).reshape(shape)
        product = (by_normal * normal).mean(axes, keepdims=True)
        by_x = ((by_normal - by_normal.mean(axes, keepdims=True) - normal * product) * scale).reshape(x.shape)
        normal = normal.reshape(x.shape)
        y = normal * w.reshape(per_channel) + b.reshape(per_channel)
        return y, by_x, (g * normal).sum((0, 2, 3)), g.sum((0, 2, 3))

    return Case(
        f"{kind} norm with gradient", (x, g, w, b), with_gradient, gradients=(0, 2, 3), numpy=by_hand, without=_NONE
    )


FAMILIES = (
    convolution("conv-64", "Convolution 3x3, 64 channels, 32x56x56", (32, 64, 56, 56), 64, 3, 1.2, 1.5, pad=1),
    convolution("conv-128", "Convolution 3x3, 128 channels, 32x28x28", (32, 128, 28, 28), 128, 3, 1.2, 1.5, pad=1),
    convolution("conv-1x1", "Convolution 1x1, 256 to 64 channels, 32x56x56", (32, 256, 56, 56), 64, 1, 0.95, 1.1),
    convolution("conv-7x7", "Convolution 7x7, stride 2, 8x224x224", (8, 3, 224, 224), 64, 7, 1.0, 1.2, 2, 3),
    convolution("depthwise", "Depthwise 3x3, 64 channels, 32x56x56", (32, 64, 56, 56), 64, 3, 1.0, 1.2, 1, 1, 64),
    convolution("conv-first", "Convolution 3x3, 1 to 32 channels, 128x28x28", (128, 1, 28, 28), 32, 3, 1.0, 1.3),
    convolution("conv-second", "Convolution 3x3, 32 to 64 channels, 128x26x26", (128, 32, 26, 26), 64, 3, 1.2, 1.6),
    Family(
        "normalization",
        "Normalisation, 64 channels, 32x56x56",
        (_normalization("batch"), _normalization("group")),
        bar=1.0,
        aim=2.0,
    ),
    Family("pooling", "Pooling 2x2, 64 channels, 32x56x56", (_pooling("max"), _pooling("avg")), bar=1.0, aim=2.0),
)
