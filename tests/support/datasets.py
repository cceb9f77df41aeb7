"""Data sets that worker processes can import."""

from __future__ import annotations

import os
import random
import threading
from typing import Any

import numpy as np

from needle.data import Dataset


class Numbers(Dataset):
    """Item i is (the vector [i, i + 1, ...], i); `fault` says what happens at item 13."""

    def __init__(self, size: int = 40, width: int = 3, fault: str = "") -> None:
        super().__init__()
        self.size, self.width, self.fault = size, width, fault

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index == 13 and self.fault == "error":
            raise KeyError(f"item {index} is bad")
        if index == 13 and self.fault == "odd error":
            raise OddError(1, 2)
        if index == 13 and self.fault == "death":
            os._exit(7)
        return np.arange(index, index + self.width, dtype=np.float32), index


class OddError(Exception):
    """Cannot be unpickled: it wants two arguments and hands on one."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"odd {one} {two}")


class Dice(Dataset):
    """Random numbers, and the process that drew them."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[float, float, int]:
        return random.random(), float(np.random.random()), os.getpid()  # noqa: NPY002


class Locked(Dataset):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        return index


def total(items: list[Any]) -> np.ndarray:
    """A `collate`: the sum of the vectors of the items."""
    return np.sum([item[0] for item in items], axis=0)
