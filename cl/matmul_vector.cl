// c = A @ b for a batch of matrices and vectors: A is rows x depth, b depth long, c contiguous.
//
// The product of two matrices where one is a single row or column; limited by the reading of A. Two kernels
// compute the same thing:
//   matvec_blocks  for CPUs: one work-item sums vectors along the axis in which A is contiguous;
//   matvec_tiles   for GPUs: work-items read along that axis side by side and join their sums.
// b is read along b_depth; columns and b_column, parameters of every kernel of the family, have no meaning here.
#include "matmul.h"

#ifdef ON_CPU

// How much of the vector matvec_blocks packs at once, and how many rows it sums side by side in memory, once for
// that part of the vector and once for all: together 24 KiB.
#ifndef VECTOR_SIZE
#define VECTOR_SIZE (16384 / (int)sizeof(T))
#endif
#ifndef SUMS
#define SUMS (4096 / (int)sizeof(T))
#endif
// How many columns of A are added to those sums at once.
#ifndef STREAMS
#define STREAMS 8
#endif

// sums[0..3] = the products of four rows of A, contiguous along the depth, with x.
void dot_rows(T *sums, __global const T *a, const long a_row, __local const T *x, const long depth)
{
    vector_t sum[4][2];
    #pragma unroll
    for (int i = 0; i < 4; i++)
        sum[i][0] = sum[i][1] = (vector_t)(0);
    long k = 0;
    for (; k + 2 * WIDTH <= depth; k += 2 * WIDTH) {
        const vector_t left = *(__local const LOOSE(T) *)(x + k), right = *(__local const LOOSE(T) *)(x + k + WIDTH);
        #pragma unroll
        for (int i = 0; i < 4; i++) {
            ACCUMULATE(sum[i][0], *(__global const LOOSE(T) *)(a + i * a_row + k), left);
            ACCUMULATE(sum[i][1], *(__global const LOOSE(T) *)(a + i * a_row + k + WIDTH), right);
        }
    }
    #pragma unroll
    for (int i = 0; i < 4; i++) {
        vector_t both = sum[i][0];
        JOIN(both, sum[i][1]);
        const T *lanes = (const T *)&both;
        sums[i] = 0;
        for (int n = 0; n < WIDTH; n++)
            JOIN(sums[i], lanes[n]);
        for (long n = k; n < depth; n++)
            ACCUMULATE(sums[i], a[i * a_row + n], x[n]);
    }
}

// sums += the products of `rows` <= SUMS rows of A, contiguous along the rows, with x.
void add_columns(__local T *sums, __global const T *a, const long rows, const long a_depth,
                 __local const T *x, const long depth)
{
    const long whole = rows / WIDTH * WIDTH;
    long k = 0;
    for (; k + STREAMS <= depth; k += STREAMS) {
        __global const T *from = a + k * a_depth;
        vector_t factors[STREAMS];
        #pragma unroll
        for (int n = 0; n < STREAMS; n++)
            factors[n] = (vector_t)(x[k + n]);
        for (long i = 0; i < whole; i += WIDTH) {
            vector_t sum = *(__local LOOSE(T) *)(sums + i);
            #pragma unroll
            for (int n = 0; n < STREAMS; n++)
                ACCUMULATE(sum, *(__global const LOOSE(T) *)(from + i + n * a_depth), factors[n]);
            *(__local LOOSE(T) *)(sums + i) = sum;
        }
        for (long i = whole; i < rows; i++)
            for (int n = 0; n < STREAMS; n++)
                ACCUMULATE(sums[i], from[i + n * a_depth], x[k + n]);
    }
    for (; k < depth; k++)
        for (long i = 0; i < rows; i++)
            ACCUMULATE(sums[i], a[i + k * a_depth], x[k]);
}

// sums[0..rows) += A @ x.
void add_products(__local T *sums, __global const T *a, const long rows, const long a_row,
                  const long a_depth, __local const T *x, const long depth)
{
    if (a_row == 1 && a_depth != 1) {
        add_columns(sums, a, rows, a_depth, x, depth);
        return;
    }
    long i = 0;
    for (; a_depth == 1 && i + 4 <= rows; i += 4) {
        T products[4];
        dot_rows(products, a + i * a_row, a_row, x, depth);
        for (int n = 0; n < 4; n++)
            JOIN(sums[i + n], products[n]);
    }
    for (; a_depth == 1 && i < rows; i++) {
        T products[4];  // four times the same: reading the row is what takes the time
        dot_rows(products, a + i * a_row, 0, x, depth);
        JOIN(sums[i], products[0]);
    }
    for (; i < rows; i++)
        for (long k = 0; k < depth; k++)
            ACCUMULATE(sums[i], a[i * a_row + k * a_depth], x[k]);
}

// The product where B has one column. Work-group g computes an equal share of the units: one of row_blocks
// blocks of rows of a C in the batch.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void matvec_blocks(PARAMETERS, const long row_blocks)
{
    __local T x[VECTOR_SIZE] __attribute__((aligned(128)));
    __local T sums[SUMS] __attribute__((aligned(128))), parts[SUMS] __attribute__((aligned(128)));
    const long units = batches * row_blocks;
    const long last = units * (get_group_id(0) + 1) / get_num_groups(0);
    for (long unit = units * get_group_id(0) / get_num_groups(0); unit < last; unit++) {
        const long batch = unit / row_blocks, row_block = unit % row_blocks;
        const long outer = batch / batch_inner, inner = batch % batch_inner;
        const long bottom = rows * (row_block + 1) / row_blocks;
        __global const T *a_batch = a + a_start + outer * a_outer + inner * a_inner;
        __global const T *b_batch = b + b_start + outer * b_outer + inner * b_inner;
        for (long i = rows * row_block / row_blocks; i < bottom; i += SUMS) {
            const long height = min(bottom - i, (long)SUMS);
            for (long n = 0; n < height; n++)
                sums[n] = 0;
            for (long k = 0; k < depth; k += VECTOR_SIZE) {
                const long length = min(depth - k, (long)VECTOR_SIZE);
                for (long n = 0; n < length; n++)
                    x[n] = b_batch[(k + n) * b_depth];
                // Sums of sums: the error grows with the length of a part and their number, not with the depth.
                for (long n = 0; n < height; n++)
                    parts[n] = 0;
                add_products(parts, a_batch + i * a_row + k * a_depth, height, a_row, a_depth, x, length);
                for (long n = 0; n < height; n++)
                    JOIN(sums[n], parts[n]);
            }
            for (long n = 0; n < height; n++)
                c[c_start + batch * rows + i + n] = sums[n];
        }
    }
}

#else

// Work-items of a work-group, a power of two.
#ifndef ITEMS
#define ITEMS 256
#endif
// Work-items that share the longer way through A in matvec_tiles, and those across it.
#define NEAR (ITEMS < 32 ? ITEMS : 32)
#define FAR (ITEMS / NEAR)

// The product where B has one column. Neighbouring work-items read along the axis of unit stride of A: NEAR sum
// parts of FAR rows, or FAR parts of NEAR rows. Row blocks go fastest, then the batch.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void matvec_tiles(PARAMETERS)
{
    __local SUM_T sums[ITEMS];
    const int item = get_local_id(0);
    const int parts = a_depth == 1 ? NEAR : FAR, height = ITEMS / parts;
    const int part = a_depth == 1 ? item % NEAR : item / NEAR, line = a_depth == 1 ? item / NEAR : item % NEAR;
    const long row_blocks = (rows + height - 1) / height;
    const long batch = get_group_id(0) / row_blocks, row = get_group_id(0) % row_blocks * height + line;
    const long outer = batch / batch_inner, inner = batch % batch_inner;
    a += a_start + outer * a_outer + inner * a_inner + row * a_row;
    b += b_start + outer * b_outer + inner * b_inner;

    SUM_T sum = 0;
    for (long k = part; k < depth && row < rows; k += parts)
        ACCUMULATE(sum, (SUM_T)LOAD(T, a, k * a_depth), (SUM_T)LOAD(T, b, k * b_depth));
    sums[line * parts + part] = sum;
    for (int half_of = parts / 2; half_of > 0; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (part < half_of)
            JOIN(sums[line * parts + part], sums[line * parts + part + half_of]);
    }
    if (part == 0 && row < rows)
        STORE(T, c, c_start + batch * rows + row, sums[line * parts]);
}

#endif
