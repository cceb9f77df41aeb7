"""Models by hand on tensors: embeddings, language models, recurrence, attention, graphs."""

import math

import torch
import torch.nn.functional as F
from programs.samples import TEXT, blobs, gauss, ratings
from torch import nn


def word2vec():
    words = TEXT.split()
    vocab = {w: i for i, w in enumerate(sorted(set(words)))}
    ids = torch.tensor([vocab[w] for w in words])
    centre = torch.cat([ids[:-1], ids[1:]])
    context = torch.cat([ids[1:], ids[:-1]])
    negatives = (centre.unsqueeze(1) * 3 + torch.arange(4)) % len(vocab)
    inner, outer = nn.Embedding(len(vocab), 6), nn.Embedding(len(vocab), 6)
    with torch.no_grad():
        inner.weight.copy_(torch.tensor(gauss(len(vocab), 6, seed=1)))
        outer.weight.copy_(torch.tensor(gauss(len(vocab), 6, seed=2)))
    optimizer = torch.optim.Adam([*inner.parameters(), *outer.parameters()], lr=0.05)
    for _ in range(6):
        v, u, n = inner(centre), outer(context), outer(negatives)
        positive = F.logsigmoid((v * u).sum(dim=1))
        negative = F.logsigmoid(-torch.bmm(n, v.unsqueeze(2)).squeeze(2)).sum(1)
        loss = -(positive + negative).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    similar = F.cosine_similarity(inner.weight[0:1], inner.weight, dim=1)
    return loss.item(), inner.weight.detach(), similar.detach()


def bigram_model():
    words = TEXT.split()
    letters = sorted(set("".join(words)))
    stoi = {s: i + 1 for i, s in enumerate(letters)}
    stoi["."] = 0
    N = torch.zeros((len(stoi), len(stoi)), dtype=torch.int32)
    for w in words[:5]:
        chs = ["."] + list(w) + ["."]
        for ch1, ch2 in zip(chs, chs[1:]):
            N[stoi[ch1], stoi[ch2]] += 1
    P = (N + 1).float()
    P /= P.sum(1, keepdim=True)
    g = torch.Generator().manual_seed(2147483647)
    names = []
    for _ in range(3):
        ix, out = 0, []
        while len(out) < 10:
            ix = torch.multinomial(P[ix], num_samples=1, replacement=True, generator=g).item()
            if ix == 0:
                break
            out.append(letters[ix - 1])
        names.append("".join(out))
    assert all(set(name) <= set(letters) for name in names)
    log_likelihood = 0.0
    for w in words[:5]:
        for ch1, ch2 in zip("." + w, w + "."):
            log_likelihood += torch.log(P[stoi[ch1], stoi[ch2]])
    return N, P, -log_likelihood


def letter_mlp():
    letters = sorted(set(TEXT))
    stoi = {s: i for i, s in enumerate(letters)}
    data = [stoi[c] for c in TEXT]
    X = torch.tensor([data[i : i + 3] for i in range(len(data) - 3)])
    Y = torch.tensor(data[3:])
    C = torch.tensor(gauss(len(letters), 2, seed=1)).float()
    W1 = torch.tensor(gauss(6, 12, seed=2) * (5 / 3) / 6**0.5).float()
    b1 = torch.zeros(12)
    W2 = torch.tensor(gauss(12, len(letters), seed=3) * 0.1).float()
    parameters = [C, W1, b1, W2]
    for p in parameters:
        p.requires_grad = True
    losses = []
    for i in range(5):
        emb = C[X]
        h = torch.tanh(emb.view(-1, 6) @ W1 + b1)
        logits = h @ W2
        loss = F.cross_entropy(logits, Y)
        for p in parameters:
            p.grad = None
        loss.backward()
        lr = 0.5 if i < 3 else 0.1
        for p in parameters:
            p.data += -lr * p.grad
        losses.append(loss.item())
    counts = logits.exp()
    probs = counts / counts.sum(1, keepdims=True)
    by_hand = -probs[torch.arange(len(Y)), Y].log().mean()
    assert torch.allclose(by_hand, loss, atol=1e-4)
    return losses, C, b1


def recurrent_by_hand():
    T, B, D, H = 5, 3, 4, 6
    x = torch.tensor(gauss(T, B, D)).float()
    Wx = torch.tensor(gauss(D, H, seed=1)).float().requires_grad_()
    Wh = torch.tensor(0.3 * gauss(H, H, seed=2)).float().requires_grad_()
    b = torch.zeros(H, requires_grad=True)
    h = torch.zeros(B, H)
    out = torch.zeros(T, B, H)
    for t in range(T):
        h = torch.tanh(x[t] @ Wx + h @ Wh + b)
        out[t] = h
    loss = (out[-1] ** 2).sum() + out.mean()
    loss.backward()
    nn.utils.clip_grad_norm_([Wx, Wh, b], 1.0)
    return out.detach(), Wx.grad, Wh.grad, b.grad


def self_attention():
    B, T, C, heads = 2, 6, 8, 2
    x = torch.tensor(gauss(B, T, C)).float().requires_grad_(True)
    w = torch.tensor(gauss(C, 3 * C, seed=1) / math.sqrt(C)).float()
    q, k, v = (x @ w).chunk(3, dim=2)
    q = q.view(B, T, heads, C // heads).transpose(1, 2)
    k = k.view(B, T, heads, C // heads).transpose(1, 2)
    v = v.view(B, T, heads, C // heads).transpose(1, 2)
    att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    mask = torch.tril(torch.ones(T, T)).view(1, 1, T, T)
    att = att.masked_fill(mask == 0, float("-inf"))
    att = F.softmax(att, dim=-1)
    y = (att @ v).transpose(1, 2).contiguous().view(B, T, C)
    fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.allclose(y, fused.transpose(1, 2).reshape(B, T, C), atol=1e-5)
    (g,) = torch.autograd.grad(y.pow(2).sum(), x)
    return y.detach(), g


def positional_encoding():
    d, length = 6, 10
    pe = torch.zeros(length, d)
    position = torch.arange(0, length, dtype=torch.float).unsqueeze(1)
    div_term = torch.exp(torch.arange(0, d, 2).float() * (-math.log(10000.0) / d))
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term)
    relative = position - position.T
    return pe, torch.clamp(relative, min=-2, max=2).long() + 2


def graph_convolution():
    edges = torch.tensor([[0, 1, 2, 3, 4, 0, 2], [1, 2, 3, 4, 0, 3, 0]])
    n = 5
    x = torch.tensor(gauss(n, 4)).float()
    w = torch.tensor(gauss(4, 3, seed=1)).float().requires_grad_()
    source, target = edges
    degree = torch.zeros(n).scatter_add_(0, target, torch.ones(edges.shape[1])) + 1
    norm = degree.pow(-0.5)
    messages = (x @ w)[source] * (norm[source] * norm[target]).unsqueeze(-1)
    out = torch.zeros(n, 3).index_add_(0, target, messages)
    adjacency = torch.zeros(n, n)
    adjacency[target, source] = 1
    dense = norm[:, None] * (adjacency @ (norm[:, None] * (x @ w)))
    assert torch.allclose(out, dense, atol=1e-5)
    out.relu().sum().backward()
    return out.detach(), w.grad, torch.argwhere(adjacency)


def matrix_factorisation():
    users, items, stars = (torch.from_numpy(a) for a in ratings())
    stars = stars.float()
    U = torch.tensor(0.1 * gauss(8, 3, seed=1)).float().requires_grad_()
    V = torch.tensor(0.1 * gauss(6, 3, seed=2)).float().requires_grad_()
    mean = torch.tensor(3.0, requires_grad=True)
    optimizer = torch.optim.SGD([U, V, mean], lr=0.5, momentum=0.9)
    for _ in range(8):
        predicted = (U[users] * V[items]).sum(-1) + mean
        loss = F.mse_loss(predicted, stars) + 1e-3 * (U.norm() ** 2 + V.norm() ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = (U @ V.T).topk(2, dim=1)
    return loss.detach(), U, best.values.detach()


def softmax_regression():
    x, y = blobs()
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    model = nn.Linear(4, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        for i in range(0, len(x), 12):
            optimizer.zero_grad()
            loss = criterion(model(x[i : i + 12]), y[i : i + 12])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        predicted = model(x).argmax(1)
        correct = (predicted == y).sum().item()
    return loss.item(), predicted, correct / len(y)


def autoencoder():
    x = torch.tensor(blobs()[0]).float()
    W = torch.tensor(0.3 * gauss(4, 2, seed=3)).float().requires_grad_()
    history = []
    for _ in range(6):
        code = x @ W
        loss = ((code @ W.t() - x) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            W -= 0.02 * W.grad
            W.grad.zero_()
        history.append(loss.item())
    return history, W.data
