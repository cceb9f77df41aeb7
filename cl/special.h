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

#endif
