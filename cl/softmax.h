// What the kernels of softmax_rows.cl and softmax_columns.cl share: softmax, log-softmax and log-sum-exp along one
// axis of a strided view; the output is contiguous.
//
// With m the largest element of a row (all elements along the axis at one place of the other axes):
//   RESULT 0, softmax:     exp(x - m) / sum(exp(x - m))
//   RESULT 1, log-softmax: x - m - log(sum(exp(x - m)))
//   RESULT 2, log-sum-exp: m + log(sum(exp(x - m))), one element a row
// Infinities and NaN behave as the formulas say, save that a log-sum-exp is m where m is infinite.
#ifndef NEEDLE_SOFTMAX_H
#define NEEDLE_SOFTMAX_H
#include "builtins.h"
#include "common.h"
#include "layout.h"
#include "types.h"

// Which of the three functions, see above.
#ifndef RESULT
#define RESULT 0
#endif

// Where LOCAL is 1, as on a CPU, a work-group walks a stretch of neighbouring rows. Where it is more, WIDTH must be 1, and
// the work-items share a row (softmax_rows) or take neighbouring rows (softmax_columns).
#include "units.h"

// 1 where the second pass stores what the third one finishes (softmax: exp(x - m), log-softmax: x - m), 0 where
// the third pass computes that again: in half, storing it would round twice.
#if RESULT < 2 && !IS_NARROW(T)
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

typedef VEC(COMPUTE_T) vector_t;

// Where a maximum starts.
#define START ((COMPUTE_T)LOWEST(COMPUTE_T))

DEFINE_LOOSE(T)

// The larger of an element and an accumulator. NaN may get lost here: the sum of the exponentials finds it.
#define LARGER(x, m) ((x) > (m) ? (x) : (m))

// exp(x) for x <= 0 or NaN, within 1.5 units in the last place; 0 for -infinity.
static inline vector_t exp_of(vector_t x)
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
    return p * CAT(as_, VEC(COMPUTE_T))(scale) * 5.42101086e-20f;  // 2^-64
#else
    return exp(x);
#endif
}

// log(x), lane by lane: it is wanted once a row, and some compilers cannot do it on long vectors.
static inline vector_t log_of(vector_t x)
{
#if WIDTH > 1
    COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
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
static inline vector_t shifted(vector_t x, vector_t shift)
{
    x -= shift;
    return x > 0 ? 0 : x;
}
#else
#define SHIFT(m) (m)
#define shifted(x, shift) ((x) - (shift))
#endif

// sum += term, the rounding error collected in `lost` (Kahan).
static inline void add_exactly(vector_t *sum, vector_t *lost, vector_t term)
{
    const vector_t corrected = term - *lost;
    const vector_t total = *sum + corrected;
    *lost = (total - *sum) - corrected;
    *sum = total;
}

// Where row `i` begins.
static inline long row_start(__constant const long *layout, const int rank, const long i)
{
    long at[1] = {0};
    locate(layout, rank, rank, 1, i, at);
    return at[0];
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
static inline vector_t load_rest(__global const T *x, const int count)
{
#if WIDTH > 1
    COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    for (int i = 0; i < WIDTH; i++) lanes[i] = i < count ? LOAD(T, x, i) : START;
    return *(vector_t *)lanes;
#else
    return START;
#endif
}

static inline void store_rest(const vector_t v, __global T *out, const int count)
{
#if WIDTH > 1
    COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vector_t))));
    *(vector_t *)lanes = v;
    for (int i = 0; i < count; i++) STORE(T, out, i, lanes[i]);
#endif
}

// Vector `t` of `full` whole ones and one of `rest` elements.
static inline void store_columns(const vector_t v, __global T *out, const int t, const int full, const int rest)
{
    if (t < full)
        STORE_VECTOR(T, out, t * WIDTH, v);
    else
        store_rest(v, out + full * WIDTH, rest);
}

#endif
