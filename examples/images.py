"""Train a convolutional network to tell pieces of clothing apart.

    python examples/images.py --data /usr/share/datasets/fashion-mnist --epochs 5 --save model.safetensors

The images are Fashion-MNIST's: 60,000 of 28 x 28 pixels to train on, 10,000 to test; Debian's package
`dataset-fashion-mnist` puts them where `--data` looks by default. Where they are missing, scikit-learn's 1797 digits of
8 x 8 pixels serve, and the output says so. The accuracy on the test images is printed last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from digits import accuracy, plot, train_epoch
from tqdm import tqdm

import needle as ndl
from needle import nn, optim
from needle.data import DataLoader, MNISTDataset, TensorDataset

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
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(64 * half * half, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10),
    )  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train a convolutional network to tell pieces of clothing apart.")
    parser.add_argument("--device", help="such as pocl, nvidia or numpy; by default the best one found")
    parser.add_argument("--epochs", type=int, default=5, help="passes over the training data (default: 5)")
    parser.add_argument("--data", type=Path, default=DATA, help=f"the folder of Fashion-MNIST (default: {DATA})")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw loss and accuracy into this file")
    parser.add_argument("--save", type=Path, metavar="SAFETENSORS", help="keep the model in this file, and check it")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the order (default: 0)")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs must be at least 1")
    for path in (arguments.plot, arguments.save):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    if arguments.data != DATA and not arguments.data.is_dir():
        parser.error(f"--data: there is no folder {arguments.data}")
    return arguments


def main() -> None:
    """Train, and report the accuracy."""
    arguments = parse_arguments()
    try:
        device = ndl.device(arguments.device) if arguments.device else ndl.default_device()
    except ndl.DeviceError as error:
        sys.exit(f"images.py: {error}")
    print(f"device: {device.name} ({device.info.description})", flush=True)
    with device:
        run(arguments)


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
    model = make_model(side)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(train, batch_size=BATCH, shuffle=True, seed=arguments.seed)
    losses, accuracies = [], []
    with tqdm(total=arguments.epochs * len(loader), unit="step") as bar:
        for epoch in range(1, arguments.epochs + 1):
            bar.set_description(f"epoch {epoch}/{arguments.epochs}")
            optimizer.lr = LEARNING_RATE * (1 - (epoch - 1) / arguments.epochs)
            losses.append(train_epoch(model, loader, optimizer, bar))
            accuracies.append(accuracy(model, test))
            bar.set_postfix(loss=f"{losses[-1]:.4f}", test=f"{accuracies[-1]:.4f}")
    if arguments.plot:
        plot(arguments.plot, losses, accuracies)
        print(f"plotted: {arguments.plot}")
    if arguments.save:
        ndl.save(arguments.save, model)
        fresh = make_model(side)
        fresh.load_state_dict(ndl.load(arguments.save))
        if accuracy(fresh, test) != accuracies[-1]:
            sys.exit(f"images.py: the model loaded from {arguments.save} is not the one that was saved")
        print(f"saved: {arguments.save}, and its accuracy is the same when loaded again")
    print(f"test accuracy {accuracies[-1]:.4f}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
