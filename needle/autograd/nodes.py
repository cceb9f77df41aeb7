"""The graph: operations, nodes and values.

An `Op` is an operation. A `Node` is an operation applied once: what it was applied to and what came of it. A
`Value` is the array of one output of a node, or a leaf, which has no node. A value holds its node and a node the
values that it was applied to, never its outputs, so that a graph nobody holds is freed by counting references.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar
from weakref import ref

import numpy as np

from needle.autograd.modes import entered, set_grad
from needle.autograd.overwritten import Overwritten
from needle.dtypes import DType, is_float

T = TypeVar("T")

#: Where a gradient goes: to an output of a node, or to a leaf, whose number is 0.
Edge: TypeAlias = "tuple[Node | Value, int]"


class Op:
    """An operation. Subclass it to define your own: `compute` on arrays, `gradient` on tensors.

    `compute(*arrays)` returns the result as an array, or a tuple of arrays if there are several outputs. NumPy's arrays
    are brought to the device of the others, here and from `gradient`.
    `gradient(out_grad, node)` returns the gradient with respect to each of `node.inputs`: one tensor, or a tuple
    with None where there is none. A gradient may have the shape that the input was broadcast to; it is summed back
    afterwards. With one output, `node` is the result, a tensor. With several, `out_grad` is a tuple with None for
    outputs that do not matter to the result, and the tensors are `node.outputs`.

    needle's own operations define `vjp` instead, which differentiates with respect to one input at a time
    and is never asked for a gradient that nobody needs.

    What the gradient needs of the forward pass is an output as well: `compute` returns it after the others, and
    `saved` says how many of them there are. An op keeps nothing of a call on itself, so it may be applied twice.
    """

    name: str = ""

    #: How many of the last outputs are for the gradient alone: the caller is not given them.
    saved: int = 0

    #: Whether the result may be a view of the first argument. Such an op defines `embed`.
    is_view: bool = False

    def __call__(self, *args: Any) -> Any:
        return apply(self, args)

    def compute(self, *arrays: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no compute")

    def vjp(self, index: int, grad: Any, output: Any, *args: Any) -> Any:
        """The gradient with respect to argument `index`, given that with respect to the output.

        Where `compute` returned a tuple, `grad` and `output` are tuples too, `grad` with None for an output that
        does not matter. Arguments and outputs are arrays, or values if the gradient is to be differentiated.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither gradient nor vjp")

    def gradient(self, out_grad: Any, node: Any) -> Any:
        """The gradients with respect to `node.inputs`, given those with respect to the outputs."""
        output = node.outputs if isinstance(node, Node) else node
        return tuple(
            self.vjp(i, out_grad, output, *node.args) for i, arg in enumerate(node.args) if isinstance(arg, Value)
        )

    def embed(self, base: Any, view: Any) -> Any:
        """`base`, of which `view` is the view that this op makes, with the history of both; the values are there."""
        raise NotImplementedError(f"{type(self).__name__} makes no views")

    def __repr__(self) -> str:
        return self.name or type(self).__name__


class _Freed(Op):
    """Stands in a node whose graph has been released by backward."""


#: The op of a node that was freed.
FREED = _Freed()


class Node:
    """An operation applied once; made by `apply`.

    Attributes:
        op, args: the operation, and what it was applied to, scalars and plain arrays included.
        arrays, versions: the arrays that it computed with, and their versions then; None for what is not a value's.
        edges: for each argument where its gradient goes, a node and the number of its output, or a leaf and 0; None
            where it requires none. An argument that is written into gets another node; the edge stays.
        results, result_versions: the arrays that came of it, and their versions then.
        several: whether `compute` returned a tuple.
        existing: for each output a weak reference to its value, which holds the node.
        hooks: only where somebody registered some (`needle.autograd.hooks`), with the number of the output of each.
    """

    __slots__ = (
        "args", "arrays", "edges", "existing", "hooks", "op", "result_versions", "results", "several", "versions",
    )  # fmt: skip

    op: Op
    args: tuple[Any, ...]
    arrays: list[Any]
    versions: list[int | None]
    edges: list[Edge | None]
    results: tuple[Any, ...]
    result_versions: list[int]
    several: bool
    existing: list[ref[Value]]
    hooks: list[tuple[int, Callable[[Any], Any]]]

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values that the operation was applied to."""
        return tuple(arg for arg in self.args if isinstance(arg, Value))

    @property
    def outputs(self) -> tuple[Any, ...]:
        """The values of all outputs, saved ones included; one that was overwritten refuses to be read."""
        return self.computed(True)

    def free(self) -> None:
        """Let go of everything."""
        self.op, self.args, self.arrays, self.edges, self.results = FREED, (), [], [], ()

    def value(self, index: int) -> Value:
        """The value of an output: the one that is there already, else a new one of the same history."""
        value = self.existing[index]()
        if value is None:
            value = _output(self, index)
            self.existing[index] = ref(value)
        return value

    def computed(self, as_values: bool) -> tuple[Any, ...]:
        """The arrays that came of the operation, or their values; an overwritten one refuses to be read."""
        outputs: list[Any] = []
        for index, array in enumerate(self.results):
            output = self.value(index) if as_values else array
            if array.version != self.result_versions[index] or (as_values and output.cached_data is not array):
                output = Overwritten(array, self.op)
            outputs.append(output)
        return tuple(outputs)

    def read(self, as_values: bool) -> Sequence[Any]:
        """What the operation was applied to, as arrays or as `args`; what was overwritten refuses to be read.

        The arrays are those that were read, whatever their values hold by now.
        """
        read = list(self.args if as_values else self.arrays)
        for index, version in enumerate(self.versions):
            if version is not None:
                array = self.arrays[index]
                if array.version != version or (as_values and read[index].cached_data is not array):
                    read[index] = Overwritten(array, self.op)
        return read


class Value:
    """An array in the graph: output number `index` of `node`, or a leaf, whose node is None.

    `view_of` is, for a view, the op that made it and the value whose memory it shows. `rewrites` counts how often an
    operation with a gradient has written into that memory: of a view, those that its history tells of (see
    `needle.ops.rewriting`).
    """

    __slots__ = (
        "__weakref__",
        "_requires_grad",
        "cached_data",
        "grad",
        "hooks",
        "index",
        "node",
        "rewrites",
        "view_of",
    )

    #: The class of operations' results; `needle.tensor` sets it.
    result_class: ClassVar[type[Value]]

    cached_data: Any
    node: Node | None
    index: int
    grad: Any
    hooks: list[tuple[int, Callable[[Any], Any]]]  # of a leaf, as a node has them
    _requires_grad: bool
    view_of: tuple[Op, Value] | None
    rewrites: int

    def _set(self, data: Any, requires_grad: bool) -> None:
        """Be a leaf."""
        self.cached_data = data
        self.node = None
        self.index = 0
        self._requires_grad = requires_grad
        self.grad = None
        self.view_of = None
        self.rewrites = 0

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for this value.

        Setting it raises TypeError for a dtype that is not floating, ValueError where a computed value would stop.
        """
        if self.view_of is not None:
            refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if requires_grad:
            check_differentiable(self.cached_data.dtype)
        if self.node is not None and not requires_grad:
            raise ValueError("a computed tensor cannot stop requiring a gradient; use detach()")
        self._requires_grad = bool(requires_grad)

    @property
    def op(self) -> Op | None:
        """The operation that this value is an output of; None for a leaf."""
        return None if self.node is None else self.node.op

    @property
    def args(self) -> tuple[Any, ...]:
        """What `op` was applied to, scalars and plain arrays included."""
        return () if self.node is None else self.node.args

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values this one was computed from; empty for a leaf."""
        return () if self.node is None else self.node.inputs

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this value."""
        return self.node is None


def check_differentiable(dtype: DType) -> None:
    """Raise TypeError unless tensors of `dtype` can require a gradient."""
    if not is_float(dtype):
        raise TypeError(f"requires_grad=True needs a floating dtype; this tensor has {dtype}")


class _Gone:
    """What a weak reference to a value is that is there no more."""


_GONE: Any = ref(_Gone())


def make_value(data: Any, requires_grad: bool = False) -> Value:
    """A new leaf of `Value.result_class`, bypassing its constructor's conversions."""
    cls = Value.result_class
    value = cls.__new__(cls)
    value.cached_data = data
    value.node = None
    value.index = 0
    value._requires_grad = requires_grad
    value.grad = None
    value.view_of = None
    value.rewrites = 0
    return value


def refresh(value: Value) -> Value:
    """The value that a view shows the memory of. The view's history then tells of all that was written there."""
    if value.view_of is None:
        return value
    op, base = value.view_of
    root = refresh(base)
    if value.rewrites != root.rewrites:
        value.rewrites = root.rewrites
        if base._requires_grad:
            with set_grad(True):
                take_history(value, apply(op, (base,)))
    return root


def take_history(value: Value, source: Value) -> None:
    """Give `value`, whose array holds the values of `source` by now, the place of `source` in the graph."""
    node, index = source.node, source.index
    if node is None:
        return
    array = value.cached_data
    forget(value)
    node.results = (*node.results[:index], array, *node.results[index + 1 :])
    node.result_versions[index] = array.version
    node.existing[index] = ref(value)
    value.node, value.index, value._requires_grad = node, index, True


def forget(value: Value) -> None:
    """Let the node of `value` no longer take it for its output: it gets no gradient from there."""
    if value.node is not None and value.node.existing[value.index]() is value:
        value.node.existing[value.index] = _GONE


def _output(node: Node, index: int) -> Value:
    """A new value for an output of `node`, with its history if its dtype is floating."""
    array = node.results[index]
    value = make_value(array)
    if is_float(array.dtype):
        value.node, value.index, value._requires_grad = node, index, True
    return value


#: Classes of arrays that operations have returned: what has one of them need not be looked at.
_array_classes: set[type] = set()


def apply(op: Op, args: tuple[Any, ...]) -> Any:
    """Apply `op`: to arrays it gives arrays; if a value is among `args`, values with their history.

    One output is given by itself, several as a tuple.
    """
    arrays = []
    is_value = requires_grad = False
    for arg in args:
        if isinstance(arg, Value):
            is_value = True
            if arg.view_of is not None:
                refresh(arg)
            requires_grad = requires_grad or arg._requires_grad
            arrays.append(arg.cached_data)
        else:
            arrays.append(arg)
    data = op.compute(*arrays)
    if arrays and data.__class__ is not arrays[0].__class__ and data.__class__ not in _array_classes:
        data = _as_arrays(op, data, arrays)
    if data.__class__ is tuple:
        return _given(op, _values(op, args, arrays, data, requires_grad) if is_value else data)
    if not is_value:
        return data
    value = make_value(data)
    if requires_grad and entered.get()[-1] and is_float(data.dtype):
        value._requires_grad = True
        value.node = node = Node()  # and the rest of `_values` written out for one output: this is a hot path
        node.op = op
        node.args = args
        node.arrays = arrays
        node.versions = versions = []
        node.edges = edges = []
        for arg in args:
            if isinstance(arg, Value):
                versions.append(arg.cached_data.version)
                edges.append((arg.node or arg, arg.index) if arg._requires_grad else None)
            else:
                versions.append(None)
                edges.append(None)
        node.results = (data,)
        node.result_versions = [data.version]
        node.several = False
        node.existing = [ref(value)]
    if op.is_view and entered.get()[-1] and data.memory is arrays[0].memory:
        value.view_of = op, args[0]
        value.rewrites = refresh(args[0]).rewrites
    return value


def _values(
    op: Op, args: tuple[Any, ...], arrays: list[Any], results: tuple[Any, ...], requires_grad: bool
) -> tuple[Value, ...]:
    """Values for the `results` of `op`, with their history if a gradient is required and one of them can have it."""
    if not (requires_grad and entered.get()[-1] and any(is_float(array.dtype) for array in results)):
        return tuple([make_value(array) for array in results])
    node = Node()
    node.op = op
    node.args = args
    node.arrays = arrays
    node.versions = [arg.cached_data.version if isinstance(arg, Value) else None for arg in args]
    node.edges = [
        (arg.node or arg, arg.index) if isinstance(arg, Value) and arg._requires_grad else None for arg in args
    ]
    node.results = results
    node.result_versions = [array.version for array in results]
    node.several = True
    values = tuple([_output(node, index) for index in range(len(results))])
    node.existing = [ref(value) for value in values]
    return values


def _as_arrays(op: Op, data: Any, arrays: list[Any]) -> Any:
    """What `compute` returned, NumPy's arrays brought to the device of the others. Raises TypeError for no arrays."""
    like = next((array for array in arrays if hasattr(array, "version")), None)
    if like is None:
        return data
    if data.__class__ is like.__class__:
        _array_classes.add(data.__class__)
        return data
    if isinstance(data, tuple):
        return tuple([_as_arrays(op, part, arrays) for part in data])
    return as_array_like(f"{op!r}.compute", data, like)


def as_array_like(what: str, data: Any, like: Any) -> Any:
    """`data`, which `what` returned, as an array on the device of the array `like`. Raises TypeError if it is none."""
    if isinstance(data, like.__class__):
        return data
    if isinstance(data, Value):
        return data.cached_data
    if isinstance(data, (np.ndarray, np.generic)):
        return like.from_numpy(np.asarray(data), like.device)
    raise TypeError(f"{what} returned {reprlib.repr(data)} of type {type(data).__name__}, which is not an array")


def _given(op: Op, outputs: tuple[T, ...]) -> T | tuple[T, ...]:
    """The outputs that the caller of `op` gets: all but the saved ones, of which a single one stands by itself."""
    if not op.saved:
        return outputs
    given = outputs[: -op.saved]
    return given[0] if len(given) == 1 else given
