"""Cross-entropy with labels as a single operation, for labels that are known to be good."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.array import NDArray
from needle.autograd import Op
from needle.ops.softmax import LogSoftmax


class LabelCrossEntropy(Op):
    """Arguments: logits, labels, classes. The sum of -log_softmax(logits)[label] * scale over all labels.

    `labels` has the class axis, with size 1, and `classes` counts along it, so that they compare to a one-hot
    array. One node of the graph instead of ten: on a small batch most of the time is Python's.
    """

    name = "label_cross_entropy"

    def __init__(self, axis: int, scale: float) -> None:
        self.axis = axis
        self.scale = scale

    def compute(self, logits: Any, labels: Any, classes: Any) -> Any:
        self.log_probabilities = LogSoftmax(self.axis)(logits)
        return ops.sum(ops.where(ops.equal(labels, classes), self.log_probabilities * -self.scale, 0))

    def vjp(self, index: int, grad: Any, output: Any, logits: Any, labels: Any, classes: Any) -> Any:
        # What the forward pass kept has no history: a gradient that is to be differentiated computes it again.
        logs = self.log_probabilities if isinstance(logits, NDArray) else LogSoftmax(self.axis)(logits)
        return (ops.exp(logs) - ops.equal(labels, classes)) * (grad * self.scale)
