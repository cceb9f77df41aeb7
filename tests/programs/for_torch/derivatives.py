"""Derivatives of derivatives, and optimisation through computations."""

import torch
from programs.samples import gauss, line, two_classes


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def newton():
    x = torch.tensor([-1.0, 1.5], dtype=torch.float64)
    path = []
    for _ in range(6):
        x.requires_grad_(True)
        g = torch.autograd.grad(rosenbrock(x), x)[0]
        h = torch.autograd.functional.hessian(rosenbrock, x)
        with torch.no_grad():
            x = x - torch.linalg.solve(h, g)
        path.append(x.clone())
    return torch.stack(path), torch.linalg.norm(x - 1) < 1e-3


def hessian_vector_products():
    a = torch.tensor(gauss(5, 5))
    a = a @ a.T
    x = torch.tensor(gauss(5, seed=1), requires_grad=True)
    v = torch.linspace(-1, 1, 5).double()
    f = 0.5 * x @ a @ x + torch.sum(x**4) / 12
    (g,) = torch.autograd.grad(f, x, create_graph=True)
    (hv,) = torch.autograd.grad(g @ v, x)
    exact = a @ v + x.detach() ** 2 * v
    assert torch.allclose(hv, exact, rtol=1e-4)
    _, again = torch.autograd.functional.hvp(lambda x: 0.5 * x @ a @ x + torch.sum(x**4) / 12, x, v)
    return hv, again


def maml():
    weight = torch.tensor([0.5, -0.3], requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.05)
    x = torch.linspace(-1, 1, 8)
    losses = []
    for _ in range(4):
        total = 0.0
        for slope in (1.0, 2.0):
            y = slope * x + 0.5
            inner = ((weight[0] * x + weight[1] - y) ** 2).mean()
            (g,) = torch.autograd.grad(inner, weight, create_graph=True)
            fast = weight - 0.3 * g
            total = total + ((fast[0] * x + fast[1] - y) ** 2).mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    return losses, weight.detach()


def pendulum():
    length = torch.tensor(0.7, requires_grad=True)

    def simulate(length):
        angle, speed = torch.tensor(0.6), torch.tensor(0.0)
        angles = []
        for _ in range(4):
            speed = speed - 0.1 * 9.81 / length * torch.sin(angle)
            angle = angle + 0.1 * speed
            angles.append(angle)
        return torch.stack(angles)

    with torch.no_grad():
        seen = simulate(torch.tensor(1.0))
    for _ in range(3):
        loss = (simulate(length) - seen).square().mean()
        loss.backward()
        with torch.no_grad():
            length.sub_(0.5 * length.grad)
        length.grad = None
    return length.detach(), loss.detach()


def gaussian_process():
    x, y = (torch.from_numpy(a) for a in line(12))
    at = torch.linspace(-1, 1, 5, dtype=torch.float64)

    def kernel(a, b, scale):
        return torch.exp(-0.5 * ((a[:, None] - b[None, :]) / scale) ** 2)

    log_scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        k = kernel(x, x, log_scale.exp()) + 0.05 * torch.eye(12, dtype=torch.float64)
        L = torch.linalg.cholesky(k)
        alpha = torch.linalg.solve_triangular(L, y[:, None], upper=False)
        loss = 0.5 * alpha.square().sum() + L.diagonal().log().sum()
        (g,) = torch.autograd.grad(loss, [log_scale])
        log_scale = (log_scale - 0.02 * g).detach().requires_grad_()
    with torch.no_grad():
        mean = kernel(at, x, log_scale.exp()) @ torch.linalg.solve(k, y)
    return mean, loss.detach(), log_scale.detach()


def curve_fit():
    x, y = (torch.from_numpy(a).float() for a in line())
    powers = torch.stack([x**k for k in range(4)], dim=1)
    c = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.LBFGS([c], lr=1, max_iter=10)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(powers @ c, y)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    return c.detach(), loss.detach(), closure().detach()


def support_vectors():
    x, y = two_classes()
    x, y = torch.tensor(x).float(), torch.tensor(2 * y - 1).float()
    w, b = torch.zeros(4, requires_grad=True), torch.zeros(1, requires_grad=True)
    for step in range(1, 9):
        margin = y * (x @ w + b)
        loss = torch.clamp(1 - margin, min=0).mean() + 0.01 * w.dot(w)
        loss.backward()
        for p in (w, b):
            p.data.add_(p.grad, alpha=-0.5 / step)
            p.grad.zero_()
    return w.detach(), b.detach(), int((margin < 1).sum())


def adversarial_example():
    x = torch.tensor(gauss(2, 6)).float()
    w = torch.tensor(gauss(6, 3, seed=1)).float()
    label = torch.tensor([0, 2])
    x.requires_grad = True
    loss = torch.nn.functional.cross_entropy(x @ w, label)
    loss.backward()
    adversarial = (x + 0.1 * x.grad.sign()).clamp(-1, 1).detach()
    return (
        adversarial,
        torch.nn.functional.cross_entropy(adversarial @ w, label),
        (adversarial - x).abs().max().detach(),
    )
