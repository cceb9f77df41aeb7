"""take, take_along_axis, one_hot and the sums that are their gradients, on every device and kernel path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl
from needle.array import NDArray
from needle.dtypes import ALL
from needle.ops.indexing.taking import ScatterAdd, ScatterAddAlongAxis, check_index_bounds

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint64", "float32", "float64")


@pytest.fixture(params=["own launch shape", "work-groups"])
def target(device: ndl.Device, request: pytest.FixtureRequest) -> Iterator[ndl.Device]:
    """Each device, and each OpenCL device once more with the kernels in the shape that GPUs get."""
    if request.param == "own launch shape":
        yield device
        return
    if not hasattr(device, "launch_shape"):
        pytest.skip("not an OpenCL device")
    original = device.launch_shape
    device.launch_shape = replace(original, local_size=min(64, device.cl_device.max_work_group_size), vector_bytes=4)
    yield device
    device.launch_shape = original


def unknown(indices: np.ndarray) -> ndl.Tensor:
    """Indices as the result of a computation: the host does not know them."""
    return ndl.Tensor(indices, requires_grad=False) + 0


def tensor(x: np.ndarray) -> ndl.Tensor:
    return ndl.Tensor(x, requires_grad=False)


def draw(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * 50).astype(dtype)


# -- take -------------------------------------------------------------------------------------------


@pytest.mark.every_driver
@pytest.mark.parametrize(
    ("shape", "indices", "axis"),
    [((7, 5), (4,), 0), ((7, 5), (4, 3), 1), ((3, 6, 5), (2,), 1), ((50,), (1000,), 0), ((20, 700), (40,), 0),
     ((4, 3, 2), (), -2), ((5, 4), (0,), 0), ((0, 4), (0,), 0), ((3, 100, 70), (33, 2), 1), ((5, 0), (3,), 0)],
)  # fmt: skip
@pytest.mark.parametrize("index_dtype", ["int32", "int64"])
def test_take(target, shape, indices, axis, index_dtype):
    x = draw(shape, "float32")
    size = max(shape[axis], 1)
    where = np.random.default_rng(1).integers(-size, size, indices).astype(index_dtype)
    want = np.take(x, where, axis)
    for given_indices in (where, tensor(where), unknown(where)):
        got = ndl.take(tensor(x), given_indices, axis)
        assert got.shape == want.shape
        np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_take_of_every_dtype(target, dtype):
    if not target.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    x = draw((9, 33), dtype)
    got = ndl.take(tensor(x), [3, -1, 3], 0)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got.numpy(), x[[3, -1, 3]])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32", "uint64"])
def test_indices_of_other_integer_dtypes(device, dtype):
    x = draw((9, 3), "float32")
    np.testing.assert_array_equal(ndl.take(tensor(x), unknown(np.array([8, 0], dtype)), 0).numpy(), x[[8, 0]])


def test_take_of_views_by_views(target):
    x, where = draw((8, 9, 10), "float32"), np.random.default_rng(2).integers(0, 4, (6, 4))
    t, i = tensor(x), tensor(where)
    for axis in range(3):
        view = x[::2, ::-2, 5:].transpose(2, 0, 1)
        got = ndl.take(t[::2, ::-2, 5:].permute((2, 0, 1)), i.T[::-1], axis)
        np.testing.assert_array_equal(got.numpy(), np.take(view, where.T[::-1], axis))
    row = ndl.take(t[0, 0].broadcast_to((3, 10)), i[0], 1)
    np.testing.assert_array_equal(row.numpy(), np.take(np.broadcast_to(x[0, 0], (3, 10)), where[0], 1))


def test_take_without_axis_flattens(device):
    x = draw((3, 4), "float32")
    np.testing.assert_array_equal(ndl.take(tensor(x), [[0, -1], [5, 6]]).numpy(), np.take(x, [[0, -1], [5, 6]]))
    assert ndl.take(tensor(x), 5).shape == ()


# -- take_along_axis --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "indices", "axis"),
    [((7, 5), (3, 5), 0), ((7, 5), (7, 1), 1), ((7, 5), (7, 9), -1), ((3, 6, 5), (3, 4, 5), 1), ((100,), (50,), 0),
     ((40, 300), (7, 300), 0), ((4, 5), (1, 3), 1), ((1, 5), (6, 3), 1), ((2, 1, 3), (2, 4, 5), 2),
     ((4, 5), (4, 0), 1)],
)  # fmt: skip
def test_take_along_axis(target, shape, indices, axis):
    x = draw(shape, "float32")
    where = np.random.default_rng(1).integers(-shape[axis], shape[axis], indices)
    want = np.take_along_axis(x, where, axis)
    for given_indices in (where, tensor(where), unknown(where)):
        got = ndl.take_along_axis(tensor(x), given_indices, axis)
        assert got.shape == want.shape
        np.testing.assert_array_equal(got.numpy(), want)


def test_take_along_axis_of_views(target):
    x, where = draw((8, 9), "float32"), np.random.default_rng(2).integers(0, 4, (9, 8))
    got = ndl.take_along_axis(tensor(x)[::-1].T, tensor(where)[:, ::-1], 1)
    np.testing.assert_array_equal(got.numpy(), np.take_along_axis(x[::-1].T, where[:, ::-1], 1))


# -- sums at indices --------------------------------------------------------------------------------


def sums(where: np.ndarray, updates: np.ndarray, axis: int, size: int) -> np.ndarray:
    """What the gradient of `take` is: `updates` added up in float64 (integers: wrapping) at `where`."""
    outer, inner = updates.shape[:axis], updates.shape[axis + where.ndim :]
    out = np.zeros((size, *outer, *inner), np.float64 if updates.dtype.kind == "f" else updates.dtype)
    flat = np.moveaxis(updates.reshape(*outer, where.size, *inner), axis, 0)
    valid = (where.ravel() >= -size) & (where.ravel() < size)
    np.add.at(out, where.ravel()[valid], flat[valid])
    return np.moveaxis(out, 0, axis)


def sums_along(where: np.ndarray, updates: np.ndarray, axis: int, size: int) -> np.ndarray:
    """The same for the gradient of `take_along_axis`."""
    out = np.zeros((*updates.shape[:axis], size, *updates.shape[axis + 1 :]), np.float64)
    places = list(np.indices(updates.shape))
    places[axis] = where
    valid = (where >= -size) & (where < size)
    np.add.at(out, tuple(p[valid] for p in places), updates[valid])
    return out


def forms(updates: np.ndarray) -> list[tuple[np.ndarray, ndl.Tensor]]:
    """Updates in memory in order, transposed, and repeated from a single element."""
    turned = np.ascontiguousarray(updates.T)
    one = np.broadcast_to(updates.reshape(-1)[:1].reshape((1,) * updates.ndim), updates.shape)
    return [
        (updates, tensor(updates)),
        (turned.T, tensor(turned).permute(tuple(reversed(range(updates.ndim))))),
        (one, tensor(np.ascontiguousarray(one[(slice(1),) * one.ndim])).broadcast_to(one.shape)),
    ]


@pytest.mark.parametrize(
    ("shape", "indices", "axis"),
    [((7, 5), (4,), 0), ((7, 5), (4, 3), 1), ((3, 6, 5), (20,), 1), ((50,), (10000,), 0), ((30, 700), (400,), 0),
     ((4, 3, 2), (), 1), ((3, 100, 70), (33, 2), 1), ((100, 256), (1000,), 0), ((2, 100, 64), (600,), 1)],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])
def test_scatter_add(target, shape, indices, axis, dtype):
    if not target.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    size = shape[axis]
    where = np.random.default_rng(3).integers(-size - 2, size + 2, indices)  # some outside: they are left out
    for host, updates in forms(draw((*shape[:axis], *indices, *shape[axis + 1 :]), dtype)):
        got = ScatterAdd(axis, size)(tensor(where), updates)
        assert got.shape == shape
        tolerance = {"float32": 1e-4, "float64": 1e-11}.get(dtype, 0)
        np.testing.assert_allclose(got.numpy(), sums(where, host, axis, size), rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize(
    ("shape", "count", "axis"),
    [((7, 5), 3, 0), ((7, 5), 1, 1), ((7, 5), 90, 1), ((3, 6, 5), 4, 1), ((100,), 50, 0), ((40, 300), 70, 0),
     ((2, 60, 300), 70, 1)],
)  # fmt: skip
def test_scatter_add_along_axis(target, shape, count, axis):
    size = shape[axis]
    indices = (*shape[:axis], count, *shape[axis + 1 :])
    where = np.random.default_rng(3).integers(-size - 2, size + 2, indices)
    for host, updates in forms(draw(indices, "float32")):
        got = ScatterAddAlongAxis(axis, size)(tensor(where), updates)
        assert got.shape == shape
        np.testing.assert_allclose(got.numpy(), sums_along(where, host, axis, size), rtol=1e-4, atol=1e-3)


def test_sums_are_the_same_each_time(target):
    where, updates = np.random.default_rng(4).integers(0, 10, 5000), draw((5000, 40), "float32")
    first = ScatterAdd(0, 10)(tensor(where), tensor(updates)).numpy()
    for _ in range(3):
        np.testing.assert_array_equal(ScatterAdd(0, 10)(tensor(where), tensor(updates)).numpy(), first)


def test_float16_is_summed_in_float32(target):
    original = target.info
    target.info = replace(original, dtypes=frozenset(ALL))  # these kernels need no extension for it
    try:
        updates = np.full((4096, 2), 0.5, np.float16)
        where = np.zeros(4096, np.int64)
        got = ScatterAdd(0, 3)(tensor(where), tensor(updates))
        np.testing.assert_array_equal(got.numpy(), np.array([[2048, 2048], [0, 0], [0, 0]], np.float16))
        np.testing.assert_array_equal(ndl.take(got, unknown(np.array([0, 5])), 0).numpy(), [[2048] * 2, [np.nan] * 2])
    finally:
        target.info = original


# -- indices out of range ---------------------------------------------------------------------------


@pytest.mark.every_driver
def test_unknown_indices_out_of_range_touch_nothing(target):
    where = np.array([0, 7, -8, 2**31 - 1, -(2**31), 6, -7])
    out = (where < -7) | (where > 6)
    for dtype, missing in (("float32", np.nan), ("int32", 0)):
        x = draw((7, 5), dtype)
        got = ndl.take(tensor(x), unknown(where), 0).numpy()
        np.testing.assert_array_equal(got[~out], x[where[~out]])
        np.testing.assert_array_equal(got[out], np.full((out.sum(), 5), missing))
        along = ndl.take_along_axis(tensor(x), unknown(np.tile(where[:, None], 5)), 0).numpy()
        np.testing.assert_array_equal(along, got)
    assert np.isnan(ndl.take(tensor(np.zeros((0, 2), np.float32)), unknown(np.array([0])), 0).numpy()).all()


def test_gradient_of_indices_out_of_range_is_dropped(device):
    x = ndl.Tensor(np.ones((3, 2), np.float32))
    ndl.take(x, unknown(np.array([0, 3, -4, 0])), 0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[2, 2], [0, 0], [0, 0]])


@pytest.mark.parametrize("wrap", [list, np.array, lambda i: ndl.Tensor(np.array(i))], ids=["list", "NumPy", "tensor"])
def test_known_indices_out_of_range(device, wrap):
    x = tensor(draw((4, 5), "float32"))
    before = device.launches
    with pytest.raises(IndexError, match=r"take: index 4 is out of range: it must be from -4 to 3"):
        ndl.take(x, wrap([0, 4]), 0)
    with pytest.raises(IndexError, match=r"take: index -6 is out of range: it must be from -5 to 4"):
        ndl.take(x, wrap([0, -6]), 1)
    with pytest.raises(IndexError, match=r"take_along_axis: index 9 is out of range"):
        ndl.take_along_axis(x, wrap([[9]]), 0)
    with pytest.raises(IndexError, match=r"one_hot: index -1 is out of range: it must be from 0 to 2"):
        ndl.one_hot(wrap([0, -1]), 3)
    with pytest.raises(IndexError, match=r"take: index 0 is out of range: there is nothing to choose from"):
        ndl.take(tensor(np.zeros((0, 2), np.float32)), wrap([0]), 0)
    assert device.launches == before


def test_views_of_known_indices_are_known(device):
    x = tensor(draw((4, 5), "float32"))
    with pytest.raises(IndexError, match="index 7"):
        ndl.take(x, ndl.Tensor(np.array([[1, 7], [0, 2]])).T.reshape((4,)), 0)


def test_check_index_bounds(device):
    check_index_bounds(np.array([0, 2]), 3, "label")
    check_index_bounds(np.array([], np.int64), 0, "label")
    check_index_bounds(unknown(np.array([9])), 3, "label")
    check_index_bounds(NDArray.from_numpy(np.array([-3]), device), 3, "label", from_end=True)
    with pytest.raises(IndexError, match=r"label 3 is out of range: it must be from 0 to 2"):
        check_index_bounds(tensor(np.array([0, 3])), 3, "label")


def test_wrong_arguments(device):
    x = tensor(draw((4, 5), "float32"))
    with pytest.raises(TypeError, match="take: index must be an integer; the dtype is float"):
        ndl.take(x, [0.5], 0)
    with pytest.raises(TypeError, match="the dtype is bool"):
        ndl.take(x, np.array([True, False]), 0)
    with pytest.raises(TypeError, match="the dtype is float32"):
        ndl.take(x, x, 0)
    with pytest.raises(ValueError, match="axis=2 is out of range"):
        ndl.take(x, [0], 2)
    with pytest.raises(ValueError, match=r"indices of shape \(1,\) and x of shape \(4, 5\) differ in axes"):
        ndl.take_along_axis(x, [0], 0)
    with pytest.raises(ValueError, match="do not broadcast"):
        ndl.take_along_axis(x, np.zeros((1, 3), np.int64), 0)


# -- gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_gradient_of_take(device, axis):
    x = ndl.Tensor(draw((4, 5), "float32") / 50)
    assert ndl.gradcheck(lambda t: ndl.take(t, [[0, 3, 3], [-1, 1, 3]], axis), x)


@pytest.mark.parametrize("axis", [0, 1])
def test_gradient_of_take_along_axis(device, axis):
    x = ndl.Tensor(draw((4, 5), "float32") / 50)
    where = np.random.default_rng(5).integers(-4, 4, (6, 5) if axis == 0 else (4, 6))
    assert ndl.gradcheck(lambda t: ndl.take_along_axis(t, where, axis), x)
    assert ndl.gradcheck(lambda t: ndl.take_along_axis(t, [[1, 1]], 1), x)  # broadcast


@pytest.mark.parametrize("name", ["take", "take_along_axis"])
def test_second_gradients(device, name):
    def slope(t: ndl.Tensor) -> ndl.Tensor:
        return ndl.grad(lambda u: (getattr(ndl, name)(u, [[0, 1, 1]], 1) ** 3).sum())(t)

    assert ndl.gradcheck(slope, ndl.Tensor(draw((3, 4), "float32") / 50))


def test_embedding_is_one_launch_each_way(device):
    table, ids = ndl.Tensor(draw((50, 8), "float32")), tensor(np.random.default_rng(6).integers(0, 50, (4, 6)))
    grad = tensor(draw((4, 6, 8), "float32"))
    before = device.launches
    ndl.take(table, ids, 0).backward(grad)
    assert device.launches == before + 2
    np.testing.assert_allclose(table.grad.numpy(), sums(ids.numpy(), grad.numpy(), 0, 50), rtol=1e-5, atol=1e-4)


# -- one_hot ----------------------------------------------------------------------------------------


def test_one_hot(device):
    got = ndl.one_hot([[0, 2], [1, 1]], 3)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got.numpy(), np.eye(3)[[[0, 2], [1, 1]]])
    np.testing.assert_array_equal(ndl.one_hot(unknown(np.array([1, 5, -1])), 3).numpy(), [[0, 1, 0], [0] * 3, [0] * 3])
    assert ndl.one_hot(2, 4, "int8").numpy().tolist() == [0, 0, 1, 0]
    assert ndl.one_hot(tensor(np.array([299], np.uint16)), 300, "bool").numpy().argmax() == 299


def test_one_hot_is_fused(device):
    labels, x = tensor(np.array([0, 2, 1])), tensor(draw((3, 3), "float32"))
    before = device.launches
    (ndl.one_hot(labels, 3) * x).sum().realize()
    assert device.launches <= before + 2


@given(data=st.data())
def test_take_is_that_of_numpy(device, data):
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    where = np.array(data.draw(st.lists(st.integers(-size, size - 1), max_size=20)), np.int64)
    x = draw(tuple(shape), "float32")
    np.testing.assert_array_equal(ndl.take(tensor(x), where, axis).numpy(), np.take(x, where, axis))


def test_writing_through_a_view_forgets_what_the_host_knew(device):
    labels = ndl.asarray(np.array([7, 1, 2]))
    table = ndl.asarray(np.arange(3.0, dtype=np.float32))
    labels[:1] = 0
    assert ndl.take(table, labels).numpy().tolist() == [0.0, 1.0, 2.0]
