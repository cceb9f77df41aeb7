"""Sums of products by Einstein's notation: a path of pairs from opt_einsum, each of them one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import opt_einsum

from needle.dtypes import Shape, promote
from needle.ops.base import check_tensor
from needle.ops.matmul import matmul
from needle.ops.reductions import sum
from needle.ops.shape import astype, broadcast_to, permute_dims, reshape
from needle.ops.triangles import diagonal

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["einsum"]


def einsum(subscripts: Any, *operands: Any, optimize: Any = "auto") -> Tensor:
    """The sum of products of `operands` over the indices that `subscripts` does not keep: `"bij,bjk->bik"`.

    The notation is NumPy's and PyTorch's, with an ellipsis, or with lists of ints after the operands; an index that
    stands twice in one operand takes its diagonal. opt_einsum chooses the order, by its strategy `optimize`; each step
    is one matrix product. The result has the operands' common dtype. Raises ValueError for a notation that makes no
    sense or does not fit the shapes.
    """
    inputs, output, tensors = _parsed(subscripts, operands)
    for position, tensor in enumerate(tensors):
        check_tensor("einsum", f"operands[{position}]", tensor)
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = promote(dtype, tensor.dtype)
    found = [_unrepeated(astype(t, dtype), indices) for t, indices in zip(tensors, inputs, strict=True)]
    _check_sizes(found)
    waiting = _without_ones(found)
    for places in _path(tuple(i for _, i in waiting), output, tuple(t.shape for t, _ in waiting), optimize):
        chosen = [waiting.pop(place) for place in sorted(places, reverse=True)]
        kept = set(output).union(*(indices for _, indices in waiting))
        waiting.append(_contracted(chosen, kept))
    ((tensor, indices),) = waiting
    tensor, indices = _summed(tensor, indices, set(output))
    sizes = {index: n for t, own in found for index, n in zip(own, t.shape, strict=True) if n != 1}
    present = [index for index in output if index in indices]
    tensor = permute_dims(tensor, [indices.index(index) for index in present])
    shape = tuple(sizes.get(index, 1) for index in output)
    kept_shape = [n if index in present else 1 for index, n in zip(output, shape, strict=True)]
    return broadcast_to(reshape(tensor, kept_shape), shape)


def _parsed(subscripts: Any, operands: Sequence[Any]) -> tuple[list[str], str, list[Any]]:
    """The indices of each operand, those of the result, and the operands."""
    if isinstance(subscripts, str) and not operands:
        raise ValueError("einsum needs at least one operand")
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    for position, operand in enumerate(given if isinstance(subscripts, str) else ()):
        check_tensor("einsum", f"operands[{position}]", operand)
    inputs, output, tensors = opt_einsum.parser.parse_einsum_input((subscripts, *given))
    indices = inputs.split(",")
    if len(indices) != len(tensors):
        raise ValueError(f"einsum: subscripts={subscripts!r} has {len(indices)} operands; {len(tensors)} were given")
    for position, (own, tensor) in enumerate(zip(indices, tensors, strict=True)):
        if len(own) != len(tensor.shape):
            raise ValueError(f"einsum: {own!r} names {len(own)} axes; operands[{position}] has shape {tensor.shape}")
    if len(set(output)) != len(output) or not set(output) <= set("".join(indices)):
        raise ValueError(f"einsum: the result's indices {output!r} must each stand in an operand, and once there")
    return indices, output, list(tensors)


@lru_cache(maxsize=1024)
def _path(inputs: tuple[str, ...], output: str, shapes: tuple[Shape, ...], optimize: Any) -> list[tuple[int, ...]]:
    """Which operands are multiplied in each step; the product takes a place at the end."""
    if len(inputs) < 3:
        return [tuple(range(len(inputs)))]
    equation = f"{','.join(inputs)}->{''.join(i for i in output if i in ''.join(inputs))}"
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimize)
    return list(path)


def _unrepeated(tensor: Tensor, indices: str) -> tuple[Tensor, str]:
    """The diagonals where an index stands twice."""
    for index in dict.fromkeys(indices):
        while indices.count(index) > 1:
            first = indices.index(index)
            second = indices.index(index, first + 1)
            if tensor.shape[first] != tensor.shape[second]:
                raise ValueError(f"einsum: index {index!r} has sizes {tensor.shape[first]} and {tensor.shape[second]}")
            tensor = diagonal(tensor, 0, first, second)
            indices = indices[:first] + indices[first + 1 : second] + indices[second + 1 :] + index
    return tensor, indices


def _check_sizes(operands: Sequence[tuple[Tensor, str]]) -> None:
    """Raise ValueError for an index of several sizes other than 1, which broadcasts."""
    sizes: dict[str, int] = {}
    for tensor, indices in operands:
        for index, size in zip(indices, tensor.shape, strict=True):
            if sizes.setdefault(index, size) != size and 1 not in (size, sizes[index]):
                raise ValueError(f"einsum: index {index!r} has sizes {sizes[index]} and {size}")
            sizes[index] = size if sizes[index] == 1 else sizes[index]


def _without_ones(operands: Sequence[tuple[Tensor, str]]) -> list[tuple[Tensor, str]]:
    """The operands without axes of size 1: what they broadcast to is in other operands, or 1 in the result."""
    return [
        (
            reshape(tensor, [n for n in tensor.shape if n != 1]),
            "".join(i for i, n in zip(indices, tensor.shape, strict=True) if n != 1),
        )
        for tensor, indices in operands
    ]


def _summed(tensor: Tensor, indices: str, kept: set[str]) -> tuple[Tensor, str]:
    """Summed over all indices but those to be kept."""
    axes = [a for a, index in enumerate(indices) if index not in kept]
    if not axes:
        return tensor, indices
    return sum(tensor, axes, dtype=tensor.dtype), "".join(i for i in indices if i in kept)


def _contracted(chosen: Sequence[tuple[Tensor, str]], kept: set[str]) -> tuple[Tensor, str]:
    """The product of operands, one after the other, summed over what is not kept."""
    *earlier, last = chosen
    tensor, indices = last
    while earlier:
        other = earlier.pop()
        needed = kept.union(*(own for _, own in earlier))
        tensor, indices = _pair(tensor, indices, *other, needed)
    return tensor, indices


def _pair(x: Tensor, ours: str, y: Tensor, theirs: str, kept: set[str]) -> tuple[Tensor, str]:
    """The product of two operands summed over what neither the rest nor the result needs, by one matrix product."""
    x, ours = _summed(x, ours, kept | set(theirs))
    y, theirs = _summed(y, theirs, kept | set(ours))
    both = [i for i in ours if i in theirs]
    stacked, inner = [i for i in both if i in kept], [i for i in both if i not in kept]
    rows, columns = [i for i in ours if i not in theirs], [i for i in theirs if i not in ours]
    sizes = {**dict(zip(ours, x.shape, strict=True)), **dict(zip(theirs, y.shape, strict=True))}
    count = {"b": prod(sizes[i] for i in stacked), "r": prod(sizes[i] for i in rows),
             "i": prod(sizes[i] for i in inner), "c": prod(sizes[i] for i in columns)}  # fmt: skip
    left = permute_dims(x, [ours.index(i) for i in (*stacked, *rows, *inner)])
    right = permute_dims(y, [theirs.index(i) for i in (*stacked, *inner, *columns)])
    shape = [sizes[i] for i in (*stacked, *rows, *columns)]
    indices = "".join((*stacked, *rows, *columns))
    if not inner:  # nothing is summed: an elementwise product, which is fused
        spread = [sizes[i] for i in (*stacked, *rows)] + [1] * len(columns)
        beside = [sizes[i] for i in stacked] + [1] * len(rows) + [sizes[i] for i in columns]
        return reshape(left, spread) * reshape(right, beside), indices
    lead = [count["b"]] if stacked else []
    product = matmul(reshape(left, [*lead, count["r"], count["i"]]), reshape(right, [*lead, count["i"], count["c"]]))
    return reshape(product, shape), indices
