"""The distinct elements of a tensor, from a sort: what equals its predecessor is none of them.

The number of distinct elements is read back from the device. Each NaN is distinct from every other, and -0 equals 0, as
the Array API has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from needle.array import NDArray
from needle.autograd import Value
from needle.dtypes import bool_, uint32
from needle.ops.base import data_of, takes_tensor
from needle.ops.comparison import not_equal
from needle.ops.creation import as_tensor
from needle.ops.indexing.masks import flat_positions
from needle.ops.indexing.taking import Take
from needle.ops.scanning import CumulativeSum
from needle.ops.shape import astype
from needle.ops.sorting import ARGSORT, SORT, SORT_VALUES

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "UniqueAll", "UniqueCounts", "UniqueInverse", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
]  # fmt: skip


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Any
    inverse_indices: Any


class _Runs:
    """The runs of equals of a sorted array: the sorted elements, their positions before, and where runs begin."""

    def __init__(self, x: Any, positions: bool) -> None:
        self.x = x
        self.is_value = isinstance(x, Value)
        flat = data_of(x).reshape((-1,))
        if positions:
            self.ordered, self.positions = flat.run(SORT, descending=False)
        else:
            self.ordered = flat.run(SORT_VALUES, descending=False)
        self.begins = NDArray.empty(flat.shape, bool_, flat.device)
        self.begins[:1] = True
        self.begins[1:] = not_equal(self.ordered[1:], self.ordered[:-1])
        self.starts = flat_positions(self.begins)

    def _given(self, array: Any) -> Any:
        return as_tensor(array) if self.is_value else array

    def values(self) -> Any:
        return self._given(_taken(self.ordered, self.starts))

    def indices(self) -> Any:
        return self._given(_taken(self.positions, self.starts))

    def counts(self) -> Any:
        ends = NDArray.empty(self.starts.shape, self.starts.dtype, self.starts.device)
        ends[:-1] = self.starts[1:]
        ends[-1:] = self.ordered.size
        return self._given(ends - self.starts)

    def inverse(self) -> Any:
        """For each element the number of its run. The positions' own order undoes the sort."""
        numbers: Any = CumulativeSum(0)(astype(self.begins, self.starts.dtype)) - 1  # type: ignore[arg-type]
        order = self.positions.astype(uint32).run(ARGSORT, descending=False)
        return self._given(_taken(numbers, order).reshape(self.x.shape))


def _taken(x: Any, indices: Any) -> Any:
    return Take(0)(x, indices)


@takes_tensor
def unique_values(x: Tensor) -> Tensor:
    """The distinct elements of x in ascending order (Array API)."""
    return _Runs(x, positions=False).values()


@takes_tensor
def unique_counts(x: Tensor) -> UniqueCounts:
    """The distinct elements of x in ascending order, and how often each occurs (Array API)."""
    runs = _Runs(x, positions=False)
    return UniqueCounts(runs.values(), runs.counts())


@takes_tensor
def unique_inverse(x: Tensor) -> UniqueInverse:
    """The distinct elements of x in ascending order, and the index among them of each element of x (Array API)."""
    runs = _Runs(x, positions=True)
    return UniqueInverse(runs.values(), runs.inverse())


@takes_tensor
def unique_all(x: Tensor) -> UniqueAll:
    """The distinct elements of x in ascending order, with more about each (Array API).

    `indices` are those of their first occurrences in x flattened, `inverse_indices` the index among the values of each
    element of x, and `counts` how often each value occurs.
    """
    runs = _Runs(x, positions=True)
    return UniqueAll(runs.values(), runs.indices(), runs.inverse(), runs.counts())


@takes_tensor
def unique(
    x: Tensor, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False
) -> Any:  # fmt: skip
    """The distinct elements of x in ascending order, and in a tuple with them what is asked for (NumPy's `unique`).

    In the tuple follow, in this order, the indices of first occurrences in x flattened, the index of each element of x
    among the values, in the shape of x, and the counts. Each NaN is distinct, as in PyTorch.
    """
    runs = _Runs(x, positions=return_index or return_inverse)
    results = [runs.values()]
    if return_index:
        results.append(runs.indices())
    if return_inverse:
        results.append(runs.inverse())
    if return_counts:
        results.append(runs.counts())
    return tuple(results) if len(results) > 1 else results[0]
