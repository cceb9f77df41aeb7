"""Random programs on each device, forward and backward, against the reference in NumPy's float64.

HYPOTHESIS_PROFILE decides how many a device gets: 25, in "ci" the same for the same tests, in "nightly" 500.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import assume, event, given, note, settings
from support.functions import least
from support.programs import FusedProgram, programs, run
from support.reference import World
from support.together import realize

import needle as ndl
from needle.errors import CaptureError

EXAMPLES = 500 if settings.get_current_profile_name() == "nightly" else 25

#: The programs come in parts of so many, which processes can share among themselves. Each part draws its own.
OF_A_PART = 5

#: In each part of so many the values are computed one by one; in the others together, which compiles fewer kernels.
ONE_BY_ONE = 5


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


def writes_through_detached(program: FusedProgram) -> bool:
    """Whether a write may reach, through a detached tensor, the tensor that it shares memory with."""
    text = "\n".join(program.lines)
    return ".detach()" in text and "] = " in text


def slopes(program: FusedProgram, exact: World, step: float) -> list[np.ndarray] | None:
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


def check_second(program: FusedProgram, names: dict) -> None:
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


def check_captured(program: FusedProgram, device: ndl.Device) -> None:
    """A captured function that runs the program gives the same in its replays as in its first call, bit for bit."""

    @ndl.capture
    def whole() -> list[list[ndl.Tensor | None]]:
        found = run([*program.lines, *program.backward], ndl)
        return [[found[value] for value in program.values], [found[leaf].grad for leaf in program.leaves]]

    try:
        first, *_, last = [whole() for _ in range(5)]
    except CaptureError:
        event("captured: refused")
        return
    event("captured: compared")
    assert whole.replays or not device.replays
    for before, after in zip(chain(*first), chain(*last), strict=True):
        assert (before is None) is (after is None)
        if before is not None and after is not None:
            np.testing.assert_array_equal(after.numpy(), before.numpy())


@pytest.mark.fault("random programs")
@pytest.mark.parametrize("part", range(EXAMPLES // OF_A_PART))
@settings(max_examples=OF_A_PART)
@given(program=programs())
def test_random_programs(part: int, device: ndl.Device, program: FusedProgram) -> None:
    assume(all(device.supports(np.dtype(d)) for d in program.dtypes))
    note(f"NEEDLE_DEVICE={device.name}\n{program!r}")
    names = run([*program.lines, *program.backward], ndl)
    event("backward" if program.backward else "forward")
    if part % ONE_BY_ONE:
        grads = [names[leaf].grad for leaf in program.leaves]
        realize([names[value] for value in program.values] + [grad for grad in grads if grad is not None])
    for value in program.values:
        check(value, names[value].numpy(), program.worlds[0][value].dtype, program.expected(value))
    for leaf in program.leaves if program.backward else ():
        grads, ours = program.gradients(leaf), names[leaf].grad
        if grads[0] is None:
            assert ours is None or not ours.numpy().any(), f"{leaf}.grad should be None or 0"
            continue
        shape, dtype = program.worlds[0][leaf].shape, program.worlds[0][leaf].dtype
        check(f"{leaf}.grad", np.zeros(shape, dtype) if ours is None else ours.numpy(), dtype, grads)
    if not part % ONE_BY_ONE:
        check_captured(program, device)
    if program.second and not writes_through_detached(program):
        check_second(program, names)
