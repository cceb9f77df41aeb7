"""Physics, filters and random walks."""

import numpy as np
from programs.samples import gauss, uniform


def n_body():
    position = np.asarray(uniform(6, 3))
    velocity = np.zeros_like(position)
    mass = np.linspace(1, 2, 6)

    def acceleration(p):
        r = p[None, :, :] - p[:, None, :]
        cubed = (np.sum(r**2, axis=-1) + 0.01) ** -1.5
        np.fill_diagonal(cubed, 0)
        return (r * (mass * cubed)[..., None]).sum(axis=1)

    a = acceleration(position)
    for _ in range(5):
        velocity += 0.005 * a
        position += 0.01 * velocity
        a = acceleration(position)
        velocity += 0.005 * a
    kinetic = 0.5 * np.sum(mass[:, None] * velocity**2)
    return position, velocity, kinetic, mass @ velocity


def predator_and_prey():
    def f(state):
        x, y = state
        return np.array([1.1 * x - 0.4 * x * y, 0.1 * x * y - 0.4 * y])

    state, h = np.array([10.0, 5.0]), 0.05
    path = np.empty((12, 2))
    for i in range(len(path)):
        path[i] = state
        k1 = f(state)
        k2 = f(state + h / 2 * k1)
        k3 = f(state + h / 2 * k2)
        k4 = f(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path, path.argmax(axis=0)


def kalman_filter():
    dt = 0.5
    F = np.array([[1, dt], [0, 1.0]])
    H = np.array([[1.0, 0]])
    Q, R = 0.01 * np.eye(2), np.array([[0.5]])
    measured = np.asarray(0.8 * dt * np.arange(10.0)) + 0.3 * np.asarray(gauss(10))
    x, P = np.zeros((2, 1)), np.eye(2)
    estimates = []
    for z in measured:
        x = F @ x
        P = F @ P @ F.T + Q
        S = H @ P @ H.T + R
        K = P @ H.T @ np.linalg.inv(S)
        x = x + K @ (z - H @ x)
        P = (np.eye(2) - K @ H) @ P
        estimates.append(x.ravel())
    return np.array(estimates), P


def moving_averages():
    prices = 100 + np.cumsum(np.asarray(gauss(40)))
    total = np.cumsum(np.insert(prices, 0, 0))
    simple = (total[5:] - total[:-5]) / 5
    weighted = np.convolve(prices, np.array([0.5, 0.3, 0.2]), mode="valid")
    exponential = np.empty_like(prices)
    exponential[0] = prices[0]
    for t in range(1, 12):
        exponential[t] = 0.3 * prices[t] + 0.7 * exponential[t - 1]
    returns = np.diff(np.log(prices))
    crossings = np.flatnonzero(np.diff(np.sign(simple - simple.mean())) != 0)
    return simple, weighted, exponential[:12], returns.std(ddof=1), crossings


def monte_carlo_pi():
    points = np.asarray(uniform(2000, 2))
    inside = (points**2).sum(axis=1) < 1
    running = 4 * np.cumsum(inside) / np.arange(1, len(points) + 1)
    return 4 * inside.mean(), running[[9, 99, 999, -1]], np.count_nonzero(inside)


def option_price():
    z = np.asarray(gauss(4000))
    s0, strike, rate, sigma, years = 100.0, 105.0, 0.02, 0.2, 1.0
    ends = s0 * np.exp((rate - sigma**2 / 2) * years + sigma * np.sqrt(years) * z)
    payoff = np.maximum(ends - strike, 0)
    price = np.exp(-rate * years) * payoff.mean()
    error = payoff.std() / np.sqrt(len(z))
    quantiles = np.sort(ends)[[200, 2000, 3800]]
    return price, error, quantiles, np.median(ends)


def simulated_annealing():
    cities = np.asarray(uniform(8, 2))
    draws = uniform(60, 3, seed=9)

    def length(order):
        path = cities[order]
        return np.sqrt(((path - np.roll(path, -1, axis=0)) ** 2).sum(axis=1)).sum()

    order = np.arange(8)
    now, temperature = length(order), 0.5
    for a, b, chance in draws:
        i, j = sorted((int(a * 8), int(b * 8)))
        other = order.copy()
        other[i : j + 1] = other[i : j + 1][::-1]
        new = length(other)
        if new < now or chance < np.exp((now - new) / temperature):
            order, now = other, new
        temperature *= 0.95
    return order, now


def random_walk():
    steps = np.where(np.asarray(uniform(5, 60)) < 0.5, -1, 1)
    walks = steps.cumsum(axis=1)
    hits = np.abs(walks) >= 5
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), -1)
    return walks, first, walks.max(axis=1), walks.mean(), np.percentile(walks, 50)
