"""Arguments under the names of other libraries: `dim`, `keepdim`, `unbiased`, sizes as arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import needle as ndl

HOST = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def on_numpy() -> Iterator[None]:
    """What arguments mean does not depend on a device."""
    with ndl.device("numpy"):
        yield


REDUCTIONS = ("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "argmax", "argmin")


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_take_pytorchs_names(name: str) -> None:
    x = ndl.asarray(HOST)
    expected = getattr(ndl, name)(x, axis=1, keepdims=True).numpy()
    for found in (
        getattr(ndl, name)(x, dim=1, keepdim=True),
        getattr(ndl, name)(input=x, dim=1, keepdims=True),
        getattr(x, name)(dim=1, keepdim=True),
        getattr(x, name)(1, keepdim=True),
        getattr(x.cached_data, name)(dim=1, keepdim=True),
    ):
        np.testing.assert_array_equal(found.numpy(), expected)
    assert expected.shape == (2, 1, 4)


def test_shape_functions_take_pytorchs_names() -> None:
    x = ndl.asarray(HOST)
    for found, expected in (
        (ndl.concat([x, x], dim=2), np.concatenate([HOST, HOST], 2)),
        (ndl.stack([x, x], dim=1), np.stack([HOST, HOST], 1)),
        (ndl.split(x, 3, dim=1)[2], HOST[:, 2:]),
        (ndl.flip(x, dims=(0, 2)), HOST[::-1, :, ::-1]),
        (x.flip(0, 2), HOST[::-1, :, ::-1]),
        (x.flip(dims=(0, 2)), HOST[::-1, :, ::-1]),
        (ndl.permute_dims(x, dims=(2, 0, 1)), HOST.transpose(2, 0, 1)),
        (x.permute(2, 0, 1), HOST.transpose(2, 0, 1)),
        (x.permute(dims=(2, 0, 1)), HOST.transpose(2, 0, 1)),
        (ndl.expand_dims(x, dim=1), HOST[:, None]),
        (ndl.softmax(x, dim=0), ndl.softmax(x, 0).numpy()),
        (ndl.logsumexp(x, dim=(0, 1), keepdim=True), ndl.logsumexp(x, (0, 1), True).numpy()),
        (ndl.take_along_axis(x, np.zeros((1, 3, 4), int), dim=0), HOST[:1]),
    ):
        np.testing.assert_array_equal(found.numpy(), expected)


def test_transpose_takes_two_axes_or_all() -> None:
    x = ndl.asarray(HOST)
    for found, expected in (
        (x.transpose(), HOST.swapaxes(1, 2)),
        (x.transpose((0, 1)), HOST.swapaxes(0, 1)),
        (x.transpose(axes=(0, 1)), HOST.swapaxes(0, 1)),
        (x.transpose(0, -1), HOST.swapaxes(0, 2)),
        (x.transpose(dim0=0, dim1=1), HOST.swapaxes(0, 1)),
        (x.transpose(2, 0, 1), HOST.transpose(2, 0, 1)),
        (x.transpose((2, 0, 1)), HOST.transpose(2, 0, 1)),
        (ndl.swapaxes(x, 0, 1), HOST.swapaxes(0, 1)),
        (x.swapaxes(0, 1), HOST.swapaxes(0, 1)),
    ):
        np.testing.assert_array_equal(found.numpy(), expected)
    with pytest.raises(ValueError, match="axis=3 is out of range"):
        x.transpose(0, 3)
    with pytest.raises(ValueError, match="not a permutation"):
        x.transpose(0)


def test_corrections_of_moments() -> None:
    x = ndl.asarray(HOST)
    for name, reference in (("var", np.var), ("std", np.std)):
        function = getattr(ndl, name)
        for keywords, ddof in (
            ({"correction": 1}, 1), ({"unbiased": True}, 1), ({"unbiased": False}, 0), ({"ddof": 2}, 2), ({}, 0),
        ):  # fmt: skip
            expected = reference(HOST, axis=1, ddof=ddof)
            np.testing.assert_allclose(function(x, dim=1, **keywords).numpy(), expected, rtol=1e-6)
            np.testing.assert_allclose(getattr(x, name)(1, **keywords).numpy(), expected, rtol=1e-6)


def test_sums_in_a_dtype() -> None:
    x = ndl.asarray(HOST.astype(np.int8))
    assert ndl.sum(x, dtype=ndl.float32).dtype == ndl.float32
    assert x.prod(dim=0, dtype=ndl.int16).dtype == ndl.int16
    assert x.sum(dtype=ndl.int8).item() == np.sum(HOST.astype(np.int8), dtype=np.int8)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ndl.sum(x, axis=0, dim=0),
        lambda x: ndl.sum(x, 0, dim=1),
        lambda x: x.sum(0, dim=1),
        lambda x: x.mean(keepdim=True, keepdims=True),
        lambda x: ndl.var(x, correction=1, unbiased=True),
        lambda x: ndl.sum(x, input=x),
        lambda x: ndl.stack([x, x], axis=0, dim=0),
    ],
)
def test_an_argument_given_twice_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="was given more than once"):
        call(ndl.asarray(HOST))


def test_sizes_as_arguments_or_as_a_shape() -> None:
    for name in ("zeros", "ones", "empty"):
        make = getattr(ndl, name)
        for made in (make(2, 3), make((2, 3)), make([2, 3]), make(shape=(2, 3)), make(np.int64(2), 3)):
            assert made.shape == (2, 3) and made.dtype == np.float32 and not made.requires_grad
        for made in (make((2, 3), np.int8), make((2, 3), dtype="int8"), make(2, 3, dtype=np.int8)):
            assert made.shape == (2, 3) and made.dtype == np.int8
        assert make(()).shape == make().shape == () and make(3, "int8").shape == (3,)
        assert make(2, requires_grad=True).requires_grad
        with pytest.raises(TypeError, match="must be an int or a sequence of ints"):
            make(2.5)
        with pytest.raises(ValueError, match="must not have negative sizes"):
            make(2, -1)
        with pytest.raises(TypeError, match="too many arguments"):
            make((2, 3), np.int8, dtype=np.int8)
    assert ndl.rand((2, 3)).shape == ndl.rand(2, 3).shape == ndl.randn([2, 3]).shape == (2, 3)
    assert ndl.init.zeros(2, 3).shape == (2, 3)
