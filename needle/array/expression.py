"""Pending elementwise operations, and how they become one program.

An elementwise operation launches nothing. It leaves a `Pending` on its result, which names the record and
the operands, arrays that may be pending themselves. When values are needed, `linearize` walks that graph
down to arrays in memory and writes it out as a `FusedProgram`, which a device runs in one launch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from needle.array.storage import Readers
from needle.backend.protocol import Expression
from needle.backend.records import Elementwise, FusedProgram, Node
from needle.dtypes import DType, Scalar, bool_, compute_dtype, float_for, is_float, join_scalar, kind_of, promote

if TYPE_CHECKING:
    from needle.array.ndarray import NDArray

#: The most nodes, operands and scalars that one pending expression may have, counted as a tree. It bounds
#: the size of kernels (a launch takes at most half as many arrays) and how much may be computed twice.
MAX_SIZE = 96

#: How many launches may compute a pending array as an inner step before one stores it. With two, a forward and a
#: backward pass may each compute it, which can cost less than to write and read it. Without a bound, each launch would
#: compute a running average from its beginning, if only later averages are ever read.
MAX_USES = 2

#: A pending 0-d array older than so many launches is stored before an operation is recorded on it. Without that, the
#: expression of a running total of losses would grow with each step, and each length is another kernel to compile.
MAX_AGE = 8

#: How often, at most, launches may have been made between the operations of a pending expression, along any path: once
#: between a forward and a backward pass, say. What a loop hands on from step to step, the state of a recurrent cell or
#: a moving average, meets one with each step. It is stored, since each depth would be another kernel to compile.
MAX_GENERATIONS = 1


class _Clock(threading.local):
    """Counts the launches that a thread has asked for: what other threads launch must not change what it records."""

    launches = 0


clock = _Clock()

SCALARS = (bool, int, float)
_SCALAR_CLASSES = frozenset(SCALARS)

#: A constant: its one operand is the Python scalar that fills the array.
FULL = Elementwise("full", "x", lambda x: x, arity=1, typing="cast")
#: The same values in another dtype.
CAST = Elementwise("cast", "x", lambda x: x, arity=1, typing="cast")


class Pending:
    """`record` applied to `operands` (arrays and Python scalars), not yet computed; `make_pending` makes it.

    Attributes:
        size: the nodes, operands and scalars of the expression, counted as a tree.
        constant: whether there is no array below it, so that it has its value in any shape.
        born: the launches of the thread (`clock`) when it was recorded.
        generation: how often launches were made between the operations below it, along the path with most of them.
        uses: how many launches have computed it on the way to something else.
        readers: the pending arrays that still have to read the result.
        version: how often the array has been overwritten while it was pending.
    """

    __slots__ = ("born", "constant", "generation", "operands", "readers", "record", "size", "uses", "version")

    record: Elementwise
    operands: tuple[Any, ...]
    size: int
    constant: bool
    born: int
    generation: int
    uses: int
    readers: Readers
    version: int


def make_pending(
    record: Elementwise, operands: tuple[Any, ...], size: int, constant: bool, born: int = 0, generation: int = 0
) -> Pending:
    """A new `Pending`. Every elementwise operation makes one, and an `__init__` would take twice as long."""
    pending = Pending()
    pending.record = record
    pending.operands = operands
    pending.size = size
    pending.constant = constant
    pending.born = born
    pending.generation = generation
    pending.uses = 0
    pending.readers = Readers()
    pending.version = 0
    return pending


class Linearized(NamedTuple):
    """Pending arrays as one program: what a device runs, the arrays it reads, the pending arrays it computes."""

    expression: Expression
    inputs: list[NDArray]
    steps: list[NDArray]


@lru_cache(maxsize=4096)
def operand_dtypes(record: Elementwise, kinds: tuple[DType | type, ...]) -> tuple[tuple[DType, ...], DType]:
    """The dtype in which `record` takes each operand, and that of its result.

    `kinds` gives an array's dtype and a Python scalar's type, in the order of the operands. Raises
    TypeError for dtypes that the operation does not accept.
    """
    common = bool_ if record.typing == "logical" else _common_dtype(kinds[1:] if record.typing == "select" else kinds)
    if record.typing == "float":
        common = float_for(common)
    if kind_of(common) not in record.kinds:
        raise TypeError(f"{record.name} is not defined for dtype {common}")
    wanted = [common] * len(kinds)
    if record.typing == "select":
        wanted[0] = bool_
    return tuple(wanted), bool_ if record.typing in ("compare", "logical") else common


def _common_dtype(kinds: Sequence[DType | type]) -> DType:
    """The dtype in which arrays and weak Python scalars meet; scalars alone have their default dtypes."""
    dtypes = [kind for kind in kinds if isinstance(kind, np.dtype)]
    common = dtypes[0] if dtypes else bool_
    for dtype in dtypes[1:]:
        common = promote(common, dtype)
    for kind in kinds:
        if not isinstance(kind, np.dtype):
            common = join_scalar(common, kind(0))
    return common


def check_scalar(value: Any, dtype: DType) -> Scalar:
    """`value` as a Python scalar that `dtype` can hold. Raises OverflowError where it cannot."""
    if isinstance(value, np.generic):
        value = value.item()
    elif value.__class__ not in _SCALAR_CLASSES:  # a subclass, as of an enumeration
        value = int(value) if isinstance(value, int) else float(value)
    join_scalar(dtype, value)
    if is_float(dtype) and isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            raise OverflowError(f"an integer of {value.bit_length()} bits does not fit in {dtype}") from None
    return value


def _scalar_dtype(array: NDArray, pending: Pending) -> DType:
    """The dtype of the Python scalars among a node's operands: the one it computes in, or compares in.

    With halves it is float32, so that a count of 70,000 is not infinite.
    """
    if pending.record.typing in ("compare", "logical"):
        return next((o.dtype for o in pending.operands if not isinstance(o, SCALARS)), bool_)
    return array.dtype if pending.record.typing == "select" else compute_dtype(array.dtype)


#: What distinguishes an input, a scalar and a node in an encoded operand: 3 * position + one of these.
_INPUT, _SCALAR, _NODE = range(3)

_programs: dict[tuple[Any, ...], FusedProgram] = {}


class _Linearizer:
    """Collects the parts of a program; `steps` are the pending arrays that its nodes compute."""

    def __init__(self) -> None:
        self.inputs: list[NDArray] = []
        self.scalars: list[Scalar] = []
        self.scalar_dtypes: list[DType] = []
        self.steps: list[NDArray] = []
        self.code: list[Any] = []  # for each node its record, its dtype and its encoded operands
        self.places: dict[int, int] = {}

    def visit(self, array: NDArray) -> int:
        """The encoded operand that stands for `array`."""
        pending = array._pending
        identity = id(array if pending is None else pending)
        place = self.places.get(identity)
        if place is not None:
            return place
        if pending is None:
            place = 3 * len(self.inputs) + _INPUT
            self.inputs.append(array)
        elif pending.record is FULL:
            place = self.add_scalar(pending.operands[0], array.dtype)
        else:
            code: list[Any] = [pending.record, array.dtype]
            for operand in pending.operands:
                if operand.__class__ in _SCALAR_CLASSES:
                    code.append(self.add_scalar(operand, _scalar_dtype(array, pending)))
                else:
                    code.append(self.visit(operand))
            place = 3 * len(self.steps) + _NODE
            self.steps.append(array)
            self.code += code
        self.places[identity] = place
        return place

    def add_scalar(self, value: Any, dtype: DType) -> int:
        self.scalars.append(value)
        self.scalar_dtypes.append(dtype)
        return 3 * len(self.scalars) - 3 + _SCALAR


def linearize(outputs: Sequence[NDArray]) -> Linearized:
    """Write the expressions of `outputs`, which have one shape, as a single program.

    Shared parts appear once. Programs are interned: one structure is always the same object, so that a
    device finds its compiled kernel by identity.
    """
    parts = _Linearizer()
    targets = tuple([parts.visit(o) for o in outputs])
    inputs = tuple([a.dtype for a in parts.inputs])
    key = (inputs, tuple(parts.scalar_dtypes), tuple(parts.code), targets)
    program = _programs.get(key)
    if program is None:
        program = _programs.setdefault(key, _decode(*key))
    return Linearized(Expression(program, parts.inputs, parts.scalars), parts.inputs, parts.steps)


def positions(inputs: Sequence[NDArray], arrays: Sequence[NDArray]) -> list[int]:
    """The position in `arrays` of each of `inputs`. Raises KeyError for an input that is not among them."""
    places = {id(array): i for i, array in enumerate(arrays)}
    return [places[id(source)] for source in inputs]


def _decode(
    inputs: tuple[DType, ...], scalars: tuple[DType, ...], code: tuple[Any, ...], targets: tuple[int, ...]
) -> FusedProgram:
    """The program that a key of `_programs` encodes: values get their numbers, and nodes become objects."""
    base = (0, len(inputs), len(inputs) + len(scalars))
    nodes = []
    rest = iter(code)
    for record in rest:
        dtype = next(rest)
        operands = [next(rest) for _ in range(record.arity)]
        nodes.append(Node(record, tuple(base[o % 3] + o // 3 for o in operands), dtype))
    return FusedProgram(inputs, scalars, tuple(nodes), tuple(base[t % 3] + t // 3 for t in targets))
