"""Elementwise operations: ordinary values, special values, gradients, integers and bools."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import needle as ndl

LOGICAL = ("logical_and", "logical_or", "logical_xor", "logical_not")

#: Where they are smooth: the operation under PyTorch's name, and the range its operands are drawn from.
UNARY: dict[str, tuple[Callable[..., torch.Tensor], tuple[float, float]]] = {
    **{
        name: (getattr(torch, name), (-3, 3))
        for name in (
            "abs", "asinh", "atan", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor", "isfinite", "isinf", "isnan",
            "logical_not", "negative", "positive", "round", "sigmoid", "sign", "sin", "sinh", "square", "tanh", "trunc",
        )
    },
    **{name: (getattr(torch, name), (0.2, 5)) for name in ("log", "log10", "log2", "reciprocal", "rsqrt", "sqrt")},
    **{name: (getattr(torch, name), (-0.9, 0.9)) for name in ("acos", "asin", "atanh", "log1p", "tan")},
    "acosh": (torch.acosh, (1.2, 5)),
    "relu": (torch.relu, (-3, 3)),
    # In float32, torch's gelu of infinity is NaN.
    "gelu": (lambda x: torch.nn.functional.gelu(x.double()).to(x.dtype), (-3, 3)),
    "silu": (torch.nn.functional.silu, (-3, 3)),
    # torch's softplus is the identity above a threshold; the function itself is a log of a sum.
    "softplus": (lambda x: torch.logaddexp(x, torch.zeros_like(x)), (-3, 3)),
}  # fmt: skip

BINARY: dict[str, Callable[..., torch.Tensor]] = {
    **{
        name: getattr(torch, name)
        for name in (
            "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow", "maximum", "minimum", "atan2",
            "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
        )
    },
    "equal": torch.eq,
}  # fmt: skip

#: Without a gradient in needle: the result is a step function, whose gradient PyTorch refuses as well.
STEPS = ("floor_divide",)


def specials(dtype: np.dtype) -> np.ndarray:
    limits = np.finfo(dtype)
    positive = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 30.0, 88.0, 1e4, np.inf, limits.max, limits.tiny, limits.eps]
    return np.array([np.nan, *positive, *(-p for p in positive)], dtype)


class Difference(NamedTuple):
    """A place where needle means to differ from PyTorch."""

    operation: str
    part: str  # "value", or "grad 0", "grad 1": the gradient of that operand
    where: Callable[..., np.ndarray]
    reason: str


def nan(x: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return np.isnan(x)


def any_nan(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.isnan(x) | np.isnan(y)


def square_of_radius_lost(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where x^2 + y^2 under- or overflows, as at the origin and at infinity."""
    with np.errstate(all="ignore"):
        return np.isin(x * x + y * y, [0, np.inf])


def overflowing(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the quotient of two finite numbers is infinite."""
    with np.errstate(all="ignore"):
        return np.isfinite(x) & (y != 0) & np.isinf(x / y)


DIFFERENCES = [
    Difference("sign", "value", nan, "the Array API: sign(NaN) is NaN; PyTorch's is 0"),
    Difference("abs", "grad 0", nan, "follows sign(NaN)"),
    Difference("rsqrt", "grad 0", lambda x: (x == 0) & np.signbit(x), "at -0.0 the pole's side is open: -inf or +inf"),
    Difference("maximum", "grad 0", any_nan, "a NaN is equal to no operand, so none is chosen; PyTorch's go to both"),
    Difference("maximum", "grad 1", any_nan, "as for operand 0"),
    Difference("minimum", "grad 0", any_nan, "as for maximum"),
    Difference("minimum", "grad 1", any_nan, "as for maximum"),
    Difference("acosh", "grad 0", lambda x: x <= -1, "no value, hence no derivative; PyTorch's is that of |x|"),
    Difference("atan2", "grad 0", square_of_radius_lost,
               "0 at infinity, the derivative near the origin; PyTorch's is NaN at the one, 0 at the other"),
    Difference("expm1", "grad 0", lambda x: x < -20, "exp(x); PyTorch's y + 1 cancels"),
    Difference("sigmoid", "grad 0", lambda x: x > 20, "y sigmoid(-x); PyTorch's y (1 - y) cancels"),
    Difference("gelu", "grad 0", lambda x: np.isinf(x) | (x < -20), "its limits and tail; PyTorch's cancels"),
    Difference("gelu", "value", lambda x: x < -2, "its tail and its limit, 0; PyTorch's cancels, and is NaN there"),
    Difference("silu", "value", lambda x: x == -np.inf, "its limit, 0; PyTorch's is NaN"),
    Difference("silu", "grad 0", lambda x: np.isinf(x), "its limits, 0 and 1; PyTorch's is NaN"),
    Difference("atan2", "grad 1", square_of_radius_lost, "as for operand 0"),
    Difference("remainder", "value", overflowing, "PyTorch's is NaN where x / y overflows; the remainder exists"),
    Difference("remainder", "grad 1", lambda x, y: (y == 0) | np.isinf(y) | overflowing(x, y),
               "-floor(x / y) is taken from the remainder and x, which do not tell it here"),
]  # fmt: skip

#: Operations whose zeros may have another sign than PyTorch's.
ZERO_SIGNS = {
    "relu": "max(-0.0, 0) may be either zero",
    "sign": "the Array API: 0 for both zeros; PyTorch's and NumPy's agree only for 0",
    "remainder": "the Array API: a zero has the sign of the divisor; PyTorch's has that of the dividend at times",
    "maximum": "the zeros are equal: either may be the larger",
    "minimum": "the zeros are equal: either may be the smaller",
}


def intended(operation: str, part: str, operands: list[np.ndarray]) -> np.ndarray:
    """Where the table says that this part of an operation differs."""
    mask = np.zeros(operands[0].shape, bool)
    for row in DIFFERENCES:
        if (row.operation, row.part) == (operation, part):
            mask |= row.where(*operands)
    return mask


def assert_same_but_for_differences(name: str, part: str, found: Any, wanted: Any, operands: list[np.ndarray]) -> None:
    found, wanted = found.numpy(), wanted.detach().numpy()
    assert found.dtype == wanted.dtype
    mask = intended(name, part, operands)
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted)
        return
    limits = np.finfo(found.dtype)
    rtol = (16 if part == "value" else 512) * limits.eps  # gradients such as 1 - y * y cancel
    places = f"{name}, {part}, at {[o[~mask].tolist() for o in operands]}"
    np.testing.assert_allclose(found[~mask], wanted[~mask], rtol=rtol, atol=4 * limits.tiny, err_msg=places)
    if mask.any():  # else the table is out of date
        assert not np.allclose(found[mask], wanted[mask], rtol=1e-6, atol=0, equal_nan=True), (
            f"{name}, {part}: no difference"
        )
    if part == "value" and name not in ZERO_SIGNS:
        zero = (found == 0) & (wanted == 0)
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(wanted[zero]), err_msg=f"{name}: zeros")


def check_special(parity: Any, name: str, theirs: Callable[..., torch.Tensor], operands: list[np.ndarray]) -> None:
    """Values and gradients with respect to every operand at special values, in the dtype on both sides."""
    mine = [ndl.Tensor(o) for o in operands]
    other = [torch.tensor(o, requires_grad=True) for o in operands]
    result, expected = getattr(ndl, name)(*mine), theirs(*other)
    if expected.requires_grad and name not in STEPS:
        result.backward(ndl.asarray(np.ones_like(operands[0])))
        expected.backward(torch.ones_like(expected))
        parity.realize_together([result, *(m.grad for m in mine)])
        for i, (m, o) in enumerate(zip(mine, other, strict=True)):
            assert_same_but_for_differences(name, f"grad {i}", m.grad, o.grad, operands)
    assert_same_but_for_differences(name, "value", result, expected, operands)


# -- one operand ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNARY)
def test_unary(parity, name):
    theirs, (low, high) = UNARY[name]
    x = np.random.default_rng(1).uniform(low, high, 63)
    parity.same(getattr(ndl, name), theirs, x)


@pytest.mark.parametrize("name", UNARY)
def test_unary_at_special_values(parity, name):
    check_special(parity, name, UNARY[name][0], [specials(parity.dtype)])


def test_round_takes_halves_to_even(parity):
    halves = np.arange(-4.5, 5)
    parity.same(ndl.round, torch.round, halves)


# -- two operands -----------------------------------------------------------------------------------


# Summing the gradients back is the engine's work: a few operations stand for all.
@pytest.mark.parametrize("name", ["subtract", "multiply", "divide", "pow", "less"])
def test_binary_with_broadcasting(parity, name):
    rng = np.random.default_rng(2)
    parity.same(getattr(ndl, name), BINARY[name], rng.uniform(0.3, 3, (5, 1)), rng.uniform(0.3, 3, (4, 1, 6)))


@pytest.mark.parametrize("name", [name for name in BINARY if name not in (*LOGICAL, *STEPS)])
def test_binary(parity, name):
    rng = np.random.default_rng(6)
    parity.same(getattr(ndl, name), BINARY[name], rng.uniform(0.3, 3, 40), rng.uniform(0.3, 3, 40))


@pytest.mark.parametrize("name", BINARY)
def test_binary_at_special_values(parity, name):
    values = specials(parity.dtype)
    operands = [a.ravel() for a in np.meshgrid(values, values)]
    check_special(parity, name, BINARY[name], operands)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.5, -0.5, 2.5])
def test_pow_by_a_scalar(parity, exponent):
    parity.same(lambda x: x**exponent, lambda x: x**exponent, np.linspace(0.25, 3, 12))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3])
def test_pow_by_a_whole_number_of_zero_and_negative_bases(parity, exponent):
    parity.same(lambda x: x**exponent, lambda x: x**exponent, np.array([-2.0, -0.5, -0.0, 0.0, 0.5, 2.0]))


@pytest.mark.parametrize("base", [0.0, 0.5, 2.0])
def test_scalar_to_the_power_of_a_tensor(parity, base):
    parity.same(lambda y: base**y, lambda y: base**y, np.array([0.0, 0.5, 1.0, 2.0, 3.5]))


def test_scalars_on_the_left(parity):
    x = np.linspace(0.5, 3, 11)

    def program(t: Any) -> Any:
        return (1 - t) * 2 + 3 / t - (-t + 2) * (1 + t)

    parity.same(program, program, x)


# -- choices ----------------------------------------------------------------------------------------

TIES = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, np.inf, -np.inf])


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (None, 0.5), (0, None), (1, -1)])
def test_clip_to_numbers(parity, low, high):
    parity.same(lambda x: ndl.clip(x, low, high), lambda x: torch.clamp(x, low, high), TIES)


def test_clip_keeps_nan(parity):
    x = np.array([np.nan, 5.0])
    ours, theirs = parity.pair(x)
    parity.close(ndl.clip(ours, -1, 1), torch.clamp(theirs, -1, 1))


def test_clip_to_tensors(parity):
    rng = np.random.default_rng(3)
    x, low, high = rng.standard_normal((3, 9)), rng.uniform(-1, 0, (3, 1)), rng.uniform(0, 1, 9)
    parity.same(ndl.clip, torch.clamp, x, low, high)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_equal_operands_share_the_gradient(parity, name):
    parity.same(getattr(ndl, name), getattr(torch, name), TIES, TIES[::-1])
    parity.same(getattr(ndl, name), getattr(torch, name), TIES, np.array(0.5))


def test_where_keeps_the_other_branch_out(parity):
    """A NaN or an infinity of the branch that is not taken reaches neither the values nor the gradients."""
    condition = np.array([True, False, True, False, False])
    x, y = np.array([1.0, np.nan, 2.0, np.inf, 3.0]), np.array([np.nan, 1.0, np.inf, 2.0, -1.0])
    c, d = parity.pair(condition)
    parity.same(lambda a, b: ndl.where(c, a, b), lambda a, b: torch.where(d, a, b), x, y)


def test_where_broadcasts_all_three(parity):
    rng = np.random.default_rng(4)
    c, d = parity.pair(rng.random((4, 1)) > 0.5)
    x, y = rng.standard_normal((1, 5)), rng.standard_normal((3, 1, 1))
    parity.same(lambda a, b: ndl.where(c, a, b * 2), lambda a, b: torch.where(d, a, b * 2), x, y)


# -- integers, bools, conversions -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
@pytest.mark.parametrize("name", ["add", "multiply", "floor_divide", "remainder", "maximum", "bitwise_xor", "less"])
def test_integers(parity, name, dtype):
    limits = np.iinfo(dtype)
    values = np.array([1, 2, 3, 7, limits.max, limits.min, *([-1, -2, -5] if limits.min < 0 else [])], dtype)
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    if name in ("floor_divide", "remainder"):  # by zero PyTorch raises; and min / -1 overflows, undefined in C
        usable = (y != 0) & ~((x == limits.min) & (limits.min < 0) & (y.astype(np.int64) == -1))
        x, y = x[usable], y[usable]
    found = getattr(ndl, name)(ndl.asarray(x), ndl.asarray(y))
    wanted = getattr(torch, name)(torch.tensor(x), torch.tensor(y))
    parity.close(found, wanted)


def test_division_of_integers_is_true_division(parity):
    x, y = np.array([7, -7, 0, 5], np.int32), np.array([2, 2, 3, 0], np.int32)
    found, wanted = ndl.asarray(x) / ndl.asarray(y), torch.tensor(x) / torch.tensor(y)
    assert found.dtype == np.float32 and wanted.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-7)


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_truth_of_numbers(parity, name):
    x, y = (a.ravel() for a in np.meshgrid([0, 1, 2, -1], [0, 256, -3]))
    parity.close(getattr(ndl, name)(*map(ndl.asarray, (x, y))), getattr(torch, name)(*map(torch.tensor, (x, y))))


@pytest.mark.parametrize("dtype", ["int32", "int8", "bool", "float32"])
def test_conversion_of_floats(parity, dtype):
    x = np.array([0.0, -0.0, 0.4, 0.9, -0.9, 1.5, -1.5, 100.7, -100.7])
    parity.close(parity.ours(x).astype(dtype), parity.theirs(x).to(getattr(torch, dtype)), rtol=1e-7)


def test_constants_of_the_smooth_functions(parity):
    """Known values, so that both libraries agreeing on a wrong range does not pass."""
    assert ndl.erf(parity.ours(0.5)).item() == pytest.approx(math.erf(0.5), rel=max(1e-12, parity.rtol))
    assert ndl.gelu(parity.ours(1.0)).item() == pytest.approx(0.8413447460685429, rel=max(1e-12, parity.rtol))
