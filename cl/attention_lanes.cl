// Attention forward on a CPU: out, and the log-sum-exp of each row of scores, in one pass over the keys (Dao et al. 2022).
// attention.h says what is computed, attention_lanes.h how it lies. A unit is a strip of queries of one head, which goes
// through its keys in blocks, with the largest score and the sum so far, and rescales what it has when a larger one comes.
#include "attention_lanes.h"

// Keys of a block, a multiple of 4.
#ifndef KEYS
#define KEYS 64
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void attention_lanes(__global const COMPUTE_T *restrict q, __global const COMPUTE_T *restrict k,
                     __global const COMPUTE_T *restrict value, __global COMPUTE_T *restrict out,
                     __global COMPUTE_T *restrict lse, CALL_PARAMETERS, volatile __global int *taken)
{
    __local COMPUTE_T buffer[(2 * D + TILE + KEYS) * STRIP] __attribute__((aligned(64)));
    __local COMPUTE_T *qt = buffer, *o = qt + D * STRIP, *s = o + (D + TILE) * STRIP;
    const long strips = (queries + STRIP - 1) / STRIP, units = batches * heads * strips;
    while (true) {
        const long unit = atomic_inc(taken);
        if (unit >= units) break;
        const long head = unit / strips, row = (strips - 1 - unit % strips) * STRIP, rows = min((long)STRIP, queries - row);
        __global const COMPUTE_T *kb = k + SHARED(head) * keys * D, *vb = value + SHARED(head) * keys * D;
        const long first_row = head * queries + row;
        vec largest[V], total[V], alpha[V];
        for (int v = 0; v < V; v++) {
            const long at = min((long)v * WIDTH, rows - 1);
            pack_rows(qt + v * WIDTH, q + (first_row + at) * D, rows - at, scale * LOG2E);
            largest[v] = (vec)(-INFINITY);
            total[v] = (vec)(0);
        }
        for (int d = 0; d < D; d++)
            UNROLLED
            for (int v = 0; v < V; v++) AT(o, d, v) = (vec)(0);
        const long end = causal ? min(keys, row + STRIP) : keys;
        for (long base = 0; base < end; base += KEYS) {
            const long n = min((long)KEYS, end - base);
            vec before[V], m[V], part[V];
            for (int v = 0; v < V; v++) before[v] = largest[v];
            products(qt, kb + base * D, s, n, largest);
            const int hides = causal && base + n > row + 1;
            if (hides) hide_later(s, n, base - row);
            if (mask_kind)
                add_mask(s, mask, mask_kind, MASK_START(head) + row * mask_row + base * mask_key, mask_row, mask_key, n, rows);
            if (hides || mask_kind)
                for (int v = 0; v < V; v++) {
                    vec most = before[v];
                    for (long j = 0; j < n; j++) most = AT(s, j, v) > most ? AT(s, j, v) : most;
                    largest[v] = most;
                }
            UNROLLED
            for (int v = 0; v < V; v++) {
                m[v] = largest[v] == -INFINITY ? (vec)(0) : largest[v];  // of a row that has seen nothing yet
                alpha[v] = exp2_of(before[v] - m[v]);
                part[v] = (vec)(0);
            }
            for (long j = 0; j < n; j++)
                UNROLLED
                for (int v = 0; v < V; v++) {
                    const vec p = exp2_of(AT(s, j, v) - m[v]);
                    part[v] += p;
                    AT(s, j, v) = p;
                }
            UNROLLED
            for (int v = 0; v < V; v++) total[v] = total[v] * alpha[v] + part[v];
            if (!KEEPS_ALL) drop(s, s, n, WORD_BLOCK(first_row, base), (keys + 3) / 4, seed, threshold, 1);
            gather(s, vb + base * D, o, n, alpha);
        }
        for (int v = 0; v < V; v++) {
            const long at = v * WIDTH;
            const vec factor = total[v] == 0 ? (vec)(0) : rescale / total[v];
            const COMPUTE_T *sums = (const COMPUTE_T *)(total + v), *most = (const COMPUTE_T *)(largest + v);
            for (int i = 0; i < WIDTH && at + i < rows; i++)
                lse[first_row + at + i] = sums[i] == 0 ? -(COMPUTE_T)INFINITY : most[i] * LN2 + log(sums[i]);
            if (at < rows) unpack_rows(out + (first_row + at) * D, o + at, rows - at, factor);
        }
    }
    mem_fence(CLK_GLOBAL_MEM_FENCE);  // the last group to be done must see all that was taken
    if (atomic_inc(taken + 1) == (int)get_num_groups(0) - 1) {
        atomic_xchg(taken, 0);
        atomic_xchg(taken + 1, 0);
    }
}
