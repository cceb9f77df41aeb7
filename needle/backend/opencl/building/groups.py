"""Several kernels in one program: what they share is read by the compiler once.

The kernels of fused expressions share `cl/expression.h`, which is most of their source. In a program of several, that
header comes first, then each kernel: the defines that are its own, the code of its file under names that are its own,
and the end of those defines.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import cache

from needle.backend.opencl.building import programs
from needle.backend.opencl.building.kernel import Kernel

#: The header that the kernels of a program share; `TYPES` is the one of its defines that differs from kernel to kernel.
_HEADER, _TYPES = "expression.h", "TYPES"

#: The files whose code, after this header, may occur several times in a program.
_FILES = frozenset(("elementwise.cl", "elementwise_batch.cl", "reduce.cl", "argreduce.cl"))

#: The defines that the header depends on.
_SHARED = ("WIDTH", "INDEX", "LOCAL")

#: A define under which a file defines functions by macros, whose names cannot be found.
_HIDDEN = "BLOCK_TYPES"

_LAST_INCLUDE = re.compile(r'.*^#include "\w+\.h"\n', re.MULTILINE | re.DOTALL)
_DEFINED = re.compile(r"^ *#define (\w+)", re.MULTILINE)
_FUNCTION = re.compile(r"^static inline [\w ()]*?\b(\w+)\(", re.MULTILINE)
_TYPE = re.compile(r"^typedef .*\b(\w+);$", re.MULTILINE)


def common(kernel: Kernel) -> Hashable:
    """What two kernels must have in common to be in one program; None for a kernel that must be alone."""
    if kernel.file not in _FILES or _HIDDEN in kernel.defines:
        return None
    return (kernel.optimised, *(kernel.defines.get(name) for name in _SHARED))


def assemble(kernels: Sequence[Kernel]) -> tuple[str, list[str]]:
    """The source of a program of `kernels`, which have everything in common that they must, and their names in it."""
    defines = kernels[0].defines
    types = dict.fromkeys(word for kernel in kernels for word in str(kernel.defines[_TYPES]).split())
    # A kernel's own RANK tells the header that the defines of an expression are there: they come later here.
    header = {name: defines[name] for name in _SHARED} | {_TYPES: " ".join(types), "RANK": 0}
    parts = [programs.assemble(_HEADER, header), f"#undef RANK\n#undef {_TYPES}"]
    names = []
    for number, kernel in enumerate(kernels):
        name = f"{kernel.function_name}_{number}"
        parts.append(_part(kernel, number))
        names.append(name)
    return "\n".join(parts), names


def _part(kernel: Kernel, number: int) -> str:
    """The code of one kernel, with `_<number>` after each name that it defines for the whole program."""
    code, names = _code(kernel.file)
    renamed = {name: f"{name}_{number}" for name in (*names, kernel.function_name)}
    own = {name: value for name, value in kernel.defines.items() if name not in (*_SHARED, _TYPES)}
    begin = programs.define(own | renamed)
    ended = dict.fromkeys([*(name.split("(")[0] for name in own), *renamed, *_DEFINED.findall(code)])
    return "\n".join([begin, code, *(f"#undef {name}" for name in ended)])


@cache
def _code(file: str) -> tuple[str, tuple[str, ...]]:
    """What follows the header in `cl/<file>`, and the functions and types that it defines."""
    text = (programs.source_folder() / file).read_text()
    head = _LAST_INCLUDE.match(text)
    assert head is not None
    code = text[head.end() :]
    line = text.count("\n", 0, head.end()) + 1
    return f'#line {line} "cl/{file}"\n{code}', (*_FUNCTION.findall(code), *_TYPE.findall(code))
