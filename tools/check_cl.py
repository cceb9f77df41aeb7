"""Check the syntax of the kernels in `cl/` as OpenCL C 1.2, every warning an error.

    python tools/check_cl.py [FILE ...]

The compiler is the clang inside the `clang-tidy` wheel of PyPI, so nothing need be installed on the system;
the environment variable NEEDLE_CLANG names a clang to use in its place. Each file is compiled as it stands, with
vectors of sixteen lanes, and so with the kernels for CPUs, for either layout of a product's A; and for elements that
are halves or doubles. A file that includes `cl/builtins.h` is checked with its declarations in place of the compiler's
own as well: what it uses must be there. Functions must be `static inline`, or neither if they get pointers to local
memory (see cl/common.h).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "cl"
VARIANTS = (
    (), ("-DWIDTH=16",), ("-DWIDTH=16", "-DON_CPU"), ("-DWIDTH=16", "-DON_CPU", "-DA_BY_COLUMNS"),
    ("-DT=half",), ("-DT=half", "-DWIDTH=16"), ("-DT=double", "-DWIDTH=16", "-DKIND=1"),
)  # fmt: skip
# The target is that of SPIR: the only one under which clang knows of every optional type (half, double).
FLAGS = ("--target=spir64", "-x", "cl", "-cl-std=CL1.2", "-Wall", "-Werror", f"-I{FOLDER}")
#: What brings the built-in functions: the compiler's header, or only its types and constants, and `cl/builtins.h`.
BUILTINS = {
    "the compiler's own": ("-Xclang", "-finclude-default-header"),
    "cl/builtins.h": ("-cl-no-stdinc", "-include", "opencl-c-base.h", "-DOWN_BUILTINS"),
}
TIDY = (
    "--quiet", "--allow-no-checks", "--checks=-*,clang-diagnostic-*", "--header-filter=.*",
    "--warnings-as-errors=*",
)  # fmt: skip
INCLUDE = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)
#: Heads of functions that break the rules on `static` and `inline`.
BAD_HEADS = {
    "inline, but not static": re.compile(r"^(?!.*\bstatic\b)(?!\s*//).*\binline\b", re.MULTILINE),
    "static, and gets local memory": re.compile(r"^\s*static\b[^;{()]*\([^;{]*__local\b[^;{]*\{", re.MULTILINE),
}
PLANTED_FAULTS = {
    "plain inline": "inline int f(int a) { return a; }\n__kernel void k(__global int *p) { p[0] = f(1); }\n",
    "static with local": "static inline int f(__local int *a) { return a[0]; }\n"
    "__kernel void k(__global int *p) { __local int a[1]; a[0] = 1; p[0] = f(a); }\n",
    "error": "__kernel void k(__global float *p) { p[0] = undeclared; }\n",
    "warning": "__kernel void k(__global float *p) { int unused; p[0] = 1; }\n",
    "function that cl/builtins.h lacks": '#include "builtins.h"\n'
    "__kernel void k(__global float *p) { p[0] = native_exp(p[1]); }\n",
}


def command(file: Path, variant: Sequence[str]) -> list[str]:
    """The command that checks one file under one set of defines and other options."""
    clang = os.environ.get("NEEDLE_CLANG")
    if clang:
        return [clang, "-fsyntax-only", *FLAGS, *variant, str(file)]
    return ["clang-tidy", *TIDY, str(file), "--", *FLAGS, *variant]


def includes_builtins(text: str) -> bool:
    """Whether a file of this text includes `cl/builtins.h`, if only through another header."""
    names: list[str] = INCLUDE.findall(text)
    return "builtins.h" in names or any(includes_builtins((FOLDER / name).read_text()) for name in names)


def check(file: Path, variant: Sequence[str]) -> str:
    """What there is to say against `file`; empty if it is nothing."""
    text = file.read_text()
    for fault, pattern in BAD_HEADS.items():
        if head := pattern.search(text):
            return f"{file.name}: a function that is {fault}: {head[0].strip()}"
    for origin, options in BUILTINS.items():
        if origin != "cl/builtins.h" or includes_builtins(text):
            arguments = command(file, (*variant, *options))
            done = subprocess.run(arguments, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"
                return f"with built-in functions from {origin}: {said}"
    return ""


def blind_to() -> list[str]:
    """The kinds of fault that the checker, as it is set up here, would let through."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "planted.cl")
        missed = []
        for kind, source in PLANTED_FAULTS.items():
            file.write_text(source)
            if not check(file, ()):
                missed.append(kind)
        return missed


def main(arguments: list[str]) -> int:
    """Check the files named, or all; return the exit status."""
    files = [Path(argument) for argument in arguments] or sorted(FOLDER.glob("*.cl"))
    if not files:
        print(f"no .cl file in {FOLDER}")
        return 1
    if missed := blind_to():
        print(f"the compiler finds no fault in a planted {' and a planted '.join(missed)}: {command(Path('x.cl'), ())}")
        return 1
    faults = 0
    for file in files:
        for variant in VARIANTS:
            if said := check(file, variant):
                faults += 1
                print(f"== {file.name} {' '.join(variant)}\n{said}\n")
    print(f"{len(files)} files, {len(VARIANTS)} variants each: {faults or 'no'} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
