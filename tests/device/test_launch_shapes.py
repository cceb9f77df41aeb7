"""The kernels in the shapes that other devices give them: many work-items, narrow vectors, 32-bit indices.

Tests with several parameters try every pair of their values, each with each launch shape, not all combinations.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.pairwise import pairwise
from support.together import Together

import needle as ndl
from needle.backend.opencl.running.device import OpenCLDevice

SHAPES = {
    "gpu": {
        "vector_bytes": 4, "local_size": 64, "wide_index": False, "fold_columns": 1, "groups": 8, "matmul_rows": 0,
        "matmul_group": 8,
    },
    "gpu with vectors": {
        "vector_bytes": 16, "local_size": 16, "wide_index": False, "fold_columns": 2, "groups": 4, "matmul_rows": 0,
        "matmul_group": 4, "matmul_micro": 2,
    },
    "work-groups of one": {
        "vector_bytes": 4, "local_size": 1, "wide_index": False, "fold_columns": 1, "groups": 1, "matmul_rows": 0,
        "matmul_group": 1,
    },
    "results past the caches": {"streamed_bytes": 1},
}  # fmt: skip


@pytest.fixture
def shaped(request, device):
    """A second device on the same hardware, with another launch shape."""
    if not isinstance(device, OpenCLDevice):
        pytest.skip("only OpenCL devices have a launch shape")
    if "llvmpipe" in device.info.description:
        pytest.skip("llvmpipe stops every loop after 32768 turns; launches in its own launch shape stay below that")
    with _reshaped(device, request.param) as opened:
        yield opened


def in_each_launch_shape(*names):
    """Run a test in each launch shape; with the values of further parameters, so that every pair of values meets."""

    def parametrized(*values):
        return pytest.mark.parametrize(("shaped", *names), pairwise([*SHAPES], *values), indirect=["shaped"])

    return parametrized


@cache
def _reshaped(device, shape):
    """One device for all tests of a shape, so that each kernel is compiled once."""
    opened = OpenCLDevice(device.info, device.cl_device)
    opened.launch_shape = replace(opened.launch_shape, **SHAPES[shape])
    return opened


@in_each_launch_shape("shape")([(), (1,), (3,), (17,), (37, 53), (5, 1, 7), (2, 3, 4, 5), (0, 3), (300, 301)])
def test_fused_expressions(shaped, shape):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape).astype(np.float32)
    result = ((ndl.asarray(x) - 0.5) * ndl.asarray(y)).relu() + 1
    np.testing.assert_allclose(result.numpy(), np.maximum((x - 0.5) * y, 0) + 1, rtol=1e-6)


@in_each_launch_shape("dtype")(["int8", "int16", "int32", "int64", "uint16"])
def test_integers_wrap_whatever_they_are_fused_with(shaped, dtype):
    """Overflow of signed integers is undefined in C: compilers take x + 1 > x for true."""
    limits = np.iinfo(dtype)
    x = np.array([limits.max, limits.min, limits.max // 2 + 2, 3, 0], dtype)
    a, results = ndl.asarray(x), Together()
    with np.errstate(all="ignore"):
        pairs = {
            "add": (a + 1 > a, x + x.dtype.type(1) > x), "subtract": (a - 1 < a, x - x.dtype.type(1) < x),
            "multiply": (a * a >= 0, x * x >= 0), "negative": (-a > 0, -x > 0),
            "square": (ndl.square(a) >= 0, np.square(x) >= 0),
            "floor_divide": (a * 2 // 2 == a, x * x.dtype.type(2) // 2 == x),
            "abs": (ndl.abs(a) >= 0, np.abs(x) >= 0), "pow": (ndl.pow(a, 3) >= 0, np.power(x, 3) >= 0),
        }  # fmt: skip
    for name, (ours, theirs) in pairs.items():
        results.equal(name, ours, theirs)
    results.verify()
    big = ndl.asarray(np.array([2**62, 2**62, 5]))
    assert (big.sum() < 0).item() and (big.sum() * 2).item() == 10 and big.prod().item() == 0


@in_each_launch_shape("view")(["transposed", "reversed", "column", "row", "every other"])
def test_strided_operands(shaped, view):
    x = np.arange(37 * 53, dtype=np.float32).reshape(37, 53)
    index = {"reversed": np.s_[::-1, ::-1], "column": np.s_[:, :1], "row": np.s_[:1], "every other": np.s_[::2, 1::3]}
    a = ndl.asarray(x)
    if view == "transposed":
        ours, theirs, other = a.T, x.T, x.T.copy()
    else:
        ours, theirs = a[index[view]], x[index[view]]
        other = x if view in ("column", "row") else theirs.copy()
    np.testing.assert_array_equal((ours * 2 + ndl.asarray(other)).numpy(), theirs * 2 + other)


@in_each_launch_shape("dtype", "start")(["float32", "uint8", "int64"], [0, 1, 8, 16])
def test_results_at_any_alignment(shaped, start, dtype):
    x = np.arange(40 * 67).reshape(40, 67).astype(dtype)
    target, expected = ndl.zeros((40, 100), dtype=dtype), np.zeros((40, 100), dtype)
    target.cached_data[:, start : start + 67] = (ndl.asarray(x) * 2).cached_data
    expected[:, start : start + 67] = x * 2
    np.testing.assert_array_equal(target.numpy(), expected)
    flat, line = ndl.zeros(5000, dtype=dtype), np.zeros(5000, dtype)
    flat.cached_data[start : start + 2680] = (ndl.asarray(x).reshape(-1) + 1).cached_data
    line[start : start + 2680] = x.reshape(-1) + x.dtype.type(1)
    np.testing.assert_array_equal(flat.numpy(), line)


@in_each_launch_shape("columns")([1, 16, 33])
def test_gathered_rows(shaped, columns):
    x = np.arange(50 * columns, dtype=np.float32).reshape(50, columns)
    indices = np.random.default_rng(2).integers(-50, 50, (7, 5))
    np.testing.assert_array_equal(ndl.take(ndl.asarray(x), ndl.asarray(indices), axis=0).numpy(), x[indices])


@in_each_launch_shape("order", "shape")(
    [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 1, 0)], [(3, 70, 41), (2, 64, 32), (33, 1, 35), (0, 3, 4)]
)
def test_transposed_operands(shaped, shape, order):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    ours, theirs = ndl.permute_dims(ndl.asarray(x), order), x.transpose(order)
    np.testing.assert_array_equal((ours + ndl.asarray(theirs.copy())).numpy(), theirs * 2)
    target, expected = ndl.asarray(x, copy=True), x.copy()
    ndl.permute_dims(target, order).cached_data[...] = ours.cached_data * 3
    expected.transpose(order)[...] = theirs * 3
    np.testing.assert_array_equal(target.numpy(), expected)


@in_each_launch_shape("shape", "axis")([(3, 5, 7), (2, 700, 33), (100_000, 1, 3)], [None, 1, (0, 2)])
def test_reductions(shaped, shape, axis):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(np.float32)
    a = ndl.asarray(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(a.sum(axis).numpy(), exact.sum(axis), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(a.max(axis).numpy(), x.max(axis))
    np.testing.assert_allclose((a * 2 + 1).mean(axis).numpy(), (exact * 2 + 1).mean(axis), rtol=1e-5, atol=1e-5)
    if axis is None or isinstance(axis, int):
        np.testing.assert_array_equal(a.argmax(axis).numpy(), x.argmax(axis))
        np.testing.assert_array_equal(a.argmin(axis).numpy(), x.argmin(axis))


@in_each_launch_shape("dtype", "sizes")(
    ["float32", "float16", "int32"], [(1, 1, 1), (5, 3, 1), (1, 9, 20), (20, 9, 33), (70, 65, 67)]
)
def test_matrix_products(shaped, sizes, dtype):
    if dtype == "float16" and not shaped.supports(ndl.float16):
        pytest.skip("no float16")
    m, k, n = sizes
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((m, k), (k, n)))
    exact = a.astype(int) @ b.astype(int)
    np.testing.assert_array_equal((ndl.asarray(a) @ ndl.asarray(b)).numpy(), exact)
    turned = ndl.asarray(a.T.copy()).T @ ndl.asarray(b.T.copy()).T
    np.testing.assert_array_equal(turned.numpy(), exact)


@in_each_launch_shape()()
def test_training_step(shaped):
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((33, 17)).astype(np.float32), rng.standard_normal((17, 5)).astype(np.float32)
    labels = rng.integers(0, 5, 33)
    weight = ndl.Tensor(w)
    loss = ndl.nn.functional.cross_entropy(ndl.asarray(x) @ weight, ndl.asarray(labels))
    loss.backward()
    ndl.optim.SGD([weight], lr=0.1).step()
    logits = x.astype(np.float64) @ w
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    gradient = x.T @ (chances - np.eye(5)[labels]) / 33
    np.testing.assert_allclose(loss.item(), -np.log(chances[np.arange(33), labels]).mean(), rtol=1e-5)
    np.testing.assert_allclose(weight.numpy(), w - 0.1 * gradient, rtol=1e-4, atol=1e-5)
