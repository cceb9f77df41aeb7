"""The state of a module: saved as a dict, loaded, moved to a device, converted to a dtype."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from needle.array import NDArray
from needle.autograd import make_value
from needle.dtypes import DType, DTypeLike, compute_dtype, float16, float32, float64, is_float
from needle.nn.parameter import Parameter, Statistic
from needle.nn.torch_layout import TorchLayout, check_layout, from_torch
from needle.ops.creation import DeviceLike, asarray
from needle.ops.destination import destination
from needle.tensor import Tensor

__all__ = ["LoadResult"]

Self = TypeVar("Self", bound="HasState")


class LoadResult(NamedTuple):
    """What `Module.load_state_dict(strict=False)` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class HasState:
    """What `Module` does with its parameters and buffers as a whole."""

    @abstractmethod
    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, under its path."""

    @abstractmethod
    def _buffer_places(self) -> Iterator[tuple[str, Tensor, bool]]:
        """Each buffer once: its path, the tensor, whether it is persistent."""

    def _state(self) -> dict[str, Tensor]:
        """The parameters and persistent buffers themselves, by name."""
        state: dict[str, Tensor] = {}
        places = list(self.named_parameters())
        buffers = [(name, tensor) for name, tensor, persistent in self._buffer_places() if persistent]
        for name, tensor in [*places, *buffers]:
            if name in state:
                raise ValueError(f"two parameters or buffers have the name {name!r}; rename an attribute or a dict key")
            state[name] = tensor
        return state

    def _torch_layouts(self) -> dict[str, TorchLayout]:
        """How the parameters that PyTorch keeps otherwise lie there, by their paths."""
        return {}

    def state_dict(self, layout: str | None = None) -> dict[str, Tensor]:
        """Parameters and persistent buffers by name, as tensors outside the graph that share their memory.

        With layout="torch" each has the form that PyTorch's layer of that name gives it, so that
        {name: torch.tensor(value.numpy())} is a state for it. Raises ValueError for another layout, and if two have one
        name, which dict keys with dots can bring about.
        """
        state = {name: tensor.detach() for name, tensor in self._state().items()}
        if check_layout(layout):
            layouts = self._torch_layouts()
            return {name: layouts[name].to_torch(t) if name in layouts else t for name, t in state.items()}
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any] | Any, strict: bool = True, layout: str | None = None
    ) -> LoadResult:
        """Copy the values of `state_dict` (tensors or NumPy arrays) into the parameters and buffers.

        With layout="torch" it is the state of a PyTorch module of the same names: a dict whose values are tensors of
        either library or NumPy arrays, or an open safetensors file.

        A state may lack the numbers of batches that running statistics have seen, as older ones do; they stay.

        With `strict=False`, keys that are missing or unexpected are passed over and returned. Raises
        ValueError naming every key that is missing, unexpected (if `strict`) or has another shape or dtype
        than the module; nothing has been loaded then.
        """
        state = self._state()
        if check_layout(layout):
            state_dict = from_torch(state_dict, self._torch_layouts(), {name: t.shape for name, t in state.items()})
        missing = [n for n in state if n not in state_dict and n.rpartition(".")[2] != "num_batches_tracked"]
        unexpected = [name for name in state_dict if name not in state]
        problems = [f"missing key {name!r}" for name in missing] if strict else []
        problems += [f"unexpected key {name!r}" for name in unexpected] if strict else []
        found = {name: state_dict[name] for name in state if name in state_dict}
        for name, value in found.items():
            problems += _misfit(name, value, state[name])
        if problems:
            raise ValueError(f"the state does not fit {type(self).__name__}: " + "; ".join(problems))
        copies = {name: asarray(value, device=state[name].device, copy=True) for name, value in found.items()}
        for name, value in copies.items():
            state[name].data = value
        return LoadResult(missing, unexpected)

    def to(self: Self, *args: Any, device: DeviceLike = None, dtype: DTypeLike = None) -> Self:
        """Move parameters, their gradients and buffers to a device, or convert them to a dtype, in place.

            model.to("pocl")    model.to(ndl.float64)    model.to("pocl", ndl.float64)    model.to(tensor)

        A dtype must be floating, and is that of floating parameters and buffers afterwards; integers stay as they are,
        and running statistics are kept in float32 where the dtype is float16.
        Returns the module. The Parameter objects stay the same, so that an optimiser made before goes on working.
        Raises TypeError for a dtype that is not floating, and for what is neither a device nor a dtype.
        """
        place, wanted = destination(args, device, dtype)
        if wanted is not None and not is_float(wanted):
            raise TypeError(f"a module can be converted to floating dtypes alone, not to {wanted}")

        def moved(array: NDArray, dtype: DType | None = wanted) -> NDArray:
            array = array if place is None else array.to(place)
            return array.astype(dtype) if dtype is not None and is_float(array.dtype) else array

        for _, parameter in self.named_parameters():
            parameter.cached_data = moved(parameter.cached_data)
            if parameter.grad is not None:
                parameter.grad = make_value(moved(parameter.grad.cached_data))
        for _, buffer, _ in self._buffer_places():
            is_sum = isinstance(buffer, Statistic)
            buffer.cached_data = moved(buffer.cached_data, compute_dtype(wanted) if is_sum and wanted else wanted)
        return self

    def half(self: Self) -> Self:
        """Convert to float16; see `to`."""
        return self.to(dtype=float16)

    def float(self: Self) -> Self:
        """Convert to float32; see `to`."""
        return self.to(dtype=float32)

    def double(self: Self) -> Self:
        """Convert to float64; see `to`."""
        return self.to(dtype=float64)


def _misfit(name: str, value: Any, target: Tensor) -> list[str]:
    """What is wrong with `value` as the new content of `target`: a message or nothing."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return [f"{name!r} is a {type(value).__name__}, not a tensor or a NumPy array"]
    if tuple(shape) != target.shape:
        return [f"{name!r} has shape {tuple(shape)}, the module's has {target.shape}"]
    return [f"{name!r} has dtype {dtype}, the module's has {target.dtype}"] if dtype != target.dtype else []
