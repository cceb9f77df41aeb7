"""`MNISTDataset`: handwritten digits from the gzipped files in which MNIST is published."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from needle.data.byte_images import ByteImages
from needle.data.dataset import Transform

__all__ = ["MNISTDataset"]

StrPath = str | os.PathLike[str]


class MNISTDataset(ByteImages):
    """Handwritten digits from a pair of gzipped idx files (the course's reader).

    Item i is an image, float32 in [0, 1] of shape (28, 28, 1) and after that transformed, and its label, an
    int from 0 to 9; a batch has shapes (n, 28, 28, 1) and (n,), the labels int64.

    Args:
        image_path: such as "train-images-idx3-ubyte.gz".
        label_path: such as "train-labels-idx1-ubyte.gz".
        transforms: applied to each image, as a NumPy array.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: naming the file, if it is no gzip file, does not hold images (or labels), or is cut short,
            and for files of different lengths.
    """

    def __init__(self, image_path: StrPath, label_path: StrPath, transforms: Sequence[Transform] | None = None) -> None:
        images = _read_idx(image_path, 3, "images")
        labels = _read_idx(label_path, 1, "labels")
        if len(images) != len(labels):
            raise ValueError(f"{image_path} has {len(images)} images, but {label_path} {len(labels)} labels")
        super().__init__(images[..., None], labels, transforms)


def _read_idx(path: StrPath, ndim: int, what: str) -> np.ndarray:
    """The bytes in a gzipped idx file of `ndim` axes.

    The format: two zero bytes, the element type (8 is an unsigned byte), the number of axes, the length of
    each axis as a big-endian 32-bit number, the elements in C order.
    """
    try:
        content = gzip.decompress(Path(path).read_bytes())
    except EOFError:
        raise ValueError(f"{path} is cut short: the compressed data ends too early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a gzip file: {error}") from None
    magic = bytes([0, 0, 8, ndim])
    if content[:4] != magic:
        raise ValueError(f"{path} holds no {what}: it starts with {content[:4].hex()} instead of {magic.hex()}")
    start = 4 + 4 * ndim
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist()) if len(content) >= start else ()
    if len(shape) != ndim or len(content) - start != prod(shape):
        raise ValueError(f"{path} is cut short or damaged: {len(content)} bytes do not hold {what} of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
