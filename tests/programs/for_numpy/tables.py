"""Dynamic programming, search and text: tables filled and looked up element by element."""

import numpy as np
from programs.samples import TEXT


def edit_distance():
    a, b = "needle", "noodles"
    d = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    d[:, 0] = np.arange(len(a) + 1)
    d[0, :] = np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
    return d, int(d[-1, -1])


def knapsack():
    values, weights, room = [6, 10, 12, 7], [1, 2, 3, 2], 6
    best = np.zeros(room + 1, dtype=np.int64)
    for value, weight in zip(values, weights):
        best[weight:] = np.maximum(best[weight:], best[:-weight] + value)
    return best, best[room]


def viterbi():
    start = np.log(np.array([0.6, 0.4]))
    move = np.log(np.array([[0.7, 0.3], [0.4, 0.6]]))
    emit = np.log(np.array([[0.5, 0.4, 0.1], [0.1, 0.3, 0.6]]))
    seen = [0, 1, 2, 2, 0]
    score = np.empty((len(seen), 2))
    back = np.zeros((len(seen), 2), dtype=int)
    score[0] = start + emit[:, seen[0]]
    for t in range(1, len(seen)):
        candidates = score[t - 1][:, None] + move
        back[t] = candidates.argmax(axis=0)
        score[t] = candidates.max(axis=0) + emit[:, seen[t]]
    path = [int(np.argmax(score[-1]))]
    for t in range(len(seen) - 1, 0, -1):
        path.insert(0, int(back[t, path[0]]))
    return score, path


def shortest_paths():
    d = np.full((5, 5), np.inf)
    np.fill_diagonal(d, 0)
    for i, j, length in [(0, 1, 3), (0, 2, 8), (1, 2, 2), (2, 3, 1), (3, 4, 4), (1, 4, 9)]:
        d[i, j] = d[j, i] = length
    for k in range(len(d)):
        d = np.minimum(d, d[:, k, None] + d[k])
    return d, d[np.triu_indices(5, k=1)].max()


def sudoku():
    board = np.array([[1, 0, 0, 0], [0, 0, 3, 0], [0, 4, 0, 0], [0, 0, 0, 2]])

    def possible(row, column):
        r, c = row // 2 * 2, column // 2 * 2
        used = np.concatenate([board[row], board[:, column], board[r : r + 2, c : c + 2].ravel()])
        return [n for n in range(1, 5) if n not in used]

    def solve():
        empty = np.argwhere(board == 0)
        if len(empty) == 0:
            return True
        row, column = empty[0]
        for n in possible(int(row), int(column)):
            board[row, column] = n
            if solve():
                return True
            board[row, column] = 0
        return False

    assert solve()
    assert (np.sort(board, axis=0) == np.arange(1, 5)[:, None]).all()
    return board


def sieve_of_eratosthenes():
    prime = np.ones(60, dtype=bool)
    prime[:2] = False
    for i in range(2, 8):
        if prime[i]:
            prime[i * i :: i] = False
    return np.nonzero(prime)[0], prime.sum()


def run_lengths():
    x = np.array([3, 3, 1, 1, 1, 2, 2, 3])
    starts = np.concatenate(([0], np.flatnonzero(x[1:] != x[:-1]) + 1))
    lengths = np.diff(np.append(starts, len(x)))
    assert np.array_equal(np.repeat(x[starts], lengths), x)
    return x[starts], lengths


def word_counts():
    words = TEXT.split()
    vocabulary = sorted(set(words))
    ids = np.array([vocabulary.index(w) for w in words])
    values, counts = np.unique(ids, return_counts=True)
    pairs = np.zeros((len(vocabulary), len(vocabulary)))
    np.add.at(pairs, (ids[:-1], ids[1:]), 1)
    smooth = (pairs + 0.1) / (pairs + 0.1).sum(axis=1, keepdims=True)
    likelihood = np.log(smooth[ids[:-1], ids[1:]]).mean()
    order = np.lexsort((values, -counts))
    return counts, pairs, likelihood, [vocabulary[int(i)] for i in order[:3]]


def recurrent_network():
    ids = [ord(c) % 8 for c in "hello needle"]
    wx, wh, wy = (0.1 * np.sin(np.arange(n * 8.0)).reshape(n, 8) for n in (5, 8, 8))
    wx, wh, wy = wx.T[:, :5], wh[:5, :5], wy[:, :5]
    for _ in range(2):
        xs, hs, ps, loss = {}, {-1: np.zeros((5, 1))}, {}, 0
        for t, i in enumerate(ids[:-1]):
            xs[t] = np.zeros((8, 1))
            xs[t][i] = 1
            hs[t] = np.tanh(wx.T @ xs[t] + wh @ hs[t - 1])
            y = wy @ hs[t]
            ps[t] = np.exp(y) / np.sum(np.exp(y))
            loss += -np.log(ps[t][ids[t + 1], 0])
        dwx, dwh, dwy = np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(wy)
        carried = np.zeros_like(hs[0])
        for t in reversed(range(len(ids) - 1)):
            dy = np.copy(ps[t])
            dy[ids[t + 1]] -= 1
            dwy += np.dot(dy, hs[t].T)
            raw = (1 - hs[t] * hs[t]) * (np.dot(wy.T, dy) + carried)
            dwx += np.dot(xs[t], raw.T)
            dwh += np.dot(raw, hs[t - 1].T)
            carried = np.dot(wh.T, raw)
        for gradient in (dwx, dwh, dwy):
            np.clip(gradient, -5, 5, out=gradient)
        wx, wh, wy = wx - 0.1 * dwx, wh - 0.1 * dwh, wy - 0.1 * dwy
    return loss, wx, wh
