// Scans of a fused elementwise expression: sums, products and extremes of all beginnings of a sequence.
//
// `scan_rows` scans along the last axis: in vectors, whose lanes are scanned by log2(WIDTH) shifts, and in tiles of LOCAL
// vectors, whose last lanes are scanned in local memory. `scan_columns` scans along the last axis but one, each lane a
// sequence of its own. Both can cut each sequence into `segments`: a first launch (`writes` is 0) writes the fold of each
// segment to `totals`, and a second one begins each segment with the fold of those before it. So there are no atomics, and
// a result does not depend on timing.
//
// The launcher defines the operation on accumulators of type ACC: COMBINE(a, b) of a later element `a` and what was folded
// before it `b`, and IDENTITY. OUT is the element type of the result. Operand 0 is the result, of any strides.
#include "expression.h"

// Vectors that a work-item scans side by side in `scan_columns`: long enough to stream whole cache lines.
#ifndef COLUMNS
#define COLUMNS 16
#endif
// Which kernel to compile: `scan_columns` (1) or `scan_rows` (0); both if it is not said.
#if !defined(ACROSS) || ACROSS
#define WITH_COLUMNS
#endif
#if !defined(ACROSS) || !ACROSS
#define WITH_ROWS
#endif
#ifndef ACC
#define ACC float
#define OUT float
#define COMBINE(a, b) (b + a)
#define IDENTITY 0
#endif

typedef VEC(ACC) accumulator;
typedef union { accumulator vector; ACC lane[WIDTH]; } lanes_t;

#define IDENTITIES LIT(ACC, IDENTITY)
#define ELEMENT CAST(ACC, WIDEN(OUT, result0))

// Writes `value`, rounded, by STORE_FULL or STORE_TAIL, which write what is called `result0`.
#define WRITE(value, store)                                                                                 \
    {                                                                                                       \
        const VEC(OUT) result0 = CAST(OUT, value);                                                          \
        store                                                                                               \
    }

#ifdef WITH_ROWS
// Each lane combined with all lanes before it. Lanes are named one by one: Oclgrind crashes on a part of a vector that is
// made longer; compilers make one shuffle of them.
static inline accumulator scan_lanes(accumulator x) {
#if WIDTH > 1
    const ACC i = IDENTITY;
    accumulator before;
#if WIDTH == 2
    before = (accumulator)(i, x.s0), x = COMBINE(x, before);
#elif WIDTH == 4
    before = (accumulator)(i, x.s0, x.s1, x.s2), x = COMBINE(x, before);
    before = (accumulator)(i, i, x.s0, x.s1), x = COMBINE(x, before);
#elif WIDTH == 8
    before = (accumulator)(i, x.s0, x.s1, x.s2, x.s3, x.s4, x.s5, x.s6), x = COMBINE(x, before);
    before = (accumulator)(i, i, x.s0, x.s1, x.s2, x.s3, x.s4, x.s5), x = COMBINE(x, before);
    before = (accumulator)(i, i, i, i, x.s0, x.s1, x.s2, x.s3), x = COMBINE(x, before);
#else
    before = (accumulator)(i, x.s0, x.s1, x.s2, x.s3, x.s4, x.s5, x.s6, x.s7, x.s8, x.s9, x.sa, x.sb, x.sc, x.sd,
                           x.se),
    x = COMBINE(x, before);
    before = (accumulator)(i, i, x.s0, x.s1, x.s2, x.s3, x.s4, x.s5, x.s6, x.s7, x.s8, x.s9, x.sa, x.sb, x.sc, x.sd),
    x = COMBINE(x, before);
    before = (accumulator)(i, i, i, i, x.s0, x.s1, x.s2, x.s3, x.s4, x.s5, x.s6, x.s7, x.s8, x.s9, x.sa, x.sb),
    x = COMBINE(x, before);
    before = (accumulator)(i, i, i, i, i, i, i, i, x.s0, x.s1, x.s2, x.s3, x.s4, x.s5, x.s6, x.s7),
    x = COMBINE(x, before);
#endif
#endif
    return x;
}

static inline ACC last_lane(accumulator vector) {
    lanes_t value;
    value.vector = vector;
    return value.lane[WIDTH - 1];
}

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void scan_rows(__global ACC *restrict totals, const int writes, const long rows, const long segments,
               __constant const long *layout, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX vectors = (columns + WIDTH - 1) / WIDTH;
    const INDEX per_segment = (vectors + (INDEX)segments - 1) / (INDEX)segments;
    const int item = (int)get_local_id(0);
#if LOCAL > 1
    __local ACC shared[LOCAL];
#endif
    FOR_GROUP_UNITS(task, rows * segments) {
        const INDEX row = task / (INDEX)segments;
        const INDEX begin = (task - row * (INDEX)segments) * per_segment;
        const INDEX end = min(begin + per_segment, vectors);
        ACC carry = IDENTITY;
        if (writes) {
            for (INDEX s = row * (INDEX)segments; s < task; s++) {
                const ACC total = totals[s];
                carry = COMBINE(total, carry);
            }
        }
        INDEX at[OPERANDS] = {0};
        MOVE_TO_ROW(row, at);
#if LOCAL == 1
        if (!writes) {  // what lies behind the full vectors ends the row: it comes before no segment
            accumulator folded = IDENTITIES;
            for (INDEX vector = begin; vector < min(end, full); vector++) {
                const INDEX column = vector * WIDTH;
                LOAD_FULL
                COMPUTE
                const accumulator element = ELEMENT;
                folded = COMBINE(element, folded);
            }
            totals[task] = last_lane(scan_lanes(folded));
            continue;
        }
#endif
        for (INDEX tile = begin; tile < end; tile += LOCAL) {
            const INDEX vector = tile + item, column = vector * WIDTH;
            const int lanes = vector >= end ? 0 : vector < full ? WIDTH : (int)(columns - full * WIDTH);
            accumulator scanned = IDENTITIES;
            if (lanes == WIDTH) {
                LOAD_FULL
                COMPUTE
                scanned = scan_lanes(ELEMENT);
            } else if (WIDTH > 1 && lanes > 0) {  // the end of the row: what its lanes amount to, nobody needs
                LOAD_TAIL
                COMPUTE
                scanned = scan_lanes(ELEMENT);
            }
            ACC before = carry, total = last_lane(scanned);
#if LOCAL > 1
            shared[item] = total;
            for (int reach = 1; reach < LOCAL; reach *= 2) {
                barrier(CLK_LOCAL_MEM_FENCE);
                const ACC other = item >= reach ? shared[item - reach] : (ACC)IDENTITY;
                barrier(CLK_LOCAL_MEM_FENCE);
                total = COMBINE(total, other);
                shared[item] = total;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            const ACC earlier = item > 0 ? shared[item - 1] : (ACC)IDENTITY;
            before = COMBINE(earlier, carry);
            total = shared[LOCAL - 1];
            barrier(CLK_LOCAL_MEM_FENCE);
#endif
            carry = COMBINE(total, carry);
            const accumulator start = LIT(ACC, before);
            scanned = COMBINE(scanned, start);
            if (writes && lanes == WIDTH) WRITE(scanned, STORE_FULL)
            if (WIDTH > 1 && writes && lanes > 0 && lanes < WIDTH) WRITE(scanned, STORE_TAIL)
        }
        if (!writes && item == 0) totals[task] = carry;
    }
}
#endif

#if defined(WITH_COLUMNS) && RANK > 1
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void scan_columns(__global ACC *restrict totals, const int writes, const long rows, const long segments,
                  __constant const long *layout, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX length = EXTENT(RANK - 2), columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX vectors = (columns + WIDTH - 1) / WIDTH;
    const INDEX strips = (vectors + COLUMNS * LOCAL - 1) / (COLUMNS * LOCAL);
    const INDEX per_segment = (length + (INDEX)segments - 1) / (INDEX)segments;
    const long tasks = rows * segments * (long)strips;
    FOR_GROUP_UNITS(task, tasks) {
        const INDEX fold = task / strips;  // row and segment
        const INDEX first = (task - fold * strips) * COLUMNS * LOCAL + (INDEX)get_local_id(0);
        const INDEX row = fold / (INDEX)segments;
        const INDEX begin = min((fold - row * (INDEX)segments) * per_segment, length);
        const INDEX end = min(begin + per_segment, length);
        const int wide = (int)clamp((full - first + LOCAL - 1) / LOCAL, (INDEX)0, (INDEX)COLUMNS);
        const int lanes = (WIDTH > 1 && wide < COLUMNS && first + wide * LOCAL == full) ? (int)(columns - full * WIDTH) : 0;
        accumulator folded[COLUMNS];
        for (int k = 0; k < COLUMNS; k++) folded[k] = IDENTITIES;
        const int used = wide + (lanes > 0);
        if (writes) {
            for (INDEX s = row * (INDEX)segments; s < fold; s++)
                for (int k = 0; k < used; k++) {
                    const INDEX column = (first + k * LOCAL) * WIDTH;
                    lanes_t total;
                    for (int i = 0; i < WIDTH; i++)
                        total.lane[i] = totals[s * columns + column + ((k < wide || i < lanes) ? i : 0)];
                    folded[k] = COMBINE(total.vector, folded[k]);
                }
        }
        INDEX at[OPERANDS] = {0};
        locate(layout, RANK, RANK - 2, OPERANDS, row, at);
        for (int n = 0; n < OPERANDS; n++) at[n] += begin * STRIDE(n, RANK - 2);
        for (INDEX place = begin; place < end; place++) {
            for (int k = 0; k < wide; k++) {
                const INDEX column = (first + k * LOCAL) * WIDTH;
                LOAD_FULL
                COMPUTE
                const accumulator element = ELEMENT;
                folded[k] = COMBINE(element, folded[k]);
                if (writes) WRITE(folded[k], STORE_FULL)
            }
            if (WIDTH > 1 && lanes > 0) {
                const INDEX column = full * WIDTH;
                LOAD_TAIL
                COMPUTE
                const accumulator element = ELEMENT;
                folded[wide] = COMBINE(element, folded[wide]);
                if (writes) WRITE(folded[wide], STORE_TAIL)
            }
            for (int n = 0; n < OPERANDS; n++) at[n] += STRIDE(n, RANK - 2);
        }
        if (writes) continue;
        for (int k = 0; k < used; k++) {
            lanes_t total;
            total.vector = folded[k];
            const INDEX column = (first + k * LOCAL) * WIDTH;
            for (int i = 0; i < (k < wide ? WIDTH : lanes); i++) totals[fold * columns + column + i] = total.lane[i];
        }
    }
}
#endif
