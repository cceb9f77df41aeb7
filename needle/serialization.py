"""Checkpoints: `save` and `load` by the safetensors library."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from needle.backend.protocol import Device
from needle.dtypes import ALL, as_dtype, is_bool, kind_of
from needle.ops.creation import asarray
from needle.replacing import replacing
from needle.tensor import Tensor

__all__ = ["load", "save", "substate"]

StrPath = str | os.PathLike[str]

#: Where the numbers and strings among the tensors stand: an entry, in JSON, of the file's metadata.
_VALUES = "needle.values"

#: The format's names of the dtypes that needle has.
_DTYPES = frozenset("BOOL" if is_bool(d) else f"{kind_of(d).upper()}{8 * d.itemsize}" for d in ALL)


def save(path: StrPath, obj: Any) -> None:
    """Write tensors to a safetensors file: all of it or, after an error, nothing.

    A process that is killed meanwhile leaves a hidden folder beside the file, which the next `save` to it removes.

    Args:
        path: the file; one that exists is replaced.
        obj: a dict of names to tensors, NumPy arrays, numbers or strings, or something whose `state_dict()` is one: a
            module or an optimiser. Dicts, modules and optimisers may be among the values, nested at will: the
            names in the file are then the path, as in "model.0.weight", and `load` gives one flat dict.

    Raises:
        TypeError: for another object, or another value in the dict.
        ValueError: for the name "__metadata__", which the format keeps for itself, and for two values whose paths
            are the same.
        FileNotFoundError: if the folder does not exist.
    """
    target = Path(os.path.realpath(path))  # through a link, not over it
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot save {path}: there is no folder {target.parent}")
    tensors, values = _split(obj)
    metadata = {_VALUES: json.dumps(values)} if values else None
    with replacing(target) as new:
        from safetensors.numpy import save_file  # imported at the first use: `import needle` stays quick

        save_file(tensors, new, metadata)


def load(path: StrPath, device: Device | str | None = None) -> dict[str, Any]:
    """The dict that was saved: names to tensors, which require no gradient, on `device` (or the default device).

    Files of other programs can be read as well. Nothing in a file is ever executed.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is not a safetensors file, is cut short, or holds a dtype that needle
            has not.
        DeviceError: for a dtype that the device has not.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            for name in names:
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _DTYPES:
                    raise ValueError(f"{path}: {name!r} has dtype {dtype}, which needle does not have")
            values = _values_of(path, (file.metadata() or {}).get(_VALUES, "{}"), names)
            loaded: dict[str, Any] = {name: asarray(file.get_tensor(name), device=device) for name in names}
    except SafetensorError as error:
        raise _damaged(path, error) from error
    return {**loaded, **values}


def substate(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What was saved under `name`: the entries of `load`'s flat dict that begin with "name.", without that.

        state = ndl.load("run.safetensors")
        model.load_state_dict(ndl.substate(state, "model"))

    Raises KeyError if there are none.
    """
    prefix = f"{name}."
    found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not found:
        raise KeyError(f"nothing was saved under {name!r}; there are {sorted({key.split('.')[0] for key in state})}")
    return found


def _values_of(path: StrPath, text: str, names: list[str]) -> dict[str, Any]:
    """The numbers and strings that stand beside the tensors of these names. Raises ValueError for anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(values, dict):
        raise _damaged(path, f"its values are a {type(values).__name__}")
    for name, value in values.items():
        if not isinstance(value, (bool, int, float, str)):
            raise _damaged(path, f"the value {name!r} is a {type(value).__name__}, not a number or a string")
        if name in names:
            raise _damaged(path, f"{name!r} is a tensor as well as a value")
    return values


def _damaged(path: StrPath, why: object) -> ValueError:
    return ValueError(f"{path} is not a safetensors file, or is cut short or damaged: {why}")


def _split(obj: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors, on the host, and the other values of what `save` was given, by their path."""
    tensors: dict[str, np.ndarray] = {}
    values: dict[str, Any] = {}
    for name, value in _flattened(obj):
        if name == "__metadata__":
            raise ValueError(f"{name!r} is a name that the format keeps for itself")
        if name in tensors or name in values:
            raise ValueError(f"two of the values to save are called {name!r}; rename one of the keys")
        if isinstance(value, Tensor):
            tensors[name] = value.numpy()
        elif isinstance(value, np.ndarray):
            tensors[name] = np.require(value, as_dtype(value.dtype), "C")
        elif isinstance(value, np.generic):
            values[name] = value.item()
        elif isinstance(value, (bool, int, float, str)):
            values[name] = value
        else:
            raise TypeError(f"cannot save {name!r}: a {type(value).__name__} is not a tensor, a number or a string")
    return tensors, values


def _flattened(obj: Any) -> Iterator[tuple[str, Any]]:
    """Each value in nested dicts and in what has a `state_dict`, with the names on the way to it joined by dots."""
    entries = obj.state_dict() if hasattr(obj, "state_dict") else obj
    if not isinstance(entries, Mapping):
        raise TypeError(f"save takes a dict of names to tensors, or a module; not a {type(obj).__name__}")
    for name, value in entries.items():
        if not isinstance(name, str):
            raise TypeError(f"the names of what is saved must be strings; {name!r} is a {type(name).__name__}")
        if isinstance(value, Mapping) or hasattr(value, "state_dict"):
            yield from ((f"{name}.{rest}", inner) for rest, inner in _flattened(value))
        else:
            yield name, value
