"""Views are NumPy's: the same elements, no copies where NumPy makes none, and writing through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl
from needle.errors import GraphError

LARGEST = 2000  # elements of any array that a chain of views may reach


def storage_of(x: ndl.Tensor) -> Any:
    return x.cached_data.storage


def filled(shape: tuple[int, ...]) -> tuple[np.ndarray, ndl.Tensor]:
    host = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    return host, ndl.asarray(host)


# -- random chains ----------------------------------------------------------------------------------


@st.composite
def slices(draw: st.DrawFn, extent: int) -> slice:
    ends = st.none() | st.integers(-extent - 2, extent + 2)
    step = draw(st.none() | st.integers(-3, 3).filter(bool))
    return slice(draw(ends), draw(ends), step)


@st.composite
def basic_indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    named = draw(st.integers(0, len(shape)))
    from_front = draw(st.integers(0, named))
    axes = [*range(from_front), *range(len(shape) - named + from_front, len(shape))]
    items: list[Any] = []
    for axis in axes:
        extent = shape[axis]
        single = st.integers(-extent, extent - 1) if extent else st.nothing()
        items.append(draw(slices(extent) | single))
    if named < len(shape) or draw(st.booleans()):
        items.insert(from_front, Ellipsis)
    for _ in range(draw(st.integers(0, 1))):
        items.insert(draw(st.integers(0, len(items))), None)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def other_shapes(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of as many elements: axes joined, cut in two, or made -1."""
    size = int(np.prod(shape, dtype=int))
    if size == 0:
        return draw(st.permutations(shape).map(tuple))
    sizes = list(shape)
    for _ in range(draw(st.integers(0, 2))):
        if len(sizes) > 1 and draw(st.booleans()):
            at = draw(st.integers(0, len(sizes) - 2))
            sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
        elif sizes and len(sizes) < 5:
            at = draw(st.integers(0, len(sizes) - 1))
            divisor = draw(st.sampled_from([d for d in range(1, sizes[at] + 1) if sizes[at] % d == 0]))
            sizes[at : at + 1] = [divisor, sizes[at] // divisor]
    if sizes and draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return tuple(sizes)


@st.composite
def broadcast_targets(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = [draw(st.integers(1, 3)) if n == 1 else n for n in shape]
    return (*draw(st.lists(st.integers(1, 3), max_size=1)), *sizes)


def step(data: st.DataObject, host: np.ndarray, x: ndl.Tensor) -> tuple[np.ndarray, ndl.Tensor]:
    """One random view of both."""
    shape = host.shape
    kinds = ["index", "permute", "reshape", "broadcast", "flip", "squeeze"]
    kind = data.draw(st.sampled_from(kinds + (["expand"] if len(shape) < 5 else [])), label="kind")
    if kind == "index":
        index = data.draw(basic_indices(shape), label="index")
        return host[index], x[index]
    if kind == "permute":
        axes = data.draw(st.permutations(range(len(shape))), label="axes")
        return host.transpose(axes), ndl.permute_dims(x, axes)
    if kind == "reshape":
        target = data.draw(other_shapes(shape), label="shape")
        return host.reshape(target), ndl.reshape(x, target)
    if kind == "broadcast":
        target = data.draw(broadcast_targets(shape), label="shape")
        if len(target) > 5 or np.prod(target, dtype=int) > LARGEST:
            return host, x
        return np.broadcast_to(host, target), ndl.broadcast_to(x, target)
    if kind == "flip":
        axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True) if shape else st.just([]), label="axes")
        return np.flip(host, tuple(axes)), ndl.flip(x, tuple(axes))
    if kind == "squeeze":
        return np.squeeze(host), ndl.squeeze(x)
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)), label="axis")
    return np.expand_dims(host, axis), ndl.expand_dims(x, axis)


@given(data=st.data(), shape=st.lists(st.integers(0, 5), max_size=4).map(tuple))
def test_chains_of_views(device: ndl.Device, data: st.DataObject, shape: tuple[int, ...]) -> None:
    host, x = filled(shape)
    for _ in range(data.draw(st.integers(1, 5), label="steps")):
        shared_host, shared = host, x
        host, x = step(data, host, x)
        assert x.shape == host.shape
        if host.size and np.shares_memory(host, shared_host):
            assert storage_of(x) is storage_of(shared), "a copy where NumPy makes none"
    np.testing.assert_array_equal(x.numpy(), host)


@given(data=st.data(), shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
def test_writing_through_chains_of_views(device: ndl.Device, data: st.DataObject, shape: tuple[int, ...]) -> None:
    host, x = filled(shape)
    whole_host, whole = host, x
    for _ in range(data.draw(st.integers(0, 3), label="steps")):
        next_host, next_x = step(data, host, x)
        if not next_host.flags.writeable or (next_host.size and not np.shares_memory(next_host, whole_host)):
            break
        host, x = next_host, next_x
    index = data.draw(basic_indices(host.shape), label="written index")
    target = host[index]
    value = -1 - np.arange(target.size, dtype=np.float32).reshape(target.shape)
    host[index] = value
    x[index] = ndl.asarray(value)
    np.testing.assert_array_equal(whole.numpy(), whole_host)


# -- single cases -----------------------------------------------------------------------------------


def test_a_view_of_a_copy_is_not_a_view(device: ndl.Device) -> None:
    host, x = filled((3, 4))
    flat = x.T.reshape(-1)
    flat[...] = 0
    np.testing.assert_array_equal(x.numpy(), host)


@pytest.mark.parametrize(
    "index",
    [1, -1, (1, 2), (slice(None), 0), (slice(None, None, -2), slice(3, 0, -1)), (..., None, 1), None, ()],
    ids=str,
)
def test_index_reads_and_writes(device: ndl.Device, index: Any) -> None:
    host, x = filled((3, 4))
    np.testing.assert_array_equal(x[index].numpy(), host[index])
    host[index], x[index] = 7.5, 7.5
    np.testing.assert_array_equal(x.numpy(), host)


def test_a_numpy_integer_is_an_index(device: ndl.Device) -> None:
    host, x = filled((3, 4))
    np.testing.assert_array_equal(x[np.int64(2), np.uint8(1)].numpy(), host[2, 1])


@pytest.mark.parametrize(
    "make", [lambda: ndl.zeros((2, 3)), lambda: ndl.ones((2, 3)) * 2 - 2], ids=["fill", "constant"]
)
def test_writing_into_a_view_of_a_constant(device: ndl.Device, make: Any) -> None:
    x = make()
    row, flat = x[1], x.reshape(6)
    row[...] = 5
    flat[0] = 7
    np.testing.assert_array_equal(x.numpy(), [[7, 0, 0], [5, 5, 5]])
    np.testing.assert_array_equal(row.numpy(), [5, 5, 5])
    np.testing.assert_array_equal(flat.numpy(), [7, 0, 0, 5, 5, 5])


@pytest.mark.parametrize(
    ("target", "source"),
    [
        (slice(1, None), slice(None, -1)),
        (slice(None, -1), slice(1, None)),
        (slice(None), slice(None, None, -1)),
        (slice(None, None, 2), slice(0, 500)),
    ],
    ids=str,
)
@pytest.mark.parametrize("pending", [False, True])
def test_overlapping_assignment(device: ndl.Device, target: slice, source: slice, pending: bool) -> None:
    host, x = filled((1000,))
    host[target] = host[source].copy() * (2 if pending else 1)
    x[target] = x[source] * 2 if pending else x[source]
    np.testing.assert_array_equal(x.numpy(), host)


def test_overlapping_assignment_in_two_dimensions(device: ndl.Device) -> None:
    host, x = filled((20, 20))
    host[...] = host.T.copy()
    x[...] = x.T
    np.testing.assert_array_equal(x.numpy(), host)


@pytest.mark.parametrize(
    "value",
    [3, 2.75, True, np.float64(1.5), np.arange(4), [[1], [2], [3]], np.array([[1.5]], np.float32), np.int8(-3)],
    ids=repr,
)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_assignment_broadcasts_and_casts(device: ndl.Device, value: Any, dtype: str) -> None:
    host = np.zeros((3, 4), dtype)
    x = ndl.asarray(host)
    host[::-1], x[::-1] = value, value
    np.testing.assert_array_equal(x.numpy(), host)


def test_assignment_of_a_tensor_casts(device: ndl.Device) -> None:
    x = ndl.asarray(np.zeros(3, np.int32))
    value = ndl.asarray([1.75, -2.75, 3.0]) * 1
    x[...] = value
    assert x.tolist() == [1, -2, 3]
    assert value.tolist() == [1.75, -2.75, 3.0]


def test_a_value_assigned_is_not_tied_to_the_target(device: ndl.Device) -> None:
    x, y = ndl.asarray([1.0, 2.0]), ndl.zeros(2)
    pending = x * 3
    y[...] = pending
    y[0] = -1
    assert pending.tolist() == [3, 6]
    assert y.tolist() == [-1, 6]


# -- writing comes after every reader -----------------------------------------------------------------


def test_a_pending_reader_sees_the_old_values(device: ndl.Device) -> None:
    _, x = filled((4,))
    y = x * 2
    x[...] = 0
    assert y.tolist() == [0, 2, 4, 6]


def test_a_chain_of_pending_readers_sees_the_old_values(device: ndl.Device) -> None:
    _, x = filled((4,))
    z = (x * 2 + 1) - 3  # the steps between are held by z alone
    held = x + 1
    last = held * held
    x[1:] = 0
    assert z.tolist() == [-2, 0, 2, 4]
    assert last.tolist() == [1, 4, 9, 16]
    assert held.tolist() == [1, 2, 3, 4]


def test_pending_readers_of_views_see_the_old_values(device: ndl.Device) -> None:
    _, x = filled((2, 3))
    through_view = x.T[::-1] + 1
    x[:, 1] = -1  # through another view
    np.testing.assert_array_equal(through_view.numpy(), [[3, 6], [2, 5], [1, 4]])
    later = x + 0
    x.reshape(-1)[0] = 9
    np.testing.assert_array_equal(later.numpy(), [[0, -1, 2], [3, -1, 5]])


def test_a_reader_realized_in_between_is_left_alone(device: ndl.Device) -> None:
    _, x = filled((4,))
    y = x * 2
    y.realize()
    z = y + 1
    x[...] = 100
    assert y.tolist() == [0, 2, 4, 6]
    y[...] = 50
    assert z.tolist() == [1, 3, 5, 7]


def test_readers_of_a_pending_array_survive_writing_into_it(device: ndl.Device) -> None:
    _, x = filled((4,))
    y = x * 2
    z = y + 1  # reads y while it is pending
    y[0] = 100
    assert z.tolist() == [1, 3, 5, 7]
    assert y.tolist() == [100, 2, 4, 6]
    assert x.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [lambda x: x * 2, lambda x: ndl.full_like(x, 2.0)], ids=["pending", "constant"])
@pytest.mark.parametrize("copied", [False, True])
def test_a_copy_of_a_pending_array_does_not_take_its_readers(device: ndl.Device, make: Any, copied: bool) -> None:
    x = ndl.ones(3).realize()
    y = make(x)
    z = y * x  # reads y while it is pending
    if copied:
        ndl.asarray(y, copy=True).realize()
    else:
        ndl.zeros(3)[...] = y
    y[0] = 100
    assert z.tolist() == [2, 2, 2]


def test_a_reduction_of_a_pending_reader_sees_the_old_values(device: ndl.Device) -> None:
    _, x = filled((4,))
    y = x * 2
    total = y.sum()
    x[...] = 0
    assert total.item() == 12
    assert y.sum().item() == 12


def test_an_in_place_update_reads_its_own_old_values(device: ndl.Device) -> None:
    _, x = filled((4,))
    before = x + 0
    x[...] = x * 2 + before
    assert x.tolist() == [0, 3, 6, 9]
    assert before.tolist() == [0, 1, 2, 3]


def test_many_pending_readers(device: ndl.Device) -> None:
    _, x = filled((4,))
    readers = [x + i for i in range(300)]
    x[...] = 0
    for i in (0, 150, 299):
        assert readers[i].tolist() == [i, i + 1, i + 2, i + 3]


def test_what_has_been_read_leaves_nothing_behind(device: ndl.Device) -> None:
    _, x = filled((4,))
    for _ in range(2000):
        (x + 1).realize()
    assert len(storage_of(x).readers._references) < 1000


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, -5), IndexError, "index -5 is out of bounds for axis 1 with size 4"),
        ((0, 0, 0), IndexError, "too many indices: the array has 2 dimensions, 3 were indexed"),
        ((..., 0, ...), IndexError, "single ellipsis"),
        ("a", TypeError, "index 'a' is not an int, a slice, None or an ellipsis"),
        (1.0, TypeError, "index 1.0 is not an int"),
        ([0.5], TypeError, "dtype float64; indices are integers or bools"),
        ([2, 3], IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, [0, -5]), IndexError, "index -5 is out of bounds for axis 1 with size 4"),
        ((slice(None), [True] * 3), IndexError, r"a mask of shape \(3,\) does not fit axis 1 of size 4"),
        (([0, 1], [0, 1, 2]), IndexError, r"shapes \(2,\), \(3,\) do not broadcast together"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
    ],
    ids=str,
)
def test_index_errors(device: ndl.Device, index: Any, error: type[Exception], message: str) -> None:
    _, x = filled((3, 4))
    with pytest.raises(error, match=message):
        x[index]
    with pytest.raises(error, match=message):
        x[index] = 0


def test_assignment_errors(device: ndl.Device) -> None:
    _, x = filled((3, 4))
    with pytest.raises(ValueError, match=r"shape \(5,\) does not broadcast to shape \(4,\)"):
        x[0] = ndl.ones(5)
    with pytest.raises(GraphError, match=r"write into its \.data"):
        ndl.Tensor([1.0])[0] = 2
    with pytest.raises(ValueError, match="repeats"):
        ndl.broadcast_to(x[0], (3, 4))[...] = 1


def test_what_is_computed_from_a_constant_keeps_its_values(device):
    x = ndl.zeros((2, 3))
    doubled, shifted, view = x * 2 + 1, ndl.asarray(np.ones((2, 3), np.float32)) + x, x[1]
    x[...] = 7
    assert doubled.reshape(6).tolist() == [1.0] * 6
    assert shifted.tolist() == [[1.0] * 3] * 2
    assert view.tolist() == [7.0] * 3
    view[0] = 5
    assert x.tolist() == [[7.0] * 3, [5.0, 7.0, 7.0]]


@pytest.mark.parametrize("dtype", [ndl.bool, ndl.int8, ndl.int32, ndl.float32, ndl.float64, ndl.float16])
@pytest.mark.parametrize("shape", [(1, 140), (16, 16), (31, 260), (2, 33, 150)])
def test_operands_that_lie_the_other_way_round(device: ndl.Device, shape: tuple[int, ...], dtype: ndl.DType) -> None:
    """Transposed, mirrored, of every second row, beside one that is not and one of another width."""
    if not device.supports(dtype):
        pytest.skip(f"{device.name} has no {dtype}")
    rng = np.random.default_rng(0)
    order = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    x = rng.integers(0, 2, shape[:-2] + shape[:-3:-1]).astype(dtype.type)
    straight = rng.integers(0, 2, shape).astype(dtype.type)
    wider = rng.integers(-9, 9, (*shape[:-2], 2 * shape[-1], shape[-2])).astype(np.int16)
    ours, theirs = ndl.permute_dims(ndl.asarray(x), order), x.transpose(order)
    np.testing.assert_array_equal(ndl.asarray(ours, copy=True).numpy(), theirs)
    np.testing.assert_array_equal((ours[..., ::-1] != ndl.asarray(straight)).numpy(), theirs[..., ::-1] != straight)
    halved, expected = ndl.permute_dims(ndl.asarray(wider)[..., ::2, :], order), wider[..., ::2, :].transpose(order)
    np.testing.assert_array_equal((ours.astype(ndl.int32) + halved).numpy(), theirs.astype(np.int32) + expected)


def test_an_empty_tensor_shows_its_shape(device):
    assert repr(ndl.zeros((0, 3))) == f"Tensor([], shape=(0, 3), device={device.name})"
    assert repr(ndl.zeros(0)) == f"Tensor([], device={device.name})"
