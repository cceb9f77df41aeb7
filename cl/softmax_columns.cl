// Softmax, log-softmax and log-sum-exp along an axis whose elements lie apart (see softmax.h): a lane a row, for
// every axis and stride that softmax_rows.cl does not take.
#include "softmax.h"

// 1 where rows lie side by side in memory, so that one load fetches WIDTH of them, and the most
// vectors of such rows that a work-item takes: enough for whole cache lines.
#ifndef PACKED
#define PACKED 1
#endif
#ifndef TILE
#define TILE 1
#endif

#if PACKED

// A work-item takes up to `tile` (at most TILE * WIDTH) rows that lie side by side in both arrays, as vectors,
// the last of which may be incomplete. Such rows come in runs of `run`.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void softmax_columns(__global const T *restrict input, __global T *restrict output, const long start,
                     __constant const long *layout, const int rank,
                     const long rows, const long n, const long step, const long inner,
                     const long run, const long tile)
{
    const long tiles = (run + tile - 1) / tile;
    FOR_UNITS(unit, rows / run * tiles) {
        const long column = unit % tiles * tile, row = unit / tiles * run + column;
        const int columns = min((int)tile, (int)(run - column));
        const int full = columns / WIDTH, rest = columns % WIDTH, count = full + (rest > 0);
        __global const T *x = input + start + row_start(layout, rank, row);
        __global T *out = output + (RESULT == 2 ? row : row / inner * n * inner + row % inner);
#define LOAD_COLUMNS(p, t) ((t) < full ? LOAD_VECTOR(T, p, (t) * WIDTH) : load_rest((p) + full * WIDTH, rest))
        vector_t largest[TILE], sum[TILE], lost[TILE];
        for (int t = 0; t < count; t++) {
            largest[t] = START;
            sum[t] = lost[t] = 0;
        }
        for (long k = 0; k < n; k++)
            for (int t = 0; t < count; t++) {
                const vector_t v = LOAD_COLUMNS(x + k * step, t);
                largest[t] = LARGER(v, largest[t]);
            }

        for (long begin = 0; begin < n; begin += BLOCK) {
            const long end = min(begin + BLOCK, n);
            vector_t part[TILE];
            for (int t = 0; t < count; t++) part[t] = 0;
            for (long k = begin; k < end; k++)
                for (int t = 0; t < count; t++) {
                    const vector_t v = shifted(LOAD_COLUMNS(x + k * step, t), SHIFT(largest[t]));
                    const vector_t e = exp_of(v);
#if KEEP
                    store_columns(KEPT(v, e), out + k * inner, t, full, rest);
#endif
                    part[t] += e;
                }
            for (int t = 0; t < count; t++) add_exactly(&sum[t], &lost[t], part[t]);
        }

#if RESULT == 2
        for (int t = 0; t < count; t++) store_columns(log_of(sum[t]) + largest[t], out, t, full, rest);
#else
        for (int t = 0; t < count; t++) sum[t] = RESULT == 1 ? log_of(sum[t]) : 1 / sum[t];
        for (long k = 0; k < n; k++)
            for (int t = 0; t < count; t++) {
#if KEEP
                const vector_t kept = LOAD_COLUMNS((__global const T *)out + k * inner, t);
                const vector_t v = FINISH_KEPT(kept, sum[t]);
#else
                const vector_t x_shifted = shifted(LOAD_COLUMNS(x + k * step, t), SHIFT(largest[t]));
                const vector_t v = FINISH(x_shifted, sum[t]);
#endif
                store_columns(v, out + k * inner, t, full, rest);
            }
#endif
    }
}

#else

static inline vector_t gather_lanes(__global const T *const *x, const long k)
{
    COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    #pragma unroll
    for (int i = 0; i < WIDTH; i++) lanes[i] = LOAD(T, x[i], k);
    return *(vector_t *)lanes;
}

static inline void scatter_lanes(const vector_t v, __global T *const *out, const long k)
{
    COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    *(vector_t *)lanes = v;
    #pragma unroll
    for (int i = 0; i < WIDTH; i++) STORE(T, out[i], k, lanes[i]);
}

// A work-item takes WIDTH rows that lie anywhere. Lanes beyond the last row do that row once more.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void softmax_columns(__global const T *restrict input, __global T *restrict output, const long start,
                     __constant const long *layout, const int rank,
                     const long rows, const long n, const long step, const long inner)
{
    FOR_UNITS(unit, (rows + WIDTH - 1) / WIDTH) {
        __global const T *x[WIDTH];
        __global T *out[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            const long row = min(unit * WIDTH + i, rows - 1);
            x[i] = input + start + row_start(layout, rank, row);
            out[i] = output + (RESULT == 2 ? row : row / inner * n * inner + row % inner);
        }
        vector_t largest = START, sum = 0, lost = 0;
        for (long k = 0; k < n; k++) {
            const vector_t v = gather_lanes(x, k * step);
            largest = LARGER(v, largest);
        }
        const vector_t shift = SHIFT(largest);
        for (long begin = 0; begin < n; begin += BLOCK) {
            const long end = min(begin + BLOCK, n);
            vector_t part = 0;
            for (long k = begin; k < end; k++) part += exp_of(shifted(gather_lanes(x, k * step), shift));
            add_exactly(&sum, &lost, part);
        }
#if RESULT == 2
        scatter_lanes(log_of(sum) + largest, out, 0);
#else
        const vector_t factor = RESULT == 1 ? log_of(sum) : 1 / sum;
        for (long k = 0; k < n; k++)
            scatter_lanes(FINISH(shifted(gather_lanes(x, k * step), shift), factor), out, k * inner);
#endif
    }
}
#endif
