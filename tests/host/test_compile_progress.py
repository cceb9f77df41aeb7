"""The line that tells of long compiling."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from needle.backend.opencl.building import progress
from needle.backend.opencl.building.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling is told of from its beginning."""
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)


def told(file: io.StringIO) -> str:
    """What is written to `file`, as stderr, while kernels are compiled."""
    with redirect_stderr(file), Progress(36) as shown:
        shown.advance(12)
        shown.advance(24)
    return file.getvalue()


def test_a_line_in_a_terminal_that_goes_away() -> None:
    *_, done, cleared, rest = told(Terminal()).split("\r")
    assert done == "needle: compiling 36 kernels, once (36 done)"
    assert cleared == " " * len(done) and rest == ""


def test_nothing_before_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 60.0)
    assert told(Terminal()) == ""


def test_nothing_in_a_file() -> None:
    assert told(io.StringIO()) == ""


def test_nothing_if_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.ENVIRONMENT_VARIABLE, "0")
    assert told(Terminal()) == ""
