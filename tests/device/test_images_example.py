"""`examples/images.py` as a user runs it."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("sklearn", "tqdm"):
    pytest.importorskip(package, reason='needs the extra "examples"')

EXAMPLE = Path(__file__).parents[2] / "examples" / "images.py"

#: Where Debian puts Fashion-MNIST, which takes minutes an epoch.
DATA = Path("/usr/share/datasets/fashion-mnist")


def images(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.skipif(DATA.is_dir(), reason=f"the data is there: {DATA}")
def test_digits_serve_where_there_is_no_data(device, tmp_path: Path) -> None:
    if device.name == "numpy":
        pytest.skip("too slow for a convolutional network")
    model = tmp_path / "model.safetensors"
    result = images("--device", device.name, "--epochs", "3", "--save", model)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"device: {device.name} ({device.info.description})" and lines[1].startswith("data: ")
    found = re.fullmatch(r"test accuracy (0\.\d+)", lines[-1])
    assert found and float(found[1]) > 0.8 and model.exists()


def test_it_reads_files_in_the_format_of_mnist(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, count in (("train", 64), ("t10k", 32)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        pixels = (random.integers(0, 50, (count, 28, 28)) + 150 * labels[:, None, None]).astype(np.uint8)
        for kind, data in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, data.ndim]) + np.array(data.shape, ">u4").tobytes()
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + data.tobytes()))
    result = images("--device", "numpy", "--epochs", "1", "--data", tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"data: 64 and 32 images of {tmp_path}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--data", "/nowhere"], "--data: there is no folder /nowhere"), (["--device", "nowhere"], "no device 'nowhere'")],
)
def test_bad_arguments(arguments: list[str], message: str) -> None:
    result = images(*arguments)
    assert result.returncode != 0 and message in result.stderr
