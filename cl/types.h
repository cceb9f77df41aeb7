// Element types: what kernels know of them, and how they load and store elements.
//
// A type T goes by the name that building/types.py gives it: of bool that is uchar, of float16 half. A kernel family of one
// element type has T defined by its launcher; fused expressions (expression.h) name a type in each place.
//
// To add a type, add its block to the table below, and a line to building/types.py. A type that OpenCL C does not have also
// needs a typedef of its vectors of WIDTH lanes, a `convert_` function to it, and a STORAGE of its own, as HALF is one.
#ifndef NEEDLE_TYPES_H
#define NEEDLE_TYPES_H
#include "common.h"

#ifndef T
#define T float
#endif

// How elements lie in memory: PLAIN, as their type says, or HALF, narrower than what is computed with.
#define STORAGE(T) CAT(STORAGE_, T)
// The type to compute in. In half, an operation of several steps would lose digits, and many devices cannot.
#define COMPUTE_TYPE(T) CAT(COMPUTE_TYPE_, T)
#define COMPUTE_T COMPUTE_TYPE(T)
// The type in which single elements are added and multiplied, so that integers wrap around: C makes an int of those that are
// shorter, and the overflow of an int is undefined.
#define SUM_TYPE(T) CAT(SUM_TYPE_, T)
// The unsigned integer type of the same size as an integer type.
#define UNSIGNED(T) CAT(UNSIGNED_, T)
// The signed integer type of the same size: comparisons of vectors of T give vectors of it, and selections take them.
#define MASK(T) CAT(MASK_, T)
// The smallest and the largest value: where a maximum or a minimum starts.
#define LOWEST(T) CAT(LOWEST_, T)
#define HIGHEST(T) CAT(HIGHEST_, T)
// The bits of a float's significand, the leading one included.
#define DIGITS(T) CAT(DIGITS_, T)

#define STORAGE_uchar PLAIN
#define COMPUTE_TYPE_uchar uchar
#define SUM_TYPE_uchar uint
#define UNSIGNED_uchar uchar
#define MASK_uchar char
#define LOWEST_uchar 0
#define HIGHEST_uchar UCHAR_MAX

#define STORAGE_ushort PLAIN
#define COMPUTE_TYPE_ushort ushort
#define SUM_TYPE_ushort uint
#define UNSIGNED_ushort ushort
#define MASK_ushort short
#define LOWEST_ushort 0
#define HIGHEST_ushort USHRT_MAX

#define STORAGE_uint PLAIN
#define COMPUTE_TYPE_uint uint
#define SUM_TYPE_uint uint
#define UNSIGNED_uint uint
#define MASK_uint int
#define LOWEST_uint 0
#define HIGHEST_uint UINT_MAX

#define STORAGE_ulong PLAIN
#define COMPUTE_TYPE_ulong ulong
#define SUM_TYPE_ulong ulong
#define UNSIGNED_ulong ulong
#define MASK_ulong long
#define LOWEST_ulong 0
#define HIGHEST_ulong ULONG_MAX

#define STORAGE_char PLAIN
#define COMPUTE_TYPE_char char
#define SUM_TYPE_char uint
#define UNSIGNED_char uchar
#define MASK_char char
#define LOWEST_char CHAR_MIN
#define HIGHEST_char CHAR_MAX

#define STORAGE_short PLAIN
#define COMPUTE_TYPE_short short
#define SUM_TYPE_short uint
#define UNSIGNED_short ushort
#define MASK_short short
#define LOWEST_short SHRT_MIN
#define HIGHEST_short SHRT_MAX

#define STORAGE_int PLAIN
#define COMPUTE_TYPE_int int
#define SUM_TYPE_int uint
#define UNSIGNED_int uint
#define MASK_int int
#define LOWEST_int INT_MIN
#define HIGHEST_int INT_MAX

#define STORAGE_long PLAIN
#define COMPUTE_TYPE_long long
#define SUM_TYPE_long ulong
#define UNSIGNED_long ulong
#define MASK_long long
#define LOWEST_long LONG_MIN
#define HIGHEST_long LONG_MAX

#define STORAGE_half HALF
#define COMPUTE_TYPE_half float
#define SUM_TYPE_half float
#define MASK_half short
#define LOWEST_half -INFINITY
#define HIGHEST_half INFINITY
#define DIGITS_half 11

#define STORAGE_float PLAIN
#define COMPUTE_TYPE_float float
#define SUM_TYPE_float float
#define MASK_float int
#define LOWEST_float -INFINITY
#define HIGHEST_float INFINITY
#define DIGITS_float 24

#define STORAGE_double PLAIN
#define COMPUTE_TYPE_double double
#define SUM_TYPE_double double
#define MASK_double long
#define LOWEST_double -INFINITY
#define HIGHEST_double INFINITY
#define DIGITS_double 53

// 1 where T is computed in a wider type, 0 where it is computed in T itself. Preprocessor conditions may ask it.
#define IS_NARROW(T) CAT(IS_NARROW_, STORAGE(T))
#define IS_NARROW_PLAIN 0
#define IS_NARROW_HALF 1

// A vector of T that may lie at any element. A plain dereference of such a type is what compilers turn into one unaligned
// load (vload16 is a call on some).
#define LOOSE(T) CAT(T, _loose)
#define DEFINE_LOOSE(T) CAT(DEFINE_LOOSE_, STORAGE(T))(T)

// x, a scalar or a vector, converted to T.
#define CAST(T, x) CAT(convert_, VEC(T))(x)
// x, a vector of T as it is stored, in the type to compute in.
#define WIDEN(T, x) CAT(WIDEN_, STORAGE(T))(T, x)

// Element `i` from a pointer on, in the type to compute in; and a value of that type, rounded and stored there.
#define LOAD(T, pointer, i) CAT(LOAD_, STORAGE(T))(T, pointer, i)
#define STORE(T, pointer, i, value) CAT(STORE_, STORAGE(T))(T, pointer, i, value)
// The same for the WIDTH elements from element `i` on, in global memory. They need DEFINE_LOOSE(T).
#define LOAD_VECTOR(T, pointer, i) CAT(LOAD_VECTOR_, STORAGE(T))(T, pointer, i)
#define STORE_VECTOR(T, pointer, i, value) CAT(STORE_VECTOR_, STORAGE(T))(T, pointer, i, value)

// The same for four elements that are aligned as such, with WIDTH 4: one load or store on GPUs, which loose vectors are
// not. DEFINE_LOAD_FOUR(T) makes the function load_four.
#define DEFINE_LOAD_FOUR(T) CAT(DEFINE_LOAD_FOUR_, STORAGE(T))(T)
#define STORE_FOUR(T, pointer, value) CAT(STORE_FOUR_, STORAGE(T))(T, pointer, value)

#define DEFINE_LOOSE_PLAIN(T) typedef VEC(T) __attribute__((aligned(sizeof(T)))) LOOSE(T);
#define WIDEN_PLAIN(T, x) (x)
#define LOAD_PLAIN(T, pointer, i) (pointer)[i]
#define STORE_PLAIN(T, pointer, i, value) (pointer)[i] = (value)
#define LOAD_VECTOR_PLAIN(T, pointer, i) (*(__global const LOOSE(T) *)((pointer) + (i)))
#define STORE_VECTOR_PLAIN(T, pointer, i, value) *(__global LOOSE(T) *)((pointer) + (i)) = (value)

#define DEFINE_LOAD_FOUR_PLAIN(T)                                                                                       \
    static inline VEC(T) load_four(__global const T *from) { return *(__global const VEC(T) *)from; }
#define STORE_FOUR_PLAIN(T, pointer, value) *(__global VEC(T) *)(pointer) = CAST(T, value)

// A device that cannot compute in half has no vectors of halves. It still loads and stores them, converted.
// NVIDIA's compiler can and does not say so; finding/halves.py tries it.
#if defined(cl_khr_fp16) || defined(__NV_CL_C_VERSION)
#define DEFINE_LOOSE_HALF(T) DEFINE_LOOSE_PLAIN(T)
#else
#define DEFINE_LOOSE_HALF(T)
#endif
#define WIDEN_HALF(T, x) CAST(float, x)
// Of vload_half4 compilers make four loads.
#define DEFINE_LOAD_FOUR_HALF(T)                                                                                        \
    static inline float4 load_four(__global const T *from)                                                              \
    {                                                                                                                   \
        const ushort4 bits = *(__global const ushort4 *)from;                                                           \
        const ushort lanes[4] = {bits.s0, bits.s1, bits.s2, bits.s3};                                                   \
        return (float4)(vload_half(0, (const T *)lanes), vload_half(1, (const T *)lanes),                               \
                        vload_half(2, (const T *)lanes), vload_half(3, (const T *)lanes));                              \
    }
#define STORE_FOUR_HALF(T, pointer, value) STORE_VECTOR_HALF(T, pointer, 0, value)
#define LOAD_HALF(T, pointer, i) vload_half(i, pointer)
#define STORE_HALF(T, pointer, i, value) vstore_half_rte(value, i, pointer)
#if WIDTH > 1
#define LOAD_VECTOR_HALF(T, pointer, i) CAT(vload_half, WIDTH)(0, (pointer) + (i))
#define STORE_VECTOR_HALF(T, pointer, i, value) CAT(CAT(vstore_half, WIDTH), _rte)(value, 0, (pointer) + (i))
#else
#define LOAD_VECTOR_HALF LOAD_HALF
#define STORE_VECTOR_HALF STORE_HALF
#endif

#endif
