"""Transforms of single images, NumPy arrays of shape (C, H, W), for a data set's `transform`.

Those that draw numbers take a seed; workers of a `DataLoader` draw different ones of NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from needle.checks import integer, probability

__all__ = ["Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip"]


class Compose:
    """Several transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image


class Normalize:
    """(image - mean) / std, a number for each channel or one for all. Raises ValueError for a `std` of 0."""

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = np.asarray(mean, np.float32).reshape(-1, 1, 1)
        self.std = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if (self.std == 0).any():
            raise ValueError(f"std={std} must not be 0")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return (image - self.mean) / self.std


class RandomHorizontalFlip:
    """The image mirrored, left to right, with probability `p`."""

    def __init__(self, p: float = 0.5, seed: int | None = None) -> None:
        self.p = probability("p", p)
        self.random = np.random.default_rng(seed)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return image[..., ::-1].copy() if self.random.random() < self.p else image


class RandomCrop:
    """A random window of `size` x `size` places of the image with `padding` zeros around it.

    Raises ValueError for images that are smaller than the window.
    """

    def __init__(self, size: int, padding: int = 0, seed: int | None = None) -> None:
        self.size = integer("size", size)
        self.padding = integer("padding", padding, 0)
        self.random = np.random.default_rng(seed)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        around = (self.padding, self.padding)
        padded = np.pad(image, ((0, 0), around, around))
        free = [n - self.size for n in padded.shape[1:]]
        if min(free) < 0:
            raise ValueError(f"size={self.size} is larger than the padded image of shape {padded.shape}")
        top, left = (int(self.random.integers(0, n + 1)) for n in free)
        return padded[:, top : top + self.size, left : left + self.size]
