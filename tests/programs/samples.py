"""Data for the programs, as NumPy arrays: what an author would read from a file."""

from __future__ import annotations

import numpy as np

CENTRES = np.array([[0.0, 0.0, 0.0, 0.0], [4.0, 4.0, 1.0, 0.0], [-4.0, 4.0, 0.0, 2.0]])


def blobs(per_class: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Points in three heaps, float64 of shape (3 per_class, 4), in a mixed order, and the heap of each."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), per_class))
    return CENTRES[labels] + rng.normal(0, 0.7, (labels.size, 4)), labels


def two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Points on both sides of a line, float64 (24, 4), and their sides, 0 or 1."""
    points, labels = blobs()
    return points[labels < 2], labels[labels < 2]


def line(count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Places and noisy values of a cubic polynomial, float64 (count,)."""
    x = np.linspace(-1, 1, count)
    return x, 1 - 2 * x + 3 * x**3 + np.random.default_rng(1).normal(0, 0.05, count)


def picture(height: int = 16, width: int = 20) -> np.ndarray:
    """A dark grey picture with a bright spot, uint8 (height, width)."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(2).integers(0, 12, (height, width))
    return (90 * np.exp(-((y - 6) ** 2 + (x - 9) ** 2) / 20) + noise).astype(np.uint8)


def ratings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items (int64) and stars (float64) of 60 ratings by 8 users of 6 items."""
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, 8, 60), rng.integers(0, 6, 60)
    taste, kind = rng.normal(0, 1, (8, 2)), rng.normal(0, 1, (6, 2))
    return users, items, (taste[users] * kind[items]).sum(1) + 3


def uniform(*shape: int, seed: int = 4) -> np.ndarray:
    """Numbers from 0 up to 1, float64."""
    return np.random.default_rng(seed).random(shape)


def gauss(*shape: int, seed: int = 5) -> np.ndarray:
    """Normal numbers, float64."""
    return np.random.default_rng(seed).normal(0, 1, shape)


TEXT = "the needle and the thread and the cloth that the needle and the thread go through"
