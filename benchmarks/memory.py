"""The peak of device memory in training an MLP, beside PyTorch's, and whether it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import needle as ndl
from benchmarks import peers
from benchmarks.case import Case
from benchmarks.cases import training
from benchmarks.figures import Figure
from benchmarks.peers.library import Library

STEPS, MORE_STEPS = 10, 100
BAR = 1.3  # times PyTorch's peak
MIB = 1 << 20


class PeakPool:
    """Stands before a memory pool and notes the most bytes in use; only an allocation can raise them."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.peak = pool.active_bytes

    def allocate(self, nbytes: int) -> Any:
        """See the pool's."""
        memory = self._pool.allocate(nbytes)
        self.peak = max(self.peak, self._pool.active_bytes)
        return memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def _batch(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    sets, weights = case.draw(np.random.default_rng())
    return sets[0], weights


def needle_peak(case: Case, device: ndl.Device) -> tuple[int, int]:
    """The most bytes in use over the first steps, from before the model is made, and the growth over many more."""
    library = peers.load("needle", device.name)
    device.synchronize()
    pool: Any = device.pool  # type: ignore[attr-defined]
    before = pool.active_bytes
    watched = PeakPool(pool)
    device.pool = watched  # type: ignore[attr-defined]
    try:
        inputs, weights = _batch(case)
        step = case.bind(library, weights)
        tensors = [library.tensor(a) for a in inputs]
        _repeat(library, step, tensors, STEPS)
        peak, settled = watched.peak - before, pool.active_bytes
        _repeat(library, step, tensors, MORE_STEPS)
        return peak, max(pool.active_bytes - settled, watched.peak - before - peak)
    finally:
        device.pool = pool  # type: ignore[attr-defined]


def torch_peak(case: Case) -> int:
    """The most bytes that PyTorch's allocator had lent over the same steps, from before the model is made."""
    from torch.profiler import ProfilerActivity, profile

    library: Any = peers.load("torch", "numpy")
    inputs, weights = _batch(case)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step = library.training_step(weights, "fused")
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
    """The figures for both MLPs. Raises UnavailableError on a device without a pool."""
    if not hasattr(device, "pool"):
        raise peers.UnavailableError(f"{device.name} has no memory pool to look into")
    figures = []
    for family in training.FAMILIES:
        for case in family.cases:
            peak, growth = needle_peak(case, device)
            figures.append(Figure(f"{case.name}: peak", peak / MIB, "MiB"))
            try:
                beside = torch_peak(case)
                figures.append(Figure(f"{case.name}: PyTorch's peak", beside / MIB, "MiB"))
                figures.append(Figure(f"{case.name}: needle's over PyTorch's", peak / beside, "", BAR))
            except peers.UnavailableError as problem:
                figures.append(Figure(f"{case.name}: PyTorch's peak ({problem})", float("nan"), "MiB"))
            figures.append(Figure(f"{case.name}: growth over {MORE_STEPS} steps", growth, "bytes", 0))
    return figures
