"""How an operation is declared, and the registry that the declarations fill.

    @elementwise(cl="tanh(x)", reference=np.tanh, sample=(-3, 3),
                 gradient=lambda g, y, x: g * (1 - y * y), method=True)
    def tanh(x: Tensor) -> Tensor:
        \"\"\"Hyperbolic tangent, element by element.\"\"\"

That is all of an elementwise operation: its kernels, its method, its tests (forward on every device, gradient
against finite differences) and its line in the table of operations come from the declaration. It is public
because the `__all__` of its module names it.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from needle.array import NDArray, recording
from needle.array.expression import SCALARS as SCALARS
from needle.array.methods import Methods
from needle.array.operators import TABLE, operator
from needle.autograd import Op, Overwritten, Value, apply, make_value
from needle.backend.records import Elementwise, Reference, Typing
from needle.backend.registry import default_device
from needle.dtypes import DType, Scalar, compute_dtype, dtype_of_scalar
from needle.ops.keywords import other_names

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["Declaration", "elementwise", "registry"]

F = TypeVar("F", bound=Callable[..., Any])

Gradient = Callable[..., Any]
Range = tuple[float, float]


@dataclass(frozen=True)
class Declaration:
    """What the registry knows of an elementwise operation."""

    name: str
    function: Callable[..., Any]
    record: Elementwise
    differentiable: bool
    sample: tuple[Range, ...]  # for each operand, the range in which the tests draw it
    doc: str


#: Every elementwise operation by name, in the order of declaration.
registry: dict[str, Declaration] = {}


#: What an elementwise operation takes as it is.
_OPERANDS = (Value, NDArray, float, int)


class ElementwiseOp(Op):
    """A declared elementwise operation as a node of the graph."""

    def __init__(self, record: Elementwise, gradients: Sequence[Gradient]) -> None:
        self.record = record
        self.name = record.name
        self.gradients = gradients

    def __call__(self, *args: Any) -> Any:
        if len(args) != self.record.arity:
            raise TypeError(f"{self.name} takes {self.record.arity} operands, {len(args)} were given")
        for arg in args:
            if not isinstance(arg, _OPERANDS):
                return apply(self, as_operands(self.name, args))
        if isinstance(args[0], SCALARS) and all(isinstance(arg, SCALARS) for arg in args):
            args = (_of_scalar(args[0]), *args[1:])
        return apply(self, args)

    def compute(self, *arrays: Any) -> NDArray:
        return recording.elementwise(self.record, arrays)

    def vjp(self, index: int, grad: Any, output: Any, *args: Any) -> Any:
        if not self.gradients:
            raise NotImplementedError(f"{self.name} has no gradient")
        if self.record.typing in ("same", "float"):
            dtype = compute_dtype(output.dtype)
            if dtype != output.dtype:  # the rule is rounded once, at its end
                grad, output = grad.astype(dtype), output.astype(dtype)
            args = tuple([_as_computed(arg, dtype) for arg in args])
        return self.gradients[index](grad, output, *args)


def _of_scalar(number: Scalar) -> Value:
    """A number alone as a tensor on the default device, in its default dtype: `ndl.sqrt(2)`."""
    dtype = dtype_of_scalar(number)
    return make_value(recording.constant((), number, dtype, default_device()))


def _as_computed(arg: Any, dtype: DType) -> Any:
    """An operand in the dtype that the result is computed in: a square in a rule must not wrap around or overflow."""
    return arg if isinstance(arg, SCALARS) or arg.dtype == dtype else arg.astype(dtype)


def as_operands(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """`args` with NumPy arrays brought to the device of the others. Raises TypeError for other things."""
    device = next((a.device for a in args if isinstance(a, (Value, NDArray))), None)  # type: ignore[union-attr]
    converted: list[Any] = []
    for arg in args:
        if isinstance(arg, np.ndarray) and device is not None:
            converted.append(NDArray.from_numpy(arg, device))
        elif isinstance(arg, np.generic) and device is not None:
            converted.append(arg.item())
        elif isinstance(arg, (Value, NDArray, *SCALARS)) and device is not None:
            converted.append(arg)
        elif isinstance(arg, Overwritten):
            arg.refuse()
        else:
            raise TypeError(
                f"{name}: operand {reprlib.repr(arg)} of type {type(arg).__name__} is not a tensor or a number"
            )
    return tuple(converted)


def elementwise(
    *,
    cl: str | Mapping[str, str],
    reference: Reference,
    gradient: Gradient | tuple[Gradient, ...] | None = None,
    sample: Range | tuple[Range, ...] = (-3, 3),
    typing: Typing = "same",
    kinds: str = "biuf",
    method: bool = False,
) -> Callable[[F], F]:
    """Declare the decorated function, whose body is only its docstring, as an elementwise operation.

    `cl`, `typing` and `kinds` are those of `Elementwise`. `gradient(g, y, *operands)` gives the gradient
    with respect to the operand from that of the result, `g`, and the result, `y`; with several operands
    there is one for each. `sample` is the range, or the ranges, in which tests draw the operands. `method` makes
    the function a method as well; a function of one operand is one if NumPy's arrays or PyTorch's tensors have it.

    The first operand may also be given by the name `input`, as in PyTorch. With `out=`, a tensor, the result is written
    into it as `out[...] = result` writes, and it is returned.
    """

    def declare(function: F) -> F:
        name = function.__name__
        signature = inspect.signature(function)
        arity = len(signature.parameters)
        record = Elementwise(name, cl, reference, arity, typing, kinds)
        gradients = gradient if isinstance(gradient, tuple) else () if gradient is None else (gradient,)
        op = ElementwiseOp(record, gradients)

        @functools.wraps(function)
        def public(*args: Any, **kwargs: Any) -> Any:
            if not kwargs:
                return op(*args)
            out = kwargs.pop("out", None)
            return written(op(*_positional(name, signature, args, kwargs)), out)

        ranges = sample if isinstance(sample[0], tuple) else (sample,) * arity
        doc = inspect.getdoc(function) or ""
        registry[name] = Declaration(name, public, record, bool(gradients), ranges, doc)
        TABLE[name] = public
        if method:
            setattr(Methods, name, public)
        return public  # type: ignore[return-value]

    return declare


def _positional(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """The operands in their order. Raises TypeError where they do not fit the signature."""
    if "input" in kwargs and "input" not in signature.parameters:
        args = (kwargs.pop("input"), *args)
    try:
        return signature.bind(*args, **kwargs).args
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def written(result: Any, out: Any) -> Any:
    """The result, or `out` with the result written into it where a caller gave one."""
    if out is None:
        return result
    out[...] = result
    return out


def method(function: F) -> F:
    """Make the decorated function a method of tensors and arrays as well; its first argument is one."""
    function = other_names(function)
    setattr(Methods, function.__name__, function)
    return operator(function)


def withdraw(name: str) -> None:
    """Undo the declaration of the operation `name`: tests and guides declare some for a while."""
    del registry[name], TABLE[name]
    if name in vars(Methods):
        delattr(Methods, name)


def takes_tensor(function: F) -> F:
    """Let the decorated function refuse a first argument that is not a tensor by a TypeError, as all of them do."""
    function = other_names(function)
    argument = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if args or argument in kwargs or "input" in kwargs:  # else Python says what is missing
            check_tensor(function.__name__, argument, args[0] if args else kwargs.get(argument, kwargs.get("input")))
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def check_tensor(function: str, argument: str, value: Any) -> None:
    """Raise TypeError, naming the function and its argument, unless `value` is a tensor or an array of needle's."""
    if isinstance(value, Overwritten):
        value.refuse()
    if not isinstance(value, (Value, NDArray)):
        raise TypeError(f"{function}: {argument}={reprlib.repr(value)} of type {type(value).__name__} is not a tensor; "
                        "ndl.asarray makes one")  # fmt: skip


def data_of(x: Tensor | Value | NDArray) -> NDArray:
    """The array of a tensor, or the array itself."""
    return x.cached_data if isinstance(x, Value) else x
