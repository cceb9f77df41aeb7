"""Every primitive, from the examples of its record, on operands that lie in memory in every way.

The self-test, the run under Oclgrind and the tests on devices draw from here; so a new record is in all three.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.backend.protocol import Device
from needle.backend.records import PRIMITIVES, Example, Primitive
from needle.doctor.arrangements import ARRANGEMENTS
from needle.doctor.comparison import Comparison, wide
from needle.dtypes import DType, float16, float32, float64, int32, is_float, kind_of

#: The dtypes of operands. A primitive's own tests try the others; each means another program to compile.
DTYPES: tuple[DType, ...] = (float32, float64, float16, int32)


def families() -> dict[str, list[Primitive]]:
    """The declared primitives by the family under which the self-test reports them."""
    found: dict[str, list[Primitive]] = {}
    for record in PRIMITIVES.values():
        found.setdefault(record.family or record.name, []).append(record)
    return found


def check(
    record: Primitive,
    device: Device,
    dtypes: Iterable[DType] = DTYPES,
    examples: Sequence[Example] | None = None,
    mixed: bool = True,
) -> Iterator[Comparison]:
    """Run `examples`, by default all of the record, on `device`, each result beside that of its reference.

    Operands get each of `dtypes` that the record takes and the device has, and lie in memory in each arrangement:
    all in the same one, and if `mixed` each in turn in one of its own. Examples of other dtypes that the device
    lacks are left out.
    """
    wanted = [dtype for dtype in dtypes if kind_of(dtype) in record.kinds and device.supports(dtype)]
    for example in record.examples if examples is None else examples:
        for dtype in wanted if _varies(example) else wanted[:1]:
            yield from _check_example(record, example, device, dtype, mixed)


def _varies(example: Example) -> bool:
    """Whether the dtypes of an example's operands can be chosen."""
    return any(operand.dtype is None for operand in example.operands)


def _check_example(
    record: Primitive, example: Example, device: Device, dtype: DType, mixed: bool
) -> Iterator[Comparison]:
    operands = ", ".join(str(operand.shape) for operand in example.operands)
    random = np.random.default_rng(zlib.crc32(f"{record.name} {operands}".encode()))
    drawn = [operand.draw(random, dtype) for operand in example.operands]
    signature = record.signature(*drawn, **example.params)
    if not all(map(device.supports, [*(values.dtype for values in drawn), *(dtype for _, dtype in signature)])):
        return
    parameters = "".join(f", {name}={value}" for name, value in example.params.items())
    for names in _combinations(len(drawn), mixed):
        arranged = [ARRANGEMENTS[name](values, device) for name, values in zip(names, drawn, strict=True)]
        what = f"{record.name} of {dtype} {operands}{parameters}" + (f", {' and '.join(names)}" if names else "")
        yield from _compare(what, record, example.params, device, arranged)


def _combinations(count: int, mixed: bool) -> Iterator[tuple[str, ...]]:
    """Arrangements of `count` operands: all alike, then, if `mixed`, each in turn otherwise than the plain others."""
    if not count:
        yield ()
        return
    for name in ARRANGEMENTS:
        yield (name,) * count
    for position in range(count if mixed and count > 1 else 0):
        for name in ARRANGEMENTS:
            if name != "plain":
                yield (*("plain",) * position, name, *("plain",) * (count - position - 1))


def _compare(
    what: str, record: Primitive, params: Any, device: Device, arranged: Sequence[tuple[np.ndarray, NDArray]]
) -> Iterator[Comparison]:
    """Each output of `record` on the views beside that of its reference on their values, in float64."""
    values, views = [pair[0] for pair in arranged], [pair[1] for pair in arranged]
    actual = views[0].run(record, *views[1:], **params) if views else NDArray.run_new(record, device, **params)
    with np.errstate(all="ignore"):
        expected = record.reference(*map(wide, values), **params)
        sizes = record.reference(*[abs(wide(v)) if is_float(v.dtype) else v for v in values], **params)
    outputs = list(zip(_several(actual), _several(expected), _several(sizes), strict=True))
    for number, (output, value, size) in enumerate(outputs):
        which = f", output {number}" if len(outputs) > 1 else ""
        yield Comparison(what + which, output.numpy(), np.asarray(value), _largest(np.asarray(size)))


def _several(outputs: Any) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _largest(sizes: np.ndarray) -> float:
    """The largest finite magnitude among `sizes`: that of the numbers which the results were summed from."""
    finite = abs(sizes[np.isfinite(sizes)])
    return float(finite.max(initial=0))
