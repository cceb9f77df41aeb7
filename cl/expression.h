// A fused elementwise expression: how any kernel reads its operands, computes it and writes its results.
//
// The launcher (building/codegen.py) writes the expression as defines:
//   RANK              how many axes are left after merging; the last one is walked in vectors, the others count rows
//   OPERANDS          how many arrays take part; outputs come first
//   PARAMETERS        the kernel's parameters for them: for each array a pointer and the position of its first element
//   MOVE_TO_STARTS    statements that move the pointers to those positions, which an INDEX may be too small for
//   TYPES             DEFINE_ACCESS, DEFINE_INTEGER or DEFINE_FLOAT for each element type that occurs
//   LOAD_FULL         statements that read one vector of each input, from element `column` of the row on
//   LOAD_TAIL         the same for the last `lanes` elements of a row; the lanes beyond them repeat the row's first
//   COMPUTE           statements that compute the outputs; their values are named `result0`, `result1`, ...
//   STORE_FULL, STORE_TAIL   statements that write one vector of each output, or `lanes` elements
// For large results:
//   STREAM_FULL       as STORE_FULL, but past the caches
//   CAN_STREAM        whether the outputs' rows are aligned so that STREAM_FULL may write them
// For `tiles` on a CPU, where the neighbours of an input's elements lie along the rows:
//   BLOCK_TYPES       DEFINE_BLOCK for the element types of such inputs
//   LOAD_BLOCK        statements that read WIDTH rows of such inputs at once
//   LOAD_ROW          as LOAD_FULL, but such inputs' vectors come from row `u` of what LOAD_BLOCK has read
// A value of a bool array is 0 or 1 in an unsigned char. A value of a narrow type (types.h) is kept as it is stored, and
// widened for each operation.
#ifndef NEEDLE_EXPRESSION_H
#define NEEDLE_EXPRESSION_H
#include "builtins.h"
#include "common.h"
#include "layout.h"
#include "types.h"
#include "units.h"

// Each operation is rounded by itself, so that a result does not depend on what it was fused with.
#pragma OPENCL FP_CONTRACT OFF

#include "special.h"

// A vector with a number of scalar type T in every lane. LIT converts any expression to T. REAL takes a decimal literal and
// gives it the precision of T, so that the compiler needs no double for a float.
#define LIT(T, value) ((VEC(T))((T)(value)))
#define REAL(T, value) ((VEC(T))(REAL_##T(value)))
#define REAL_float(value) value##f
#define REAL_double(value) value

// 0 or 1 in an unsigned char, from a condition: true is -1 in each lane of a vector, but 1 as a scalar.
#define BOOL(condition) (CAT(convert_, VEC(uchar))(condition) & (VEC(uchar))(1))

// x where the condition holds, else y. A vector condition must be as wide as T.
#define SELECT(T, condition, x, y) ((CAT(convert_, VEC(MASK(T)))(condition) != LIT(MASK(T), 0)) ? (x) : (y))

// x of the float type S as an integer of type T: cut towards zero, the end of the range beyond it, and 0 for NaN. What a
// conversion gives beyond the range differs from device to device. PAST is the power of two after the range.
#define PAST(S, T) (LIT(S, HIGHEST(T) / 2 + 1) * LIT(S, 2))
#define TO_INTEGER(S, T, x) SELECT(T, (x) >= PAST(S, T), LIT(T, HIGHEST(T)), CAST(T, WITHIN(S, T, x)))
#define WITHIN(S, T, x) (((x) < PAST(S, T)) ? (((x) < LIT(S, LOWEST(T))) ? LIT(S, LOWEST(T)) : (x)) : LIT(S, 0))

// x, hidden from a compiler that reads SPIR: it cannot tell that the value is x, and so applies no rule to it. Mesa's
// compiler replaces 0 * x and 0 / x by 0, and 0 + x by x, if it knows that an operand is 0, as it does of `x ^ x`. Intel's
// replaces sin(x) beside cos(x) by one function for both, which rounds differently. get_work_dim() is at most 3, so that
// the exclusive or changes nothing.
#if defined(__SPIR32__) || defined(__SPIR64__)
#define UNKNOWN(T, x) ((x) ^ LIT(T, get_work_dim() >> 2))
#define UNKNOWN_REAL(T, x) CAT(as_, VEC(T))(UNKNOWN(MASK(T), CAT(as_, VEC(MASK(T)))(x)))
#else
#define UNKNOWN(T, x) (x)
#define UNKNOWN_REAL(T, x) (x)
#endif

// Reading and writing elements of T as they are stored. Lanes beyond a row's end are read from the row's first lane and
// never written.
#define DEFINE_ACCESS(T)                                                                                    \
    DEFINE_LOOSE(T)                                                                                         \
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
#define LOAD_CONTIGUOUS(T, source) (*(__global const LOOSE(T) *)(source))
#define STORE_CONTIGUOUS(T, target, value) *(__global LOOSE(T) *)(target) = (value)

// Reads a square of WIDTH rows and WIDTH columns. Neighbours in memory lie along a column, and columns are `stride` apart.
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

// Integer arithmetic that wraps around, computed in an unsigned type. In C the overflow of a signed integer is undefined: a
// compiler's result could depend on the code around it.
#if WIDTH > 1
#define TO_UNSIGNED(T, x) CAT(as_, VEC(UNSIGNED(T)))(x)
#define FROM_UNSIGNED(T, x) CAT(as_, VEC(T))(x)
#else
#define TO_UNSIGNED(T, x) ((SUM_TYPE(T))(x))
#define FROM_UNSIGNED(T, x) ((T)(x))
#endif
#define WRAP(T, x, operator, y) FROM_UNSIGNED(T, TO_UNSIGNED(T, x) operator TO_UNSIGNED(T, y))

// Division, remainder and powers of integers as NumPy defines them. Division by zero gives 0. A CPU would trap on it, and on
// the one quotient that does not fit (lowest / -1), so both divide by 1 instead. An exclusive or tells whether two signs
// differ: LLVM 15 (Rusticl) crashes on a comparison of the signs of chars that were converted from floats. Powers are
// computed by repeated squaring, and wrap around.
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

// Floor division and remainder of floats with the signs that Python and NumPy give them.
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

// Moves `at` to each operand's first element in row `row`. Rows are counted over all axes but the last.
#define MOVE_TO_ROW(row, at) locate(layout, RANK, RANK - 1, OPERANDS, row, at)

#endif
