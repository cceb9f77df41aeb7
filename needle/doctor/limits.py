"""What the self-test asks of elementwise functions far out: their limits, their tails, the same value each time.

A function that comes close to its limit and never reaches it, as a driver's tanh may, spoils gradients that multiply
what is left by something large. One whose tail cancels gives 0 for numbers that are not. And a value that is computed
anew, fused into another kernel, must equal the same value stored: the gradient of a maximum looks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

import needle as ndl
from needle.array import evaluation
from needle.doctor.comparison import TOLERANCE, Comparison, float_dtypes
from needle.dtypes import DType
from needle.ops.base import Declaration

_INF, _NAN = np.inf, np.nan

#: From the middle far out, on both sides of each function's turning points.
_SIZES = (0.0, 1e-30, 1e-6, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 9.0, 10.0, 20.0, 50.0, 80.0, 1e3, 1e4, _INF)
POINTS = np.array([*_SIZES, *(-x for x in _SIZES), _NAN])

#: Operands of functions of two: each with each.
PAIRS = np.array([-_INF, -2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, _INF, _NAN])

#: Functions of one launch: a kernel has only so many operands, and its compilation only so much memory.
_AT_ONCE = 12


def _functions() -> list[Declaration]:
    return [d for d in ndl.ops.registry.values() if "f" in d.record.kinds and d.record.typing in ("same", "float")]


def _operands(declaration: Declaration, dtype: DType) -> list[np.ndarray]:
    grids = [POINTS] if declaration.record.arity == 1 else np.meshgrid(*[PAIRS] * declaration.record.arity)
    with np.errstate(over="ignore"):
        return [grid.ravel().astype(dtype) for grid in grids]


def _groups() -> Iterator[Sequence[Declaration]]:
    """The functions in groups, each of which is one launch: those of one launch have one shape."""
    for arity in (1, 2, 3):
        some = [declaration for declaration in _functions() if declaration.record.arity == arity]
        for start in range(0, len(some), _AT_ONCE):
            yield some[start : start + _AT_ONCE]


def limits(device: ndl.Device) -> Iterator[Comparison]:
    """Every function of floats at its limits and in its tails."""
    for dtype in float_dtypes(device):
        for group in _groups():
            operands = [_operands(declaration, dtype) for declaration in group]
            found = [d.function(*map(ndl.asarray, drawn)) for d, drawn in zip(group, operands, strict=True)]
            evaluation.realize([result.cached_data for result in found])
            for declaration, drawn, result in zip(group, operands, found, strict=True):
                yield from _of_limits(declaration, drawn, result.numpy())


def _of_limits(declaration: Declaration, operands: Sequence[np.ndarray], actual: np.ndarray) -> Iterator[Comparison]:
    what, dtype = f"{declaration.name} of {actual.dtype}", actual.dtype
    with np.errstate(all="ignore"):
        expected = np.asarray(declaration.record.reference(*(x.astype(np.float64) for x in operands)))
        rounded = expected.astype(dtype)
    # Numbers that the dtype holds with fewer digits may come out as 0.
    yield Comparison(what, actual, rounded, floor=float(np.finfo(dtype).tiny) / TOLERANCE[dtype.name])
    reached = np.isin(expected, (-1.0, 0.0, 1.0)) | ~np.isfinite(expected)
    yield Comparison(f"the limits of {what}", actual[reached], rounded[reached], exact=True)


def recomputed(device: ndl.Device) -> Iterator[Comparison]:
    """Every function of float32 once stored, and once computed anew inside of a comparison with that."""
    for group in _groups():
        operands = [list(map(ndl.asarray, _operands(declaration, ndl.float32))) for declaration in group]
        stored = [d.function(*drawn) for d, drawn in zip(group, operands, strict=True)]
        evaluation.realize([result.cached_data for result in stored])
        anew = [d.function(*drawn) for d, drawn in zip(group, operands, strict=True)]
        same = [ndl.equal(a, b) for a, b in zip(anew, stored, strict=True)]
        evaluation.realize([result.cached_data for result in same])
        for declaration, before, equal in zip(group, stored, same, strict=True):
            expected = ~np.isnan(before.numpy())
            yield Comparison(f"{declaration.name}, computed again, equals itself", equal.numpy(), expected)
