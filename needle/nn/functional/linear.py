"""The product of a fully connected layer."""

from __future__ import annotations

from needle import ops
from needle.tensor import Tensor

__all__ = ["linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight + bias over the last axis of `input`, (..., in), giving (..., out).

    `weight` is (in, out) as in `needle.nn.Linear`; PyTorch's is the transpose of that. `bias` is (out,) or
    (1, out). Raises ValueError where the shapes do not fit.
    """
    if weight.ndim != 2:
        raise ValueError(f"linear: weight of shape {weight.shape} must be (in_features, out_features)")
    features, outputs = weight.shape
    if input.ndim == 0 or input.shape[-1] != features:
        raise ValueError(f"linear: input must have {features} features on its last axis; its shape is {input.shape}")
    product = ops.matmul(input, weight)
    if bias is None:
        return product
    if bias.shape not in ((outputs,), (1, outputs)):
        raise ValueError(f"linear: bias of shape {bias.shape} does not fit {outputs} outputs: ({outputs},) or "
                         f"(1, {outputs})")  # fmt: skip
    # With a leading axis of size 1 it would add an axis to the result for a single vector.
    return product + (ops.reshape(bias, (outputs,)) if product.ndim == 1 else bias)
