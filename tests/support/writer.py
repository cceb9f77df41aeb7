"""Drawing a program line by line, while worlds of the reference already run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from support.reference import World
from support.values import Value, promoted

WORLDS = 7  # the exact one and six with rounding errors
MAX_ELEMENTS = 1 << 15
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Writer:
    """Draws a program line by line."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw
        self.worlds = [World(None if k == 0 else k) for k in range(WORLDS)]
        self.names: list[dict[str, Any]] = [{"ndl": world, "np": np} for world in self.worlds]
        self.lines: list[str] = []
        self.operations = 0  # how many of the lines compute something or write
        self.alive: list[str] = []
        self.leaves: list[str] = []
        self.dtypes: set[str] = set()
        self.frozen: list[np.ndarray] = []  # memory that a gradient still needs
        self.special = self.pick([False] * 9 + [True])
        self.floats = self.pick([("float32",)] * 6 + [("float64",)] * 3 + [("float32", "float64"), ("float16",)])

    def pick(self, choices: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(choices)))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def value(self, name: str) -> Value:
        return self.names[0][name]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.value(name).shape

    # -- lines ----------------------------------------------------------------------------------

    def execute(self, line: str) -> None:
        code = compile(line, "<drawn>", "exec")
        with np.errstate(all="ignore"):
            for names in self.names:
                exec(code, names)

    def add(self, text: str, *operands: str) -> str | None:
        """Append `t = text`, unless its value is none that a test could rely on."""
        name = f"t{len(self.lines)}"
        self.execute(f"{name} = {text}")
        found = [names[name] for names in self.names]
        agreed = all(map(is_certain, zip(*(world.decisions for world in self.worlds), strict=True)))
        for world in self.worlds:
            world.decisions = []
        if not agreed or not self.is_sound(found):
            for names in self.names:
                del names[name]
            return None
        self.keep(name, f"{name} = {text}")
        self.operations += 1
        if found[0].requires_grad:
            self.frozen += [root_of(self.value(o).value) for o in (*operands, name)]
        return name

    def keep(self, name: str, line: str) -> None:
        self.lines.append(line)
        self.alive.append(name)
        self.dtypes.add(self.value(name).dtype.name)

    def is_sound(self, found: list[Value]) -> bool:
        exact = found[0].value
        if exact.size > MAX_ELEMENTS:
            return False
        if found[0].dtype.kind != "f":
            return all(same(f.value, exact) for f in found)
        finite = np.isfinite(exact)
        if not (self.special or finite.all()) or not all(same(np.isfinite(f.value), finite) for f in found):
            return False
        size = np.where(finite, np.abs(exact), 0)
        limit = 500 if found[0].dtype == np.float16 else 1e4
        with np.errstate(invalid="ignore"):
            apart = np.max([np.where(finite, np.abs(f.value - exact), 0) for f in found], axis=0)
        return bool((size < limit).all() and (apart <= 1e-2 * (1 + size)).all())

    # -- leaves ---------------------------------------------------------------------------------

    def data(self, shape: tuple[int, ...], dtype: str) -> str:
        """The text of NumPy data of `shape`, whose values `dtype` holds exactly."""
        generator = f"np.random.default_rng({self.number(0, 999)})"
        if dtype == "bool":
            return f"{generator}.integers(0, 2, {shape}).astype(bool)"
        if dtype in INTEGERS:
            if self.number(0, 2) == 0:
                limits = np.iinfo(dtype)
                return f"{generator}.integers({limits.min}, {limits.max}, {shape}, dtype={dtype!r}, endpoint=True)"
            return f"{generator}.integers({0 if dtype[0] == 'u' else -5}, 10, {shape}, dtype={dtype!r})"
        if self.special:
            return f"{generator}.choice([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -2.5, 0.125], {shape})"
        kind = self.number(0, 2)
        if kind == 0:
            return f"{generator}.standard_normal({shape})"
        return f"{generator}.integers(-24, 25, {shape}) / {8 if kind == 1 else 16}"

    def leaf(self, shape: tuple[int, ...], kind: str) -> None:
        name = f"x{len(self.lines)}"
        if kind == "variable":
            dtype = self.pick(self.floats)
            text = f"ndl.Tensor({self.data(shape, dtype)}, dtype={dtype!r})"
            self.leaves.append(name)
        elif kind == "constant":
            dtype = self.pick([*self.floats, "int32"])
            text = f"ndl.full({shape}, {self.pick([0, 1, 2])}, dtype={dtype!r})"
        else:
            dtype = self.pick({"float": self.floats, "integer": INTEGERS, "bool": ("bool",)}[kind])
            text = f"ndl.asarray({self.data(shape, dtype)}, dtype={dtype!r})"
        self.execute(f"{name} = {text}")
        self.keep(name, f"{name} = {text}")
        if kind == "variable":
            self.frozen.append(root_of(self.value(name).value))

    def begin(self) -> None:
        extents = [1, 2, 3, 4, 5, 7] * 3 + [17, 33, 0]
        rank = self.pick([0, 1, 1, 2, 2, 2, 3, 3, 4])
        base = [self.pick(extents) for _ in range(rank)]
        large = rank and self.number(0, 11) == 0  # more than one work-group has to do
        if large:
            base[self.number(0, rank - 1)] = self.pick([257, 1031, 4099])
        while prod(base) > (20000 if large else 600):
            base[base.index(max(base))] //= 2
        kinds = ["variable", "variable"] + [self.pick(["variable", "float", "constant", "integer", "integer", "bool"])
                                            for _ in range(self.number(0, 3))]  # fmt: skip
        for i, kind in enumerate(kinds):
            shape = [1 if i and self.number(0, 4) == 0 else n for n in base]
            self.leaf(tuple(shape[self.number(0, rank) if i and self.number(0, 3) == 0 else 0 :]), kind)

    # -- choosing operands ----------------------------------------------------------------------

    def operand(self, kinds: str = "biuf", least: int = 0, elements: int = 0) -> str | None:
        """A living tensor of these dtype kinds, with so many axes and elements at least; rather a late one."""
        fits = [
            n for n in self.alive
            if (y := self.value(n)).dtype.kind in kinds and y.ndim >= least and y.value.size >= elements
        ]  # fmt: skip
        return self.pick(fits[-6:] if fits and self.number(0, 3) else fits) if fits else None

    def partner(self, x: str, kinds: str = "biuf") -> str | None:
        """A living tensor that broadcasts with `x` and meets it in a dtype."""
        fits = []
        for n in self.alive:
            y = self.value(n)
            if y.dtype.kind in kinds and meet(self.value(x).dtype, y.dtype) and broadcast(self.shape(x), y.shape):
                fits.append(n)
        return self.pick(fits) if fits else None

    def scalar(self, x: str) -> str:
        kind = self.value(x).dtype.kind
        choices = {"f": ["2", "0.5", "-1.25", "0.1", "3"], "i": ["2", "-3", "1", "7"], "u": ["1", "2", "7"], "b": ["1"]}
        return self.pick(choices[kind])

    def axis(self, x: str) -> int:
        return self.number(-self.value(x).ndim, self.value(x).ndim - 1)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")


def is_certain(decisions: Sequence[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether all worlds decide alike, and not by a hair: what is exact in all of them may be on the edge."""
    (decision, margin), *others = decisions
    if not all(same(d, decision) for d, _ in others):
        return False
    with np.errstate(invalid="ignore"):
        apart = np.max([np.abs(m - margin) for _, m in others], axis=0)
        return not np.any((apart > 0) & (np.abs(margin) <= 3 * apart))


def root_of(array: np.ndarray) -> np.ndarray:
    while array.base is not None:
        array = array.base
    return array


def meet(a: np.dtype, b: np.dtype) -> bool:
    return "f" in (a.kind, b.kind) or promoted(a, b).kind != "f"


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return prod(np.broadcast_shapes(a, b)) <= MAX_ELEMENTS
    except ValueError:
        return False
