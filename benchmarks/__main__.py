"""The command line: `python -m benchmarks [run|overhead|start|memory|capture|growth]`."""

from __future__ import annotations

import os
import sys

# NumPy's BLAS threads spin for tens of milliseconds after a product, on the cores of whoever is measured next. Its
# logarithm of the cycles that they spin is read when NumPy is imported.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
