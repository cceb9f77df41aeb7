"""The files of `cl/`: each belongs to the module that launches it."""

from __future__ import annotations

import pkgutil
import re

from needle.backend.opencl import kernels
from needle.backend.opencl.building.programs import source_folder
from needle.backend.opencl.building.types import cl_type, compute_type
from needle.dtypes import ALL, is_float

MODULES = {module.name for module in pkgutil.iter_modules(kernels.__path__)}

#: Headers that serve several families.
SHARED = {
    "builtins.h", "common.h", "expression.h", "keys.h", "layout.h", "philox.h", "powers.h", "special.h", "types.h",
    "units.h",
}  # fmt: skip


def test_each_file_is_named_after_the_module_that_launches_it() -> None:
    files = {file.name for file in source_folder().iterdir()}
    assert files >= SHARED
    for name in files - SHARED:
        assert any(name.startswith((f"{module}.", f"{module}_")) for module in MODULES), name


def test_element_types_are_told_by_one_header() -> None:
    """No family loads or stores a half itself, nor asks whether its elements are halves."""
    asks = re.compile(r"\bv(?:load|store)_?half|\bhalf\b(?!_)|\bHALF\b")
    for file in source_folder().iterdir():
        if file.name not in ("builtins.h", "types.h"):
            code = re.sub(r"//.*", "", file.read_text())
            assert not asks.search(code), (file.name, asks.search(code))


def test_each_dtype_has_its_block_in_the_header() -> None:
    defined = dict(re.findall(r"^#define (\w+) (.*)$", (source_folder() / "types.h").read_text(), re.MULTILINE))
    for dtype in ALL:
        name = cl_type(dtype)
        assert defined[f"COMPUTE_TYPE_{name}"] == compute_type(dtype)  # as Python has it
        properties = {"STORAGE", "SUM_TYPE", "MASK", "LOWEST", "HIGHEST", "DIGITS" if is_float(dtype) else "UNSIGNED"}
        assert all(f"{what}_{name}" in defined for what in properties), name
