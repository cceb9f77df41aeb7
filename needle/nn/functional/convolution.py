"""Convolutions of one to three dimensions, and their transposes."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.nn.functional.sizes import Sizes, batched, check_floating, per_axis
from needle.ops.base import takes_tensor
from needle.tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _padding(
    padding: str | Sizes, axes: int, stride: tuple[int, ...], dilation: tuple[int, ...], taps: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """The zeros before and after each axis. The odd one of "same" comes after, as in PyTorch."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_axis("padding", padding, axes, 0))
    if padding not in ("same", "valid"):
        raise ValueError(f"padding={padding!r} must be numbers, 'same' or 'valid'")
    if padding == "valid":
        return ((0, 0),) * axes
    if any(s != 1 for s in stride):
        raise ValueError(f"padding='same' needs a stride of 1; stride={stride}")
    totals = [d * (t - 1) for d, t in zip(dilation, taps, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _conv(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: str | Sizes, dilation: Sizes,
    groups: int,
) -> Any:  # fmt: skip
    name = f"conv{axes}d"
    check_floating(name, input)
    steps, gaps = per_axis("stride", stride, axes), per_axis("dilation", dilation, axes)
    if weight.ndim != axes + 2:
        raise ValueError(f"{name}: weight of shape {weight.shape} must have {axes + 2} axes")
    zeros = _padding(padding, axes, steps, gaps, weight.shape[2:])
    _check_bias(name, bias, weight.shape[0])
    return batched(name, input, axes, lambda x: _biased(ops.convolution(x, weight, steps, zeros, gaps, groups), bias))


def _conv_transpose(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes, output_padding: Sizes,
    groups: int, dilation: Sizes,
) -> Any:  # fmt: skip
    name = f"conv_transpose{axes}d"
    check_floating(name, input)
    steps, gaps = per_axis("stride", stride, axes), per_axis("dilation", dilation, axes)
    zeros, extra = per_axis("padding", padding, axes, 0), per_axis("output_padding", output_padding, axes, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, gaps, strict=True)):
        raise ValueError(f"output_padding={output_padding} must be smaller than stride={stride} or dilation={dilation}")
    if weight.ndim != axes + 2:
        raise ValueError(f"{name}: weight of shape {weight.shape} must have {axes + 2} axes")
    _check_bias(name, bias, weight.shape[1] * groups)

    def transposed(x: Tensor) -> Tensor:
        return _biased(ops.convolution_transposed(x, weight, steps, zeros, extra, gaps, groups), bias)

    return batched(name, input, axes, transposed)


def _check_bias(name: str, bias: Tensor | None, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{name}: bias of shape {bias.shape} must be ({channels},), a number for each output channel")


def _biased(result: Tensor, bias: Tensor | None) -> Tensor:
    return result if bias is None else result + ops.reshape(bias, (bias.shape[0], *(1,) * (result.ndim - 2)))


@takes_tensor
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of `input` (N, C, L) with `weight` (K, C / groups, R), plus `bias` (K,).

    `input` may lack the batch. `padding` is a number of zeros at both ends of an axis, "valid" for none, or "same" for
    as many as keep the size at stride 1. Raises ValueError where sizes do not fit, TypeError for integers.
    """
    result: Tensor = _conv(1, input, weight, bias, stride, padding, dilation, groups)
    return result


@takes_tensor
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of `input` (N, C, H, W) with `weight` (K, C / groups, R, S), plus `bias` (K,).

    `input` may lack the batch. `padding` is a number of zeros at both ends of an axis, "valid" for none, or "same" for
    as many as keep the size at stride 1. Raises ValueError where sizes do not fit, TypeError for integers.
    """
    result: Tensor = _conv(2, input, weight, bias, stride, padding, dilation, groups)
    return result


@takes_tensor
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of `input` (N, C, D, H, W) with `weight` (K, C / groups, T, R, S), plus `bias` (K,).

    `input` may lack the batch. `padding` is a number of zeros at both ends of an axis, "valid" for none, or "same" for
    as many as keep the size at stride 1. Raises ValueError where sizes do not fit, TypeError for integers.
    """
    result: Tensor = _conv(3, input, weight, bias, stride, padding, dilation, groups)
    return result


@takes_tensor
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The gradient of `conv1d` with respect to its input, as a layer that makes images larger.

    `input` is (N, C, L) or lacks the batch, `weight` (C, K / groups, R), `bias` (K,).
    The places of the result are (n - 1) * stride - 2 * padding + dilation * (taps - 1) + output_padding + 1. Raises
    what `conv1d` does.
    """
    result: Tensor = _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return result


@takes_tensor
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The gradient of `conv2d` with respect to its input, as a layer that makes images larger.

    `input` is (N, C, H, W) or lacks the batch, `weight` (C, K / groups, R, S), `bias` (K,).
    The places of the result are (n - 1) * stride - 2 * padding + dilation * (taps - 1) + output_padding + 1. Raises
    what `conv2d` does.
    """
    result: Tensor = _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return result


@takes_tensor
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The gradient of `conv3d` with respect to its input, as a layer that makes images larger.

    `input` is (N, C, D, H, W) or lacks the batch, `weight` (C, K / groups, T, R, S), `bias` (K,).
    The places of the result are (n - 1) * stride - 2 * padding + dilation * (taps - 1) + output_padding + 1. Raises
    what `conv3d` does.
    """
    result: Tensor = _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return result
