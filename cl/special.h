// Functions of the kernels' own, where drivers' are calls that take their lanes one by one, or wrong.
#ifndef NEEDLE_SPECIAL_H
#define NEEDLE_SPECIAL_H
#include "common.h"

#define ERF(T, x) CAT(erf_, T)(x)
#define erf_double(x) erf(x)

// The error function as x P(x^2) / Q(x^2), both of degree 5, fitted to the least largest relative error on
// |x| < 3.93, beyond which it rounds to +-1. Within 7 units in the last place; OpenCL asks for 16.
static inline VEC(float) erf_float(VEC(float) x) {
    const VEC(float) one = (VEC(float))(1.0f), edge = (VEC(float))(3.93f);
    const VEC(float) t = x * x;
    VEC(float) p = (VEC(float))(2.041989546341938e-06f);
    p = p * t + 2.8480839682742953e-04f;
    p = p * t + 3.779563819989562e-03f;
    p = p * t + 5.279014632105827e-02f;
    p = p * t + 1.9078263640403748e-01f;
    p = p * t + 1.1283791065216064f;
    VEC(float) q = (VEC(float))(3.8004262023605406e-05f);
    q = q * t + 1.165203284472227e-03f;
    q = q * t + 1.4997345395386219e-02f;
    q = q * t + 1.1425704509019852e-01f;
    q = q * t + 5.024094581604004e-01f;
    q = q * t + 1.0f;
    const VEC(float) y = x * p / q;
    const VEC(float) high = ((x >= edge) | (y > one)) ? one : y;
    return ((x <= -edge) | (y < -one)) ? -one : high;
}

#define FMOD(T, x, y) CAT(fmod_, T)(x, y)
#define fmod_float(x, y) fmod(x, y)

// The remainder of |x| / |y| with the sign of x, exactly: long division of the significands, 11 bits at a time, which
// is what 64 bits hold beside the 53 of a divisor. PoCL 3.1's own lets lanes of NaN or of extreme quotients spoil others.
#ifdef cl_khr_fp64
static inline double fmod_one_double(double x, double y) {
    const ulong fraction = (1UL << 52) - 1, infinity = 0x7ffUL << 52, sign = as_ulong(x) & (1UL << 63);
    const ulong a = as_ulong(fabs(x)), b = as_ulong(fabs(y));
    if (b == 0 || a >= infinity || b > infinity) return NAN;
    if (a < b) return x;
    const int exponent_a = max((int)(a >> 52), 1), exponent = max((int)(b >> 52), 1);  // subnormals have that of 1
    const ulong divisor = (b & fraction) | ((ulong)(b > fraction) << 52);
    ulong left = ((a & fraction) | ((ulong)(a > fraction) << 52)) % divisor;
    for (int bits = exponent_a - exponent; bits > 0 && left != 0; bits -= 11) left = (left << min(bits, 11)) % divisor;
    if (left == 0) return as_double(sign);
    // Shifted up to 53 bits, unless the exponent ends first; a leading bit then adds the 1 that the exponent lacks.
    const int up = min((int)clz(left) - 11, exponent - 1);
    return as_double(sign | ((left << up) + ((ulong)(exponent - up - 1) << 52)));
}

// A function of two vectors that takes them one lane at a time.
#define DEFINE_BY_LANE(name, of_one)                                                                        \
    static inline VEC(double) name(VEC(double) x, VEC(double) y) {                                          \
        union { VEC(double) vector; double lane[WIDTH]; } left = {x}, right = {y};                          \
        for (int i = 0; i < WIDTH; i++) left.lane[i] = of_one(left.lane[i], right.lane[i]);                 \
        return left.vector;                                                                                 \
    }
DEFINE_BY_LANE(fmod_double, fmod_one_double)
DEFINE_BY_LANE(pow_double, pow)  // in PoCL 3.1's own, lanes of NaN, infinity or overflow spoil others
#endif

#define POW(T, x, y) CAT(pow_, T)(x, y)
#define pow_float(x, y) pow(x, y)

// Functions that reach their limits exactly: a gradient multiplies what is left by something that may be huge.
// Beyond the edge a tanh rounds to 1, which not every driver's does.
#define TANH(T, x) ((fabs(x) > (VEC(T))(TANH_EDGE_##T)) ? copysign((VEC(T))(1), x) : tanh(x))
#define TANH_EDGE_float 9.02f
#define TANH_EDGE_double 19.07

// 1 / (1 + exp(-x)), whose exponential must not overflow where the result is still above 0.
#define SIGMOID(T, x) (((x >= (VEC(T))(0)) ? (VEC(T))(1) : exp(x)) / ((VEC(T))(1) + exp(-fabs(x))))
// x times that. The root of the exponential is a normal number where the result is; below the edge the result is 0.
#define SILU(T, x) ((x > (VEC(T))(SILU_EDGE_##T))                                                           \
    ? ((x >= (VEC(T))(0)) ? x : x * exp(x * (VEC(T))(0.5)) * exp(x * (VEC(T))(0.5)))                         \
        / ((VEC(T))(1) + exp(-fabs(x)))                                                                      \
    : ((x != x) ? x : (VEC(T))(-0.0f)))
#define SILU_EDGE_float -110.0f
#define SILU_EDGE_double -760.0

// exp(-a^2 / 2) without the rounding of the square: the square of a's leading bits is exact, and what is left is small.
#define DEFINE_GAUSSIAN(T, BITS, kept)                                                                      \
    static inline VEC(T) CAT(gaussian_, T)(VEC(T) a) {                                                      \
        const VEC(T) one = (VEC(T))(1), high = CAT(as_, VEC(T))(CAT(as_, VEC(BITS))(a) & (VEC(BITS))(kept)); \
        const VEC(T) d = (a - high) * (a + high) * (T)-0.5;                                                 \
        const VEC(T) rest = one + d * (one + d / 2 * (one + d / 3 * (one + d / 4)));                        \
        return exp(high * high * (T)-0.5) * rest;                                                           \
    }

// The upper tail of the normal distribution, for a from 0 to 40, over exp(-a^2 / 2): P((a - k) / (a + k)) / (1 + a). P was
// interpolated at Chebyshev's points, with a relative error of 2e-8 for floats and 2e-17 for doubles.
DEFINE_GAUSSIAN(float, uint, 0xfffff000u)
static inline VEC(float) tail_ratio_float(VEC(float) a) {
    const VEC(float) t = (a - 3.0f) / (a + 3.0f);
    VEC(float) p = (VEC(float))(1.481337418e-6f);
    p = p * t + 5.959884222e-5f;
    p = p * t + 3.168468705e-5f;
    p = p * t + -0.0004737056493f;
    p = p * t + -0.0003612805439f;
    p = p * t + 0.002986433263f;
    p = p * t + 0.001162242735f;
    p = p * t + -0.02272435678f;
    p = p * t + 0.04516376932f;
    p = p * t + -0.01643262383f;
    p = p * t + -0.09652675624f;
    p = p * t + 0.4860557996f;
    return p / (1.0f + a);
}
#ifdef cl_khr_fp64
DEFINE_GAUSSIAN(double, ulong, 0xfffffffff8000000UL)
static inline VEC(double) tail_ratio_double(VEC(double) a) {
    const VEC(double) t = (a - 3.75) / (a + 3.75);
    VEC(double) p = (VEC(double))(2.428027734763524922e-11);
    p = p * t + -5.675912783114276924e-10;
    p = p * t + -1.019671328591813016e-9;
    p = p * t + 4.7696852330820997e-9;
    p = p * t + 1.08111727231095256e-8;
    p = p * t + -1.648624617928665987e-8;
    p = p * t + -6.644525389239449879e-8;
    p = p * t + 6.876415644541828305e-9;
    p = p * t + 2.998676599182401939e-7;
    p = p * t + 2.806484062070565603e-7;
    p = p * t + -1.120354531175607993e-6;
    p = p * t + -2.356925799662031485e-6;
    p = p * t + 3.838366388325611778e-6;
    p = p * t + 0.00001468784364141039851;
    p = p * t + -0.00001488563078509891761;
    p = p * t + -0.00008735865460786909725;
    p = p * t + 0.00009803563455654787449;
    p = p * t + 0.0005211891311315116869;
    p = p * t + -0.001140108126662230305;
    p = p * t + -0.002208087507664229173;
    p = p * t + 0.01448604223408695211;
    p = p * t + -0.0318129445578694681;
    p = p * t + 0.03345059963828890329;
    p = p * t + 0.007859489862812288086;
    p = p * t + -0.09741150479881358391;
    p = p * t + 0.475186245768402726;
    return p / (1.0 + a);
}
#endif

// |x|, but at most 40, where the tail is 0 in any precision: infinity times 0 would be NaN.
#define MAGNITUDE(T, x) ((fabs(x) > (VEC(T))(40)) ? (VEC(T))(40) : fabs(x))
// The normal distribution function Phi(x), and x Phi(x), of which neither tail cancels.
#define DEFINE_NORMAL(T)                                                                                    \
    static inline VEC(T) CAT(ndtr_, T)(VEC(T) x) {                                                          \
        const VEC(T) size = MAGNITUDE(T, x), tail = CAT(gaussian_, T)(size) * CAT(tail_ratio_, T)(size);    \
        return (x > (VEC(T))(0)) ? (VEC(T))(1) - tail : tail;                                               \
    }                                                                                                       \
    static inline VEC(T) CAT(gelu_, T)(VEC(T) x) {                                                          \
        const VEC(T) size = MAGNITUDE(T, x), power = CAT(gaussian_, T)(size), ratio = CAT(tail_ratio_, T)(size); \
        return (x < (VEC(T))(0)) ? -(size * ratio) * power : x * ((VEC(T))(1) - power * ratio);             \
    }
DEFINE_NORMAL(float)
#ifdef cl_khr_fp64
DEFINE_NORMAL(double)
#endif
#define NDTR(T, x) CAT(ndtr_, T)(x)
#define GELU(T, x) CAT(gelu_, T)(x)

#endif
