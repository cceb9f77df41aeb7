"""Readers of images: CIFAR's files, and folders of pictures, one for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from needle.data.byte_images import ByteImages, scaled
from needle.data.dataset import Dataset

__all__ = ["CIFARDataset", "ImageFolder"]

StrPath = str | os.PathLike[str]

#: The suffixes of the files that `ImageFolder` reads.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


class CIFARDataset(ByteImages):
    """Small colour images from the binary files of CIFAR-10 or CIFAR-100.

    Item i is an image, float32 in [0, 1] of shape (3, 32, 32), and its label, an int; a batch has shapes
    (n, 3, 32, 32) and (n,), the labels int64.

    Args:
        paths: a file such as "data_batch_1.bin", or several, whose images follow each other.
        label_bytes: how many bytes of labels come before each image: 1 in CIFAR-10, 2 in CIFAR-100 (the coarse, then
            the fine one). The last of them is the label.
        transform: applied to each image, as a NumPy array.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: naming the file, if it does not hold whole images.
    """

    def __init__(
        self,
        paths: StrPath | Sequence[StrPath],
        label_bytes: int = 1,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        records = np.concatenate([_records(path, label_bytes) for path in files])
        images = records[:, label_bytes:].reshape(-1, 3, _SIDE, _SIDE)
        super().__init__(images, records[:, label_bytes - 1], [transform] if transform else None)


class ImageFolder(Dataset):
    """Pictures in folders, one folder for each class; read by Pillow (`pip install "needle-opencl[images]"`).

    Item i is an image, float32 in [0, 1] of shape (3, height, width), and its label: the number of its folder among
    the sorted names, which are `classes`. `samples` are the paths with their labels.

    Args:
        root: the folder that holds the classes' folders.
        transform: applied to each image, as a NumPy array.
        size: (height, width) to which pictures are resized, as batches need it; None keeps their own.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no folder with pictures; on reading, for a file that is no picture, naming it.
    """

    def __init__(
        self,
        root: StrPath,
        transform: Callable[[Any], Any] | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__([transform] if transform else None)
        folder = Path(root)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        self.classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        self.samples = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((folder / name).rglob("*"))
            if path.suffix.lower() in SUFFIXES
        ]
        if not self.samples:
            raise ValueError(f"{folder} holds no folders with pictures: {', '.join(SUFFIXES)}")
        self.size = size

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[index]
        return self.apply_transforms(self._read(path)), label

    def _read(self, path: Path) -> np.ndarray:
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError as error:
            raise ImportError("ImageFolder needs Pillow: pip install 'needle-opencl[images]'") from error
        try:
            with Image.open(path) as file:
                picture = file.convert("RGB")
        except UnidentifiedImageError:
            raise ValueError(f"{path} is not a picture that Pillow can read") from None
        if self.size is not None:
            picture = picture.resize((self.size[1], self.size[0]))
        return scaled(np.asarray(picture).transpose(2, 0, 1))

    def __len__(self) -> int:
        return len(self.samples)


def _records(path: StrPath, label_bytes: int) -> np.ndarray:
    """The labels and images of a CIFAR file, a row for each."""
    content = np.fromfile(path, np.uint8)
    length = label_bytes + _PIXELS
    if not content.size or content.size % length:
        raise ValueError(f"{path} is no CIFAR file with {label_bytes} bytes of labels: its {content.size} bytes are no "
                         f"multiple of {length}")  # fmt: skip
    return content.reshape(-1, length)
