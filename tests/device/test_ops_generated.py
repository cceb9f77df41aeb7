"""Every declared elementwise operation, on every device, from its declaration: values, dtypes and gradients."""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.autograd import gradients
from needle.ops import registry
from needle.ops.base import Declaration

DECLARATIONS = list(registry.values())
NAMES = [d.name for d in DECLARATIONS]

#: Of those that accept them: the integer dtypes each operation is tried with, beside int32.
EVERY_INTEGER = ("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64")
WIDELY_TESTED = ("add", "multiply", "floor_divide", "remainder", "power", "bitwise_left_shift", "bitwise_right_shift")

SMOOTH = [d for d in DECLARATIONS if d.differentiable and (d.record.typing == "float" or d.name in ("square", "power"))]

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


def draw(declaration: Declaration, shapes: list[tuple[int, ...]], dtype: Any = np.float32) -> list[np.ndarray]:
    """Operands in the sampled ranges, of float dtype; the condition of a selection is bool."""
    rng = rng_for(declaration)
    operands = [
        rng.uniform(low, high, shape).astype(dtype)
        for shape, (low, high) in zip(shapes, declaration.sample, strict=True)
    ]
    if declaration.record.typing == "select":
        operands[0] = operands[0] > 0.5
    if not first_float_kind(declaration):
        operands = [o.astype(np.int32) for o in operands]
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


def check(declaration: Declaration, operands: list[np.ndarray]) -> None:
    tensors = [ndl.asarray(o) for o in operands]
    assert_close(declaration.function(*tensors).numpy(), expected_of(declaration, operands), declaration)


# -- shapes and layouts -----------------------------------------------------------------------------


@each()
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (1, 1), (37, 53), (4097,)], ids=str)
def test_values_of_contiguous_operands(device: ndl.Device, declaration: Declaration, shape: tuple[int, ...]) -> None:
    check(declaration, draw(declaration, [shape] * declaration.record.arity))


@each()
def test_values_of_strided_operands(device: ndl.Device, declaration: Declaration) -> None:
    arity = declaration.record.arity
    bases = draw(declaration, [(23, 38)] * arity)

    def view(x: Any) -> Any:
        return x[::-1, ::-2].T

    actual = declaration.function(*(view(ndl.asarray(b)) for b in bases)).numpy()
    assert_close(actual, expected_of(declaration, [view(b) for b in bases]), declaration)


@each([d for d in DECLARATIONS if d.record.arity > 1])
def test_values_of_broadcast_operands(device: ndl.Device, declaration: Declaration) -> None:
    shapes = [(19, 1), (37,), (1, 37)][: declaration.record.arity]
    check(declaration, draw(declaration, shapes))


@pytest.mark.parametrize("name", ["add", "where", "exp"])
def test_operand_that_is_itself_a_broadcast_view(device: ndl.Device, name: str) -> None:
    declaration = registry[name]
    operands = draw(declaration, [(5,)] * declaration.record.arity)
    tensors = [ndl.broadcast_to(ndl.asarray(o), (3, 5)) for o in operands]
    expected = expected_of(declaration, [np.broadcast_to(o, (3, 5)) for o in operands])
    assert_close(declaration.function(*tensors).numpy(), expected, declaration)


# -- nasty values -----------------------------------------------------------------------------------

#: Where NumPy itself leaves open which zero comes out.
ZERO_SIGN_IS_OPEN = ("maximum", "minimum", "round", "gelu", "_gelu_exact", "softplus", "remainder", "silu")


@each([d for d in DECLARATIONS if first_float_kind(d) or d.record.typing == "logical"])
def test_nasty_values_are_as_in_numpy(device: ndl.Device, declaration: Declaration) -> None:
    arity = declaration.record.arity
    if declaration.name in ("sin", "cos", "tan"):  # huge angles have tests of their own
        operands = [NASTY[~(np.abs(NASTY) > 1e5) | np.isinf(NASTY)]]
    elif arity == 1:
        operands = [NASTY]
    else:
        pairs = [a.ravel() for a in np.meshgrid(NASTY, NASTY)]
        operands = pairs if arity == 2 else [pairs[0] > 0, *pairs]
    actual = declaration.function(*(ndl.asarray(o) for o in operands)).numpy()
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


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("neighbour", [3e38, 1.0, 1e-3], ids=str)
def test_huge_angles(device: ndl.Device, name: str, neighbour: float) -> None:
    angles = np.array([1e6, neighbour, -3e38, 1e10, -neighbour, 12345678.0] * 4, np.float32)
    check(registry[name], [angles])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_small_angles(device: ndl.Device, name: str) -> None:
    dtypes = [np.float32, np.float64] if device.supports(ndl.float64) else [np.float32]
    for dtype in dtypes:
        angles = np.linspace(-0.02, 0.02, 1001).astype(dtype)
        expected = registry[name].record.reference(angles.astype(np.float64))
        actual = registry[name].function(ndl.asarray(angles)).numpy()
        np.testing.assert_allclose(actual, expected, rtol=4 * np.finfo(dtype).eps)


# -- integers and bools -----------------------------------------------------------------------------


def integer_operands(declaration: Declaration, dtype: np.dtype) -> list[np.ndarray]:
    """Every pair of edge values and random ones; exponents where NumPy takes them, hence not negative."""
    limits = np.iinfo(dtype)
    edges = [0, 1, 2, 3, 7, limits.max, limits.max - 1, limits.min, 8 * dtype.itemsize, 8 * dtype.itemsize - 1]
    if dtype.kind == "i":
        edges += [-1, -2, -7, limits.min + 1]
    values = np.array(edges, dtype)
    values = np.concatenate([values, rng_for(declaration).integers(limits.min, limits.max, 9, dtype, endpoint=True)])
    if declaration.record.arity == 1:
        return [values]
    pairs = [a.ravel().copy() for a in np.meshgrid(values, values)]
    if declaration.name == "power":
        pairs[1][pairs[1] < 0] = 3
    return pairs if declaration.record.arity == 2 else [pairs[0] > pairs[1], *pairs]


def check_integers(declaration: Declaration, name: str) -> None:
    dtype = np.dtype(name)
    operands = integer_operands(declaration, dtype)
    result = declaration.function(*(ndl.asarray(o) for o in operands))
    with np.errstate(all="ignore"):
        if declaration.record.typing == "float":
            operands = [o.astype(np.float32) for o in operands]
            expected = np.asarray(declaration.record.reference(*operands))
            assert result.dtype == ndl.float32
            np.testing.assert_allclose(result.numpy(), expected, rtol=4e-6, atol=1e-30)
            return
        expected = np.asarray(declaration.record.reference(*operands))
    compared = declaration.record.typing in ("compare", "logical")
    assert result.dtype == (ndl.bool if compared else dtype)
    np.testing.assert_array_equal(result.numpy(), expected.astype(result.dtype))


@each([d for d in DECLARATIONS if accepts(d, "i")])
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers(device: ndl.Device, declaration: Declaration, dtype: str) -> None:
    if declaration.record.typing not in ("same", "select") and dtype == "uint8":
        pytest.skip("int32 shows it")
    check_integers(declaration, dtype)


@each([registry[name] for name in WIDELY_TESTED])
@pytest.mark.parametrize("dtype", EVERY_INTEGER)
def test_integers_of_every_width(device: ndl.Device, declaration: Declaration, dtype: str) -> None:
    check_integers(declaration, dtype)


@pytest.mark.parametrize("dtype", ["int32", "int8"])
def test_negative_exponents_give_0_or_1(device: ndl.Device, dtype: str) -> None:
    base = ndl.asarray([1, -1, -1, 2, 0, -5, -127], dtype=dtype)  # -127 squared is 1 in a byte
    exponent = ndl.asarray([-3, -2, -3, -1, -1, -2, -1], dtype=dtype)
    assert ndl.pow(base, exponent).tolist() == [1, 1, -1, 0, 0, 0, 0]
    assert ndl.pow(base[:3], int(np.iinfo(dtype).min)).tolist() == [1, 1, 1]


@each([d for d in DECLARATIONS if accepts(d, "b") and d.record.typing != "float"])
def test_bools(device: ndl.Device, declaration: Declaration) -> None:
    operands = [np.array([v >> i & 1 for v in range(8)], bool) for i in range(declaration.record.arity)]
    result = declaration.function(*(ndl.asarray(o) for o in operands))
    assert result.dtype == ndl.bool
    np.testing.assert_array_equal(result.numpy(), declaration.record.reference(*operands))


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


@each([d for d in DECLARATIONS if d.record.arity == 2 and d.record.typing != "logical"])
def test_scalars_on_either_side(device: ndl.Device, declaration: Declaration) -> None:
    (host,) = draw(declaration, [(13,), (13,)])[1:]
    scalar = 2 if host.dtype.kind == "i" else 1.25
    x, constant = ndl.asarray(host), host.dtype.type(scalar)
    for actual, operands in (
        (declaration.function(x, scalar), [host, constant]),
        (declaration.function(scalar, x), [constant, host]),
        (declaration.function(x, constant), [host, constant]),
        (declaration.function(constant, x), [constant, host]),
    ):
        assert_close(actual.numpy(), expected_of(declaration, operands), declaration)
        assert actual.dtype in (host.dtype, ndl.bool)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_take_numpy_arrays_and_scalars_on_either_side(device: ndl.Device, name: str) -> None:
    declaration, apply = registry[name], OPERATORS[name]
    left, right = draw(declaration, [(13,), (13,)])
    number = right.dtype.type(2)
    for actual, operands in (
        (apply(ndl.asarray(left), ndl.asarray(right)), [left, right]),
        (apply(left, ndl.asarray(right)), [left, right]),
        (apply(ndl.asarray(left), right), [left, right]),
        (apply(ndl.asarray(right), number), [right, number]),
        (apply(number, ndl.asarray(right)), [number, right]),
        (apply(2, ndl.asarray(right)), [number, right]),
    ):
        assert isinstance(actual, ndl.Tensor)
        assert_close(actual.numpy(), expected_of(declaration, operands), declaration)


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logical_operations_take_any_number_for_its_truth(device: ndl.Device, name: str) -> None:
    host = np.array([0.0, -0.0, 0.5, -2.0, np.nan], np.float32)
    function, reference = registry[name].function, registry[name].record.reference
    for scalar in (2, 0, 0.5, 256, True):
        np.testing.assert_array_equal(function(ndl.asarray(host), scalar).numpy(), reference(host, scalar))
        np.testing.assert_array_equal(function(scalar, ndl.asarray(host)).numpy(), reference(scalar, host))


def test_where_takes_any_condition_for_its_truth(device: ndl.Device) -> None:
    x, y = ndl.asarray([1.0, 2.0]), ndl.asarray([3.0, 4.0])
    assert ndl.where(0.5, x, y).tolist() == [1, 2]
    assert ndl.where(0, x, y).tolist() == [3, 4]
    assert ndl.where(ndl.asarray([0.25, 0.0]), x, y).tolist() == [1, 4]
    assert ndl.where(ndl.asarray([256, 0]), 1, 2.5).tolist() == [1, 2.5]


# -- gradients --------------------------------------------------------------------------------------


def variables(declaration: Declaration, shapes: list[tuple[int, ...]]) -> list[ndl.Tensor]:
    dtype = np.float64 if ndl.default_device().supports(ndl.float64) else np.float32
    return [ndl.Tensor(o) for o in draw(declaration, shapes, dtype)]


@each([d for d in DECLARATIONS if d.differentiable])
def test_gradient(device: ndl.Device, declaration: Declaration) -> None:
    assert ndl.gradcheck(declaration.function, variables(declaration, [(4, 3)] * declaration.record.arity))


@each([registry[name] for name in ("subtract", "multiply", "power", "where")])  # autograd does it for them all
def test_gradient_of_broadcast_operands(device: ndl.Device, declaration: Declaration) -> None:
    shapes = [(4, 1), (3,), (4, 3)][: declaration.record.arity]
    assert ndl.gradcheck(declaration.function, variables(declaration, shapes))


@each(SMOOTH)
def test_second_order_gradient(device: ndl.Device, declaration: Declaration) -> None:
    if not device.supports(ndl.float64):
        pytest.skip("finite differences of gradients need float64")
    arity = declaration.record.arity
    weights = ndl.asarray(rng_for(declaration).standard_normal((4, 3)))

    def first_order(*values: ndl.Tensor) -> ndl.Tensor:
        found = gradients(declaration.function(*values), values, weights, create_graph=True)
        return found[0] if arity == 1 else found[0] + 2 * found[1]

    assert ndl.gradcheck(first_order, variables(declaration, [(4, 3)] * arity))


@pytest.mark.parametrize(
    ("function", "at", "slope"),
    [
        (ndl.relu, 0.0, 0.0),
        (ndl.abs, 0.0, 0.0),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**1, 0.0, 1.0),
        (lambda x: x**2, -3.0, -6.0),
        (lambda x: x**3, -2.0, 12.0),
        (lambda x: 2.0**x, 1.0, 2 * np.log(2)),
        (lambda x: 0.0**x, 2.0, 0.0),
        (lambda x: ndl.maximum(x, 1.0), 1.0, 0.5),
        (lambda x: ndl.minimum(x, 1.0), 1.0, 0.5),
        (lambda x: ndl.clip(x, 0, 1), 1.0, 1.0),
        (lambda x: ndl.clip(x, 0, 1), 1.5, 0.0),
        (lambda x: ndl.where(x > 0, x, 0.0), 0.0, 0.0),
        (ndl.sigmoid, -200.0, 0.0),
        (ndl.softplus, 200.0, 1.0),
        (ndl.gelu, 30.0, 1.0),
    ],
)
def test_gradient_at_corners(device: ndl.Device, function: Callable, at: float, slope: float) -> None:
    x = ndl.Tensor([at])
    function(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [slope], rtol=1e-6)


@each([d for d in DECLARATIONS if d.differentiable and d.record.arity == 2])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "float32"])
def test_gradients_beside_another_dtype_are_those_beside_the_same(
    device: ndl.Device, declaration: Declaration, dtype: str
) -> None:
    """Found by random programs: atan2's rule squared its other operand, and an integer wrapped, a float32 rounded."""
    meet = np.dtype("float64" if dtype == "float32" else "float32")
    if not device.supports(meet):
        pytest.skip(f"{device.name} has no {meet}")
    host, beside = np.array([1.5, 2.0, 0.5, 1.1], meet), np.array([20, 1, 3, 100], dtype)
    if dtype == "float32":
        beside = beside / np.float32(7)
    for swapped in (False, True):
        found = []
        for other in (beside, beside.astype(meet)):
            x = ndl.Tensor(host)
            operands = (x, ndl.asarray(other)) if not swapped else (ndl.asarray(other), x)
            declaration.function(*operands).backward(ndl.ones(4))
            found.append(x.grad.numpy())
        np.testing.assert_allclose(found[0], found[1], rtol=10 * np.finfo(meet).eps)


# -- declarations -----------------------------------------------------------------------------------


@each()
def test_declarations_are_documented_and_sampled(declaration: Declaration) -> None:
    assert declaration.doc
    assert len(declaration.sample) == declaration.record.arity


@each()
def test_wrong_number_of_operands(device: ndl.Device, declaration: Declaration) -> None:
    with pytest.raises(TypeError, match=r"operands|argument"):
        declaration.function(*[ndl.asarray([1.0])] * (declaration.record.arity + 1))
