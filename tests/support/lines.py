"""The kinds of lines that drawn programs consist of."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from hypothesis import strategies as st

from support.functions import COMPARE, EXACT, LOGICAL, UNARY
from support.writer import INTEGERS, Writer, broadcast, meet, root_of

#: What to put around an argument so that a function stays in its domain.
_TAMED = {
    "acosh": "1.25 + ndl.square({})", "asin": "ndl.tanh({}) * 0.9", "acos": "ndl.sin({}) * 0.9",
    "atanh": "ndl.tanh({}) * 0.75", "log": "0.5 + ndl.square({})", "log2": "0.5 + ndl.abs({})",
    "log10": "0.5 + ndl.square({})", "log1p": "ndl.square({})", "sqrt": "0.25 + ndl.abs({})",
    "rsqrt": "0.25 + ndl.square({})", "reciprocal": "0.5 + ndl.square({})", "exp": "ndl.tanh({})",
    "expm1": "ndl.sin({})", "sinh": "ndl.sin({})", "cosh": "ndl.sin({})", "tan": "ndl.sin({})", "square": "{} * 0.25",
}  # fmt: skip


def unary(w: Writer) -> None:
    name, x = w.pick(sorted(UNARY)), w.operand("iuf")
    if x is None:
        return
    tamed = _TAMED.get(name)
    if tamed is not None and w.number(0, 3):
        w.add(f"ndl.{name}({tamed.format(x)})", x)
    elif w.add(f"ndl.{name}({x})", x) is None:
        w.add(f"ndl.tanh({x})", x)


def exact(w: Writer) -> None:
    x = w.operand("iuf")
    if x is not None:
        name = w.pick(sorted(EXACT))
        w.add(f"-{x}" if name == "negative" else f"ndl.{name}({x})", x)


def binary(w: Writer) -> None:
    x = w.operand("iuf")
    y = x and w.partner(x, "iuf")
    if not x or not y:
        return
    if w.number(0, 1):
        x, y = y, x
    forms = ["{} + {}", "{} - {}", "{} * {}", "{} * {}", "ndl.maximum({}, {})", "ndl.minimum({}, {})",
             "{} / (0.5 + ndl.square({}))", "ndl.atan2({}, {})", "ndl.remainder({}, {})",
             "ndl.floor_divide({}.detach(), {}.detach())",
             "ndl.pow(ndl.sigmoid({}) + 0.5, {})", "{} / {}"]  # fmt: skip
    form = w.pick(forms)
    if w.add(form.format(x, y), x, y) is None:
        w.add(f"{x} * 0.5 + ndl.sin({y})", x, y)


def with_scalar(w: Writer) -> None:
    x = w.operand("iuf")
    if x is None:
        return
    forms = ["{0} + {1}", "{1} - {0}", "{0} * {1}", "{0} / {1}", "ndl.maximum({0}, {1})", "ndl.clip({0}, 0, {1})",
             "ndl.remainder({0}, {1})", "ndl.floor_divide({0}.detach(), {1})", "{0} * {1} + {0}"]  # fmt: skip
    if w.value(x).dtype.kind != "f":
        forms += ["ndl.pow({0}, 2)", "ndl.bitwise_left_shift({0}, {1})", "ndl.bitwise_right_shift({0}, 9)"]
        scalar = w.pick(["1", "2", "3", "7"])
    else:
        forms += ["ndl.pow(ndl.abs({0}) + 0.5, {1})"]
        scalar = w.scalar(x)
    w.add(w.pick(forms).format(x, scalar), x)


def compare(w: Writer) -> None:
    x = w.operand("iuf")
    y = x and w.partner(x, "iuf")
    if x and y:
        w.add(f"ndl.{w.pick(COMPARE)}({x}, {y if w.number(0, 2) else w.scalar(x)})", x, y)


def logic(w: Writer) -> None:
    x = w.operand("biu")
    y = x and w.partner(x, "biu")
    if x and y:
        forms = [f"ndl.{name}({{}}, {{}})" for name in LOGICAL] + ["{} & {}", "{} | {}", "{} ^ {}"]
        w.add(w.pick([*forms, "ndl.logical_not({})", "~{}"]).format(x, y), x, y)


def choose(w: Writer) -> None:
    c = w.operand("biu")
    x = c and w.partner(c)
    y = x and w.partner(x)
    if c and x and y and broadcast(np.broadcast_shapes(w.shape(c), w.shape(x)), w.shape(y)):
        w.add(f"ndl.where({c}, {x}, {y if w.number(0, 2) else w.scalar(x)})", c, x, y)


def convert(w: Writer) -> None:
    x = w.operand()
    if x is None:
        return
    dtype = w.pick([*w.floats, *w.floats, *INTEGERS, "bool"])
    if w.value(x).dtype.kind == "f" and dtype in INTEGERS:
        if not np.isfinite(w.value(x).value).all():
            return  # what becomes of NaN is open
        w.add(f"ndl.astype(ndl.clip({x}, {0 if dtype[0] == 'u' else -100}, 100), {dtype!r})", x)
    else:
        w.add(f"ndl.astype({x}, {dtype!r})", x)


def reduction(w: Writer) -> None:
    x = w.operand()
    if x is None:
        return
    ndim, kind = w.value(x).ndim, w.value(x).dtype.kind
    axes = tuple(a for a in range(ndim) if w.number(0, 1))
    axis = w.pick([None, axes, *((axes[0] - ndim,) if axes else ())])
    folded = (
        w.shape(x) if axis is None else tuple(w.shape(x)[a] for a in (axis if isinstance(axis, tuple) else (axis,)))
    )
    names = ["sum", "sum", "mean", "var", "any", "all"]
    if kind == "b":
        names = ["sum", "any", "all"]
    if prod(folded) <= 16 or kind in "iu":
        names.append("prod")
    if 0 not in folded:
        names += ["max", "min"]
    w.add(f"ndl.{w.pick(names)}({x}, axis={axis}, keepdims={bool(w.number(0, 1))})", x)


def position(w: Writer) -> None:
    x = w.operand(least=1, elements=1)
    if x is not None:
        w.add(f"ndl.{w.pick(['argmax', 'argmin'])}({x}, axis={w.pick([None, w.axis(x)])})", x)


def along_axis(w: Writer) -> None:
    x = w.operand("iuf", least=1)
    if x is not None:
        w.add(f"ndl.{w.pick(['softmax', 'log_softmax', 'logsumexp'])}({x}, axis={w.axis(x)})", x)


def can_multiply(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether there is a product of these shapes, and no larger than a value may be: a column by a row is large."""
    if a[-1] != b[max(len(b) - 2, 0)]:
        return False
    matrix = (*a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
    return broadcast((*a[:-2], *matrix), (*b[:-2], *(1 for _ in matrix)))


def product(w: Writer) -> None:
    x = w.operand("iuf", least=1)
    if x is None:
        return
    rows, dtype = w.shape(x)[-1], w.value(x).dtype
    fits = [n for n in w.alive if (y := w.value(n)).ndim and meet(dtype, y.dtype) and y.dtype.kind != "b"
            and can_multiply(w.shape(x), y.shape)]  # fmt: skip
    kind = w.number(0, 2)
    if fits and kind == 0:
        y = w.pick(fits)
        w.add(f"{x} @ {y}", x, y)
    elif kind == 1 and len(w.shape(x)) > 1:
        order = (*range(len(w.shape(x)) - 2), len(w.shape(x)) - 1, len(w.shape(x)) - 2)
        if can_multiply(w.shape(x), tuple(w.shape(x)[a] for a in order)):
            w.add(f"{x} @ ndl.permute_dims({x}, {order})", x)
    else:
        shape = w.pick([(rows,), (rows, w.pick([1, 2, 3, 8, 18]))])
        if dtype.kind == "f":
            w.add(f"{x} @ ndl.asarray({w.data(shape, dtype.name)}, dtype={dtype.name!r})", x)
        else:
            w.add(f"{x} @ ndl.asarray({w.data(shape, dtype.name)})", x)


def index_text(w: Writer, shape: tuple[int, ...]) -> str:
    items = []
    for n in shape[: w.number(0, len(shape)) if w.number(0, 2) == 0 else len(shape)]:
        kind = w.number(0, 7)
        if kind == 0 and n:
            items.append(str(w.number(-n, n - 1)))
        elif kind == 1:
            items.append("None, :")
        elif kind <= 3:
            items.append(f"::{w.pick([-1, 2, -2, 3])}")
        elif kind <= 5:
            items.append(f"{w.number(-n - 1, n + 1)}:{w.pick(['', w.number(-n - 1, n + 1)])}:{w.pick(['', -1, 2])}")
        else:
            items.append(":")
    return ", ".join(items) or "..."


def view(w: Writer) -> None:
    x = w.operand()
    if x is None:
        return
    shape = w.shape(x)
    forms = [f"{x}[{index_text(w, shape)}]"] * 3
    forms += [f"ndl.reshape({x}, (-1,))" if 0 not in shape else f"ndl.reshape({x}, (0,))", f"ndl.squeeze({x})"]
    forms += [f"ndl.expand_dims({x}, {w.number(0, len(shape))})", f"ndl.flip({x})", f"ndl.flatten({x})"]
    if len(shape) > 1:
        order = tuple(w.draw(st.permutations(range(len(shape)))))
        forms += [f"ndl.permute_dims({x}, {order})"] * 2
        at = w.number(0, len(shape) - 2)
        forms.append(f"ndl.reshape({x}, {(*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])})")
    if shape:
        at = w.number(0, len(shape) - 1)
        n = shape[at]
        forms.append(f"ndl.flip({x}, {at})")
        divisors = [d for d in (2, 3, 5, 7) if n and n % d == 0]
        if divisors:
            d = w.pick(divisors)
            forms.append(f"ndl.reshape({x}, {(*shape[:at], n // d, d, *shape[at + 1 :])})")
    wider = (*((w.pick([1, 2, 3]),) if w.number(0, 1) else ()), *(w.pick([2, 3]) if n == 1 else n for n in shape))
    forms.append(f"ndl.broadcast_to({x}, {wider})")
    w.add(w.pick(forms), x)


def join(w: Writer) -> None:
    x = w.operand(least=1)
    if x is None:
        return
    at = w.axis(x) % len(w.shape(x))
    rest = (*w.shape(x)[:at], *w.shape(x)[at + 1 :])
    fits = [n for n in w.alive if len(w.shape(n)) == len(w.shape(x)) and meet(w.value(x).dtype, w.value(n).dtype)
            and (*w.shape(n)[:at], *w.shape(n)[at + 1 :]) == rest]  # fmt: skip
    y = w.pick(fits)
    if w.shape(y) == w.shape(x) and w.number(0, 1):
        w.add(f"ndl.stack([{x}, {y}, {x}], {at})", x, y)
    else:
        w.add(f"ndl.concat([{x}, {y}], {at})", x, y)


def cut(w: Writer) -> None:
    x = w.operand(least=1)
    if x is not None:
        at = w.axis(x) % len(w.shape(x))
        n = w.shape(x)[at]
        cuts = sorted(w.number(0, n) for _ in range(2))
        w.add(f"ndl.split({x}, {cuts}, {at})[{w.number(0, 2)}]", x)


def gather(w: Writer) -> None:
    x = w.operand(least=1, elements=1)
    if x is None:
        return
    at = w.axis(x) % len(w.shape(x))
    n = w.shape(x)[at]
    counts = [
        c for c in w.alive if w.value(c).dtype.name in ("int16", "int32", "int64", "uint8") and len(w.shape(c)) < 3
    ]
    if counts and n < 128 and w.number(0, 1):
        c = w.pick(counts)
        w.add(f"ndl.take({x}, ndl.remainder({c}, {n}), {at})", x, c)
    elif w.number(0, 1):
        shape = w.pick([(), (3,), (2, 2), (0,), (19,)])
        w.add(f"ndl.take({x}, np.random.default_rng({w.number(0, 99)}).integers({-n}, {n}, {shape}), {at})", x)
    else:
        shape = (*w.shape(x)[:at], w.pick([1, 2, n]), *w.shape(x)[at + 1 :])
        indices = f"np.random.default_rng({w.number(0, 99)}).integers({-n}, {n}, {shape})"
        w.add(f"ndl.take_along_axis({x}, {indices}, {at})", x)


def hot(w: Writer) -> None:
    x = w.operand("iu")
    if x is not None and w.value(x).dtype.itemsize > 1 and w.value(x).dtype != np.uint64:
        w.add(f"ndl.one_hot(ndl.remainder({x}, 4), 4, {w.pick(w.floats)!r})", x)


def realize(w: Writer) -> None:
    w.lines.append(f"{w.pick(w.alive)}.realize()")


def forget(w: Writer) -> None:
    """Drop a name; what was computed from it lives on."""
    names = [n for n in w.alive if n not in w.leaves]
    if len(names) > 2:
        name = w.pick(names)
        w.alive.remove(name)
        w.execute(f"del {name}")
        w.lines.append(f"del {name}")


def detach(w: Writer) -> None:
    x = w.operand("f")
    if x is not None:
        w.add(f"{x}.detach()", x)


def write(w: Writer) -> None:
    """Write into memory that no gradient needs, through whatever view of it."""
    fits = []
    for n in w.alive:
        value = w.value(n)
        repeats = any(s == 0 and e > 1 for s, e in zip(value.value.strides, value.shape, strict=True))
        frozen = any(root_of(value.value) is f for f in w.frozen)
        if not value.requires_grad and not repeats and not frozen and value.value.flags.writeable:
            fits.append(n)
    if not fits:
        return
    target = w.pick(fits)
    index = index_text(w, w.shape(target))
    part = eval(f"a[{index}]", {"a": w.value(target).value})
    values = [
        n for n in w.alive
        if w.value(n).dtype == w.value(target).dtype and not w.value(n).requires_grad
        and broadcast(w.shape(n), part.shape) and np.broadcast_shapes(w.shape(n), part.shape) == part.shape
    ]  # fmt: skip
    value = w.pick(values) if values and w.number(0, 2) else "1" if w.value(target).dtype.kind != "f" else "0.5"
    line = f"{target}[{index}] = {value}"
    w.execute(line)
    w.lines.append(line)
    w.operations += 1


KINDS: list[Callable[[Writer], None]] = [
    *[unary] * 4, *[exact] * 2, *[binary] * 6, *[with_scalar] * 3, compare, compare, logic, choose, choose, convert,
    *[reduction] * 4, position, *[along_axis] * 2, *[product] * 3, *[view] * 6, join, cut, *[gather] * 2, hot,
    *[realize] * 2, forget, detach, *[write] * 2,
]  # fmt: skip
