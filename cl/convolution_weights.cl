// The gradient of a convolution's weights on CPUs: w[k, c, t] = the sum over all pixels of y[n, k, o] * x[n, c, o, t].
//
// x is packed into planes as for the convolution itself (convolution.h), y is transposed in registers, so that the vectors
// run along the filters. A tile of JT taps and KV vectors of filters is summed over some pixels, then added to the partial
// sums of its slice. A slice is a fixed range of images and rows: the result does not depend on which work-group takes it.
//   convolve_weights_blocks  the partial sums;
//   sum_weight_slices        their sum, in the order of the weights.
#include "convolution.h"
#include "convolution_taps.h"

// Where the gradients of a pixel begin.
#ifdef LONE
#define PIXEL_OF(turned, pixel) ((turned) + (pixel))
#else
#define PIXEL_OF(turned, pixel) ((turned) + (pixel) * FILTERS)
#endif

struct weights {
    struct planes planes;
    long batch, groups, channels, filters;  // channels, with their depths, and filters of a group
    long extent[3];                         // of y
    long rows;                              // rows of y that a unit takes
    long block, padded;                     // channels that are packed at once; their taps, rounded up to whole tiles
    long taps, wide, deep;                  // taps of a channel over rows and columns; over columns alone; depths
    long chunk;                             // pixels that a tile sums at once
    long direct;                            // whether planes are read where they lie
    long slices, slice_size;                // parts of the pixels, and the partial sums of one
    long planes_size, scratch_size;
    long batch_step, filter_step, step[3];  // of y
    long shifts, columns, remainders, offsets, places;  // where the table has them
};

// Partial sums of a slice: [group][block][tile of filters][tap of a channel][FILTERS]. `taken` as in convolve_blocks.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolve_weights_blocks(__global const T *restrict x, __global const T *restrict y, __global T *restrict parts,
                             __global T *restrict scratch, __global const long *restrict table, const long x_start,
                             const long y_start, __constant const struct weights *p, volatile __global int *taken)
{
    const long strips = CEIL_DIV(p->extent[1], p->rows), units = p->batch * p->extent[0] * strips;
    const long tiles = CEIL_DIV(p->filters, FILTERS), blocks = CEIL_DIV(p->channels, p->block);
    const long width = p->planes.width, group_size = blocks * tiles * p->padded * FILTERS;
    __global T *planes = scratch + get_group_id(0) * p->scratch_size, *turned = planes + p->planes_size;
    __global const T *begin = x + x_start + p->planes.first, *last = x + x_start + p->planes.last;
    while (true) {
        const long task = atomic_inc(taken);
        if (task >= p->slices * p->groups)
            break;
        const long slice = task / p->groups, group = task % p->groups, first = units * slice / p->slices;
        __global T *mine = parts + slice * p->slice_size + group * group_size;
        for (long unit = first; unit < units * (slice + 1) / p->slices; unit++) {
            const long y0 = unit % strips * p->rows, depth = unit / strips % p->extent[0];
            const long image = unit / strips / p->extent[0];
            const long rows = min(p->rows, p->extent[1] - y0), pixels = rows * width;
            __global const T *from = y + y_start + image * p->batch_step + group * p->filters * p->filter_step +
                                     depth * p->step[0] + y0 * p->step[1];
#ifdef LONE
            for (long row = 0; row < rows; row++) {
                __global const T *y_row = from + row * p->step[1];
                pack_row(turned + row * width, y_row, width, p->step[2], p->step[2] == 1 ? y_row + width : y_row);
            }
#else
            const int flat = p->step[1] == width * p->step[2];
            for (long k = 0; k < tiles * FILTERS; k += WIDTH)
                for (long row = 0; row < (flat ? 1 : rows); row++)
                    transpose_filters(turned + k / FILTERS * pixels * FILTERS + k % FILTERS + row * width * FILTERS,
                                      from + k * p->filter_step + row * p->step[1], p->filter_step, p->step[2],
                                      p->filters - k, flat ? pixels : width);
#endif
            __global const T *x_image = x + x_start + image * p->planes.batch_step + group * p->planes.group_step;
            for (long b = 0; b < blocks; b++) {
                const long v0 = b * p->block, count = min(p->block, p->channels - v0);
                __global const T *read = planes;
                if (p->direct)
                    read = x_image + v0 * p->planes.channel_step + depth * p->planes.step[0] + y0 * width;
                else
                    pack_planes(planes, x_image, &p->planes, v0, count, depth, table + p->shifts, p->deep, y0,
                                table + p->columns, p->wide, table + p->remainders, begin, last);
                for (long k = 0; k < tiles; k++)
                    for (long pixel = 0; pixel < pixels; pixel += p->chunk)
                        for (long j = 0; j < count * p->taps; j += JT)
                            sum_taps(PIXEL_OF(turned, k * pixels + pixel), read + pixel, table + p->offsets + j,
                                     min(p->chunk, pixels - pixel), mine + ((b * tiles + k) * p->padded + j) * FILTERS,
                                     unit > first || pixel > 0);
            }
        }
    }
    reset_taken(taken);
}

// w[group][filter][channel][tap] = the sum of the slices; the table has the place of each tap, by depth, among a channel's.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void sum_weight_slices(__global const T *restrict parts, __global T *restrict w, __global const long *restrict table,
                       __constant const struct weights *p)
{
    const long tiles = CEIL_DIV(p->filters, FILTERS), blocks = CEIL_DIV(p->channels, p->block);
    const long per_filter = p->channels * p->taps;
    for (long unit = get_group_id(0); unit < p->groups * tiles * p->channels; unit += get_num_groups(0)) {
        const long v = unit % p->channels, tile = unit / p->channels % tiles, group = unit / p->channels / tiles;
        __global const T *from = parts + (((group * blocks + v / p->block) * tiles + tile) * p->padded +
                                          v % p->block * p->taps) * FILTERS;
        for (long t = 0; t < p->taps; t++, from += FILTERS) {
            vector_t sum[KV];
            #pragma unroll
            for (int i = 0; i < KV; i++)
                sum[i] = (vector_t)(0);
            for (long slice = 0; slice < p->slices; slice++)
                #pragma unroll
                for (int i = 0; i < KV; i++)
                    sum[i] += *(__global const LOOSE(T) *)(from + slice * p->slice_size + i * WIDTH);
            const T *values = (const T *)sum;
            const long at = v / p->deep * p->deep * p->taps + table[p->places + v % p->deep * p->taps + t];
#ifdef LONE
            T all = 0;
            for (int lane = 0; lane < WIDTH; lane++)
                all += values[lane];
            w[group * per_filter + at] = all;
#else
            for (long i = 0; i < min(p->filters - tile * FILTERS, (long)FILTERS); i++)
                w[(group * p->filters + tile * FILTERS + i) * per_filter + at] = values[i];
#endif
        }
    }
}
