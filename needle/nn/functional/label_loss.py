"""Cross-entropy with labels as a single operation, for labels that are known to be good."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.array.template import Template, constant_value
from needle.autograd import Op, Value
from needle.ops.reductions import SUM
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
        return _LOSS(self.log_probabilities, labels, classes, scale=self.scale)

    def vjp(self, index: int, grad: Any, output: Any, logits: Any, labels: Any, classes: Any) -> Any:
        # What the forward pass kept has no history: a gradient that is to be differentiated computes it again.
        logs = LogSoftmax(self.axis)(logits) if isinstance(grad, Value) else self.log_probabilities
        seed = constant_value(grad)
        if seed is None:
            return _gradient(logs, labels, classes, grad * self.scale)
        return _GRADIENT(logs, labels, classes, scale=seed * self.scale)


def _losses(log_probabilities: Any, labels: Any, classes: Any, scale: float) -> Any:
    return ops.where(ops.equal(labels, classes), log_probabilities * -scale, 0)


def _gradient(log_probabilities: Any, labels: Any, classes: Any, scale: Any) -> Any:
    return (ops.exp(log_probabilities) - ops.equal(labels, classes)) * scale


_LOSS = Template(_losses, SUM)
_GRADIENT = Template(_gradient)
