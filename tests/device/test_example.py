"""`examples/digits.py` as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(package, reason='needs the extra "examples"')

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.py"


def digits(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def test_digits(device, tmp_path: Path):
    plot, model = tmp_path / "curve.png", tmp_path / "model.safetensors"
    result = digits("--device", device.name, "--epochs", "3", "--plot", plot, "--save", model)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"device: {device.name} ({device.info.description})"
    found = re.fullmatch(r"test accuracy (0\.\d+)", lines[-1])
    assert found and float(found[1]) > 0.9
    assert any(line.startswith(f"saved: {model}") for line in lines)
    assert plot.read_bytes().startswith(b"\x89PNG") and model.stat().st_size > 100_000
    assert "epoch 3/3" in result.stderr and "loss=" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_ends_it_cleanly():
    command = [sys.executable, EXAMPLE, "--device", "numpy", "--epochs", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("device: numpy")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("interrupted\n") and "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "nowhere"], "digits.py: there is no device 'nowhere'; known are"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--epoch", "3", "4"], "usage: digits.py"),
    ],
)
def test_bad_arguments(arguments: list[str], message: str):
    result = digits(*arguments)
    assert result.returncode in (1, 2) and message in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
