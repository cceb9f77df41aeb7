// Softmax, log-softmax and log-sum-exp of rows that lie together in memory (see softmax.h): a work-group a row,
// lanes along the axis. Rows elsewhere are the business of softmax_columns.cl.
#include "softmax.h"

#if LOCAL > 1
#define FOLD(name, combine)                                                      \
    COMPUTE_T name(const COMPUTE_T mine, __local COMPUTE_T *scratch)                            \
    {                                                                            \
        const int me = get_local_id(0);                                          \
        barrier(CLK_LOCAL_MEM_FENCE);                                            \
        scratch[me] = mine;                                                      \
        barrier(CLK_LOCAL_MEM_FENCE);                                            \
        for (int half_size = LOCAL / 2; half_size > 0; half_size /= 2) {         \
            if (me < half_size) {                                                \
                const COMPUTE_T x = scratch[me + half_size], m = scratch[me];         \
                scratch[me] = combine;                                           \
            }                                                                    \
            barrier(CLK_LOCAL_MEM_FENCE);                                        \
        }                                                                        \
        return scratch[0];                                                       \
    }
#else
// The fold of a vector's lanes, by halves.
#define FOLD(name, combine)                                                      \
    static inline COMPUTE_T name(const vector_t mine, COMPUTE_T *scratch)                  \
    {                                                                            \
        *(vector_t *)scratch = mine;                                             \
        for (int half_size = WIDTH / 2; half_size > 0; half_size /= 2)           \
            for (int i = 0; i < half_size; i++) {                                \
                const COMPUTE_T x = scratch[i + half_size], m = scratch[i];           \
                scratch[i] = combine;                                            \
            }                                                                    \
        return scratch[0];                                                       \
    }
#endif
FOLD(fold_largest, LARGER(x, m))
FOLD(fold_sum, m + x)

#if KEEP
#define KEEP_VECTOR(v, k) STORE_VECTOR(T, out, (k) * inner, v)
#else
#define KEEP_VECTOR(v, k)
#endif
#define ADD_POWER(k, sum)                                             \
    do {                                                              \
        const vector_t v = shifted(LOAD_VECTOR(T, x, (k) * gap), shift); \
        const vector_t e = exp_of(v);                                 \
        KEEP_VECTOR(KEPT(v, e), k);                                   \
        sum += e;                                                     \
    } while (0)

// The last vector of a row of `n` elements: it ends with the row and so begins inside the vector before it. Where
// the row is shorter than a vector, its last element is repeated.
static inline vector_t load_end(__global const T *x, const long n)
{
#if WIDTH > 1
    if (n < WIDTH) {
        COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
        for (int i = 0; i < WIDTH; i++) lanes[i] = LOAD(T, x, i < n ? i : n - 1);
        return *(vector_t *)lanes;
    }
    return LOAD_VECTOR(T, x, n - WIDTH);
#else
    return START;
#endif
}

static inline void store_end(const vector_t v, __global T *out, const long n)
{
#if WIDTH > 1
    if (n < WIDTH)
        store_rest(v, out, n);
    else
        STORE_VECTOR(T, out, n - WIDTH, v);
#endif
}

// 1 in the lanes of the last vector that no other vector has, 0 in the others.
static inline vector_t own_lanes(const long n)
{
    COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    for (int i = 0; i < WIDTH; i++) lanes[i] = n < WIDTH ? i < n : i >= WIDTH - n % WIDTH;
    return *(vector_t *)lanes;
}

// Rows of `n` elements, `step` apart in the input (with WIDTH > 1 it must be 1) and `inner` in the output.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void softmax_rows(__global const T *restrict input, __global T *restrict output, const long start,
                  __constant const long *layout, const int rank,
                  const long rows, const long n, const long step, const long inner)
{
#if LOCAL > 1
    __local COMPUTE_T scratch[LOCAL];
    const long first = get_group_id(0), last = rows, stride = get_num_groups(0);
#else
    COMPUTE_T scratch[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    const long groups = get_num_groups(0), group = get_group_id(0), stride = 1;
    const long first = rows * group / groups, last = rows * (group + 1) / groups;
#endif
#if WIDTH > 1
    const long jump = WIDTH, gap = 1;  // from vector to vector, from element to element
#else
    const long jump = LOCAL, gap = step;
#endif
    const long full = n / WIDTH * WIDTH;
    const bool uneven = full < n;  // the row ends with an incomplete vector
    const vector_t own = own_lanes(n);

    for (long row = first; row < last; row += stride) {
        __global const T *x = input + start + row_start(layout, rank, row);
#if RESULT < 2
#if LOCAL > 1
        __global T *out = output + (row / inner * n * inner + row % inner);
#else
        __global T *out = output + row * n;
#endif
#endif
        vector_t largest[UNROLL];
        #pragma unroll
        for (int u = 0; u < UNROLL; u++) largest[u] = START;
        vector_t tail = START;
        if (uneven) largest[0] = tail = load_end(x, n);
        long k = get_local_id(0);
        for (; k + (UNROLL - 1) * jump < full; k += UNROLL * jump) {
            #pragma unroll
            for (int u = 0; u < UNROLL; u++) {
                const vector_t v = LOAD_VECTOR(T, x, (k + u * jump) * gap);
                largest[u] = LARGER(v, largest[u]);
            }
        }
        for (; k < full; k += jump) {
            const vector_t v = LOAD_VECTOR(T, x, k * gap);
            largest[0] = LARGER(v, largest[0]);
        }
        #pragma unroll
        for (int u = 1; u < UNROLL; u++) largest[0] = LARGER(largest[u], largest[0]);
        const COMPUTE_T row_largest = fold_largest(largest[0], scratch);
        const COMPUTE_T shift = SHIFT(row_largest);

        vector_t sum = 0, lost = 0;
        for (long begin = get_local_id(0); begin < full; begin += BLOCK * UNROLL * jump) {
            const long end = begin + BLOCK * UNROLL * jump < full ? begin + BLOCK * UNROLL * jump : full;
            vector_t part[UNROLL];
            #pragma unroll
            for (int u = 0; u < UNROLL; u++) part[u] = 0;
            for (k = begin; k + (UNROLL - 1) * jump < end; k += UNROLL * jump) {
                #pragma unroll
                for (int u = 0; u < UNROLL; u++) ADD_POWER(k + u * jump, part[u]);
            }
            for (; k < end; k += jump) ADD_POWER(k, part[0]);
            #pragma unroll
            for (int u = 1; u < UNROLL; u++) part[0] += part[u];
            add_exactly(&sum, &lost, part[0]);
        }
        if (uneven) {
            const vector_t v = shifted(tail, shift), e = exp_of(v);
            sum += e * own;
            tail = KEPT(v, e);
        }
        const COMPUTE_T total = fold_sum(sum, scratch);

#if RESULT == 2
        if (get_local_id(0) == 0) STORE(T, output, row, log(total) + row_largest);
#else
        const COMPUTE_T factor = RESULT == 1 ? log(total) : 1 / total;
        for (k = get_local_id(0); k < full; k += jump) {
#if KEEP
            STORE_VECTOR(T, out, k * inner, FINISH_KEPT(LOAD_VECTOR(T, (__global const T *)out, k * inner), factor));
#else
            STORE_VECTOR(T, out, k * inner, FINISH(shifted(LOAD_VECTOR(T, x, k * gap), shift), factor));
#endif
        }
        if (uneven) store_end(FINISH_KEPT(tail, factor), out, n);
#endif
    }
}
