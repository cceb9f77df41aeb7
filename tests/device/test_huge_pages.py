"""The advice to put large buffers of a CPU's device into huge pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import needle as ndl

cl = pytest.importorskip("pyopencl")

from needle.backend.opencl.running import huge_pages, transfer  # noqa: E402
from needle.backend.opencl.running.memory import Memory  # noqa: E402

SMAPS = Path("/proc/self/smaps")
MIB = 1 << 20


@pytest.fixture
def queue(device: ndl.Device) -> Any:
    """A queue of a device that computes in the host's memory."""
    if not (hasattr(device, "cl_device") and transfer.shares_host_memory(device.cl_device)):
        pytest.skip(f"{device.name} does not compute in the host's memory")
    return cl.CommandQueue(device.context)


@pytest.fixture
def advised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the buffers for which advice is given."""
    sizes: list[int] = []
    advise = huge_pages.advise

    def note(queue: Any, buffer: Any) -> None:
        sizes.append(buffer.size)
        advise(queue, buffer)

    monkeypatch.setattr(huge_pages, "advise", note)
    monkeypatch.setattr(huge_pages, "wanted", lambda: True)
    return sizes


def memory_of(queue: Any) -> Memory:
    return Memory("a device", queue, lambda: None, None)


def flags_at(address: int) -> set[str]:
    """The kernel's flags of the mapping that holds `address`."""
    inside = False
    for line in SMAPS.read_text().splitlines():
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            first, last = (int(bound, 16) for bound in head.split("-"))
            inside = first <= address < last
        elif inside and head == "VmFlags:":
            return set(line.split()[1:])
    raise AssertionError(f"nothing is mapped at {address:#x}")


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux tells how memory is mapped")
def test_a_large_buffer_is_marked_for_huge_pages(queue: Any) -> None:
    if not huge_pages.wanted():
        pytest.skip("this system has no such advice")
    buffer = memory_of(queue).allocate(64 * MIB)
    mapped, _ = cl.enqueue_map_buffer(queue, buffer, cl.map_flags.READ, 0, (64 * MIB,), np.uint8)
    middle = mapped.ctypes.data + 32 * MIB
    flags = flags_at(middle)
    mapped.base.release(queue)
    assert "hg" in flags


def test_only_fresh_and_large_buffers_are_advised(queue: Any, advised: list[int]) -> None:
    memory = memory_of(queue)
    small = memory.allocate(MIB)
    large = memory.allocate(8 * MIB)
    assert len(advised) == 1 and advised[0] >= 8 * MIB
    del large
    again = memory.allocate(8 * MIB)  # the pool's, whose values the advice would not keep
    assert len(advised) == 1 and again.size >= 8 * MIB and small.size >= MIB


def test_the_environment_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(huge_pages.ENVIRONMENT_VARIABLE, "0")
    assert not huge_pages.wanted()


def test_without_a_view_of_the_buffer_all_goes_on(
    queue: Any, advised: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> object:
        raise cl.MemoryError("clEnqueueMapBuffer failed: MAP_FAILURE")

    monkeypatch.setattr(cl, "enqueue_map_buffer", refuse)
    assert memory_of(queue).allocate(8 * MIB).size >= 8 * MIB
    assert len(advised) == 1
