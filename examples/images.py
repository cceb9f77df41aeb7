"""Train a convolutional network to tell pieces of clothing apart.

    python examples/images.py --data /usr/share/datasets/fashion-mnist --epochs 5 --save model.safetensors

The images are Fashion-MNIST's: 60,000 of 28 x 28 pixels to train on, 10,000 to test; Debian's package
`dataset-fashion-mnist` puts them where `--data` looks by default. Where they are missing, scikit-learn's 1797 digits of
8 x 8 pixels serve, and the output says so. The accuracy on the test images is printed last.
"""

from __future__ import annotations

import argparse
from math import sqrt
from pathlib import Path

import numpy as np
from command import on_device, parsed, run_main, training_parser
from digits import SAVE, fit

import needle as ndl
from needle import nn
from needle.data import MNISTDataset, TensorDataset

DATA = Path("/usr/share/datasets/fashion-mnist")
LEARNING_RATE = 1e-3  # at first; it falls to 0 in a straight line
BATCH = 128
FILES = {"train": "train-{}-ubyte.gz", "test": "t10k-{}-ubyte.gz"}


def load_fashion(folder: Path) -> tuple[TensorDataset, TensorDataset]:
    """The images as (n, 1, 28, 28) from 0 to 1 with their labels, to train on and to test."""
    parts = []
    for name in FILES.values():
        read = MNISTDataset(folder / name.format("images-idx3"), folder / name.format("labels-idx1"))
        images = read.images.reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
        parts.append(TensorDataset(images, read.labels))
    return parts[0], parts[1]


def load_digits() -> tuple[TensorDataset, TensorDataset]:
    """Scikit-learn's digits as (n, 1, 8, 8): four fifths to train on, one to test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    test = np.arange(len(labels)) % 5 == 0
    return TensorDataset(images[~test], labels[~test]), TensorDataset(images[test], labels[test])


def make_model(side: int) -> nn.Module:
    """Two convolutions and two linear layers, for images of `side` x `side` pixels."""
    half = (side - 4) // 2
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(64 * half * half, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10),
    )  # fmt: skip
    return model.apply(start_small)


def start_small(module: nn.Module) -> None:
    """Draw a linear layer anew, as convolutions begin: the wider range of `Linear` itself learns more slowly here."""
    if isinstance(module, nn.Linear):
        bound = 1 / sqrt(module.in_features)
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -bound, bound)


def parse_arguments() -> argparse.Namespace:
    """The command line's options."""
    description = "Train a convolutional network to tell pieces of clothing apart."
    made = training_parser(description, 5, "loss and accuracy", SAVE)
    made.add_argument("--data", type=Path, default=DATA, help=f"the folder of Fashion-MNIST (default: {DATA})")
    arguments = parsed(made)
    if arguments.data != DATA and not arguments.data.is_dir():
        made.error(f"--data: there is no folder {arguments.data}")
    return arguments


def main() -> None:
    """Train, and report the accuracy."""
    on_device("images.py", parse_arguments(), run)


def run(arguments: argparse.Namespace) -> None:
    """Train on the default device."""
    ndl.manual_seed(arguments.seed)
    if arguments.data.is_dir():
        train, test = load_fashion(arguments.data)
        print(f"data: {len(train)} and {len(test)} images of {arguments.data}", flush=True)
    else:
        train, test = load_digits()
        sizes = f"{len(train)} and {len(test)} images"
        print(f"data: there is no {arguments.data}, so scikit-learn's digits serve: {sizes}", flush=True)
    side = train.arrays[0].shape[-1]
    fit("images.py", arguments, (train, test), lambda: make_model(side), LEARNING_RATE, BATCH)


if __name__ == "__main__":
    run_main(main)
