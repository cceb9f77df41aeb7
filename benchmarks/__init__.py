"""Measurements of needle beside NumPy, PyTorch and tinygrad: `python -m benchmarks --help`.

`docs/benchmarks.md` says how they are taken. A case is declared once, in `benchmarks/cases/`, in the vocabulary that
every library in `benchmarks/peers/` speaks.
"""
