"""`Optimizer`: the parameters with their options and state, and the loop over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from needle.array import NDArray, evaluation, recording, writing
from needle.autograd import enable_grad
from needle.backend import recordings
from needle.backend.protocol import Device
from needle.dtypes import DType, compute_dtype
from needle.errors import DeviceError
from needle.optim.captured_step import CapturedStep, State, count_steps
from needle.tensor import Tensor

__all__ = ["Optimizer"]


#: What an optimiser takes: tensors, or groups {"params": tensors, option: value, ...}.
Params = Iterable[Tensor] | Iterable[dict[str, Any]]

#: What stands in a parameter group beside its options; the second is kept there by learning-rate schedules.
_BESIDE_OPTIONS = frozenset(("params", "initial_lr"))


class Optimizer:
    """Base of the optimisers. Subclass it and define `step`.

    `params` and `parameters` both hold the list of all tensors. `param_groups` holds dicts of "params" and
    options such as "lr", which may be changed at any time.

    Args:
        params: leaf tensors, or dicts with such under "params" and with options of their own (PyTorch's
            parameter groups). One without a gradient, such as a frozen one, is passed over.
        defaults: the options of groups that do not set them.

    Raises:
        TypeError: for something that is not a tensor.
        ValueError: if there are no parameters, one stands there twice or was computed; for an option that does
            not exist.
    """

    #: The names of what is remembered of a parameter, once it has been updated.
    _state_names: tuple[str, ...] = ()

    #: Those of them that only some options need.
    _optional_state: tuple[str, ...] = ()

    def __init__(self, params: Params, defaults: Mapping[str, float] | None = None) -> None:
        if isinstance(params, (Tensor, Mapping)):
            raise TypeError(f"params must be a list of tensors or of dicts, not a single {type(params).__name__}")
        self.defaults = dict(defaults or {})
        self.params: list[Tensor] = []
        self.parameters = self.params
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, State] = {}
        entries: list[Any] = list(params)
        if not entries:
            raise ValueError("an optimizer needs at least one parameter; the list of them is empty")
        for group in entries if isinstance(entries[0], Mapping) else [{"params": entries}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize further tensors, `group["params"]`, with the other items as their options.

        Raises what the constructor does.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f'a parameter group must be a dict with the key "params", not {group!r}')
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        unknown = sorted(group.keys() - self.defaults.keys() - _BESIDE_OPTIONS)
        if unknown:
            raise ValueError(f"{type(self).__name__} has no option {unknown[0]!r}; it has {_names(self.defaults)}")
        known = {id(p) for p in self.params}
        for i, param in enumerate(params, start=len(self.params)):
            _check_parameter(i, param)
            if id(param) in known:
                raise ValueError(f"parameter {i}, of shape {param.shape}, is given twice")
            known.add(id(param))
        options = {name: _plain(value) for name, value in {**self.defaults, **group}.items()}
        merged = {**options, "params": params}
        self._check_options(merged)
        self.params.extend(params)
        self.param_groups.append(merged)

    def _check_options(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for options of a group that make no sense."""

    @property
    def lr(self) -> float:
        """The learning rate of the first group. Setting it sets that of every group."""
        try:
            return self.param_groups[0]["lr"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no learning rate") from None

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    # -- stepping -------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place and without waiting for it.

        `closure` is called first, with gradients enabled: it forgets the gradients, computes the loss, calls its
        `backward()` and returns it. `step` returns what it returned, without one None.

        Parameters of one group, dtype and device take their step in common launches, a few parameters in each. A
        tensor that shares a parameter's memory (`param.detach()`) sees the new values. No graph grows.
        Raises ValueError for a gradient whose shape is not the parameter's, DeviceError for one on another device;
        then no parameter has changed.
        """
        loss = evaluated(closure)
        for param in self.params:
            if param.grad is not None:
                _check_gradient(param)
        for group in self.param_groups:  # where there is no memory for the state, no parameter has moved yet
            for param in group["params"]:
                if param.grad is not None and param not in self.state:
                    self._state_of(param, group)
        for group in self.param_groups:
            names = self._state_arrays(group)
            alike: dict[tuple[int, Device, DType, DType], list[tuple[State, tuple[NDArray, ...]]]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    state = self._state_of(param, group)
                    arrays = (memory_of(param), *[state[name] for name in names], param.grad.cached_data)
                    kind = (state.get("step", 0) + 1, param.device, param.dtype, arrays[-1].dtype)
                    alike.setdefault(kind, []).append((state, arrays))
            for (step, *_), members in alike.items():
                states, batch = [state for state, _ in members], [arrays for _, arrays in members]
                captured = None
                if recordings.current() is not None:  # the update's numbers must be those of the update alone
                    evaluation.realize([arrays[-1] for arrays in batch])
                    captured = CapturedStep(self, group, names, states, batch[0])
                writing.update(partial(self._new_values, group, step), batch, captured)
                count_steps(states, step)  # a step that failed is not counted
        return loss

    def _new_values(self, group: Mapping[str, Any], step: int, *arrays: NDArray) -> list[NDArray]:
        """`_update` for a parameter's memory, its state and its gradient, in the dtype that steps are computed in."""
        param, *state, grad = arrays
        dtype = state_dtype(param)
        direction = -grad.astype(dtype) if group.get("maximize") else grad.astype(dtype)
        values = self._update(group, step, param.astype(dtype), direction, *state)
        values[0] = values[0].astype(param.dtype)
        return values

    def _state_arrays(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the arrays, like the parameter, that are remembered of each parameter of a group."""
        return ()

    def _first_value(self, group: Mapping[str, Any], name: str) -> float:
        """What the array `name` of a parameter's state is filled with before the first step."""
        return 0

    def _counts_steps(self, group: Mapping[str, Any]) -> bool:
        """Whether `_update` needs the number of the step: it stands in the state then, under "step"."""
        return "step" in self._state_names

    def _update(self, group: Mapping[str, Any], step: int, w: NDArray, g: NDArray, *state: NDArray) -> list[NDArray]:
        """The new values of the parameter `w`, whose gradient is `g`, and of its `state`, in the same order.

        `step` counts from 1. The values are recorded, not computed, once for all parameters that are alike, so
        they may depend on the arrays' elements and the options only. Nothing but they may still hold the steps
        between: an intermediate array that somebody could yet read would cost a launch of its own.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no step")

    def _state_of(self, param: Tensor, group: Mapping[str, Any]) -> State:
        """What is remembered of a parameter, with an array of its shape under each name of `_state_arrays`."""
        state, dtype, device = self.state.get(param, {}), state_dtype(param), param.device
        names = self._state_arrays(group)
        first = {
            name: recording.constant(param.shape, self._first_value(group, name), dtype, device)
            for name in names
            if name not in state
        }
        if first:
            evaluation.realize(list(first.values()))  # in one launch
        count = {"step": 0} if self._counts_steps(group) else {}
        if first or count:
            state = self.state.setdefault(param, count)
            state |= first
        for name in names:
            if state[name].device is not param.device:  # the parameter has moved
                state[name] = state[name].to(param.device)
        return state

    def reset_grad(self) -> None:
        """Forget the gradients: set every `grad` to None."""
        for param in self.params:
            param.grad = None

    zero_grad = reset_grad

    def __repr__(self) -> str:
        """The optimiser with a line for each group: how many parameters, and their options."""
        lines = []
        for i, group in enumerate(self.param_groups):
            options = "".join(f", {name}={value}" for name, value in group.items() if name not in _BESIDE_OPTIONS)
            lines.append(f"  (group {i}): parameters={len(group['params'])}{options}")
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    # -- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and state as a flat dict of numbers and tensors, which `needle.save` takes.

        Its keys are "param_groups.0.lr" and the like, and for parameter 0 (in the order of `params`)
        "state.0.step" and the like. The tensors share the optimiser's memory, which `step` writes into.
        """
        found: dict[str, Any] = {key: group[name] for key, (group, name) in self._options().items()}
        for i, param in enumerate(self.params):
            for name, value in self.state.get(param, {}).items():
                found[f"state.{i}.{name}"] = Tensor(value, requires_grad=False) if isinstance(value, NDArray) else value
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and state, copied, from the `state_dict` of an optimiser of like parameters.

        Raises ValueError naming the key where options, the number of parameters or a shape do not fit; then
        nothing has changed.
        """
        options = self._options()
        missing = sorted(options.keys() - state_dict.keys())
        if missing:
            raise ValueError(f"the state of {type(self).__name__} lacks {_names(missing)}")
        states: dict[int, State] = {}
        for key in sorted(state_dict.keys() - options.keys()):
            index, name = self._place_of(key)
            kept = _step_count if name == "step" else _state_array
            states.setdefault(index, {})[name] = kept(key, state_dict[key], self.params[index])
        for index, state in states.items():
            needed = [name for name in self._state_names if name not in self._optional_state]
            lacking = [f"state.{index}.{name}" for name in needed if name not in state]
            if lacking:
                raise ValueError(f"the state of {type(self).__name__} lacks {_names(lacking)}")
        for i, group in enumerate(self.param_groups):
            names = group.keys() - _BESIDE_OPTIONS
            self._check_options({name: _plain(state_dict[f"param_groups.{i}.{name}"]) for name in names})
        for key, (group, name) in options.items():
            group[name] = _plain(state_dict[key])
        self.state = {self.params[index]: state for index, state in states.items()}

    def _options(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Every option by its key in `state_dict`: the group it stands in and its name there."""
        return {
            f"param_groups.{i}.{name}": (group, name)
            for i, group in enumerate(self.param_groups)
            for name in group
            if name not in _BESIDE_OPTIONS
        }

    def _place_of(self, key: str) -> tuple[int, str]:
        """The parameter's index and the name in "state.<index>.<name>"."""
        kind, _, rest = key.partition(".")
        index, _, name = rest.partition(".")
        if kind != "state" or not index.isdecimal() or name not in self._state_names:
            raise ValueError(f"{key!r} is not part of the state of this {type(self).__name__}")
        if int(index) >= len(self.params):
            raise ValueError(f"{key!r} is of a parameter beyond the {len(self.params)} of this {type(self).__name__}")
        return int(index), name


# -- for the optimisers -----------------------------------------------------------------------------


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """What `closure` returns, called with gradients enabled; None without one."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


def memory_of(param: Tensor) -> NDArray:
    """The array of a parameter, in memory of its own elements, so that it can be written in place."""
    array: NDArray = param.cached_data.realize()
    if 0 in array.strides and any(n > 1 and s == 0 for n, s in zip(array.shape, array.strides, strict=True)):
        array = param.cached_data = evaluation.copy(array)  # a broadcast view: many elements in one place
    return array


def state_dtype(param: Tensor | NDArray) -> DType:
    """The dtype in which steps are computed and state is kept: float32 for float16, whose squares underflow."""
    return compute_dtype(param.dtype)


def _check_gradient(param: Tensor) -> None:
    """Raise an error for a gradient, set by hand, that is not a tensor of the parameter's shape on its device."""
    grad = param.grad
    if not isinstance(grad, Tensor):
        raise TypeError(f"the gradient of a parameter is a {type(grad).__name__}; it must be a tensor")
    if grad.shape != param.shape:
        raise ValueError(f"a parameter of shape {param.shape} has a gradient of shape {grad.shape}")
    if grad.device is not param.device:
        raise DeviceError(
            f"a parameter of shape {param.shape} is on {param.device.name}, its gradient on {grad.device.name}; "
            "move one of them with .to(device)"
        )


def check_range(group: Mapping[str, Any], **ranges: tuple[float, float]) -> None:
    """Raise ValueError for an option that is no number or lies outside its range [low, high)."""
    for name, (low, high) in ranges.items():
        value = _plain(group[name])
        if not isinstance(value, (int, float)) or not low <= value < high:
            bound = f"at least {low}" if high == float("inf") else f"at least {low} and below {high}"
            raise ValueError(f"{name}={value!r} must be {bound}")


def check_flags(group: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError for an option that is neither True nor False."""
    for name in names:
        if not isinstance(group[name], bool):
            raise ValueError(f"{name}={group[name]!r} must be True or False")


def check_betas(betas: Any) -> tuple[float, float]:
    """The two decay rates. Raises TypeError unless there are two."""
    try:
        first, second = betas
    except (TypeError, ValueError):
        raise TypeError(f"betas={betas!r} must be two numbers; beta1 and beta2 are keywords") from None
    return first, second


def with_l2(w: NDArray, g: NDArray, group: Mapping[str, Any]) -> NDArray:
    """The gradient `g` with that of the L2 penalty weight_decay / 2 * w ** 2."""
    decay = float(group["weight_decay"])
    return g + decay * w if decay else g


def shrunk(w: NDArray, group: Mapping[str, Any]) -> NDArray:
    """The weight after decoupled weight decay, which does not pass through the gradient: w - lr * weight_decay * w."""
    factor = 1 - float(group["lr"]) * float(group["weight_decay"])
    return factor * w if group["weight_decay"] else w


def _plain(value: Any) -> Any:
    """An option as Python's number where it is NumPy's."""
    return value.item() if isinstance(value, np.generic) else value


def _check_parameter(index: int, param: Any) -> None:
    if not isinstance(param, Tensor):
        raise TypeError(f"parameter {index} is a {type(param).__name__}; an optimizer takes tensors")
    if not param.is_leaf:
        raise ValueError(
            f"parameter {index}, of shape {param.shape}, was computed by {param.op!r}; only leaves can be optimized"
        )


def _step_count(key: str, value: Any, param: Tensor) -> int:
    """A loaded number of steps."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key!r} must be a whole number of at least 0, not {value!r}")
    return value


def _state_array(key: str, value: Any, param: Tensor) -> NDArray:
    """A loaded tensor as the optimiser keeps it: a copy like the parameter."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{key!r} must be a tensor, not a {type(value).__name__}")
    if value.shape != param.shape:
        raise ValueError(f"{key!r} has shape {value.shape}; the parameter has {param.shape}")
    return evaluation.copy(value.cached_data.to(param.device).astype(state_dtype(param)))


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
