"""When a program is compiled with the declarations of `cl/builtins.h` in place of the driver's header."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pyopencl as cl
import pytest

from needle.backend.opencl.building import builtins, programs

OPTIONS = ("-cl-std=CL1.2",)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has compiled nothing."""
    monkeypatch.setattr(builtins, "_compile_so", {})
    monkeypatch.setattr(builtins, "refused", [])


class Compiler:
    """Notes the options it is called with, and refuses the sources that contain a word, if built-ins are our own."""

    def __init__(self, refused: str = "refused") -> None:
        self.refused = refused
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, context: Any, source: str, options: Sequence[str]) -> Any:
        self.calls.append(tuple(options))
        if self.refused in source and set(builtins.OPTIONS) <= set(options):
            raise cl.RuntimeError("undeclared")
        if "wrong" in source:
            raise cl.RuntimeError("wrong")
        return source

    def compiled(self, source: str, platform: str = "Portable Computing Language") -> Any:
        context: Any = SimpleNamespace(devices=[SimpleNamespace(platform=SimpleNamespace(name=platform, version="1"))])
        return builtins.compiled(self, context, source, OPTIONS)


SOURCE = programs.assemble("softmax_rows.cl", {})
WITH_OURS = (*OPTIONS, *builtins.OPTIONS)


def test_kernels_are_compiled_with_our_declarations() -> None:
    compiler = Compiler()
    assert compiler.compiled(SOURCE) == SOURCE
    assert compiler.calls == [WITH_OURS]


@pytest.mark.parametrize("platform", ["Intel(R) OpenCL", "rusticl", "NVIDIA CUDA"])
def test_other_platforms_read_their_own_header(platform: str) -> None:
    compiler = Compiler()
    compiler.compiled(SOURCE, platform)
    assert compiler.calls == [OPTIONS]


def test_a_file_that_does_not_include_them_is_compiled_with_the_drivers_header() -> None:
    compiler = Compiler()
    compiler.compiled(programs.assemble("common.h", {}))
    assert compiler.calls == [OPTIONS]


def test_a_program_that_uses_another_function_is_compiled_again() -> None:
    compiler = Compiler()
    compiler.compiled(SOURCE)
    assert compiler.compiled(SOURCE + "refused") == SOURCE + "refused"
    compiler.compiled(SOURCE)
    assert compiler.calls == [WITH_OURS, WITH_OURS, OPTIONS, WITH_OURS]
    assert builtins.refused == [SOURCE + "refused"]


def test_a_platform_that_refuses_the_first_program_is_left_alone() -> None:
    compiler = Compiler()
    for source in (SOURCE + "refused", SOURCE):
        compiler.compiled(source)
    assert compiler.calls == [WITH_OURS, OPTIONS, OPTIONS]


def test_an_error_is_that_of_the_drivers_header() -> None:
    compiler = Compiler()
    with pytest.raises(cl.RuntimeError, match="wrong"):
        compiler.compiled(SOURCE + "refused and wrong")
    with pytest.raises(cl.RuntimeError, match="wrong"):
        compiler.compiled(SOURCE + "wrong")
    compiler.compiled(SOURCE)
    assert compiler.calls[-1] == WITH_OURS  # a wrong program says nothing of the platform
    assert builtins.refused == []
