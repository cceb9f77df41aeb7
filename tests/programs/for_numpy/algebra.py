"""Numerical linear algebra, root finding and interpolation by hand."""

import numpy as np
from programs.samples import gauss, uniform


def gram_schmidt():
    a = np.asarray(gauss(6, 4))
    q = np.zeros_like(a)
    for i in range(a.shape[1]):
        v = a[:, i].copy()
        for j in range(i):
            v -= np.dot(q[:, j], a[:, i]) * q[:, j]
        q[:, i] = v / np.linalg.norm(v)
    assert np.allclose(q.T @ q, np.eye(4), atol=1e-5)
    return q, np.triu(q.T @ a)


def power_iteration():
    m = np.asarray(gauss(5, 5))
    m = m @ m.T
    v = np.ones(5) / np.sqrt(5)
    for _ in range(30):
        w = m @ v
        v = w / np.linalg.norm(w)
    value = v @ m @ v
    assert np.isclose(value, np.linalg.eigvalsh(m)[-1], rtol=1e-3)
    return value, np.trace(m), np.linalg.det(m)


def conjugate_gradients():
    a = np.asarray(gauss(8, 8))
    a = a.T @ a + 8 * np.identity(8)
    b = np.arange(8, dtype=float)
    x = np.zeros(8)
    r = b - a @ x
    p = r
    rs = r @ r
    steps = 0
    while np.sqrt(rs) > 1e-5 and steps < 30:
        ap = a.dot(p)
        alpha = rs / np.dot(p, ap)
        x = x + alpha * p
        r = r - alpha * ap
        new = r @ r
        p = r + new / rs * p
        rs = new
        steps += 1
    assert np.allclose(a @ x, b, atol=1e-3)
    return x, np.linalg.norm(a @ x - b) < 1e-3


def page_rank():
    links = [(0, 1), (0, 2), (1, 2), (2, 0), (3, 2), (3, 1), (4, 3)]
    n = 5
    m = np.zeros((n, n))
    for source, target in links:
        m[target, source] = 1
    out = m.sum(axis=0)
    m /= np.where(out == 0, 1, out)
    rank = np.full(n, 1 / n)
    for _ in range(20):
        rank = 0.85 * m @ rank + 0.15 / n
        rank /= rank.sum()
    return rank, np.argsort(-rank)


def gaussian_elimination():
    a = np.asarray(uniform(4, 5))
    n = len(a)
    for i in range(n):
        pivot = i + np.argmax(np.abs(a[i:, i]))
        a[[i, int(pivot)]] = a[[int(pivot), i]]
        a[i] /= a[i, i]
        for k in range(n):
            if k != i:
                a[k] -= a[k, i] * a[i]
    return a[:, -1], a


def newton_roots():
    x = np.linspace(-3, 3, 13)
    for _ in range(8):
        f = x**3 - 2 * x - 5
        slope = 3 * x**2 - 2
        x = x - np.divide(f, slope)
    return np.where(np.isfinite(x), np.abs(x**3 - 2 * x - 5) < 1e-3, False)


def trapezoids_and_simpson():
    x = np.linspace(0, np.pi, 21)
    y = np.sin(x) ** 2
    trapezoid = np.sum((y[1:] + y[:-1]) * np.diff(x)) / 2
    h = x[1] - x[0]
    simpson = h / 3 * (y[0] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum() + y[-1])
    return trapezoid, simpson, np.gradient(y, x)[3:6]


def linear_interpolation():
    xs, ys = np.array([0.0, 1.0, 2.5, 4.0]), np.array([1.0, 3.0, 2.0, 5.0])
    at = np.array([0.0, 0.5, 1.0, 2.0, 3.9])
    i = np.clip(np.searchsorted(xs, at, side="right") - 1, 0, len(xs) - 2)
    t = (at - xs[i]) / (xs[i + 1] - xs[i])
    by_hand = (1 - t) * ys[i] + t * ys[i + 1]
    assert np.allclose(by_hand, np.interp(at, xs, ys))
    return by_hand


def markov_chain():
    p = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    assert np.allclose(p.sum(axis=1), np.ones(3))
    long_run = np.linalg.matrix_power(p, 64)[0]
    a = np.vstack([p.T - np.eye(3), np.ones(3)])
    stationary = np.linalg.lstsq(a, np.array([0.0, 0, 0, 1]), rcond=None)[0]
    return long_run, stationary, np.outer(long_run, stationary).sum()
