"""What the self-test computes on a device: for each family of kernels, small and awkward sizes.

Each family is a generator of comparisons. What is expected comes from NumPy in float64, from the operations'
own references, or, for whole training steps, from the numpy backend.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

import needle as ndl
from needle.array import evaluation
from needle.backend.records import Primitive
from needle.doctor import limits, primitives
from needle.doctor.comparison import Comparison, float_dtypes, wide
from needle.dtypes import is_float
from needle.ops.base import Declaration

__all__ = ["FAMILIES"]

Family = Callable[[ndl.Device], Iterator[Comparison]]

_SHAPES = ((1,), (17,), (37, 53), (3, 700, 33), (2, 0, 3))


def _rng(text: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(text.encode()))


def _normal(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return _rng(str(shape)).standard_normal(shape).astype(dtype)


# -- elementwise ------------------------------------------------------------------------------------


def _operands(declaration: Declaration, shape: tuple[int, ...], dtype: np.dtype) -> list[np.ndarray]:
    rng = _rng(declaration.name)
    drawn = [rng.uniform(low, high, shape).astype(dtype) for low, high in declaration.sample]
    if declaration.record.typing == "select":
        drawn[0] = drawn[0] > 0.5
    return drawn


#: Operations of one launch: each kernel takes a quarter of a second to compile, and has only so many operands.
_AT_ONCE = 12


def _of_operations(
    declarations: Sequence[Declaration], shape: tuple[int, ...], dtype: np.dtype
) -> Iterator[Comparison]:
    """The operations computed in common launches, each compared by itself."""
    for start in range(0, len(declarations), _AT_ONCE):
        some = declarations[start : start + _AT_ONCE]
        operands = [_operands(declaration, shape, dtype) for declaration in some]
        results = [d.function(*map(ndl.asarray, drawn)) for d, drawn in zip(some, operands, strict=True)]
        evaluation.realize([result.cached_data for result in results])
        for declaration, drawn, result in zip(some, operands, results, strict=True):
            yield _of_operation(declaration, drawn, result, f"{declaration.name} of {dtype} {shape}")


def _of_operation(declaration: Declaration, operands: list[np.ndarray], result: ndl.Tensor, name: str) -> Comparison:
    actual = result.numpy()
    if declaration.record.typing == "logical":
        operands = [operand.astype(bool) for operand in operands]
    with np.errstate(all="ignore"):
        expected = np.asarray(declaration.record.reference(*map(wide, operands)))
    return Comparison(name, actual, expected)


def elementwise(device: ndl.Device) -> Iterator[Comparison]:
    """Every declared operation in every float dtype, or in int32 where it takes no floats."""
    of_floats: list[Declaration] = []
    of_integers: list[Declaration] = []
    for declaration in ndl.ops.registry.values():
        takes_floats = "f" in declaration.record.kinds or declaration.record.typing == "logical"
        (of_floats if takes_floats else of_integers).append(declaration)
    for shape in ((1,), (37, 53)):
        for dtype in float_dtypes(device):
            yield from _of_operations(of_floats, shape, dtype)
        yield from _of_operations(of_integers, shape, ndl.int32)


def integers(device: ndl.Device) -> Iterator[Comparison]:
    """Arithmetic at the ends of every integer dtype, which wraps around."""
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        limits = np.iinfo(name)
        values = np.array([0, 1, 2, 7, limits.max, limits.max - 1, limits.min, limits.min + 1], name)
        x, y = (grid.ravel().copy() for grid in np.meshgrid(values, values))
        operations = ("add", "multiply", "floor_divide", "remainder", "maximum", "less")
        declarations = [ndl.ops.registry[operation] for operation in operations]
        results = [declaration.function(ndl.asarray(x), ndl.asarray(y)) for declaration in declarations]
        evaluation.realize([result.cached_data for result in results])
        for declaration, result in zip(declarations, results, strict=True):
            with np.errstate(all="ignore"):
                expected = np.asarray(declaration.record.reference(x, y))
            yield Comparison(f"{declaration.name} of {name}", result.numpy(), expected)


def views(device: ndl.Device) -> Iterator[Comparison]:
    """Fused expressions over transposed, reversed, skipping and broadcast operands, and writes into views."""
    host = _normal((37, 53), ndl.float32)
    x = ndl.asarray(host)
    indices = {"[::-1, ::-2]": np.s_[::-1, ::-2], "[3:30:4, 5:]": np.s_[3:30:4, 5:], "[:, :1]": np.s_[:, :1]}
    for text, index in indices.items():
        yield Comparison(f"x{text}.T * 2 + 1", (x[index].T * 2 + 1).numpy(), wide(host[index].T) * 2 + 1)
    yield Comparison("x + row", (x + x[:1]).numpy(), wide(host) + wide(host[:1]))
    yield Comparison("x + column", (x + x[:, 4:5]).numpy(), wide(host) + wide(host[:, 4:5]))
    deep = _normal((3, 4, 5, 6), ndl.float32)
    turned = ndl.permute_dims(ndl.asarray(deep), (2, 0, 3, 1))
    yield Comparison("four axes permuted", (turned + 1).numpy(), wide(deep.transpose(2, 0, 3, 1)) + 1)
    yield Comparison("concat", ndl.concat([x, x[::-1]], axis=1).numpy(), np.concatenate([host, host[::-1]], 1))
    for dtype in (ndl.int8, ndl.int64, ndl.bool):
        source = host * 3
        yield Comparison(f"float32 as {dtype}", ndl.astype(ndl.asarray(source), dtype).numpy(), source.astype(dtype))


# -- folding ----------------------------------------------------------------------------------------


def _axes(shape: tuple[int, ...]) -> list[int | tuple[int, ...] | None]:
    return [None, *range(len(shape)), *([(0, 2)] if len(shape) == 3 else [])]


def reductions(device: ndl.Device) -> Iterator[Comparison]:
    """Sums, means and extremes over rows, columns, and everything."""
    for dtype in [*float_dtypes(device), ndl.int32]:
        for shape in _SHAPES:
            host = (_normal(shape, ndl.float64) * (50 if dtype == ndl.int32 else 1)).astype(dtype)
            for axis in _axes(shape):
                yield from _of_reductions(host, axis)
    small = abs(_normal((37, 53), ndl.float64) * 40)
    for dtype, name in ((ndl.int8, "max"), (ndl.bool, "all")):
        host = small.astype(dtype)
        for axis in (0, 1):
            folded = getattr(ndl, name)(ndl.asarray(host), axis).numpy()
            yield Comparison(f"{name} of {dtype} (37, 53) along {axis}", folded, getattr(host, name)(axis))
    for shape in ((4, 6), (37, 53)):  # an expression with several operands on the way into the fold
        host = _normal(shape, ndl.float32)
        x, exact = ndl.asarray(host), wide(host)
        for axis in (0, 1):
            deviations = (x - x[:1]) * 0.5 + (x - x[:1]) * x
            expected = (exact - exact[:1]) * 0.5 + (exact - exact[:1]) * exact
            what = f"fused sum of {shape} along {axis}"
            yield Comparison(what, deviations.sum(axis).numpy(), expected.sum(axis), abs(expected).sum(axis))
    spoiled = _normal((37, 53), ndl.float32)
    spoiled[5, 7] = np.nan
    yield Comparison("max of NaN", ndl.max(ndl.asarray(spoiled), 1).numpy(), spoiled.max(1))


def scans(device: ndl.Device) -> Iterator[Comparison]:
    """Sums and maxima of all beginnings of rows and of columns, of a view and of an expression."""
    for dtype in [*float_dtypes(device), ndl.int32]:
        host = (_normal((37, 53), ndl.float64) * (50 if dtype == ndl.int32 else 1)).astype(dtype)
        exact = wide(host)[::-1] * 2
        for axis in (0, 1):
            found = ndl.cumulative_sum(ndl.asarray(host)[::-1] * 2, axis=axis, dtype=dtype).numpy()
            what, size = f"sums of beginnings of {dtype} (37, 53) along {axis}", np.cumsum(abs(exact), axis)
            yield Comparison(what, found, np.cumsum(exact, axis), size)
            largest, _ = ndl.cummax(ndl.asarray(host)[::-1] * 2, axis=axis)
            what = f"maxima of beginnings of {dtype} (37, 53) along {axis}"
            yield Comparison(what, largest.numpy(), np.maximum.accumulate(exact, axis), exact=True)


def _of_reductions(host: np.ndarray, axis: int | tuple[int, ...] | None) -> Iterator[Comparison]:
    x, exact = ndl.asarray(host), wide(host)
    what = f"of {host.dtype} {host.shape} along {axis}"
    folded = host.size // max(1, np.sum(exact, axis).size)
    if abs(exact).sum() < 6e4:  # float16 holds no more
        yield Comparison(f"sum {what}", x.sum(axis).numpy(), np.sum(exact, axis), np.sum(abs(exact), axis))
    if folded:
        if is_float(host.dtype):
            magnitude = np.mean(abs(exact), axis)
            yield Comparison(f"mean {what}", (x * 2 - 1).mean(axis).numpy(), np.mean(exact, axis) * 2 - 1, magnitude)
        yield Comparison(f"max {what}", x.max(axis).numpy(), np.max(host, axis))
        yield Comparison(f"min {what}", x.min(axis).numpy(), np.min(host, axis))


def positions(device: ndl.Device) -> Iterator[Comparison]:
    """Where the extremes are: the first of several."""
    for dtype in [*float_dtypes(device), ndl.int32]:
        for shape in _SHAPES[:-1]:
            host = np.round(_normal(shape, ndl.float64) * 4).astype(dtype)
            for axis in (None, *range(len(shape))):
                what = f"of {dtype} {shape} along {axis}"
                yield Comparison(f"argmax {what}", ndl.argmax(ndl.asarray(host), axis=axis).numpy(), host.argmax(axis))
                yield Comparison(f"argmin {what}", ndl.argmin(ndl.asarray(host), axis=axis).numpy(), host.argmin(axis))


# -- moving elements --------------------------------------------------------------------------------


def copies(device: ndl.Device) -> Iterator[Comparison]:
    """Every dtype to the device and back, whole and in part, and values set in place."""
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        yield from _of_copies((_normal((9, 31), ndl.float64) * 40).astype(name))
    for dtype in float_dtypes(device):
        yield from _of_copies(_normal((9, 31), dtype))


def _of_copies(host: np.ndarray) -> Iterator[Comparison]:
    x = ndl.asarray(host)
    yield Comparison(f"{host.dtype} there and back", x.numpy(), host)
    yield Comparison(f"every third of {host.dtype}", x[1:, ::3].numpy(), host[1:, ::3])
    changed = host.copy()
    changed[2:5, ::2] = changed[3, 1]
    x = ndl.asarray(host)
    x[2:5, ::2] = ndl.asarray(host)[3, 1]
    yield Comparison(f"values of {host.dtype} set in place", x.numpy(), changed)


# -- gradients and training -------------------------------------------------------------------------


def gradients(device: ndl.Device) -> Iterator[Comparison]:
    """The gradients of softmax and of taking by indices along every axis."""
    for dtype in float_dtypes(device):
        for shape in ((1, 1), (5, 3), (37, 53), (3, 1025), (4, 7, 5)):
            host = _normal(shape, ndl.float64) * 3
            host[0, 0] += 60
            for axis in range(host.ndim):
                yield _of_softmax_gradient(host.astype(dtype), axis)
        for host in (_normal((7,), dtype), _normal((37, 53), dtype), _normal((3, 70, 33), dtype)):
            for axis in range(host.ndim):
                yield _of_take_gradient(host, axis)


def _of_softmax_gradient(host: np.ndarray, axis: int) -> Comparison:
    what = f"of {host.dtype} {host.shape} along {axis}"
    exact = wide(host)
    powers = np.exp(exact - exact.max(axis, keepdims=True))
    chances = powers / powers.sum(axis, keepdims=True)
    weights = _rng(what).uniform(-1, 1, host.shape).astype(host.dtype)
    variable = ndl.Tensor(host)
    (ndl.softmax(variable, axis=axis) * ndl.asarray(weights)).sum().backward()
    slope = chances * (wide(weights) - (chances * wide(weights)).sum(axis, keepdims=True))
    return Comparison(f"gradient of softmax {what}", variable.grad.numpy(), slope, 1)


def _of_take_gradient(host: np.ndarray, axis: int) -> Comparison:
    what = f"{host.dtype} {host.shape} along {axis}"
    rng, size = _rng(what), host.shape[axis]
    indices = rng.integers(-size, size, 19)
    variable = ndl.Tensor(host)
    taken = ndl.take(variable, ndl.asarray(indices), axis=axis)
    weights = rng.uniform(-1, 1, taken.shape).astype(host.dtype)
    (taken * ndl.asarray(weights)).sum().backward()
    expected = np.zeros(host.shape)
    np.add.at(np.moveaxis(expected, axis, 0), indices, np.moveaxis(wide(weights), axis, 0))
    return Comparison(f"gradient of take from {what}", variable.grad.numpy(), expected, 4)


def training(device: ndl.Device) -> Iterator[Comparison]:
    """Five steps of each optimizer on a small network."""

    def train(optimizer: Callable[..., ndl.optim.Optimizer], where: ndl.Device) -> list[np.ndarray]:
        with where:
            weights = [ndl.Tensor(_normal(shape, ndl.float32) * 0.3) for shape in ((17, 13), (13,), (13, 5))]
            steps = optimizer(weights, lr=0.05)
            x, labels = ndl.asarray(_normal((33, 17), ndl.float32)), ndl.asarray(_rng("labels").integers(0, 5, 33))
            for _ in range(5):
                steps.reset_grad()
                logits = (x @ weights[0] + weights[1]).relu() @ weights[2]
                ndl.nn.functional.cross_entropy(logits, labels).backward()
                steps.step()
            return [weight.numpy() for weight in weights]

    def momentum(weights: list[ndl.Tensor], lr: float) -> ndl.optim.Optimizer:
        return ndl.optim.SGD(weights, lr=lr, momentum=0.9)

    optimizers: dict[str, Callable[..., ndl.optim.Optimizer]]
    optimizers = {"SGD": momentum, "Adam": ndl.optim.Adam, "AdamW": ndl.optim.AdamW}
    for name, optimizer in optimizers.items():
        pairs = zip(train(optimizer, device), train(optimizer, ndl.device("numpy")), strict=True)
        for number, (actual, expected) in enumerate(pairs):
            yield Comparison(f"weight {number} after {name}", actual, expected, 10)


def _of_primitives(records: Sequence[Primitive], device: ndl.Device) -> Iterator[Comparison]:
    """Every example of the records, on operands that lie in memory in every way."""
    for record in records:
        yield from primitives.check(record, device)


#: The families in the order in which they are examined, by the name that the report gives them. Those of primitives
#: are made of the records' examples.
FAMILIES: Mapping[str, Family] = {
    "copies": copies,
    "elementwise": elementwise,
    "limits": limits.limits,
    "recomputed": limits.recomputed,
    "integers": integers,
    "views": views,
    "reductions": reductions,
    "scans": scans,
    "positions": positions,
    **{name: partial(_of_primitives, records) for name, records in primitives.families().items()},
    "gradients": gradients,
    "training": training,
}
