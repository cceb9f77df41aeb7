// Softmax, log-softmax and log-sum-exp along one axis of a strided view; the output is contiguous.
//
// With m the largest element of a row (all elements along the axis at one place of the other axes):
//   RESULT 0, softmax:     exp(x - m) / sum(exp(x - m))
//   RESULT 1, log-softmax: x - m - log(sum(exp(x - m)))
//   RESULT 2, log-sum-exp: m + log(sum(exp(x - m))), one element a row
// Infinities and NaN behave as the formulas say, save that a log-sum-exp is m where m is infinite.
//
// Two kernels compute the same thing:
//   softmax_rows     a work-group a row, lanes along the axis: for rows that lie together in memory;
//   softmax_columns  a lane a row: for every other axis and stride.
#include "common.h"

// The kernels to compile: both, unless a launcher names one.
#if !defined(SOFTMAX_ROWS) && !defined(SOFTMAX_COLUMNS)
#define SOFTMAX_ROWS
#define SOFTMAX_COLUMNS
#endif

// The stored type and the one that is computed in: half is computed in float.
#ifndef T
#define T float
#endif
#ifndef REAL
#define REAL float
#endif

// Which of the three functions, see above.
#ifndef RESULT
#define RESULT 0
#endif

// Work-items of a group. With 1, a CPU's, a group walks a stretch of neighbouring rows; with more, for which
// WIDTH must be 1, they share a row (softmax_rows) or take neighbouring rows (softmax_columns).
#ifndef LOCAL
#define LOCAL 1
#endif

// softmax_columns: 1 where rows lie side by side in memory, so that one load fetches WIDTH of them, and the most
// vectors of such rows that a work-item takes: enough for whole cache lines.
#ifndef PACKED
#define PACKED 1
#endif
#ifndef TILE
#define TILE 1
#endif

// 1 where the second pass stores what the third one finishes (softmax: exp(x - m), log-softmax: x - m), 0 where
// the third pass computes that again: in half, storing it would round twice.
#if RESULT < 2 && !defined(HALF)
#define KEEP 1
#else
#define KEEP 0
#endif

// Terms that a lane adds before it joins them to its compensated sum: bounds the error of long sums.
#ifndef BLOCK
#define BLOCK 128
#endif

// Vectors of a row that are in flight at once.
#ifndef UNROLL
#define UNROLL 1
#endif

// 1 to compute exp of floats by a polynomial on whole vectors: on CPUs faster than the built-in.
#ifndef OWN_EXP
#define OWN_EXP 0
#endif

#if LOCAL == 1
#define FOR_UNITS(unit, units)                                                                    \
    for (long unit = (units) * get_group_id(0) / get_num_groups(0),                               \
              last_##unit = (units) * (get_group_id(0) + 1) / get_num_groups(0);                  \
         unit < last_##unit; unit++)
#else
#define FOR_UNITS(unit, units) for (long unit = get_global_id(0); unit < (units); unit += get_global_size(0))
#endif

typedef VEC(REAL) vector_t;

#define LOWEST ((REAL)-INFINITY)

#ifdef HALF
#define LOAD(p, i) vload_half(i, p)
#define STORE(v, p, i) vstore_half_rte(v, i, p)
#if WIDTH > 1
#define LOAD_VECTOR(p, i) CAT(vload_half, WIDTH)(0, (p) + (i))
#define STORE_VECTOR(v, p, i) CAT(CAT(vstore_half, WIDTH), _rte)(v, 0, (p) + (i))
#else
#define LOAD_VECTOR LOAD
#define STORE_VECTOR STORE
#endif
#else
typedef VEC(T) loose_t __attribute__((aligned(sizeof(T))));  // a vector at any element
#define LOAD(p, i) (p)[i]
#define STORE(v, p, i) (p)[i] = (v)
#define LOAD_VECTOR(p, i) (*(__global const loose_t *)((p) + (i)))
#define STORE_VECTOR(v, p, i) *(__global loose_t *)((p) + (i)) = (v)
#endif

// The larger of an element and an accumulator. NaN may get lost here: the sum of the exponentials finds it.
#define LARGER(x, m) ((x) > (m) ? (x) : (m))

// exp(x) for x <= 0 or NaN, within 1.5 units in the last place; 0 for -infinity.
inline vector_t exp_of(vector_t x)
{
#if OWN_EXP
    // x = k ln 2 + r with |r| <= ln(2)/2. Adding 1.5 * 2^23 rounds k to an integer in the low bits of `t`.
    // exp(-104) is 0 already; the scale 2^k comes in two factors so that denormals come out right.
    x = x < -104.0f ? -104.0f : x;
    const vector_t t = x * 1.44269504f + 12582912.0f;
    const vector_t k = t - 12582912.0f;
    const vector_t r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
    vector_t p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    const VEC(int) scale = (CAT(as_, VEC(int))(t) << 23) + ((127 + 64) << 23);
    return p * CAT(as_, VEC(REAL))(scale) * 5.42101086e-20f;  // 2^-64
#else
    return exp(x);
#endif
}

// log(x), lane by lane: it is wanted once a row, and some compilers cannot do it on long vectors.
inline vector_t log_of(vector_t x)
{
#if WIDTH > 1
    REAL lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    *(vector_t *)lanes = x;
    for (int i = 0; i < WIDTH; i++) lanes[i] = log(lanes[i]);
    return *(vector_t *)lanes;
#else
    return log(x);
#endif
}

// What the exponentials of a row are taken relative to, given its largest element, and an element so shifted.
// Where a log-sum-exp is infinite, any finite sum of exponentials will do: it is added to the infinity.
#if RESULT == 2
#define SHIFT(m) ((m) == INFINITY || (m) == -INFINITY ? 0 : (m))
inline vector_t shifted(vector_t x, vector_t shift)
{
    x -= shift;
    return x > 0 ? 0 : x;
}
#else
#define SHIFT(m) (m)
#define shifted(x, shift) ((x) - (shift))
#endif

// sum += term, the rounding error collected in `lost` (Kahan).
inline void add_exactly(vector_t *sum, vector_t *lost, vector_t term)
{
    const vector_t corrected = term - *lost;
    const vector_t total = *sum + corrected;
    *lost = (total - *sum) - corrected;
    *sum = total;
}

// Where row `i` begins. `layout` holds `rank` extents, the last varying fastest, then as many strides.
inline long place(__constant const long *layout, const int rank, long i)
{
    long offset = 0;
    for (int d = rank - 1; d > 0; d--) {
        offset += i % layout[d] * layout[rank + d];
        i /= layout[d];
    }
    return offset + i * layout[rank];
}

// An output from what was kept, or from the shifted element, and the log of the sum, or its reciprocal.
#if RESULT == 1
#define KEPT(x, e) x
#define FINISH_KEPT(v, factor) (v) - (factor)
#define FINISH(x, factor) (x) - (factor)
#else
#define KEPT(x, e) e
#define FINISH_KEPT(v, factor) (v) * (factor)
#define FINISH(x, factor) exp_of(x) * (factor)
#endif

// An incomplete vector; the lanes beyond it hold -infinity, whose exponential is 0.
inline vector_t load_rest(__global const T *x, const int count)
{
#if WIDTH > 1
    REAL lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    for (int i = 0; i < WIDTH; i++) lanes[i] = i < count ? LOAD(x, i) : LOWEST;
    return *(vector_t *)lanes;
#else
    return LOWEST;
#endif
}

inline void store_rest(const vector_t v, __global T *out, const int count)
{
#if WIDTH > 1
    REAL lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    *(vector_t *)lanes = v;
    for (int i = 0; i < count; i++) STORE(lanes[i], out, i);
#endif
}

// Vector `t` of `full` whole ones and one of `rest` elements.
inline void store_columns(const vector_t v, __global T *out, const int t, const int full, const int rest)
{
    if (t < full)
        STORE_VECTOR(v, out, t * WIDTH);
    else
        store_rest(v, out + full * WIDTH, rest);
}

#ifdef SOFTMAX_ROWS

#if LOCAL > 1
#define FOLD(name, combine)                                                      \
    inline REAL name(const REAL mine, __local REAL *scratch)                     \
    {                                                                            \
        const int me = get_local_id(0);                                          \
        barrier(CLK_LOCAL_MEM_FENCE);                                            \
        scratch[me] = mine;                                                      \
        barrier(CLK_LOCAL_MEM_FENCE);                                            \
        for (int half_size = LOCAL / 2; half_size > 0; half_size /= 2) {         \
            if (me < half_size) {                                                \
                const REAL x = scratch[me + half_size], m = scratch[me];         \
                scratch[me] = combine;                                           \
            }                                                                    \
            barrier(CLK_LOCAL_MEM_FENCE);                                        \
        }                                                                        \
        return scratch[0];                                                       \
    }
#else
// The fold of a vector's lanes, by halves.
#define FOLD(name, combine)                                                      \
    inline REAL name(const vector_t mine, REAL *scratch)                         \
    {                                                                            \
        *(vector_t *)scratch = mine;                                             \
        for (int half_size = WIDTH / 2; half_size > 0; half_size /= 2)           \
            for (int i = 0; i < half_size; i++) {                                \
                const REAL x = scratch[i + half_size], m = scratch[i];           \
                scratch[i] = combine;                                            \
            }                                                                    \
        return scratch[0];                                                       \
    }
#endif
FOLD(fold_largest, LARGER(x, m))
FOLD(fold_sum, m + x)

#if KEEP
#define KEEP_VECTOR(v, k) STORE_VECTOR(v, out, (k) * inner)
#else
#define KEEP_VECTOR(v, k)
#endif
#define ADD_POWER(k, sum)                                             \
    do {                                                              \
        const vector_t v = shifted(LOAD_VECTOR(x, (k) * gap), shift); \
        const vector_t e = exp_of(v);                                 \
        KEEP_VECTOR(KEPT(v, e), k);                                   \
        sum += e;                                                     \
    } while (0)

// Rows of `n` elements, `step` apart in the input (with WIDTH > 1 it must be 1) and `inner` in the output.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void softmax_rows(__global const T *restrict input, __global T *restrict output,
                  __constant const long *layout, const int rank, const long start,
                  const long rows, const long n, const long step, const long inner)
{
#if LOCAL > 1
    __local REAL scratch[LOCAL];
    const long first = get_group_id(0), last = rows, stride = get_num_groups(0);
#else
    REAL scratch[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    const long groups = get_num_groups(0), group = get_group_id(0), stride = 1;
    const long first = rows * group / groups, last = rows * (group + 1) / groups;
#endif
#if WIDTH > 1
    const long jump = WIDTH, gap = 1;  // from vector to vector, from element to element
#else
    const long jump = LOCAL, gap = step;
#endif
    const long full = n / WIDTH * WIDTH;
    const int rest = n - full;

    for (long row = first; row < last; row += stride) {
        __global const T *x = input + start + place(layout, rank, row);
#if RESULT < 2
        __global T *out = output + (row / inner * n * inner + row % inner);
#endif
        vector_t largest[UNROLL];
        #pragma unroll
        for (int u = 0; u < UNROLL; u++) largest[u] = LOWEST;
        if (rest > 0) largest[0] = load_rest(x + full, rest);
        long k = get_local_id(0);
        for (; k + (UNROLL - 1) * jump < full; k += UNROLL * jump) {
            #pragma unroll
            for (int u = 0; u < UNROLL; u++) {
                const vector_t v = LOAD_VECTOR(x, (k + u * jump) * gap);
                largest[u] = LARGER(v, largest[u]);
            }
        }
        for (; k < full; k += jump) {
            const vector_t v = LOAD_VECTOR(x, k * gap);
            largest[0] = LARGER(v, largest[0]);
        }
        #pragma unroll
        for (int u = 1; u < UNROLL; u++) largest[0] = LARGER(largest[u], largest[0]);
        const REAL row_largest = fold_largest(largest[0], scratch);
        const REAL shift = SHIFT(row_largest);

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
            for (int u = 0; u < UNROLL; u++) add_exactly(&sum, &lost, part[u]);
        }
        if (rest > 0) sum += exp_of(shifted(load_rest(x + full, rest), shift));
        const REAL total = fold_sum(sum, scratch);

#if RESULT == 2
        if (get_local_id(0) == 0) STORE(log(total) + row_largest, output, row);
#else
        const REAL factor = RESULT == 1 ? log(total) : 1 / total;
        for (k = get_local_id(0); k < full; k += jump) {
#if KEEP
            STORE_VECTOR(FINISH_KEPT(LOAD_VECTOR((__global const T *)out, k * inner), factor), out, k * inner);
#else
            STORE_VECTOR(FINISH(shifted(LOAD_VECTOR(x, k * gap), shift), factor), out, k * inner);
#endif
        }
        if (rest > 0) store_rest(FINISH(shifted(load_rest(x + full, rest), shift), factor), out + full, rest);
#endif
    }
}

#endif

#ifdef SOFTMAX_COLUMNS

#if PACKED

// A work-item takes up to `tile` (at most TILE * WIDTH) rows that lie side by side in both arrays, as vectors,
// the last of which may be incomplete. Such rows come in runs of `run`.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void softmax_columns(__global const T *restrict input, __global T *restrict output,
                     __constant const long *layout, const int rank, const long start,
                     const long rows, const long n, const long step, const long inner,
                     const long run, const long tile)
{
    const long tiles = (run + tile - 1) / tile;
    FOR_UNITS(unit, rows / run * tiles) {
        const long column = unit % tiles * tile, row = unit / tiles * run + column;
        const int columns = min((int)tile, (int)(run - column));
        const int full = columns / WIDTH, rest = columns % WIDTH, count = full + (rest > 0);
        __global const T *x = input + start + place(layout, rank, row);
        __global T *out = output + (RESULT == 2 ? row : row / inner * n * inner + row % inner);
#define LOAD_COLUMNS(p, t) ((t) < full ? LOAD_VECTOR(p, (t) * WIDTH) : load_rest((p) + full * WIDTH, rest))
        vector_t largest[TILE], sum[TILE], lost[TILE];
        for (int t = 0; t < count; t++) {
            largest[t] = LOWEST;
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

inline vector_t gather_lanes(__global const T *const *x, const long k)
{
    REAL lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    #pragma unroll
    for (int i = 0; i < WIDTH; i++) lanes[i] = LOAD(x[i], k);
    return *(vector_t *)lanes;
}

inline void scatter_lanes(const vector_t v, __global T *const *out, const long k)
{
    REAL lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    *(vector_t *)lanes = v;
    #pragma unroll
    for (int i = 0; i < WIDTH; i++) STORE(lanes[i], out[i], k);
}

// A work-item takes WIDTH rows that lie anywhere. Lanes beyond the last row do that row once more.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void softmax_columns(__global const T *restrict input, __global T *restrict output,
                     __constant const long *layout, const int rank, const long start,
                     const long rows, const long n, const long step, const long inner)
{
    FOR_UNITS(unit, (rows + WIDTH - 1) / WIDTH) {
        __global const T *x[WIDTH];
        __global T *out[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            const long row = min(unit * WIDTH + i, rows - 1);
            x[i] = input + start + place(layout, rank, row);
            out[i] = output + (RESULT == 2 ? row : row / inner * n * inner + row % inner);
        }
        vector_t largest = LOWEST, sum = 0, lost = 0;
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

#endif
