"""`ByteImages`: images that are kept as bytes and given as floats, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from needle.data.dataset import Dataset, Transform

__all__: list[str] = []


class ByteImages(Dataset):
    """Images and labels, both in memory: the readers of MNIST's and CIFAR's files.

    Item i is an image, float32 in [0, 1] and after that transformed, and its label, an int; the labels of a batch are
    int64. `images` are bytes, a quarter of the memory of float32.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, transforms: Sequence[Transform] | None = None) -> None:
        super().__init__(transforms)
        self.images, self.labels = images, labels.astype(np.int64)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.apply_transforms(scaled(self.images[index])), int(self.labels[index])

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Any:
        if self.transforms:
            return super().batch(indices)
        return scaled(self.images[indices]), self.labels[indices]


def scaled(images: np.ndarray) -> np.ndarray:
    """Bytes as float32 from 0 to 1."""
    return images.astype(np.float32) / np.float32(255)
