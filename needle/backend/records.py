"""What an operation tells a backend about itself.

`needle.ops` declares each operation once and hands its record down; a backend reads records and never
imports the operations. `reference` is the operation in NumPy: it is how the numpy backend runs it and the
oracle of its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from needle.dtypes import DType, Scalar, Shape, compute_dtype, converted, is_bool, is_float, kind_of

Reference = Callable[..., Any]

#: How an elementwise operation treats dtypes:
#: "same"    operands meet in their promoted dtype, which is the result's;
#: "float"   the same, integers and bools first becoming the default float;
#: "compare" operands meet in their promoted dtype, the result is bool;
#: "logical" operands are cast to bool, the result is bool;
#: "select"  the first operand is cast to bool, the others meet as in "same";
#: "cast"    one operand, the result's dtype is given by the caller.
Typing = Literal["same", "float", "compare", "logical", "select", "cast"]


@dataclass(frozen=True, eq=False)
class Elementwise:
    """An operation on corresponding elements.

    `cl` is an OpenCL C expression over the operands x, y, z, valid for scalars and for vectors alike, or
    one for each group of dtype kinds ("b" bool, "i" signed, "u" unsigned, "f" float) that needs its own;
    in it `T` names the operands' scalar type (for "select" the result's); halves are computed as floats, and `T` is
    then `float`. `kinds` are the dtype kinds that the operation accepts after promotion.
    """

    name: str
    cl: str | Mapping[str, str]
    reference: Reference
    arity: int
    typing: Typing = "same"
    kinds: str = "biuf"


@dataclass(frozen=True, eq=False)
class Reduction:
    """A fold of many elements into one.

    `combine` is an OpenCL C expression over a new element `a` and the accumulator `b`, valid for scalars
    and vectors; `identity` one over the accumulator's scalar type `T`; `finish` one over the folded value
    `r` and the number of elements folded `n`. `compensated` asks for block-wise summation whose error
    grows with the logarithm of the length. `wraps` says that integers may overflow, and then wrap around. `index`
    folds (value, position) pairs and returns positions: `combine` is then a condition, true where the new element
    `a` displaces the current one `b`. `quick` is `combine` for floats that may pass over a NaN, for kernels that
    look for NaNs apart.
    """

    name: str
    combine: str
    identity: str
    reference: Reference
    result: Callable[[DType], DType]
    finish: str = "r"
    compensated: bool = False
    wraps: bool = False
    index: bool = False
    quick: str = ""
    kinds: str = "biuf"


@dataclass(frozen=True, eq=False)
class Scan:
    """The folds of all beginnings of a sequence: element i of the result folds the elements up to i.

    `combine` and `identity` are as those of a `Reduction`; `combine` must be associative. `reference(x, axis=...)`
    returns an array of the shape of `x`. `wraps` says that integers may overflow, and then wrap around.
    """

    name: str
    combine: str
    identity: str
    reference: Reference
    wraps: bool = False
    kinds: str = "biuf"


#: Shapes and dtypes of a primitive's outputs, given its inputs' and its parameters.
Signature = Callable[..., tuple[tuple[Shape, DType], ...]]

#: A number of things that a primitive does, given its inputs and its parameters.
Count = Callable[..., int]


@dataclass(frozen=True)
class Operand:
    """An array of an example: its shape, and how its elements are drawn.

    Without a `dtype` it has the one that is being tried; all such operands of an example share it. Integers are
    drawn from low <= x < high, at least 0 for an unsigned dtype; floats from the same range; bools are even chances.
    """

    shape: Shape
    dtype: DType | None = None
    low: float = -3
    high: float = 3

    def draw(self, random: np.random.Generator, dtype: DType) -> np.ndarray:
        """Such an array, of `dtype` where the operand has none of its own."""
        wanted = self.dtype or dtype
        if is_bool(wanted):
            return random.random(self.shape) < 0.5
        if is_float(wanted):
            return random.uniform(self.low, self.high, self.shape).astype(wanted)
        low = max(0, int(self.low)) if kind_of(wanted) == "u" else int(self.low)
        return random.integers(low, int(self.high), self.shape).astype(wanted)


@dataclass(frozen=True)
class Example:
    """A call of a primitive, by which it is tested: the arrays and the parameters."""

    operands: tuple[Operand, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


#: Every primitive by name, in the order of declaration.
PRIMITIVES: dict[str, Primitive] = {}


@dataclass(frozen=True, eq=False)
class Primitive:
    """An operation with a kernel family of its own (matmul, softmax, take, ...).

    Declaring one enters it in `PRIMITIVES`; ValueError is raised for a name that is taken.

    `reference(*arrays, **params)` returns one NumPy array, or a tuple for several outputs;
    `signature(*inputs, **params)`, whose inputs carry `shape` and `dtype`, returns a (shape, dtype) for
    each output and raises for operands that do not fit. A backend finds its launcher by `name`.

    `strided` says that the launchers read views of any offset and strides, negative and zero ones too. Without it
    every input is contiguous and begins at the first element of its buffer: views are copied before.

    For the tests: each of the `examples` is tried with operands of dtypes of the `kinds` ("b" bool, "i" signed,
    "u" unsigned, "f" float), lying in memory in every way. The self-test reports on it under `family`, by default
    its name.

    For the profiler: `flops(*inputs, **params)` is the number of arithmetic operations that it takes, none
    where it only moves elements; `reads(*inputs, **params)` the most elements that it reads of its first
    input, where that need not be all of them.
    """

    name: str
    reference: Reference
    signature: Signature
    flops: Count | None = None
    reads: Count | None = None
    strided: bool = False
    kinds: str = "biuf"
    examples: tuple[Example, ...] = ()
    family: str = ""

    def __post_init__(self) -> None:
        if self.name in PRIMITIVES:
            raise ValueError(f"there is a primitive {self.name!r} already")
        PRIMITIVES[self.name] = self


@dataclass(frozen=True, eq=False)
class Node:
    """One step of a `FusedProgram`: `record` applied to earlier values, giving `dtype`."""

    record: Elementwise
    operands: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True, eq=False)
class FusedProgram:
    """A fused elementwise expression as straight-line code.

    Values are numbered: first the inputs (arrays), then the scalars, then one for each node. `outputs`
    are the numbers of the values to store. Programs of one structure are one object, so a device may keep
    what it compiles for a program under its identity.
    """

    inputs: tuple[DType, ...]
    scalars: tuple[DType, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    @property
    def dtypes(self) -> list[DType]:
        """The dtype of every value, by number."""
        return [*self.inputs, *self.scalars, *(node.dtype for node in self.nodes)]

    def evaluate(self, arrays: list[np.ndarray], scalars: list[Scalar]) -> list[np.ndarray]:
        """Run the program with NumPy, node by node, by the records' references. Halves are floats meanwhile."""
        values: list[Any] = list(arrays)
        with np.errstate(all="ignore"):
            values += [np.asarray(s).astype(d)[()] for s, d in zip(scalars, self.scalars, strict=True)]
            for node in self.nodes:
                operands = [values[i] for i in node.operands]
                if node.record.typing == "cast":
                    values.append(converted(np.asarray(operands[0]), node.dtype))
                else:
                    result = node.record.reference(*map(_widened, operands))
                    values.append(np.asarray(result).astype(node.dtype, copy=False))
        return [np.asarray(values[i]) for i in self.outputs]


def _widened(value: Any) -> Any:
    """`value` in the dtype that it is computed in: an operation of several steps is rounded once, at its end."""
    return value.astype(compute_dtype(value.dtype), copy=False)
