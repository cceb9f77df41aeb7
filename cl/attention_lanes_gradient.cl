// Attention backward on a CPU: the gradients of q, k and v in one pass, with probabilities recomputed from the log-sum-exp.
// attention.h says what is computed, attention_lanes.h how it lies. A unit is a shared head. It goes through the queries of the
// heads that share it in blocks, and for each through its keys in blocks: the gradients of k and v are summed where they lie,
// that of q in local memory. No order of additions ever changes.

// Queries of a block, a multiple of a strip.
#ifndef QUERIES
#define QUERIES 64
#endif
#define PITCH QUERIES
#include "attention_lanes.h"

// Keys of a block, a multiple of TILE and of 4.
#ifndef KEYS
#define KEYS 48
#endif

// Vectors of columns in a register tile of the gradients of k and v: SPREAD * WIDTH divides D.
#ifndef SPREAD
#define SPREAD 1
#endif

// s = p = 2^(s - l); ds = p * (ds - delta)
void probabilities(__local COMPUTE_T *s, __local COMPUTE_T *ds, __local const COMPUTE_T *l, __local const COMPUTE_T *delta,
                   const long n)
{
    vec at[V], less[V];
    UNROLLED
    for (int v = 0; v < V; v++) {
        at[v] = AT(l, 0, v);
        less[v] = AT(delta, 0, v);
    }
    for (long j = 0; j < n; j++)
        UNROLLED
        for (int v = 0; v < V; v++) {
            const vec p = exp2_of(AT(s, j, v) - at[v]);
            AT(s, j, v) = p;
            AT(ds, j, v) = p * (AT(ds, j, v) - less[v]);
        }
}

// to[key][d] += the sum over queries of p[key][query] * x[query][d]; of key t from the strip on that has query first + t.
WIDE void spread(__local const COMPUTE_T *p, __global const COMPUTE_T *x, __global COMPUTE_T *to, const long n,
                 const long count, const long first, const int causal)
{
    for (long t = 0; t < n; t += TILE) {
        const long at = min(t, n - TILE);
        const long start = causal ? max(0L, (first + t) / STRIP * STRIP) : 0;
        for (int d = 0; d < D; d += SPREAD * WIDTH) {
            vec sum[TILE][SPREAD];
            UNROLLED
            for (int i = 0; i < TILE; i++)
                UNROLLED
                for (int v = 0; v < SPREAD; v++) sum[i][v] = (vec)(0);
            for (long j = start; j < count; j++) {
                vec in[SPREAD];
                UNROLLED
                for (int v = 0; v < SPREAD; v++) in[v] = *(__global const loose *)(x + j * D + d + v * WIDTH);
                UNROLLED
                for (int i = 0; i < TILE; i++) {
                    const vec y = (vec)(p[(at + i) * PITCH + j]);
                    UNROLLED
                    for (int v = 0; v < SPREAD; v++) sum[i][v] += y * in[v];
                }
            }
            UNROLLED
            for (int i = 0; i < TILE; i++)
                if (at + i >= t)
                    UNROLLED
                    for (int v = 0; v < SPREAD; v++) *(__global loose *)(to + (at + i) * D + d + v * WIDTH) += sum[i][v];
        }
    }
}

// delta[lane] = grad . out * scale for WIDTH rows, of which `rows` exist.
void row_sums(__local COMPUTE_T *delta, __global const COMPUTE_T *out, __global const COMPUTE_T *grad, const long rows,
              const COMPUTE_T scale)
{
    vec sum[WIDTH];
    UNROLLED
    for (int i = 0; i < WIDTH; i++) sum[i] = (vec)(0);
    for (long d = 0; d < D; d += WIDTH)
        UNROLLED
        for (int i = 0; i < WIDTH; i++) {
            const long at = min((long)i, rows - 1) * D + d;
            sum[i] += *(__global const loose *)(out + at) * *(__global const loose *)(grad + at);
        }
    CAT(transpose_, COMPUTE_T)(sum);
    vec all = sum[0];
    UNROLLED
    for (int i = 1; i < WIDTH; i++) all += sum[i];
    AT(delta, 0, 0) = all * scale;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void attention_lanes_gradient(__global const COMPUTE_T *restrict q, __global const COMPUTE_T *restrict k,
                              __global const COMPUTE_T *restrict value, __global const COMPUTE_T *restrict out,
                              __global const COMPUTE_T *restrict lse, __global const COMPUTE_T *restrict grad,
                              __global COMPUTE_T *restrict dq, __global COMPUTE_T *restrict dk,
                              __global COMPUTE_T *restrict dv, CALL_PARAMETERS, volatile __global int *taken)
{
    __local COMPUTE_T buffer[(3 * D + 2 * (KEYS + TILE) + 2) * QUERIES] __attribute__((aligned(64)));
    __local COMPUTE_T *qt = buffer, *gt = qt + D * QUERIES, *dqt = gt + D * QUERIES, *s = dqt + (D + TILE) * QUERIES;
    __local COMPUTE_T *ds = s + (KEYS + TILE) * QUERIES, *l = ds + KEYS * QUERIES, *delta = l + QUERIES;
    const vec ones[V] = {(vec)(1), (vec)(1)};
    const long units = batches * heads / group;
    while (true) {
        const long unit = atomic_inc(taken);
        if (unit >= units) break;
        const long start = unit * keys * D;
        for (long i = start; i < start + keys * D; i += WIDTH) {
            *(__global loose *)(dk + i) = (vec)(0);
            *(__global loose *)(dv + i) = (vec)(0);
        }
        for (long head = unit * group; head < (unit + 1) * group; head++)
        for (long row = 0; row < queries; row += QUERIES) {
            const long first_row = head * queries + row, count = min((long)QUERIES, queries - row);
            const long end = causal ? min(keys, row + count) : keys;
            for (long i = 0; i < D * QUERIES; i += WIDTH) *(__local loose *)(dqt + i) = (vec)(0);
            for (long lane = 0; lane < (count + STRIP - 1) / STRIP * STRIP; lane += WIDTH) {
                const long at = min(lane, count - 1), from = (first_row + at) * D;
                pack_rows(qt + lane, q + from, count - at, scale * LOG2E);
                pack_rows(gt + lane, grad + from, count - at, scale);
                row_sums(delta + lane, out + from, grad + from, count - at, scale);
                for (int i = 0; i < WIDTH; i++) {
                    const COMPUTE_T total = lse[first_row + min(at + i, count - 1)];
                    l[lane + i] = total == -INFINITY ? INFINITY : total * LOG2E;  // that row has no probabilities
                }
            }
            for (long base = 0; base < end; base += KEYS) {
                const long n = min((long)KEYS, end - base);
                __global const COMPUTE_T *kb = k + start + base * D, *vb = value + start + base * D;
                for (long f = causal ? max(0L, base - row) / STRIP * STRIP : 0; f < count; f += STRIP) {
                    const long rows = min((long)STRIP, count - f), last = row + f + STRIP - base;
                    const long m = causal ? min(n, (last + TILE - 1) / TILE * TILE) : n;
                    vec unused[V] = {(vec)(0), (vec)(0)};
                    products(qt + f, kb, s + f, m, unused);
                    products(gt + f, vb, ds + f, m, unused);
                    if (causal && base + m > row + f + 1) hide_later(s + f, m, base - row - f);
                    if (mask_kind)
                        add_mask(s + f, mask, mask_kind, MASK_START(head) + (row + f) * mask_row + base * mask_key, mask_row,
                                 mask_key, m, rows);
                    const ulong block = WORD_BLOCK(first_row + f, base), pitch = (keys + 3) / 4;
                    if (!KEEPS_ALL) drop(ds + f, ds + f, m, block, pitch, seed, threshold, rescale);
                    probabilities(s + f, ds + f, l + f, delta + f, m);
                    if (!KEEPS_ALL) drop(s + f, s + f, m, block, pitch, seed, threshold, rescale);
                    gather(ds + f, kb, dqt + f, m, ones);
                }
                spread(s, grad + first_row * D, dv + start + base * D, n, count, base - row, causal);
                spread(ds, q + first_row * D, dk + start + base * D, n, count, base - row, causal);
            }
            for (long lane = 0; lane < count; lane += WIDTH)
                unpack_rows(dq + (first_row + lane) * D, dqt + lane, count - lane, (vec)(1));
        }
    }
    mem_fence(CLK_GLOBAL_MEM_FENCE);  // the last group to be done must see all that was taken
    if (atomic_inc(taken + 1) == (int)get_num_groups(0) - 1) {
        atomic_xchg(taken, 0);
        atomic_xchg(taken + 1, 0);
    }
}
