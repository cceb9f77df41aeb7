"""Write what is generated from the declarations of operations.

docs/operations.md is the table of elementwise operations. needle/array/methods.pyi tells type checkers and editors
which functions are methods as well. `python tools/generate.py` writes both; with `--check` it only fails if one of
them is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needle import ops
from needle.array.methods import Methods

ROOT = Path(__file__).parents[1]

# -- docs/operations.md -----------------------------------------------------------------------------

TABLE_HEADER = """\
# Elementwise operations

Written by `python tools/generate.py` from the declarations in `needle/ops/`. All of them broadcast, promote, fuse
and run on every device. A method is called `x.tanh()` as well as `ndl.tanh(x)`.

| operation | what it is | dtypes | gradient | method | OpenCL |
|---|---|---|---|---|---|
"""

KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float"}


def row(declaration: ops.Declaration) -> str:
    """The table's row for one operation."""
    record = declaration.record
    cl = record.cl if isinstance(record.cl, str) else "; ".join(f"{kinds}: {text}" for kinds, text in record.cl.items())
    dtypes = "any" if len(record.kinds) == len(KINDS) else ", ".join(KINDS[k] for k in record.kinds)
    cl = cl.replace("|", "\\|")  # a bar would end the table's cell
    gradient = "yes" if declaration.differentiable else ""
    method = "yes" if declaration.name in vars(Methods) else ""
    return f"| `{declaration.name}` | {summary(declaration.function)} | {dtypes} | {gradient} | {method} | `{cl}` |"


def table() -> str:
    """The page of elementwise operations."""
    rows = (row(d) for d in ops.registry.values() if not d.name.startswith("_"))
    return TABLE_HEADER + "\n".join(r for r in rows) + "\n"


# -- needle/array/methods.pyi -----------------------------------------------------------------------

STUB_HEADER = """\
# Written by `python tools/generate.py` from the declarations in needle/ops/.
# fmt: off
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from needle.dtypes import DTypeLike
from needle.ops.sorting import RankedResult

Result = TypeVar("Result")

Axes = int | Sequence[int] | None

class Methods(Generic[Result]):
"""


def stub() -> str:
    """The methods that the declarations add to arrays and tensors, with their types."""
    methods = {name: value for name, value in vars(Methods).items() if inspect.isfunction(value)}
    return STUB_HEADER + "\n".join(signature(name, methods[name]) for name in sorted(methods))


def signature(name: str, function: Callable[..., Any]) -> str:
    """One method of the stub. The function's first argument is `self`, and a tensor becomes the class's own."""
    declared = inspect.signature(function)
    arguments = ["self", *(str(p) for p in with_other_names(function, list(declared.parameters.values())[1:]))]
    head = f"    def {name}({', '.join(arguments)}) -> {declared.return_annotation}:"
    head = re.sub(r"\bTensor\b", "Result", head.replace("'", ""))
    return f'{head}\n        """{summary(function)}"""\n'


def with_other_names(function: Callable[..., Any], declared: list[inspect.Parameter]) -> list[inspect.Parameter | str]:
    """The parameters of a method, and those by whose names it takes them as well, as keywords."""
    others = [
        parameter.replace(name=other, kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in declared
        for other, name in getattr(function, "other_names", {}).items()
        if name == parameter.name
    ]
    kinds = {parameter.kind for parameter in declared}
    marked = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL} & kinds
    plain: list[inspect.Parameter | str] = [p for p in declared if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    keywords = [p for p in declared if p.kind is inspect.Parameter.KEYWORD_ONLY]
    star = ["*"] if (others or keywords) and inspect.Parameter.VAR_POSITIONAL not in marked else []
    return [*plain, *star, *keywords, *others]


# ---------------------------------------------------------------------------------------------------


def summary(function: Callable[..., Any]) -> str:
    """The first line of a function's docstring."""
    return (inspect.getdoc(function) or "").splitlines()[0]


TARGETS: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "operations.md": table,
    ROOT / "needle" / "array" / "methods.pyi": stub,
}


def main() -> int:
    """Write the files, or check them."""
    texts = {target: text() for target, text in TARGETS.items()}
    outdated = {target: text for target, text in texts.items() if not target.exists() or target.read_text() != text}
    if "--check" in sys.argv[1:]:
        for target in outdated:
            print(f"{target.relative_to(ROOT)} is out of date: run python tools/generate.py")
        return 1 if outdated else 0
    for target, text in outdated.items():
        target.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
