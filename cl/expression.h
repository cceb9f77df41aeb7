// How a fused elementwise expression reads its operands, computes and writes, whatever kernel it stands in.
//
// The launcher defines, from the expression:
//   RANK              axes left after merging; the last one is walked in vectors, the others are rows
//   OPERANDS          arrays taking part, outputs first
//   PARAMETERS        the kernel's parameters for them: a pointer and the position of the first element each
//   MOVE_TO_STARTS    statements moving the pointers to those positions: INDEX need not reach so far
//   TYPES             DEFINE_ACCESS, DEFINE_INTEGER or DEFINE_FLOAT for each element type that occurs
//   LOAD_FULL         statements reading one vector of each input at element `column` of the row
//   LOAD_TAIL         the same for the last `lanes` elements of a row; further lanes repeat the first
//   COMPUTE           statements computing the outputs, each named `result0`, `result1`, ...
//   STORE_FULL, STORE_TAIL   statements writing them
//   STREAM_FULL       if results are large: as STORE_FULL, past the caches, where CAN_STREAM holds for the row
// and for `tiles` on a CPU, where inputs' neighbours lie along the rows:
//   BLOCK_TYPES       DEFINE_BLOCK for the element types of those inputs
//   LOAD_BLOCK        statements reading WIDTH rows of such inputs at once, to be taken one by one
//   LOAD_ROW          as LOAD_FULL, with those inputs' vectors from row `u` of what LOAD_BLOCK read
// A value of a bool array is 0 or 1 in an unsigned char.
#ifndef NEEDLE_EXPRESSION_H
#define NEEDLE_EXPRESSION_H
#include "builtins.h"
#include "common.h"

// Each operation is rounded by itself, so that a result does not depend on what it was fused with.
#pragma OPENCL FP_CONTRACT OFF

#include "special.h"

// A literal of scalar type T in every lane; REAL keeps the precision that T has.
#define LIT(T, value) ((VEC(T))((T)(value)))
#define REAL(T, value) ((VEC(T))(REAL_##T(value)))
#define REAL_float(value) value##f
#define REAL_double(value) value

// A comparison is -1 a lane on vectors of the compared width, 1 on scalars: 0 or 1 in a byte either way.
#define BOOL(condition) (CAT(convert_, VEC(uchar))(condition) & (VEC(uchar))(1))
#define CAST(T, x) CAT(convert_, VEC(T))(x)

// The integer type as wide as T, which a vector condition must have.
#define MASK_char char
#define MASK_uchar char
#define MASK_short short
#define MASK_ushort short
#define MASK_int int
#define MASK_uint int
#define MASK_long long
#define MASK_ulong long
#define MASK_half short
#define MASK_float int
#define MASK_double long
#define MASK(T) CAT(MASK_, T)
#define SELECT(T, condition, x, y) ((CAT(convert_, VEC(MASK(T)))(condition) != LIT(MASK(T), 0)) ? (x) : (y))

// x, but nothing that the compiler knows of, if it comes through SPIR. Mesa's takes 0 * x and 0 / x for 0, and 0 + x for x,
// where it knows the 0, as of `x ^ x`; Intel's takes sin(x) and cos(x) together, by a function that rounds otherwise.
// get_work_dim() is at most 3.
#if defined(__SPIR32__) || defined(__SPIR64__)
#define UNKNOWN(T, x) ((x) ^ LIT(T, get_work_dim() >> 2))
#define UNKNOWN_REAL(T, x) CAT(as_, VEC(T))(UNKNOWN(MASK(T), CAT(as_, VEC(MASK(T)))(x)))
#else
#define UNKNOWN(T, x) (x)
#define UNKNOWN_REAL(T, x) (x)
#endif

// Smallest and largest value of a type: where a maximum or a minimum starts.
#define LOWEST(T) CAT(LOWEST_, T)
#define LOWEST_uchar 0
#define LOWEST_ushort 0
#define LOWEST_uint 0
#define LOWEST_ulong 0
#define LOWEST_char CHAR_MIN
#define LOWEST_short SHRT_MIN
#define LOWEST_int INT_MIN
#define LOWEST_long LONG_MIN
#define LOWEST_half -INFINITY
#define LOWEST_float -INFINITY
#define LOWEST_double -INFINITY
#define HIGHEST(T) CAT(HIGHEST_, T)
#define HIGHEST_uchar UCHAR_MAX
#define HIGHEST_ushort USHRT_MAX
#define HIGHEST_uint UINT_MAX
#define HIGHEST_ulong ULONG_MAX
#define HIGHEST_char CHAR_MAX
#define HIGHEST_short SHRT_MAX
#define HIGHEST_int INT_MAX
#define HIGHEST_long LONG_MAX
#define HIGHEST_half INFINITY
#define HIGHEST_float INFINITY
#define HIGHEST_double INFINITY

// Vectors in memory need only the alignment of their elements; a plain dereference of such a type is what
// compilers turn into one unaligned load (vload16 is a call on some). Lanes beyond a row's end are read
// from the row's first lane and never written.
#define DEFINE_ACCESS(T)                                                                                    \
    typedef VEC(T) __attribute__((aligned(sizeof(T)))) CAT(T, _loose);                                      \
    static inline VEC(T) CAT(gather_, T)(__global const T *source, INDEX stride, int lanes) {               \
        union { VEC(T) vector; T lane[WIDTH]; } value;                                                      \
        for (int i = 0; i < WIDTH; i++) value.lane[i] = source[(i < lanes ? i : 0) * stride];               \
        return value.vector;                                                                                \
    }                                                                                                       \
    static inline void CAT(scatter_, T)(__global T *target, INDEX stride, int lanes, VEC(T) vector) {       \
        union { VEC(T) vector; T lane[WIDTH]; } value;                                                      \
        value.vector = vector;                                                                              \
        for (int i = 0; i < lanes; i++) target[i * stride] = value.lane[i];                                 \
    }
#define LOAD_CONTIGUOUS(T, source) (*(__global const CAT(T, _loose) *)(source))
#define STORE_CONTIGUOUS(T, target, value) *(__global CAT(T, _loose) *)(target) = (value)

// Reads WIDTH rows of as many columns, neighbours lying along the rows and columns `stride` apart.
#define DEFINE_BLOCK(T)                                                                                     \
    DEFINE_TRANSPOSE(T)                                                                                     \
    static inline void CAT(read_block_, T)(__global const T *source, INDEX stride, VEC(T) *rows) {          \
        VEC(T) block[WIDTH];                                                                                \
        _Pragma("unroll")                                                                                   \
        for (int i = 0; i < WIDTH; i++) block[i] = LOAD_CONTIGUOUS(T, source + i * stride);                 \
        CAT(transpose_, T)(block);                                                                          \
        _Pragma("unroll")                                                                                   \
        for (int i = 0; i < WIDTH; i++) rows[i] = block[i];                                                 \
    }

// Integer arithmetic that wraps around: overflow of signed integers would be undefined, and what a compiler makes of
// it would depend on what else is in the kernel. Scalars shorter than an int become one before they are multiplied.
#if WIDTH > 1
#define UNSIGNED_char uchar
#define UNSIGNED_uchar uchar
#define UNSIGNED_short ushort
#define UNSIGNED_ushort ushort
#define TO_UNSIGNED(T, x) CAT(as_, VEC(CAT(UNSIGNED_, T)))(x)
#define FROM_UNSIGNED(T, x) CAT(as_, VEC(T))(x)
#else
#define UNSIGNED_char uint
#define UNSIGNED_uchar uint
#define UNSIGNED_short uint
#define UNSIGNED_ushort uint
#define TO_UNSIGNED(T, x) ((CAT(UNSIGNED_, T))(x))
#define FROM_UNSIGNED(T, x) ((T)(x))
#endif
#define UNSIGNED_int uint
#define UNSIGNED_uint uint
#define UNSIGNED_long ulong
#define UNSIGNED_ulong ulong
#define WRAP(T, x, operator, y) FROM_UNSIGNED(T, TO_UNSIGNED(T, x) operator TO_UNSIGNED(T, y))

// Integer arithmetic as Python and NumPy have it. Division by zero gives 0; it and the quotient that does
// not fit (lowest / -1) would trap on a CPU. Whether signs differ is told by an exclusive or: LLVM 15 crashes on
// comparing those of chars that were floats (Rusticl). Powers go by repeated squaring and wrap around.
#define DEFINE_INTEGER(T)                                                                                   \
    static inline VEC(T) CAT(floor_divide_, T)(VEC(T) x, VEC(T) y) {                                        \
        const VEC(T) zero = LIT(T, 0), minus_one = LIT(T, -1), one = LIT(T, 1);                             \
        const VEC(T) safe = ((y == zero) | ((y < zero) & (y == minus_one))) ? one : y;                      \
        const VEC(T) quotient = x / safe;                                                                   \
        const VEC(T) left = x - quotient * safe;                                                            \
        const VEC(T) floored = ((left != zero) & ((left ^ safe) < zero)) ? quotient - one : quotient;       \
        return (y == zero) ? zero : (((y < zero) & (y == minus_one)) ? WRAP(T, zero, -, x) : floored);      \
    }                                                                                                       \
    static inline VEC(T) CAT(remainder_, T)(VEC(T) x, VEC(T) y) {                                           \
        const VEC(T) whole = WRAP(T, CAT(floor_divide_, T)(x, y), *, y);                                    \
        return (y == LIT(T, 0)) ? LIT(T, 0) : WRAP(T, x, -, whole);                                         \
    }                                                                                                       \
    static inline VEC(T) CAT(power_, T)(VEC(T) base, VEC(T) exponent) {                                     \
        const VEC(T) zero = LIT(T, 0), one = LIT(T, 1);                                                     \
        const VEC(T) odd = ((exponent & one) != zero) ? base : one;                                         \
        const VEC(T) minus_one = LIT(T, -1);                                                                \
        const VEC(T) inverse = ((base == one) | ((base == minus_one) & (base < zero))) ? odd : zero;        \
        VEC(T) result = one, square = base;                                                                 \
        for (int bit = 0; bit < 8 * (int)sizeof(T); bit++) {                                                \
            const VEC(T) factor = (((exponent >> LIT(T, bit)) & one) != zero) ? square : one;               \
            result = WRAP(T, result, *, factor);                                                            \
            square = WRAP(T, square, *, square);                                                            \
        }                                                                                                   \
        return (exponent < zero) ? inverse : result;                                                        \
    }

// Floating-point division with Python's signs (NumPy's floor_divide and remainder).
#define DEFINE_FLOAT(T)                                                                                     \
    static inline VEC(T) CAT(remainder_, T)(VEC(T) x, VEC(T) y) {                                           \
        const VEC(T) zero = LIT(T, 0), left = FMOD(T, x, y);                                                \
        const VEC(T) signed_zero = copysign(zero, y);                                                       \
        return (left == zero) ? signed_zero : (((left < zero) ^ (y < zero)) ? left + y : left);             \
    }                                                                                                       \
    static inline VEC(T) CAT(floor_divide_, T)(VEC(T) x, VEC(T) y) {                                        \
        const VEC(T) zero = LIT(T, 0), left = FMOD(T, x, y), whole = (x - left) / y;                        \
        const VEC(T) quotient = ((left != zero) & ((left < zero) ^ (y < zero))) ? whole - LIT(T, 1) : whole;\
        const VEC(T) low = floor(quotient);                                                                 \
        const VEC(T) nearest = (quotient - low > REAL(T, 0.5)) ? low + LIT(T, 1) : low;                     \
        const VEC(T) kept = (quotient == zero) ? copysign(zero, x / y) : nearest;                           \
        return (y == zero) ? x / y : kept;                                                                  \
    }

// Defaults that make a file of this family checkable on its own: one float input copied to one output.
#ifndef RANK
#define RANK 2
#define OPERANDS 2
#define PARAMETERS __global float *restrict out0, const long start0, __global const float *in1, const long start1
#define MOVE_TO_STARTS out0 += start0; in1 += start1;
#define TYPES DEFINE_ACCESS(float) DEFINE_FLOAT(float) DEFINE_ACCESS(int) DEFINE_INTEGER(int)
#define LOAD_FULL const VEC(float) v0 = LOAD_CONTIGUOUS(float, in1 + at[1] + column);
#define LOAD_TAIL const VEC(float) v0 = gather_float(in1 + at[1] + column, 1, lanes);
#define COMPUTE const VEC(float) result0 = v0;
#define STORE_FULL STORE_CONTIGUOUS(float, out0 + at[0] + column, result0);
#define STORE_TAIL scatter_float(out0 + at[0] + column, 1, lanes, result0);
#if WIDTH > 1
#define BLOCK_TYPES DEFINE_BLOCK(float)
#define LOAD_BLOCK VEC(float) block0[WIDTH]; read_block_float(in1 + at[1] + column * COLUMN_STRIDE(1), COLUMN_STRIDE(1), block0);
#define LOAD_ROW const VEC(float) v0 = block0[u];
#endif
#endif

TYPES

// `layout` holds RANK extents, then RANK strides for each operand.
#define EXTENT(axis) ((INDEX)layout[axis])
#define STRIDE(operand, axis) ((INDEX)layout[RANK + (operand) * RANK + (axis)])
#define COLUMN_STRIDE(operand) STRIDE(operand, RANK - 1)

// A work-group's share of `tasks`: a contiguous stretch, since neighbouring tasks read neighbouring memory.
#define FOR_TASKS(task, tasks)                                                                              \
    for (INDEX task = (INDEX)((tasks) * (long)get_group_id(0) / (long)get_num_groups(0)),                   \
               last_##task = (INDEX)((tasks) * ((long)get_group_id(0) + 1) / (long)get_num_groups(0));      \
         task < last_##task; task++)

// The position of each operand's first element in row `row`, rows counted over all axes but the last.
static inline void locate(INDEX row, __constant const long *layout, INDEX *at) {
    for (int axis = RANK - 2; axis >= 0; axis--) {
        const INDEX next = axis ? row / EXTENT(axis) : 0;
        const INDEX position = row - next * EXTENT(axis);
        for (int k = 0; k < OPERANDS; k++) at[k] += position * STRIDE(k, axis);
        row = next;
    }
}

#endif
