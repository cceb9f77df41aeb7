// A fused elementwise expression: every output element from the elements at its place in the inputs.
//
// The iteration space, RANK axes merged by the host, is walked as rows of vectors. A work-group takes a
// contiguous stretch of `per_group` vectors; its work-items take every LOCAL-th of them, so that
// neighbours read neighbours on a GPU, and the one work-item of a CPU's group streams.
#include "expression.h"

// Work-items of a work-group: 1 on a CPU (lanes are the vector's), up to 256 on a GPU.
#ifndef LOCAL
#define LOCAL 1
#endif

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void elementwise(__constant const long *layout, const long rows, const long per_group, PARAMETERS) {
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    INDEX vector = (INDEX)get_group_id(0) * (INDEX)per_group + (INDEX)get_local_id(0);
    const INDEX end = min((INDEX)rows * per_row, (INDEX)(get_group_id(0) + 1) * (INDEX)per_group);
    while (vector < end) {
        const INDEX row = RANK > 1 ? vector / per_row : 0;
        INDEX place = vector - row * per_row;
        INDEX at[OPERANDS] = {STARTS};
        locate(row, layout, at);
        const INDEX stop = min(full, place + (end - vector));
        for (; place < stop; place += LOCAL, vector += LOCAL) {
            const INDEX column = place * WIDTH;
            LOAD_FULL
            COMPUTE
            STORE_FULL
        }
        if (WIDTH > 1 && place == full && full < per_row && vector < end) {
            const INDEX column = full * WIDTH;
            const int lanes = (int)(columns - column);
            LOAD_TAIL
            COMPUTE
            STORE_TAIL
            vector += LOCAL;
        }
    }
}
