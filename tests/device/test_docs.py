"""The guides are programs: every block of Python in them runs, on every device."""

import shutil

import pytest
from support.guides import DOCS, blocks

import needle as ndl
from needle.backend.opencl import kernels as launchers
from needle.backend.opencl.building import programs
from needle.ops.base import withdraw

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the guides are not part of an installed package")


@pytest.mark.parametrize("guide", ["add-an-op.md", "add-a-backend.md", "performance.md"])
def test_guide(guide, device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(ndl.ops.registry)
    try:
        with device:
            exec(compile("\n".join(blocks(guide, "python")), guide, "exec"), {"__name__": "guide"})
    finally:
        for name in set(ndl.ops.registry) - before:
            withdraw(name)


def test_guide_to_kernels(device, tmp_path, monkeypatch):
    cl = tmp_path / "cl"
    shutil.copytree(programs.source_folder(), cl)
    (cl / "reverse.cl").write_text("\n".join(blocks("add-a-kernel.md", "c")))
    monkeypatch.setattr(programs, "source_folder", lambda: cl)
    namespace = {"__name__": "guide"}

    def reverse_rows(*args):
        namespace["reverse_rows"](*args)

    monkeypatch.setattr(launchers, "PRIMITIVES", {**launchers.PRIMITIVES, "reverse_rows": reverse_rows})
    with device:
        exec(compile("\n".join(blocks("add-a-kernel.md", "python")), "add-a-kernel.md", "exec"), namespace)
