"""What NEEDLE_DEBUG=kernels prints of launches, and the sources that it keeps."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pyopencl as cl
import pytest
from support.processes import python

import needle as ndl
from needle.backend.opencl.running.device import OpenCLDevice

#: Makes launches of several families; the reduction reads a transposed view, the last one takes two launches or one.
PROGRAM = """
import needle as ndl
x = ndl.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=False)
print((x.T * 2 + 1).sum(axis=1).numpy().tolist())
print((x @ x.T).numpy().tolist())
print(ndl.softmax(x, axis=0).shape)
print(ndl.sum(ndl.ones((1024, 1024))).item())
"""


def blocks(text: str) -> list[dict[str, str]]:
    """The descriptions in `text`: for each its first line as "", and its lines by their headings."""
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        if line.startswith("needle: "):
            found.append({"": line})
        elif found and line.startswith("    "):
            found[-1][line[4:14].strip()] = line[15:]
    return found


def test_each_launch_is_described(device: ndl.Device, tmp_path: Path) -> None:
    quiet = python(PROGRAM, NEEDLE_DEVICE=device.name)
    folder = tmp_path / "made" / "here"
    done = python(PROGRAM, NEEDLE_DEVICE=device.name, NEEDLE_DEBUG=f"kernels:{folder}")
    assert done.stdout == quiet.stdout, done.stderr  # the same numbers
    described = blocks(done.stderr)
    if not isinstance(device, OpenCLDevice):  # it launches nothing
        assert described == [] and not folder.exists()
        return
    head = rf"needle: (\w+) on {re.escape(device.name)}, \d+ work-groups? of \d+ work-items?"
    names = [re.fullmatch(head, block[""])[1] for block in described]  # type: ignore[index]
    assert [re.sub("_.*", "", name) for name in names[:3]] in (["reduce", "matmul", "softmax"],)

    fold, product, softmax, *rest = described
    assert fold["operation"] == "sum((x * c) + c) of shape (3, 2) over axes (1,)"
    assert fold["x"] == "float32 (3, 2), strides (1, 3), offset 0"
    assert fold["c"] == "2, 1"
    assert fold["result"] == "float32 (3,), strides (1,), offset 0"
    assert "fold_rows=" in fold["arguments"] and "scalar0=2 scalar1=1" in fold["arguments"]
    assert re.search(r" layout=\[[-\d, ]+(; [-\d, ]+)+\]", fold["arguments"])
    assert re.match(r"cl/reduce\.cl with WIDTH=\d+ .*COMBINE\(a, b\)=\(b \+ a\) IDENTITY=0 ", fold["built from"])
    assert "LOAD_FULL" not in fold["built from"]
    assert product["operation"] == "matmul" and product["y"] == "float32 (3, 2), strides (1, 3), offset 0"
    assert "rows=2 columns=2 depth=3" in product["arguments"]
    assert softmax["operation"] == "softmax, axis=0"
    total = "sum(x) of shape (1024, 1024) over axes (0, 1)"
    texts = [block["operation"] for block in rest if "sum" in block["operation"]]
    assert texts[0].startswith("sum(") and total.partition(" of ")[2] in texts[0]
    assert all(text == f"launch {k} of {texts[0]}" for k, text in enumerate(texts[1:], 2))


def test_sources_are_complete(device: ndl.Device, tmp_path: Path) -> None:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("has no kernels")
    done = python(PROGRAM, NEEDLE_DEVICE=device.name, NEEDLE_DEBUG=f"kernels:{tmp_path}")
    described = blocks(done.stderr)
    assert {block["source"] for block in described} == set(map(str, tmp_path.iterdir()))
    block = described[0]
    file, kernel = Path(block["source"]), block[""].split()[1]
    assert re.fullmatch(rf"{kernel}-[0-9a-f]{{12}}\.cl", file.name)
    source = file.read_text()
    assert '#line 1 "cl/reduce.cl"' in source and "#include" not in source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = cl.Program(device.context, source).build(["-cl-std=CL1.2"])
    assert kernel in program.kernel_names.split(";")


def test_launches_go_as_they_would(device: ndl.Device) -> None:
    """Small launches still wait for company: a description asks for no hand-over of its own."""
    program = """
import needle as ndl
device = ndl.default_device()
x = ndl.ones(4)
x.realize(), (x + 1).realize(), device.synchronize()  # a launch whose kernel is compiled already may wait
for _ in range(3):
    x = (x + 1).realize()
held = getattr(getattr(device, "_submission", None), "_held", [])
print(device.launches, len(held), x.numpy().tolist())
"""
    quiet, debugged = (python(program, NEEDLE_DEVICE=device.name, NEEDLE_DEBUG=value) for value in ("", "kernels"))
    assert debugged.stdout == quiet.stdout, debugged.stderr
    assert debugged.stdout.endswith("[4.0, 4.0, 4.0, 4.0]\n")


def test_a_profile_leaves_the_descriptions(device: ndl.Device) -> None:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("has no kernels")
    program = """
import needle as ndl
x = ndl.ones(4).realize()
with ndl.profile():
    (x + 2).numpy()
(x + 3).numpy()
"""
    done = python(program, NEEDLE_DEVICE=device.name, NEEDLE_DEBUG="kernels")
    assert [(b["operation"], b["c"]) for b in blocks(done.stderr)][-2:] == [("x + c", "2"), ("x + c", "3")], done.stderr


def test_a_program_that_does_not_compile_is_kept(device: ndl.Device, tmp_path: Path) -> None:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("has no kernels")
    program = """
import needle as ndl
device = ndl.default_device()
try:
    device.compiled(device.kernel("softmax_rows.cl", "softmax_rows", {"T": "unheard_of"}, []))
except ndl.KernelCompileError:
    print("refused")
"""
    done = python(program, NEEDLE_DEVICE=device.name, NEEDLE_DEBUG=f"kernels:{tmp_path}")
    assert done.stdout == "refused\n", done.stderr
    (kept,) = tmp_path.glob("softmax_rows-*.cl")
    assert "#define T unheard_of" in kept.read_text()


def test_a_value_that_is_not_known_is_an_error(device: ndl.Device) -> None:
    values = ["kernel", "kernels:", "1", "sources:folder"]
    program = f"""
import os
import needle as ndl
for value in {values}:
    os.environ["NEEDLE_DEBUG"] = value
    try:
        ndl.ones(1).numpy()
    except ndl.DeviceError as error:
        print(error)
"""
    done = python(program, NEEDLE_DEVICE=device.name)
    expected = [f"NEEDLE_DEBUG={value!r} is not known; expected 'kernels', or 'kernels:FOLDER'" for value in values]
    for line, message in zip(done.stdout.splitlines(), expected, strict=True):
        assert message in line, done.stdout + done.stderr


def test_a_folder_that_cannot_be_made_is_an_error(device: ndl.Device, tmp_path: Path) -> None:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("has no kernels")
    file = tmp_path / "file"
    file.touch()
    done = python("import needle as ndl; ndl.ones(1)", NEEDLE_DEVICE=device.name, NEEDLE_DEBUG=f"kernels:{file}/inside")
    assert f"NEEDLE_DEBUG=kernels:{file}/inside: the folder cannot be written: " in done.stderr.splitlines()[-1]


def test_it_is_off_by_default(device: ndl.Device) -> None:
    if isinstance(device, OpenCLDevice):
        assert type(device) is OpenCLDevice
    done = python("import needle as ndl; ndl.ones(1).numpy()", NEEDLE_DEVICE=device.name)
    assert done.stderr == ""
    assert np.all(ndl.ones(2, device=device).numpy() == 1)
