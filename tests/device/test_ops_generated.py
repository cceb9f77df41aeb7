"""Every declared elementwise operation, on every device, from its declaration: values, dtypes and gradients.

Many operations are computed in each launch, because a kernel takes much longer to compile than to run. A failure names
the operations that are wrong.
"""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import count
from typing import Any

import numpy as np
import pytest
from support.together import Together, gradchecks, realize

import needle as ndl
from needle.autograd import gradients
from needle.ops import registry
from needle.ops.base import Declaration

DECLARATIONS = list(registry.values())
NAMES = [d.name for d in DECLARATIONS]

#: Of those that accept them: the integer dtypes each operation is tried with, beside int32.
EVERY_INTEGER = ("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64")
WIDELY_TESTED = ("add", "multiply", "floor_divide", "remainder", "power", "bitwise_left_shift", "bitwise_right_shift")

#: What has second derivatives other than 0: copysign is linear in parts.
SMOOTH = [
    d for d in DECLARATIONS
    if d.differentiable and (d.record.typing == "float" or d.name in ("square", "power")) and d.name != "copysign"
]  # fmt: skip

NASTY = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 2.0, -7.25, 3e38, -3e38, 1e-30, -1e-30, 88.0,
     -88.0, 1e4, -1e4, 16777217.0], np.float32
)  # fmt: skip


def each(declarations: list[Declaration] = DECLARATIONS) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("declaration", declarations, ids=[d.name for d in declarations])


def rng_for(declaration: Declaration) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(declaration.name.encode()))


def accepts(declaration: Declaration, kind: str) -> bool:
    return kind in declaration.record.kinds or declaration.record.typing == "logical"


def first_float_kind(declaration: Declaration) -> bool:
    return "f" in declaration.record.kinds


@cache
def sampled(low: float, high: float, position: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Operand number `position` of the operations that draw from this range: they share it."""
    return np.random.default_rng([position, *shape]).uniform(low, high, shape).astype(dtype)


@cache
def converted(position: int, kind: str, *sample: Any) -> np.ndarray:
    """What `sampled` gives, as integers ("i") or as conditions ("b")."""
    drawn = sampled(*sample[:2], position, *sample[2:])
    return drawn > 0.5 if kind == "b" else drawn.astype(np.int32)


def draw(
    declaration: Declaration, shapes: list[tuple[int, ...]], dtype: Any = np.float32, attempt: int = 0
) -> list[np.ndarray]:
    """Operands in the sampled ranges, of float dtype; the condition of a selection is bool. Each attempt has others."""
    operands = []
    for position, (shape, (low, high)) in enumerate(zip(shapes, declaration.sample, strict=True), 10 * attempt):
        if declaration.record.typing == "select" and position == 10 * attempt:
            operands.append(converted(position, "b", low, high, shape, dtype))
        elif not first_float_kind(declaration):
            operands.append(converted(position, "i", low, high, shape, dtype))
        else:
            operands.append(sampled(low, high, position, shape, dtype))
    return operands


def wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def expected_of(declaration: Declaration, operands: list[np.ndarray]) -> np.ndarray:
    """The reference in float64 (comparisons: as they are)."""
    reference = declaration.record.reference
    with np.errstate(all="ignore"):
        if declaration.record.typing == "logical":
            return reference(*(o.astype(bool) for o in operands))
        return np.asarray(reference(*(wide(np.asarray(o)) for o in operands)))


def assert_close(actual: np.ndarray, expected: np.ndarray, declaration: Declaration) -> None:
    assert actual.shape == expected.shape
    if actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=5e-7, err_msg=declaration.name)


def add_checked(
    results: Together, declaration: Declaration, operands: list[np.ndarray], view: Callable[[Any], Any] = lambda x: x
) -> None:
    """Let `results` compare the operation on views of `operands` with its reference."""
    tensors = [view(results.asarray(o)) for o in operands]
    expected = expected_of(declaration, [view(o) for o in operands])
    check = partial(assert_close, expected=expected, declaration=declaration)
    results.add(declaration.name, declaration.function(*tensors), check)


# -- shapes and layouts -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (1, 1), (37, 53), (4097,)], ids=str)
def test_values_of_contiguous_operands(device: ndl.Device, shape: tuple[int, ...]) -> None:
    results = Together()
    for declaration in DECLARATIONS:
        add_checked(results, declaration, draw(declaration, [shape] * declaration.record.arity))
    results.verify()


def test_values_of_strided_operands(device: ndl.Device) -> None:
    results = Together()
    for declaration in DECLARATIONS:
        bases = draw(declaration, [(23, 38)] * declaration.record.arity)
        add_checked(results, declaration, bases, lambda x: x[::-1, ::-2].T)
    results.verify()


def test_values_of_broadcast_operands(device: ndl.Device) -> None:
    results = Together()
    for declaration in DECLARATIONS:
        if declaration.record.arity > 1:
            add_checked(results, declaration, draw(declaration, [(19, 1), (37,), (1, 37)][: declaration.record.arity]))
    results.verify()


@pytest.mark.parametrize("name", ["add", "where", "exp"])
def test_operand_that_is_itself_a_broadcast_view(device: ndl.Device, name: str) -> None:
    declaration = registry[name]
    operands = draw(declaration, [(5,)] * declaration.record.arity)
    tensors = [ndl.broadcast_to(ndl.asarray(o), (3, 5)) for o in operands]
    expected = expected_of(declaration, [np.broadcast_to(o, (3, 5)) for o in operands])
    assert_close(declaration.function(*tensors).numpy(), expected, declaration)


@each([registry[name] for name in ("add", "exp", "floor_divide", "power", "sigmoid", "where")])
def test_an_operation_in_a_kernel_of_its_own(device: ndl.Device, declaration: Declaration) -> None:
    operands = draw(declaration, [(37, 53)] * declaration.record.arity)
    actual = declaration.function(*map(ndl.asarray, operands)).numpy()
    assert_close(actual, expected_of(declaration, operands), declaration)


# -- nasty values -----------------------------------------------------------------------------------

#: Where NumPy itself leaves open which zero comes out.
ZERO_SIGN_IS_OPEN = ("maximum", "minimum", "round", "gelu", "_gelu_exact", "softplus", "remainder", "silu")


PAIRS_OF_NASTY = [a.ravel() for a in np.meshgrid(NASTY, NASTY)]
NASTY_OPERANDS = {1: PAIRS_OF_NASTY[:1], 2: PAIRS_OF_NASTY, 3: [PAIRS_OF_NASTY[0] > 0, *PAIRS_OF_NASTY]}
#: As many angles; huge ones have tests of their own.
NASTY_ANGLES = [np.where(np.isfinite(PAIRS_OF_NASTY[0]) & (np.abs(PAIRS_OF_NASTY[0]) > 1e5), 1e4, PAIRS_OF_NASTY[0])]


def test_nasty_values_are_as_in_numpy(device: ndl.Device) -> None:
    results = Together()
    for declaration in DECLARATIONS:
        if first_float_kind(declaration) or declaration.record.typing == "logical":
            angles = declaration.name in ("sin", "cos", "tan")
            operands = NASTY_ANGLES if angles else NASTY_OPERANDS[declaration.record.arity]
            result = declaration.function(*map(results.asarray, operands))
            results.add(declaration.name, result, partial(assert_as_in_numpy, declaration, operands))
    results.verify()


def assert_as_in_numpy(declaration: Declaration, operands: list[np.ndarray], actual: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        expected = np.asarray(declaration.record.reference(*operands))
    if actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    finite = np.isfinite(expected) & (np.abs(expected) > 1e-30)  # what is tinier may come out as zero
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(actual[infinite], expected[infinite])
    np.testing.assert_allclose(actual[finite], expected_of(declaration, operands)[finite], rtol=4e-6)
    zero = expected == 0
    assert np.all(np.abs(actual[zero]) < 1e-30)
    if declaration.name not in ZERO_SIGN_IS_OPEN:
        np.testing.assert_array_equal(np.signbit(actual[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("neighbour", [3e38, 1.0, 1e-3], ids=str)
def test_huge_angles(device: ndl.Device, neighbour: float) -> None:
    angles, results = np.array([1e6, neighbour, -3e38, 1e10, -neighbour, 12345678.0] * 4, np.float32), Together()
    for name in ("sin", "cos", "tan"):
        add_checked(results, registry[name], [angles])
    results.verify()


def test_small_angles(device: ndl.Device) -> None:
    dtypes, results = [np.float32, np.float64] if device.supports(ndl.float64) else [np.float32], Together()
    for dtype in dtypes:
        angles = np.linspace(-0.02, 0.02, 1001).astype(dtype)
        for name in ("sin", "cos", "tan"):
            expected = registry[name].record.reference(angles.astype(np.float64))
            check = partial(np.testing.assert_allclose, desired=expected, rtol=4 * np.finfo(dtype).eps)
            results.add(f"{name} of {np.dtype(dtype)}", registry[name].function(results.asarray(angles)), check)
    results.verify()


# -- integers and bools -----------------------------------------------------------------------------


@cache
def integer_operands(arity: int, dtype: np.dtype, powers: bool) -> list[np.ndarray]:
    """Every pair of edge values and random ones; of powers, exponents that NumPy takes, hence not negative."""
    limits = np.iinfo(dtype)
    edges = [0, 1, 2, 3, 7, limits.max, limits.max - 1, limits.min, 8 * dtype.itemsize, 8 * dtype.itemsize - 1]
    if dtype.kind == "i":
        edges += [-1, -2, -7, limits.min + 1]
    values = np.array(edges, dtype)
    drawn = np.random.default_rng(dtype.itemsize).integers(limits.min, limits.max, 9, dtype, endpoint=True)
    pairs = [a.ravel().copy() for a in np.meshgrid(*[np.concatenate([values, drawn])] * 2)]
    if powers:
        pairs[1][pairs[1] < 0] = 3
    if arity == 3:
        return [pairs[0] > pairs[1], *integer_operands(2, dtype, powers)]
    return pairs if arity == 2 else integer_operands(2, dtype, powers)[:1]


def check_integers(declarations: Iterable[Declaration], name: str) -> None:
    dtype, results = np.dtype(name), Together()
    for declaration in declarations:
        operands = integer_operands(declaration.record.arity, dtype, declaration.name == "power")
        result = declaration.function(*map(results.asarray, operands))
        results.add(declaration.name, result, partial(assert_integers, declaration, operands))
    results.verify()


def assert_integers(declaration: Declaration, operands: list[np.ndarray], actual: np.ndarray) -> None:
    dtype = operands[-1].dtype
    with np.errstate(all="ignore"):
        if declaration.record.typing == "float":
            operands = [o.astype(np.float32) for o in operands]
            expected = np.asarray(declaration.record.reference(*operands))
            assert actual.dtype == np.float32
            np.testing.assert_allclose(actual, expected, rtol=4e-6, atol=1e-30)
            return
        expected = np.asarray(declaration.record.reference(*operands))
    compared = declaration.record.typing in ("compare", "logical")
    assert actual.dtype == (np.bool_ if compared else dtype)
    np.testing.assert_array_equal(actual, expected.astype(actual.dtype))


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers(device: ndl.Device, dtype: str) -> None:
    accepting = (d for d in DECLARATIONS if accepts(d, "i"))
    # For operations that convert their operands, int32 shows it.
    check_integers((d for d in accepting if dtype == "int32" or d.record.typing in ("same", "select")), dtype)


@pytest.mark.parametrize("dtype", EVERY_INTEGER)
def test_integers_of_every_width(device: ndl.Device, dtype: str) -> None:
    check_integers((registry[name] for name in WIDELY_TESTED), dtype)


@pytest.mark.parametrize("dtype", ["int32", "int8"])
def test_negative_exponents_give_0_or_1(device: ndl.Device, dtype: str) -> None:
    base = ndl.asarray([1, -1, -1, 2, 0, -5, -127], dtype=dtype)  # -127 squared is 1 in a byte
    exponent = ndl.asarray([-3, -2, -3, -1, -1, -2, -1], dtype=dtype)
    assert ndl.pow(base, exponent).tolist() == [1, 1, -1, 0, 0, 0, 0]
    assert ndl.pow(base[:3], int(np.iinfo(dtype).min)).tolist() == [1, 1, 1]


def test_bools(device: ndl.Device) -> None:
    bits, results = [np.array([v >> i & 1 for v in range(8)], bool) for i in range(3)], Together()
    for declaration in DECLARATIONS:
        if accepts(declaration, "b") and declaration.record.typing != "float":
            operands = bits[: declaration.record.arity]
            result = declaration.function(*map(results.asarray, operands))
            results.equal(declaration.name, result, declaration.record.reference(*operands), np.bool_)
    results.verify()


@each([d for d in DECLARATIONS if not accepts(d, "b")])
def test_bools_are_refused_where_they_mean_nothing(device: ndl.Device, declaration: Declaration) -> None:
    operands = [ndl.asarray([True, False])] * declaration.record.arity
    with pytest.raises(TypeError, match=f"{declaration.name} is not defined for dtype bool"):
        declaration.function(*operands)


@each([d for d in DECLARATIONS if not accepts(d, "f")])
def test_floats_are_refused_where_they_mean_nothing(device: ndl.Device, declaration: Declaration) -> None:
    operands = [ndl.asarray([1.0])] * declaration.record.arity
    with pytest.raises(TypeError, match=f"{declaration.name} is not defined for dtype float32"):
        declaration.function(*operands)


# -- scalars and NumPy operands ---------------------------------------------------------------------

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "floor_divide": operator.floordiv, "remainder": operator.mod, "power": operator.pow, "less": operator.lt,
    "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge, "equal": operator.eq,
    "not_equal": operator.ne, "bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor,
    "bitwise_left_shift": operator.lshift, "bitwise_right_shift": operator.rshift,
}  # fmt: skip


def test_scalars_on_either_side(device: ndl.Device) -> None:
    results = Together()
    for declaration in DECLARATIONS:
        if declaration.record.arity != 2 or declaration.record.typing == "logical":
            continue
        (host,) = draw(declaration, [(13,), (13,)])[1:]
        scalar = 2 if host.dtype.kind == "i" else 1.25
        x, constant = results.asarray(host), host.dtype.type(scalar)
        for how, actual, operands in (
            ("(x, scalar)", declaration.function(x, scalar), [host, constant]),
            ("(scalar, x)", declaration.function(scalar, x), [constant, host]),
            ("(x, NumPy's scalar)", declaration.function(x, constant), [host, constant]),
            ("(NumPy's scalar, x)", declaration.function(constant, x), [constant, host]),
        ):
            assert actual.dtype in (host.dtype, ndl.bool)
            check = partial(assert_close, expected=expected_of(declaration, operands), declaration=declaration)
            results.add(f"{declaration.name}{how}", actual, check)
    results.verify()


def test_operators_take_numpy_arrays_and_scalars_on_either_side(device: ndl.Device) -> None:
    results = Together()
    for name, apply in OPERATORS.items():
        declaration = registry[name]
        left, right = draw(declaration, [(13,), (13,)])
        ours, other = map(results.asarray, (left, right))
        number = right.dtype.type(2)
        for how, actual, operands in (
            ("(x, y)", apply(ours, other), [left, right]),
            ("(NumPy's x, y)", apply(left, other), [left, right]),
            ("(x, NumPy's y)", apply(ours, right), [left, right]),
            ("(y, NumPy's 2)", apply(other, number), [right, number]),
            ("(NumPy's 2, y)", apply(number, other), [number, right]),
            ("(2, y)", apply(2, other), [number, right]),
        ):
            assert isinstance(actual, ndl.Tensor)
            check = partial(assert_close, expected=expected_of(declaration, operands), declaration=declaration)
            results.add(f"{name}{how}", actual, check)
    results.verify()


def test_logical_operations_take_any_number_for_its_truth(device: ndl.Device) -> None:
    host, results = np.array([0.0, -0.0, 0.5, -2.0, np.nan], np.float32), Together()
    for name in ("logical_and", "logical_or", "logical_xor"):
        function, reference = registry[name].function, registry[name].record.reference
        for scalar in (2, 0, 0.5, 256, True):
            results.equal(f"{name}(x, {scalar})", function(results.asarray(host), scalar), reference(host, scalar))
            results.equal(f"{name}({scalar}, x)", function(scalar, results.asarray(host)), reference(scalar, host))
    results.verify()


def test_where_takes_any_condition_for_its_truth(device: ndl.Device) -> None:
    x, y = ndl.asarray([1.0, 2.0]), ndl.asarray([3.0, 4.0])
    assert ndl.where(0.5, x, y).tolist() == [1, 2]
    assert ndl.where(0, x, y).tolist() == [3, 4]
    assert ndl.where(ndl.asarray([0.25, 0.0]), x, y).tolist() == [1, 4]
    assert ndl.where(ndl.asarray([256, 0]), 1, 2.5).tolist() == [1, 2.5]


# -- gradients --------------------------------------------------------------------------------------


def variables(declaration: Declaration, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Operands from which finite differences do not reach across a jump of the operation."""
    dtype = np.float64 if ndl.default_device().supports(ndl.float64) else np.float32
    attempts = (draw(declaration, shapes, dtype, attempt) for attempt in count())
    return next(operands for operands in attempts if not is_near_a_jump(declaration, operands))


def is_near_a_jump(declaration: Declaration, operands: list[np.ndarray]) -> bool:
    def values(step: float, moved: int) -> np.ndarray:
        there = [o + step if k == moved and o.dtype.kind == "f" else o for k, o in enumerate(operands)]
        return expected_of(declaration, there)

    bends = [values(0.04, k) - 2 * values(0, k) + values(-0.04, k) for k in range(len(operands))]
    return max(np.abs(bend).max() for bend in bends) > 0.2


def test_gradients(device: ndl.Device) -> None:
    differentiable = [d for d in DECLARATIONS if d.differentiable]
    gradchecks({d.name: (d.function, variables(d, [(4, 3)] * d.record.arity)) for d in differentiable})


def test_gradients_of_broadcast_operands(device: ndl.Device) -> None:  # autograd sums them, for all operations alike
    some = [registry[name] for name in ("subtract", "multiply", "power", "where")]
    shapes = [(4, 1), (3,), (4, 3)]
    gradchecks({d.name: (d.function, variables(d, shapes[: d.record.arity])) for d in some})


def test_second_order_gradients(device: ndl.Device) -> None:
    if not device.supports(ndl.float64):
        pytest.skip("finite differences of gradients need float64")

    def first_order(declaration: Declaration, *values: ndl.Tensor) -> ndl.Tensor:
        weights = ndl.asarray(rng_for(declaration).standard_normal((4, 3)))
        found = gradients(declaration.function(*values), values, weights, create_graph=True)
        return found[0] if declaration.record.arity == 1 else found[0] + 2 * found[1]

    gradchecks({d.name: (partial(first_order, d), variables(d, [(4, 3)] * d.record.arity)) for d in SMOOTH})


#: Functions, and their slopes at points where rules of differentiation go wrong.
CORNERS: dict[str, tuple[Callable, float, float]] = {
    "relu": (ndl.relu, 0.0, 0.0),
    "abs": (ndl.abs, 0.0, 0.0),
    "x**0": (lambda x: x**0, 0.0, 0.0),
    "x**1": (lambda x: x**1, 0.0, 1.0),
    "x**2": (lambda x: x**2, -3.0, -6.0),
    "x**3": (lambda x: x**3, -2.0, 12.0),
    "2**x": (lambda x: 2.0**x, 1.0, 2 * np.log(2)),
    "0**x": (lambda x: 0.0**x, 2.0, 0.0),
    "maximum": (lambda x: ndl.maximum(x, 1.0), 1.0, 0.5),
    "minimum": (lambda x: ndl.minimum(x, 1.0), 1.0, 0.5),
    "clip at its end": (lambda x: ndl.clip(x, 0, 1), 1.0, 1.0),
    "clip beyond its end": (lambda x: ndl.clip(x, 0, 1), 1.5, 0.0),
    "where": (lambda x: ndl.where(x > 0, x, 0.0), 0.0, 0.0),
    "sigmoid": (ndl.sigmoid, -200.0, 0.0),
    "softplus": (ndl.softplus, 200.0, 1.0),
    "gelu": (ndl.gelu, 30.0, 1.0),
}


def test_gradients_at_corners(device: ndl.Device) -> None:
    results = Together()
    for name, (function, at, slope) in CORNERS.items():
        x = ndl.Tensor([at])
        function(x).backward()
        results.add(name, x.grad, partial(np.testing.assert_allclose, desired=[slope], rtol=1e-6))
    results.verify()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "float32"])
def test_gradients_beside_another_dtype_are_those_beside_the_same(device: ndl.Device, dtype: str) -> None:
    """Found by random programs: atan2's rule squared its other operand, and an integer wrapped, a float32 rounded."""
    meet = np.dtype("float64" if dtype == "float32" else "float32")
    if not device.supports(meet):
        pytest.skip(f"{device.name} has no {meet}")
    host, beside = np.array([1.5, 2.0, 0.5, 1.1], meet), np.array([20, 1, 3, 100], dtype)
    if dtype == "float32":
        beside = beside / np.float32(7)
    found: dict[tuple[str, bool], list[ndl.Tensor]] = {}
    for other in map(ndl.asarray, (beside, beside.astype(meet))):
        for declaration in DECLARATIONS:
            for swapped in (False, True) if declaration.differentiable and declaration.record.arity == 2 else ():
                x = ndl.Tensor(host)
                declaration.function(*((other, x) if swapped else (x, other))).backward(ndl.ones(4))
                found.setdefault((declaration.name, swapped), []).append(x.grad)
    realize([grads[k] for k in (0, 1) for grads in found.values()])
    results = Together()
    for (name, swapped), (mixed, same) in found.items():
        check = partial(np.testing.assert_allclose, desired=same.numpy(), rtol=10 * np.finfo(meet).eps)
        results.add(f"{name}{', swapped' if swapped else ''}", mixed, check)
    results.verify()


# -- declarations -----------------------------------------------------------------------------------


@each()
def test_declarations_are_documented_and_sampled(declaration: Declaration) -> None:
    assert declaration.doc
    assert len(declaration.sample) == declaration.record.arity


@each()
def test_wrong_number_of_operands(device: ndl.Device, declaration: Declaration) -> None:
    with pytest.raises(TypeError, match=r"operands|argument"):
        declaration.function(*[ndl.asarray([1.0])] * (declaration.record.arity + 1))
