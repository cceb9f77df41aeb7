"""Simulations and pictures on grids: slices, rolls, masks."""

import numpy as np
from programs.samples import picture


def game_of_life():
    board = np.zeros((10, 12), dtype=np.int32)
    board[1:4, 1:4] = [[0, 1, 0], [0, 0, 1], [1, 1, 1]]
    for _ in range(8):
        neighbours = sum(
            np.roll(board, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
        )
        board = ((neighbours == 3) | ((board == 1) & (neighbours == 2))).astype(np.int32)
    return board, board.sum()


def heat_equation():
    u = np.zeros((16, 16))
    u[0, :] = 100.0
    u[5:8, 5:8] = 40
    for _ in range(20):
        inner = u[1:-1, 1:-1]
        u[1:-1, 1:-1] = inner + 0.2 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inner)
        u[:, -1] = u[:, -2]
    return u


def mandelbrot():
    x = np.linspace(-2, 0.6, 24)
    y = np.linspace(-1.2, 1.2, 18)
    cx, cy = np.meshgrid(x, y)
    zx, zy = np.zeros_like(cx), np.zeros_like(cy)
    count = np.zeros(cx.shape, dtype=np.int64)
    for _ in range(12):
        zx, zy = zx * zx - zy * zy + cx, 2 * zx * zy + cy
        inside = zx * zx + zy * zy <= 4
        count[inside] += 1
        zx[~inside] = 10
        zy[~inside] = 0
    return count, np.unique(count)


def box_blur():
    image = np.asarray(picture()).astype(np.float64)
    padded = np.pad(image, 1, mode="edge")
    h, w = image.shape
    blurred = sum(padded[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9
    gx = padded[1:-1, 2:] - padded[1:-1, :-2]
    gy = padded[2:, 1:-1] - padded[:-2, 1:-1]
    edges = np.hypot(gx, gy)
    sharp = np.clip(2 * image - blurred, 0, 255).astype(np.uint8)
    return blurred, edges, sharp.shape, edges > edges.mean()


def histogram_equalisation():
    image = np.asarray(picture())
    histogram, edges = np.histogram(image.flatten(), bins=256, range=(0, 256))
    cdf = histogram.cumsum()
    lowest = cdf[cdf > 0].min()
    table = np.round((cdf - lowest) / (image.size - lowest) * 255).clip(0, 255).astype(np.uint8)
    equalised = table[image]
    return equalised, table, equalised.min(), equalised.max()


def threshold_by_otsu():
    image = np.asarray(picture())
    counts = np.bincount(image.ravel(), minlength=256).astype(float)
    levels = np.arange(256)
    below, above = np.cumsum(counts), counts.sum() - np.cumsum(counts)
    sums = np.cumsum(counts * levels)
    valid = (below > 0) & (above > 0)
    low = sums[valid] / below[valid]
    high = (sums[-1] - sums[valid]) / above[valid]
    between = below[valid] * above[valid] * (low - high) ** 2
    best = levels[valid][np.argmax(between)]
    rows, columns = np.nonzero(image > best)
    return best, rows.min(), rows.max(), columns.mean()


def summed_area_table():
    image = np.asarray(picture()).astype(np.int64)
    table = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=np.int64)
    table[1:, 1:] = image.cumsum(axis=0).cumsum(axis=1)
    k = 4
    sums = table[k:, k:] - table[:-k, k:] - table[k:, :-k] + table[:-k, :-k]
    place = np.unravel_index(np.argmax(sums), sums.shape)
    assert int(sums[place]) == int(image[place[0] : place[0] + k, place[1] : place[1] + k].sum())
    return sums, tuple(int(i) for i in place)


def wave_on_a_string():
    n = 40
    x = np.linspace(0, 1, n)
    u = np.exp(-200 * (x - 0.3) ** 2)
    before = u.copy()
    for _ in range(15):
        after = np.empty_like(u)
        after[1:-1] = 2 * u[1:-1] - before[1:-1] + 0.81 * np.diff(u, n=2)
        after[[0, -1]] = 0
        before, u = u, after
    return u, np.abs(u).max()
