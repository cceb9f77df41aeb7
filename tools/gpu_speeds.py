"""How fast a device is, by itself and beside PyTorch on the same card if PyTorch is there (CUDA, ROCm, XPU).

    python tools/gpu_speeds.py DEVICE [--small]

Prints the device's bandwidth and its rate of float32 products, as needle measures them, then a line for each case. With
`--small` sizes are small, to see that all works.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import needle as ndl
from needle.dtypes import float32
from needle.profiling import peaks

#: The least seconds over which a case is repeated, and how often that is done: the least time counts.
SECONDS, ROUNDS = 0.1, 3


def cases(
    n: int,
) -> dict[str, tuple[tuple[tuple[int, ...], ...], Callable[..., Any], Callable[..., Any], float, float]]:
    """Operands' shapes, needle's function, PyTorch's, and the bytes and operations of each case, with matrices of n."""
    size = 4.0 * n * n
    return {
        f"product {n}": (((n, n), (n, n)), lambda a, b: a @ b, lambda a, b: a @ b, 0, 2.0 * n**3),
        f"product 64 x {n}": (((64, n), (n, n)), lambda a, b: a @ b, lambda a, b: a @ b, size, 128.0 * n * n),
        "add": (((n, n), (n, n)), lambda a, b: a + b, lambda a, b: a + b, 3 * size, 0),
        "sum": (((n, n),), lambda a: a.sum(), lambda a: a.sum(), size, 0),
        "column sums": (((n, n),), lambda a: a.sum(0), lambda a: a.sum(0), size, 0),
        "softmax": (((n, n),), lambda a: ndl.softmax(a, axis=1), lambda a: a.softmax(1), 2 * size, 0),
        "transposed add": (((n, n), (n, n)), lambda a, b: a.T + b, lambda a, b: a.T + b, 3 * size, 0),
    }


def seconds_of(work: Callable[[], object], wait: Callable[[], None]) -> float:
    """The least time of one call of `work` on a device."""
    work()
    wait()
    best, count = float("inf"), 1
    for _ in range(ROUNDS):
        while True:
            began = time.perf_counter()
            for _ in range(count):
                work()
            wait()
            taken = time.perf_counter() - began
            if taken >= SECONDS:
                break
            count *= 2
        best = min(best, taken / count)
    return best


def accelerated_torch() -> tuple[ModuleType, str] | None:
    """PyTorch and the name of its accelerator; None if there is none."""
    try:
        import torch
    except ImportError:
        return None
    for name in ("cuda", "xpu"):  # ROCm's builds call their device cuda
        if hasattr(torch, name) and getattr(torch, name).is_available():
            torch.backends.cuda.matmul.allow_tf32 = False
            return torch, name
    return None


def main(given: list[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args(given)
    device, found = ndl.device(options.device), accelerated_torch()
    print(f"{device.name}: copies {peaks.bandwidth(device) / 1e9:.1f} GB/s", end="")
    print(f", multiplies {peaks.arithmetic_rate(device, float32) / 1e9:.0f} GFLOPS in float32")
    print(f"PyTorch: {found[0].__version__} on {found[1]}" if found else "PyTorch: none with an accelerator")
    for name, (shapes, ours, theirs, nbytes, flops) in cases(256 if options.small else 4096).items():
        arrays = [np.random.default_rng(0).standard_normal(shape, dtype=np.float32) for shape in shapes]
        with device:
            operands = [ndl.asarray(array) for array in arrays]
            taken = seconds_of(lambda: ours(*operands).realize(), ndl.synchronize)  # noqa: B023
        line = f"{name:20} {taken * 1e3:9.3f} ms {nbytes / taken / 1e9:8.1f} GB/s {flops / taken / 1e9:9.0f} GFLOPS"
        if found:
            torch, kind = found
            tensors = [torch.from_numpy(array).to(kind) for array in arrays]
            other = seconds_of(lambda: theirs(*tensors), getattr(torch, kind).synchronize)  # noqa: B023
            line += f"   PyTorch {other * 1e3:9.3f} ms, {other / taken:.0%} of its speed"
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
