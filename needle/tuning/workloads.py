"""The work by which launch shapes are compared, a few representative pieces for each family of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from needle.backend.protocol import Device
from needle.ops import softmax
from needle.ops.creation import asarray
from needle.tensor import Tensor

__all__ = ["FAMILIES"]


#: By how much results may differ from NumPy's, relative to themselves and to the largest.
_RELATIVE, _OF_LARGEST = 1e-3, 1e-5

Function = Callable[..., "Tensor | np.ndarray"]
Shapes = Callable[[int], Sequence[tuple[int, ...]]]


@dataclass(frozen=True)
class Case:
    """A workload with its data on a device."""

    run: Callable[[], Tensor]
    expected: np.ndarray

    def is_right(self) -> bool:
        """Whether what the device computes is what NumPy does."""
        result = self.run().numpy()
        slack = _OF_LARGEST * float(np.abs(self.expected).max())
        return np.allclose(result, self.expected, rtol=_RELATIVE, atol=slack)


@dataclass(frozen=True)
class Workload:
    """A computation on float32 arrays. `shapes` gives those of its operands for a scale, 16 being the usual.

    `function` is applied to tensors and, for what is right, to NumPy arrays. `odd_shapes` are operands of sizes
    that fill no vector and no tile: results are checked on them, too.
    """

    name: str
    family: str
    function: Function
    shapes: Shapes
    odd_shapes: Sequence[tuple[int, ...]]
    reference: Function | None = None

    def case(self, device: Device, shapes: Sequence[tuple[int, ...]]) -> Case:
        """The workload on random numbers of the given shapes."""
        rng = np.random.default_rng(0)
        host = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
        operands = [asarray(array, device=device) for array in host]
        with np.errstate(all="ignore"):
            expected = (self.reference or self.function)(*host)

        def run() -> Tensor:
            result = self.function(*operands)
            assert isinstance(result, Tensor)
            return result.realize()

        return Case(run, np.asarray(expected))

    def bytes(self, scale: int) -> int:
        """What the operands take."""
        return sum(4 * int(np.prod(shape)) for shape in self.shapes(scale))


def _product(x: Tensor, y: Tensor) -> Tensor:
    return x @ y


def _transposed_product(x: Tensor, y: Tensor) -> Tensor:
    return x.T @ y


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


WORKLOADS = (
    Workload(
        "square product", "matmul", _product, lambda s: ((64 * s, 64 * s), (64 * s, 64 * s)), ((37, 53), (53, 29))
    ),
    Workload(
        "a layer's product", "matmul", _product, lambda s: ((16 * s, 49 * s), (49 * s, 32 * s)), ((7, 301), (301, 65))
    ),
    Workload(
        "its weight's gradient", "matmul", _transposed_product, lambda s: ((16 * s, 49 * s), (16 * s, 32 * s)),
        ((61, 45), (61, 17)),
    ),
    Workload(
        "many small products", "matmul", _product, lambda s: ((2 * s, 128, 64), (2 * s, 64, 128)),
        ((3, 9, 33), (3, 33, 5)),
    ),
    Workload("matrix by vector", "matvec", _product, lambda s: ((128 * s, 128 * s), (128 * s,)), ((37, 259), (259,))),
    Workload("vector by matrix", "matvec", _product, lambda s: ((128 * s,), (128 * s, 128 * s)), ((259,), (259, 37))),
    Workload(
        "three arrays to one", "elementwise", lambda x, y, z: x * y + z, lambda s: ((s << 18,),) * 3, ((1003,),) * 3
    ),
    Workload(
        "tanh of a sum", "elementwise", lambda x, y: (x + y).tanh(), lambda s: ((s << 14, 16), (16,)), ((301, 7), (7,)),
        reference=lambda x, y: np.tanh(x + y),
    ),
    Workload("sum of rows", "reduce", lambda x: x.sum(axis=1), lambda s: ((256 * s, 1024),), ((37, 1003),)),
    Workload("sum of columns", "reduce", lambda x: x.sum(axis=0), lambda s: ((256 * s, 1024),), ((1003, 37),)),
    Workload("sum of all", "reduce", lambda x: x.sum(), lambda s: ((s << 18,),), ((100_003,),)),
    Workload(
        "softmax of rows", "softmax", lambda x: softmax(x, axis=1), lambda s: ((256 * s, 1024),), ((37, 1003),),
        reference=_softmax,
    ),
)  # fmt: skip

FAMILIES = tuple(dict.fromkeys(workload.family for workload in WORKLOADS))
