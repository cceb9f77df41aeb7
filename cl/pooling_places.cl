// Pooling where neighbouring work-items make neighbouring places of the result, as suits a GPU (see pooling.h).
#include "pooling.h"

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void pooling_places(__global const T *restrict source, __global T *restrict result,
#ifdef MAXIMUM
                 __global int *restrict positions,
#else
                 const COMPUTE_T factor,
#endif
                 __global const long *restrict table, const long start, __constant const struct windows *p)
{
    const INDEX columns = p->outputs[2], rows = p->outputs[1], depths = p->outputs[0], inner = p->inner;
    FOR_UNITS(at, (INDEX)p->images * depths * rows * columns) {
        const INDEX line = at / columns, x = at - line * columns;
        const INDEX layer = line / rows, y = line - layer * rows;
        const INDEX image = layer / depths, z = layer - image * depths;
        const INDEX outer = image / inner;
        __global const T *from = source + start + outer * p->outer_step + (image - outer * inner) * p->inner_step;
        const INDEX last_i = table[p->ends[0] + z], last_j = table[p->ends[1] + y], last_k = table[p->ends[2] + x];
        COMPUTE_T found = START;
#ifdef MAXIMUM
        INDEX place = -1;
#endif
        for (INDEX i = table[p->starts[0] + z]; i < last_i; i += p->tap_step[0])
            for (INDEX j = table[p->starts[1] + y]; j < last_j; j += p->tap_step[1])
                for (INDEX k = table[p->starts[2] + x]; k < last_k; k += p->tap_step[2]) {
                    const COMPUTE_T value = LOAD(T, from, i * p->step[0] + j * p->step[1] + k * p->step[2]);
#ifdef MAXIMUM
                    if ((value > found) | (value != value) | (place < 0)) {
                        found = value;
                        place = (INDEX)((i * p->extent[1] + j) * p->extent[2] + k);
                    }
#else
                    found += value;
#endif
                }
#ifdef MAXIMUM
        STORE(T, result, at, found);
        positions[at] = (int)place;
#else
        STORE(T, result, at, found * factor);
#endif
    }
}
