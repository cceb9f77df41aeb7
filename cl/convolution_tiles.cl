// Convolutions over up to three axes, and both of their gradients, as products of matrices of which one is gathered.
//
//   forward          y[n, k, o] = sum over c, t of w[k, c, t] * x[n, c, o * stride + t * dilation - padding]
//   input gradient   x[n, c, p] = sum over k, t of w[k, c, t] * y[n, k, (p + padding - t * dilation) / stride]
//   weight gradient  w[k, c, t] = sum over n, o of y[n, k, o] * x[n, c, o * stride + t * dilation - padding]
//
// o, p and t are places along three axes; what lies outside is zero, and so is y where the quotient is no whole number.
// All three are one kernel: left[i, d] * gathered[d, j], summed over d. In the first two j counts pixels (n and place) and
// d taps (channel and t); in the last it is the other way round. `struct convolution` says how to read both operands.
//   convolve_tiles  a work-group stages square tiles in local memory, a work-item sums MICRO x MICRO, for any device;
//   sum_slices      adds up what several work-groups summed of one result.
#include "builtins.h"
#include "common.h"
#include "types.h"
#include "units.h"

// Work-items along each side of a work-group, and sums along each side of a work-item's share.
#ifndef GROUP
#define GROUP 16
#endif
#ifndef MICRO
#define MICRO 4
#endif
// How much of the depth is staged at once.
#ifndef STEP
#define STEP 16
#endif

#define TILE (GROUP * MICRO)
#define ITEMS (GROUP * GROUP)
#define SUM_T SUM_TYPE(T)
#define NOWHERE (-(1 << 30))  // a place that no operand has

// One launch; kernels/convolution_tiles.py makes it. Steps are distances in memory, in elements; triples are axes.
struct convolution {
    long groups, rows, columns, depth;  // the matrices of a group
    long plane;                         // columns of one image of the result
    long slices;                        // parts of the depth, each summed into a result of its own
    long depth_is_pixels;               // whether the depth counts pixels and the columns taps
    long pixels[3], taps[3];
    long extent[3];   // of the gathered operand
    long divisor[3];  // place = (pixel * pixel_scale + pixel_shift + tap * tap_scale) / divisor
    long pixel_scale[3], pixel_shift[3], tap_scale[3];
    long gathered_group, gathered_batch, gathered_channel, gathered_step[3];
    long left_group, left_row, left_outer, left_step[3];  // left_outer: a step of the batch, or of the channel
};

// The three places of `index` and what is left of it, the number of the image or of the channel.
static inline long places_of(long index, __constant const long *extent, int *at)
{
    for (int axis = 2; axis >= 0; axis--) {
        const long next = index / extent[axis];
        at[axis] = (int)(index - next * extent[axis]);
        index = next;
    }
    return index;
}

// What pixel or tap number `index` adds to the offset and to the places in the gathered operand.
static inline long source_of(__constant const struct convolution *p, const long index, const int is_pixel, int *at)
{
    const long outer = places_of(index, is_pixel ? p->pixels : p->taps, at);
    for (int axis = 0; axis < 3; axis++)
        at[axis] = is_pixel ? (int)(at[axis] * p->pixel_scale[axis] + p->pixel_shift[axis])
                            : (int)(at[axis] * p->tap_scale[axis]);
    return outer * (is_pixel ? p->gathered_batch : p->gathered_channel);
}

// What number `index` of the depth adds to the offset in the left operand.
static inline long left_of(__constant const struct convolution *p, const long index)
{
    int at[3];
    long offset = places_of(index, p->depth_is_pixels ? p->pixels : p->taps, at) * p->left_outer;
    for (int axis = 0; axis < 3; axis++)
        offset += at[axis] * p->left_step[axis];
    return offset;
}

// A work-group computes one TILE x TILE tile of the result of one group and slice; columns of tiles go fastest.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolve_tiles(__global const T *restrict left, __global const T *restrict gathered, __global T *restrict result,
                    __global SUM_T *restrict parts, const long left_start, const long gathered_start,
                    __constant const struct convolution *p)
{
    __local SUM_T left_tile[STEP][TILE + 1], gathered_tile[STEP][TILE + 1];
    __local long column_offset[TILE], depth_offset[STEP], left_offset[STEP];
    __local int column_at[TILE][3], depth_at[STEP][3];
    const int item = get_local_id(0);
    const int y = item / GROUP, x = item % GROUP;
    const long tile_rows = (p->rows + TILE - 1) / TILE, tile_columns = (p->columns + TILE - 1) / TILE;
    long number = get_group_id(0);
    const long j = number % tile_columns * TILE;
    number /= tile_columns;
    const long i = number % tile_rows * TILE;
    number /= tile_rows;
    const long group = number % p->groups, slice = number / p->groups;
    const long begin = p->depth * slice / p->slices, end = p->depth * (slice + 1) / p->slices;
    left += left_start + group * p->left_group + i * p->left_row;
    gathered += gathered_start + group * p->gathered_group;

    for (int n = item; n < TILE; n += ITEMS) {
        int at[3] = {NOWHERE, NOWHERE, NOWHERE};
        column_offset[n] = j + n < p->columns ? source_of(p, j + n, !p->depth_is_pixels, at) : 0;
        for (int axis = 0; axis < 3; axis++)
            column_at[n][axis] = at[axis];
    }
    SUM_T sum[MICRO][MICRO];
    #pragma unroll
    for (int m = 0; m < MICRO * MICRO; m++)
        sum[m / MICRO][m % MICRO] = 0;

    for (long d = begin; d < end; d += STEP) {
        for (int n = item; n < STEP; n += ITEMS) {
            int at[3] = {NOWHERE, NOWHERE, NOWHERE};
            depth_offset[n] = d + n < end ? source_of(p, d + n, (int)p->depth_is_pixels, at) : 0;
            left_offset[n] = d + n < end ? left_of(p, d + n) : 0;
            for (int axis = 0; axis < 3; axis++)
                depth_at[n][axis] = at[axis];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int n = item; n < TILE * STEP; n += ITEMS) {
            const int line = n % TILE, k = n / TILE;
            left_tile[k][line] = line < p->rows - i && k < end - d
                                     ? LOAD(T, left, line * p->left_row + left_offset[k])
                                     : (SUM_T)0;
            long offset = column_offset[line] + depth_offset[k];
            int inside = 1;
            for (int axis = 0; axis < 3; axis++) {
                const int place = column_at[line][axis] + depth_at[k][axis], divisor = (int)p->divisor[axis];
                const int whole = divisor == 1 ? place : place / divisor;
                inside &= (place >= 0) & (whole * divisor == place) & (whole < (int)p->extent[axis]);
                offset += whole * p->gathered_step[axis];
            }
            gathered_tile[k][line] = inside ? LOAD(T, gathered, offset) : (SUM_T)0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int s = 0; s < STEP; s++) {
            #pragma unroll
            for (int m = 0; m < MICRO; m++)
                #pragma unroll
                for (int n = 0; n < MICRO; n++)
                    sum[m][n] += left_tile[s][y + m * GROUP] * gathered_tile[s][x + n * GROUP];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const long size = p->groups * p->rows * p->columns;
    #pragma unroll
    for (int n = 0; n < MICRO; n++) {
        const long column = j + x + n * GROUP, image = column / p->plane;
        const long first = (image * p->groups + group) * p->rows * p->plane + column % p->plane;
        #pragma unroll
        for (int m = 0; m < MICRO; m++) {
            const long row = i + y + m * GROUP;
            if (row >= p->rows || column >= p->columns)
                continue;
            if (p->slices > 1)
                parts[slice * size + first + row * p->plane] = sum[m][n];
            else
                STORE(T, result, first + row * p->plane, sum[m][n]);
        }
    }
}

// result[i] = the sum of parts[slice * size + i] over all slices.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void sum_slices(__global const SUM_T *restrict parts, __global T *restrict result, const long size, const long slices)
{
    FOR_UNITS(i, size) {
        SUM_T sum = 0;
        for (long slice = 0; slice < slices; slice++)
            sum += parts[slice * size + i];
        STORE(T, result, i, sum);
    }
}
