"""The peak of device memory in training, beside PyTorch's, and whether it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import needle as ndl
from benchmarks import peers
from benchmarks.case import Case
from benchmarks.cases import networks, training
from benchmarks.figures import Figure
from benchmarks.peers.base import Library

STEPS, MORE_STEPS = 10, 100
BAR, CNN_BAR = 1.3, 1.2  # times PyTorch's peak, of MLPs and of the network of convolutions
MIB = 1 << 20


def _batch(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    sets, weights = case.draw(np.random.default_rng())
    return sets[0], weights


def needle_peak(case: Case, device: ndl.Device) -> tuple[int, int]:
    """The most bytes in use over the first steps, from before the model is made, and the growth over many more."""
    library = peers.load("needle", device.name)
    device.synchronize()
    device.reset_peak_memory()
    before = _memory(device).in_use
    inputs, weights = _batch(case)
    step = case.bind(library, weights)
    tensors = [library.tensor(a) for a in inputs]
    _repeat(library, step, tensors, STEPS)
    settled = _memory(device)
    _repeat(library, step, tensors, MORE_STEPS)
    after = _memory(device)
    return settled.peak - before, max(after.in_use - settled.in_use, after.peak - settled.peak)


def _memory(device: ndl.Device) -> ndl.MemoryInfo:
    """The state of the device's pool. Raises UnavailableError on a device without one."""
    found = device.memory()
    if found is None:
        raise peers.UnavailableError(f"{device.name} has no memory pool to look into")
    return found


def torch_peak(case: Case) -> int:
    """The most bytes that PyTorch's allocator had lent over the same steps, from before the model is made."""
    from torch.profiler import ProfilerActivity, profile

    library: Any = peers.load("torch", "numpy")
    inputs, weights = _batch(case)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        library.compares = False  # the steps that would find the faster optimiser take memory too
        step = case.bind(library, weights)
        tensors = [library.tensor(a) for a in inputs]
        _repeat(library, step, tensors, STEPS)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    if not events:
        raise RuntimeError("PyTorch's profiler has noted no memory")
    in_use = np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
    return int(in_use.max())


def _repeat(library: Library, step: Callable[..., Any], tensors: list[Any], times: int) -> None:
    for _ in range(times):
        library.compute([step(*tensors)])
    library.wait()


def measure(device: ndl.Device) -> list[Figure]:
    """The figures for both MLPs and the network of convolutions. Raises UnavailableError on a device without a pool."""
    _memory(device)
    figures = []
    for families, bar in ((training.FAMILIES, BAR), (networks.FAMILIES[:1], CNN_BAR)):
        for case in (case for family in families for case in family.cases):
            peak, growth = needle_peak(case, device)
            figures.append(Figure(f"{case.name}: peak", peak / MIB, "MiB"))
            try:
                beside = torch_peak(case)
                figures.append(Figure(f"{case.name}: PyTorch's peak", beside / MIB, "MiB"))
                figures.append(Figure(f"{case.name}: needle's over PyTorch's", peak / beside, "", bar))
            except peers.UnavailableError as problem:
                figures.append(Figure(f"{case.name}: PyTorch's peak ({problem})", float("nan"), "MiB"))
            figures.append(Figure(f"{case.name}: growth over {MORE_STEPS} steps", growth, "bytes", 0))
    return figures
