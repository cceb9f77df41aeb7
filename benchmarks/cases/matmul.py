"""Matrix products: square, odd, transposed, small, batched, and with a vector."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Arrays, Case, Family, normal


def product(name: str, a: tuple[int, ...], b: tuple[int, ...], layout: str = "NN") -> Case:
    """The product of matrices that lie in memory in shapes `a` and `b`, transposed first where `layout` has a T."""

    def run(lib: Any, x: Any, y: Any) -> Any:
        return lib.matmul(x.T if layout[0] == "T" else x, y.T if layout[1] == "T" else y)

    def flops(inputs: Arrays, outputs: Arrays, state: Arrays) -> float:
        return 2.0 * outputs[0].size * inputs[0].shape[-2 if layout[0] == "T" else -1]

    return Case(name, (normal(*a), normal(*b)), run, flops=flops)


def layouts(m: int, k: int, n: int, title: str) -> tuple[Case, ...]:
    """(m, k) times (k, n), with each operand as it is or stored transposed."""
    return tuple(
        product(f"{title} {x}{y}", (m, k) if x == "N" else (k, m), (k, n) if y == "N" else (n, k), x + y)
        for x in "NT"
        for y in "NT"
    )


FAMILIES = (
    Family(
        "matmul",
        "Matrix products",
        (
            *layouts(512, 512, 512, "512"),
            *layouts(1024, 1024, 1024, "1024"),
            *layouts(2048, 2048, 2048, "2048"),
            *layouts(1000, 999, 1001, "1000x999x1001"),
        ),
        bar=0.85,
        mean_bar=0.9,
        mean_aim=1.0,
        ahead=5.0,
    ),
    Family(
        "small-matmul",
        "Small matrix products",
        (
            product("64x784x256", (64, 784), (784, 256)),
            product("64x784x256 weight gradient", (64, 784), (64, 256), "TN"),
            product("64x784x256 input gradient", (64, 256), (784, 256), "NT"),
            product("batch 32 of 128x64x128", (32, 128, 64), (32, 64, 128)),
        ),
        bar=0.6,
        mean_bar=0.7,
        ahead=5.0,
    ),
    Family("matvec", "Matrix times vector", (product("4096x4096", (4096, 4096), (4096,)),), bar=1.0),
)
