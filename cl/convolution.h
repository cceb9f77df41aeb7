// What the convolutions of CPUs share: planes of a strided operand, packed so that a tap is a distance in memory.
//
// For a unit of work a work-group copies, for each channel and each tap along the columns, the rows that the unit needs,
// exactly as wide as a row of the result, with zeros for what lies outside. The pixels of the result are then one flat
// axis, without a gap at the ends of rows, and a tap is the same distance for all of them. Where the operand is walked with
// a stride along its rows, those of the same remainder lie together, so that this remains true. Taps along the depth come
// as channels of their own.
#ifndef NEEDLE_CONVOLUTION_H
#define NEEDLE_CONVOLUTION_H

#define ON_CPU 1
#include "matmul.h"

// Elements behind packed planes, which the last vectors of a tile may read and nothing depends on.
#ifndef SLACK
#define SLACK 256
#endif

#define CEIL_DIV(a, b) (((a) + (b)-1) / (b))

// The operand whose planes are packed, as kernels/convolution_planes.py makes it. Triples are depth, rows, columns.
struct planes {
    long batch_step, group_step, channel_step, step[3];
    long extent[3];
    long stride[3];
    long first, last;   // the elements from `first` up to `last`, counted from the start of the view, may be read
    long width;         // columns of a plane
    long top, tall;     // the first row of a plane, in strides, and how many it has of each remainder
    long remainders;    // how many, of rows divided by the stride; the table has them
    long size;          // elements of a plane, all remainders together
};

// Zeros; may write up to WIDTH - 1 elements beyond the `n`.
static inline void fill_zeros(__global T *to, const long n)
{
    for (long i = 0; i < n; i += WIDTH)
        *(__global LOOSE(T) *)(to + i) = (vector_t)(0);
}

// to[i] = from[i * step] for i < n; may write up to WIDTH - 1 elements beyond, and reads none at or after `last`.
static inline void pack_row(__global T *to, __global const T *from, const long n, const long step, __global const T *last)
{
    long i = 0;
    if (step == 1) {
        const long end = from + n + WIDTH <= last ? n : n - WIDTH + 1;
        for (; i < end; i += WIDTH)
            *(__global LOOSE(T) *)(to + i) = *(__global const LOOSE(T) *)(from + i);
#if WIDTH > 1
    } else if (step == 2) {
        const long end = from + 2 * n + 2 * WIDTH <= last ? n : n - 2 * WIDTH;
        for (; i < end; i += WIDTH) {
            const vector_t a = *(__global const LOOSE(T) *)(from + 2 * i);
            const vector_t b = *(__global const LOOSE(T) *)(from + 2 * i + WIDTH);
            vector_t even;
            even.lo = a.even;
            even.hi = b.even;
            *(__global LOOSE(T) *)(to + i) = even;
        }
#endif
    }
    for (; i < n; i++)
        to[i] = from[i * step];
}

// The smallest i >= 0 with at + i * step >= 0, and the smallest with at + i * step >= extent; both at most `most`.
static inline long first_inside(const long at, const long step, const long most)
{
    return at >= 0 ? 0 : min(most, CEIL_DIV(-at, step));
}
static inline long first_after(const long at, const long step, const long extent, const long most)
{
    return at >= extent ? 0 : min(most, (extent - 1 - at) / step + 1);
}

// Packs rows `row`, row + stride, ... of an image at `x`, each from column `column` on.
void pack_plane(__global T *to, __global const T *x, __constant const struct planes *p, const long row,
                const long column, __global const T *begin, __global const T *last)
{
    const long stride = p->stride[2], width = p->width, step = stride * p->step[2];
    const long lo = first_inside(column, stride, width), hi = max(lo, first_after(column, stride, p->extent[2], width));
    const long t0 = first_inside(row, p->stride[1], p->tall);
    const long t1 = max(t0, first_after(row, p->stride[1], p->extent[1], p->tall));
    fill_zeros(to, t0 * width);
    if (step == 1 && p->stride[1] == 1 && width == p->extent[2] && p->step[1] == width) {
        // One stretch, some of whose columns come from neighbouring rows and are made zeros then.
        __global const T *from = x + (row + t0) * width + column;
        __global T *at = to + t0 * width;
        const long n = (t1 - t0) * width;
        long i = 0;
        for (; i < n && from + i < begin; i++)
            at[i] = 0;
        const long end = min(n, (long)(last - from));
        if (i < end)
            pack_row(at + i, from + i, end - i, 1, last);
        for (long t = 0; t < t1 - t0; t++, at += width) {
            for (long c = 0; c < lo; c++)
                at[c] = 0;
            for (long c = hi; c < width; c++)
                at[c] = 0;
        }
    } else {
        for (long t = t0; t < t1; t++) {
            __global T *at = to + t * width;
            fill_zeros(at, lo);
            pack_row(at + lo, x + (row + t * p->stride[1]) * p->step[1] + (column + lo * stride) * p->step[2], hi - lo,
                     step, last);
            fill_zeros(at + hi, width - hi);
        }
    }
    fill_zeros(to + t1 * width, (p->tall - t1) * width);
}

// Packs `count` channels from number `first` on, for rows of the result from `row` on and its place `depth` along the
// first axis. A channel of the operand stands for `deep` ones, of which each has its shift along the depth; `columns` are
// the shifts of the taps along the columns, `remainders` those of the rows. Behind each plane come zeros.
void pack_planes(__global T *to, __global const T *image, __constant const struct planes *p, const long first,
                 const long count, const long depth, __global const long *shifts, const long deep, const long row,
                 __global const long *columns, const long wide, __global const long *remainders,
                 __global const T *begin, __global const T *last)
{
    const long used = p->remainders * p->tall * p->width;
    for (long v = first; v < first + count; v++) {
        const long z = depth * p->stride[0] + shifts[v % deep];
        __global const T *x = image + v / deep * p->channel_step + z * p->step[0];
        for (long s = 0; s < wide; s++, to += p->size) {
            if (z < 0 || z >= p->extent[0]) {
                fill_zeros(to, p->size);
                continue;
            }
            for (long q = 0; q < p->remainders; q++)
                pack_plane(to + q * p->tall * p->width, x, p, (row + p->top) * p->stride[1] + remainders[q], columns[s],
                           begin, last);
            fill_zeros(to + used, p->size - used);
        }
    }
    fill_zeros(to, SLACK - WIDTH);
}

// Frees the counter by which work-groups took their units, once the last of them is done.
static inline void reset_taken(volatile __global int *taken)
{
    mem_fence(CLK_GLOBAL_MEM_FENCE);
    if (atomic_inc(taken + 1) == (int)get_num_groups(0) - 1) {
        atomic_xchg(taken, 0);
        atomic_xchg(taken + 1, 0);
    }
}

#endif
