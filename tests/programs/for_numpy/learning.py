"""Classical machine learning, as it is written on NumPy arrays."""

import numpy as np
from programs.samples import blobs, line, two_classes


def k_means():
    x = np.asarray(blobs()[0])
    centres = x[[0, 5, 11]].copy()
    for _ in range(6):
        distances = np.linalg.norm(x[:, np.newaxis, :] - centres[np.newaxis], axis=2)
        nearest = np.argmin(distances, axis=1)
        for k in range(len(centres)):
            members = x[nearest == k]
            if len(members) > 0:
                centres[k] = members.mean(axis=0)
    inertia = np.sum(np.min(distances, axis=1) ** 2)
    return nearest, centres, float(inertia)


def nearest_neighbours():
    x, labels = (np.asarray(a) for a in blobs())
    train, test = x[:24], x[24:]
    squared = (test**2).sum(axis=1)[:, None] + (train**2).sum(axis=1) - 2 * test @ train.T
    neighbours = np.argsort(squared, axis=1)[:, :5]
    votes = np.array([np.bincount(labels[row], minlength=3) for row in neighbours])
    predicted = votes.argmax(axis=1)
    return predicted, np.mean(predicted == labels[24:])


def principal_components():
    x = np.asarray(blobs()[0])
    centred = x - x.mean(axis=0)
    covariance = np.cov(centred, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    vectors *= np.sign(vectors[np.argmax(np.abs(vectors), axis=0), np.arange(vectors.shape[1])])
    projected = centred.dot(vectors[:, :2])
    back = projected @ vectors[:, :2].T + x.mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert np.allclose(singular**2 / (len(x) - 1), values)
    return projected, values / values.sum(), np.sqrt(((x - back) ** 2).mean())


def gaussian_mixture():
    x = np.asarray(blobs()[0])
    means, weights = x[:3].copy(), np.full(3, 1 / 3)
    variances = np.ones((3, x.shape[1]))
    history = []
    for _ in range(5):
        log_p = -0.5 * (((x[:, None] - means) ** 2 / variances) + np.log(2 * np.pi * variances)).sum(-1)
        log_p += np.log(weights)
        top = log_p.max(axis=1, keepdims=True)
        total = top + np.log(np.exp(log_p - top).sum(axis=1, keepdims=True))
        r = np.exp(log_p - total)
        counts = r.sum(axis=0)
        weights = counts / len(x)
        means = r.T @ x / counts[:, None]
        variances = np.einsum("nk,nkd->kd", r, (x[:, None] - means) ** 2) / counts[:, None] + 1e-3
        history.append(total.mean())
    return weights, means, np.array(history)


def naive_bayes():
    x, y = (np.asarray(a) for a in blobs())
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    variances = np.stack([x[y == c].var(axis=0) for c in classes])
    priors = np.array([np.mean(y == c) for c in classes])
    scores = -0.5 * np.sum(np.log(variances) + (x[:, None, :] - means) ** 2 / variances, axis=-1) + np.log(priors)
    predicted = classes[np.argmax(scores, axis=1)]
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (y, predicted), 1)
    assert confusion.sum() == len(y)
    return scores, predicted, confusion


def perceptron():
    x, y = (np.asarray(a) for a in two_classes())
    sides = np.where(y == 1, 1.0, -1.0)
    w, b = np.zeros(x.shape[1]), 0.0
    for epoch in range(10):
        mistakes = 0
        for xi, side in zip(x, sides):
            if side * (np.dot(w, xi) + b) <= 0:
                w += side * xi
                b += side
                mistakes += 1
        if mistakes == 0:
            break
    return w, b, epoch, np.sign(x @ w + b)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def logistic_regression():
    x, y = (np.asarray(a) for a in two_classes())
    x = np.hstack([np.ones((x.shape[0], 1)), (x - x.mean(0)) / x.std(0)])
    w = np.zeros(x.shape[1])
    losses = []
    for _ in range(20):
        p = sigmoid(x @ w)
        losses.append(-np.mean(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)))
        w -= 0.5 * (x.T @ (p - y)) / y.size
    return w, np.array(losses), (sigmoid(x @ w) > 0.5).astype(int)


def softmax_regression():
    x, y = (np.asarray(a) for a in blobs())
    one_hot = np.eye(3)[y]
    w, b = np.zeros((x.shape[1], 3)), np.zeros(3)
    for _ in range(15):
        z = x @ w + b
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        d = (p - one_hot) / len(y)
        w -= 0.3 * x.T.dot(d)
        b -= 0.3 * d.sum(axis=0)
    return w, b, loss


def polynomial_fit():
    x, y = (np.asarray(a) for a in line())
    a = np.vander(x, 4, increasing=True)
    exact, *_ = np.linalg.lstsq(a, y, rcond=None)
    ridge = np.linalg.solve(a.T @ a + 0.1 * np.eye(4), a.T @ y)
    residual = y - a @ exact
    r2 = 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()
    return exact, ridge, r2


def two_layer_network():
    x, y = (np.asarray(a) for a in two_classes())
    w1 = np.linspace(-1, 1, 4 * 6).reshape(4, 6)
    w2 = np.linspace(1, -1, 6).reshape(-1, 1)
    target = y.reshape(-1, 1).astype(float)
    for _ in range(10):
        hidden = np.tanh(x @ w1)
        error = hidden @ w2 - target
        grad2 = hidden.T @ error / len(x)
        grad1 = x.T @ (error @ w2.T * (1 - hidden**2)) / len(x)
        for weight, grad in ((w1, grad1), (w2, grad2)):
            weight -= 0.1 * np.clip(grad, -1, 1)
    return w1, w2, np.square(error).mean()
