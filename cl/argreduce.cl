// The position of an extreme element: argmax and argmin of a fused elementwise expression.
//
// Rows as in reduce.cl: an output's elements are `fold_rows` consecutive rows, its positions count through
// them. Every lane keeps its best value and where it stood; of equal values the first wins. Each fold can be
// cut into `segments`: then values and positions of the segments are stored, and a second launch, which
// reads positions instead of counting them (POSITIONS), chooses among those.
#include "expression.h"

// Whether the input is a first launch's values, with their positions in `positions`.
#ifndef POSITIONS
#define POSITIONS 0
#endif
#ifndef ACC
#define ACC float
#define BETTER(a, b) ((a > b) | ((a != a) & (b == b)))
#define IDENTITY LOWEST(ACC)
#endif

// The type that vectors of positions have: as wide as ACC, so that a comparison selects among them.
typedef VEC(ACC) values_t;
typedef VEC(MASK(ACC)) places_t;

// The best of each lane so far, and the number of the vector it stood in; -1 before the first.
typedef struct { values_t value; places_t place; } best_t;

// Lanes meet their elements in order, so that only a better one displaces: of equals the first stays.
static inline void offer(best_t *best, values_t element, places_t place, places_t valid) {
    const places_t displaces = (BETTER(element, best->value) | (best->place < LIT(MASK(ACC), 0))) & valid;
    best->value = displaces ? element : best->value;
    best->place = displaces ? place : best->place;
}

// -1 in the first `count` lanes, 0 in the others; of a scalar 1 where it counts, as its comparisons are.
static inline places_t first_lanes(int count) {
    union { places_t vector; MASK(ACC) lane[WIDTH]; } valid;
    for (int i = 0; i < WIDTH; i++) valid.lane[i] = i < count ? (WIDTH > 1 ? -1 : 1) : 0;
    return valid.vector;
}

// Between lanes, work-items and segments positions are not in order: of equals the smaller position stays.
#define DISPLACES(a, a_at, b, b_at) \
    ((a_at) >= 0 && ((b_at) < 0 || BETTER(a, b) || (!(BETTER(b, a)) && (a_at) < (b_at))))

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void argreduce(__global ACC *restrict values, __global long *restrict output, const long output_start,
               __global const long *restrict positions, const long outputs, const long segments,
               const long fold_rows, __constant const long *layout, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    const INDEX vectors = (INDEX)fold_rows * per_row;
    const INDEX per_segment = (vectors + (INDEX)segments - 1) / (INDEX)segments;
#if LOCAL > 1
    __local ACC shared_value[LOCAL];
    __local long shared_at[LOCAL];
    const int item = (int)get_local_id(0);
#endif
    FOR_GROUP_UNITS(task, outputs * segments) {
        const INDEX fold = task / (INDEX)segments;
        const INDEX begin = (task - fold * (INDEX)segments) * per_segment;
        const INDEX end = min(begin + per_segment, vectors);
        best_t best = {LIT(ACC, IDENTITY), LIT(MASK(ACC), -1)};
        INDEX vector = begin + (INDEX)get_local_id(0);
        while (vector < end) {
            const INDEX row = vector / per_row;
            INDEX place = vector - row * per_row;
            INDEX at[OPERANDS] = {0};
            MOVE_TO_ROW(fold * (INDEX)fold_rows + row, at);
            const INDEX stop = min(full, place + (end - vector));
            const places_t all = first_lanes(WIDTH);
            for (; place < stop; place += LOCAL, vector += LOCAL) {
                const INDEX column = place * WIDTH;
                LOAD_FULL
                COMPUTE
                offer(&best, CAST(ACC, result0), LIT(MASK(ACC), vector - begin), all);
            }
            if (WIDTH > 1 && place == full && full < per_row && vector < end) {
                const INDEX column = full * WIDTH;
                const int lanes = (int)(columns - column);
                LOAD_TAIL
                COMPUTE
                offer(&best, CAST(ACC, result0), LIT(MASK(ACC), vector - begin), first_lanes(lanes));
                vector += LOCAL;
            }
        }
        union { values_t vector; ACC lane[WIDTH]; } value;
        union { places_t vector; MASK(ACC) lane[WIDTH]; } number;
        value.vector = best.value;
        number.vector = best.place;
        ACC extreme = (ACC)IDENTITY;
        long extreme_at = -1;
        for (int i = 0; i < WIDTH; i++) {
            const INDEX row = (begin + number.lane[i]) / per_row;
            const INDEX column = (begin + number.lane[i] - row * per_row) * WIDTH + i;
            long here = number.lane[i] < 0 ? -1 : row * columns + column;
#if POSITIONS
            if (here >= 0) here = positions[fold * (INDEX)fold_rows * columns + here];
#endif
            if (DISPLACES(value.lane[i], here, extreme, extreme_at)) extreme = value.lane[i], extreme_at = here;
        }
#if LOCAL > 1
        shared_value[item] = extreme;
        shared_at[item] = extreme_at;
        for (int reach = LOCAL / 2; reach > 0; reach /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            const int other = item + reach;
            if (item < reach &&
                DISPLACES(shared_value[other], shared_at[other], shared_value[item], shared_at[item])) {
                shared_value[item] = shared_value[other];
                shared_at[item] = shared_at[other];
            }
        }
        if (item == 0) {
            extreme = shared_value[0];
            extreme_at = shared_at[0];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item == 0)
#endif
        {
            if (values) values[task] = extreme;
            output[output_start + task] = extreme_at;
        }
    }
}
