"""A small tensor library in NumPy, in float64 and with random rounding errors: what drawn programs are compared with.

A `World` offers the functions of `needle` that drawn programs call. Floats are computed in float64 whatever their
dtype, and in a world with a seed each result is off by a random error of the size that its dtype's rounding may
cause, times `AMPLIFY` (Monte Carlo arithmetic, Parker 1997). How far worlds lie apart at the end therefore tells how
far a right computation may lie from the exact one: the bound follows the program's conditioning. Integers are
computed in their own dtype, and are exact. What a program decides on the way (comparisons, the place of a maximum) is
recorded: where worlds decide differently there is no right answer to compare with.

Gradients have their own rules here, written for NumPy; nothing of `needle` is used.
"""

from __future__ import annotations

from support.arranging import Arranging
from support.elementwise import Elementwise
from support.reductions import Reductions


class World(Elementwise, Reductions, Arranging):
    """The functions of `needle` on values of one world; see the module."""
