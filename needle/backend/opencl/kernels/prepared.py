"""Prepared launches: what of a launch depends on the program and on the operands' shapes alone.

Preparing a launch takes many times as long as making it. So a device remembers what it prepared
(`OpenCLDevice.prepared`), and a launcher only adds the buffers and the values that change from call to call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from needle.backend.opencl.building.kernel import Kernel
    from needle.backend.opencl.running.device import OpenCLDevice

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PreparedLaunch:
    """A kernel, the size of its launch, and those of its arguments that every such launch shares."""

    kernel: Kernel
    groups: tuple[int]  # work-groups
    local: tuple[int]  # work-items of a work-group
    arguments: tuple[Any, ...]

    def launch(self, device: OpenCLDevice, before: Sequence[Any], after: Sequence[Any] = ()) -> None:
        """Launch on `device`; do not wait. The kernel gets `before`, the prepared arguments, and `after`."""
        device.launch(self.kernel, self.groups, self.local, *before, *self.arguments, *after)


class Remembering(Protocol):
    """The type of `OpenCLDevice.prepared`.

    `device.prepared(prepare, *what)` returns `prepare(device, *what)`. The first call with the same `prepare` and the
    same hashable `what` computes it; later calls return the same object, until the device's launch shape changes.
    """

    def __call__(
        self, prepare: Callable[Concatenate[OpenCLDevice, P], R], /, *what: P.args, **named: P.kwargs
    ) -> R: ...
