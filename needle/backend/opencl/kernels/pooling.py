"""The launchers of `cl/pooling.cl`: maxima and sums over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from needle.backend.opencl.building.types import element_defines, is_narrow
from needle.backend.opencl.kernels import costs
from needle.backend.opencl.kernels.convolution_planes import TableBuilder, words
from needle.backend.opencl.kernels.convolution_problem import Triple, three
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_POOL = (None,) * 4 + (_LONG, None)
_RESULTS = Grain(group=1 << 11, rounded_up=True)


class Windows(Protocol):
    """The windows along one axis; see `needle.ops.pooling`."""

    @property
    def places(self) -> int: ...
    @property
    def starts(self) -> tuple[int, ...]: ...
    @property
    def ends(self) -> tuple[int, ...]: ...
    @property
    def step(self) -> int: ...


@dataclass(frozen=True)
class _Problem:
    """`struct windows` of the kernels' file, field by field."""

    images: int
    inner: int
    outer_step: int
    inner_step: int
    step: Triple
    last: int
    extent: Triple
    outputs: Triple
    tap_step: Triple
    starts: Triple
    ends: Triple
    begin: int
    end: int
    stride: int
    taps: int

    def words(self) -> list[int]:
        """The fields in their order, as `OpenCLDevice.layout_buffer` writes them."""
        return words(self)


@launches("pool_max", maximum=True)
@launches("pool_sum", maximum=False)
def _pool(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, maximum: bool,
    windows: tuple[Windows, ...],
) -> None:  # fmt: skip
    """The positions are the second output of a maximum."""
    (x,) = inputs
    made, table = device.prepared(_prepare, x.shape, x.strides, x.dtype, windows, maximum)
    made.launch(device, (x.buffer, outputs[0].buffer, outputs[-1].buffer, table, x.offset))


def _prepare(
    device: OpenCLDevice, shape: Shape, strides: Shape, dtype: DType, windows: tuple[Windows, ...], maximum: bool
) -> tuple[PreparedLaunch, Any]:
    launch_shape, axes = device.launch_shape, len(windows)
    *lead, outer, inner = (1, 1, *shape[:-axes])
    *_, outer_step, inner_step = (0, 0, *strides[:-axes])
    if prod(lead) != 1:
        raise ValueError(f"pooling takes arrays of at most two axes beside those of the windows; the shape is {shape}")
    table = TableBuilder()
    starts = three(tuple(table.add(w.starts) for w in windows), table.add([0]))
    ends = three(tuple(table.add(w.ends) for w in windows), table.add([1]))
    outputs = three(tuple(len(w.starts) for w in windows), 1)
    step = three(strides[-axes:], 0)
    vectors = launch_shape.on_cpu and not is_narrow(dtype)
    begin, end, stride, taps = _whole(windows[-1]) if vectors and step[2] == 1 else (0, 0, 0, 0)
    problem = _Problem(
        outer * inner, inner, outer_step, inner_step, step, _last(shape, strides), three(shape[-axes:], 1), outputs,
        three(tuple(w.step for w in windows), 1), starts, ends, begin, end, stride, taps,
    )  # fmt: skip
    defines = element_defines(dtype) | {"LOCAL": launch_shape.local_size}
    defines |= {"MAXIMUM": 1} if maximum else {}
    defines |= {"WIDTH": launch_shape.width(dtype.itemsize)} if vectors else {}
    size = outer * inner * prod(outputs)
    kernel = device.kernel("pooling.cl", "pool", defines, _POOL, costs.of_functions(size))
    units = size // outputs[2] if launch_shape.on_cpu else size
    groups = groups_for(launch_shape, max(1, units), _RESULTS.worth(launch_shape, size))
    launch = PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), (device.layout_buffer(problem),))
    return launch, device.layout_buffer(table.table())


def _whole(w: Windows) -> tuple[int, int, int, int]:
    """The windows that are not cut off: the first, the end, their stride and their taps; none if vectors cannot."""
    sizes = [end - start for start, end in zip(w.starts, w.ends, strict=True)]
    strides = {b - a for a, b in zip(w.starts, w.starts[1:], strict=False)}
    largest = max(sizes, default=0)
    whole = [i for i, size in enumerate(sizes) if size == largest]
    if not whole or len(whole) != whole[-1] - whole[0] + 1:
        return 0, 0, 0, 0
    between = {w.starts[i + 1] - w.starts[i] for i in whole[:-1]}
    if not strides or len(between) != 1 or not between <= {1, 2}:
        return 0, 0, 0, 0
    return whole[0], whole[-1] + 1, between.pop(), -(-largest // w.step)


def _last(shape: Shape, strides: Shape) -> int:
    return sum(max(0, (n - 1) * step) for n, step in zip(shape, strides, strict=True)) + 1
