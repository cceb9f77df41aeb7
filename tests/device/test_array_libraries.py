"""Libraries that take the arrays of any library take tensors, and give what they give of NumPy's arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import environment

import needle as ndl

TESTS = Path(__file__).parents[1]


def failures(library: str, device: ndl.Device, *options: str) -> list[str]:
    """The lines of `support.array_libraries`."""
    pytest.importorskip(library)
    if not device.supports(ndl.float64):
        pytest.skip(f"{library} computes in float64, which {device.name} lacks")
    done = subprocess.run(
        [sys.executable, "-m", "support.array_libraries", library, device.name, *options],
        capture_output=True, text=True, cwd=TESTS, env=environment(SCIPY_ARRAY_API="1"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("library", "count"), [("sklearn", 7), ("scipy", 6)])
def test_some_calls(library: str, count: int, device: ndl.Device) -> None:
    assert failures(library, device, "core") == [f"{count} calls"]


@pytest.mark.slow
@pytest.mark.parametrize(("library", "count"), [("sklearn", 58), ("scipy", 69)])
def test_all_calls(library: str, count: int, device: ndl.Device) -> None:
    assert failures(library, device) == [f"{count} calls"]
