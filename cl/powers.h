// Powers of 2 on whole vectors, for kernels whose exponentials only need be as exact as a float.
#ifndef NEEDLE_POWERS_H
#define NEEDLE_POWERS_H
#include "builtins.h"
#include "common.h"
#include "types.h"

// 1 to compute powers of floats by a polynomial: on CPUs faster than the built-in.
#ifndef OWN_EXP
#define OWN_EXP 0
#endif

// 2^x for x <= 127 or NaN; of floats by the polynomial within 1.3e-7, and 0 below -126.5.
static inline VEC(COMPUTE_T) exp2_of(VEC(COMPUTE_T) x)
{
#if OWN_EXP
    x = x < -127.0f ? -127.0f : x;
    const VEC(COMPUTE_T) t = x + (12582912.0f + 127.0f);
    const VEC(COMPUTE_T) r = x - (t - (12582912.0f + 127.0f));
    VEC(COMPUTE_T) p = r * 1.326472712e-03f + 9.671512645e-03f;
    p = p * r + 5.550733743e-02f;
    p = p * r + 2.402224209e-01f;
    p = p * r + 6.931469776e-01f;
    p = p * r + 1.0f;
    return p * CAT(as_, VEC(COMPUTE_T))(CAT(as_, VEC(int))(t) << 23);
#else
    return exp2(x);
#endif
}

#endif
