// Attention, one row to a work-item, for any device, dtype and length: forward, and its gradients without atomics.
// attention.h says what is computed.
//   KIND 0, attention_rows: out, and the log-sum-exp of each row of scores; a work-item has a query.
//   KIND 1, attention_rows_queries: the gradient of q; a work-item has a query.
//   KIND 2, attention_rows_keys: the gradients of k and v; a work-item has a key of a shared head.
#include "attention.h"

#ifndef KIND
#define KIND 0
#endif
#include "units.h"

// The word that decides whether an element is kept.
static inline ulong word_at(const ulong block, const long key, const ulong seed)
{
    ulong c0, c1, c2, c3;
    PHILOX_ROUNDS(ulong, block, seed, c0, c1, c2, c3)
    return key & 2 ? (key & 1 ? c3 : c2) : (key & 1 ? c1 : c0);
}

#define SEEN(query, key) (!causal || (key) <= (query))
#define KEPT(row, key) (KEEPS_ALL || word_at(WORD_BLOCK(row, key), key, seed) < threshold)
#define MASKED(score, head, query, key)                                                                     \
    (mask_kind ? (score) + mask_at(mask, mask_kind, MASK_START(head) + (query) * mask_row + (key) * mask_key) : (score))

static inline COMPUTE_T dot_of(__global const T *a, __global const T *b)
{
    COMPUTE_T sum = 0;
    for (int d = 0; d < D; d++) sum += LOAD(T, a, d) * LOAD(T, b, d);
    return sum;
}

#if KIND == 0
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void attention_rows(__global const T *restrict q, __global const T *restrict k, __global const T *restrict v,
                    __global T *restrict out, __global T *restrict lse, CALL_PARAMETERS)
{
    FOR_UNITS(row, batches * heads * queries) {
        const long head = row / queries, query = row - head * queries;
        __global const T *from = k + SHARED(head) * keys * D, *value = v + SHARED(head) * keys * D;
        COMPUTE_T sum[D], largest = -INFINITY, total = 0;
        for (int d = 0; d < D; d++) sum[d] = 0;
        for (long key = 0; key < keys && SEEN(query, key); key++) {
            const COMPUTE_T product = dot_of(q + row * D, from + key * D) * (scale * LOG2E);
            const COMPUTE_T score = MASKED(product, head, query, key);
            if (score == -INFINITY) continue;
            if (score > largest) {
                const COMPUTE_T less = exp2(largest - score);
                for (int d = 0; d < D; d++) sum[d] *= less;
                total *= less;
                largest = score;
            }
            const COMPUTE_T p = exp2(score - largest);
            total += p;
            if (KEPT(row, key))
                for (int d = 0; d < D; d++) sum[d] += p * LOAD(T, value, key * D + d);
        }
        const COMPUTE_T factor = total == 0 ? 0 : rescale / total;
        for (int d = 0; d < D; d++) STORE(T, out, row * D + d, sum[d] * factor);
        STORE(T, lse, row, total == 0 ? -INFINITY : largest * LN2 + log(total));
    }
}
#else

// A probability, what the gradient of its score is, and the probability after dropout; 0 where the row sees nothing.
#define PROBABILITY(p, kept, slope)                                                                         \
    const COMPUTE_T product = dot_of(q + row * D, k + (SHARED(head) * keys + key) * D) * (scale * LOG2E);   \
    const COMPUTE_T total = LOAD(T, lse, row);                                                              \
    const COMPUTE_T p = total == -INFINITY ? 0 : exp2(MASKED(product, head, query, key) - total * LOG2E);   \
    const COMPUTE_T kept = KEPT(row, key) ? p * rescale : 0;                                                \
    const COMPUTE_T slope = (kept * dot_of(grad + row * D, v + (SHARED(head) * keys + key) * D)             \
                             - p * dot_of(grad + row * D, out + row * D)) * scale;

#define GRADIENT_PARAMETERS                                                                                 \
    __global const T *restrict q, __global const T *restrict k, __global const T *restrict v,               \
    __global const T *restrict out, __global const T *restrict lse, __global const T *restrict grad

#if KIND == 1
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void attention_rows_queries(GRADIENT_PARAMETERS, __global T *restrict dq, CALL_PARAMETERS)
{
    FOR_UNITS(row, batches * heads * queries) {
        const long head = row / queries, query = row - head * queries;
        COMPUTE_T sum[D];
        for (int d = 0; d < D; d++) sum[d] = 0;
        for (long key = 0; key < keys && SEEN(query, key); key++) {
            PROBABILITY(p, kept, slope)
            for (int d = 0; d < D; d++) sum[d] += slope * LOAD(T, k, (SHARED(head) * keys + key) * D + d);
        }
        for (int d = 0; d < D; d++) STORE(T, dq, row * D + d, sum[d]);
    }
}
#else
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void attention_rows_keys(GRADIENT_PARAMETERS, __global T *restrict dk, __global T *restrict dv, CALL_PARAMETERS)
{
    FOR_UNITS(unit, batches * heads / group * keys) {
        const long shared = unit / keys, key = unit - shared * keys;
        COMPUTE_T of_key[D], of_value[D];
        for (int d = 0; d < D; d++) of_key[d] = of_value[d] = 0;
        for (long head = shared * group; head < (shared + 1) * group; head++)
            for (long query = causal ? key : 0; query < queries; query++) {
                const long row = head * queries + query;
                PROBABILITY(p, kept, slope)
                for (int d = 0; d < D; d++) {
                    of_key[d] += slope * LOAD(T, q, row * D + d);
                    of_value[d] += kept * LOAD(T, grad, row * D + d);
                }
            }
        for (int d = 0; d < D; d++) {
            STORE(T, dk, unit * D + d, of_key[d]);
            STORE(T, dv, unit * D + d, of_value[d]);
        }
    }
}
#endif
#endif
