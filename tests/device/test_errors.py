"""What a user gets wrong is told in words that name it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.ops import elementwise
from needle.ops.base import withdraw


def x() -> ndl.Tensor:
    return ndl.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


CASES: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("shapes that do not broadcast", lambda: x() + ndl.ones(2), ValueError,
     r"shapes \(2, 3\) and \(2,\) do not broadcast together"),
    ("three shapes", lambda: ndl.where(ndl.ones(4) > 0, x(), 1.0), ValueError, r"\(4,\).*\(2, 3\).*do not broadcast"),
    ("matmul of unfitting shapes", lambda: x() @ x(), ValueError,
     r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit: 3 columns against 2 rows"),
    ("matmul with a number", lambda: x() @ 2, ValueError, "matmul needs operands of at least one dimension"),
    ("an operand that is no number", lambda: x() + "a", TypeError, "add: operand 'a' of type str is not a tensor"),
    ("a list as operand", lambda: x() * [1, 2, 3], TypeError, "of type list is not a tensor or a number"),
    ("a complex number", lambda: x() * 1j, TypeError, "operand 1j of type complex"),
    ("arithmetic on bools", lambda: ndl.asarray([True]) + ndl.asarray([True]), TypeError,
     "add is not defined for dtype bool"),
    ("bits of floats", lambda: x() & 1, TypeError, "bitwise_and is not defined for dtype float32"),
    ("uint64 with a signed integer",
     lambda: ndl.asarray([1], dtype="uint64") + ndl.asarray([1]), TypeError,
     "no integer dtype holds both uint64 and int64; cast one of them with astype"),
    ("an integer that does not fit", lambda: ndl.asarray([1], dtype="int8") + 200, OverflowError,
     "Python integer 200 is out of bounds for int8"),
    ("a negative number for an unsigned", lambda: ndl.full(2, -1, "uint8"), OverflowError,
     "Python integer -1 is out of bounds for uint8"),
    ("an integer that no float holds", lambda: x() + 10**400, OverflowError, "1329 bits does not fit in float32"),
    ("a list of integers that do not fit", lambda: ndl.asarray([1, 300], dtype="uint8"), OverflowError,
     "300 does not fit in uint8"),
    ("an array of text", lambda: ndl.asarray(np.array(["3"]), dtype="float32"), TypeError, "is not numeric"),
    ("filled with nothing", lambda: ndl.full(2, None), TypeError, "value=None must be a number"),
    ("part of a class", lambda: ndl.one_hot([0, 2], 2.5), TypeError, "'float' object cannot be interpreted"),
    ("the elements of a single number", lambda: list(ndl.asarray(3.0)), TypeError,
     r"shape \(\) cannot be iterated over"),
    ("an unknown dtype", lambda: x().astype("float8"), TypeError, "'float8'.*expected one of bool, int8"),
    ("an unsupported dtype", lambda: ndl.asarray(np.zeros(2, complex)), TypeError, "complex128"),
    ("text as data", lambda: ndl.asarray(["a", "b"]), TypeError, "is not numeric|not supported"),
    ("ragged data", lambda: ndl.asarray([[1, 2], [3]]), ValueError, "is ragged: its parts have different shapes"),
    ("an index out of range", lambda: x()[2], IndexError, "index 2 is out of bounds for axis 0 with size 2"),
    ("an index out of range, from the end", lambda: x()[0, -4], IndexError,
     "index -4 is out of bounds for axis 1 with size 3"),
    ("too many indices", lambda: x()[0, 0, 0], IndexError, "the array has 2 dimensions, 3 were indexed"),
    ("reshape", lambda: x().reshape(4, 2), ValueError, r"an array of 6 elements cannot be reshaped to \(4, 2\)"),
    ("reshape with two unknown sizes", lambda: x().reshape(-1, -1), ValueError, r"cannot be reshaped to \(-1, -1\)"),
    ("reshape with negative sizes", lambda: x().reshape(-1, -2, -3), ValueError,
     r"cannot be reshaped to \(-1, -2, -3\)"),
    ("broadcast_to", lambda: ndl.broadcast_to(x(), (3, 3)), ValueError,
     r"an array of shape \(2, 3\) does not broadcast to shape \(3, 3\)"),
    ("broadcast_to fewer axes", lambda: ndl.broadcast_to(x(), (3,)), ValueError, r"does not broadcast to shape \(3,\)"),
    ("permute", lambda: ndl.permute_dims(x(), (0, 0)), ValueError, r"axes=\(0, 0\) is not a permutation of the 2 axes"),
    ("permute too few", lambda: ndl.permute_dims(x(), (0,)), ValueError, "not a permutation"),
    ("permute by a float", lambda: ndl.permute_dims(x(), (0, 1.0)), TypeError, r"axes=\(0, 1.0\) must be a sequence"),
    ("permute by an int", lambda: ndl.permute_dims(x(), 1), TypeError, "axes=1 must be a sequence of ints"),
    ("transpose of a vector", lambda: ndl.transpose(ndl.ones(3)), ValueError, "two axes; x has shape"),
    ("squeeze", lambda: ndl.squeeze(x(), 0), ValueError, r"axis=0 of shape \(2, 3\) cannot be squeezed: its size is 2"),
    ("expand_dims", lambda: ndl.expand_dims(x(), 4), ValueError, "axis=4 is out of range"),
    ("expand_dims as an index", lambda: ndl.expand_dims(x(), 4), IndexError, "axis=4 is out of range"),
    ("flip", lambda: ndl.flip(x(), 2), ValueError, "axis=2 is out of range for an array of 2 dimensions"),
    ("an axis that is no int", lambda: ndl.sum(x(), 0.5), TypeError, "axis=0.5 must be an int"),
    ("a shape that is none", lambda: ndl.zeros(2.5), TypeError, "shape=2.5 must be an int or a sequence of ints"),
    ("a negative size", lambda: ndl.zeros((2, -1)), ValueError, r"shape=\(2, -1\) must not have negative sizes"),
    ("concat of nothing", lambda: ndl.concat([]), ValueError, "concat needs at least one tensor"),
    ("concat", lambda: ndl.concat([x(), ndl.ones((2, 2))], 0), ValueError,
     r"concat along axis 0: shape \(2, 2\) of tensor 1 does not fit \(2, 3\)"),
    ("concat of other ranks", lambda: ndl.concat([x(), ndl.ones(3)], 0), ValueError, "of tensor 1 does not fit"),
    ("stack of nothing", lambda: ndl.stack([]), ValueError, "at least one tensor"),
    ("stack", lambda: ndl.stack([ndl.ones(2), ndl.ones(3)]), ValueError, r"equal shapes; got \(2,\) and \(3,\)"),
    ("split", lambda: ndl.split(x(), 2, 1), ValueError, "sections=2 does not divide axis 1 of size 3"),
    ("arange", lambda: ndl.arange(0, 3, 0), ValueError, "step=0 makes no range"),
    ("item", lambda: x().item(), ValueError, r"item\(\) needs exactly one element; the shape is \(2, 3\)"),
    ("truth", lambda: bool(x()), ValueError, r"truth value of an array of shape \(2, 3\) is ambiguous"),
    ("length", lambda: len(ndl.asarray(1.0)), TypeError, "len() of a 0-d array".replace("()", r"\(\)")),
    ("an index made of a float", lambda: [1, 2][ndl.asarray(1.0)], TypeError,
     "only a 0-d integer array can be an index"),
    ("data of another shape", lambda: setattr(x(), "data", ndl.ones(2)), ValueError, "does not fit a tensor of shape"),
    ("data that is no tensor", lambda: setattr(x(), "data", 3), TypeError, "data must be set to a tensor, not int"),
    ("no copy", lambda: ndl.asarray([1.0], copy=False), ValueError, "copy=False, but this data can only be copied"),
    ("NumPy without a copy", lambda: np.array(x(), copy=False), ValueError, "cannot be viewed by NumPy without a copy"),
    ("no such device", lambda: ndl.ones(2, device="abacus"), ndl.DeviceError, "no device 'abacus'; known are .*numpy"),
    ("a device that is no name", lambda: ndl.ones(2, device=3), TypeError, "device=3 must be a name or a Device"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_messages(device: ndl.Device, call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_error_comes_from_the_call_and_not_from_what_needs_the_values(device: ndl.Device) -> None:
    y = x() * 2  # pending
    with pytest.raises(ValueError, match="do not broadcast"):
        y + ndl.ones(5)
    assert y.tolist() == [[2, 4, 6], [8, 10, 12]]


# -- devices ----------------------------------------------------------------------------------------


class FakeDevice(type(ndl.device("numpy"))):  # type: ignore[misc]
    """A second device, of limited abilities."""

    def __init__(self) -> None:
        super().__init__(ndl.DeviceInfo("limited", "", "", "", "cpu", 0))


def test_operands_on_different_devices(device: ndl.Device) -> None:
    here, there = x(), ndl.ones((2, 3), device=FakeDevice())
    for apply in (lambda: here + there, lambda: ndl.where(here > 0, here, there), lambda: here @ there.T):
        with pytest.raises(
            ndl.DeviceError, match=rf"different devices, {device.name} and limited; .* with \.to\(device\)"
        ):
            apply()
    with pytest.raises(ndl.DeviceError, match="assignment: operands are on different devices"):
        here[...] = there
    with pytest.raises(ndl.DeviceError, match="concat: operands are on different devices"):
        ndl.concat([here, there])
    assert (here + there.to(device)).tolist() == [[2, 3, 4], [5, 6, 7]]


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_dtype_that_the_device_does_not_have(dtype: str) -> None:
    limited = FakeDevice()
    for call in (
        lambda: ndl.zeros(2, dtype, device=limited),
        lambda: ndl.asarray(np.zeros(2, dtype), device=limited),
        lambda: ndl.ones(2, device=limited).astype(dtype),
        lambda: ndl.asarray(np.zeros(2, dtype), device="numpy").to(limited),
    ):
        with pytest.raises(ndl.DeviceError, match=f"limited does not support {dtype}; choose another dtype or device"):
            call()


# -- a kernel that does not compile -----------------------------------------------------------------


@pytest.fixture
def broken() -> Iterator[Callable[..., ndl.Tensor]]:
    @elementwise(cl="x + no_such_function(x)", reference=lambda v: v, kinds="f")
    def broken_operation(x: ndl.Tensor) -> ndl.Tensor:
        """An operation whose kernel does not compile."""

    try:
        yield broken_operation
    finally:
        withdraw("broken_operation")


def test_a_kernel_that_does_not_compile(device: ndl.Device, broken: Callable[..., ndl.Tensor]) -> None:
    if device.name == "numpy":
        pytest.skip("nothing is compiled")
    source = x()
    y = broken(source)  # only recorded
    for use in (lambda: y.realize().numpy(), lambda: ndl.sum(broken(source)).numpy()):
        with pytest.raises(ndl.KernelCompileError) as caught:
            use()
        message = str(caught.value)
        assert "did not compile" in message
        assert "cl/elementwise.cl" in message or "cl/reduce.cl" in message
        assert "no_such_function" in message
        numbered = [line for line in message.splitlines() if line[:5].strip().isdigit() and line[5:7] == " |"]
        assert any("COMPUTE" in line for line in numbered), "the numbered source line that uses the expression"
    assert (source + 1).tolist() == [[2, 3, 4], [5, 6, 7]]  # the device still works


class Foreign:
    """A class that knows how to be added to a tensor."""

    def __radd__(self, other: Any) -> str:
        return "theirs"


def test_a_foreign_operand_gets_its_turn(device: ndl.Device) -> None:
    assert x() + Foreign() == "theirs"
    with pytest.raises(TypeError, match="unsupported operand"):
        x() - Foreign()


def test_equality_with_something_else_is_false(device: ndl.Device) -> None:
    assert (x() == None) is False  # noqa: E711
    assert (x() != "a") is True


def test_operands_on_another_device(device: ndl.Device) -> None:
    names = [info.name for info in ndl.devices() if info.problem is None and info.name != device.name]
    if not names:
        pytest.skip("there is only one device")
    there = ndl.device(names[-1])
    labels, seed = ndl.asarray(np.array([0, 1]), device=there), ndl.ones((2, 3), device=there)
    with pytest.raises(ndl.DeviceError, match=f"input is on {device.name}, its targets or weights on {there.name}"):
        ndl.nn.functional.cross_entropy(x(), labels)
    for function in (ndl.softmax, ndl.exp, lambda y: y[:]):
        with pytest.raises(ndl.DeviceError, match=f"out_grad is on {there.name}, the tensor on {device.name}"):
            function(ndl.Tensor(x().numpy())).backward(seed)
    w, v = ndl.Tensor([1.0, 1.0]), ndl.Tensor([2.0, 2.0])
    w.grad, v.grad = ndl.ones(2), ndl.ones(2, device=there)
    with pytest.raises(ndl.DeviceError, match=f"is on {device.name}, its gradient on {there.name}"):
        ndl.optim.SGD([w, v], 0.1).step()
    assert w.tolist() == [1, 1]


def test_a_seed_of_another_dtype_is_cast(device: ndl.Device) -> None:
    w = ndl.Tensor([1.0, 2.0])
    w.backward(ndl.asarray([1, 2]))
    assert w.grad.dtype == np.float32 and w.grad.tolist() == [1, 2]


def takes_tensors(function: object) -> bool:
    """Whether a public function's first argument is a tensor or several."""
    if not inspect.isfunction(function) or function.__name__.startswith("_"):
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and str(first.annotation).startswith(("Tensor", "Sequence[Tensor]"))


FUNCTIONS = {
    f"{module.__name__}.{name}": function
    for module in (ndl, nn.functional)
    for name, function in vars(module).items()
    if takes_tensors(function) and (module is ndl or function.__module__.startswith(module.__name__))
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_arrays_are_no_tensors(name: str) -> None:
    """Where there is no tensor that says on which device to compute, every function says so itself."""
    function = FUNCTIONS[name]
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty]
    array = np.ones((2, 2), np.float32)
    arguments = [[array] if "Sequence[Tensor]" in str(p.annotation) else array for p in needed]
    with pytest.raises(TypeError, match=r"array\(.* of type ndarray is not a tensor"):
        function(*arguments)
