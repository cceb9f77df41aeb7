// Sorting rows by a stable radix sort of keys, and the k first elements of a row.
//
// Keys (keys.h) are sorted with the positions that they came from, the least significant digit first, and values are read
// from there in the end; so the order of equals is kept, and -0 and the bits of a NaN are too. Digits that are the same in
// all keys of a row are passed over.
//
// All of them write the first `kept` elements of each row.
//
//   sort_short      a row of few elements, by insertion: one work-item
//   sort_rows       a row: one work-group, whose work-items each count and move a stretch of it
//   radix_load, radix_count, radix_move, radix_store
//                   rows that `parts` work-groups share, a launch for each step of each digit; a scan (scan.cl) comes
//                   between counting and moving
//   topk_parts      the k first of each part of a row, to be sorted by sort_rows
#include "builtins.h"
#include "common.h"
#include "keys.h"
#include "units.h"

// Bits of a digit: many on a CPU, whose work-item has counters of its own; few on a GPU, where each of LOCAL has.
#ifndef BITS
#define BITS 8
#endif
// The longest row that `sort_short` takes.
#ifndef SHORT
#define SHORT 32
#endif
#define DIGITS (1 << BITS)

// A key and the position that it came from.
#if KEY_BYTES == 8
typedef ulong2 item_t;
#define ITEM(key, position) ((item_t)(key, position))
#define KEY_OF(item) (item).s0
#define POSITION_OF(item) (uint)(item).s1
#else
typedef ulong item_t;
#define ITEM(key, position) ((ulong)(key) << 32 | (ulong)(position))
#define KEY_OF(item) (uint)((item) >> 32)
#define POSITION_OF(item) (uint)(item)
#endif
typedef VEC(KEY) __attribute__((aligned(sizeof(KEY)))) keys_loose;
#define DIGIT(item, shift) (int)((KEY_OF(item) >> (shift)) & (DIGITS - 1))

// Writes the element at `from` to place `to` of `values`, and its position; either may be left out.
static inline void put(__global const uchar *raw, const int size, __global uchar *values, __global long *positions,
                       const long row, const long to, const uint position) {
    if (positions) positions[to] = (long)position;
    if (!values) return;
    const long from = row + (long)position;
#if KEY_BYTES == 8
    ((__global ulong *)values)[to] = ((__global const ulong *)raw)[from];
#else
    if (size == 4) ((__global uint *)values)[to] = ((__global const uint *)raw)[from];
    else if (size == 2) ((__global ushort *)values)[to] = ((__global const ushort *)raw)[from];
    else values[to] = raw[from];
#endif
}

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void sort_short(ELEMENTS, __global uchar *values, __global long *positions, const long rows, const long length,
                const long kept) {
    FOR_UNITS(row, rows) {
        item_t sorted[SHORT];
        for (int i = 0; i < length; i++) {
            const KEY key = key_of(raw, size, kind, flip, row * length + i);
            int place = i;
            for (; place > 0 && KEY_OF(sorted[place - 1]) > key; place--) sorted[place] = sorted[place - 1];
            sorted[place] = ITEM(key, i);
        }
        for (int i = 0; i < kept; i++)
            put(raw, size, values, positions, row * length, row * kept + i, POSITION_OF(sorted[i]));
    }
}

// Local memory of a work-group: DIGITS counters for each work-item, and a sum for each.
#define COUNTERS (DIGITS * LOCAL + LOCAL)

// Counts the digits of a work-item's items. Its counter of a digit follows those of the work-items before it.
void count_digits(__global const item_t *items, const long begin, const long end, const int shift,
                  __local uint *counters) {
    const int me = (int)get_local_id(0);
    for (int digit = 0; digit < DIGITS; digit++) counters[digit * LOCAL + me] = 0;
    for (long i = begin; i < end; i++) counters[DIGIT(items[i], shift) * LOCAL + me]++;
}

// Moves a work-item's items, each to the place that the counter of its digit says.
void move_items(__global const item_t *from, __global item_t *to, const long begin, const long end, const int shift,
                __local uint *counters) {
    const int me = (int)get_local_id(0);
    for (long i = begin; i < end; i++) {
        const item_t item = from[i];
        __global item_t *place = to + counters[DIGIT(item, shift) * LOCAL + me]++;
        FETCH_TO_WRITE(place + 64 / sizeof(item_t));
        *place = item;
    }
}

// Each counter replaced by the sum of those before it.
void sum_counters(__local uint *counters) {
    const int me = (int)get_local_id(0);
    uint sum = 0;
    for (int k = me * DIGITS; k < (me + 1) * DIGITS; k++) {
        const uint count = counters[k];
        counters[k] = sum;
        sum += count;
    }
#if LOCAL > 1
    __local uint *sums = counters + DIGITS * LOCAL;
    sums[me] = sum;
    for (int reach = 1; reach < LOCAL; reach *= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint other = me >= reach ? sums[me - reach] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        sums[me] += other;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const uint before = me > 0 ? sums[me - 1] : 0;
    for (int k = me * DIGITS; k < (me + 1) * DIGITS; k++) counters[k] += before;
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
}

// Sorts `count` items of `a` by a work-group, with `b` for as many. `differ` has the bits in which keys differ. Returns
// whether the result lies in `b`.
int sort_items(__global item_t *a, __global item_t *b, const long count, const KEY differ, __local uint *counters) {
    const int me = (int)get_local_id(0);
    const long begin = count * me / LOCAL, end = count * (me + 1) / LOCAL;
    int moved = 0;
    for (int shift = 0; shift < 8 * KEY_BYTES; shift += BITS) {
        if (((differ >> shift) & (DIGITS - 1)) == 0) continue;
        count_digits(moved ? b : a, begin, end, shift, counters);
#if LOCAL > 1
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
        sum_counters(counters);
        move_items(moved ? b : a, moved ? a : b, begin, end, shift, counters);
#if LOCAL > 1
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
#endif
        moved = !moved;
    }
    return moved;
}

// Sorts rows and writes the first `kept` elements of each. The items of a row are made of its `length` elements, or they
// are `given`, `items` of them. `scratch` has twice as many for each work-group.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void sort_rows(ELEMENTS, __global const item_t *given, __global item_t *scratch, __global uchar *values,
               __global long *positions, const long rows, const long length, const long items, const long kept) {
    __local uint counters[COUNTERS];
#if LOCAL > 1
    __local uint shared[2];
#endif
    const int me = (int)get_local_id(0);
    __global item_t *a = scratch + 2 * items * (long)get_group_id(0), *b = a + items;
    FOR_GROUP_UNITS(row, rows) {
        KEY differ = 0;
        const long begin = items * me / LOCAL, end = items * (me + 1) / LOCAL;
        if (given) {
            for (long i = begin; i < end; i++) a[i] = given[row * items + i];
            differ = ~differ;
        } else {
            const KEY first = key_of(raw, size, kind, flip, row * length);
            for (long i = begin; i < end; i++) {
                const KEY key = key_of(raw, size, kind, flip, row * length + i);
                a[i] = ITEM(key, i);
                differ |= key ^ first;
            }
        }
#if LOCAL > 1
        if (me < 2) shared[me] = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        atomic_or(&shared[0], (uint)differ);
        if (KEY_BYTES == 8) atomic_or(&shared[1], (uint)((ulong)differ >> 32));
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        differ = (KEY)((ulong)shared[1] << 32 | shared[0]);
#endif
        __global const item_t *sorted = sort_items(a, b, items, differ, counters) ? b : a;
        for (long i = me; i < kept; i += LOCAL)
            put(raw, size, values, positions, row * length, row * kept + i, POSITION_OF(sorted[i]));
#if LOCAL > 1
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
#endif
    }
}

// -- rows that several work-groups share --------------------------------------------------------------
//
// `workers` are the work-items of all parts of a row, each with its stretch. `differs` holds the bits in which the keys of
// each stretch differ from the row's first; those of the first `seen` workers are looked at. If that is none, all digits
// are sorted.

// The bits in which keys of a row differ.
static inline KEY differing(__global const KEY *differs, const long row, const long workers, const long seen) {
    KEY differ = 0;
    for (long w = 0; w < seen; w++) differ |= differs[row * workers + w];
    return seen ? differ : (KEY)~differ;
}

// Whether the items lie in the second array when all digits below `shift` are sorted.
static inline int is_moved(const KEY differ, const int shift) {
    int moved = 0;
    for (int s = 0; s < shift; s += BITS)
        if ((differ >> s) & (DIGITS - 1)) moved = !moved;
    return moved;
}

// A loop over the parts of rows, in which `row`, `worker` and the worker's stretch from `begin` to `end` are known.
#define FOR_PARTS                                                                                           \
    const long workers = parts * LOCAL;                                                                     \
    FOR_GROUP_UNITS(unit, rows * parts) {                                                                   \
        const long row = unit / parts, worker = (unit - row * parts) * LOCAL + (long)get_local_id(0);       \
        const long begin = length * worker / workers, end = length * (worker + 1) / workers;

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void radix_load(ELEMENTS, __global item_t *a, __global KEY *differs, const long rows, const long parts,
                const long length) {
    FOR_PARTS
        const KEY first = key_of(raw, size, kind, flip, row * length);
        KEY differ = 0;
        for (long i = begin; i < end; i++) {
            const KEY key = key_of(raw, size, kind, flip, row * length + i);
            a[row * length + i] = ITEM(key, i);
            differ |= key ^ first;
        }
        differs[row * workers + worker] = differ;
    }
}

// counts: rows x DIGITS x workers
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void radix_count(__global const item_t *a, __global const item_t *b, __global const KEY *differs, __global uint *counts,
                 const long rows, const long parts, const long length, const long seen, const int shift) {
    __local uint counters[COUNTERS];
    FOR_PARTS
        const KEY differ = differing(differs, row, workers, seen);
        const int needed = ((differ >> shift) & (DIGITS - 1)) != 0;
        __global const item_t *items = (is_moved(differ, shift) ? b : a) + row * length;
        count_digits(items, begin, needed ? end : begin, shift, counters);
        for (int digit = 0; digit < DIGITS; digit++)
            counts[(row * DIGITS + digit) * workers + worker] = counters[digit * LOCAL + get_local_id(0)];
    }
}

// places: the sums of the counts of a row up to each, this one included
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void radix_move(__global item_t *a, __global item_t *b, __global const KEY *differs, __global const uint *places,
                const long rows, const long parts, const long length, const long seen, const int shift) {
    __local uint counters[COUNTERS];
    FOR_PARTS
        const KEY differ = differing(differs, row, workers, seen);
        if (((differ >> shift) & (DIGITS - 1)) == 0) continue;
        const int moved = is_moved(differ, shift);
        for (int digit = 0; digit < DIGITS; digit++) {
            const long place = digit * workers + worker;
            counters[digit * LOCAL + get_local_id(0)] = place ? places[row * DIGITS * workers + place - 1] : 0;
        }
        move_items((moved ? b : a) + row * length, (moved ? a : b) + row * length, begin, end, shift, counters);
    }
}

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void radix_store(__global const uchar *raw, const int size, __global const item_t *a, __global const item_t *b,
                 __global const KEY *differs, __global uchar *values, __global long *positions, const long rows,
                 const long parts, const long length, const long seen, const long kept) {
    FOR_PARTS
        const KEY differ = differing(differs, row, workers, seen);
        __global const item_t *items = (is_moved(differ, 8 * KEY_BYTES) ? b : a) + row * length;
        for (long i = begin; i < min(end, kept); i++)
            put(raw, size, values, positions, row * length, row * kept + i, POSITION_OF(items[i]));
    }
}

#if LOCAL == 1
#define LANES_AT_ONCE (8 * WIDTH)

// The least key of the next LANES_AT_ONCE elements, which are as long as keys.
static inline KEY least_key(ELEMENTS, const long i) {
    const VEC(KEY) sign = (VEC(KEY))((KEY)1 << (8 * KEY_BYTES - 1)), all = (VEC(KEY))((KEY)-1);
    const VEC(KEY) infinity = (VEC(KEY))(KEY_BYTES == 8 ? (KEY)((ulong)0x7ff << 52) : (KEY)0x7f800000u);
    union { VEC(KEY) vector; KEY lane[WIDTH]; } least;
    least.vector = all;
    #pragma unroll
    for (int u = 0; u < 8; u++) {
        VEC(KEY) bits = *(__global const keys_loose *)((__global const KEY *)raw + i + u * WIDTH);
        if (kind == SIGNED_INTEGER) bits ^= sign;
        if (kind == FLOATING) {
            const VEC(KEY) magnitude = bits & ~sign;
            const VEC(KEY) ordered = (bits >= sign) ? ~bits : bits | sign;
            bits = (magnitude > infinity) ? all : ((magnitude == 0) ? sign : ordered);
        }
        least.vector = min(least.vector, bits ^ flip);
    }
    KEY result = least.lane[0];
    for (int lane = 1; lane < WIDTH; lane++) result = min(result, least.lane[lane]);
    return result;
}

// The `count` first items of each part of a row. Those that come before the last of them so far are kept: if they are few
// in their order, else until there are `room`, and then only the first `count` of these. `scratch` has room for twice as
// many for each work-group.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void topk_parts(ELEMENTS, __global item_t *scratch, __global item_t *candidates, const long rows, const long parts,
                const long length, const long count, const long room) {
    __local uint counters[COUNTERS];
    __global item_t *a = scratch + 2 * room * (long)get_group_id(0), *b = a + room;
    FOR_PARTS
        const int few = count <= SHORT;
        long found = 0;
        KEY limit = 0;
        int limited = 0;
        for (long i = begin; i < end;) {
            const long stop = min(i + LANES_AT_ONCE, end);
            if (limited && size == KEY_BYTES && stop == i + LANES_AT_ONCE) {
                if (least_key(raw, size, kind, flip, row * length + i) >= limit) {
                    i = stop;
                    continue;
                }
            }
            for (; i < stop; i++) {
                const KEY key = key_of(raw, size, kind, flip, row * length + i);
                if (limited && key >= limit) continue;  // of equals the first are kept
                if (few) {
                    long place = min(found, count - 1);
                    for (; place > 0 && KEY_OF(a[place - 1]) > key; place--) a[place] = a[place - 1];
                    a[place] = ITEM(key, i);
                    found = min(found + 1, count);
                    if (found < count) continue;
                } else {
                    a[found++] = ITEM(key, i);
                    if (found < room) continue;
                    if (sort_items(a, b, found, (KEY)-1, counters))
                        for (long j = 0; j < count; j++) a[j] = b[j];
                    found = count;
                }
                limit = KEY_OF(a[count - 1]);
                limited = 1;
            }
        }
        __global const item_t *sorted = few || !sort_items(a, b, found, (KEY)-1, counters) ? a : b;
        for (long j = 0; j < count; j++) candidates[unit * count + j] = sorted[j];
    }
}
#endif
