"""Train an LSTM to forecast the carbon dioxide in the air of Mauna Loa, a year ahead.

    python examples/sequence.py --epochs 60 --plot forecast.png --save co2.safetensors

The series is statsmodels' (the extra `sequence`): weekly values from 1958 to 2001, here as means of months. The last
fifth is held out. The error of the forecasts on it is printed last, beside that of the seasonal-naive one: the month's
value a year before. Without options it runs on the best device found; `python -m needle` lists what there is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from command import on_device, parsed, run_main, training_parser
from tqdm import tqdm

import needle as ndl
from needle import nn, optim
from needle.data import DataLoader, TensorDataset

MONTHS, AHEAD = 36, 12  # that a forecast is made from, and for
LEARNING_RATE = 5e-3
SCALE = 5.0  # parts per million that become 1


def load_series() -> np.ndarray:
    """The monthly means, in parts per million; the few months without a value are interpolated."""
    import statsmodels.api as sm

    weeks = sm.datasets.co2.load_pandas().data["co2"]
    return weeks.resample("MS").mean().interpolate().to_numpy(np.float32)


def windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each month: those before it, those from it on, both less the last one before; and that one."""
    starts = np.arange(len(series) - MONTHS - AHEAD + 1)[:, None]
    past, future = series[starts + np.arange(MONTHS)], series[starts + MONTHS + np.arange(AHEAD)]
    last = past[:, -1:]
    return (past - last)[..., None] / SCALE, (future - last) / SCALE, last


class Forecaster(nn.Module):
    """An LSTM reads the months; its last state gives the year ahead."""

    def __init__(self) -> None:
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.year = nn.Linear(32, AHEAD)

    def forward(self, x: ndl.Tensor) -> ndl.Tensor:
        """(batch, AHEAD) for x of (batch, MONTHS, 1)."""
        _, (h, _) = self.lstm(x)
        return self.year(h[-1])


def train_epoch(model: nn.Module, loader: DataLoader, optimizer: optim.Optimizer, bar: Any) -> float:
    """Go through the training data once and return the mean loss."""
    loss_of = nn.MSELoss()
    total, count = ndl.zeros(()), 0
    for x, y in loader:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total, count = total + loss.detach(), count + 1  # summed on the device, without waiting for it
        bar.update()
    return total.item() / count


def forecast(model: nn.Module, x: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The forecasts in parts per million."""
    with ndl.no_grad():
        return model(ndl.asarray(x)).numpy() * SCALE + last


def plot(path: Path, truth: np.ndarray, forecasts: np.ndarray) -> None:
    """Draw the held-out months, and a forecast for each year of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot(np.arange(len(truth)), truth, color="black", lw=1, label="measured")
    for start in range(0, len(forecasts), AHEAD):
        label = "forecast a year ahead" if start == 0 else None
        axis.plot(start + np.arange(AHEAD), forecasts[start], color="tab:red", lw=1, label=label)
    axis.set(xlabel="months that were held out", ylabel="CO2, parts per million")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train, and report the error on what was held out."""
    description = "Train an LSTM to forecast carbon dioxide a year ahead."
    made = training_parser(description, 60, "forecasts and truth", "keep the model in this file")
    on_device("sequence.py", parsed(made), run)


def run(arguments: argparse.Namespace) -> None:
    """Train on the default device."""
    ndl.manual_seed(arguments.seed)
    series = load_series()
    cut = len(series) * 4 // 5
    x, y, _ = windows(series[:cut])
    model = Forecaster()
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, seed=arguments.seed)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)
    with tqdm(total=arguments.epochs * len(loader), unit="step") as bar:
        for epoch in range(1, arguments.epochs + 1):
            bar.set_description(f"epoch {epoch}/{arguments.epochs}")
            bar.set_postfix(loss=f"{train_epoch(model, loader, optimizer, bar):.5f}")
            schedule.step()
    test_x, test_y, last = windows(series[cut - MONTHS :])
    truth = test_y * SCALE + last
    forecasts = forecast(model, test_x, last)
    naive = test_x[:, -AHEAD:, 0] * SCALE + last
    error, of_naive = (float(np.abs(values - truth).mean()) for values in (forecasts, naive))
    if arguments.plot:
        plot(arguments.plot, series[cut:], forecasts)
        print(f"plotted: {arguments.plot}")
    if arguments.save:
        ndl.save(arguments.save, model)
        print(f"saved: {arguments.save}")
    print(f"mean error {error:.3f} ppm, seasonal-naive {of_naive:.3f} ppm: {1 - error / of_naive:.0%} less")


if __name__ == "__main__":
    run_main(main)
