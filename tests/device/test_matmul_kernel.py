"""The matmul kernels, driven through their launcher, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl

cl = pytest.importorskip("pyopencl")

from support.products import check, operand, product, random  # noqa: E402

from needle.backend.opencl.kernels.matmul_split import split  # noqa: E402
from needle.backend.opencl.running.device import OpenCLDevice  # noqa: E402
from needle.backend.opencl.shapes.launch_shape import LaunchShape  # noqa: E402

SIZES = (1, 2, 13, 14, 15, 16, 17, 31, 32, 33, 100, 257)
LAYOUTS = ("NN", "NT", "TN", "TT")


#: How each kernel path is forced: the device's own launch shape, one with little local memory, or tiles with
#: work-groups of 256, 64 and 1.
PATHS: dict[str, dict[str, int]] = {
    "own": {},
    "32-KiB": {"matmul_depth": 64, "matmul_block_bytes": 1 << 14},
    "tiles-256": {"matmul_rows": 0, "matmul_group": 16},
    "tiles-64": {"matmul_rows": 0, "matmul_group": 8},
    "tiles-1": {"matmul_rows": 0, "matmul_group": 1},
}


@cache
def again(device: OpenCLDevice) -> OpenCLDevice:
    """The device once more for all tests here, whose launch shape they change."""
    return OpenCLDevice(device.info, device.cl_device)


@pytest.fixture
def opened(device: ndl.Device) -> OpenCLDevice:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("its products are NumPy's")
    return again(device)


@pytest.fixture(params=PATHS)
def target(opened: OpenCLDevice, request: pytest.FixtureRequest) -> Iterator[OpenCLDevice]:
    original = opened.launch_shape
    path = PATHS[request.param]
    if path.get("matmul_group", 1) ** 2 > opened.cl_device.max_work_group_size:
        pytest.skip("the device's work-groups are smaller")
    opened.launch_shape = replace(original, **path)
    yield opened
    opened.launch_shape = original


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes(target: OpenCLDevice, layout: str) -> None:
    """Awkward sizes: half of all pairs of rows and columns in each layout, the depth going through its own cycle."""
    for i, rows in enumerate(SIZES):
        for j, columns in list(enumerate(SIZES))[(i + LAYOUTS.index(layout)) % 2 :: 2]:
            depth = SIZES[(5 * i + 7 * j) % len(SIZES)]
            check(target, operand(rows, depth, layout[0] == "T"), operand(depth, columns, layout[1] == "T"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", [(70, 50, 1100), (300, 530, 260), (1, 900, 5000), (1100, 1, 4100), (1, 1, 9000)])
def test_more_than_one_block(target: OpenCLDevice, layout: str, sizes: tuple[int, int, int]) -> None:
    rows, columns, depth = sizes
    check(target, operand(rows, depth, layout[0] == "T"), operand(depth, columns, layout[1] == "T"))


@pytest.mark.parametrize("columns", [1, 40])
def test_strides(target: OpenCLDevice, columns: int) -> None:
    """Steps, negative strides, zero strides and offsets, on either operand."""
    a = random(90, 110)
    b = random(110, 3 * columns)[:, ::3]
    check(target, a[::2, :], b)
    check(target, a[::-1, ::-1], b[::-1, ::-1])
    check(target, a[5:70, 10:60:2], b[20:45])
    check(target, a[3:, 1:].T, b[:87])
    check(target, np.broadcast_to(a[:, :1], (90, 110)), b)
    check(target, np.broadcast_to(a[:1], (33, 110)), b)
    check(target, a, np.broadcast_to(random(110, 1), (110, columns)))
    check(target, a, np.broadcast_to(random(1, columns), (110, columns)))
    check(target, np.broadcast_to(np.float32(0.5), (300, 400)), np.broadcast_to(np.float32(3), (400, 700)))


@pytest.mark.parametrize("columns", [1, 24])
def test_batches(target: OpenCLDevice, columns: int) -> None:
    """Batch dimensions broadcast, are permuted, and may be more than the kernels loop over."""
    b = random(18, columns)
    check(target, random(5, 20, 18), b)
    check(target, random(5, 20, 18).transpose(0, 2, 1)[:, :, :18], random(5, 18, columns))
    check(target, random(20, 18), random(4, 18, columns))
    check(target, random(2, 9, 3, 18).transpose(0, 2, 1, 3), random(2, 18, 3, columns).transpose(0, 2, 1, 3))
    check(target, random(2, 1, 3, 1, 7, 18), random(4, 1, 5, 18, columns))
    check(target, random(3, 1, 18), random(3, 18, columns))
    check(target, random(3, 1, 18), b)
    check(target, random(1, 1, 20, 18), random(6, 1, 18, columns))
    check(target, random(4, 20, 18)[::-2], random(2, 18, columns)[::-1])


@pytest.mark.parametrize("shape", [(3, 0, 4), (1, 0, 5), (5, 0, 1), (0, 3, 4), (3, 4, 0), (0, 0, 0)])
def test_empty(target: OpenCLDevice, shape: tuple[int, int, int]) -> None:
    """Without depth the product is zeros; without rows or columns there is none."""
    rows, depth, columns = shape
    check(target, random(rows, depth), random(depth, columns))
    check(target, random(2, rows, depth), random(2, depth, columns))


@pytest.mark.parametrize("sizes", [(17, 35, 20), (1, 20, 33), (21, 1, 50)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nan_and_infinity(target: OpenCLDevice, layout: str, sizes: tuple[int, int, int]) -> None:
    """NaN and infinity reach the elements that they belong to, and padding adds none."""
    rows, columns, depth = sizes
    a = operand(rows, depth, layout[0] == "T")
    b = operand(depth, columns, layout[1] == "T")
    a[-1, -1], a[0, 3], b[2, -1], b[5, 0] = np.nan, np.inf, -np.inf, np.inf
    a[:, 5] = 0  # zero times infinity is NaN, in column 0 only
    with np.errstate(invalid="ignore"):
        want = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(product(target, a, b), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float64", "float16"]
)
def test_dtypes(opened: OpenCLDevice, dtype: str) -> None:
    """Every dtype on both kernels; integers wrap as in NumPy, bools are any(a and b)."""
    if dtype == "float64" and not opened.supports(np.dtype(dtype)):  # a half is stored everywhere
        pytest.skip(f"no {dtype} on this device")
    original = opened.launch_shape
    try:
        for path in ({}, PATHS["tiles-1"]):
            opened.launch_shape = replace(original, **path)
            a, b = operand(37, 65, False, dtype), operand(65, 41, True, dtype)
            if dtype == "bool":
                a, b = a & (random(37, 65) > 0.8), b & (random(65, 41) > 0.8)
            check(opened, a, b)
            if np.dtype(dtype).kind != "u":  # a signed integer shares its kernels with the unsigned one
                check(opened, a[:1], b)
    finally:
        opened.launch_shape = original


def test_work_is_shared_out_anew_by_each_launch(target: OpenCLDevice) -> None:
    """The counter that work-groups take blocks from is zero again, however many they are and however many blocks."""
    original = target.launch_shape
    try:
        for cores in (1, 2, 5, 64):
            target.launch_shape = replace(original, cores=cores)
            for a, b in (
                (random(3, 4), random(4, 5)),
                (random(300, 40), random(40, 200)),
                (random(999, 2, 3), random(3, 2)),
            ):
                for _ in range(3):
                    check(target, a, b)
                counts = np.empty(2, np.int32)
                cl.enqueue_copy(target.queue, counts, target.counter)
                assert counts.tolist() == [0, 0]
    finally:
        target.launch_shape = original


@given(
    rows=st.integers(1, 5000),
    depth=st.integers(0, 5000),
    columns=st.integers(2, 5000),
    batches=st.integers(1, 3000),
    itemsize=st.sampled_from((1, 2, 4, 8)),
    shape=st.fixed_dictionaries(
        {
            "vector_bytes": st.sampled_from((4, 16, 32, 64)),
            "cores": st.integers(1, 100),
            "matmul_rows": st.integers(4, 14),
            "matmul_depth": st.integers(1, 1024),
            "matmul_block_bytes": st.sampled_from((4096, 1 << 14, 1 << 18, 1 << 20)),
        }
    ),
)
def test_the_blocks_of_a_split_fit_and_are_not_empty(
    rows: int, depth: int, columns: int, batches: int, itemsize: int, shape: dict[str, int]
) -> None:
    launch_shape = LaunchShape(local_size=1, groups=1, wide_index=True, **shape)
    found = split(rows, depth, columns, batches, itemsize, launch_shape)
    width = 2 * launch_shape.width(itemsize)
    panels, tiles = -(-columns // width), -(-rows // launch_shape.matmul_rows)
    assert 1 <= found.row_blocks <= tiles and 1 <= found.column_blocks <= panels
    assert 1 <= found.depth <= launch_shape.matmul_deepest(itemsize)
    widest = -(-panels // found.column_blocks) * width
    assert widest * found.depth * itemsize <= launch_shape.matmul_block_bytes
    assert launch_shape.matmul_strip(itemsize) * launch_shape.matmul_tile_bytes(itemsize) <= max(
        launch_shape.matmul_block_bytes // 2, launch_shape.matmul_tile_bytes(itemsize)
    )


def test_offsets_beyond_32_bits(target: OpenCLDevice) -> None:
    """Index arithmetic is done in 64 bits: a view whose strides pass 2**31 while its elements do not."""
    a = np.lib.stride_tricks.as_strided(random(64), (1, 64), (4 * 2**40, 4))
    got = product(target, np.broadcast_to(a, (1, 64)), random(64, 24))
    np.testing.assert_allclose(got, a @ random(64, 24), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1 << 20, 1), (3, 1 << 20, 1)], ids=str)
def test_long_products_with_a_vector_keep_their_accuracy(device, shape):
    """Sums of positive numbers, whose errors add up where a long sum is one after the other."""
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    a, b = rng.random((rows, depth), np.float32), rng.random((depth, columns), np.float32)
    expected = a.astype(np.float64) @ b
    np.testing.assert_allclose((ndl.asarray(a) @ ndl.asarray(b)).numpy(), expected, rtol=5e-6)
