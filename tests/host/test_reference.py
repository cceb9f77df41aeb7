"""What `test_fuzz.py` stands on: how programs are drawn, and the reference that they are compared with."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from support.lines import can_multiply
from support.programs import FusedProgram, programs, run
from support.reference import World
from support.writer import WORLDS, is_certain

import needle as ndl


@pytest.mark.parametrize(
    ("a", "b", "possible"),
    [
        ((3, 4), (4, 5), True), ((3, 4), (5, 4), False), ((4,), (4,), True), ((4,), (3,), False), ((4,), (4, 3), True),
        ((3, 4), (4,), True), ((2, 3, 4), (4, 5), True), ((2, 3, 4), (3, 4, 5), False), ((7, 3, 4), (1, 4, 5), True),
        ((2, 4), (4, 0), True), ((181, 1), (1, 181), True), ((182, 1), (1, 182), False), ((8, 99, 1), (1, 99), False),
    ],
)  # fmt: skip
def test_a_product_that_is_drawn_exists_and_is_small(a: tuple, b: tuple, possible: bool) -> None:
    """Else the reference takes gigabytes for a column by a row before it finds the product too large."""
    assert can_multiply(a, b) == possible


@given(program=programs())
def test_a_program_has_10_to_40_operations(program: FusedProgram) -> None:
    computing = [line for line in program.lines if re.match(r"t\d+ = |\w+\[.*\] = ", line)]
    assert 10 <= len(computing) <= 40, program


def test_a_conversion_is_a_copy(device: ndl.Device) -> None:
    if not device.supports(np.dtype("float64")):
        pytest.skip(f"{device.name} has no float64")
    lines = ["x = ndl.full((3,), 1, 'float32')", "y = ndl.astype(x, 'float64')", "x[...] = 0.5"]
    for library in (ndl, World()):
        np.testing.assert_array_equal(run(lines, library)["y"].numpy(), [1, 1, 1])


@pytest.mark.parametrize(
    "zero", ["ndl.full((), 0.1, 'float64') + 0.2 - 0.3", "ndl.square(ndl.full((), 1e-30, 'float32'))"]
)
@pytest.mark.parametrize("quotient", ["ndl.floor_divide(zero, zero)", "ndl.remainder(zero, zero)", "zero / zero"])
def test_a_divisor_that_is_zero_but_for_rounding_gives_nothing_to_compare_with(zero: str, quotient: str) -> None:
    worlds = [World(None if k == 0 else k) for k in range(WORLDS)]
    for world in worlds:
        found = run([f"zero = {zero}", quotient], world)
        assert 0 < abs(found["zero"].value) < 1e-12  # whose quotient by itself is 1 in every world, on devices also NaN
    assert not all(map(is_certain, zip(*(world.decisions for world in worlds), strict=True)))


def test_the_gradient_of_the_mean_of_nothing(device: ndl.Device) -> None:
    lines = ["x = ndl.Tensor(np.zeros((5, 0)), dtype='float32')", "y = ndl.mean(x, axis=1)"]
    lines += ["y.backward(ndl.asarray(np.ones(5), dtype='float32'))"]
    assert run(lines, ndl)["x"].grad.shape == run(lines, World())["x"].grad.shape == (5, 0)


@pytest.mark.parametrize(
    "result",
    ["t + t", "ndl.floor_divide(t, t)", "ndl.max(ndl.stack([t, t], 0), axis=(0,))", "ndl.concat([t, t], 0)",
     "ndl.softmax(t, axis=0)", "ndl.sum(ndl.stack([t, t], 0), axis=(0,))", "ndl.less(t, 3)",
     "ndl.astype(t, 'int32')", "ndl.where(ndl.less(t, 3), t, 1)"],
)  # fmt: skip
def test_a_result_is_contiguous_so_that_reshaping_it_gives_a_view(device: ndl.Device, result: str) -> None:
    lines = [
        "t = ndl.permute_dims(ndl.asarray(np.arange(1, 7).reshape(2, 3), dtype='float32'), (1, 0))",
        f"y = {result}",
        "flat = ndl.flatten(y)",
        "y[::2] = 0",
    ]
    ours, reference = run(lines, ndl), run(lines, World())
    np.testing.assert_array_equal(ours["flat"].numpy(), ours["y"].numpy().ravel())
    np.testing.assert_array_equal(reference["flat"].value, reference["y"].value.ravel())
