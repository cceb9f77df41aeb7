"""Train a small network to read handwritten digits.

    python examples/digits.py --epochs 25 --plot curve.png --save model.safetensors

The digits are scikit-learn's: 1797 images of 8 x 8 pixels. Every fifth is held out; the accuracy on those is
printed last. Without options it runs on the best device found; `python -m needle` lists what there is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from command import on_device, parsed, run_main, training_parser
from tqdm import tqdm

import needle as ndl
from needle import nn, optim
from needle.data import DataLoader, TensorDataset

SAVE = "keep the model in this file, and check it"
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


def main() -> None:
    """Train, and report the accuracy."""
    made = training_parser("Train a small network to read handwritten digits.", 15, "loss and accuracy", SAVE)
    on_device("digits.py", parsed(made), run)


def run(arguments: argparse.Namespace) -> None:
    """Train on the default device."""
    ndl.manual_seed(arguments.seed)
    train, test = load_data()
    fit("digits.py", arguments, (train, test), make_model, LEARNING_RATE, 32)


def fit(
    script: str,
    arguments: argparse.Namespace,
    data: tuple[TensorDataset, TensorDataset],
    make: Callable[[], nn.Module],
    rate: float,
    batch: int,
) -> None:
    """Train what `make` makes on the first part of `data`; plot, save and print its accuracy on the other."""
    (train, test), model = data, make()
    optimizer = optim.Adam(model.parameters(), lr=rate)
    loader = DataLoader(train, batch_size=batch, shuffle=True, seed=arguments.seed)
    losses, accuracies = [], []
    with tqdm(total=arguments.epochs * len(loader), unit="step") as bar:
        for epoch in range(1, arguments.epochs + 1):
            bar.set_description(f"epoch {epoch}/{arguments.epochs}")
            optimizer.lr = rate * (1 - (epoch - 1) / arguments.epochs)
            losses.append(train_epoch(model, loader, optimizer, bar))
            accuracies.append(accuracy(model, test))
            bar.set_postfix(loss=f"{losses[-1]:.4f}", test=f"{accuracies[-1]:.4f}")
    if arguments.plot:
        plot(arguments.plot, losses, accuracies)
        print(f"plotted: {arguments.plot}")
    if arguments.save:
        ndl.save(arguments.save, model)
        fresh = make()
        fresh.load_state_dict(ndl.load(arguments.save))
        if accuracy(fresh, test) != accuracies[-1]:
            sys.exit(f"{script}: the model loaded from {arguments.save} is not the one that was saved")
        print(f"saved: {arguments.save}, and its accuracy is the same when loaded again")
    print(f"test accuracy {accuracies[-1]:.4f}")


if __name__ == "__main__":
    run_main(main)
