// Pooling: for each place of the result the largest element of a window of the source, and where it is, or their sum.
//
// A window is a box over up to three axes: along each axis from the table's start to its end, in equal steps. So windows
// may overlap, leave gaps, be cut off at the borders, or differ in size, as those of adaptive pooling do. The gradient of a
// sum is again a sum, over the windows that have an element.
//   pool  the maximum with its position in the plane (MAXIMUM), or the sum.
#include "builtins.h"
#include "common.h"
#include "types.h"
#include "units.h"

#if WIDTH > 1
DEFINE_LOOSE(T)
#endif

// Triples are depth, rows, columns; steps are distances in memory, in elements.
struct windows {
    long images, inner, outer_step, inner_step, step[3];  // image number i lies at i / inner and i % inner
    long last;                     // no element at or after this one, counted from the first, may be read
    long extent[3], outputs[3];    // places of the source and of the result
    long tap_step[3];              // places between neighbours of a window
    long starts[3], ends[3];       // where the table has them
    long begin, end, stride;       // columns of the result whose windows are whole, `stride` apart; none if it is 0
    long taps;                     // columns of a whole window
};

#ifdef MAXIMUM
#define START LOWEST(T)
#else
#define START 0
#endif

// One place of the result; `from` is the image, `x` the column.
static inline void pool_one(__global const T *restrict from, __constant const struct windows *p,
                            __global const long *restrict table, const long z, const long y, const long x,
                            __global T *restrict result, __global int *restrict positions, const long at)
{
    SUM_TYPE(T) found = START;
#ifdef MAXIMUM
    long place = -1;
#endif
    for (long i = table[p->starts[0] + z]; i < table[p->ends[0] + z]; i += p->tap_step[0])
        for (long j = table[p->starts[1] + y]; j < table[p->ends[1] + y]; j += p->tap_step[1])
            for (long k = table[p->starts[2] + x]; k < table[p->ends[2] + x]; k += p->tap_step[2]) {
                const SUM_TYPE(T) value = LOAD(T, from, i * p->step[0] + j * p->step[1] + k * p->step[2]);
#ifdef MAXIMUM
                if ((value > found) | (value != value) | (place < 0)) {
                    found = value;
                    place = (i * p->extent[1] + j) * p->extent[2] + k;
                }
#else
                found += value;
#endif
            }
    STORE(T, result, at, found);
#ifdef MAXIMUM
    positions[at] = (int)place;
#endif
}

#if WIDTH > 1
// Elements 0, stride, 2 * stride, ... of `from`; the stride is 1 or 2.
static inline VEC(T) load_apart(__global const T *from, const long stride)
{
    if (stride == 1)
        return *(__global const LOOSE(T) *)from;
    const VEC(T) a = *(__global const LOOSE(T) *)from, b = *(__global const LOOSE(T) *)(from + WIDTH);
    VEC(T) result;
    result.lo = a.even;
    result.hi = b.even;
    return result;
}

// WIDTH neighbours of the result, whose windows are whole along the columns.
static inline void pool_vector(__global const T *restrict from, __constant const struct windows *p,
                               __global const long *restrict table, const long z, const long y, const long x,
                               __global T *restrict result, __global int *restrict positions, const long at)
{
    VEC(T) found = (VEC(T))(START);
    const long k = table[p->starts[2] + x];
#ifdef MAXIMUM
    union { VEC(MASK(T)) vector; MASK(T) lane[WIDTH]; } apart, place;
    #pragma unroll
    for (int lane = 0; lane < WIDTH; lane++)
        apart.lane[lane] = lane * (int)p->stride;
    place.vector = (VEC(MASK(T)))(-1);
#endif
    for (long i = table[p->starts[0] + z]; i < table[p->ends[0] + z]; i += p->tap_step[0])
        for (long j = table[p->starts[1] + y]; j < table[p->ends[1] + y]; j += p->tap_step[1])
            for (long tap = 0; tap < p->taps; tap++) {
                const long column = k + tap * p->tap_step[2];
                const VEC(T) value = load_apart(from + i * p->step[0] + j * p->step[1] + column, p->stride);
#ifdef MAXIMUM
                const VEC(MASK(T)) larger = (value > found) | (value != value) | (place.vector < 0);
                const MASK(T) first = (MASK(T))((i * p->extent[1] + j) * p->extent[2] + column);
                found = larger ? value : found;
                place.vector = larger ? apart.vector + first : place.vector;
#else
                found += value;
#endif
            }
    *(__global LOOSE(T) *)(result + at) = found;
#ifdef MAXIMUM
    #pragma unroll
    for (int lane = 0; lane < WIDTH; lane++)
        positions[at + lane] = (int)place.lane[lane];
#endif
}
#endif

// A unit is a row of the result where a work-item is alone in its group, else a place.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void pool(__global const T *restrict source, __global T *restrict result, __global int *restrict positions,
          __global const long *restrict table, const long start, __constant const struct windows *p)
{
    const long columns = p->outputs[2], run = LOCAL == 1 ? columns : 1;
    FOR_UNITS(unit, p->images * p->outputs[0] * p->outputs[1] * columns / run) {
        const long at = unit * run, row = at / columns, first = at % columns;
        const long y = row % p->outputs[1], z = row / p->outputs[1] % p->outputs[0];
        const long image = row / p->outputs[1] / p->outputs[0];
        __global const T *from =
            source + start + image / p->inner * p->outer_step + image % p->inner * p->inner_step;
        long x = first;
#if WIDTH > 1
        for (; x < min(p->begin, p->end); x++)
            pool_one(from, p, table, z, y, x, result, positions, at - first + x);
        __global const T *end = source + start + p->last;
        for (; x + WIDTH <= p->end; x += WIDTH) {
            // The last load may reach one stride beyond the last window.
            const long row_end = (table[p->ends[0] + z] - 1) * p->step[0] + (table[p->ends[1] + y] - 1) * p->step[1];
            const long reach = table[p->starts[2] + x] + (p->taps - 1) * p->tap_step[2] + p->stride * WIDTH;
            if (from + row_end + reach > end)
                break;
            pool_vector(from, p, table, z, y, x, result, positions, at - first + x);
        }
#endif
        for (; x < first + run; x++)
            pool_one(from, p, table, z, y, x, result, positions, at - first + x);
    }
}
