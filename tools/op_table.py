"""Write docs/operations.md, the table of elementwise operations, from their declarations.

`python tools/op_table.py` writes it; with `--check` it only fails if the file is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from needle import ops

TARGET = Path(__file__).parents[1] / "docs" / "operations.md"

HEADER = """\
# Elementwise operations

Written by `python tools/op_table.py` from the declarations in `needle/ops/`. All of them broadcast, promote, fuse
and run on every device.

| operation | what it is | dtypes | gradient | OpenCL |
|---|---|---|---|---|
"""

KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float"}


def row(declaration: ops.Declaration) -> str:
    """The table's row for one operation."""
    record = declaration.record
    cl = record.cl if isinstance(record.cl, str) else "; ".join(f"{kinds}: {text}" for kinds, text in record.cl.items())
    dtypes = "any" if len(record.kinds) == len(KINDS) else ", ".join(KINDS[k] for k in record.kinds)
    cl = cl.replace("|", "\\|")  # a bar would end the table's cell
    summary = declaration.doc.splitlines()[0]
    gradient = "yes" if declaration.differentiable else ""
    return f"| `{declaration.name}` | {summary} | {dtypes} | {gradient} | `{cl}` |"


def table() -> str:
    """The whole page."""
    rows = (row(d) for d in ops.registry.values() if not d.name.startswith("_"))
    return HEADER + "\n".join(r for r in rows) + "\n"


def main() -> int:
    """Write the page, or check it."""
    text = table()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() == text:
            return 0
        print("docs/operations.md is out of date: run python tools/op_table.py")
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
