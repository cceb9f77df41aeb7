"""Processes that make batches ahead of the training loop.

Workers are started by 'spawn', so that they share no opened device with the parent. Worker k of n makes the batches
k, k + n, k + 2n, ... and sends them in this order, so that the parent gets all batches in order by asking the
workers in turn. A worker runs at most three batches ahead: one on its way, one waiting, one in the making.
"""

from __future__ import annotations

import multiprocessing
import pickle
import random
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from queue import Queue
from typing import Any

import numpy as np

from needle.data.dataset import map_arrays
from needle.ops.random import manual_seed
from needle.tensor import Tensor

#: Makes a batch, on the host, of the items at some indices.
Fetch = Callable[[np.ndarray], Any]

_END = b""


class WorkerError(RuntimeError):
    """What went wrong in a worker process; the message holds its traceback."""


class WorkerPool:
    """Worker processes for one iteration at a time."""

    def __init__(self, count: int, fetch: Fetch) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        self.idle = True
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, fetch), name=f"needle-data-{number}", daemon=True
            )  # fmt: skip
            try:
                process.start()
            except (AttributeError, TypeError, pickle.PicklingError) as error:
                ours.close()
                theirs.close()
                _shut_down(self._connections, self._processes)
                raise TypeError(
                    f"with num_workers={count} the data set and its `collate` are sent to other processes, and this "
                    f"one cannot be pickled: {error}"
                ) from error
            theirs.close()  # so that a worker that dies ends the connection
            self._connections.append(ours)
            self._processes.append(process)
        self.close = weakref.finalize(self, _shut_down, self._connections, self._processes)

    def batches(self, chunks: list[np.ndarray], seed: tuple[int, int]) -> Iterator[Any]:
        """The batch of each of `chunks`, arrays of indices, in order."""
        self.idle = False
        count = len(self._connections)
        for number in range(count):
            self._send(number, (seed, number, chunks[number::count]))
        try:
            for position in range(len(chunks)):
                yield self._receive(position % count)
        finally:
            if self.close.alive:
                self._stop()

    def _send(self, number: int, message: Any) -> None:
        try:
            self._connections[number].send(message)
        except OSError:
            raise self._death_of(number) from None

    def _receive(self, number: int) -> Any:
        data = self._bytes_from(number)
        error, batch = pickle.loads(data)
        if error is None:
            return batch
        exception, text = error
        cause = WorkerError(f"in worker {number} of {len(self._connections)}:\n{text}")
        if exception is None:
            raise cause
        raise exception from cause

    def _bytes_from(self, number: int) -> bytes:
        try:
            return self._connections[number].recv_bytes()
        except (EOFError, OSError):
            raise self._death_of(number) from None

    def _death_of(self, number: int) -> WorkerError:
        process = self._processes[number]
        process.join(5)
        error = WorkerError(
            f"worker {number} of {len(self._connections)} died with exit code {process.exitcode}. If it is 1 and a "
            "RuntimeError about bootstrapping stands above, the script must start its work under "
            "`if __name__ == '__main__':`, because workers import it"
        )
        self.close()
        return error

    def _stop(self) -> None:
        """Make every worker forget what is left of the iteration."""
        try:
            for connection in self._connections:
                connection.send(None)
            for number in range(len(self._connections)):
                while self._bytes_from(number) != _END:
                    pass
        except (OSError, WorkerError):
            self.close()
        else:
            self.idle = True


def _shut_down(connections: list[Connection], processes: list[Any]) -> None:
    for connection in connections:
        connection.close()  # a worker ends when its connection does
    for process in processes:
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


# -- in the worker ----------------------------------------------------------------------------------


def _work(connection: Connection, fetch: Fetch) -> None:
    """Serve iterations until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends the connection
    outbox: Queue[bytes] = Queue(maxsize=1)
    threading.Thread(target=_deliver, args=(connection, outbox), daemon=True).start()
    try:
        while True:
            message = connection.recv()
            (seed, epoch), number, chunks = message
            _seed([seed, epoch, number])
            for chunk in chunks:
                if connection.poll():  # the iteration was left early
                    break
                outbox.put(_batch(fetch, chunk))
            connection.recv()  # None: the iteration is over
            outbox.put(_END)
    except (EOFError, OSError):
        return


def _deliver(connection: Connection, outbox: Queue[bytes]) -> None:
    while True:
        data = outbox.get()
        try:
            connection.send_bytes(data)
        except OSError:  # the parent is gone; the other thread learns it by itself
            return


def _seed(entropy: list[int]) -> None:
    """Let the random choices of a data set depend on the loader's seed, the epoch and the worker alone."""
    words = np.random.SeedSequence(entropy).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002 (what data sets of others may draw from)
    manual_seed(int(words[2]) << 32 | int(words[3]))


def _batch(fetch: Fetch, chunk: np.ndarray) -> bytes:
    """A batch, or what went wrong with it, as bytes."""
    try:
        return pickle.dumps((None, _on_host(fetch(chunk))), protocol=5)
    except Exception as error:  # whatever a data set raises is to be raised in the parent
        text = traceback.format_exc()
        try:
            data = pickle.dumps(((error, text), None))
            pickle.loads(data)  # not every exception comes back
        except Exception:
            data = pickle.dumps(((None, text), None))
        return data


def _on_host(batch: Any) -> Any:
    """`batch` with NumPy arrays in place of tensors."""
    return map_arrays(lambda array: array.numpy() if isinstance(array, Tensor) else array, batch)
