// Special functions of the kernels' own, where the driver's are calls that take their lanes one by one.
#ifndef NEEDLE_SPECIAL_H
#define NEEDLE_SPECIAL_H
#include "common.h"

#define ERF(T, x) CAT(erf_, T)(x)
#define erf_half(x) erf(x)
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

#endif
