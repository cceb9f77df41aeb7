"""Functions on images beside PyTorch's: parameters drawn by hypothesis; results, and gradients of all operands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as TF

from needle.nn import functional as F

AXES = (1, 2, 3)


def sample(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def numbers(axes, low, high):
    return st.tuples(*[st.integers(low, high)] * axes)


@st.composite
def convolutions(draw, transposed=False):
    axes = draw(st.sampled_from(AXES))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    taps, stride = draw(numbers(axes, 1, 3)), draw(numbers(axes, 1, 3))
    dilation, padding = draw(numbers(axes, 1, 2)), draw(numbers(axes, 0, 2))
    places = tuple(draw(st.integers(1, 7)) + d * (t - 1) for d, t in zip(dilation, taps, strict=True))
    batch, channels, filters = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    first, second = (channels, filters) if transposed else (filters, channels)
    x, w = (batch, groups * channels, *places), (groups * first, second, *taps)
    return sample(*x), sample(*w), sample(groups * filters), stride, padding, dilation, groups


@given(convolutions())
def test_convolutions(parity, case):
    x, w, b, stride, padding, dilation, groups = case
    name = f"conv{x.ndim - 2}d"
    parity.same(
        lambda x, w, b: getattr(F, name)(x, w, b, stride, padding, dilation, groups),
        lambda x, w, b: getattr(TF, name)(x, w, b, stride, padding, dilation, groups),
        x, w, b, atol=1e-4 if parity.dtype == np.float32 else 0,
    )  # fmt: skip


@given(convolutions(transposed=True), st.data())
def test_transposed_convolutions(parity, case, data):
    x, w, b, stride, padding, dilation, groups = case
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    sizes = [
        (n - 1) * s - 2 * p + d * (t - 1) + e + 1
        for n, s, p, d, t, e in zip(x.shape[2:], stride, padding, dilation, w.shape[2:], extra, strict=True)
    ]
    assume(min(sizes) > 0)
    name = f"conv_transpose{x.ndim - 2}d"
    parity.same(
        lambda x, w, b: getattr(F, name)(x, w, b, stride, padding, extra, groups, dilation),
        lambda x, w, b: getattr(TF, name)(x, w, b, stride, padding, extra, groups, dilation),
        x, w, b, atol=1e-4 if parity.dtype == np.float32 else 0,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("taps", [(3, 2), (4, 1)])
def test_padding_by_name_and_an_input_without_batch(parity, padding, taps):
    x, w = sample(3, 7, 6), sample(4, 3, *taps)
    parity.same(
        lambda x, w: F.conv2d(x, w, padding=padding, dilation=(1, 2)),
        lambda x, w: TF.conv2d(x, w, padding=padding, dilation=(1, 2)), x, w, atol=1e-5,
    )  # fmt: skip


@st.composite
def pools(draw, dilated=False):
    axes = draw(st.sampled_from(AXES))
    size, stride = draw(numbers(axes, 1, 4)), draw(numbers(axes, 1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in size)
    dilation = draw(numbers(axes, 1, 2)) if dilated else (1,) * axes
    places = tuple(draw(st.integers(1, 9)) + d * (k - 1) for k, d in zip(size, dilation, strict=True))
    return sample(2, 3, *places), size, stride, padding, dilation, draw(st.booleans())


@given(pools(dilated=True))
def test_max_pools(parity, case):
    x, size, stride, padding, dilation, ceil = case
    axes = x.ndim - 2
    arguments = (size, stride, padding, dilation, ceil)
    ours, theirs = getattr(F, f"max_pool{axes}d"), getattr(TF, f"max_pool{axes}d")
    parity.same(lambda x: ours(x, *arguments), lambda x: theirs(x, *arguments), x)
    _, indices = ours(parity.ours(x), *arguments, return_indices=True)
    _, wanted = theirs(parity.theirs(x), *arguments, return_indices=True)
    np.testing.assert_array_equal(indices.numpy(), wanted.numpy())


@given(pools(), st.booleans(), st.sampled_from((None, 3)))
def test_average_pools(parity, case, include, divisor):
    x, size, stride, padding, _, ceil = case
    arguments = (size, stride, padding, ceil, include)
    if x.ndim > 3:
        arguments += (divisor,)
    name = f"avg_pool{x.ndim - 2}d"
    parity.same(lambda x: getattr(F, name)(x, *arguments), lambda x: getattr(TF, name)(x, *arguments), x)


@given(st.data(), st.sampled_from(AXES), st.sampled_from(("avg", "max")))
def test_adaptive_pools(parity, data, axes, kind):
    x, size = sample(2, 3, *data.draw(numbers(axes, 1, 9))), data.draw(numbers(axes, 1, 6))
    name = f"adaptive_{kind}_pool{axes}d"
    parity.same(lambda x: getattr(F, name)(x, size), lambda x: getattr(TF, name)(x, size), x)


def test_unpooling(parity):
    x = sample(2, 3, 6, 7)
    arguments = ((2, 2), (2, 3))

    def unpooled(functional, x):
        values, indices = functional.max_pool2d(x, *arguments, return_indices=True)
        return functional.max_unpool2d(values, indices, *arguments, output_size=(6, 7))

    parity.same(lambda x: unpooled(F, x), lambda x: unpooled(TF, x), x)


def test_nan_is_the_maximum(parity):
    x = sample(1, 1, 4, 20)
    x[0, 0, 1, 3] = x[0, 0, 2, 17] = np.nan
    x[0, 0, :2, :2] = -np.inf
    ours = F.max_pool2d(parity.ours(x), 2, return_indices=True)
    theirs = TF.max_pool2d(parity.theirs(x), 2, return_indices=True)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.detach().numpy())


@given(st.data(), st.sampled_from(("constant", "reflect", "replicate", "circular")), st.sampled_from(AXES))
def test_pads(parity, data, mode, axes):
    x = sample(2, 3, *data.draw(numbers(axes, 3, 5)))
    low = -1 if mode == "constant" else 0
    pads = data.draw(numbers(2 * axes, low, 2))
    value = 1.5 if mode == "constant" else None
    parity.same(lambda x: F.pad(x, pads, mode, value), lambda x: TF.pad(x, pads, mode, value), x)


@given(st.data())
def test_unfold_and_fold(parity, data):
    size, stride = data.draw(numbers(2, 1, 3)), data.draw(numbers(2, 1, 3))
    dilation, padding = data.draw(numbers(2, 1, 2)), data.draw(numbers(2, 0, 2))
    places = tuple(data.draw(st.integers(1, 5)) + d * (k - 1) for k, d in zip(size, dilation, strict=True))
    arguments = (size, dilation, padding, stride)
    x = sample(2, 3, *places)
    parity.same(lambda x: F.unfold(x, *arguments), lambda x: TF.unfold(x, *arguments), x)
    columns = sample(*TF.unfold(torch.tensor(x), *arguments).shape)
    parity.same(lambda c: F.fold(c, places, *arguments), lambda c: TF.fold(c, places, *arguments), columns)


LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@given(st.data(), st.sampled_from(AXES), st.sampled_from(("nearest", "nearest-exact", "area", "linear", "corners")))
def test_interpolation(parity, data, axes, mode):
    x = sample(2, 3, *data.draw(numbers(axes, 1, 6)))
    arguments = {"mode": LINEAR[axes] if mode in ("linear", "corners") else mode}
    if mode in ("linear", "corners"):
        arguments["align_corners"] = mode == "corners"
    if data.draw(st.booleans()):
        arguments["size"] = data.draw(numbers(axes, 1, 9))
    else:
        arguments["scale_factor"] = data.draw(st.sampled_from((1.0, 2.0, 3.0, 1.5, 2.6)))
    parity.same(lambda x: F.interpolate(x, **arguments), lambda x: TF.interpolate(x, **arguments), x, atol=1e-6)


def test_shuffles(parity):
    x = sample(2, 8, 4, 6)
    parity.same(lambda x: F.pixel_shuffle(x, 2), lambda x: TF.pixel_shuffle(x, 2), x)
    parity.same(lambda x: F.pixel_unshuffle(x, 2), lambda x: TF.pixel_unshuffle(x, 2), x)
    parity.same(lambda x: F.channel_shuffle(x, 4), lambda x: TF.channel_shuffle(x, 4), x)
