"""Computing many results in few launches, since compiling a kernel for each is what tests spend their time on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

import needle as ndl
from needle.array import evaluation

#: Results of one launch: with their operands they stay below the kernel parameters that every device allows.
AT_ONCE = 24


def realize(tensors: Sequence[ndl.Tensor]) -> None:
    """Compute pending tensors, those of one shape and device in common launches."""
    for start in range(0, len(tensors), AT_ONCE):
        evaluation.realize([tensor.cached_data for tensor in tensors[start : start + AT_ONCE]])


class Together:
    """Results with what is to be said of each, computed together; `verify` names all that are wrong."""

    def __init__(self) -> None:
        self._results: list[tuple[str, ndl.Tensor, Callable[[np.ndarray], None]]] = []
        self._tensors: dict[int, tuple[np.ndarray, ndl.Tensor]] = {}

    def asarray(self, host: np.ndarray) -> ndl.Tensor:
        """`host` on the default device; the same tensor for the same array: a launch has only so many operands."""
        return self._tensors.setdefault(id(host), (host, ndl.asarray(host)))[1]

    def add(self, name: str, result: ndl.Tensor, check: Callable[[np.ndarray], None]) -> None:
        """Let `check` be called with the values of `result`; what it raises is reported under `name`."""
        self._results.append((name, result, check))

    def equal(self, name: str, result: ndl.Tensor, expected: Any, dtype: Any = None) -> None:
        """Let the values of `result` be exactly those of `expected`, of its shape and perhaps of `dtype`."""

        def check(actual: np.ndarray) -> None:
            assert actual.shape == np.shape(expected)
            assert dtype is None or actual.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(actual, expected)

        self.add(name, result, check)

    def verify(self) -> None:
        """Compute the results and check each. Raises AssertionError with the names of all that are wrong, and why."""
        assert self._results, "there is nothing to verify"
        with suppress(Exception):  # if one of them cannot be computed, which one is found out below
            realize([result for _, result, _ in self._results])
        wrong = {name: why for name, result, check in self._results for why in _faults(result, check)}
        assert not wrong, f"{len(wrong)} of {len(self._results)} are wrong: {', '.join(wrong)}\n\n" + "\n\n".join(
            f"-- {name}: {why}" for name, why in wrong.items()
        )


def _faults(result: ndl.Tensor, check: Callable[[np.ndarray], None]) -> Iterator[str]:
    try:
        check(result.numpy())
    except AssertionError as error:
        yield str(error).strip()
    except Exception as error:
        yield f"{type(error).__name__}: {error}"


def gradchecks(cases: Mapping[str, tuple[Callable[..., ndl.Tensor], Sequence[np.ndarray]]]) -> None:
    """`ndl.gradcheck` of many functions together, with its tolerances.

    Args:
        cases: by name, a function and its arguments; those of floats are its variables.
    """
    exact = ndl.default_device().supports(ndl.float64)
    eps, tolerance = (1e-6, 1e-6) if exact else (1e-2, 2e-2)
    random = np.random.default_rng(0)
    outputs, projections, variables = {}, {}, {}
    for name, (function, hosts) in cases.items():
        variables[name] = [ndl.Tensor(host) for host in hosts]
        outputs[name] = function(*variables[name])
        projections[name] = random.standard_normal(outputs[name].shape)
    realize([*outputs.values()])
    for name, output in outputs.items():
        output.backward(ndl.asarray(projections[name].astype(output.dtype)))
    realize([v.grad for some in variables.values() for v in some if v.grad is not None])

    wrong = []
    for i in range(max(len(hosts) for _, hosts in cases.values())):
        moved = {name: hosts for name, (_, hosts) in cases.items() if i < len(hosts) and hosts[i].dtype.kind == "f"}
        directions = {name: random.standard_normal(hosts[i].shape) for name, hosts in moved.items()}
        sides = []
        for step in (eps, -eps):
            values = {}
            for name, hosts in moved.items():
                there = np.asarray(hosts[i] + step * directions[name], hosts[i].dtype)
                values[name] = cases[name][0](*map(ndl.Tensor, [*hosts[:i], there, *hosts[i + 1 :]]))
            realize([*values.values()])
            sides.append(values)
        for name, direction in directions.items():
            apart = sides[0][name].numpy().astype(np.float64) - sides[1][name].numpy()
            numeric = float((apart * projections[name]).sum()) / (2 * eps)
            gradient = variables[name][i].grad
            analytic = 0.0 if gradient is None else float((gradient.numpy().astype(np.float64) * direction).sum())
            if not np.isclose(analytic, numeric, rtol=tolerance, atol=tolerance, equal_nan=False):
                wrong.append(f"{name}, input {i}: backward gives {analytic}, finite differences {numeric}")
    assert not wrong, f"{len(wrong)} gradients of {len(cases)} functions are wrong:\n" + "\n".join(wrong)
