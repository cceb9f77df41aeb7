"""What the examples' command lines share: the options of a training, the device in the first line, Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import needle as ndl


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the option `--device`."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--device", help="such as pocl, nvidia or numpy; by default the best one found")
    return made


def training_parser(
    description: str, epochs: int, plot: str, save: str, epoch: str = "passes over the training data"
) -> argparse.ArgumentParser:
    """A parser with the options of a training; `plot`, `save` and `epoch` say what these options are about."""
    made = parser(description)
    made.add_argument("--epochs", type=int, default=epochs, help=f"{epoch} (default: {epochs})")
    made.add_argument("--plot", type=Path, metavar="PNG", help=f"draw {plot} into this file")
    made.add_argument("--save", type=Path, metavar="SAFETENSORS", help=save)
    made.add_argument("--seed", type=int, default=0, help="of the weights and of the order (default: 0)")
    return made


def parsed(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of a training, once they are known to make sense: else the program ends and says why."""
    arguments = made.parse_args()
    if arguments.epochs < 1:
        made.error("--epochs must be at least 1")
    for path in (arguments.plot, arguments.save):
        if path and not path.parent.is_dir():
            made.error(f"{path}: there is no folder {path.parent}")
    return arguments


def run_main(main: Callable[[], None]) -> None:
    """Run `main`; Ctrl-C ends it with one line and the status 130."""
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def on_device(script: str, arguments: argparse.Namespace, run: Callable[[argparse.Namespace], None]) -> None:
    """Print the device that `--device` names, or the best one, and run on it; without it `script` ends and says why."""
    try:
        device = ndl.device(arguments.device) if arguments.device else ndl.default_device()
    except ndl.DeviceError as error:
        sys.exit(f"{script}: {error}")
    print(f"device: {device.name} ({device.info.description})", flush=True)
    with device:
        run(arguments)
