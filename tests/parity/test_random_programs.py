"""Random small programs: operations over views and broadcasting, forward and backward, against PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

import needle as ndl

# Each step takes tensors of the pool, one or two, and a number that picks a variant. All functions are smooth and
# bounded, so that both libraries agree to rounding: no quotient of what may be 0, no power that may overflow.
UNARY = {
    "tanh": (ndl.tanh, torch.tanh),
    "sin": (ndl.sin, torch.sin),
    "sigmoid": (ndl.sigmoid, torch.sigmoid),
    "softplus-like": (lambda x: ndl.log(1 + x * x), lambda x: torch.log(1 + x * x)),
    "scale": (lambda x: 0.5 - x * 2, lambda x: 0.5 - x * 2),
}
BINARY = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (1 + y * y),
}
REDUCTIONS = {
    "sum": (lambda x, a: ndl.sum(x, axis=a), lambda x, a: torch.sum(x, a)),
    "mean, kept": (lambda x, a: ndl.mean(x, axis=a, keepdims=True), lambda x, a: torch.mean(x, a, keepdim=True)),
    "softmax": (lambda x, a: ndl.softmax(x, a), lambda x, a: torch.softmax(x, a)),
}


def _reverse(x, axis):
    return x.flip((axis,))


def _drop_first(x, axis):
    return x[(slice(None),) * axis + (slice(1, None),)] if x.shape[axis] > 1 else x


def _every_other(x, axis):
    return x[(slice(None),) * axis + (slice(None, None, 2),)]


def _pick(x, axis):
    return x[(slice(None),) * axis + (-1,)]


def _new_axis(x, axis):
    return x[(slice(None),) * axis + (None,)]


def _flat(x, axis):
    return x.reshape(-1)


def _transposed(x, axis):
    order = list(range(len(x.shape)))
    return x.permute(tuple(order[axis:] + order[:axis]))


VIEWS = {f.__name__: f for f in (_reverse, _drop_first, _every_other, _pick, _new_axis, _flat, _transposed)}

KINDS = st.sampled_from(["unary", "unary", "binary", "binary", "binary", "view", "view", "reduction"])
STEP = st.tuples(KINDS, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))


def choose(table, number):
    name = sorted(table)[number % len(table)]
    return name, table[name]


def broadcastable(x, y):
    return all(n == m or 1 in (n, m) for n, m in zip(reversed(x.shape), reversed(y.shape), strict=False))


def extend(ours, theirs, step):
    """Add one computed tensor to both pools, and return a description of it; None where the step does not fit."""
    kind, number, first, second = step
    i = first % len(ours)
    x, u = ours[i], theirs[i]
    if kind == "unary":
        name, (f, g) = choose(UNARY, number)
        ours.append(f(x))
        theirs.append(g(u))
        return f"{name}(t{i})"
    if kind == "binary":
        partners = [j for j, y in enumerate(ours) if broadcastable(x, y)]
        j = partners[second % len(partners)]
        name, f = choose(BINARY, number)
        ours.append(f(x, ours[j]))
        theirs.append(f(u, theirs[j]))
        return f"{name}(t{i}, t{j})"
    if not x.shape:
        return None
    axis = second % len(x.shape)
    if kind == "view":
        name, f = choose(VIEWS, number)
        ours.append(f(x, axis))
        # PyTorch has no negative steps and no other surprise here: the same expressions serve both.
        theirs.append(f(u, axis))
    else:
        name, (f, g) = choose(REDUCTIONS, number)
        ours.append(f(x, axis))
        theirs.append(g(u, axis))
    return f"{name}(t{i}, {axis})"


@settings(max_examples=settings().max_examples * 2 // 5)  # each is compiled, in float64
@given(steps=st.lists(STEP, min_size=2, max_size=7), seed=st.integers(0, 2**16))
def test_values_and_gradients(parity, steps, seed):
    rng = np.random.default_rng(seed)
    leaves = [rng.uniform(-1, 1, shape) for shape in ((3, 2), (2,), (2, 1, 1))]
    ours, theirs = [parity.ours(leaf) for leaf in leaves], [parity.theirs(leaf) for leaf in leaves]
    for step in steps:
        description = extend(ours, theirs, step)
        if description is not None:
            note(f"t{len(ours) - 1} = {description}, of shape {ours[-1].shape}")
            assert ours[-1].shape == tuple(theirs[-1].shape)
    result, expected = ours[-1], theirs[-1]
    weights = parity.host(rng.uniform(0.5, 2, result.shape))
    result.backward(ndl.asarray(weights))
    expected.backward(torch.tensor(weights.astype(np.float64)))
    parity.close(result, expected, rtol=1e-9, atol=1e-10)
    n = len(leaves)
    parity.gradients_close(ours[:n], theirs[:n], rtol=1e-9, atol=1e-9)
