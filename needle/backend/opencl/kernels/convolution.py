"""The launchers of convolution, of the convolution transposed, and of the gradient of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from needle.backend.opencl.kernels import (
    convolution_blocks,
    convolution_tiles,
    convolution_weights,
    winograd,
    winograd_weights,
)
from needle.backend.opencl.kernels.convolution_problem import Convolution
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.protocol import ArrayView
from needle.dtypes import Shape

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice


@launches("convolve", result="y")
@launches("convolve_transposed", result="x")
@launches("convolve_weights", result="w")
def convolution(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, result: str,
    stride: Shape, padding: Shape, dilation: Shape, groups: int, size: Shape,
) -> None:  # fmt: skip
    """`result` is the operand that is computed from the two others."""
    (out,) = outputs
    views = dict(zip({"y": "xw", "x": "yw", "w": "xy"}[result], inputs, strict=True)) | {result: out}
    shapes = tuple((name, views[name].shape, views[name].strides) for name in "xwy")
    problem = device.prepared(_problem, shapes, stride, padding, dilation, groups)
    if problem.is_empty or not device.launch_shape.matmul_packs_dtype(out.dtype):
        convolution_tiles.launch(device, problem, result, views)
    elif winograd.serves(device, problem, result, out.dtype):
        if result == "w":
            winograd_weights.launch(device, problem, views)
        else:
            winograd.launch(device, problem, result, views)
    elif result == "w":
        convolution_weights.launch(device, problem, views)
    else:
        convolution_blocks.launch(device, problem, result, views)


def _problem(
    device: OpenCLDevice, shapes: tuple[tuple[str, Shape, Shape], ...], stride: Shape, padding: Shape, dilation: Shape,
    groups: int,
) -> Convolution:  # fmt: skip
    return Convolution.of({name: (shape, steps) for name, shape, steps in shapes}, stride, padding, dilation, groups)
