"""The guides are programs: every block of Python in them runs, on every device."""

import re
import shutil
from pathlib import Path

import pytest

import needle as ndl
from needle.backend.opencl import kernels as launchers
from needle.backend.opencl.building import programs

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the guides are not part of an installed package")


def blocks(guide: str, language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", (DOCS / guide).read_text(), re.DOTALL)
    assert found, f"{guide} has no {language}"
    return "\n".join(found)


@pytest.mark.parametrize("guide", ["add-an-op.md", "add-a-backend.md", "debugging.md", "performance.md"])
def test_guide(guide, device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(ndl.ops.registry)
    try:
        with device:
            exec(compile(blocks(guide, "python"), guide, "exec"), {"__name__": "guide"})
    finally:
        for name in set(ndl.ops.registry) - before:
            del ndl.ops.registry[name]


def test_guide_to_kernels(device, tmp_path, monkeypatch):
    cl = tmp_path / "cl"
    shutil.copytree(programs.source_folder(), cl)
    (cl / "reverse.cl").write_text(blocks("add-a-kernel.md", "c"))
    monkeypatch.setattr(programs, "source_folder", lambda: cl)
    namespace = {"__name__": "guide"}

    def reverse_rows(*args):
        namespace["reverse_rows"](*args)

    monkeypatch.setattr(launchers, "PRIMITIVES", {**launchers.PRIMITIVES, "reverse_rows": reverse_rows})
    with device:
        exec(compile(blocks("add-a-kernel.md", "python"), "add-a-kernel.md", "exec"), namespace)
