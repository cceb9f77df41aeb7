// For each value the place where a sorted row has it, or would have it.
#include "builtins.h"
#include "common.h"
#include "keys.h"
#include "units.h"

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
