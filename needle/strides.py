"""The arithmetic of strides, counted in elements: contiguity, broadcasting, reshaping without a copy."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from needle.dtypes import Shape

Strides = tuple[int, ...]


@lru_cache(maxsize=4096)
def contiguous_strides(shape: Shape) -> Strides:
    """The strides of a C-contiguous array."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


@lru_cache(maxsize=4096)
def is_contiguous(shape: Shape, strides: Strides) -> bool:
    """Whether the elements lie in C order without gaps; the stride of an axis of size 1 does not matter."""
    if prod(shape) == 0:
        return True
    expected = contiguous_strides(shape)
    return all(n == 1 or s == e for n, s, e in zip(shape, strides, expected, strict=True))


@lru_cache(maxsize=4096)
def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that `shapes` broadcast to. Raises ValueError naming them where they do not."""
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(s)) + s for s in shapes]
    result = []
    for sizes in zip(*padded, strict=True):
        wide = {n for n in sizes if n != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast together")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


@lru_cache(maxsize=4096)
def broadcast_strides(shape: Shape, strides: Strides, target: Shape) -> Strides:
    """The strides under which an array of `shape` reads as one of shape `target`.

    Raises ValueError where it does not broadcast to it.
    """
    extra = len(target) - len(shape)
    if extra < 0 or any(n not in (1, t) for n, t in zip(shape, target[extra:], strict=True)):
        raise ValueError(f"an array of shape {shape} does not broadcast to shape {target}")
    kept = (0 if n == 1 and t != 1 else s for n, s, t in zip(shape, strides, target[extra:], strict=True))
    return (0,) * extra + tuple(kept)


@lru_cache(maxsize=4096)
def reshape_strides(shape: Shape, strides: Strides, target: Shape) -> Strides | None:
    """The strides under which the same memory reads as `target`, or None where only a copy will do."""
    if is_contiguous(shape, strides):
        return contiguous_strides(target)
    # Walk both shapes in groups of axes that hold equally many elements; a group must be one even run.
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result: list[int] = []
    position = 0
    target_axis = 0
    while target_axis < len(target):
        if target[target_axis] == 1:
            result.append(0)
            target_axis += 1
            continue
        old_axis, group, wanted, last = position, 1, 1, target_axis
        while last < len(target) and (wanted == 1 or wanted != group):
            if wanted <= group:
                wanted *= target[last]
                last += 1
            else:
                group *= old[position][0]
                position += 1
        while group != wanted:
            group *= old[position][0]
            position += 1
        for (_, outer), (n, inner) in zip(old[old_axis : position - 1], old[old_axis + 1 : position], strict=True):
            if outer != n * inner:
                return None
        step = old[position - 1][1]
        steps = [s * step for s in contiguous_strides(target[target_axis:last])]
        result.extend(steps)
        target_axis = last
    return tuple(result)
