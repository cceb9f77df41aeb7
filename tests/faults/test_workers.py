"""Batches made by worker processes: the same as without, errors handed on, and no process left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.datasets import Dice, Locked, Numbers, total
from support.processes import ANSWER_INTERRUPTS, environment, python

import needle as ndl
from needle.data import DataLoader, TensorDataset


def hosts(loader: DataLoader) -> list[tuple[np.ndarray, ...]]:
    return [tuple(t.numpy() for t in batch) for batch in loader]


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
            assert x.dtype == y.dtype


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        found.add(pid)
    return found


def wait_for_the_end_of(pids: set[int]) -> None:
    end = time.monotonic() + 20
    while alive(pids):
        assert time.monotonic() < end, f"processes {alive(pids)} live on"
        time.sleep(0.05)


def pids_of(loader: DataLoader) -> set[int]:
    assert loader._pool is not None
    return {process.pid for process in loader._pool._processes}


@pytest.mark.fault("DataLoader workers by spawn")
def test_order_and_batches_are_those_without_workers(device: ndl.Device):
    options: list[dict[str, Any]] = [
        {"batch_size": 4},
        {"batch_size": 7, "shuffle": True, "seed": 3},
        {"batch_size": 7, "drop_last": True, "collate": total},
    ]
    for kwargs in options:
        loader, plain = DataLoader(Numbers(), num_workers=2, **kwargs), DataLoader(Numbers(), **kwargs)
        for _ in range(2):  # the workers stay for the second epoch
            assert_same(hosts(loader), hosts(plain))
        assert next(iter(loader))[0].device is device
        loader.close()
        loader.close()


def test_more_workers_than_batches_and_no_batches():
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(3), batch_size=2, num_workers=3)
        assert_same(hosts(loader), hosts(DataLoader(Numbers(3), batch_size=2)))
        loader.close()
        empty = DataLoader(Numbers(0), num_workers=1)
        assert hosts(empty) == [] and len(empty) == 0
        empty.close()


def test_large_batches_and_leaving_early():
    """Batches far larger than a pipe holds; an iteration that is left lets the next one start afresh."""
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(64, width=100_000), batch_size=4, num_workers=2)
        for _ in range(3):
            for i, (x, y) in enumerate(loader):
                assert x.shape == (4, 100_000) and y.tolist() == [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]
                if i == 2:
                    break
            gc.collect()
        pids = pids_of(loader)
        first, second, *_ = zip(loader, loader, strict=True)  # two iterations at once
        assert_same([tuple(t.numpy() for t in first[0])], [tuple(t.numpy() for t in first[1])])
        assert pids_of(loader) == pids and second
        loader.close()
        wait_for_the_end_of(pids)


@pytest.mark.fault("DataLoader workers by spawn")
def test_tensors_travel_through_the_host(device: ndl.Device):
    dataset = TensorDataset(ndl.asarray(np.arange(12, dtype=np.float32)), np.arange(12))
    loader = DataLoader(dataset, batch_size=5, num_workers=1)
    assert_same(hosts(loader), hosts(DataLoader(dataset, batch_size=5)))
    loader.close()


def test_random_choices_depend_on_seed_epoch_and_worker():
    def draw(seed: int) -> list[list[tuple[np.ndarray, ...]]]:
        with ndl.device("numpy"):
            loader = DataLoader(Dice(), batch_size=2, seed=seed, num_workers=2)
            epochs = [hosts(loader), hosts(loader)]
            loader.close()
        return epochs

    one, again, other = draw(1), draw(1), draw(2)
    assert len({int(batch[2][0]) for batch in one[0]}) == 2  # both workers took part
    for a, b in zip(one, again, strict=True):
        assert_same([batch[:2] for batch in a], [batch[:2] for batch in b])
    numbers = [x for epochs in (one, other) for epoch in epochs for batch in epoch for x in batch[0].tolist()]
    assert len(set(numbers)) == len(numbers)


# -- when something goes wrong ----------------------------------------------------------------------


def test_an_error_in_a_worker_is_raised_here():
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(fault="error"), batch_size=4, num_workers=2)
        batches = iter(loader)
        for _ in range(3):
            next(batches)
        with pytest.raises(KeyError, match="item 13 is bad") as caught:
            next(batches)
        assert "in worker 1 of 2" in str(caught.value.__cause__) and "__getitem__" in str(caught.value.__cause__)
        loader.dataset.fault = ""
        loader.close()
        assert len(hosts(loader)) == 10  # new workers get the mended data set
        loader.close()


def test_an_error_that_cannot_be_sent():
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(fault="odd error"), batch_size=40, num_workers=1)
        with pytest.raises(RuntimeError, match=r"(?s)in worker 0 of 1:.*OddError: odd 1 2"):
            next(iter(loader))
        loader.close()


@pytest.mark.fault("DataLoader workers by spawn")
def test_a_worker_that_dies():
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(fault="death"), batch_size=4, num_workers=2)
        with pytest.raises(RuntimeError, match="worker 1 of 2 died with exit code 7"):
            hosts(loader)
        iterator = iter(DataLoader(Numbers(), batch_size=4, num_workers=1))
        next(iterator)
        iterator.close()


@pytest.mark.fault("DataLoader workers by spawn")
def test_a_worker_that_is_killed():
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(4000), batch_size=4, num_workers=2)
        batches = iter(loader)
        next(batches)
        pids = pids_of(loader)
        os.kill(min(pids), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="died with exit code -9"):
            list(batches)
        wait_for_the_end_of(pids)


def test_a_data_set_that_cannot_be_pickled():
    with ndl.device("numpy"), pytest.raises(TypeError, match="num_workers=1 the data set and its `collate` are sent"):
        hosts(DataLoader(Locked(), num_workers=1))


def test_a_negative_number_of_workers():
    with pytest.raises(ValueError, match="num_workers=-1 must be at least 0"):
        DataLoader(Numbers(), num_workers=-1)


# -- no process is left behind ----------------------------------------------------------------------


def test_workers_end_with_the_loader():
    with ndl.device("numpy"):
        loader = DataLoader(Numbers(), batch_size=4, num_workers=2)
        batches = iter(loader)
        next(batches)
        pids = pids_of(loader)
        assert alive(pids) == pids
        del loader, batches
        gc.collect()
        wait_for_the_end_of(pids)


SCRIPT = """
import os, sys, threading
import numpy as np
import needle as ndl
from needle.data import DataLoader, Dataset

class Mine(Dataset):
    def __len__(self):
        return 20
    def __getitem__(self, index):
        return np.float32(index)

{guard}
    loader = DataLoader(Mine(), batch_size=4, num_workers=2, device="numpy")
    batches = iter(loader)
    total = next(batches)[0].sum().item()
    print(*sorted(p.pid for p in loader._pool._processes), flush=True)
    {then}
    total += sum(batch[0].sum().item() for batch in batches)
    print(total)
"""


def run_script(tmp_path: Path, guard: str, then: str = "pass") -> subprocess.Popen[str]:
    path = tmp_path / "script.py"
    path.write_text(ANSWER_INTERRUPTS + SCRIPT.format(guard=guard, then=then))
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path)], env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def test_a_data_set_defined_in_a_script(tmp_path: Path):
    process = run_script(tmp_path, 'if __name__ == "__main__":')
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (0, "")
    pids, result = stdout.splitlines()
    assert float(result) == sum(range(20))
    wait_for_the_end_of(set(map(int, pids.split())))


def test_a_script_without_a_guard_is_told(tmp_path: Path):
    process = run_script(tmp_path, "if True:")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and "if __name__ == '__main__':" in stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_when_the_parent_is_killed(tmp_path: Path, number: signal.Signals):
    process = run_script(tmp_path, 'if __name__ == "__main__":', then="threading.Event().wait()")
    assert process.stdout is not None
    pids = set(map(int, process.stdout.readline().split()))
    assert len(pids) == 2 and alive(pids) == pids
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: the workers get it as well
    else:
        os.kill(process.pid, number)
    process.communicate(timeout=30)
    wait_for_the_end_of(pids)


def test_a_loader_without_workers_starts_no_process():
    done = python(
        "import sys\nimport needle as ndl\n"
        "list(ndl.data.DataLoader([1.0, 2.0], device='numpy'))\n"
        "import multiprocessing.process as p\nassert not p.active_children()\n"
    )
    assert done.returncode == 0, done.stderr
