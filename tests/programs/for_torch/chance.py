"""Programs that draw their own numbers: what they return is about the same for any good generator."""

import torch
import torch.nn.functional as F


def pi():
    torch.manual_seed(0)
    x, y = torch.rand(20000), torch.rand(20000)
    return ((x**2 + y**2) <= 1).float().mean() * 4


def option_and_delta():
    torch.manual_seed(1)
    spot = torch.tensor(100.0, requires_grad=True)
    z = torch.randn(20000)
    end = spot * torch.exp((0.02 - 0.5 * 0.2**2) + 0.2 * z)
    price = torch.exp(torch.tensor(-0.02)) * torch.relu(end - 105).mean()
    price.backward()
    return torch.stack([price.detach() / 100, spot.grad])


def bandit():
    torch.manual_seed(2)
    means = torch.tensor([0.1, 0.3, 0.9])
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=0.4)
    baseline = 0.0
    for _ in range(40):
        probs = F.softmax(logits, dim=0)
        actions = torch.multinomial(probs, 8, replacement=True)
        rewards = torch.bernoulli(means[actions])
        loss = -(torch.log_softmax(logits, dim=0)[actions] * (rewards - baseline)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        baseline = 0.9 * baseline + 0.1 * rewards.mean().item()
    return logits.argmax(), F.softmax(logits, 0)[2].detach() > 0.6


def metropolis():
    torch.manual_seed(3)
    x = torch.zeros(400)
    for _ in range(60):
        proposal = x + torch.randn_like(x)
        accept = torch.rand(400).log() < 0.5 * (x**2 - proposal**2)
        x = torch.where(accept, proposal, x)
    return torch.stack([x.mean() / 4, x.std()])


def bootstrap():
    torch.manual_seed(4)
    sample = torch.linspace(0, 1, 50)
    index = torch.randint(0, 50, (400, 50))
    means = sample[index].mean(dim=1)
    shuffled = sample[torch.randperm(50)]
    assert torch.allclose(shuffled[shuffled.argsort()], sample)
    return torch.stack([means.mean(), means.std() * 10])
