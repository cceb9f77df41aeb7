// OpenCL C's built-in functions, as far as the kernels here use them.
//
// PoCL's compiler reads a header of 18,000 lines with all of them for each program, which takes longer than a small
// program itself. OWN_BUILTINS tells that it was kept from that; the functions are then declared here, as they are there,
// on scalars and on vectors of WIDTH lanes. (Types, constants and as_type() are there in any case.) A file that includes
// this one should find all that it uses here: else it is compiled anew with the driver's header, after a complaint of
// the compiler's on standard error. tools/check_cl.py checks that. See needle/backend/opencl/building/builtins.py.
#ifndef NEEDLE_BUILTINS_H
#define NEEDLE_BUILTINS_H
#include "common.h"

#ifdef OWN_BUILTINS

#define BUILTIN __attribute__((overloadable))
#define BUILTIN_CONST __attribute__((overloadable, const))
#define BUILTIN_PURE __attribute__((overloadable, pure))
#define BUILTIN_CONVERGENT __attribute__((overloadable, convergent))

// DECLARE(name, T) for each such type, as scalars and as vectors.
#if WIDTH == 1
#define BUILTIN_EACH(DECLARE, name, T) DECLARE(name, T)
#else
#define BUILTIN_EACH(DECLARE, name, T) DECLARE(name, T) DECLARE(name, VEC(T))
#endif
#ifdef cl_khr_fp64
#define BUILTIN_FLOATS(DECLARE, name) BUILTIN_EACH(DECLARE, name, float) BUILTIN_EACH(DECLARE, name, double)
#else
#define BUILTIN_FLOATS(DECLARE, name) BUILTIN_EACH(DECLARE, name, float)
#endif
#define BUILTIN_INTEGERS(DECLARE, name)                                                                     \
    BUILTIN_EACH(DECLARE, name, char) BUILTIN_EACH(DECLARE, name, uchar)                                    \
    BUILTIN_EACH(DECLARE, name, short) BUILTIN_EACH(DECLARE, name, ushort)                                  \
    BUILTIN_EACH(DECLARE, name, int) BUILTIN_EACH(DECLARE, name, uint)                                      \
    BUILTIN_EACH(DECLARE, name, long) BUILTIN_EACH(DECLARE, name, ulong)
#define BUILTIN_OF_1(name, T) T BUILTIN_CONST name(T);
#define BUILTIN_OF_2(name, T) T BUILTIN_CONST name(T, T);
#define BUILTIN_OF_3(name, T) T BUILTIN_CONST name(T, T, T);

// -- functions of numbers: of floats, half excepted, which is never computed in -----------------------

BUILTIN_FLOATS(BUILTIN_OF_1, acos)
BUILTIN_FLOATS(BUILTIN_OF_1, acosh)
BUILTIN_FLOATS(BUILTIN_OF_1, asin)
BUILTIN_FLOATS(BUILTIN_OF_1, asinh)
BUILTIN_FLOATS(BUILTIN_OF_1, atan)
BUILTIN_FLOATS(BUILTIN_OF_1, atanh)
BUILTIN_FLOATS(BUILTIN_OF_1, cbrt)
BUILTIN_FLOATS(BUILTIN_OF_1, ceil)
BUILTIN_FLOATS(BUILTIN_OF_1, cos)
BUILTIN_FLOATS(BUILTIN_OF_1, cosh)
BUILTIN_FLOATS(BUILTIN_OF_1, erf)
BUILTIN_FLOATS(BUILTIN_OF_1, erfc)
BUILTIN_FLOATS(BUILTIN_OF_1, exp)
BUILTIN_FLOATS(BUILTIN_OF_1, exp2)
BUILTIN_FLOATS(BUILTIN_OF_1, expm1)
BUILTIN_FLOATS(BUILTIN_OF_1, fabs)
BUILTIN_FLOATS(BUILTIN_OF_1, floor)
BUILTIN_FLOATS(BUILTIN_OF_1, lgamma)
BUILTIN_FLOATS(BUILTIN_OF_1, log)
BUILTIN_FLOATS(BUILTIN_OF_1, log10)
BUILTIN_FLOATS(BUILTIN_OF_1, log1p)
BUILTIN_FLOATS(BUILTIN_OF_1, log2)
BUILTIN_FLOATS(BUILTIN_OF_1, rint)
BUILTIN_FLOATS(BUILTIN_OF_1, round)
BUILTIN_FLOATS(BUILTIN_OF_1, rsqrt)
BUILTIN_FLOATS(BUILTIN_OF_1, sign)
BUILTIN_FLOATS(BUILTIN_OF_1, sin)
BUILTIN_FLOATS(BUILTIN_OF_1, sinh)
BUILTIN_FLOATS(BUILTIN_OF_1, sqrt)
BUILTIN_FLOATS(BUILTIN_OF_1, tan)
BUILTIN_FLOATS(BUILTIN_OF_1, tanh)
BUILTIN_FLOATS(BUILTIN_OF_1, tgamma)
BUILTIN_FLOATS(BUILTIN_OF_1, trunc)
BUILTIN_FLOATS(BUILTIN_OF_2, atan2)
BUILTIN_FLOATS(BUILTIN_OF_2, copysign)
BUILTIN_FLOATS(BUILTIN_OF_2, fdim)
BUILTIN_FLOATS(BUILTIN_OF_2, fmax)
BUILTIN_FLOATS(BUILTIN_OF_2, fmin)
BUILTIN_FLOATS(BUILTIN_OF_2, fmod)
BUILTIN_FLOATS(BUILTIN_OF_2, hypot)
BUILTIN_FLOATS(BUILTIN_OF_2, max)
BUILTIN_FLOATS(BUILTIN_OF_2, min)
BUILTIN_FLOATS(BUILTIN_OF_2, nextafter)
BUILTIN_FLOATS(BUILTIN_OF_2, pow)
BUILTIN_FLOATS(BUILTIN_OF_2, remainder)
BUILTIN_FLOATS(BUILTIN_OF_3, clamp)
BUILTIN_FLOATS(BUILTIN_OF_3, fma)
BUILTIN_FLOATS(BUILTIN_OF_3, mad)
BUILTIN_INTEGERS(BUILTIN_OF_1, clz)
BUILTIN_INTEGERS(BUILTIN_OF_1, popcount)
BUILTIN_INTEGERS(BUILTIN_OF_2, max)
BUILTIN_INTEGERS(BUILTIN_OF_2, min)
BUILTIN_INTEGERS(BUILTIN_OF_3, clamp)

// -- conversions between all types ----------------------------------------------------------------------

#ifdef cl_khr_fp64
#define BUILTIN_FROM_DOUBLE(T, name, FORM) T BUILTIN_CONST name(FORM(double));
#else
#define BUILTIN_FROM_DOUBLE(T, name, FORM)
#endif
#ifdef cl_khr_fp16
#define BUILTIN_FROM_HALF(T, name, FORM) T BUILTIN_CONST name(FORM(half));
#else
#define BUILTIN_FROM_HALF(T, name, FORM)
#endif
#define BUILTIN_SCALAR(T) T
#define BUILTIN_FROM_ALL(T, name, FORM)                                                                     \
    T BUILTIN_CONST name(FORM(char));                                                                       \
    T BUILTIN_CONST name(FORM(uchar));                                                                      \
    T BUILTIN_CONST name(FORM(short));                                                                      \
    T BUILTIN_CONST name(FORM(ushort));                                                                     \
    T BUILTIN_CONST name(FORM(int));                                                                        \
    T BUILTIN_CONST name(FORM(uint));                                                                       \
    T BUILTIN_CONST name(FORM(long));                                                                       \
    T BUILTIN_CONST name(FORM(ulong));                                                                      \
    T BUILTIN_CONST name(FORM(float));                                                                      \
    BUILTIN_FROM_DOUBLE(T, name, FORM)                                                                      \
    BUILTIN_FROM_HALF(T, name, FORM)
#if WIDTH == 1
#define BUILTIN_CONVERT(T) BUILTIN_FROM_ALL(T, convert_##T, BUILTIN_SCALAR)
#else
#define BUILTIN_CONVERT(T)                                                                                  \
    BUILTIN_FROM_ALL(T, convert_##T, BUILTIN_SCALAR)                                                        \
    BUILTIN_FROM_ALL(VEC(T), VEC(convert_##T), VEC)
#endif
BUILTIN_CONVERT(char)
BUILTIN_CONVERT(uchar)
BUILTIN_CONVERT(short)
BUILTIN_CONVERT(ushort)
BUILTIN_CONVERT(int)
BUILTIN_CONVERT(uint)
BUILTIN_CONVERT(long)
BUILTIN_CONVERT(ulong)
BUILTIN_CONVERT(float)
#ifdef cl_khr_fp64
BUILTIN_CONVERT(double)
#endif
#ifdef cl_khr_fp16
BUILTIN_CONVERT(half)
#endif

// -- halves in memory, which every device loads and stores ----------------------------------------------

#define BUILTIN_LOAD_HALF(space)                                                                            \
    float BUILTIN_PURE vload_half(size_t, const space half *);
#define BUILTIN_STORE_HALF(space)                                                                           \
    void BUILTIN vstore_half(float, size_t, space half *);                                                  \
    void BUILTIN vstore_half_rte(float, size_t, space half *);
#define BUILTIN_LOAD_HALVES(space)                                                                          \
    VEC(float) BUILTIN_PURE VEC(vload_half)(size_t, const space half *);
#define BUILTIN_STORE_HALVES(space)                                                                         \
    void BUILTIN VEC(vstore_half)(VEC(float), size_t, space half *);                                        \
    void BUILTIN CAT(VEC(vstore_half), _rte)(VEC(float), size_t, space half *);
BUILTIN_LOAD_HALF(__constant)
BUILTIN_LOAD_HALF(__global)
BUILTIN_LOAD_HALF(__local)
BUILTIN_LOAD_HALF(__private)
BUILTIN_STORE_HALF(__global)
BUILTIN_STORE_HALF(__local)
BUILTIN_STORE_HALF(__private)
#if WIDTH > 1
BUILTIN_LOAD_HALVES(__constant)
BUILTIN_LOAD_HALVES(__global)
BUILTIN_LOAD_HALVES(__local)
BUILTIN_LOAD_HALVES(__private)
BUILTIN_STORE_HALVES(__global)
BUILTIN_STORE_HALVES(__local)
BUILTIN_STORE_HALVES(__private)
#endif

// -- work-items, barriers, atomics ------------------------------------------------------------------------

uint BUILTIN_CONST get_work_dim(void);
size_t BUILTIN_CONST get_global_size(uint);
size_t BUILTIN_CONST get_global_id(uint);
size_t BUILTIN_CONST get_global_offset(uint);
size_t BUILTIN_CONST get_local_size(uint);
size_t BUILTIN_CONST get_local_id(uint);
size_t BUILTIN_CONST get_num_groups(uint);
size_t BUILTIN_CONST get_group_id(uint);

void BUILTIN_CONVERGENT barrier(cl_mem_fence_flags);
void BUILTIN mem_fence(cl_mem_fence_flags);
void BUILTIN read_mem_fence(cl_mem_fence_flags);
void BUILTIN write_mem_fence(cl_mem_fence_flags);

#define BUILTIN_ATOMICS(space, T)                                                                           \
    T BUILTIN atomic_xchg(volatile space T *, T);                                                           \
    T BUILTIN atomic_add(volatile space T *, T);                                                            \
    T BUILTIN atomic_or(volatile space T *, T);                                                             \
    T BUILTIN atomic_inc(volatile space T *);                                                               \
    T BUILTIN atomic_dec(volatile space T *);
BUILTIN_ATOMICS(__global, int)
BUILTIN_ATOMICS(__global, uint)
BUILTIN_ATOMICS(__local, int)
BUILTIN_ATOMICS(__local, uint)

#endif
#endif  // NEEDLE_BUILTINS_H
