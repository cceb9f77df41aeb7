"""Where a mask is true."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.dtypes import int64
from needle.ops.base import data_of


def positions(mask: Any) -> tuple[np.ndarray, ...]:
    """For each axis of `mask` the indices of what is true, in C order. A mask on a device is read back to the host."""
    host = mask if isinstance(mask, np.ndarray) else data_of(mask).numpy()
    return tuple(indices.astype(int64, copy=False) for indices in np.nonzero(host))
