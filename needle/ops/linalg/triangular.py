"""The solution of triangular systems, on which other gradients rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.ops.linalg.lapack import HostOp, transposed
from needle.ops.matmul import matmul
from needle.ops.triangles import tril, triu


class SolveTriangular(HostOp):
    """Arguments: matrices of which a triangle counts, and right-hand sides."""

    name = "solve_triangular"

    def __init__(self, upper: bool, unit: bool = False) -> None:
        self.upper = upper
        self.unit = unit

    def solve(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        triangle = np.triu(a, int(self.unit)) if self.upper else np.tril(a, -int(self.unit))
        return np.linalg.solve(triangle + np.eye(a.shape[-1], dtype=a.dtype) if self.unit else triangle, b)

    def vjp(self, index: int, grad: Any, output: Any, a: Any, b: Any) -> Any:
        by_b = SolveTriangular(not self.upper, self.unit)(transposed(a), grad)
        if index == 1:
            return by_b
        full = -matmul(by_b, transposed(output))
        return triu(full, int(self.unit)) if self.upper else tril(full, -int(self.unit))
