"""64 MiB from NumPy to the device and back, beside one memcpy into warm memory."""

from __future__ import annotations

from benchmarks.case import Case, Family, normal

SIZE = 1 << 24
SHARES = {"torch": "from_numpy and numpy() share the memory: nothing is moved"}

FAMILIES = (
    Family(
        "transfer",
        "64 MiB between NumPy and the device",
        (
            Case("from NumPy", (normal(SIZE),), lambda lib, x: lib.upload(x), moves="up", without=SHARES),
            Case("to NumPy", (normal(SIZE),), lambda lib, x: lib.download(x), moves="down", without=SHARES),
        ),
        bar=1.0,
        against="numpy",
    ),
)
