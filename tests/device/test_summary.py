"""`nn.summary`: rows, totals, and the table."""

from __future__ import annotations

import pytest

import needle as ndl
from needle import nn


def test_a_summary_has_shapes_and_parameters() -> None:
    with ndl.device("numpy"):
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
        model[0].bias.requires_grad_(False)
        model.train()
        found = nn.summary(model, ndl.ones((2, 1, 4, 4)))
        rows = [(row.name, row.kind, row.output, row.parameters) for row in found.rows]
        assert rows == [
            ("", "Sequential", (2, 3), 0), ("0", "Conv2d", (2, 4, 2, 2), 40), ("1", "BatchNorm2d", (2, 4, 2, 2), 8),
            ("2", "Sequential", (2, 3), 0), ("2.0", "Flatten", (2, 16), 0), ("2.1", "Linear", (2, 3), 51),
        ]  # fmt: skip
        assert (found.parameters, found.trainable) == (99, 95)
        assert all(module.training for module in model.modules())
        assert (model[1].running_mean.numpy() == 0).all()


def test_the_table() -> None:
    pytest.importorskip("rich")
    with ndl.device("numpy"):
        text = str(nn.summary(nn.Sequential(nn.Linear(100, 20)), ndl.ones((5, 100))))
    assert "Linear" in text and "(5, 20)" in text and "2,020 parameters, 2,020 of them trained" in text
