"""x[index] and x[index] = value for every kind of index, as NumPy has them, and their gradients.

The drawn tests vary indices, which are data, and shapes, which are arguments of kernels: they compile few programs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl
from needle.errors import GraphError

SHAPE = (3, 4, 5)


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def unknown(indices: Any) -> ndl.Tensor:
    """Indices, or a mask, as the result of a computation: the host does not know them."""
    host = np.asarray(indices)
    return ndl.asarray(host) & True if host.dtype == bool else ndl.asarray(host) + 0


def on_device(index: Any) -> Any:
    """`index` with tensors, unknown to the host, for its arrays."""
    if isinstance(index, tuple):
        return tuple(map(on_device, index))
    return unknown(index) if isinstance(index, np.ndarray) else index


# -- every kind of index ----------------------------------------------------------------------------

MASK = draw(SHAPE, 7) > 0
INDICES: dict[str, Any] = {
    "list": [0, 2, 2],
    "array of two axes": np.array([[0, -1], [1, 1]]),
    "array of no axes": np.array(1),
    "empty list": [],
    "two arrays side by side": (np.array([0, 2]), np.array([1, -1])),
    "two arrays apart": (np.array([0, 2]), slice(None), np.array([1, -1])),
    "two arrays behind": (slice(None), np.array([[0], [2]]), np.array([1, -1])),
    "three arrays": (np.array([0, 2]), np.array([1, 1]), np.array([4, 0])),
    "an array behind an int": (0, slice(None), np.array([1, -1])),
    "an array beside an int": (slice(None), 1, np.array([1, -1])),
    "an array and steps": (slice(None, None, -1), np.array([1, -1]), slice(4, 0, -2)),
    "new axes": (None, np.array([0, 1]), None, slice(None), np.array([2, 3])),
    "an ellipsis between": (np.array([0, 1]), Ellipsis, np.array([2, 3])),
    "an ellipsis of nothing": (np.array([0, 1]), Ellipsis, np.array([1, 2]), np.array([0, 0])),
    "mask": MASK,
    "mask of an axis": MASK[:, 0, 0],
    "mask of two axes": (Ellipsis, MASK[0]),
    "mask of the first axes": MASK[:, :, 0],
    "mask and an int": (0, slice(None), MASK[0, 0]),
    "mask and an array": (MASK[:, 0, 0] | True, np.array([0, 3, 1])),
    "mask of nothing": MASK & False,
    "mask without elements": np.zeros((0, MASK.shape[1]), np.bool_),
    "mask of an axis without elements": np.zeros(0, np.bool_),
    "list of bools": [True, False, True],
    "True": True,
    "False": (False, 0),
}


@pytest.mark.every_driver
@pytest.mark.parametrize("name", INDICES)
def test_an_index_is_that_of_numpy(device: ndl.Device, name: str) -> None:
    index = INDICES[name]
    x = draw(SHAPE)
    turned = ndl.asarray(np.ascontiguousarray(x.T)).permute((2, 1, 0))
    want = x[index]
    for form in (index, on_device(index)):
        for t in (ndl.asarray(x), turned):
            got = t[form]
            assert got.shape == want.shape
            np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.every_driver
@pytest.mark.parametrize("name", INDICES)
def test_a_value_is_written_where_numpy_writes_it(device: ndl.Device, name: str) -> None:
    index = INDICES[name]
    x = draw(SHAPE)
    shape = x[index].shape
    rows = draw((*shape[:-1], 1), 1) if shape else draw((), 1)
    for value in (draw(shape, 2), rows, 7.5, draw((1, 1, *shape), 3)):
        want = x.copy()
        try:
            want[index] = value
        except TypeError:  # NumPy takes no value of three axes beside a mask of the whole array
            want[index] = value.reshape(shape)
        for form in (index, on_device(index)):
            plain = ndl.asarray(x)
            turned = ndl.asarray(np.ascontiguousarray(x.T[::-1])).flip(0).permute((2, 1, 0))
            for t in (plain, turned):
                t[form] = ndl.asarray(value) if isinstance(value, np.ndarray) else value
                np.testing.assert_array_equal(t.numpy(), want)


# -- drawn indices ----------------------------------------------------------------------------------


@st.composite
def indices_of(draw_from: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index of an array of `shape` that is in range."""
    common = draw_from(st.lists(st.integers(0, 3), max_size=2))
    items: list[Any] = []
    axis = 0
    while axis < len(shape):
        n = shape[axis]
        kinds = ["slice", "slice", "new", "mask", "array", "array"] + ["int"] * (n > 0)
        kinds += [] if any(i is Ellipsis for i in items) else ["end", "dots"]
        kind = draw_from(st.sampled_from(kinds))
        if kind == "end":
            break
        if kind == "dots":
            items.append(Ellipsis)
            axis = draw_from(st.integers(axis, len(shape)))
            continue
        if kind == "new":
            items.append(None)
            continue
        if kind == "slice":
            bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            items.append(slice(draw_from(bound), draw_from(bound), draw_from(st.sampled_from([None, 1, 2, -1, -2]))))
        elif kind == "int":
            items.append(draw_from(st.integers(-n, n - 1)))
        else:
            random = np.random.default_rng(draw_from(st.integers(0, 99)))
            own = [1 if draw_from(st.booleans()) else m for m in common]
            if kind == "array":
                items.append(random.integers(-n, n, own) if n else np.zeros((0,), np.int64))
            else:
                items.append(random.random(n) < 0.5)
        axis += 1
    return tuple(items)


@given(data=st.data())
def test_drawn_indices_are_those_of_numpy(device: ndl.Device, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    index = data.draw(indices_of(shape))
    x = draw(shape)
    order = data.draw(st.permutations(range(len(shape))))
    back = sorted(range(len(shape)), key=order.__getitem__)
    form = on_device(index) if data.draw(st.booleans()) else index
    try:
        want = x[index]
    except IndexError:  # arrays that do not broadcast together
        with pytest.raises(IndexError):
            ndl.asarray(x)[form]
        return
    t = ndl.asarray(np.ascontiguousarray(x.transpose(order))).permute(back)
    got = t[form]
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)
    value = draw(want.shape, 1)
    want = x.copy()
    want[index] = value
    t[form] = ndl.asarray(value)
    np.testing.assert_array_equal(t.numpy(), want)


# -- edges ------------------------------------------------------------------------------------------


@pytest.mark.every_driver
def test_the_last_of_several_values_stays(device: ndl.Device) -> None:
    x, where, values = (
        np.zeros((40, 30), np.float32),
        np.random.default_rng(0).integers(-40, 40, 3000),
        draw((3000, 30)),
    )
    t = ndl.asarray(x)
    t[unknown(where)] = values
    x[where] = values
    np.testing.assert_array_equal(t.numpy(), x)


def test_unknown_indices_out_of_range_touch_nothing(device: ndl.Device) -> None:
    around = ndl.asarray(np.ones((6, 5), np.float32))
    x = around[2:4, 1:4]
    i, j = unknown([0, 2, -3, 1, 2**40]), unknown([0, 0, 0, 3, 2])
    got = x[i, j].numpy()
    np.testing.assert_array_equal(got, [1, np.nan, np.nan, np.nan, np.nan])
    x[i, j] = 5
    x[i] = 3
    want = np.ones((6, 5))
    want[2:4, 1:4] = [[3, 3, 3], [3, 3, 3]]
    np.testing.assert_array_equal(around.numpy(), want)


def test_a_tensor_indexed_by_itself(device: ndl.Device) -> None:
    x = ndl.asarray(np.array([2, 0, 1, 3]))
    x[x] = x * 10
    assert x.tolist() == [0, 10, 20, 30]
    y = ndl.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    y[[0, 1]] = y[[1, 0]]
    assert y.tolist() == [[3, 4, 5], [0, 1, 2]]
    y[:, [0, 1]] = y[:, 1:]
    assert y.tolist() == [[4, 5, 5], [1, 2, 2]]


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "uint64", "float16", "float64"])
def test_other_dtypes(device: ndl.Device, dtype: str) -> None:
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    x = (draw((4, 3)) * 9).astype(dtype)
    t = ndl.asarray(x)
    np.testing.assert_array_equal(t[[0, 3], [1, 2]].numpy(), x[[0, 3], [1, 2]])
    t[[0, 3], [1, 2]] = 1
    x[[0, 3], [1, 2]] = 1
    np.testing.assert_array_equal(t.numpy(), x)


def test_writing_is_after_what_was_recorded_before(device: ndl.Device) -> None:
    x = ndl.zeros((4,))
    before = x + 1
    x[[1, 2]] = 5
    assert before.tolist() == [1, 1, 1, 1]
    assert (x + 1).tolist() == [1, 6, 6, 1]


def test_writing_reaches_views(device: ndl.Device) -> None:
    x = ndl.zeros((3, 3))
    row = x[1]
    x[[0, 1], [2, 2]] = 4
    row[[0]] = 2
    assert x.tolist() == [[0, 0, 4], [2, 0, 4], [0, 0, 0]]
    with pytest.raises(ValueError, match="repeats elements cannot be written into"):
        row.broadcast_to((2, 3))[[0, 1]] = 1


def test_an_array_is_indexed_like_a_tensor(device: ndl.Device) -> None:
    array = ndl.asarray(draw(SHAPE)).cached_data
    np.testing.assert_array_equal(array[[0, 2], :, [1, 1]].numpy(), draw(SHAPE)[[0, 2], :, [1, 1]])
    array[array > 0] = 0
    assert (array.numpy() <= 0).all()


def test_a_masked_write_reads_nothing_back(device: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    x, row = ndl.asarray(draw((4, 3))), ndl.asarray(draw((3,), 1))
    mask = x > 0
    monkeypatch.setattr(type(device), "download", lambda *_: pytest.fail("read back"))
    x[mask] = 0
    x[mask[:, 0]] = row
    ndl.where(mask, x, 1).realize()


def test_wrong_values(device: ndl.Device) -> None:
    x = ndl.zeros((3, 4))
    for index, value in (([0, 1], np.ones(3)), (x > 0, np.ones(2)), ((slice(None), [0, 1]), np.ones((2, 2)))):
        with pytest.raises(ValueError, match="does not broadcast"):
            x[index] = value
    assert not x.any()


def test_the_number_of_launches(device: ndl.Device) -> None:
    x, i, j = ndl.asarray(draw((50, 40))).realize(), unknown([1, 2, 3]).realize(), unknown([4, 5, 6]).realize()
    host = np.array([1, 2, 3])
    for read, launches in ((lambda: x[host, host], 1), (lambda: x[i, j], 2), (lambda: x[i], 1), (lambda: x[:, i], 1)):
        before = device.launches
        read().realize()
        assert device.launches == before + launches


# -- gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [([0, 1, 1], [2, 2, 0]), ([0, 1, 1], slice(None), [2, 2, 2]), (slice(None), [[0], [1]], [0, 1]), MASK, (0, [1, 1])],
    ids=str,
)
def test_gradients_of_an_index(device: ndl.Device, index: Any) -> None:
    x = ndl.Tensor(draw(SHAPE))
    assert ndl.gradcheck(lambda t: t[index] * t[index], x)
    value = ndl.Tensor(draw(x[index].shape, 1))

    def written(t: ndl.Tensor, v: ndl.Tensor) -> ndl.Tensor:
        y = t * 2
        y[index] = v * v
        return y * y

    assert ndl.gradcheck(written, [x, value])
    assert ndl.gradcheck(written, [x, ndl.Tensor(0.5)])


def test_second_gradients(device: ndl.Device) -> None:
    def slope(t: ndl.Tensor, v: ndl.Tensor) -> ndl.Tensor:
        def inner(u: ndl.Tensor) -> ndl.Tensor:
            y = u * u
            y[[0, 1, 1], [0, 2, 2]] = v * u[0, 0]
            return (y[[0, 0, 1], [0, 1, 2]] ** 3).sum()

        return ndl.grad(inner)(t)

    assert ndl.gradcheck(slope, [ndl.Tensor(draw((2, 3))), ndl.Tensor([0.5, 1.0, 1.5])], atol=1e-2, rtol=1e-2)


def test_gradients_at_repeated_indices_are_the_same_each_time(device: ndl.Device) -> None:
    i, j, weights = *np.random.default_rng(1).integers(0, 4, (2, 3000)), ndl.asarray(draw((3000,), 2))
    found = []
    for _ in range(3):
        x = ndl.Tensor(draw((4, 4)))
        (x[i, j] * weights).sum().backward()
        found.append(x.grad.numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    want = np.zeros((4, 4))
    np.add.at(want, (i, j), weights.numpy())
    np.testing.assert_allclose(found[0], want, rtol=1e-4, atol=1e-4)


def test_rows_written_one_by_one_differentiate(device: ndl.Device) -> None:
    """A recurrence that keeps its states in one tensor."""
    w, out, h = ndl.Tensor([0.5, -0.25]), ndl.zeros((3, 2)), ndl.ones((2,))
    for t in range(3):
        h = h * w
        out[t] = h
    (out * out).sum().backward()
    powers = np.arange(1, 4)[:, None]
    np.testing.assert_allclose(w.grad.numpy(), (2 * powers * w.numpy() ** (2 * powers - 1)).sum(0), rtol=1e-5)


def test_views_of_what_was_written_into_differentiate(device: ndl.Device) -> None:
    w, out = ndl.Tensor([1.0, 2.0]), ndl.zeros((2, 2))
    first, turned = out[0], out.T
    out[0] = w * 3
    turned[1] += w  # into out[:, 1]
    assert out.tolist() == [[3, 7], [0, 2]]
    assert first.requires_grad and turned.requires_grad
    (first * ndl.asarray([1.0, 10.0]) + out[1]).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [3 + 10, 30 + 1])


def test_what_was_recorded_before_keeps_its_history(device: ndl.Device) -> None:
    w, v = ndl.Tensor([1.0, 2.0]), ndl.Tensor([5.0, 7.0])
    y = w * 1
    before = y + 0
    y[0] = v[1] * 2
    (before * 10 + y).sum().backward()
    assert w.grad.tolist() == [10, 11]
    assert v.grad.tolist() == [0, 2]


def test_a_leaf_that_requires_a_gradient_is_written_into_under_no_grad_alone(device: ndl.Device) -> None:
    w = ndl.Tensor([1.0, 2.0, 3.0])
    for write in (lambda: w.__setitem__(0, 1), lambda: w.__setitem__([0, 1], 1), lambda: w[1:].__setitem__(0, 1)):
        with pytest.raises(GraphError, match=r"write into its \.data, or under ndl\.no_grad"):
            write()
    with ndl.no_grad():
        w[0] = 9
        w[[1]] = 8
    assert w.tolist() == [9, 8, 3] and w.requires_grad


def test_an_index_that_is_overwritten_is_noticed(device: ndl.Device) -> None:
    x, i = ndl.Tensor([1.0, 2.0, 3.0]), ndl.asarray(np.array([0, 1]))
    y = x[i]
    i[0] = 2
    with pytest.raises(GraphError, match="written to in place since"):
        y.sum().backward()
