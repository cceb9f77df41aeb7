"""What the operations that LAPACK computes have in common: they run on the host, by NumPy, and go back to the device.

The host waits for the device, and both copies show in NEEDLE_DEBUG and in profiles. Stacks of matrices are computed
in one call. float16 is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.linalg import LinAlgError as LinAlgError

from needle.array import NDArray
from needle.autograd import Op
from needle.dtypes import compute_dtype, float_for, promote
from needle.ops.base import check_tensor
from needle.ops.shape import astype, swapaxes

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["LinAlgError"]


class HostOp(Op):
    """An operation on stacks of matrices that NumPy computes. Arguments and results have one floating dtype.

    A subclass defines `solve`: the result, or a tuple of results, of NumPy arrays.
    """

    solve: Callable[..., Any]

    def compute(self, *arrays: NDArray) -> Any:
        dtype, device = arrays[0].dtype, arrays[0].device
        with np.errstate(all="ignore"):
            results = self.solve(*(a.numpy().astype(compute_dtype(dtype), copy=False) for a in arrays))
        if not isinstance(results, tuple):
            return NDArray.from_numpy(np.asarray(results).astype(dtype), device)
        return tuple([NDArray.from_numpy(np.asarray(r).astype(dtype), device) for r in results])


def transposed(x: Any) -> Any:
    """A view of matrices with their axes exchanged."""
    return swapaxes(x, -2, -1)


def as_matrices(function: str, x: Tensor, argument: str = "x") -> Tensor:
    """x in a floating dtype. Raises ValueError for fewer than two axes, TypeError for what is not a tensor."""
    check_tensor(function, argument, x)
    if x.ndim < 2:
        raise ValueError(f"{function}: {argument} has shape {x.shape}; a matrix or a stack of matrices is needed")
    return astype(x, float_for(x.dtype))


def check_square(function: str, x: Tensor) -> None:
    """Raise ValueError unless x is a square matrix or a stack of them."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{function}: x has shape {x.shape}; square matrices are needed")


def as_squares(function: str, x: Tensor) -> Tensor:
    """x in a floating dtype. Raises ValueError unless it is a square matrix or a stack of them."""
    check_tensor(function, "x", x)
    check_square(function, x)
    return as_matrices(function, x)


def in_common(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the floating dtype in which they meet."""
    dtype = promote(float_for(x.dtype), float_for(y.dtype))
    return astype(x, dtype), astype(y, dtype)
