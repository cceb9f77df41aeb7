"""Every primitive from the examples of its record, on views of every kind, on every device and kernel path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.array import NDArray
from needle.backend import records
from needle.backend.numpy import NumpyDevice
from needle.backend.protocol import ArrayView
from needle.backend.records import PRIMITIVES, Example, Operand, Primitive
from needle.doctor.arrangements import ARRANGEMENTS
from needle.doctor.comparison import Comparison
from needle.doctor.primitives import DTYPES, check
from needle.strides import contiguous_strides, is_contiguous

#: The numbers of a GPU's launch shape that choose other kernels than a CPU's.
WORK_GROUPS = {"vector_bytes": 4, "matmul_rows": 0, "matmul_group": 8, "fold_columns": 1, "fold_unroll": 1}


def faults(comparisons: Sequence[Comparison]) -> list[str]:
    return [fault for comparison in comparisons if (fault := comparison.fault()) is not None]


@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_primitive_is_right_on_any_view(device: ndl.Device, name: str) -> None:
    comparisons = list(check(PRIMITIVES[name], device))
    assert comparisons
    assert faults(comparisons) == []


@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_primitive_is_right_on_any_view_in_work_groups(device: ndl.Device, name: str) -> None:
    """The kernels that a GPU gets, on a device of another kind."""
    if not hasattr(device, "launch_shape"):
        pytest.skip("not an OpenCL device")
    assert faults(list(check(PRIMITIVES[name], in_work_groups(device), [np.dtype("float32")]))) == []


@cache
def in_work_groups(device: Any) -> Any:
    """The device once more for all tests here, so that each kernel is compiled once."""
    opened = type(device)(device.info, device.cl_device)
    local_size = min(64, device.cl_device.max_work_group_size)
    opened.launch_shape = replace(opened.launch_shape, local_size=local_size, **WORK_GROUPS)
    return opened


# -- records, launchers, examples -------------------------------------------------------------------


def test_each_primitive_has_a_launcher_and_each_launcher_a_primitive() -> None:
    pytest.importorskip("pyopencl")
    from needle.backend.opencl.kernels.launchers import LAUNCHERS

    assert set(LAUNCHERS) == set(PRIMITIVES)


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Primitives that a test declares are forgotten after it."""
    monkeypatch.setattr(records, "PRIMITIVES", dict(PRIMITIVES))


@pytest.mark.usefixtures("scratch")
def test_a_name_is_that_of_one_primitive_and_of_one_launcher() -> None:
    with pytest.raises(ValueError, match="there is a primitive 'matmul' already"):
        Primitive("matmul", np.matmul, PRIMITIVES["matmul"].signature)
    pytest.importorskip("pyopencl")
    from needle.backend.opencl.kernels import launches

    with pytest.raises(ValueError, match="primitive 'matmul' has a launcher already"):
        launches("matmul")(lambda device, inputs, outputs: None)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_examples_try_what_a_kernel_may_forget(name: str) -> None:
    """Two axes, so that a transposed operand is another; no elements; sizes that fill no vector."""
    examples = PRIMITIVES[name].examples
    shapes = [tuple(o.shape for o in e.operands) or (e.params["shape"],) for e in examples]
    assert any(all(len(shape) > 1 and np.prod(shape) > 1 for shape in operands) for operands in shapes)
    assert any(0 in shape for operands in shapes for shape in operands)
    assert any(n > 4 and n % 2 for operands in shapes for shape in operands for n in shape)


@pytest.mark.parametrize("dtype", [*map(str, DTYPES), "bool", "uint8"])
def test_operands_are_drawn_in_their_range(dtype: str) -> None:
    random, wanted = np.random.default_rng(0), np.dtype(dtype)
    drawn = Operand((1000,), low=-2, high=5).draw(random, wanted)
    assert drawn.dtype == wanted
    low, high = {"b": (0, 1), "u": (0, 4), "i": (-2, 4), "f": (-2, 5)}[wanted.kind]
    assert (low <= drawn.min() < 1 and high - 1 < drawn.max() <= high) or wanted.kind == "b"
    assert Operand((3,), np.dtype("int64")).draw(random, wanted).dtype == "int64"


# -- the arrangements -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 3), (1, 1)])
@pytest.mark.parametrize("name", ARRANGEMENTS)
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_an_arrangement_has_the_values_that_it_says(shape: tuple[int, ...], name: str, dtype: str) -> None:
    host = (np.random.default_rng(1).standard_normal(shape) * 9).astype(dtype)
    values, view = ARRANGEMENTS[name](host, ndl.device("numpy"))
    np.testing.assert_array_equal(view.numpy(), values)
    if not name.startswith("repeated"):
        np.testing.assert_array_equal(values, host)


@pytest.mark.parametrize(
    ("name", "strides", "offset"),
    [
        ("plain", (4, 1), 0),
        ("transposed", (1, 3), 0),
        ("reversed", (-4, -1), 11),
        ("sliced", (7, 1), 50),
        ("skipping", (16, 2), 48),
        ("repeated rows", (0, 1), 0),
        ("repeated columns", (1, 0), 0),
    ],
)
def test_how_an_arrangement_lies_in_memory(name: str, strides: tuple[int, int], offset: int) -> None:
    _, view = ARRANGEMENTS[name](np.zeros((3, 4), np.float32), ndl.device("numpy"))
    assert (view.strides, view.offset) == (strides, offset)


# -- what a launcher is given -----------------------------------------------------------------------


class Straight(NumpyDevice):
    """A device whose launchers read the elements of a buffer in their order, whatever the strides and the offset."""

    def run(
        self, primitive: Primitive, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], **params: Any
    ) -> None:
        views = [
            SimpleNamespace(
                buffer=np.resize(x.buffer, x.size), shape=x.shape, strides=contiguous_strides(x.shape), offset=0,
                dtype=x.dtype,
            )
            for x in inputs
        ]  # fmt: skip
        super().run(primitive, views, outputs, **params)


@pytest.fixture
def straight() -> Iterator[NumpyDevice]:
    with Straight(ndl.device("numpy").info) as opened:
        yield opened


def weighted(*, strided: bool) -> Primitive:
    """A primitive of one operand each element of which counts differently."""
    return Primitive(
        "weighted", lambda x: x * np.arange(x.size, dtype=x.dtype).reshape(x.shape),
        lambda x: ((x.shape, x.dtype),), strided=strided, examples=(Example((Operand((3, 5)),)),),
    )  # fmt: skip


@pytest.mark.usefixtures("scratch")
def test_a_launcher_that_ignores_strides_is_right_on_any_view(straight: NumpyDevice) -> None:
    assert faults(list(check(weighted(strided=False), straight))) == []


@pytest.mark.usefixtures("scratch")
def test_a_launcher_that_wrongly_says_it_walks_strides_is_found_out(straight: NumpyDevice) -> None:
    found = faults(list(check(weighted(strided=True), straight, [np.dtype("float32")])))
    wrong = [name for name in ARRANGEMENTS if any(f", {name}:" in fault for fault in found)]
    assert wrong == ["transposed", "reversed", "sliced", "skipping", "repeated columns"]


@pytest.mark.usefixtures("scratch")
def test_only_views_that_need_it_are_copied(straight: NumpyDevice) -> None:
    record = weighted(strided=False)
    x = NDArray.from_numpy(np.ones((4, 3), np.float32), straight)
    for view, launches in ((x, 1), (x[:2], 1), (x.reshape(2, 6), 1), (x[1:], 2), (x[:, 1:], 2), (x.flip((0,)), 2)):
        before = straight.launches
        view.run(record)
        assert straight.launches == before + launches
    pending = NDArray.from_numpy(np.ones((4, 3), np.float32), straight) + 1
    before = straight.launches
    assert pending.run(record).numpy()[3, 2] == 22 and straight.launches == before + 2
    assert is_contiguous(pending.shape, pending.strides)
