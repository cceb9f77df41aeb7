"""The dtype of every result: the Array API's promotion table, weak Python scalars, sums and quotients."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.together import Together

import needle as ndl
from needle import dtypes

SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
FLOATS = ("float16", "float32", "float64")
ALL = ("bool", *INTEGERS, *FLOATS)

#: Array API 2023.12, "Mixed signed and unsigned integers": row signed, column unsigned.
MIXED = {
    ("int8", "uint8"): "int16", ("int8", "uint16"): "int32", ("int8", "uint32"): "int64",
    ("int16", "uint8"): "int16", ("int16", "uint16"): "int32", ("int16", "uint32"): "int64",
    ("int32", "uint8"): "int32", ("int32", "uint16"): "int32", ("int32", "uint32"): "int64",
    ("int64", "uint8"): "int64", ("int64", "uint16"): "int64", ("int64", "uint32"): "int64",
}  # fmt: skip


def promoted(a: str, b: str) -> str | None:
    """The dtype that the table gives, or None where it gives none."""
    if a == "bool" or b == "bool":
        return b if a == "bool" else a
    for family in (SIGNED, UNSIGNED, FLOATS):
        if a in family and b in family:
            return max(a, b, key=family.index)
    if a in FLOATS or b in FLOATS:  # the standard leaves this open; a float wins
        return a if a in FLOATS else b
    return MIXED.get((a, b), MIXED.get((b, a)))


SAMPLES = {dtype: np.array([0, 1, 1], dtype) for dtype in ALL}


def sample(device: ndl.Device, dtype: str) -> ndl.Tensor:
    if not device.supports(dtypes.as_dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    return ndl.asarray(SAMPLES[dtype])


PAIRS = list(itertools.product(ALL, ALL))


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_promotion_table(a: str, b: str) -> None:
    expected = promoted(a, b)
    if expected is None:
        with pytest.raises(TypeError, match="no integer dtype holds both"):
            dtypes.promote(np.dtype(a), np.dtype(b))
    else:
        assert dtypes.promote(np.dtype(a), np.dtype(b)) == np.dtype(expected)


@pytest.mark.parametrize("operation", [ndl.multiply, ndl.maximum, ndl.less, ndl.divide], ids=lambda f: f.__name__)
def test_operations_follow_the_table(device: ndl.Device, operation: Any) -> None:
    usable = [d for d in ALL if device.supports(np.dtype(d))]
    for a, b in itertools.product(usable, usable):
        x, y = sample(device, a), sample(device, b)
        expected = promoted(a, b)
        if operation is ndl.multiply and a == b == "bool":
            continue  # not defined for bools
        if operation is ndl.less:
            expected = "bool"  # integers without a dtype in common are compared all the same
        elif expected is None:
            with pytest.raises(TypeError, match="cast one of them with astype"):
                operation(x, y)
            continue
        elif operation is ndl.divide and expected not in FLOATS:
            expected = "float32"
        assert operation(x, y).dtype == np.dtype(expected), (a, b)


def test_mixed_operands_have_the_right_values(device: ndl.Device) -> None:
    results = Together()
    usable = [d for d in ALL if device.supports(np.dtype(d))]
    for a, b in itertools.product(usable, usable):
        if (expected := promoted(a, b)) is None or a == b == "bool":
            continue
        x, y = (results.asarray(SAMPLES[dtype]) for dtype in (a, b))
        results.equal(f"{a} + {b}", x + y + y, [0, 3, 3], expected)
    results.verify()


# -- Python scalars ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ALL)
def test_python_scalars_are_weak(device: ndl.Device, dtype: str) -> None:
    x = sample(device, dtype)
    with_int = "int64" if dtype == "bool" else dtype
    with_float = dtype if dtype in FLOATS else "float32"
    for apply in (lambda s: ndl.multiply(x, s), lambda s: ndl.multiply(s, x)):
        assert apply(3).dtype == np.dtype(with_int)
        assert apply(2.5).dtype == np.dtype(with_float)
        if dtype != "bool":
            assert apply(True).dtype == np.dtype(dtype)
    assert ndl.where(x > 0, x, 2).dtype == np.dtype(with_int)
    assert ndl.where(x > 0, 2.5, x).dtype == np.dtype(with_float)
    assert ndl.where(x > 0, True, x).dtype == np.dtype(dtype)
    assert (x == 2.5).dtype == ndl.bool
    assert ndl.logical_or(x, 1).dtype == ndl.bool


@pytest.mark.parametrize("scalar", [np.float64(1.5), np.float32(1.5), np.int64(1), np.bool_(True)], ids=repr)
def test_numpy_scalars_are_weak(device: ndl.Device, scalar: Any) -> None:
    x = sample(device, "float32")
    assert (x * scalar).dtype == ndl.float32
    assert (scalar * x).dtype == ndl.float32


def test_python_scalars_only(device: ndl.Device) -> None:
    condition = ndl.asarray([True, False])
    assert ndl.where(condition, 1, 2).dtype == ndl.int64
    assert ndl.where(condition, 1, 2.0).dtype == ndl.float32
    assert ndl.where(condition, True, False).dtype == ndl.bool
    assert ndl.where(condition, 1, 2.5).tolist() == [1, 2.5]


def test_the_ends_of_integers_fit(device: ndl.Device) -> None:
    results = Together()
    for dtype in INTEGERS:
        x, limits = results.asarray(SAMPLES[dtype]), np.iinfo(dtype)
        for value in (int(limits.max), int(limits.min)):
            results.equal(f"{value} in {dtype}", x * 0 + value, np.full(3, value, dtype), dtype)
    results.verify()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_an_integer_that_does_not_fit_is_an_error(device: ndl.Device, dtype: str) -> None:
    x, limits = sample(device, dtype), np.iinfo(dtype)
    for value in (int(limits.max) + 1, int(limits.min) - 1, 10**30):
        for apply in (lambda v: x + v, lambda v: v - x, lambda v: ndl.where(x > 0, x, v)):
            with pytest.raises(OverflowError, match=f"Python integer {value} is out of bounds for {dtype}"):
                apply(value)
        with pytest.raises(OverflowError, match=f"out of bounds for {dtype}"):
            ndl.full(2, value, dtype)
        with pytest.raises(OverflowError, match=f"out of bounds for {dtype}"):
            x[0] = value


def test_huge_scalars_in_floats(device: ndl.Device) -> None:
    x = ndl.asarray([1.0, -1.0])
    np.testing.assert_array_equal((x * 10**30).numpy(), np.array([1e30, -1e30], np.float32))
    np.testing.assert_array_equal((x * 2**64).numpy(), np.array([2.0**64, -(2.0**64)], np.float32))
    np.testing.assert_array_equal((x * 1e300).numpy(), [np.inf, -np.inf])
    np.testing.assert_array_equal((x < 1e300).numpy(), [True, True])
    np.testing.assert_array_equal(ndl.full(2, -1e300).numpy(), [-np.inf, -np.inf])
    np.testing.assert_array_equal((x * float("inf")).numpy(), [np.inf, -np.inf])
    assert np.isnan((x * float("nan")).numpy()).all()


def test_huge_scalars_in_64_bit_integers(device: ndl.Device) -> None:
    x = ndl.asarray(np.array([0, 1], np.uint64))
    assert (x + (2**64 - 1)).tolist() == [2**64 - 1, 0]
    y = ndl.asarray(np.array([0, -1], np.int64))
    assert (y + 2**62).tolist() == [2**62, 2**62 - 1]
    assert (y == -1).tolist() == [False, True]


# -- particular results -----------------------------------------------------------------------------


def test_true_division_of_integers_is_float32(device: ndl.Device) -> None:
    results = Together()
    for dtype in ("bool", *INTEGERS):
        x = results.asarray(SAMPLES[dtype])
        assert (x / x).dtype == ndl.float32
        results.equal(dtype, ndl.divide(x, 2), [0, 0.5, 0.5], np.float32)
    results.verify()


def test_powers_of_integers(device: ndl.Device) -> None:
    results = Together()
    for exponent in (2, 1, 0, 3, 2.0, 1.0, 0.5, 0.0, 3.0):
        dtype = "int32" if isinstance(exponent, int) else "float32"
        results.equal(str(exponent), sample(device, "int32") ** exponent, np.array([0, 1, 1]) ** exponent, dtype)
    results.verify()


@pytest.mark.parametrize("dtype", ALL)
def test_dtypes_of_reductions(dtype: str) -> None:  # decided before any device is asked
    x = ndl.asarray(np.array([0, 1, 1], dtype), device="numpy")
    wide = dtype if dtype in FLOATS else "uint64" if dtype in UNSIGNED else "int64"
    floating = dtype if dtype in FLOATS else "float32"
    for name, expected in {
        "sum": wide, "prod": wide, "max": dtype, "min": dtype, "mean": floating, "var": floating, "std": floating,
        "any": "bool", "all": "bool", "argmax": "int64", "argmin": "int64",
    }.items():  # fmt: skip
        assert getattr(ndl, name)(x).dtype == np.dtype(expected), name
    assert x.sum().item() == 2
    assert x.prod().item() == 0


SMALL = [d for d in ALL if d not in ("float16", "float64")]


@settings(max_examples=5)  # of all pairs of dtypes each
@given(
    hosts=st.fixed_dictionaries(
        {d: st.lists(st.integers(0, 1 if d == "bool" else 100), min_size=3, max_size=3) for d in SMALL}
    )
)
def test_small_sums_are_exact_in_the_promoted_dtype(device: ndl.Device, hosts: dict[str, list[int]]) -> None:
    results = Together()
    arrays = {dtype: np.array(values, dtype) for dtype, values in hosts.items()}
    for a, b in itertools.product(SMALL, SMALL):
        if (dtype := promoted(a, b)) is None or a == b == "bool":
            continue
        for operation in (operator.add, operator.sub):
            result = operation(results.asarray(arrays[a]), results.asarray(arrays[b]))
            expected = operation(arrays[a].astype(dtype), arrays[b].astype(dtype))
            results.equal(f"{operation.__name__}({a}, {b})", result, expected, dtype)
    results.verify()


# -- making and casting -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [(1, "int64"), (1.0, "float32"), (True, "bool"), ([1, 2], "int64"), ([1, 2.5], "float32"), ([True], "bool"),
     (np.float64(2), "float32"), (np.zeros(2), "float64"), (np.zeros(2, np.int8), "int8"), ([], "float32")],
    ids=repr,
)  # fmt: skip
def test_dtype_of_data(device: ndl.Device, data: Any, dtype: str) -> None:
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    assert ndl.asarray(data).dtype == np.dtype(dtype)


def test_casts(device: ndl.Device) -> None:
    results = Together()
    for source in ("bool", "int8", "uint8", "int32", "int64", "float32"):
        host = np.array([0, 1, 1, 100], np.int8).astype(source)
        for target in ("bool", "int8", "uint16", "int64", "float32"):
            result = results.asarray(host).astype(target)
            results.equal(f"{source} to {target}", result, host.astype(target), target)
    results.verify()


def test_casts_cut_floats_and_wrap_integers(device: ndl.Device) -> None:
    assert ndl.asarray([1.75, -1.75, -0.0]).astype("int32").tolist() == [1, -1, 0]
    assert ndl.asarray([300, -1], dtype="int32").astype("uint8").tolist() == [44, 255]
    assert ndl.asarray([0.25, 0.0, float("nan")]).astype("bool").tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", ["complex64", "U3", "datetime64[s]", "object", "nonsense"])
def test_unsupported_dtypes(device: ndl.Device, dtype: str) -> None:
    with pytest.raises(TypeError, match=r"expected one of bool, int8, .*float64"):
        ndl.asarray([1], dtype=dtype)


def test_python_floats_keep_the_precision_that_is_asked_for(device: ndl.Device) -> None:
    assert ndl.asarray([0.1]).dtype == np.float32
    assert ndl.asarray([16777217.0], dtype="int64").item() == 16777217
    if device.supports(np.dtype(np.float64)):
        assert ndl.asarray([0.1], dtype="float64").item() == ndl.Tensor([[0.1]], dtype="float64").item() == 0.1


def test_what_is_written_takes_the_dtype_of_its_target(device: ndl.Device) -> None:
    x = ndl.zeros((2, 2))
    x[0], x[1] = [1.0, 2.5], np.array([3, 1e-3])  # doubles, which a device may not have
    assert x.tolist() == [[1, 2.5], [3, float(np.float32(1e-3))]]


def test_ranges_of_numpy_s_integers_are_integers(device: ndl.Device) -> None:
    assert ndl.arange(np.int64(3)).dtype == np.int64 and ndl.arange(0, np.int32(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_powers_of_bools_are_those_of_integers(device: ndl.Device, exponent: int) -> None:
    power = ndl.asarray([True, False]) ** exponent
    assert power.dtype == np.int64 and power.tolist() == [1, 0]


def test_numpy_s_integers_are_sizes_as_python_s_are(device: ndl.Device) -> None:
    x = ndl.ones((2, 4))
    assert ndl.reshape(x, np.int64(8)).shape == (8,) and x.reshape(np.int64(4), 2).shape == (4, 2)
    assert len(ndl.split(x, np.int64(2), axis=1)) == 2
    assert ndl.nn.functional.layer_norm(x, np.int64(4)).shape == (2, 4)
