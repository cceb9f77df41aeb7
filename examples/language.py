"""Train a small transformer to write text, letter by letter, and let it write.

    python examples/language.py --epochs 5 --plot curve.png --save language.safetensors

The text is Python's own manual (`pydoc_data.topics`), or any file by `--text`. Its last tenth is held out; the loss on
that, in nats a character, is printed last. An epoch is 300 steps. Without options it runs on the best device found;
`python -m needle` lists what there is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from command import on_device, parsed, run_main, training_parser
from tqdm import tqdm

import needle as ndl
from needle import nn, optim
from needle.nn import functional as F

LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 4, 4, 128, 128, 16
LEARNING_RATE = 3e-3  # at the most; it rises for a while and falls along a cosine
STEPS = 300  # of an epoch
READ_EVERY = 25  # steps between two readings of the running loss: each waits for the device


class Language(nn.Module):
    """A transformer that gives a score for each character that may come next, at each place of a text."""

    def __init__(self, characters: int) -> None:
        self.tokens = nn.Embedding(characters, WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        for table in (self.tokens, self.places):
            nn.init.normal_(table.weight, std=0.02)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm1d(WIDTH))
        self.scores = nn.Linear(WIDTH, characters)

    def forward(self, ids: ndl.Tensor, caches: list[nn.KeyValueCache] | None = None) -> ndl.Tensor:
        """Scores (batch, length, characters) for ids (batch, length), which continue what the caches hold."""
        start = caches[0].length if caches else 0
        places = self.places.weight[start : start + ids.shape[1]]
        return self.scores(self.layers(self.tokens(ids) + places, is_causal=True, caches=caches))

    def write(self, ids: list[int], length: int, temperature: float = 0.8) -> list[int]:
        """`ids` and `length` further characters, drawn one after another."""
        ids, caches = list(ids), None
        self.eval()
        with ndl.no_grad():
            for _ in range(length):
                if caches is None or caches[0].length == CONTEXT:  # full: go on from the last half
                    caches = [nn.KeyValueCache() for _ in self.layers.layers]
                    seen = ids[-CONTEXT // 2 :]
                else:
                    seen = ids[-1:]
                scores = self(ndl.asarray(np.array([seen])), caches)
                ids.append(int(F.sample_tokens(scores[0, -1], temperature, top_k=20).item()))
        self.train()
        return ids


def load_text(path: Path | None) -> str:
    """The text of a file, or Python's manual."""
    if path is not None:
        return path.read_text(encoding="utf-8")
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


class Text:
    """A text as numbers: the alphabet, what is trained on and what is held out."""

    def __init__(self, text: str) -> None:
        self.alphabet = sorted(set(text))
        numbers = {character: i for i, character in enumerate(self.alphabet)}
        ids = np.array([numbers[character] for character in text], np.int64)
        cut = len(ids) * 9 // 10
        self.train, self.test = ids[:cut], ids[cut:]
        if min(len(self.train), len(self.test)) <= CONTEXT:
            sys.exit(f"language.py: a text of {len(ids)} characters is too short; it needs {11 * CONTEXT}")

    def batch(self, ids: np.ndarray, starts: np.ndarray) -> tuple[ndl.Tensor, ndl.Tensor]:
        """Stretches of the text from `starts` on, and the characters that follow each place in them."""
        found = ids[starts[:, None] + np.arange(CONTEXT + 1)]
        return ndl.asarray(found[:, :-1]), ndl.asarray(found[:, 1:])

    def decode(self, ids: list[int]) -> str:
        return "".join(self.alphabet[i] for i in ids)


def loss_of(model: nn.Module, x: ndl.Tensor, y: ndl.Tensor) -> ndl.Tensor:
    """The mean cross-entropy of the next characters, in nats."""
    scores = model(x)
    return F.cross_entropy(scores.reshape((x.size, scores.shape[-1])), y.reshape((x.size,)))


def held_out(model: nn.Module, text: Text, batches: int = 8) -> float:
    """The loss on stretches of the text that was held out."""
    model.eval()
    starts = np.linspace(0, len(text.test) - CONTEXT - 2, batches * BATCH).astype(np.int64).reshape(batches, BATCH)
    with ndl.no_grad():
        losses = [loss_of(model, *text.batch(text.test, some)).item() for some in starts]
    model.train()
    return float(np.mean(losses))


def train_epoch(model: nn.Module, text: Text, train: Any, random: np.random.Generator, bar: Any) -> float:
    """Go through so many batches and return the mean loss; `train` has the optimizer and its schedule."""
    optimizer, schedule = train
    total = ndl.zeros(())
    for step in range(1, STEPS + 1):
        x, y = text.batch(text.train, random.integers(0, len(text.train) - CONTEXT - 1, BATCH))
        loss = loss_of(model, x, y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total = total + loss.detach()  # summed on the device, without waiting for it
        bar.update()
        if step % READ_EVERY == 0:
            bar.set_postfix(loss=f"{total.item() / step:.4f}")
    return total.item() / STEPS


def plot(path: Path, train: list[float], test: list[float]) -> None:
    """Draw both losses after each epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for values, label in ((train, "training"), (test, "held out")):
        axis.plot(range(1, len(values) + 1), values, marker=".", label=label)
    axis.set(xlabel="epoch", ylabel="nats a character")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def parse_arguments() -> argparse.Namespace:
    """The command line's options."""
    description, save = "Train a small transformer to write text.", "keep the model in this file"
    made = training_parser(description, 5, "the losses", save, f"of {STEPS} steps each")
    made.add_argument("--text", type=Path, help="a text to learn from (default: Python's manual)")
    made.add_argument("--write", type=int, default=400, metavar="N", help="characters to write at the end (400)")
    arguments = parsed(made)
    if arguments.text and not arguments.text.is_file():
        made.error(f"there is no file {arguments.text}")
    return arguments


def main() -> None:
    """Train, write, and report the loss on what was held out."""
    on_device("language.py", parse_arguments(), run)


def run(arguments: argparse.Namespace) -> None:
    """Train on the default device."""
    ndl.manual_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)
    text = Text(load_text(arguments.text))
    model = Language(len(text.alphabet))
    optimizer = optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = arguments.epochs * STEPS
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps + 1, pct_start=0.1)
    losses, tests = [], []
    with tqdm(total=steps, unit="step") as bar:
        for epoch in range(1, arguments.epochs + 1):
            bar.set_description(f"epoch {epoch}/{arguments.epochs}")
            losses.append(train_epoch(model, text, (optimizer, schedule), random, bar))
            tests.append(held_out(model, text))
            bar.set_postfix(loss=f"{losses[-1]:.4f}", test=f"{tests[-1]:.4f}")
    if arguments.plot:
        plot(arguments.plot, losses, tests)
        print(f"plotted: {arguments.plot}")
    if arguments.save:
        ndl.save(arguments.save, {"model": model, "alphabet": "".join(text.alphabet)})
        print(f"saved: {arguments.save}")
    if arguments.write:
        print(text.decode(model.write([int(i) for i in text.test[:32]], arguments.write)))
    print(f"held-out loss {tests[-1]:.4f}")


if __name__ == "__main__":
    run_main(main)
