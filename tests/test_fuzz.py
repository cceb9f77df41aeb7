"""Random programs on each device, forward and backward, against the reference in NumPy's float64.

HYPOTHESIS_PROFILE decides how many a device gets: 25, in "ci" 100 (the same ones each time), in "nightly" 2,000.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import assume, event, given, note, settings
from support.functions import least
from support.lines import can_multiply
from support.programs import Program, programs, run
from support.reference import World
from support.writer import WORLDS, is_certain

import needle as ndl

EXAMPLES = {"ci": 100, "nightly": 2000}.get(settings.get_current_profile_name(), 25)

#: Many programs come in parts, which processes can share among themselves. Each part draws its own.
PARTS = max(1, EXAMPLES // 200)


def bound(worlds: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """How far a right result may lie from the exact one: as far as the worlds lie apart."""
    exact = worlds[0]
    finite = np.isfinite(exact)
    with np.errstate(invalid="ignore"):
        apart = np.max([np.where(finite, np.abs(w - exact), 0) for w in worlds], axis=0)
    limits = np.finfo(dtype)
    return (
        1.5 * apart
        + 0.1 * apart.max(initial=0)
        + np.where(apart > 0, 4 * limits.eps * np.abs(exact), 0)
        + 4 * least(dtype)
    )


def check(what: str, actual: np.ndarray, dtype: np.dtype, worlds: list[np.ndarray]) -> None:
    expected = worlds[0]
    assert actual.dtype == dtype, f"{what} has dtype {actual.dtype}, expected {dtype}"
    assert actual.shape == expected.shape, f"{what} has shape {actual.shape}, expected {expected.shape}"
    if dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    with np.errstate(all="ignore"):
        away = np.abs(actual.astype(np.float64) - expected)
        bad = ~((away <= bound(worlds, dtype)) | (actual == expected) | (np.isnan(actual) & np.isnan(expected)))
    if bad.any():
        at = tuple(map(int, np.argwhere(bad)[0]))
        allowed = np.broadcast_to(bound(worlds, dtype), expected.shape)[at]
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {actual.size} elements differ; at {at} it is {actual[at]!r}, "
            f"expected {expected[at]!r} within {allowed:.3g}"
        )


def writes_through_detached(program: Program) -> bool:
    """Whether a write may reach, through a detached tensor, the tensor that it shares memory with."""
    text = "\n".join(program.lines)
    return ".detach()" in text and "] = " in text


def slopes(program: Program, exact: World, step: float) -> list[np.ndarray] | None:
    """Central differences of the leaves' gradients along a direction; None where the two sides decide differently."""
    sides = []
    for sign in (1, -1):
        world = World()
        world.shift, world.fixed = sign * step, iter(exact.constants)
        found = run([*program.lines, *program.backward[-1:]], world)
        if len(world.decisions) != len(exact.decisions) or not all(
            np.array_equal(a[0], b[0]) for a, b in zip(world.decisions, exact.decisions, strict=True)
        ):
            return None
        sides.append([found[n].grad for n in program.leaves])
    return [
        np.zeros(found[name].shape) if up is None else (up.value - down.value) / (2 * step)
        for name, up, down in zip(program.leaves, *sides, strict=True)
    ]


def check_second(program: Program, names: dict) -> None:
    """The gradient of <gradient, v>, which is the derivative of the gradient along v, by a central difference.

    That of twice the step tells how far the difference may be from the derivative: a third of what they lie apart.
    """
    exact = World()
    found = run([*program.lines, *program.backward[-1:]], exact)
    near, far = (slopes(program, exact, step) for step in (1e-6, 2e-6))
    if near is None or far is None:
        event("second derivative: too near a kink")
        return
    root, leaves = names[program.second], [names[n] for n in program.leaves]
    weights = run([f"w = {program.backward[-1].split('.backward(', 1)[1].rsplit(', retain', 1)[0]}"], ndl)["w"]
    first = ndl.autograd.gradients(root, leaves, weights, create_graph=True)
    along = [World.direction(k, leaf.shape) for k, leaf in enumerate(leaves)]
    total = sum((g * ndl.asarray(v)).sum() for g, v in zip(first, along, strict=True) if g is not None)
    if not isinstance(total, ndl.Tensor) or not total.requires_grad:
        event("second derivative: none")
        return
    second = ndl.autograd.gradients(total, leaves, ndl.ones((), dtype="float64"))
    event("second derivative: compared")
    firsts = [found[n].grad.value for n in program.leaves if found[n].grad is not None]
    scale = max([1.0, *(np.abs(v).max(initial=0) for v in firsts)])
    for name, ours, expected, other in zip(program.leaves, second, near, far, strict=True):
        actual = np.zeros(expected.shape) if ours is None else ours.numpy()
        largest = max(scale, np.abs(expected).max(initial=0))
        bad = ~(np.abs(actual - expected) <= 1e-3 * np.abs(expected) + 1e-4 * largest + np.abs(expected - other))
        assert not bad.any(), f"second derivative with respect to {name}: {actual[bad]}, expected {expected[bad]}"


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


@settings(max_examples=100)
@given(program=programs())
def test_a_program_has_10_to_40_operations(program: Program) -> None:
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


@pytest.mark.fault("random programs")
@pytest.mark.parametrize("part", range(PARTS))
@settings(max_examples=EXAMPLES // PARTS)
@given(program=programs())
def test_random_programs(part: int, device: ndl.Device, program: Program) -> None:
    assume(all(device.supports(np.dtype(d)) for d in program.dtypes))
    note(f"NEEDLE_DEVICE={device.name}\n{program!r}")
    names = run([*program.lines, *program.backward], ndl)
    event("backward" if program.backward else "forward")
    for value in program.values:
        check(value, names[value].numpy(), program.worlds[0][value].dtype, program.expected(value))
    for leaf in program.leaves if program.backward else ():
        grads, ours = program.gradients(leaf), names[leaf].grad
        if grads[0] is None:
            assert ours is None or not ours.numpy().any(), f"{leaf}.grad should be None or 0"
            continue
        shape, dtype = program.worlds[0][leaf].shape, program.worlds[0][leaf].dtype
        check(f"{leaf}.grad", np.zeros(shape, dtype) if ours is None else ours.numpy(), dtype, grads)
    if program.second and not writes_through_detached(program):
        check_second(program, names)
