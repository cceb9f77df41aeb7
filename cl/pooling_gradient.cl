// The gradient of maxima of windows: each place of a plane gets the sum of the gradients of those windows whose maximum it is.
// No atomics, and sums are in the order of the windows: results do not depend on timing.
//   scatter_maxima  A work-item clears a band of a plane and walks the windows that reach into it, on a CPU.
//   gather_maxima   A work-item a place, which looks at the windows that may have it: for GPUs, and for halves, whose sums
//                   are not rounded at each step.
#include "builtins.h"
#include "common.h"
#include "types.h"
#include "units.h"

// Which kernel to compile: `scatter_maxima` (1) or `gather_maxima` (0); both if it is not said.
#if !defined(SCATTERS) || SCATTERS
#define WITH_SCATTER
#endif
#if !defined(SCATTERS) || !SCATTERS
#define WITH_GATHER
#endif

// Triples are depth, rows, columns.
struct maxima {
    long images;
    long extent[3], outputs[3];    // places of a plane, and windows
    long covers[3], cover_ends[3]; // where the table has, for each place, the first window that may have it, and the end
    // scatter_maxima: the first axis with several places or windows is cut into bands of `band` places, of `run` elements each, and
    // has windows of `result_run` results each.
    long axis, band, run, result_run;
};

#ifdef WITH_SCATTER
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void scatter_maxima(__global const T *restrict gradient, __global const int *restrict positions,
                    __global T *restrict result, __global const long *restrict table,
                    __constant const struct maxima *p)
{
    const long places = p->extent[p->axis], bands = (places + p->band - 1) / p->band;
    const long plane = places * p->run, results = p->outputs[p->axis] * p->result_run;
    FOR_UNITS(unit, p->images * bands) {
        const long image = unit / bands, first = (unit - image * bands) * p->band;
        const long last = min(first + p->band, places) - 1;
        const int begin = (int)(first * p->run), size = (int)((last + 1 - first) * p->run);
        __global T *restrict band = result + image * plane + begin;
        for (int i = 0; i < size; i++)
            STORE(T, band, i, (COMPUTE_T)0);
        const long start = image * results + table[p->covers[p->axis] + first] * p->result_run;
        const long end = image * results + table[p->cover_ends[p->axis] + last] * p->result_run;
        for (long i = start; i < end; i++) {
            const uint place = (uint)(positions[i] - begin);
            if (place < (uint)size)
                STORE(T, band, place, LOAD(T, band, place) + LOAD(T, gradient, i));
        }
    }
}
#endif

#ifdef WITH_GATHER
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void gather_maxima(__global const T *restrict gradient, __global const int *restrict positions,
                   __global T *restrict result, __global const long *restrict table,
                   __constant const struct maxima *p)
{
    const INDEX columns = p->extent[2], rows = p->extent[1], depths = p->extent[0];
    FOR_UNITS(at, (INDEX)p->images * depths * rows * columns) {
        const INDEX line = at / columns, x = at - line * columns;
        const INDEX layer = line / rows, y = line - layer * rows;
        const INDEX image = layer / depths, z = layer - image * depths;
        const int place = (int)((z * rows + y) * columns + x);
        const INDEX last_i = table[p->cover_ends[0] + z], last_j = table[p->cover_ends[1] + y];
        const INDEX first_k = table[p->covers[2] + x], last_k = table[p->cover_ends[2] + x];
        COMPUTE_T sum = 0;
        for (INDEX i = table[p->covers[0] + z]; i < last_i; i++)
            for (INDEX j = table[p->covers[1] + y]; j < last_j; j++) {
                const INDEX window = ((image * p->outputs[0] + i) * p->outputs[1] + j) * p->outputs[2];
                for (INDEX k = first_k; k < last_k; k++)
                    if (positions[window + k] == place)
                        sum += LOAD(T, gradient, window + k);
            }
        STORE(T, result, at, sum);
    }
}
#endif
