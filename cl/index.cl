// Gathering along an axis by an array of indices, its transpose, the sum of updates at indices, and writing at indices.
//
//   gather:   out[p] = x[p with its place on the axis replaced by indices[p]]
//   scatter:  out = 0; out[o, indices[o, k, i], i] += updates[o, k, i] for k = 0, 1, 2, ... in this order
//   put:      out = x; out[indices[k], i] = updates[k, i] for k = 0, 1, 2, ... in this order
//
// x, indices and updates are strided views, read through layouts (see layout.h); out is contiguous, but that of put may
// be a view, and x itself. An index below 0 counts from the axis's end. One that lies outside the axis touches no
// memory: gather gives `missing` there, scatter and put leave the update out. Every element of the output of a scatter
// or a put has one work-item that writes it, so results come out the same each time.
#include "builtins.h"
#include "common.h"
#include "layout.h"

// The kernels to compile: all, unless a launcher names a family.
#if !defined(GATHER) && !defined(SCATTER) && !defined(PUT)
#define GATHER
#define SCATTER
#define PUT
#endif

// T is the type of an element. gather and put only copy, so that an unsigned integer of the same size serves for any dtype.
// scatter sums in COMPUTE_T; where T is narrow it writes such sums to an array of their own, which `narrow` rounds to T at the end.
#include "types.h"

// The type of the indices: int or long.
#ifndef INDEX_T
#define INDEX_T long
#endif

#include "units.h"

// Elements of a run that gather copies as one unit: long on CPUs, 1 on GPUs, whose neighbouring work-items
// should read neighbouring elements.
#ifndef CHUNK
#define CHUNK 1
#endif

DEFINE_LOOSE(T)

// Layouts are those of the data and the indices: a place holds an offset in each of the two.
#define DATA 0
#define INDICES 1

// An index counted from the front; whatever lies outside [0, size) comes out negative.
// Its sign is asked before it is widened: Mesa's compiler takes a widened int for one that is never negative.
static inline long counted(const INDEX_T index, const long size)
{
    const long at = index < 0 ? size + index : index;
    return at < size ? at : -1;
}

#ifdef GATHER

// The layout is that of the output; its last dimension holds the `run` elements of each of the `rows`. Along
// the axis, x has `size` elements `step` apart.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void gather(__global const T *restrict x, __global const INDEX_T *restrict indices, __global T *restrict out,
            const long x_start, const long index_start, __constant const long *layout, const int rank,
            const long rows, const long run, const long size, const long step, const ulong missing)
{
    const long chunks = (run + CHUNK - 1) / CHUNK;
    const long x_step = layout[2 * rank - 1], index_step = layout[3 * rank - 1];
    FOR_UNITS(unit, rows * chunks) {
        const long row = chunks == 1 ? unit : unit / chunks;
        const long begin = (unit - row * chunks) * CHUNK, end = min(begin + CHUNK, run);
        long place[2] = {x_start, index_start};
        locate(layout, rank, rank - 1, 2, row, place);
        const long x_offset = place[DATA], index_offset = place[INDICES];
        __global T *to = out + row * run;
        if (index_step != 0) {
            for (long i = begin; i < end; i++) {
                const long at = counted(indices[index_offset + i * index_step], size);
                to[i] = at < 0 ? (T)missing : x[x_offset + i * x_step + at * step];
            }
            continue;
        }
        const long at = counted(indices[index_offset], size);
        if (at < 0) {
            for (long i = begin; i < end; i++) to[i] = (T)missing;
            continue;
        }
        __global const T *from = x + x_offset + at * step;
        long i = begin;
#if WIDTH > 1
        if (x_step == 1)
            for (; i + WIDTH <= end; i += WIDTH)
                *(__global LOOSE(T) *)(to + i) = *(__global const LOOSE(T) *)(from + i);
#endif
        for (; i < end; i++) to[i] = from[i * x_step];
    }
}

#endif

#ifdef SCATTER

// The parameters of both scatters. The updates are `outer` x `count` x `inner`, the output `outer` x `size` x
// `inner`; each of the three has a layout.
#define SCATTER_PARAMETERS                                                                            \
    __global const T *restrict updates, __global const INDEX_T *restrict indices,                     \
    __global COMPUTE_T *restrict out, const long update_start, const long index_start,                \
    __constant const long *outer_layout, __constant const long *count_layout,                         \
    __constant const long *inner_layout, const int outer_rank, const int count_rank,                  \
    const int inner_rank,                                                                             \
    const long outer, const long count, const long inner, const long size, const long row_parts,      \
    const long column_parts

// A unit of work is a part of the output's rows and columns, for one place of `outer`: its work-item goes
// through all indices in order and adds those updates that fall in its part.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void scatter(SCATTER_PARAMETERS)
{
    const long update_step = inner_layout[2 * inner_rank - 1], index_step = inner_layout[3 * inner_rank - 1];
    const int is_shared = inner_rank == 1 && (index_step == 0 || inner == 1);  // one index for all columns
    FOR_UNITS(unit, outer * row_parts * column_parts) {
        const long column_part = unit % column_parts, rest = unit / column_parts;
        const long row_part = rest % row_parts, o = rest / row_parts;
        const long row_begin = size * row_part / row_parts, row_end = size * (row_part + 1) / row_parts;
        const long begin = inner * column_part / column_parts, end = inner * (column_part + 1) / column_parts;
        __global COMPUTE_T *to = out + o * size * inner;
        if (column_parts == 1) {
            for (long i = row_begin * inner; i < row_end * inner; i++) to[i] = 0;
        } else {
            for (long r = row_begin; r < row_end; r++)
                for (long i = begin; i < end; i++) to[r * inner + i] = 0;
        }

        long place[2] = {update_start, index_start};
        locate(outer_layout, outer_rank, outer_rank, 2, o, place);
        for (long k = 0; k < count; k++) {
            long first[2] = {place[DATA], place[INDICES]};
            locate(count_layout, count_rank, count_rank, 2, k, first);
            if (is_shared) {
                const long at = counted(indices[first[INDICES]], size);
                if (at < row_begin || at >= row_end) continue;
                __global COMPUTE_T *sum = to + at * inner;
                __global const T *from = updates + first[DATA];
                long i = begin;
#if WIDTH > 1 && !IS_NARROW(T)
                if (update_step == 1)
                    for (; i + WIDTH <= end; i += WIDTH)
                        *(__global LOOSE(T) *)(sum + i) += *(__global const LOOSE(T) *)(from + i);
#endif
                for (; i < end; i++) sum[i] += LOAD(T, from, i * update_step);
                continue;
            }
            for (long i = begin; i < end; i++) {
                long own[2] = {first[DATA], first[INDICES]};
                locate(inner_layout, inner_rank, inner_rank, 2, i, own);
                const long at = counted(indices[own[INDICES]], size);
                if (at >= row_begin && at < row_end) to[at * inner + i] += LOAD(T, updates, own[DATA]);
            }
        }
    }
}

#if LOCAL > 1
// The same where no index depends on the column: a work-group owns a part of the rows and LOCAL columns. It
// looks at LOCAL indices at a time and notes those that fall in its rows, in their order, as bits.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void scatter_shared(SCATTER_PARAMETERS)
{
    __local uint found[(LOCAL + 31) / 32];
    __local long target[LOCAL];
    const int me = get_local_id(0);
    for (long unit = get_group_id(0); unit < outer * row_parts * column_parts; unit += get_num_groups(0)) {
        const long column_part = unit % column_parts, rest = unit / column_parts;
        const long row_part = rest % row_parts, o = rest / row_parts;
        const long row_begin = size * row_part / row_parts, row_end = size * (row_part + 1) / row_parts;
        const long first = column_part * LOCAL, columns = min((long)LOCAL, inner - first), i = first + me;
        __global COMPUTE_T *to = out + o * size * inner;
        for (long e = me; e < (row_end - row_begin) * columns; e += LOCAL)
            to[(row_begin + e / columns) * inner + first + e % columns] = 0;

        long place[2] = {update_start, index_start};
        locate(outer_layout, outer_rank, outer_rank, 2, o, place);
        if (me < columns) locate(inner_layout, inner_rank, inner_rank, 2, i, place);  // no step along them in the indices
        for (long base = 0; base < count; base += LOCAL) {
            if (me < (LOCAL + 31) / 32) found[me] = 0;
            barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);  // of the zeros, too
            if (base + me < count) {
                long first[2] = {place[DATA], place[INDICES]};
                locate(count_layout, count_rank, count_rank, 2, base + me, first);
                const long at = counted(indices[first[INDICES]], size);
                target[me] = at;
                if (at >= row_begin && at < row_end) atomic_or(&found[me / 32], 1u << me % 32);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int word = 0; word < (LOCAL + 31) / 32 && me < columns; word++)
                for (uint bits = found[word]; bits != 0; bits &= bits - 1) {
                    const int slot = 32 * word + 31 - (int)clz(bits & -bits);
                    long first[2] = {place[DATA], place[INDICES]};
                    locate(count_layout, count_rank, count_rank, 2, base + slot, first);
                    to[target[slot] * inner + i] += LOAD(T, updates, first[DATA]);
                }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
}
#endif

#if IS_NARROW(T)
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void narrow(__global const COMPUTE_T *restrict sums, __global T *restrict out, const long size)
{
    FOR_UNITS(i, size) STORE(T, out, i, sums[i]);
}
#endif

#endif

#ifdef PUT

// The updates are `count` x `inner`, x and out `size` x `inner`; the rows of x lie `x_step` apart, those of out
// `out_step`. The layout of `count` has the offsets of updates and indices, that of `inner` those of updates, x and out.
// A unit of work is a part of the output's rows and columns: its work-item goes through all indices in order, so that
// the last of several updates of one row remains. Without `copies`, out is x.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void put(__global const T *x, __global const T *restrict updates, __global const INDEX_T *restrict indices,
         __global T *out, const long x_start, const long update_start, const long index_start, const long out_start,
         __constant const long *count_layout, __constant const long *inner_layout, const int count_rank,
         const int inner_rank, const long count, const long inner, const long size, const long x_step,
         const long out_step, const int copies, const long row_parts, const long column_parts)
{
    FOR_UNITS(unit, row_parts * column_parts) {
        const long row_part = unit / column_parts, column_part = unit - row_part * column_parts;
        const long row_begin = size * row_part / row_parts, row_end = size * (row_part + 1) / row_parts;
        const long begin = inner * column_part / column_parts, end = inner * (column_part + 1) / column_parts;
        for (long row = row_begin; copies && row < row_end; row++)
            for (long i = begin; i < end; i++) {
                long place[3] = {0, x_start + row * x_step, out_start + row * out_step};
                locate(inner_layout, inner_rank, inner_rank, 3, i, place);
                out[place[2]] = x[place[1]];
            }
        for (long k = 0; k < count; k++) {
            long first[2] = {update_start, index_start};
            locate(count_layout, count_rank, count_rank, 2, k, first);
            const long at = counted(indices[first[INDICES]], size);
            if (at < row_begin || at >= row_end) continue;
            const long to = out_start + at * out_step;
            if (inner_rank == 1) {
                const long update_step = inner_layout[1], step = inner_layout[3];
                for (long i = begin; i < end; i++) out[to + i * step] = updates[first[DATA] + i * update_step];
                continue;
            }
            for (long i = begin; i < end; i++) {
                long place[3] = {first[DATA], 0, to};
                locate(inner_layout, inner_rank, inner_rank, 3, i, place);
                out[place[2]] = updates[place[0]];
            }
        }
    }
}

#endif
