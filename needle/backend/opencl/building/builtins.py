"""Compiling without the driver's header of built-in functions, where `cl/builtins.h` can stand in for it.

PoCL's compiler reads that header of 18,000 lines for each program, which takes most of the time that a small program
takes. Its guard, if it is defined, keeps the compiler from it. A program that does not compile so is compiled as usual
before any error is reported: an operation that a user declared may use what `cl/builtins.h` does not declare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyopencl as cl

#: The platforms, by how their names begin, whose compilers read the header as text, for each program.
PLATFORMS = ("Portable Computing Language",)

#: The guard of clang's `opencl-c.h`, and the macro under which `cl/builtins.h` declares its functions.
OPTIONS = ("-D_OPENCL_H_", "-DOWN_BUILTINS")

#: What a program contains that includes `cl/builtins.h`.
_INCLUDED = "#define NEEDLE_BUILTINS_H\n"

#: Whether the platforms, by name and version, have compiled a program so; False after the first one was refused.
_compile_so: dict[tuple[str, str], bool] = {}

#: The sources of the programs that compiled only with the driver's header. The kernels of `cl/` are none of them.
refused: list[str] = []

Compile = Callable[[cl.Context, str, Sequence[str]], cl.Program]


def compiled(compile_program: Compile, context: cl.Context, source: str, options: Sequence[str]) -> cl.Program:
    """The program of `source`, compiled by `compile_program(context, source, options)` and perhaps further options.

    Raises pyopencl.RuntimeError with what the compiler says about it with the driver's header.
    """
    platform = context.devices[0].platform
    key = platform.name, platform.version
    if not key[0].startswith(PLATFORMS) or _INCLUDED not in source or not _compile_so.get(key, True):
        return compile_program(context, source, options)
    try:
        program = compile_program(context, source, (*options, *OPTIONS))
        _compile_so[key] = True
    except cl.RuntimeError:
        program = compile_program(context, source, options)
        refused.append(source)
        _compile_so.setdefault(key, False)  # of a platform that has compiled others so, this program is to blame
    return program
