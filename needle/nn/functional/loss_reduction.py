"""What losses have in common: their reduction, and checks of their operands."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle import ops
from needle.checks import one_of
from needle.dtypes import is_float
from needle.errors import DeviceError
from needle.ops.creation import asarray
from needle.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def reduced(values: Tensor, reduction: str) -> Tensor:
    """The mean of `values`, their sum, or for "none" the values themselves."""
    if reduction == "none":
        return values
    return ops.mean(values) if reduction == "mean" else ops.sum(values)


def as_operand(what: str, name: str, value: Any, input: Tensor) -> Tensor:
    """`value` as a tensor on the device of `input`. Raises DeviceError for a tensor on another device."""
    if isinstance(value, Tensor):
        if value.device is not input.device:
            raise DeviceError(f"{what}: input is on {input.device.name}, {name} on {value.device.name}")
        return value
    return asarray(np.asarray(value) if isinstance(value, (int, float)) else value, device=input.device)


def check_input(what: str, input: Tensor, reduction: str) -> None:
    """Raise ValueError for a reduction that does not exist, TypeError unless `input` is floating."""
    one_of("reduction", reduction, REDUCTIONS)
    if not is_float(input.dtype):
        raise TypeError(f"{what}: input must have a floating dtype, not {input.dtype}")


def same_shape(what: str, input: Tensor, target: Any, reduction: str) -> Tensor:
    """`target` as a tensor in the dtype of `input`. Raises ValueError unless it has the shape of `input`."""
    check_input(what, input, reduction)
    found = as_operand(what, "target", target, input)
    if found.shape != input.shape:
        raise ValueError(f"{what}: input has shape {input.shape}, target {found.shape}; they must be equal")
    return found if is_float(found.dtype) else ops.astype(found, input.dtype)
