"""Neighbours, detections, sequences and windows: sorting, gathering, unfolding."""

import torch
import torch.nn.functional as F
from programs.samples import blobs, gauss, picture


def nearest_neighbours():
    x, labels = (torch.from_numpy(a) for a in blobs())
    train, test = x[:24], x[24:]
    distance = torch.cdist(test, train)
    _, index = distance.topk(3, dim=1, largest=False)
    votes = F.one_hot(labels[index], num_classes=3).sum(dim=1)
    predicted = votes.argmax(dim=-1)
    return predicted, distance, (predicted == labels[24:]).float().mean()


def k_means():
    x = torch.from_numpy(blobs()[0]).float()
    centres = x[:3].clone()
    for _ in range(4):
        nearest = ((x[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
        counts = torch.bincount(nearest, minlength=3)
        centres = torch.zeros_like(centres).index_add(0, nearest, x) / counts.clamp(min=1)[:, None]
    return nearest, centres


def confusion_matrix():
    target = torch.tensor([0, 1, 2, 2, 1, 0, 2])
    predicted = torch.tensor([0, 2, 2, 2, 1, 1, 2])
    matrix = torch.zeros(3, 3, dtype=torch.int64)
    matrix.index_put_((target, predicted), torch.tensor(1), accumulate=True)
    assert (matrix == torch.bincount(target * 3 + predicted, minlength=9).reshape(3, 3)).all()
    hit = matrix.diag()
    precision = hit / matrix.sum(dim=0).clamp(min=1)
    recall = hit / matrix.sum(dim=1)
    return matrix, precision, 2 * precision * recall / (precision + recall)


def non_maximum_suppression():
    corner = torch.tensor([[0.0, 0], [1, 1], [10, 10], [0, 1], [11, 10]])
    boxes = torch.cat([corner, corner + 8], dim=1)
    scores = torch.tensor([0.9, 0.8, 0.95, 0.3, 0.6])
    order = scores.argsort(descending=True)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    keep = []
    while order.numel() > 0:
        i = order[0]
        keep.append(i.item())
        if order.numel() == 1:
            break
        rest = order[1:]
        low = torch.max(boxes[i, :2], boxes[rest, :2])
        high = torch.min(boxes[i, 2:], boxes[rest, 2:])
        overlap = (high - low).clamp(min=0).prod(1)
        iou = overlap / (area[i] + area[rest] - overlap)
        order = rest[iou <= 0.5]
    return keep, area


def beam_search():
    table = torch.log_softmax(torch.tensor(gauss(5, 5)), dim=-1)
    sequences = torch.zeros(1, 1, dtype=torch.long)
    scores = torch.zeros(1, dtype=torch.float64)
    for _ in range(4):
        candidates = 0.9 * scores[:, None] + table[sequences[:, -1]]
        scores, flat = candidates.view(-1).topk(3)
        beam, token = flat // 5, flat % 5
        sequences = torch.cat([sequences[beam], token.unsqueeze(1)], dim=1)
    return sequences, scores


def convolution_by_unfold():
    image = torch.from_numpy(picture()).float()
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    windows = image.unfold(0, 3, 1).unfold(1, 3, 1)
    by_windows = (windows * kernel).sum(dim=(-1, -2))
    columns = F.unfold(image[None, None], kernel_size=3)
    by_columns = (kernel.view(1, -1) @ columns).view(14, 18)
    by_layer = F.conv2d(image[None, None], kernel[None, None]).squeeze()
    assert torch.allclose(by_windows, by_columns, atol=1e-3)
    assert torch.allclose(by_windows, by_layer, atol=1e-3)
    pooled = F.max_pool2d(by_windows[None, None], 2).squeeze()
    return by_windows, pooled


def padding_of_sequences():
    sequences = [torch.arange(n) + 1 for n in (3, 1, 4)]
    lengths = torch.tensor([len(s) for s in sequences])
    padded = torch.stack([F.pad(s, (0, 4 - len(s))) for s in sequences])
    mask = torch.arange(padded.size(1))[None, :] < lengths[:, None]
    means = (padded * mask).sum(1) / lengths
    last = padded.gather(1, (lengths - 1).unsqueeze(1)).squeeze(1)
    return padded, mask, means, last


def nucleus_sampling():
    logits = torch.tensor(gauss(2, 8) * 2).float()
    probs = F.softmax(logits, dim=-1)
    indices = torch.argsort(probs, descending=True)
    ordered = probs.gather(-1, indices)
    cumulative = torch.cumsum(ordered, dim=-1)
    remove = cumulative > 0.9
    remove[..., 1:] = remove[..., :-1].clone()
    remove[..., 0] = False
    drop = torch.zeros_like(remove).scatter_(1, indices, remove)
    logits = logits.masked_fill(drop, -float("inf"))
    kept = torch.isfinite(logits)
    torch.manual_seed(0)
    sample = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)
    assert kept.gather(1, sample).all()
    return kept, probs.amax(dim=-1)
