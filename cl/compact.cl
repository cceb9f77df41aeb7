// Where a mask is true.
//
//   count_true:      counts[p] = the number of true elements in part p of the mask
//   true_positions:  out = the positions of the true elements, in order
//
// The mask is contiguous and cut into `parts` parts of equal size; a part is a unit of work. The positions of a part come
// after those of the parts before it, of which the counts tell how many there are.
#include "builtins.h"
#include "common.h"
#include "units.h"

#define PART_BEGIN(p) ((size) * (p) / (parts))

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void count_true(__global const uchar *restrict mask, __global long *restrict counts, const long size, const long parts)
{
    FOR_UNITS(p, parts) {
        const long end = PART_BEGIN((long)p + 1);
        long count = 0;
        for (long i = PART_BEGIN((long)p); i < end; i++) count += mask[i] != 0;
        counts[p] = count;
    }
}

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void true_positions(__global const uchar *restrict mask, __global const long *restrict counts, __global long *restrict out,
                    const long size, const long parts)
{
    FOR_UNITS(p, parts) {
        const long end = PART_BEGIN((long)p + 1);
        long at = 0;
        for (long q = 0; q < p; q++) at += counts[q];
        for (long i = PART_BEGIN((long)p); i < end; i++)
            if (mask[i] != 0) out[at++] = i;
    }
}
