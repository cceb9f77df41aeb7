// Finding places: of true elements, and of values in sorted rows.
//
//   count_true, place_true   the places of the true elements of a mask, in order; a scan (scan.cl) comes between
//   search_sorted            for each value the place where a sorted row has it, or would have it
#include "builtins.h"
#include "common.h"
#include "keys.h"
#include "units.h"

// counts: the true elements of each stretch of the mask, whose elements are 0 or 1
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void count_true(__global const uchar *mask, __global long *counts, const long size, const long stretch) {
    FOR_UNITS(unit, (size + stretch - 1) / stretch) {
        const long end = min(size, (unit + 1) * stretch);
        int count = 0;
        for (long i = unit * stretch; i < end; i++) count += mask[i];
        counts[unit] = count;
    }
}

// starts: the sums of the counts up to each stretch, this one included. Of the `room` places those that are left get -1.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void place_true(__global const uchar *mask, __global const long *starts, __global long *places, const long size,
                const long stretch, const long room) {
    const long stretches = (size + stretch - 1) / stretch;
    FOR_UNITS(unit, stretches) {
        const long end = min(size, (unit + 1) * stretch);
        long at = unit ? starts[unit - 1] : 0;
        for (long i = unit * stretch; i < end; i++)
            if (mask[i] && at < room) places[at++] = i;
        if (unit == stretches - 1)
            for (; at < room; at++) places[at] = -1;
    }
}

// Rows of `length` sorted elements, of which there is one for all `count` values of a row or, if `shared`, for all rows.
// Of a place among equals the first is taken, or with `after` the one behind the last.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void search_sorted(ELEMENTS, __global const uchar *restrict values, __global long *places, const long rows,
                   const long length, const long count, const int shared, const int after) {
    FOR_UNITS(i, rows * count) {
        const KEY key = key_of(values, size, kind, flip, i);
        const long row = shared ? 0 : i / count * length;
        long low = 0, left = length;  // the place is from `low` to `low + left`
        while (left > 0) {
            const long middle = left / 2;
            const KEY other = key_of(raw, size, kind, flip, row + low + middle);
            const int behind = after ? other <= key : other < key;
            low = behind ? low + middle + 1 : low;
            left = behind ? left - middle - 1 : middle;
        }
        places[i] = low;
    }
}
