// Counting integers: how often each of 0, 1, ..., bins - 1 occurs. Others are left out.
//
// `count_bins` counts stretches of the input, each in counters of its own; `sum_bins` adds those up. The work-items of a
// work-group share counters and add to them atomically: sums of integers do not depend on the order.
#include "builtins.h"
#include "common.h"
#include "units.h"

// Element `i` of integers of so many bytes; those of an unsigned type that no long holds come out negative.
static inline long integer_at(__global const uchar *raw, const int size, const int is_signed, const long i) {
    if (size == 8) return ((__global const long *)raw)[i];
    if (size == 4) {
        const int value = ((__global const int *)raw)[i];
        return is_signed ? (long)value : (long)(uint)value;
    }
    if (size == 2) {
        const short value = ((__global const short *)raw)[i];
        return is_signed ? (long)value : (long)(ushort)value;
    }
    return is_signed ? (long)(char)raw[i] : (long)raw[i];
}

// counts: copies x bins
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void count_bins(__global const uchar *raw, const int size, const int is_signed, __global uint *counts,
                const long elements, const long bins, const long copies) {
    const long me = (long)get_local_id(0);
    FOR_GROUP_UNITS(copy, copies) {
        __global uint *own = counts + copy * bins;
        for (long bin = me; bin < bins; bin += LOCAL) own[bin] = 0;
        const long begin = elements * copy / copies, end = elements * (copy + 1) / copies;
#if LOCAL > 1
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
#endif
        for (long i = begin + me; i < end; i += LOCAL) {
            const long bin = integer_at(raw, size, is_signed, i);
            if (bin < 0 || bin >= bins) continue;
#if LOCAL > 1
            atomic_inc(&own[bin]);
#else
            own[bin]++;
#endif
        }
    }
}

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void sum_bins(__global const uint *counts, __global long *sums, const long bins, const long copies) {
    FOR_UNITS(bin, bins) {
        long sum = 0;
        for (long copy = 0; copy < copies; copy++) sum += counts[copy * bins + bin];
        sums[bin] = sum;
    }
}
