"""The guides are programs: every block of Python in them runs, on every device."""

import shutil

import numpy as np
import pytest
from support.guides import DOCS, blocks

import needle as ndl
from needle.backend import records
from needle.backend.opencl.building import programs
from needle.backend.opencl.kernels import launchers
from needle.ops.base import withdraw

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the guides are not part of an installed package")


GUIDES = (
    "add-an-op.md", "add-a-backend.md", "capture.md", "debugging.md", "indexing.md", "numbers.md", "performance.md",
    "sequences.md",
)  # fmt: skip


@pytest.mark.parametrize("guide", GUIDES)
def test_guide(guide, device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(ndl.ops.registry)
    try:
        with device:
            exec(compile("\n".join(blocks(guide, "python")), guide, "exec"), {"__name__": "guide"})
    finally:
        for name in set(ndl.ops.registry) - before:
            withdraw(name)


@pytest.fixture
def scratch(monkeypatch):
    """What a guide registers is forgotten after the test."""
    monkeypatch.setattr(records, "PRIMITIVES", dict(records.PRIMITIVES))
    monkeypatch.setattr(launchers, "LAUNCHERS", dict(launchers.LAUNCHERS))


@pytest.fixture(params=["in cl/", "in a package of its own"])
def reverse_rows(request, device, scratch, tmp_path, monkeypatch):
    """The operation of the guide to kernels, after all of the guide has run."""
    python, kernel = ("\n".join(blocks("add-a-kernel.md", language)) for language in ("python", "c"))
    if request.param == "in cl/":
        cl = shutil.copytree(programs.source_folder(), tmp_path / "cl")
        monkeypatch.setattr(programs, "source_folder", lambda: cl)
        (cl / "reverse.cl").write_text(kernel)
    else:
        own = tmp_path / "reverse.cl"
        own.write_text(kernel)
        assert '"reverse.cl"' in python
        python = python.replace('"reverse.cl"', repr(str(own)))
    namespace = {"__name__": "guide"}
    with device:
        exec(compile(python, "add-a-kernel.md", "exec"), namespace)
    return namespace["ReverseRows"]()


VIEWS = {
    "x.T": (lambda x: x.T, lambda x: x.T),
    "x[1:]": (lambda x: x[1:], lambda x: x[1:]),
    "x[:, ::2]": (lambda x: x[:, ::2], lambda x: x[:, ::2]),
    "flipped": (lambda x: ndl.flip(x, 0), lambda x: x[::-1]),
    "broadcast": (lambda x: ndl.broadcast_to(x[:, :1], (5, 7)), lambda x: np.broadcast_to(x[:, :1], (5, 7))),
}


def test_guide_to_kernels(reverse_rows):
    host = np.arange(35, dtype=np.float32).reshape(5, 7)
    for name, (view, expected) in VIEWS.items():
        found = reverse_rows(view(ndl.asarray(host)))
        np.testing.assert_array_equal(found.numpy(), expected(host)[:, ::-1], err_msg=name)
