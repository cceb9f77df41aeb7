"""Special functions that the kernels compute themselves, against the C library in float64."""

from __future__ import annotations

import math

import numpy as np

import needle as ndl


def test_erf_is_within_seven_units_in_the_last_place(device: ndl.Device) -> None:
    """OpenCL allows its own 16."""
    sizes = np.concatenate([np.linspace(0, 4.5, 20_001), np.logspace(-37, 0, 2_001), [3.93, np.nextafter(3.93, 0)]])
    x = np.concatenate([sizes, -sizes]).astype(np.float32)
    exact = np.array([math.erf(v) for v in x.tolist()])
    error = np.abs(ndl.asarray(x).erf().numpy() - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert error.max() < 7


def test_erf_at_the_ends(device: ndl.Device) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 0.0, -0.0], np.float32)
    found = ndl.asarray(x).erf().numpy()
    np.testing.assert_array_equal(found, [1, -1, np.nan, 1, -1, 0, 0])
    assert np.signbit(found[-1])
