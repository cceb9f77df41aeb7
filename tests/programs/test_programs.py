"""Programs written for NumPy or for PyTorch run on needle with only imports changed, and give the same results."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import needle as ndl

HERE = Path(__file__).parent
FOLDERS = {"for_numpy": "numpy", "for_torch": "torch"}

#: Programs of long chains, or much like others, whose kernels take long to compile.
LONG = {
    "adversarial_example", "autoencoder", "gaussian_process", "pendulum", "support_vectors", "threshold_by_otsu",
    "wave_on_a_string",
}  # fmt: skip

#: Relative and absolute tolerance: those of float32, in which needle computes what NumPy computes in float64.
CLOSE = (2e-4, 2e-5)

#: Programs that draw their own numbers agree within the error of their samples.
BY_CHANCE = (0.1, 0.03)


def text_for(file: Path, library: str, substitute: str) -> str:
    """The program's text with `substitute` imported where the author imported `library`."""

    def changed(line: re.Match[str]) -> str:
        text = re.sub(rf"^import {library}$", f"import {library} as {library}", line.group())
        return re.sub(rf"^(import|from) {library}\b", rf"\1 {substitute}", text)

    return re.sub(r"^(?:import|from) .*$", changed, file.read_text(), flags=re.MULTILINE)


def programs_of(file: Path, library: str, substitute: str) -> dict[str, Callable[[], Any]]:
    """The programs of a file: its functions without parameters, by name."""
    module = ModuleType(file.stem)
    exec(compile(text_for(file, library, substitute), str(file), "exec"), module.__dict__)
    functions = {name: f for name, f in vars(module).items() if getattr(f, "__module__", "") == file.stem}
    return {name: f for name, f in functions.items() if f.__code__.co_argcount == 0}


@cache
def of_author(file: Path, library: str, name: str) -> Any:
    """What a program gives with the library that it was written for."""
    pytest.importorskip(library)
    return on_host(programs_of(file, library, library)[name]())


def on_host(result: Any) -> Any:
    """Tensors of any library as NumPy arrays, also those in tuples and lists."""
    if isinstance(result, (tuple, list)):
        return [on_host(part) for part in result]
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    return result


def compare(actual: Any, expected: Any, where: str, rtol: float, atol: float) -> None:
    """Assert that two results on the host have the same structure, shapes, kinds of dtype and values."""
    if isinstance(expected, list):
        assert isinstance(actual, list) and len(actual) == len(expected), f"{where}: {actual} and {expected}"
        for i, (mine, other) in enumerate(zip(actual, expected, strict=True)):
            compare(mine, other, f"{where}[{i}]", rtol, atol)
        return
    found, wanted = np.asarray(actual), np.asarray(expected)
    assert found.shape == wanted.shape, f"{where}: shape {found.shape}, the original's is {wanted.shape}"
    assert found.dtype.kind == wanted.dtype.kind, f"{where}: dtype {found.dtype}, the original's is {wanted.dtype}"
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol, err_msg=where)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=where)


def cases() -> list[Any]:
    """A parameter for each program: its file, its library, its name."""
    found = []
    for folder, library in FOLDERS.items():
        for file in sorted((HERE / folder).glob("*.py")):
            names = re.findall(r"^def (\w+)\(\):$", file.read_text(), flags=re.MULTILINE)
            for name in names:
                marks = [pytest.mark.slow] if name in LONG else []
                found.append(pytest.param(file, library, name, id=f"{library}-{file.stem}-{name}", marks=marks))
    return found


@pytest.mark.parametrize(("file", "library", "name"), cases())
def test_the_program_gives_what_it_gave_its_author(file: Path, library: str, name: str, device: ndl.Device) -> None:
    expected = of_author(file, library, name)
    actual = on_host(programs_of(file, library, "needle")[name]())
    compare(actual, expected, name, *(BY_CHANCE if file.stem == "chance" else CLOSE))
