"""Pooling and its kin on every device: gradients of both orders, one program for all sizes, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import needle as ndl
from needle.nn import functional as F


@pytest.fixture(params=["its own", "a GPU's"])
def shaped(request, device: ndl.Device) -> Iterator[ndl.Device]:
    """The device with its own launch shape, and with that of a GPU."""
    if request.param == "its own":
        yield device
        return
    if not hasattr(device, "launch_shape"):
        pytest.skip("not an OpenCL device")
    original = device.launch_shape
    device.launch_shape = replace(original, local_size=min(64, device.cl_device.max_work_group_size), vector_bytes=4)
    yield device
    device.launch_shape = original


def sample(*shape: int) -> ndl.Tensor:
    """Distinct numbers, so that no maximum changes hands between the points of a finite difference."""
    values = np.random.default_rng(0).permutation(np.arange(np.prod(shape))) / 7
    return ndl.Tensor(values.reshape(shape).astype(np.float32))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1)),
        lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 1), count_include_pad=False),
        lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
        lambda x: F.pad(x, (1, 2, 2, 0), "reflect"),
        lambda x: F.interpolate(x, (7, 4), mode="bilinear"),
        lambda x: F.fold(F.unfold(x, 2, stride=2), (5, 4), 2, stride=2) if x.shape[2] == 5 else x,
    ],
    ids=["max", "average", "adaptive", "reflect", "bilinear", "fold"],
)
def test_gradients_of_both_orders(device: ndl.Device, function) -> None:
    x = sample(2, 2, 5, 4)
    assert ndl.gradcheck(function, x)
    assert ndl.gradcheck(ndl.grad(lambda x: (function(x) * 0.1).tanh().sum()), x * 0.1)


@pytest.mark.parametrize(
    ("size", "taps", "stride", "padding", "dilation"),
    [
        ((9, 300), (3, 3), (2, 2), (1, 1), (1, 1)),
        ((120, 61), (2, 3), (2, 1), (0, 1), (1, 2)),
        ((5, 7), (2, 2), (2, 2), (1, 1), (1, 1)),
        ((4, 60), (3, 4), (1, 3), (1, 2), (1, 1)),
    ],
)
def test_maxima_and_their_gradients_where_values_are_equal_infinite_or_missing(
    shaped: ndl.Device, size, taps, stride, padding, dilation
) -> None:
    """The first of equal elements wins, or the last NaN, in windows that overlap, leave gaps and are cut off."""
    few = np.array([0.0, -0.0, 1.0, -np.inf, -np.inf, -np.inf, np.inf, np.nan], np.float32)
    images = np.random.default_rng(0).choice(few, (3, 2, *size), p=[0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.05, 0.05])
    images[:, 1] = -np.inf

    def run(where: ndl.Device) -> list[np.ndarray]:
        with where:
            x = ndl.Tensor(images)
            y, positions = F.max_pool2d(x, taps, stride, padding, dilation, return_indices=True)
            y.backward(ndl.asarray(np.arange(y.size, dtype=np.float32).reshape(y.shape)))
            return [y.numpy(), positions.numpy(), x.grad.numpy()]

    for found, expected in zip(run(shaped), run(ndl.device("numpy")), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_one_program_serves_all_sizes(device: ndl.Device) -> None:
    """Batch, image, window, kernel, stride, padding and dilation are arguments of kernels."""
    if not hasattr(device, "_kernels"):
        pytest.skip("not an OpenCL device")

    def run(n: int, side: int, taps: int, stride: int, dilation: int) -> None:
        x, w = (ndl.Tensor(np.ones(s, np.float32)) for s in ((n, 2, side, side + 1), (3, 2, taps, taps)))
        y = F.conv2d(x, w, None, stride, 1, dilation)
        (y.sum() + F.max_pool2d(x, taps, stride).sum() + F.avg_pool2d(x, taps, stride).sum()).backward()
        device.synchronize()

    def programs() -> set[tuple[object, ...]]:
        families = ("convolution", "pooling", "winograd")
        return {key for key in device._kernels if str(key[0]).startswith(families)}

    run(1, 9, 3, 1, 1)
    run(2, 7, 2, 2, 1)
    before = programs()
    for sizes in ((3, 12, 2, 1, 2), (1, 8, 5, 3, 1), (5, 20, 3, 2, 3), (2, 6, 1, 1, 1)):
        run(*sizes)
    assert before and programs() == before


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda x: F.max_pool2d(x, 9), ValueError, "kernel_size=9 with dilation=1 reaches over 9 places"),
        (lambda x: F.max_pool2d(x, 2, padding=2), ValueError, "padding=2 must be at most half of kernel_size=2"),
        (lambda x: F.max_pool2d(x[:, :, :2, :2], 2, 1, 1, 3), ValueError, "padding=.* a window has only padding"),
        (lambda x: F.avg_pool2d(x, 0), ValueError, "kernel_size=0 must be at least 1"),
        (lambda x: F.avg_pool2d(x, (1, 2, 3)), ValueError, r"kernel_size=\(1, 2, 3\) must be one number, or 2"),
        (lambda x: F.avg_pool3d(x[0, 0], 2), ValueError, r"avg_pool3d: input must be \(N, C, d1, d2, d3\)"),
        (lambda x: F.max_pool2d(x.astype("int32"), 2), TypeError, "must have a floating dtype, not int32"),
        (lambda x: F.adaptive_avg_pool2d(x, (0, 1)), ValueError, r"output_size=\(0, 1\) must be"),
        (lambda x: F.pad(x, (4, 0), "reflect"), ValueError, "must be from 0 to 3"),
        (lambda x: F.pad(x, (1,)), ValueError, "must have two numbers"),
        (lambda x: F.interpolate(x), ValueError, "needs size or scale_factor, not both"),
        (lambda x: F.interpolate(x, 3, mode="linear"), ValueError, "mode='linear' is not known"),
        (lambda x: F.pixel_shuffle(x, 2), ValueError, "upscale_factor=2 needs"),
        (lambda x: F.fold(x[0], (5, 5), 2), ValueError, "must have a multiple of 4 rows"),
        (lambda x: F.max_unpool2d(x, ndl.asarray(np.full(x.shape, 99)), 1), IndexError, "index"),
        (lambda x: F.group_norm(x, 3), ValueError, "num_groups=3 must divide the channels"),
        (lambda x: F.conv2d(x, ndl.ones((1, 2, 3, 3)), padding="all"), ValueError, "padding='all' must be numbers"),
        (lambda x: F.conv2d(x, ndl.ones((1, 2, 3, 3)), padding=-1), ValueError, "padding=-1 must be at least 0"),
        (lambda x: F.conv2d(x.astype("int32"), ndl.ones((1, 2, 3, 3))), TypeError, "floating dtype"),
    ],
)
def test_what_does_not_fit_is_refused(function, error: type[Exception], match: str) -> None:
    with ndl.device("numpy"), pytest.raises(error, match=match):
        function(sample(2, 2, 5, 4))
