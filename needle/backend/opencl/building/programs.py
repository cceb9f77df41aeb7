"""From a `.cl` file and a set of defines to a kernel.

Sources live in `cl/` (in a wheel: `needle/cl/`). A program is its defines, then the file with every
`#include "x.h"` replaced by that header, each part under a `#line` directive, so that a compiler error
names a file and line that the reader can open. A device keeps the kernels that it has built (`OpenCLDevice.kernel`).
Between processes the driver's own disk cache serves (PoCL, NVIDIA), or PyOpenCL's where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pyopencl as cl

from needle.backend.opencl.building import builtins
from needle.backend.opencl.building.quiet import quiet

_INCLUDE = re.compile(r'^#include "(\w+\.h)"$', re.MULTILINE)

#: Where a compiler's message says that it is.
_PLACE = re.compile(r"(?<!\w)cl/([\w.]+):(\d+)")

#: A macro without arguments, and what it stands for.
_MACRO = re.compile(r"^#define (\w+) (.*)$", re.MULTILINE)

#: OpenCL C 1.2 is the floor; no fast-math: NaN and infinity mean what they mean in NumPy.
#: Warnings are the business of the project's own syntax check, not of its users.
_OPTIONS = ("-cl-std=CL1.2", "-w")

#: OpenCL's option to compile without the optimiser.
_UNOPTIMISED = "-cl-opt-disable"

Defines = Mapping[str, str | int]


@cache
def source_folder() -> Path:
    """The folder of the `.cl` files: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[3]
    for folder in (package / "cl", package.parent / "cl"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the OpenCL sources are missing: neither {package}/cl nor {package.parent}/cl")


@cache
def _with_includes(file: str) -> str:
    text = (source_folder() / file).read_text()

    def paste(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 2
        return f'{_with_includes(match[1])}\n#line {line} "cl/{file}"'

    return f'#line 1 "cl/{file}"\n{_INCLUDE.sub(paste, text)}'


def define(defines: Defines) -> str:
    """The lines that define macros."""
    return "\n".join(f"#define {name} {value}".replace("\n", " \\\n") for name, value in defines.items())


def assemble(file: str, defines: Defines) -> str:
    """The complete source of `cl/<file>` under `defines`."""
    return f"{define(defines)}\n{_with_includes(file)}"


def compiled(context: cl.Context, source: str, options: Sequence[str]) -> cl.Program:
    """`source`, compiled by the driver for the devices of `context`."""
    return cl.Program(context, source).build(list(options))


def build(context: cl.Context, source: str, optimised: bool = True) -> cl.Program:
    """Compile `source`, with the driver's optimiser or without. Raises pyopencl.RuntimeError with its log."""
    options = _OPTIONS if optimised else (*_OPTIONS, _UNOPTIMISED)
    with quiet():  # a driver that has something to say is no reason to warn the user
        return builtins.compiled(compiled, context, source, options)


def written(file: str, name: str, defines: Defines) -> tuple[int, ...]:
    """The parameters of kernel `name` through which it may write results: pointers to global memory that are not const.

    Those that are volatile are what its work-groups talk through, and hold nothing when it is done.
    """
    kept = re.compile(r"\b(const|volatile)\b")
    declared = enumerate(parameters(file, name, defines))
    return tuple(k for k, text in declared if "__global" in text and not kept.search(text))


def parameters(file: str, name: str, defines: Defines) -> list[str]:
    """The parameters of kernel `name` as `cl/<file>` declares them, in their order; each ends with its name."""
    source = assemble(file, defines).replace("\\\n", "")
    macros = dict(reversed(_MACRO.findall(source)))  # the first of a name counts
    signature = re.search(rf"^void {name}\((.*?)\)", source, re.MULTILINE | re.DOTALL)
    assert signature is not None
    return re.sub(r"\w+", lambda word: macros.get(word[0], word[0]), signature[1]).split(",")


def explain(file: str, defines: Defines, log: str) -> str:
    """Why `cl/<file>` did not compile under `defines`: the compiler's log, then the lines that it names, numbered."""
    excerpts = []
    for name, line in sorted(set(_PLACE.findall(log))):
        path = source_folder() / name
        if not path.is_file():  # a file of the driver's own
            continue
        lines = path.read_text().splitlines()
        first, last = max(0, int(line) - 3), min(len(lines), int(line) + 2)
        numbered = (f"{n + 1:5d} | {lines[n]}" for n in range(first, last))
        excerpts.append(f"cl/{name}\n" + "\n".join(numbered))
    settings = "\n".join(f"#define {name} {value}" for name, value in defines.items())
    return "\n\n".join((f"cl/{file} did not compile", log.strip(), *excerpts, "built with\n" + settings))
