"""Cross-entropy with labels as a single operation, for labels that are known to be good."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.array.template import Template, constant_value
from needle.autograd import Op
from needle.ops.reductions import SUM
from needle.ops.softmax import LogSoftmax


class LabelCrossEntropy(Op):
    """Arguments: logits, labels, classes. The sum of -log_softmax(logits)[label] * scale over all labels.

    `labels` has the class axis, with size 1, and `classes` counts along it, so that they compare to a one-hot
    array. One node of the graph instead of ten: on a small batch most of the time is Python's. The log-probabilities
    are saved for the gradient.
    """

    name = "label_cross_entropy"
    saved = 1

    def __init__(self, axis: int, scale: float) -> None:
        self.axis = axis
        self.scale = scale

    def compute(self, logits: Any, labels: Any, classes: Any) -> tuple[Any, Any]:
        log_probabilities = LogSoftmax(self.axis)(logits)
        return _LOSS(log_probabilities, labels, classes, scale=self.scale), log_probabilities

    def vjp(self, index: int, grad: tuple[Any, Any], output: Any, logits: Any, labels: Any, classes: Any) -> Any:
        by_loss, by_saved = grad
        logs = output[1]
        through_saved = None if by_saved is None else LogSoftmax(self.axis).vjp(0, by_saved, logs, logits)
        if by_loss is None:
            return through_saved
        seed = constant_value(by_loss)
        if seed is None:
            through_loss = _gradient(logs, labels, classes, by_loss * self.scale)
        else:
            through_loss = _GRADIENT(logs, labels, classes, scale=seed * self.scale)
        return through_loss if through_saved is None else through_loss + through_saved


def _losses(log_probabilities: Any, labels: Any, classes: Any, scale: float) -> Any:
    return ops.where(ops.equal(labels, classes), log_probabilities * -scale, 0)


def _gradient(log_probabilities: Any, labels: Any, classes: Any, scale: Any) -> Any:
    return (ops.exp(log_probabilities) - ops.equal(labels, classes)) * scale


_LOSS = Template(_losses, SUM)
_GRADIENT = Template(_gradient)
