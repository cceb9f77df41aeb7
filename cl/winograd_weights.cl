// The gradient of the weights of 3 x 3 convolutions of stride 1 on CPUs, by the adjoint of Winograd's F(2x2, 3x3).
//
// w = G^T [sum over tiles of (A y A^T) * (B^T x B)] G for tiles of 2 x 2 of y: each of the 16 components is a product of
// matrices, summed by the register tile of weight gradients. Slices are as in convolution_weights.cl.
//   winograd_weights  the partial sums of each component;
//   winograd_sum      their sums, transformed into weights.
#include "convolution_taps.h"
#include "winograd.h"

#if WIDTH > 1
// to[component * step + tile * FILTERS] = A d A^T of a row of tiles; d has pixels x FILTERS lanes, `two` rows of them.
FULL_VECTORS
void transform_gradient(__global T *to, const long step, __global const T *d, const long columns, const int two)
{
    for (long tile = 0; 2 * tile < columns; tile++) {
        const int right = 2 * tile + 1 < columns;
        __global const T *from = d + 2 * tile * FILTERS;
        #pragma unroll
        for (int v = 0; v < KV; v++) {
            const vector_t zero = (vector_t)(0);
            const vector_t a = *(__global const LOOSE(T) *)(from + v * WIDTH);
            const vector_t b = right ? *(__global const LOOSE(T) *)(from + FILTERS + v * WIDTH) : zero;
            const vector_t c = two ? *(__global const LOOSE(T) *)(from + columns * FILTERS + v * WIDTH) : zero;
            const vector_t e = two && right ? *(__global const LOOSE(T) *)(from + (columns + 1) * FILTERS + v * WIDTH) : zero;
            vector_t l[4], r[4];
            l[0] = a;
            l[1] = a + c;
            l[2] = a - c;
            l[3] = -c;
            r[0] = b;
            r[1] = b + e;
            r[2] = b - e;
            r[3] = -e;
            __global T *at = to + tile * FILTERS + v * WIDTH;
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                *(__global LOOSE(T) *)(at + (4 * i) * step) = l[i];
                *(__global LOOSE(T) *)(at + (4 * i + 1) * step) = l[i] + r[i];
                *(__global LOOSE(T) *)(at + (4 * i + 2) * step) = l[i] - r[i];
                *(__global LOOSE(T) *)(at + (4 * i + 3) * step) = -r[i];
            }
        }
    }
}

// Partial sums of a slice: [group][component][tile of filters][channel][FILTERS]. `taken` as in convolve_blocks.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_weights(__global const T *restrict x, __global const T *restrict y, __global T *restrict parts,
                      __global T *restrict scratch, __global const long *restrict offsets, const long x_start,
                      const long y_start, __constant const struct winograd *p, volatile __global int *taken)
{
    const long columns = p->outputs[1], high = CEIL_DIV(p->outputs[0], 2), wide = CEIL_DIV(columns, 2);
    const long strips = CEIL_DIV(high, p->tile_rows), units = p->batch * strips;
    const long filter_tiles = CEIL_DIV(p->filters, FILTERS);
    __global T *v = scratch + get_group_id(0) * p->scratch_size;             // [component][channel of a block][tile]
    __global T *w = v + 16 * p->block * p->tiles;                            // [component][tile of filters][tile][FILTERS]
    __global T *turned = w + 16 * filter_tiles * p->tiles * FILTERS;         // [pixel][FILTERS]
    __global T *padded = turned + 2 * p->tile_rows * columns * FILTERS;
    __global const T *last = x + x_start + p->last;
    // A tile of taps may take more channels than there are: nothing depends on their sums.
    for (long component = 0; component < 16 && p->channels < p->block; component++)
        fill_zeros(v + (component * p->block + p->channels) * p->tiles, (p->block - p->channels) * p->tiles - WIDTH + 1);
    while (true) {
        const long task = atomic_inc(taken);
        if (task >= p->slices * p->groups)
            break;
        const long slice = task / p->groups, group = task % p->groups, first = units * slice / p->slices;
        __global T *mine = parts + slice * p->slice_size + group * 16 * filter_tiles * p->padded * FILTERS;
        for (long unit = first; unit < units * (slice + 1) / p->slices; unit++) {
            const long top = unit % strips * p->tile_rows, tile_rows = min(p->tile_rows, high - top);
            const long image = unit / strips, rows = min(2 * tile_rows, p->outputs[0] - 2 * top);
            const long used = tile_rows * wide;
            __global const T *y_from = y + y_start + image * p->y_batch + group * p->filters * p->y_filter + 2 * top * p->y_row;
            for (long k = 0; k < filter_tiles; k++) {
                for (long l = k * FILTERS; l < (k + 1) * FILTERS; l += WIDTH)
                    for (long row = 0; row < (p->y_row == columns ? 1 : rows); row++)
                        transpose_filters(turned + l % FILTERS + row * columns * FILTERS,
                                          y_from + l * p->y_filter + row * p->y_row, p->y_filter, 1, p->filters - l,
                                          p->y_row == columns ? rows * columns : columns);
                for (long t = 0; t < tile_rows; t++)
                    transform_gradient(w + (k * p->tiles + t * wide) * FILTERS, filter_tiles * p->tiles * FILTERS,
                                       turned + 2 * t * columns * FILTERS, columns, 2 * t + 1 < rows);
            }
            __global const T *x_from = x + x_start + image * p->batch_step + group * p->channels * p->channel_step;
            for (long c0 = 0; c0 < p->channels; c0 += p->block) {
                const long count = min(p->block, p->channels - c0);
                for (long c = 0; c < count; c++) {
                    pad_rows(padded, x_from + (c0 + c) * p->channel_step, 2 * tile_rows + 2, 2 * top - p->padding[0], p, last);
                    for (long t = 0; t < tile_rows; t++)
                        transform_input(v + c * p->tiles + t * wide, p->block * p->tiles, padded + 2 * t * p->pitch, p->pitch,
                                        wide);
                }
                for (long component = 0; component < 16; component++)
                    for (long k = 0; k < filter_tiles; k++)
                        for (long j = 0; j < count; j += JT)
                            sum_taps(w + (component * filter_tiles + k) * p->tiles * FILTERS,
                                     v + component * p->block * p->tiles, offsets + j, used,
                                     mine + ((component * filter_tiles + k) * p->padded + c0 + j) * FILTERS, unit > first);
            }
        }
    }
    reset_taken(taken);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_sum(__global const T *restrict parts, __global T *restrict w, __constant const struct winograd *p)
{
    const long tiles = CEIL_DIV(p->filters, FILTERS);
    for (long unit = get_group_id(0); unit < p->groups * tiles * p->channels; unit += get_num_groups(0)) {
        const long c = unit % p->channels, tile = unit / p->channels % tiles, group = unit / p->channels / tiles;
        for (long l = 0; l < FILTERS; l += WIDTH) {
            vector_t m[16], t[3][4], out[9];
            #pragma unroll
            for (int component = 0; component < 16; component++) {
                __global const T *from =
                    parts + (((group * 16 + component) * tiles + tile) * p->padded + c) * FILTERS + l;
                m[component] = (vector_t)(0);
                for (long slice = 0; slice < p->slices; slice++)
                    m[component] += *(__global const LOOSE(T) *)(from + slice * p->slice_size);
            }
            #pragma unroll
            for (int s = 0; s < 4; s++) {
                const vector_t half_sum = (T)0.5f * (m[4 + s] + m[8 + s]);
                t[0][s] = m[s] + half_sum;
                t[1][s] = (T)0.5f * (m[4 + s] - m[8 + s]);
                t[2][s] = half_sum + m[12 + s];
            }
            #pragma unroll
            for (int r = 0; r < 3; r++) {
                const vector_t half_sum = (T)0.5f * (t[r][1] + t[r][2]);
                out[3 * r] = t[r][0] + half_sum;
                out[3 * r + 1] = (T)0.5f * (t[r][1] - t[r][2]);
                out[3 * r + 2] = half_sum + t[r][3];
            }
            const T *values = (const T *)out;
            for (long i = 0; i < min(p->filters - tile * FILTERS - l, (long)WIDTH); i++)
                for (long tap = 0; tap < 9; tap++)
                    w[((group * p->filters + tile * FILTERS + l + i) * p->channels + c) * 9 + tap] = values[tap * WIDTH + i];
        }
    }
}
#endif
