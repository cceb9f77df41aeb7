// What matmul.cl and matmul_vector.cl share: the element type, the vectors of a CPU, the kernels' parameters.
#ifndef NEEDLE_MATMUL_H
#define NEEDLE_MATMUL_H

#include "builtins.h"
#include "common.h"

// The type of elements is T; signed integers come as unsigned ones, since the bits are the same and overflow wraps. The
// kernels for GPUs sum in SUM_T, those for CPUs in T, which must not be narrow then.
#include "types.h"

#define SUM_T SUM_TYPE(T)

// `sum` joined by the product of x and y. One expression, so that compilers contract it to an FMA.
#ifndef ACCUMULATE
#define ACCUMULATE(sum, x, y) sum += (x) * (y)
#endif
// `sum` joined by another sum.
#ifndef JOIN
#define JOIN(sum, x) sum += (x)
#endif

// The type of C, where it is not that of A and B.
#ifndef C_T
#define C_T T
#endif

// The parameters of every kernel. Strides and starts count elements; batch number `i` of `batches` reads A at
// (i / batch_inner) * a_outer + (i % batch_inner) * a_inner, and B likewise.
#define PARAMETERS                                                                            \
    __global const T *restrict a, __global const T *restrict b, __global C_T *restrict c,     \
    const long a_start, const long b_start, const long c_start,                               \
    const long rows, const long columns, const long depth,                                    \
    const long a_row, const long a_depth, const long b_depth, const long b_column,            \
    const long batches, const long batch_inner,                                               \
    const long a_outer, const long a_inner, const long b_outer, const long b_inner

// ON_CPU chooses the kernels for devices whose lanes are a work-item's vectors, not its neighbours.
#ifdef ON_CPU
// Compilers for Intel's CPUs split vectors of 512 bits in two, and run out of registers, unless told not to.
#if defined(__AVX512F__) && defined(__has_attribute)
#if __has_attribute(min_vector_width)
#define FULL_VECTORS __attribute__((min_vector_width(512)))
#endif
#endif
#ifndef FULL_VECTORS
#define FULL_VECTORS
#endif

typedef VEC(T) vector_t;
DEFINE_LOOSE(T)
#endif

#endif
