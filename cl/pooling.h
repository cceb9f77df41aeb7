// What the kernels of pooling share. A window is a box over up to three axes: along each axis from the table's start to its
// end, in equal steps. So windows may overlap, leave gaps, be cut off at the borders, or differ in size, as those of adaptive
// pooling do. The gradient of a sum is again a sum, over the windows that have an element.
//
// With MAXIMUM the result is the largest element of a window and its position in the plane of the axes, else the sum of the
// elements times a factor. NaN is larger than any number. Of equal elements the first counts, of several NaN the last.
#ifndef NEEDLE_POOLING_H
#define NEEDLE_POOLING_H
#include "builtins.h"
#include "common.h"
#include "types.h"
#include "units.h"

// Triples are depth, rows, columns; steps are distances in memory, in elements.
struct windows {
    long images, inner, outer_step, inner_step, step[3];  // image number i lies at i / inner and i % inner
    long extent[3], outputs[3];  // places of the source and of the result
    long tap_step[3];            // places between neighbours of a window
    long starts[3], ends[3];     // where the table has them
    // pooling_rows: the result is made in chunks of so many columns, each from the columns that the table has at `spans`,
    // pairs of a start and an end. The windows of column x begin at x / phases * stride + firsts[x % phases] and have
    // taps[x % phases] places, those outside the source included; phases are 0 where windows follow no such rule.
    long chunks, chunk, spans, phases, stride, firsts[2], taps[2];
};

#ifdef MAXIMUM
#define START LOWEST(T)
#else
#define START 0
#endif

#endif
