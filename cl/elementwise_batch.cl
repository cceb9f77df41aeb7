// One fused elementwise expression on several sets of arrays in one launch: an optimizer's step for many parameters.
//
// A slot is one set of arrays, all contiguous and of one length; lengths differ from slot to slot. The slots' vectors
// are laid end to end, and each work-group takes an equal stretch of them, across the borders of slots.
//
// Beside what expression.h describes, the launcher defines
//   SLOTS          how many sets there are, at the most
//   SIZES          their lengths, in the order of the slots; 0 for one that is not used
//   CHOOSE         statements that let the names which LOAD and STORE use stand for the arrays of slot `slot`
#ifndef RANK
#define RANK 1
#define OPERANDS 2
#define SLOTS 2
#define SIZES size_0, size_1
#define PARAMETERS const long size_0, __global float *out0_0, __global const float *in1_0,                  \
                   const long size_1, __global float *out0_1, __global const float *in1_1
#define CHOOSE __global float *out0 = slot == 0 ? out0_0 : out0_1;                                          \
               __global const float *in1 = slot == 0 ? in1_0 : in1_1;
#define TYPES DEFINE_ACCESS(float)
#define LOAD_FULL const VEC(float) v0 = LOAD_CONTIGUOUS(float, in1 + at[1] + column);
#define LOAD_TAIL const VEC(float) v0 = gather_float(in1 + at[1] + column, 1, lanes);
#define COMPUTE const VEC(float) result0 = v0;
#define STORE_FULL STORE_CONTIGUOUS(float, out0 + at[0] + column, result0);
#define STORE_TAIL scatter_float(out0 + at[0] + column, 1, lanes, result0);
#endif
#include "expression.h"


__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void elementwise_batch(const long per_group, PARAMETERS) {
    const long sizes[SLOTS] = {SIZES};
    const INDEX at[OPERANDS] = {0};
    INDEX first = (INDEX)get_group_id(0) * (INDEX)per_group, end = first + (INDEX)per_group;
    for (int slot = 0; slot < SLOTS && end > 0; slot++) {
        const INDEX columns = (INDEX)sizes[slot], full = columns / WIDTH;
        CHOOSE
        for (INDEX place = max(first, (INDEX)0) + (INDEX)get_local_id(0); place < min(full, end); place += LOCAL) {
            const INDEX column = place * WIDTH;
            LOAD_FULL
            COMPUTE
            STORE_FULL
        }
        const int lanes = (int)(columns - full * WIDTH);
        if (WIDTH > 1 && lanes > 0 && first <= full && full < end && get_local_id(0) == 0) {
            const INDEX column = full * WIDTH;
            LOAD_TAIL
            COMPUTE
            STORE_TAIL
        }
        first -= full + (lanes > 0);
        end -= full + (lanes > 0);
    }
}
