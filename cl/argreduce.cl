// The position of an extreme element: argmax and argmin of a fused elementwise expression.
//
// Rows as in reduce.cl: an output's elements are `fold_rows` consecutive rows, its positions count through
// them. Every lane keeps its best value and where it stood; of equal values the first wins. Each fold can be
// cut into `segments`: then values and positions of the segments are stored, and a second launch, which
// reads positions instead of counting them (POSITIONS), chooses among those.
#include "expression.h"

#ifndef LOCAL
#define LOCAL 1
#endif
// Whether the input is a first launch's values, with their positions in `positions`.
#ifndef POSITIONS
#define POSITIONS 0
#endif
#ifndef ACC
#define ACC float
#define BETTER(a, b) ((a > b) | ((a != a) & (b == b)))
#define IDENTITY LOWEST(ACC)
#endif

// A candidate displaces the best if it is better, or as good (or as much NaN) and further ahead.
#define DISPLACES(a, a_at, b, b_at) (BETTER(a, b) || (!BETTER(b, a) && (a_at) < (b_at)))

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void argreduce(__global ACC *restrict values, __global long *restrict output, const long output_start,
               __global const long *restrict positions, const long outputs, const long segments,
               const long fold_rows, __constant const long *layout, PARAMETERS) {
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    const INDEX vectors = (INDEX)fold_rows * per_row;
    const INDEX per_segment = (vectors + (INDEX)segments - 1) / (INDEX)segments;
#if LOCAL > 1
    __local ACC shared_value[LOCAL];
    __local long shared_at[LOCAL];
    const int item = (int)get_local_id(0);
#endif
    for (INDEX task = (INDEX)get_group_id(0); task < (INDEX)(outputs * segments); task += (INDEX)get_num_groups(0)) {
        const INDEX fold = task / (INDEX)segments;
        const INDEX begin = (task - fold * (INDEX)segments) * per_segment;
        const INDEX end = min(begin + per_segment, vectors);
        ACC best[WIDTH];
        long best_at[WIDTH];
        for (int i = 0; i < WIDTH; i++) best[i] = (ACC)IDENTITY, best_at[i] = LONG_MAX;
        for (INDEX vector = begin + (INDEX)get_local_id(0); vector < end; vector += LOCAL) {
            const INDEX row = vector / per_row;
            const INDEX column = (vector - row * per_row) * WIDTH;
            const int lanes = (int)min((INDEX)WIDTH, columns - column);
            INDEX at[OPERANDS] = {STARTS};
            locate(fold * (INDEX)fold_rows + row, layout, at);
            LOAD_TAIL
            COMPUTE
            union { VEC(ACC) vector; ACC lane[WIDTH]; } element;
            element.vector = CAST(ACC, result0);
            for (int i = 0; i < lanes; i++) {
                long here = row * columns + column + i;
#if POSITIONS
                here = positions[fold * (INDEX)fold_rows * columns + here];
#endif
                if (DISPLACES(element.lane[i], here, best[i], best_at[i])) best[i] = element.lane[i], best_at[i] = here;
            }
        }
        for (int i = 1; i < WIDTH; i++)
            if (DISPLACES(best[i], best_at[i], best[0], best_at[0])) best[0] = best[i], best_at[0] = best_at[i];
#if LOCAL > 1
        shared_value[item] = best[0];
        shared_at[item] = best_at[0];
        for (int reach = LOCAL / 2; reach > 0; reach /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (item < reach && DISPLACES(shared_value[item + reach], shared_at[item + reach], shared_value[item], shared_at[item])) {
                shared_value[item] = shared_value[item + reach];
                shared_at[item] = shared_at[item + reach];
            }
        }
        best[0] = shared_value[0];
        best_at[0] = shared_at[0];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item == 0)
#endif
        {
            if (values) values[task] = best[0];
            output[output_start + task] = best_at[0];
        }
    }
}
