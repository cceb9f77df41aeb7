"""Train a small network to read handwritten digits.

    python examples/digits.py --epochs 25 --plot curve.png --save model.safetensors

The digits are scikit-learn's: 1797 images of 8 x 8 pixels. Every fifth is held out; the accuracy on those is
printed last. Without options it runs on the best device found; `python -m needle` lists what there is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import needle as ndl
from needle import nn, optim
from needle.data import DataLoader, TensorDataset

LEARNING_RATE = 2e-3  # at first; it falls to 0 in a straight line
READ_EVERY = 15  # steps between two readings of the running loss: each waits for the device


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """The images as rows of 64 numbers from 0 to 1 with their labels: four fifths to train on, one to test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.data / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    test = np.arange(len(labels)) % 5 == 0
    return TensorDataset(images[~test], labels[~test]), TensorDataset(images[test], labels[test])


def make_model() -> nn.Module:
    """Two hidden layers, and one score for each of the ten digits."""
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def train_epoch(model: nn.Module, loader: DataLoader, optimizer: optim.Optimizer, bar: Any) -> float:
    """Go through the training data once and return the mean loss."""
    loss_of = nn.CrossEntropyLoss()
    model.train()
    total, count = ndl.zeros(()), 0
    for x, y in loader:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, count = total + loss.detach(), count + 1  # summed on the device, without waiting for it
        bar.update()
        if count % READ_EVERY == 0:
            bar.set_postfix(loss=f"{total.item() / count:.4f}")
    return total.item() / count


def accuracy(model: nn.Module, dataset: TensorDataset) -> float:
    """The share of the data set for which the highest score is that of the right digit."""
    model.eval()
    with ndl.no_grad():
        hits = [(model(x).argmax(axis=1) == y).sum() for x, y in DataLoader(dataset, batch_size=512)]
    return sum(hit.item() for hit in hits) / len(dataset)


def plot(path: Path, losses: list[float], accuracies: list[float]) -> None:
    """Draw the loss and the test accuracy after each epoch."""
    from matplotlib.figure import Figure

    epochs = range(1, len(losses) + 1)
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    curves = [(losses, "training loss", "cross-entropy"), (accuracies, "test accuracy", "share of digits read right")]
    for axis, (values, title, label) in zip(axes, curves, strict=True):
        axis.plot(epochs, values, marker=".")
        axis.set(title=title, xlabel="epoch", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes[0].set_yscale("log")
    figure.savefig(path, dpi=120)


def parse_arguments() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train a small network to read handwritten digits.")
    parser.add_argument("--device", help="such as pocl, nvidia or numpy; by default the best one found")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training data (default: 15)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw loss and accuracy into this file")
    parser.add_argument("--save", type=Path, metavar="SAFETENSORS", help="keep the model in this file, and check it")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the order (default: 0)")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs must be at least 1")
    for path in (arguments.plot, arguments.save):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    return arguments


def main() -> None:
    """Train, and report the accuracy."""
    arguments = parse_arguments()
    try:
        device = ndl.device(arguments.device) if arguments.device else ndl.default_device()
    except ndl.DeviceError as error:
        sys.exit(f"digits.py: {error}")
    print(f"device: {device.name} ({device.info.description})", flush=True)
    with device:
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Train on the default device."""
    ndl.manual_seed(arguments.seed)
    train, test = load_data()
    model = make_model()
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(train, batch_size=32, shuffle=True, seed=arguments.seed)
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
        fresh = make_model()
        fresh.load_state_dict(ndl.load(arguments.save))
        if accuracy(fresh, test) != accuracies[-1]:
            sys.exit(f"digits.py: the model loaded from {arguments.save} is not the one that was saved")
        print(f"saved: {arguments.save}, and its accuracy is the same when loaded again")
    print(f"test accuracy {accuracies[-1]:.4f}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
