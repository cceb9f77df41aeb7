"""An OpenCL device: its context, queue, memory pool and compiled kernels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import numpy as np
import pyopencl as cl

from needle.backend import recordings
from needle.backend.opencl import kernels as launchers
from needle.backend.opencl.building import programs
from needle.backend.opencl.building.builder import Builder
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.building.layout import Layout
from needle.backend.opencl.finding import forks
from needle.backend.opencl.kernels.prepared import Remembering
from needle.backend.opencl.running import faults, transfer
from needle.backend.opencl.running.memory import Memory, limit_from_environment
from needle.backend.opencl.running.replayer import Replayer
from needle.backend.opencl.running.submission import ChangedArgument, Command, Submission
from needle.backend.opencl.running.traced import recorded
from needle.backend.opencl.shapes import saved
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.backend.protocol import ArrayView, Device, DeviceInfo, Expression, MemoryInfo, checked_limit
from needle.backend.recordings import RecordedLaunch
from needle.backend.records import FusedProgram, Primitive, Reduction, Scan
from needle.dtypes import DType, Scalar, Shape
from needle.errors import OutOfMemoryError
from needle.locks import freed_in_children

R = TypeVar("R")

#: Prepared launches that a device keeps, those of all kernel families together.
KEPT_LAUNCHES = 1 << 14

#: Compiled kernels that a device keeps: drivers hold 0.1 to 3 MB of code for each.
KEPT_KERNELS = 1024

#: The launches that wait, at most, for a kernel that is not compiled.
MOST_UNCOMPILED = 512

#: The work-group of a CPU: one work-item.
_SINGLE = (1,)


class OpenCLDevice(Device):
    """One OpenCL device with one context and one in-order queue, made when the device is first used."""

    #: Whether launches wait until several kernels can be compiled together.
    compiles_together = True

    replays = True

    def __init__(self, info: DeviceInfo, cl_device: cl.Device) -> None:
        super().__init__(info)
        self.cl_device = cl_device
        self.max_parameter_bytes: int = cl_device.max_parameter_size
        self.context = cl.Context([cl_device])
        self.queue = self._plain_queue = cl.CommandQueue(self.context)
        self._memory = Memory(info.name, self._plain_queue, self._drain, limit_from_environment(info.memory))
        self.lock = freed_in_children(threading.RLock())  # setting a kernel's arguments and launching it is one act
        self._builder = Builder(self.context)
        self._builder.start()
        self._submission = Submission(self._builder)
        #: Two zeros, with which the work-groups of a launch may share out work if they leave them as they were.
        self.counter = _zeros(self.context, 2)
        self._host_memory = transfer.HostMemory() if transfer.shares_host_memory(cl_device) else None
        self._kernels: dict[object, Kernel] = {}
        self._expression_kernels: dict[object, Kernel] = {}
        self.layout_buffer = lru_cache(maxsize=4096)(self._write_layout)
        self._prepared = lru_cache(maxsize=KEPT_LAUNCHES)(self._prepare)
        #: `prepared(prepare, *what)` is `prepare(self, *what)`, remembered until the launch shape changes.
        self.prepared = cast(Remembering, self._prepared)
        self._launch_shape = saved.launch_shape_of(cl_device)

    @property
    def launch_shape(self) -> LaunchShape:
        """How launches are shaped here. A new one must suit the device (ValueError), and drops what was prepared."""
        return self._launch_shape

    @launch_shape.setter
    def launch_shape(self, launch_shape: LaunchShape) -> None:
        launch_shape.check(self.cl_device)
        with self.lock:
            self._launch_shape = launch_shape
            self._forget_prepared()

    # -- memory ---------------------------------------------------------------------------------

    def empty(self, size: int, dtype: DType) -> cl.MemoryObject:
        self._check_process()
        with self.lock:
            buffer = self._memory.allocate(max(1, size) * dtype.itemsize)
            if self.queue is not self._plain_queue:
                self._plain_queue.finish()  # the allocator enqueues there, unseen by the queue in use
            if recordings.active and (recording := recordings.current()) is not None:
                recording.allocated(self, buffer, max(1, size) * dtype.itemsize)
            return buffer

    def memory(self) -> MemoryInfo:
        with self.lock:
            return self._memory.info()

    def reset_peak_memory(self) -> None:
        with self.lock:
            self._memory.reset_peak()

    def limit_memory(self, limit: int | None) -> None:
        self._check_process()
        with self.lock:
            self._memory.set_limit(checked_limit(limit))

    def release_memory(self) -> None:
        self._check_process()
        with self.lock:
            self._memory.release()

    def upload(self, array: np.ndarray) -> cl.MemoryObject:
        buffer = self.empty(array.size, array.dtype)  # no launch that is held uses it: they need not be enqueued before
        # The copy is done before this returns: the caller may change its array at once.
        if self._host_memory is not None and array.nbytes >= transfer.LARGE:
            source = transfer.host_buffer(self.context, array)
            self._copy("upload", transfer.enqueue_copy, buffer, source, 0, array.nbytes)
        elif array.size:
            self._copy("upload", _enqueue_copy, buffer, array, 0, array.nbytes)
        if recordings.active and (recording := recordings.current()) is not None:
            recording.uploaded(buffer, array)
        return buffer

    def download(self, view: ArrayView) -> np.ndarray:
        """Copy out the contiguous stretch that a view covers; only whole stretches come down."""
        self._check_process()
        size, offset = view.size * view.dtype.itemsize, view.offset * view.dtype.itemsize
        with self.lock:
            self._flush()
            self._submission.check((view.buffer,))
            return self._read(view, size, offset)

    def _read(self, view: ArrayView, size: int, offset: int) -> np.ndarray:
        """Copy out the `size` bytes from `offset` on of a view's buffer, once what was launched is enqueued."""
        if self._host_memory is not None and size >= transfer.LARGE:
            result = self._host_memory.empty(view.shape, view.dtype, size)
            target = transfer.host_buffer(self.context, result)
            self._copy("download", transfer.enqueue_copy, target, view.buffer, offset, size)
            cl.enqueue_map_buffer(self.queue, target, cl.map_flags.READ, 0, size, np.uint8)[0].base.release(self.queue)
            self.queue.finish()
        else:
            result = np.empty(view.shape, view.dtype)
            if size:
                self._copy("download", _enqueue_copy, result, view.buffer, offset, size)
        return result

    def _copy(self, name: str, enqueue: Callable[..., cl.Event], *arguments: Any) -> None:
        """Copy from or to the host by `enqueue(device, queue, target, source, offset, nbytes)`, and wait."""
        with self.lock:
            copy = partial(self._enqueue_copy, name, enqueue, *arguments)
            try:
                copy()
            except cl.Error as error:
                if not faults.lacks_memory(error):
                    raise
                self._try_again(copy, "the memory of a transfer")

    def _enqueue_copy(self, name: str, enqueue: Callable[..., cl.Event], *arguments: Any) -> None:
        tracer = self.tracer
        if tracer is None:
            enqueue(self, self.queue, *arguments).wait()
        else:
            recorded(tracer, name, enqueue, self, self.queue, *arguments)
            self.queue.finish()

    def synchronize(self) -> None:
        self._check_process()
        with self.lock:
            self._flush()
        self.queue.finish()

    def _flush(self, in_making: bool = False) -> None:
        """Enqueue what is waiting. Some drivers take a buffer's memory only now, which may then be missing.

        `in_making`: the caller makes the last launch, and will withdraw it if this raises an error.
        """
        try:
            self._submission.flush(self.queue, self.tracer)
            self._memory.mark()
        except Exception as error:
            if not self._submission.refused:  # an earlier one has failed as it ran
                raise
            self._try_refused(error, in_making)

    def _try_refused(self, error: Exception, in_making: bool) -> None:
        """Enqueue once more what was refused by `error`, if memory was missing. What cannot succeed is given up."""
        try:
            if not faults.lacks_memory(error):
                raise error
            flush = partial(self._submission.flush, self.queue, self.tracer)
            self._try_again(flush, "the memory of a kernel's operands")
        except Exception as last:
            may_succeed = isinstance(last, OutOfMemoryError) and not faults.lacks_resources(last.__cause__)
            if self._submission.refused and not may_succeed:
                self._submission.give_up(last, in_making)  # it would fail for ever, and block all behind it
            raise

    def _try_again(self, act: Callable[[], None], what: str) -> None:
        """Do what the driver had no memory for, once all that is unused has been given back to it."""
        self.queue.finish()
        self._memory.give_back()
        try:
            act()
        except cl.Error as error:
            if not faults.lacks_memory(error):
                raise
            raise self._memory.refusal(what, doubtful=faults.lacks_resources(error)) from error

    def _drain(self) -> None:
        """Wait until nothing that was launched can still be using memory."""
        self._flush()
        self.queue.finish()

    # -- kernels --------------------------------------------------------------------------------

    def kernel(
        self, file: str, name: str, defines: programs.Defines, types: Sequence[Any], size: int | None = None
    ) -> Kernel:
        """Kernel `name` of `cl/<file>` under `defines`, kept until there are too many; compiled before it is enqueued.

        `types` has an entry for each parameter: None for a pointer, else the scalar's NumPy dtype. `size` is the
        number of elements that the launch computes, if that tells how long it takes: a small one does not wait for
        the driver's optimiser.
        """
        key = (file, name, *defines.items())
        with self.lock:
            found = self._kernels.get(key)
            if found is None:
                self._check_process()
                if len(self._kernels) >= KEPT_KERNELS:
                    self._kernels.clear()  # all of them, as nobody counts which are used: prepared launches hold them
                    self._forget_prepared()
                found = self._kernels[key] = self._builder.kernel(file, name, defines, types, size)
            if size is not None:
                found.serve(size)
        return found

    def compiled(self, kernel: Kernel) -> cl.Kernel:
        """What the driver makes of `kernel`. Raises KernelCompileError with the lines that the compiler names."""
        with self.lock:
            return self._builder.compiled(kernel)

    def expression_kernel(self, key: Hashable, size: int, build: Callable[[], Kernel]) -> Kernel:
        """The kernel for a fused expression known by `key`, for a launch of `size` elements; made at its first use."""
        found = self._expression_kernels.get(key)
        if found is None:
            found = self._expression_kernels[key] = build()
        with self.lock:
            found.serve(size)
        return found

    def _prepare(self, prepare: Callable[..., R], *what: Any) -> R:
        return prepare(self, *what)

    def _forget_prepared(self) -> None:
        """Drop all that was derived from the launch shape and the kernels, to be made again when it is asked for."""
        self._prepared.cache_clear()
        self._expression_kernels.clear()

    def _write_layout(self, layout: Layout) -> cl.MemoryObject:
        """The words of a layout in device memory; launches of the same shapes share them."""
        with recordings.paused():  # it is kept, and there in all later calls
            return self.upload(np.array(layout.words(), np.int64))

    def launch(self, kernel: Kernel, groups: Sequence[int], local: Sequence[int], *arguments: Any) -> None:
        """Launch `kernel` over `groups` work-groups of `local` work-items in each dimension; do not wait."""
        if forks.lost:  # `_check_process`, without the time of a call
            raise forks.error(self.name)
        size = groups if local == _SINGLE else tuple([g * n for g, n in zip(groups, local, strict=True)])
        if recordings.active and (recording := recordings.current()) is not None:
            recording.launched(self, kernel, size, local, arguments, cl.MemoryObjectHolder)
        with self.lock:
            waiting = self._submission.add(kernel, size, local, arguments)
            if self._submission.has_uncompiled:
                waits = self.compiles_together and waiting <= MOST_UNCOMPILED and not self._memory.has_grown()
                flushes = not waits
            else:
                flushes = waiting > self._launch_shape.held_launches or groups != _SINGLE
            if flushes or self.tracer is not None:
                try:
                    self._flush(in_making=True)
                except BaseException:  # to the caller it is not made, and must not be made later
                    self._submission.withdraw(arguments)
                    raise
            self.launches += 1

    def replayer(self, launches: Sequence[RecordedLaunch], buffers: Mapping[int, Any]) -> Replayer:
        return Replayer(self, launches, buffers)

    def replay(self, commands: Sequence[Command], changed: Sequence[ChangedArgument]) -> None:
        """Make recorded launches again, once the arguments in `changed` are set; do not wait."""
        self._check_process()
        with self.lock:
            self._flush()
            self._submission.check(value for _, _, value in changed)
            try:
                self._submission.replay(self.queue, self.tracer, commands, changed)
            except cl.Error as error:
                if not faults.lacks_memory(error):
                    raise
                raise self._memory.refusal("the memory of a kernel's operands") from error
            self.launches += len(commands)

    # -- times ----------------------------------------------------------------------------------

    def time_launches(self, on: bool) -> bool:
        """Change to a queue that takes times, or back: taking them all the time costs on some drivers."""
        self._check_process()
        with self.lock:
            self._flush()
            self.queue.finish()  # what was enqueued there is not ordered with another queue's commands
            timing = cl.command_queue_properties.PROFILING_ENABLE
            self.queue = cl.CommandQueue(self.context, properties=timing) if on else self._plain_queue
        return True

    def _check_process(self) -> None:
        if forks.lost:
            raise forks.error(self.name)

    # -- operations -----------------------------------------------------------------------------

    def evaluate(self, expression: Expression, outputs: Sequence[ArrayView]) -> None:
        recording = recordings.current() if recordings.active else None
        if recording is None:
            launchers.elementwise(self, expression, outputs)
            return
        first = len(recording.launches)
        launchers.elementwise(self, expression, outputs)
        recording.evaluated(first, expression.scalars)

    def evaluate_alike(
        self,
        program: FusedProgram,
        scalars: Sequence[Scalar],
        batch: Sequence[Sequence[ArrayView]],
        reads: Sequence[int],
    ) -> None:
        recording = recordings.current() if recordings.active else None
        first = 0 if recording is None else len(recording.launches)
        launchers.elementwise_batch(self, program, scalars, batch, tuple(reads))
        if recording is not None:
            recording.evaluated(first, scalars)

    def reduce(
        self,
        reduction: Reduction,
        expression: Expression,
        shape: Shape,
        axes: tuple[int, ...],
        output: ArrayView,
    ) -> None:
        launch = launchers.argreduction if reduction.index else launchers.reduction
        launch(self, reduction, expression, shape, axes, output)

    def scan(self, scan: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView) -> None:
        launchers.scan(self, scan, expression, shape, axis, output)

    def run(
        self,
        primitive: Primitive,
        inputs: Sequence[ArrayView],
        outputs: Sequence[ArrayView],
        **params: Any,
    ) -> None:
        launchers.launcher_of(primitive.name)(self, inputs, outputs, **params)


def _enqueue_copy(
    device: OpenCLDevice, queue: cl.CommandQueue, target: Any, source: Any, offset: int, nbytes: int
) -> cl.Event:
    """The driver's own copy between host and device, which waits."""
    options = {"src_offset": offset} if isinstance(target, np.ndarray) else {}
    return cl.enqueue_copy(queue, target, source, is_blocking=True, **options)


def _zeros(context: cl.Context, count: int) -> cl.Buffer:
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    return cl.Buffer(context, flags, hostbuf=np.zeros(count, np.int32))
