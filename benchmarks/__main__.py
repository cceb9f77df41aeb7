"""The command line: `python -m benchmarks [run|overhead|start|memory|growth]`."""

from __future__ import annotations

import sys

from benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
