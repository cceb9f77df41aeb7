"""Arrays with more elements than 32 bits count. Run by `pytest -m large`: they take several GB of memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import needle as ndl

COUNT = 2**31 + 9

pytestmark = pytest.mark.large


@pytest.fixture
def ones(device: ndl.Device) -> ndl.Tensor:
    """int8 ones, but for a 5 among the last and a 3 at the 2^31st, in memory."""
    try:
        x = ndl.full((COUNT,), 1, ndl.int8).realize()
    except ndl.OutOfMemoryError as error:
        pytest.skip(str(error))
    x.cached_data[-2] = 5
    x.cached_data[2**31] = 3
    return x


def test_a_sum_counts_every_element(ones: ndl.Tensor) -> None:
    assert ones.sum().item() == COUNT + 4 + 2


def test_a_reversed_view_sums_to_the_same(ones: ndl.Tensor) -> None:
    assert ones[::-1].sum().item() == COUNT + 4 + 2


def test_the_largest_is_found_behind_two_to_the_31(ones: ndl.Tensor) -> None:
    assert ones.max().item() == 5
    assert ones.argmax().item() == COUNT - 2


def test_a_short_view_of_the_end_where_indices_are_narrow(ones: ndl.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the distance from a view's first element counts for the type of its indices, not where it begins."""
    if not hasattr(ones.device, "launch_shape"):
        pytest.skip("only OpenCL devices have a launch shape")
    monkeypatch.setattr(ones.device, "launch_shape", replace(ones.device.launch_shape, wide_index=False))
    end = ones[-4096:]
    assert (end + 1)[-3:].tolist() == [2, 6, 2]
    assert end.sum().item() == 4096 + 4 + 2 and end.argmax().item() == 4094
    assert end.reshape((64, 64)).sum(axis=0)[-2].item() == 64 + 4


def test_rows_and_columns(ones: ndl.Tensor) -> None:
    rows = ones[: 2**31 + 8].reshape((8, -1))
    np.testing.assert_array_equal(rows.sum(1).numpy() - rows.shape[1], [0] * 7 + [4 + 2])
    columns = rows.sum(0)
    assert columns[-1].item() == 8 + 4 and columns[-8].item() == 8 + 2 and columns[0].item() == 8


def test_elementwise_work_reaches_the_end(ones: ndl.Tensor) -> None:
    last = (ones * 2 + 1).realize()[-3:]
    assert last.numpy().tolist() == [3, 11, 3]
