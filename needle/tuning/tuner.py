"""`needle.tuning.tune`: the search for a device's best launch shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from needle.backend import registry
from needle.backend.protocol import Device
from needle.backend.tracing import Stopwatch, stopwatch
from needle.errors import DeviceError
from needle.tuning.search import Outcome, Ratios, Setting, UnusableError, mean_ratio, search
from needle.tuning.workloads import FAMILIES, WORKLOADS, Case, Workload

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice
    from needle.backend.opencl.shapes.launch_shape import LaunchShape

__all__ = ["TuningResult", "tune"]


#: Scales of the workloads, the usual one being 16: the first that keeps the device busy long enough is taken.
_SCALES = (1, 2, 4, 8, 16, 32, 64)
#: Seconds that are long enough to be timed.
_LONG_ENOUGH = 0.002
#: Times that each of two launch shapes runs, in turn; even, so that each is as often the first as the second.
_QUICK, _THOROUGH = 8, 16


@dataclass(frozen=True)
class TuningResult:
    """What a search gave: the launch shapes before and after it, and each workload's seconds under them."""

    before: LaunchShape
    outcome: Outcome[LaunchShape]
    seconds: Mapping[str, tuple[float, float]]

    @property
    def after(self) -> LaunchShape:
        return self.outcome.launch_shape

    @property
    def is_worth_it(self) -> bool:
        """Whether the new launch shape, measured against the old one at the end, is faster over all work together."""
        ratios = {name: after / before for name, (before, after) in self.seconds.items()}
        return self.after != self.before and mean_ratio(ratios) < 1


def settings_for(device: OpenCLDevice) -> list[Setting]:
    """The fields to search and their values, for a kind of device; a field matters to several families."""
    units = device.cl_device.max_compute_units
    launch_shape, most = device.launch_shape, device.cl_device.max_work_group_size
    spread = frozenset({"elementwise", "reduce", "softmax"})
    if launch_shape.on_cpu:
        return [
            Setting("matmul_depth", (128, 256, 384, 512, 1024), frozenset({"matmul"})),
            Setting("matmul_block_bytes", (1 << 17, 1 << 18, 1 << 19, 1 << 20), frozenset({"matmul"})),
            Setting("matmul_rows", (4, 6, 8, 12, 14), frozenset({"matmul"})),
            Setting("fold_columns", (16, 32, 64, 128), frozenset({"reduce"})),
            Setting("fold_unroll", (1, 2, 4, 8), frozenset({"reduce"})),
            Setting("groups", tuple(n * units for n in (16, 32, 64, 128, 256)), spread),
            # Never longer: compilers have crashed on vectors that the processor does not have.
            Setting(
                "vector_bytes",
                (max(16, launch_shape.vector_bytes // 2), launch_shape.vector_bytes),
                frozenset(FAMILIES),
            ),
        ]
    return [
        Setting("matmul_sums", (0, 16, 32, 64), frozenset({"matmul"})),
        Setting("matmul_micro", (2, 4, 6, 8), frozenset({"matmul"})),
        Setting("matmul_group", tuple(n for n in (8, 16) if n * n <= most), frozenset({"matmul", "matvec"})),
        Setting("local_size", tuple(n for n in (64, 128, 256, 512) if n <= most), spread),
        Setting("groups", tuple(n * units for n in (8, 16, 32, 64)), spread),
        Setting("fold_columns", (1, 2, 4), frozenset({"reduce"})),
        Setting("fold_unroll", (1, 2, 4, 8), frozenset({"reduce"})),
        Setting("vector_bytes", (4, 8, 16), spread),
    ]


def tune(
    name: str | Device,
    only: Collection[str] = FAMILIES,
    seconds: float = 120,
    progress: Callable[[str], None] = lambda what: None,
) -> TuningResult:
    """Search for the launch shape under which `name` is fastest, beginning with the one it has.

    Nothing is saved and no open device is changed. A field is searched if it matters to one of the families
    `only`, and judged by every family that it matters to.

    Args:
        name: an OpenCL device.
        only: families among `FAMILIES`.
        seconds: no candidate is begun after so long.
        progress: called with each step, in words.

    Raises ValueError for an unknown family or for no time at all, DeviceError for a device without launch shapes.
    """
    unknown = set(only) - set(FAMILIES)
    if unknown or not only:
        raise ValueError(f"only={sorted(only)!r} must name some of {', '.join(FAMILIES)}")
    if not seconds > 0:
        raise ValueError(f"seconds={seconds} must be more than 0")
    deadline = time.monotonic() + seconds
    device = private_device(name)
    settings, workloads = plan(device, only)
    with stopwatch(device) as seconds_of:
        before = device.launch_shape
        bench = _Bench(device, seconds_of, workloads, progress)
        outcome = search(
            before, settings, bench.vary, bench.compare, lambda: time.monotonic() < deadline, progress
        )  # fmt: skip
        progress("before and after")
        return TuningResult(before, outcome, bench.times(before, outcome.launch_shape))


def plan(device: OpenCLDevice, only: Collection[str]) -> tuple[list[Setting], list[Workload]]:
    """The settings to search for the families `only`, and the workloads that they matter to."""
    settings = [s for s in settings_for(device) if s.families & set(only)]
    judging = set(only).union(*(s.families for s in settings))
    return settings, [w for w in WORKLOADS if w.family in judging]


def opencl_device(name: str | Device) -> OpenCLDevice:
    """The OpenCL device called `name`. Raises DeviceError for one that there is not, or that is of another kind."""
    found = registry.device(name)
    if hasattr(found, "cl_device"):
        from needle.backend.opencl.running.device import OpenCLDevice  # at last: there may be no OpenCL

        if isinstance(found, OpenCLDevice):
            return found
    raise DeviceError(f"device {found.name!r} has no launch shape to tune; OpenCL devices have")


def private_device(name: str | Device) -> OpenCLDevice:
    """Another device on the hardware of `name`, so that nobody else meets the launch shapes tried on it."""
    public = opencl_device(name)
    return type(public)(public.info, public.cl_device)


class _Bench:
    """The workloads on a device, timed under one launch shape and another."""

    def __init__(
        self,
        device: OpenCLDevice,
        seconds_of: Stopwatch,
        workloads: Iterable[Workload],
        progress: Callable[[str], None],
    ) -> None:
        self.device = device
        self._seconds_of = seconds_of
        self._timed: dict[Workload, Case] = {}
        self._odd: dict[Workload, Case] = {}
        self._right: dict[str, set[LaunchShape]] = {}  # by workload, the launch shapes that computed right results
        for workload in workloads:
            progress(workload.name)
            self._timed[workload] = self._long_enough(workload)
            self._odd[workload] = workload.case(device, workload.odd_shapes)

    def _long_enough(self, workload: Workload) -> Case:
        for scale in _SCALES:
            case = workload.case(self.device, workload.shapes(scale))
            self._seconds_of(case.run)  # compiles
            memory = self.device.info.memory
            too_large = memory and 2 * 8 * workload.bytes(scale) > memory
            if too_large or min(self._seconds_of(case.run) for _ in range(3)) >= _LONG_ENOUGH:
                break
        return case

    def vary(self, launch_shape: LaunchShape, field: str, value: int) -> LaunchShape:
        """The launch shape with another value. Raises UnusableError if the device cannot run it."""
        varied = replace(launch_shape, **{field: value})  # type: ignore[arg-type]
        try:
            varied.check(self.device.cl_device)
        except ValueError as error:
            raise UnusableError(str(error)) from None
        return varied

    def compare(self, incumbent: LaunchShape, candidate: LaunchShape, setting: Setting, thorough: bool) -> Ratios:
        """The candidate's times by the incumbent's, on the workloads that the setting matters to."""
        workloads = [w for w in self._timed if w.family in setting.families]
        try:
            self._check(candidate, workloads)
            pairs = {w.name: self._in_turn(incumbent, candidate, w, thorough) for w in workloads}
            return {name: new / old for name, (old, new) in pairs.items()}
        except UnusableError:
            raise
        except Exception as error:  # whatever a driver raises: this candidate is not for it
            raise UnusableError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
        finally:
            self.device.launch_shape = incumbent

    def times(self, before: LaunchShape, after: LaunchShape) -> dict[str, tuple[float, float]]:
        """Each workload's seconds under two launch shapes."""
        return {w.name: self._in_turn(before, after, w, thorough=True) for w in self._timed}

    def _check(self, launch_shape: LaunchShape, workloads: Sequence[Workload]) -> None:
        """Raise UnusableError unless all workloads give right results under the launch shape."""
        self.device.launch_shape = launch_shape
        for workload in workloads:
            passed = self._right.setdefault(workload.name, set())
            if launch_shape in passed:
                continue
            for case in (self._odd[workload], self._timed[workload]):
                if not case.is_right():
                    raise UnusableError(f"wrong results: {workload.name}")
            passed.add(launch_shape)

    def _in_turn(
        self, first: LaunchShape, second: LaunchShape, workload: Workload, thorough: bool
    ) -> tuple[float, float]:
        """Seconds of the workload under both launch shapes, taken in turn: what disturbs one disturbs the other.

        Of each the lower quartile: disturbances only ever add.
        """
        run = self._timed[workload].run
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(1 + (_THOROUGH if thorough else _QUICK)):
            for which in (0, 1) if turn % 2 else (1, 0):
                self.device.launch_shape = (first, second)[which]
                seconds = self._seconds_of(run)
                if turn:  # the first turn compiles and warms
                    times[which].append(max(1e-9, seconds))
        quartiles = [statistics.quantiles(one, n=4)[0] for one in times]
        return quartiles[0], quartiles[1]
