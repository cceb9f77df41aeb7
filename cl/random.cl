// Random numbers, the same on every device: uniform, normal and Bernoulli, by Philox4x32-10 (Salmon, Moraes,
// Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC11).
//
// The key is the 64-bit seed, low word first. The counter is the number of a block, in the two low words, the
// other two being 0. Block `offset + i / NUMBERS` gives number i, the (i % NUMBERS)-th of the block. So a
// number depends on the seed, the offset and its position, and on nothing else.
//
// Whatever follows the integers is made of operations that IEEE 754 rounds in one way: +, -, * (and in double
// / and sqrt), one in a statement so that no compiler contracts two. No built-in function of one's own vendor
// comes near a number, and a change of the order of operations here changes the numbers: `needle/ops/philox.py`
// does the same operations in NumPy, where the steps are explained.
#include "builtins.h"
#include "common.h"
#include "philox.h"

#pragma OPENCL FP_CONTRACT OFF

// Which numbers: 0 uniform, 1 normal, 2 Bernoulli.
#ifndef KIND
#define KIND 0
#endif

// The type of a number is T (Bernoulli: uchar); it is computed in COMPUTE_T.
#include "types.h"

// 1 where that is double: each number then takes two words instead of one.
#if DIGITS(COMPUTE_T) > 24
#define WIDE 1
#else
#define WIDE 0
#endif

// A work-item makes a batch of blocks as one unit.
#include "units.h"

// Blocks that are made side by side, as ulong lanes: 1, 2, 4 or 8.
#ifndef LANES
#define LANES 1
#endif

// Blocks that a work-item makes at once, a multiple of LANES. On CPUs a batch is large enough for loops over
// its numbers that the compiler turns into vector code.
#ifndef BATCH
#define BATCH LANES
#endif

// Numbers of a block.
#if WIDE
#define NUMBERS 2
#else
#define NUMBERS 4
#endif

#if LANES == 1
typedef ulong counters_t;
typedef ulong2 pairs_t;
#else
typedef CAT(ulong, LANES) counters_t;
#if LANES == 2
typedef ulong4 pairs_t;
#elif LANES == 4
typedef ulong8 pairs_t;
#else
typedef ulong16 pairs_t;
#endif
#endif

// The words of BATCH blocks from number `first` on, under `seed`, in their order.
static inline void philox(const ulong first, const ulong seed, uint *words)
{
    for (int block = 0; block < BATCH; block += LANES) {
        ulong lanes[LANES] __attribute__((aligned(sizeof(counters_t))));
        for (int i = 0; i < LANES; i++) lanes[i] = first + block + i;
        const counters_t number = *(counters_t *)lanes;
        counters_t c0, c1, c2, c3;
        PHILOX_ROUNDS(counters_t, number, seed, c0, c1, c2, c3)
        pairs_t pairs;
        pairs.even = c0 | c1 << 32;
        pairs.odd = c2 | c3 << 32;
        ulong in_order[2 * LANES] __attribute__((aligned(sizeof(pairs_t))));
        *(pairs_t *)in_order = pairs;
        #pragma unroll
        for (int i = 0; i < 2 * LANES; i++) {
            words[4 * block + 2 * i] = (uint)in_order[i];
            words[4 * block + 2 * i + 1] = (uint)(in_order[i] >> 32);
        }
    }
}

// One step of Horner's rule, rounded twice.
#define STEP(y, x, coefficient) \
    y = y * (x);                \
    y = y + (coefficient)

#if KIND == 1

#define FRACTION_BITS DIGITS(COMPUTE_T)
#if WIDE
#define WORD ulong
#define SIGNED long
#define AS_BITS as_ulong
#define AS_REAL as_double
#define WORD_BITS 64
#define EXPONENT_BIAS 1023
#define ROOT_TWO 1.4142135623730951
#define ANGLE_UNIT 8.71967124502158e-17  // pi / 4 * 2^-53
#else
#define WORD uint
#define SIGNED int
#define AS_BITS as_uint
#define AS_REAL as_float
#define WORD_BITS 32
#define EXPONENT_BIAS 127
#define ROOT_TWO 1.41421354f
#define ANGLE_UNIT 4.68133798e-8f  // pi / 4 * 2^-24
#endif

// -2 ln(word / 2^WORD_BITS) of a word, rounded to COMPUTE_T and split into (1 + x) 2^e with sqrt(1/2) < 1 + x <= sqrt(2).
static inline COMPUTE_T minus_two_log(WORD word)
{
    word = word > 1 ? word : 1;
    const int rest_bits = WORD_BITS - FRACTION_BITS;
    COMPUTE_T whole = (COMPUTE_T)(SIGNED)(word >> rest_bits);
    whole = whole * (1 << rest_bits);
    const COMPUTE_T rest = (COMPUTE_T)(SIGNED)(word & ((1 << rest_bits) - 1));
    whole = whole + rest;
    const WORD bits = AS_BITS(whole);
    const WORD one = (WORD)EXPONENT_BIAS << (FRACTION_BITS - 1);
    COMPUTE_T mantissa = AS_REAL((bits & (((WORD)1 << (FRACTION_BITS - 1)) - 1)) | one);
    const int is_large = mantissa > ROOT_TWO;
    mantissa = is_large ? mantissa * (COMPUTE_T)0.5 : mantissa;
    const COMPUTE_T e = (COMPUTE_T)((int)(bits >> (FRACTION_BITS - 1)) - EXPONENT_BIAS - WORD_BITS + is_large);
    const COMPUTE_T x = mantissa - 1;
#if WIDE
    const COMPUTE_T plus_two = x + 2.0;
    const COMPUTE_T s = x / plus_two;
    const COMPUTE_T z = s * s;
    COMPUTE_T y = z * 1.479819860511658591e-1;
    y = y + 1.531383769920937332e-1;
    STEP(y, z, 1.818357216161805012e-1);
    STEP(y, z, 2.222219843214978396e-1);
    STEP(y, z, 2.857142874366239149e-1);
    STEP(y, z, 3.999999999940941908e-1);
    STEP(y, z, 6.666666666666735130e-1);
    y = y * z;
    COMPUTE_T half_square = x * 0.5;
    half_square = half_square * x;
    y = half_square + y;
    y = s * y;
    const COMPUTE_T low = e * 1.90821492927058770002e-10;
    y = y + low;
    y = half_square - y;
    y = y - x;
    const COMPUTE_T high = e * 6.93147180369123816490e-01;
    y = high - y;
    return y * -2.0;
#else
    const COMPUTE_T square = x * x;
    COMPUTE_T y = x * 0.0703768358f;
    y = y + -0.115146101f;
    STEP(y, x, 0.116769984f);
    STEP(y, x, -0.124201410f);
    STEP(y, x, 0.142493233f);
    STEP(y, x, -0.166680574f);
    STEP(y, x, 0.200007141f);
    STEP(y, x, -0.249999940f);
    STEP(y, x, 0.333333313f);
    y = y * x;
    y = y * square;
    const COMPUTE_T low = e * -2.12194442e-4f;
    y = y + low;
    const COMPUTE_T half_square = square * 0.5f;
    y = y - half_square;
    y = x + y;
    const COMPUTE_T high = e * 0.693359375f;
    y = y + high;
    return y * -2.0f;
#endif
}

static inline COMPUTE_T square_root(const COMPUTE_T a)
{
#if WIDE
    return sqrt(a);  // in double, correctly rounded everywhere
#else
    // Newton's iteration for 1 / sqrt(a), from a guess at its bits.
    COMPUTE_T y = as_float(0x5F375A86u - (as_uint(a) >> 1));
    const COMPUTE_T half_a = a * 0.5f;
    #pragma unroll
    for (int i = 0; i < 3; i++) {
        COMPUTE_T t = half_a * y;
        t = t * y;
        t = 1.5f - t;
        y = y * t;
    }
    return a * y;
#endif
}

// Two normal numbers from two words: a radius times the cosine and the sine of an angle, which is a quadrant
// and a place within it.
__attribute__((always_inline))  // a loop that calls cannot become vector code
static inline void normal_pair(const WORD first, const WORD second, COMPUTE_T *one, COMPUTE_T *other)
{
    const WORD quadrant = second >> (WORD_BITS - 2);
    const SIGNED numerator = 2 * ((SIGNED)(second << 2) >> (WORD_BITS - FRACTION_BITS)) + 1;
    const COMPUTE_T x = (COMPUTE_T)numerator * ANGLE_UNIT;
    const COMPUTE_T square = x * x;
#if WIDE
    COMPUTE_T sine = square * 1.58969099521155010221e-10;
    sine = sine + -2.50507602534068634195e-08;
    STEP(sine, square, 2.75573137070700676789e-06);
    STEP(sine, square, -1.98412698298579493134e-04);
    STEP(sine, square, 8.33333333332248946124e-03);
    STEP(sine, square, -1.66666666666666324348e-01);
    COMPUTE_T cosine = square * -1.13596475577881948265e-11;
    cosine = cosine + 2.08757232129817482790e-09;
    STEP(cosine, square, -2.75573143513906633035e-07);
    STEP(cosine, square, 2.48015872894767294178e-05);
    STEP(cosine, square, -1.38888888888741095749e-03);
    STEP(cosine, square, 4.16666666666666019037e-02);
#else
    COMPUTE_T sine = square * -1.95152956e-4f;
    sine = sine + 8.33216030e-3f;
    STEP(sine, square, -0.166666552f);
    COMPUTE_T cosine = square * 2.44331568e-5f;
    cosine = cosine + -1.38873165e-3f;
    STEP(cosine, square, 4.16666456e-2f);
#endif
    sine = sine * square;
    sine = sine * x;
    sine = sine + x;
    cosine = cosine * square;
    cosine = cosine * square;
    const COMPUTE_T half_square = square * (COMPUTE_T)0.5;
    cosine = cosine - half_square;
    cosine = cosine + (COMPUTE_T)1;

    const COMPUTE_T log_part = minus_two_log(first);
    const COMPUTE_T radius = square_root(log_part);
    const COMPUTE_T along = quadrant & 1 ? sine : cosine, across = quadrant & 1 ? cosine : sine;
    *one = radius * ((quadrant + 1) & 2 ? -along : along);
    *other = radius * (quadrant & 2 ? -across : across);
}

#endif

// Word number `i` of a batch as wide as numbers need it.
#if WIDE
#define WORD_AT(i) (words[2 * (i)] | (ulong)words[2 * (i) + 1] << 32)
#else
#define WORD_AT(i) words[i]
#endif

#if KIND != 2
// A number times scale plus shift. Uniform numbers stop at `last`, which is below their upper end.
static inline COMPUTE_T scaled(COMPUTE_T number, const COMPUTE_T scale, const COMPUTE_T shift, const COMPUTE_T last)
{
    number = number * scale;
    number = number + shift;
    return KIND == 0 && number > last ? last : number;
}
#endif

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
#if KIND == 2
void bernoulli(__global T *restrict out, const long size, const ulong seed, const ulong offset,
               const ulong threshold)
#else
void numbers(__global T *restrict out, const long size, const ulong seed, const ulong offset,
             const COMPUTE_T scale, const COMPUTE_T shift, const COMPUTE_T last)
#endif
{
    uint words[4 * BATCH];
    const long per_batch = NUMBERS * BATCH;
    FOR_UNITS(batch, (size + per_batch - 1) / per_batch) {
        philox(offset + batch * BATCH, seed, words);
        __global T *to = out + batch * per_batch;
        const int count = size - batch * per_batch < per_batch ? size - batch * per_batch : per_batch;
#if KIND == 1
        COMPUTE_T made[NUMBERS * BATCH];
        for (int i = 0; i < NUMBERS * BATCH; i += 2)
            normal_pair(WORD_AT(i), WORD_AT(i + 1), &made[i], &made[i + 1]);
#define NUMBER(i) scaled(made[i], scale, shift, last)
#elif KIND == 2
#define NUMBER(i) (words[i] < (uint)threshold) | (int)(threshold >> 32)  // 2^32: always
#elif WIDE
#define NUMBER(i) scaled((COMPUTE_T)(long)(WORD_AT(i) >> 11) * 1.1102230246251565e-16, scale, shift, last)  // 2^-53
#else
#define NUMBER(i) scaled((COMPUTE_T)(int)(WORD_AT(i) >> (32 - DIGITS(T))) * (1.0f / (1 << DIGITS(T))), scale, shift, last)
#endif
#if LOCAL == 1
        for (int i = 0; i < count; i++) STORE(T, to, i, NUMBER(i));
#else
        #pragma unroll
        for (int i = 0; i < NUMBERS * BATCH; i++)
            if (i < count) STORE(T, to, i, NUMBER(i));
#endif
    }
}
