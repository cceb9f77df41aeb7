"""How long launches take, in elements of a simple expression: what tells whether a kernel needs the optimiser.

The figures are rough; a launch of a third of the time or of three times it is served as well.
"""

from __future__ import annotations


def of_products(multiplications: int) -> int:
    """Of products of matrices, packed and summed in registers."""
    return multiplications // 64


def of_functions(elements: int) -> int:
    """Of elements that each take an exponential, a random number or a small window."""
    return 4 * elements
