// Where elements lie: the walk through a layout, which building/layout.py makes.
//
// A layout holds `rank` extents, then `rank` strides of each operand in turn, all in elements.
#ifndef NEEDLE_LAYOUT_H
#define NEEDLE_LAYOUT_H
#include "common.h"

// Adds to `at` the offset of element `i` in each operand. Elements are counted over the first `axes` axes alone, of which
// the last varies fastest.
__attribute__((always_inline))  // so that constant numbers of axes and operands unroll its loops
static inline void locate(__constant const long *layout, const int rank, const int axes, const int operands, INDEX i,
                          INDEX *at)
{
    for (int axis = axes - 1; axis > 0; axis--) {
        const INDEX next = i / (INDEX)layout[axis], position = i - next * (INDEX)layout[axis];
        for (int k = 0; k < operands; k++) at[k] += position * (INDEX)layout[(k + 1) * rank + axis];
        i = next;
    }
    if (axes > 0)
        for (int k = 0; k < operands; k++) at[k] += i * (INDEX)layout[(k + 1) * rank];
}

#endif
