"""How many work-groups a launch gets: for how much work, on a CPU and on a GPU."""

from __future__ import annotations

import pytest

from needle.backend.opencl.shapes.groups import VECTORS, Grain, groups_for, parts_for, stretch_for
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.dtypes import float16, float32

CPU = LaunchShape(vector_bytes=32, local_size=1, groups=256, wide_index=True, cores=2, matmul_rows=6)
GPU = LaunchShape(vector_bytes=4, local_size=64, groups=256, wide_index=False, cores=8)


@pytest.mark.parametrize(
    ("launch_shape", "vectors", "groups"),
    [
        (CPU, 0, 1), (CPU, 4095, 1), (CPU, 4096, 16), (CPU, 4351, 16), (CPU, 4352, 17), (CPU, 1 << 20, 4096),
        (GPU, 0, 1), (GPU, 64, 1), (GPU, 65, 2), (GPU, 512, 8), (GPU, 1023, 16), (GPU, 1024, 8), (GPU, 1 << 20, 4096),
    ],
)  # fmt: skip
def test_what_a_fused_program_is_worth(launch_shape: LaunchShape, vectors: int, groups: int) -> None:
    assert VECTORS.worth(launch_shape, vectors) == groups


@pytest.mark.parametrize("rounded_up", [False, True])
def test_a_remainder_gets_a_cpu_s_group_of_its_own_where_the_grain_says_so(rounded_up: bool) -> None:
    grain = Grain(group=100, item=2, rounded_up=rounded_up)
    assert [grain.worth(CPU, n) for n in (0, 99, 100, 101, 200)] == [1, 1, 1, 1 + rounded_up, 2]


def test_a_gpu_s_work_item_gets_more_once_every_unit_has_a_group() -> None:
    grain = Grain(group=100, item=4)
    amounts = (1, 511, 512, 1023, 1024, 2048, 4096)
    assert [grain.share(GPU, n, 64) for n in amounts] == [1, 1, 1, 1, 2, 4, 4]
    assert all(grain.worth(GPU, n) >= 8 for n in range(512, 4096))
    assert grain.worth(GPU, 512, local=32) == 8
    assert [Grain(group=100, item=4, whole=4).worth(GPU, n) for n in (256, 257, 512)] == [1, 2, 2]


@pytest.mark.parametrize(("pieces", "groups", "stretch"), [(1, 1, 64), (64, 1, 64), (65, 1, 128), (4096, 8, 512)])
def test_a_gpu_s_stretches_are_whole_rounds_of_its_work_items(pieces: int, groups: int, stretch: int) -> None:
    assert stretch_for(GPU, pieces, groups) == stretch
    assert stretch_for(CPU, pieces, groups) == -(-pieces // groups)


def test_no_more_groups_than_the_launch_shape_has_or_than_there_are_pieces() -> None:
    assert groups_for(CPU, 1000) == 256
    assert groups_for(CPU, 1000, 7) == groups_for(CPU, 7, 1000) == 7
    assert groups_for(CPU, 0) == 1


def test_tasks_are_cut_until_all_groups_have_a_part() -> None:
    assert parts_for(CPU, 3, most=1000) == 85
    assert parts_for(CPU, 3, most=10) == 10
    assert parts_for(CPU, 300, most=10) == parts_for(CPU, 3, most=0) == parts_for(CPU, 0, most=10) == 1


def test_a_launch_shape_is_a_cpu_s_or_a_gpu_s() -> None:
    assert CPU.on_cpu and not GPU.on_cpu
    assert CPU.matmul_packs_dtype(float32) and not GPU.matmul_packs_dtype(float32)
    assert not CPU.matmul_packs_dtype(float16)  # its sums are floats
    tiles = LaunchShape(vector_bytes=4, local_size=1, groups=8, wide_index=False, matmul_rows=0)
    assert tiles.on_cpu and not tiles.matmul_packs_dtype(float32)
    ignored = LaunchShape(vector_bytes=4, local_size=64, groups=8, wide_index=False, matmul_rows=6)
    assert not ignored.on_cpu and not ignored.matmul_packs_dtype(float32)
