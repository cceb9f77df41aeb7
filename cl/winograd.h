// What Winograd's convolutions share: F(2x2, 3x3), 16 multiplications for 4 results of a channel instead of 36
// (Lavin and Gray 2016). A tile is 2 x 2 results; it reads 4 x 4 places.
#ifndef NEEDLE_WINOGRAD_H
#define NEEDLE_WINOGRAD_H
#include "convolution.h"

// Sizes of one convolution; steps are distances in memory, in elements. Pairs are rows, columns.
struct winograd {
    long batch, groups, channels, filters;  // channels and filters of a group
    long extent[2], outputs[2], padding[2]; // of what is transformed by B; of the tiles; zeros before the first place
    long batch_step, channel_step, row_step;
    long last;                              // no element at or after this one, counted from the first, may be read
    long tile_rows;                         // rows of tiles that a unit takes
    long tiles;                             // elements of a plane of transformed tiles
    long pitch;                             // elements of a padded row
    long block;                             // tiles of filters whose sums are kept at once; or channels
    long scratch_size;
    long weight_group, weight_filter, weight_channel, weight_row, weight_column;
    long flip;                              // whether the taps are taken backwards
    // Of a weight gradient alone:
    long padded, slices, slice_size;
    long y_batch, y_filter, y_row;
};

// Rows of an image from `top` on, from column -padding on, `pitch` elements each, zeros outside. May write up to WIDTH - 1
// elements beyond.
void pad_rows(__global T *to, __global const T *x, const long rows, const long top, __constant const struct winograd *p,
              __global const T *last)
{
    const long left = max(0L, p->padding[1]), skip = max(0L, -p->padding[1]);
    const long n = max(0L, min(p->extent[1] - skip, p->pitch - left));
    for (long row = top; row < top + rows; row++, to += p->pitch) {
        if (row < 0 || row >= p->extent[0]) {
            fill_zeros(to, p->pitch);
            continue;
        }
        fill_zeros(to, left);
        pack_row(to + left, x + row * p->row_step + skip, n, 1, last);
        fill_zeros(to + left + n, p->pitch - left - n);
    }
}

#if WIDTH > 1
// v[component * step + tile] = B^T d B of a row of `count` tiles, whose places are at x, x + pitch, ...
FULL_VECTORS
void transform_input(__global T *v, const long step, __global const T *x, const long pitch, const long count)
{
    for (long tile = 0; tile < count; tile += WIDTH) {
        __global const T *from = x + 2 * tile;
        vector_t d[4][4];
        #pragma unroll
        for (int r = 0; r < 4; r++)
            #pragma unroll
            for (int i = 0; i < 4; i++)
                d[r][i] = *(__global const LOOSE(T) *)(from + r * pitch + i % 2 * WIDTH + i / 2 * 2);
        #pragma unroll
        for (int r = 0; r < 4; r++) {
            vector_t q[4], a, b, c, e;
            #pragma unroll
            for (int i = 0; i < 4; i++)
                q[i] = r == 0 ? d[0][i] - d[2][i] : r == 1 ? d[1][i] + d[2][i] : r == 2 ? d[2][i] - d[1][i] : d[1][i] - d[3][i];
            a.lo = q[0].even;
            a.hi = q[1].even;
            b.lo = q[0].odd;
            b.hi = q[1].odd;
            c.lo = q[2].even;
            c.hi = q[3].even;
            e.lo = q[2].odd;
            e.hi = q[3].odd;
            __global T *to = v + 4 * r * step + tile;
            *(__global LOOSE(T) *)to = a - c;
            *(__global LOOSE(T) *)(to + step) = b + c;
            *(__global LOOSE(T) *)(to + 2 * step) = c - b;
            *(__global LOOSE(T) *)(to + 3 * step) = b - e;
        }
    }
}
#endif

#endif
