"""What is left of devices and of needle's locks in a process that was forked."""

from __future__ import annotations

import os

import pytest
from support.processes import python

import needle as ndl

pytestmark = [
    pytest.mark.fault("fork after first use"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
]

FORK = """
import os, sys, threading, traceback
import numpy as np
import needle as ndl

def in_a_child(*uses):
    # The number of uses that raised no DeviceError; the others' messages are printed.
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        threading.Timer(30, lambda: os._exit(77)).start()  # it hangs
        code = 0
        for use in uses:
            try:
                use()
                code += 1
            except ndl.DeviceError as error:
                print(error, flush=True)
            except BaseException:
                traceback.print_exc()
                os._exit(78)
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

AFTER_COMPUTING = """
x = ndl.asarray([1.0, 2.0], device={name!r})
assert (x + 1).tolist() == [2, 3]
code = in_a_child(lambda: (x + 1).realize(), lambda: ndl.synchronize(x.device), lambda: x.numpy(),
                  lambda: x.__setitem__(..., 3), lambda: ndl.asarray([1.0], device={name!r}))
assert (x + 1).tolist() == [2, 3]
sys.exit(code)
"""

AFTER_LISTING = """
{listing}
code = in_a_child(lambda: ndl.asarray([1.0], device={name!r}), ndl.all_devices)
assert (ndl.asarray([1.0], device={name!r}) + 1).tolist() == [2]
sys.exit(code)
"""

NUMPY = """
ndl.devices()
x = ndl.asarray([1.0], device="numpy")
sys.exit(in_a_child(lambda: ndl.devices(), lambda: (ndl.asarray([1.0], device="numpy") + x).numpy()) - 2)
"""

LISTED_IN_THE_CHILD = """
sys.exit(in_a_child(lambda: (ndl.asarray([1.0], device={name!r}) + 1).numpy()) - 1)
"""

LOCKED = """
from contextlib import ExitStack
from needle.array import evaluation, storage
from needle.backend import registry, tracing as recording
from needle.ops import random
from needle.profiling import peaks as _peaks

generator = random.Generator(1)
locks = [evaluation.lock, registry._lock, recording._lock, _peaks._lock, storage._pruning, generator._lock]
if {name!r} != "numpy":
    locks += [ndl.device({name!r}).lock]
held, done = threading.Event(), threading.Event()

def hold():
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(lock)
        held.set()
        done.wait()

holder = threading.Thread(target=hold)
holder.start()
held.wait()
def take():
    for lock in locks:
        assert lock.acquire(blocking=False)
        lock.release()
code = in_a_child(take, lambda: random.uniform(3, device="numpy", generator=generator).numpy())
assert not any(lock.acquire(blocking=False) for lock in locks)  # in the parent they are held
done.set()
holder.join()
sys.exit(code - 2)
"""


def forked(program: str, **words: str) -> list[str]:
    """What a program prints that forks and exits with 0, each line for a DeviceError in its child."""
    done = python(FORK + program.format(**words))
    assert done.returncode == 0, f"{done.returncode}: {done.stdout} {done.stderr}"
    return done.stdout.splitlines()


def is_told(line: str) -> bool:
    return "listed or opened before this process was forked" in line and "'spawn'" in line


def test_a_forked_process_is_told(device: ndl.Device) -> None:
    if device.name == "numpy":
        pytest.skip("NumPy survives a fork")
    lines = forked(AFTER_COMPUTING, name=device.name)
    assert len(lines) == 5 and all(map(is_told, lines))


@pytest.mark.parametrize("listing", ["ndl.devices()", "ndl.device('numpy')"])
def test_a_process_forked_after_listing_is_told(device: ndl.Device, listing: str) -> None:
    """PoCL starts its threads, which a child lacks, when its devices are listed."""
    if device.name == "numpy":
        pytest.skip("NumPy survives a fork")
    lines = forked(AFTER_LISTING, name=device.name, listing=listing)
    assert len(lines) == 2 and all(map(is_told, lines))


def test_a_forked_process_can_use_numpy() -> None:
    assert forked(NUMPY) == []


def test_a_forked_process_may_be_the_first_to_list(device: ndl.Device) -> None:
    assert forked(LISTED_IN_THE_CHILD, name=device.name) == []


def test_a_forked_process_waits_for_no_thread_of_its_parent(device: ndl.Device) -> None:
    assert forked(LOCKED, name=device.name) == []
