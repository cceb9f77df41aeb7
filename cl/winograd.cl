// 3 x 3 convolutions of stride 1 on CPUs by Winograd's F(2x2, 3x3); with flipped taps, their transposes.
//
// For some rows of tiles all channels are transformed, v = B^T d B; then, for a block of filters, each of the 16 components
// is a product of matrices, summed by the register tile of convolutions; then the sums are transformed back, A^T m A.
//   winograd_filters  the transformed weights, G w G^T, in the order in which tiles read them;
//   winograd          the convolution.
#include "convolution_tile.h"
#include "winograd.h"

#if WIDTH > 1
// u[group][component][tile of filters][channel][KT]
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_filters(__global const T *restrict w, __global T *restrict u, const long start,
                      __constant const struct winograd *p)
{
    const long tiles = CEIL_DIV(p->filters, KT), step = tiles * p->channels * KT;
    for (long unit = get_group_id(0); unit < p->groups * tiles * p->channels; unit += get_num_groups(0)) {
        const long c = unit % p->channels, tile = unit / p->channels % tiles, group = unit / p->channels / tiles;
        for (long i = 0; i < KT; i++) {
            const long k = tile * KT + i;
            __global T *to = u + ((group * 16 * tiles + tile) * p->channels + c) * KT + i;
            __global const T *from =
                w + start + group * p->weight_group + min(k, p->filters - 1) * p->weight_filter + c * p->weight_channel;
            T t[4][3];
            #pragma unroll
            for (int s = 0; s < 3; s++) {
                const long column = (p->flip ? 2 - s : s) * p->weight_column, row = p->flip ? -p->weight_row : p->weight_row;
                __global const T *tap = from + column + (p->flip ? 2 * p->weight_row : 0);
                const T a = tap[0], b = tap[row], d = tap[2 * row];
                t[0][s] = a;
                t[1][s] = (T)0.5f * (a + b + d);
                t[2][s] = (T)0.5f * (a - b + d);
                t[3][s] = d;
            }
            #pragma unroll
            for (int r = 0; r < 4; r++) {
                const T a = t[r][0], b = t[r][1], d = t[r][2];
                to[(4 * r + 0) * step] = a;
                to[(4 * r + 1) * step] = (T)0.5f * (a + b + d);
                to[(4 * r + 2) * step] = (T)0.5f * (a - b + d);
                to[(4 * r + 3) * step] = d;
            }
        }
    }
}

// y = 2 rows of 2 * WIDTH results from the sums of WIDTH tiles, m[component * step].
FULL_VECTORS
void transform_output(__global const T *m, const long step, vector_t *y)
{
    vector_t t[2][4];
    #pragma unroll
    for (int c = 0; c < 4; c++) {
        const vector_t m0 = *(__global const LOOSE(T) *)(m + c * step);
        const vector_t m1 = *(__global const LOOSE(T) *)(m + (4 + c) * step);
        const vector_t m2 = *(__global const LOOSE(T) *)(m + (8 + c) * step);
        const vector_t m3 = *(__global const LOOSE(T) *)(m + (12 + c) * step);
        t[0][c] = m0 + m1 + m2;
        t[1][c] = m1 - m2 - m3;
    }
    #pragma unroll
    for (int r = 0; r < 2; r++) {
        const vector_t a = t[r][0] + t[r][1] + t[r][2], b = t[r][1] - t[r][2] - t[r][3];
        y[2 * r].even = a.lo;
        y[2 * r].odd = b.lo;
        y[2 * r + 1].even = a.hi;
        y[2 * r + 1].odd = b.hi;
    }
}

// Writes the one or two rows of results of a row of tiles.
void write_row(__global const T *m, const long step, __global T *y, const long columns, const int two)
{
    vector_t out[4];
    for (long tile = 0; 2 * tile < columns; tile += WIDTH) {
        transform_output(m + tile, step, out);
        __global T *to = y + 2 * tile;
        if (2 * (tile + WIDTH) <= columns) {
            *(__global LOOSE(T) *)to = out[0];
            *(__global LOOSE(T) *)(to + WIDTH) = out[1];
            if (two) {
                *(__global LOOSE(T) *)(to + columns) = out[2];
                *(__global LOOSE(T) *)(to + columns + WIDTH) = out[3];
            }
            continue;
        }
        const T *values = (const T *)out;
        for (long i = 0; i < columns - 2 * tile; i++) {
            to[i] = values[i];
            if (two)
                to[columns + i] = values[2 * WIDTH + i];
        }
    }
}

// A unit is some rows of tiles of one image and group; work-groups take the next one when they are done.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd(__global const T *restrict x, __global const T *restrict u, __global T *restrict y,
              __global T *restrict scratch, __global const long *restrict offsets, const long start,
              __constant const struct winograd *p, volatile __global int *taken)
{
    const long high = CEIL_DIV(p->outputs[0], 2), wide = CEIL_DIV(p->outputs[1], 2), plane = p->outputs[0] * p->outputs[1];
    const long strips = CEIL_DIV(high, p->tile_rows), units = p->batch * p->groups * strips;
    const long filter_tiles = CEIL_DIV(p->filters, KT);
    __global T *v = scratch + get_group_id(0) * p->scratch_size;   // [component][channel][tile]
    __global T *m = v + 16 * p->channels * p->tiles;               // [filter][component][tile]
    __global T *padded = m + 16 * p->block * KT * p->tiles;
    __global const T *last = x + start + p->last;
    // What the last vectors of a tile read behind the tiles that there are: nothing depends on it.
    const long least = (high - (strips - 1) * p->tile_rows) * wide;
    for (long row = 0; row < 16 * p->channels; row++)
        fill_zeros(v + row * p->tiles + least, p->tiles - least - WIDTH + 1);
    for (long row = 0; row < 16 * p->block * KT; row++)
        fill_zeros(m + (row + 1) * p->tiles - WIDTH, WIDTH);
    while (true) {
        const long unit = atomic_inc(taken);
        if (unit >= units)
            break;
        const long image = unit / strips, group = image % p->groups;
        const long top = unit % strips * p->tile_rows, rows = min(p->tile_rows, high - top);
        __global const T *from = x + start + image / p->groups * p->batch_step + group * p->channels * p->channel_step;
        for (long c = 0; c < p->channels; c++) {
            pad_rows(padded, from + c * p->channel_step, 2 * rows + 2, 2 * top - p->padding[0], p, last);
            for (long t = 0; t < rows; t++)
                transform_input(v + c * p->tiles + t * wide, p->channels * p->tiles, padded + 2 * t * p->pitch, p->pitch, wide);
        }
        for (long first = 0; first < filter_tiles; first += p->block) {
            const long count = min(p->block, filter_tiles - first);
            for (long component = 0; component < 16; component++)
                for (long tile = 0; tile < rows * wide; tile += PIXELS)
                    for (long k = 0; k < count; k++)
                        sum_tile(u + ((group * 16 + component) * filter_tiles + first + k) * p->channels * KT,
                                 v + component * p->channels * p->tiles + tile, offsets, p->channels,
                                 m + (k * KT * 16 + component) * p->tiles + tile, 16 * p->tiles, KT, PIXELS, 0);
            for (long k = 0; k < min(count * KT, p->filters - first * KT); k++)
                for (long t = 0; t < rows; t++)
                    write_row(m + k * 16 * p->tiles + t * wide, p->tiles,
                              y + (image * p->filters + first * KT + k) * plane + 2 * (top + t) * p->outputs[1],
                              p->outputs[1], 2 * (top + t) + 1 < p->outputs[0]);
        }
    }
    reset_taken(taken);
}
#endif
