// Convolutions, and convolutions transposed, on CPUs: one work-item a work-group, vectors along the pixels of the result.
//
// The result is computed in phases, each of which has every `phases`-th place along the axes: the convolution itself has
// one, a transposed one as many as its stride. A phase is a convolution of stride 1 or of the stride, with those taps that
// reach its places. It sums, for a tile of KT filters and TV vectors of pixels, over channels and taps: the weights are
// broadcast, the pixels loaded from packed planes (convolution.h). Channels are taken so many at a time that what a tile
// reads stays in the first cache.
//   pack_filters     the weights in the order in which tiles read them;
//   convolve_blocks  the convolution.
#include "convolution.h"
#include "convolution_tile.h"

// Elements of packed planes that the first cache holds: if all of a unit are no more, each plane of the result is written
// in one go.
#ifndef NEAR
#define NEAR 4096
#endif

struct blocks {
    struct planes planes;
    long batch, groups, channels, filters;   // channels and filters of a group
    long extent[3];                          // of the result
    long phases[3];
    long phase_rows, rows;                   // rows of a phase; how many a unit takes
    long block;                              // channels, with their depths, that are packed at once
    long direct;                             // whether planes are read where they lie
    long planes_size, scratch_size;          // elements of the scratch of a work-group: its planes, and all
    long weight_group, weight_filter, weight_channel;
    long depths, columns, remainders, offsets, weights;  // where the table has them
};

// The table has, for each phase along the depth, and for each along the columns, where its shifts begin and how many there
// are; for each phase of the columns and rows where its offsets begin and its number of taps; for each phase of the depth,
// rows and columns where its packed weights begin, and where the distances of its taps in the weights do.
#define ENTRY 2

// Packed weights of a phase: [group][block][tile of filters][channel, tap][KT], zeros beyond the filters.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void pack_filters(__global const T *restrict w, __global T *restrict packed, __global const long *restrict table,
                  const long start, __constant const struct blocks *p)
{
    const long tiles = CEIL_DIV(p->filters, KT), all = p->phases[0] * p->phases[1] * p->phases[2];
    for (long unit = get_group_id(0); unit < all * p->groups * tiles; unit += get_num_groups(0)) {
        const long tile = unit % tiles, group = unit / tiles % p->groups, phase = unit / tiles / p->groups;
        const long flat = phase % (p->phases[1] * p->phases[2]), z = phase / (p->phases[1] * p->phases[2]);
        const long deep = table[p->depths + ENTRY * z + 1], taps = table[p->offsets + ENTRY * flat + 1];
        __global const long *distance = table + table[p->weights + ENTRY * phase + 1];
        const long channels = p->channels * deep;
        __global T *phase_to = packed + table[p->weights + ENTRY * phase] + group * tiles * KT * channels * taps;
        __global const T *from = w + start + group * p->weight_group;
        for (long v0 = 0; v0 < channels; v0 += p->block) {
            const long count = min(p->block, channels - v0);
            __global T *to = phase_to + v0 * taps * tiles * KT + tile * KT * count * taps;
            for (long v = v0; v < v0 + count; v++)
                for (long t = 0; t < taps; t++, to += KT) {
                    const long at = v / deep * p->weight_channel + distance[v % deep * taps + t];
                    for (long i = 0; i < KT; i++) {
                        const long k = tile * KT + i;
                        to[i] = k < p->filters ? from[k * p->weight_filter + at] : (T)0;
                    }
                }
        }
    }
}

// Writes `rows` rows of the result, of which the phases lie in scratch as [row phase][column phase][filter][room].
void interleave(__global T *to, __global const T *from, __constant const struct blocks *p, const long y0, const long rows,
                const long filter_step, const long room)
{
    const long rows_apart = p->phases[1], apart = p->phases[2], width = p->extent[2], next = p->filters * room;
    for (long k = 0; k < p->filters; k++)
        for (long y = y0 * rows_apart; y < min(p->extent[1], (y0 + rows) * rows_apart); y++) {
            __global T *row = to + k * filter_step + y * width;
            __global const T *phase = from + y % rows_apart * apart * next + k * room + (y / rows_apart - y0) * p->planes.width;
            long x = 0;
#if WIDTH > 1
            if (apart == 2)
                for (; x + 2 * WIDTH <= width; x += 2 * WIDTH) {
                    const vector_t a = *(__global const LOOSE(T) *)(phase + x / 2);
                    const vector_t b = *(__global const LOOSE(T) *)(phase + next + x / 2);
                    vector_t low, high;
                    low.even = a.lo;
                    low.odd = b.lo;
                    high.even = a.hi;
                    high.odd = b.hi;
                    *(__global LOOSE(T) *)(row + x) = low;
                    *(__global LOOSE(T) *)(row + x + WIDTH) = high;
                }
#endif
            for (; x < width; x++)
                row[x] = phase[x % apart * next + x / apart];
        }
}

// A unit is some rows of one image, group and place along the depth. Work-groups take the next one when they are done.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolve_blocks(__global const T *restrict source, __global const T *restrict packed, __global T *restrict result,
                     __global T *restrict scratch, __global const long *restrict table, const long start,
                     __constant const struct blocks *p, volatile __global int *taken)
{
    const long strips = CEIL_DIV(p->phase_rows, p->rows), units = p->batch * p->groups * p->extent[0] * strips;
    const long tiles = CEIL_DIV(p->filters, KT), width = p->planes.width;
    const long plane = p->extent[1] * p->extent[2], filter_step = p->extent[0] * plane;
    const int in_phases = p->phases[1] * p->phases[2] > 1;
    __global T *planes = scratch + get_group_id(0) * p->scratch_size, *phases = planes + p->planes_size;
    __global const T *begin = source + start + p->planes.first, *last = source + start + p->planes.last;
    while (true) {
        const long unit = atomic_inc(taken);
        if (unit >= units)
            break;
        const long y0 = unit % strips * p->rows, z = unit / strips % p->extent[0];
        const long image = unit / strips / p->extent[0], group = image % p->groups;
        const long rows = min(p->rows, p->phase_rows - y0), pixels = rows * width, room = p->rows * width + PIXELS;
        const long phase_z = z % p->phases[0], depth = z / p->phases[0];
        __global const long *shifts = table + table[p->depths + ENTRY * phase_z];
        const long deep = table[p->depths + ENTRY * phase_z + 1], channels = p->channels * deep;
        __global const T *from =
            source + start + image / p->groups * p->planes.batch_step + group * p->planes.group_step;
        __global T *to = result + (image * p->filters * p->extent[0] + z) * plane;
        for (long phase_x = 0; phase_x < p->phases[2]; phase_x++) {
            __global const long *columns = table + table[p->columns + ENTRY * phase_x];
            const long wide = table[p->columns + ENTRY * phase_x + 1];
            long v0 = 0;
            do {  // once even if no tap reaches the phase: it is zeros then
                const long count = min(p->block, channels - v0);
                __global const T *read = planes;
                if (p->direct)
                    read = from + v0 * p->planes.channel_step + depth * p->planes.step[0];
                else
                    pack_planes(planes, from, &p->planes, v0, count, depth, shifts, max(deep, 1L), y0, columns, wide,
                                table + p->remainders, begin, last);
                for (long phase_y = 0; phase_y < p->phases[1]; phase_y++) {
                    const long flat = phase_y * p->phases[2] + phase_x;
                    const long phase = phase_z * p->phases[1] * p->phases[2] + flat;
                    __global const long *offsets = table + table[p->offsets + ENTRY * flat];
                    const long taps = table[p->offsets + ENTRY * flat + 1], n = count * taps;
                    __global const T *w = packed + table[p->weights + ENTRY * phase] +
                                          group * tiles * KT * channels * taps + v0 * taps * tiles * KT;
                    __global T *y = in_phases ? phases + flat * p->filters * room : to + y0 * width;
                    const long step = in_phases ? room : filter_step, strides = CEIL_DIV(pixels, PIXELS);
                    const int along = count * wide * p->planes.size <= NEAR;
                    for (long a = 0; a < (along ? tiles : strides); a++)
                        for (long b = 0; b < (along ? strides : tiles); b++) {
                            const long tile = along ? a : b;
                            long pixel = (along ? b : a) * PIXELS;
                            if (p->direct)  // tiles reach into the next unit; the plane's last one begins earlier
                                pixel = min(y0 * width + pixel, plane - PIXELS) - y0 * width;
                            sum_tile(w + tile * KT * n, read + (p->direct ? y0 * width + pixel : pixel), offsets, n,
                                     y + tile * KT * step + pixel, step, p->filters - tile * KT,
                                     in_phases || p->direct ? PIXELS : pixels - pixel, v0 > 0);
                        }
                }
                v0 += p->block;
            } while (v0 < channels);
        }
        if (in_phases)
            interleave(to, phases, p, y0, rows, filter_step, room);
    }
    reset_taken(taken);
}
