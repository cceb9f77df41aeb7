"""NEEDLE_DEBUG where there is no OpenCL: what it may say, and that nothing is printed where no kernel is launched."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.processes import python

import needle as ndl
from needle.backend.debugging import Kernels, from_environment

WITHOUT_OPENCL = "import sys; sys.modules['pyopencl'] = None\n"


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (None, None),
        ("", None),
        ("kernels", Kernels(None)),
        ("kernels:made/here", Kernels(Path("made/here"))),
        ("kernels:C:/made", Kernels(Path("C:/made"))),
    ],
)
def test_what_is_asked_for(monkeypatch: pytest.MonkeyPatch, value: str | None, asked: Kernels | None) -> None:
    monkeypatch.delenv("NEEDLE_DEBUG", raising=False)
    if value is not None:
        monkeypatch.setenv("NEEDLE_DEBUG", value)
    assert from_environment() == asked


@pytest.mark.parametrize("value", ["kernel", "kernels:", "Kernels", "1"])
def test_what_is_not_known(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NEEDLE_DEBUG", value)
    with pytest.raises(ndl.DeviceError, match=f"NEEDLE_DEBUG='{value}' is not known; expected 'kernels'"):
        from_environment()


def test_without_opencl_nothing_is_printed(tmp_path: Path) -> None:
    program = WITHOUT_OPENCL + "import needle as ndl; print(ndl.ones((2, 3)).sum(axis=0).numpy().tolist())"
    done = python(program, NEEDLE_DEBUG=f"kernels:{tmp_path / 'sources'}", NEEDLE_DEVICE="numpy")
    assert (done.stdout, done.stderr) == ("[2.0, 2.0, 2.0]\n", "")
    assert not (tmp_path / "sources").exists()


def test_without_opencl_an_unknown_value_is_an_error() -> None:
    done = python(WITHOUT_OPENCL + "import needle as ndl; ndl.ones(1)", NEEDLE_DEBUG="all", NEEDLE_DEVICE="numpy")
    assert "NEEDLE_DEBUG='all' is not known; expected 'kernels'" in done.stderr.splitlines()[-1]
