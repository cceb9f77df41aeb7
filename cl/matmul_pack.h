// How matmul_blocks packs blocks of A and B into local memory, in the order in which its tiles read them.
#ifndef NEEDLE_MATMUL_PACK_H
#define NEEDLE_MATMUL_PACK_H

#include "matmul.h"

// Rows of C that are summed in registers at once, 2 * WIDTH columns wide: 14 where there are 32 vector
// registers, 6 where there are 16, so that two vectors of B and one of A have room beside the sums.
// What remains of a block goes in smaller tiles.
#ifndef TILE_ROWS
#define TILE_ROWS 6
#endif

// The most of `depth` that is packed at once.
#ifndef BLOCK_DEPTH
#define BLOCK_DEPTH 256
#endif

// Elements of the packed block of B: it should stay in the cache of one core.
#ifndef BLOCK_SIZE
#define BLOCK_SIZE 65536
#endif

#define TILE_COLUMNS (2 * WIDTH)
// Rows of A that are packed at once, a strip: a multiple of TILE_ROWS.
#ifndef A_ROWS
#define A_ROWS (5 * TILE_ROWS)
#endif

// Rows of B that are packed at once, and columns of A between one that is packed and one that is fetched from memory: no
// hardware foresees steps as long as a row.
#define ROWS_AT_ONCE 16
#define COLUMNS_AHEAD 32

// A is packed in tiles of TILE_ROWS rows, each element by element as it lies in memory, so that packing never transposes:
// by rows, A_STRIDE apart, or by columns (A_BY_COLUMNS), COLUMN_STRIDE apart. These and the A_TILE between tiles are not
// powers of two, which caches map to few sets; and columns are whole vectors, without which products take a quarter longer
// on Intel's runtime.
#define A_STRIDE (BLOCK_DEPTH + 16)
#define COLUMN_STRIDE ((TILE_ROWS + WIDTH - 1) / WIDTH * WIDTH)
#ifdef A_BY_COLUMNS
#define A_TILE (COLUMN_STRIDE * BLOCK_DEPTH + 16)
#define IN_TILE(i, k) ((k) * COLUMN_STRIDE + (i))
#else
#define A_TILE (TILE_ROWS * A_STRIDE)
#define IN_TILE(i, k) ((i) * A_STRIDE + (k))
#endif

// Packs rows of A in whole vectors as far as that goes, which may be beyond `rows` to the `existing` ones; returns how
// many are packed.
#ifdef A_BY_COLUMNS
long pack_vectors(__local T *to, __global const T *a, const long rows, const long existing, const long depth,
                  const long a_row, const long a_depth)
{
    const long end = a_row == 1 ? min(rows, existing - COLUMN_STRIDE + 1) : 0;
    for (long k = 0; k < depth; k++)
        for (long i = 0; i < end; i += TILE_ROWS) {
            FETCH(a + i + (k + COLUMNS_AHEAD) * a_depth, 2);
            #pragma unroll
            for (int lane = 0; lane < TILE_ROWS; lane += WIDTH)
                *(__local LOOSE(T) *)(to + i / TILE_ROWS * A_TILE + IN_TILE(lane, k)) =
                    *(__global const LOOSE(T) *)(a + i + lane + k * a_depth);
        }
    return end > 0 ? (end + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS : 0;
}
#else
long pack_vectors(__local T *to, __global const T *a, const long rows, const long existing, const long depth,
                  const long a_row, const long a_depth)
{
    const long end = a_depth == 1 ? rows : 0, whole = depth / WIDTH * WIDTH;
    for (long i = 0; i < end; i++) {
        for (long k = 0; k < whole; k += WIDTH)
            *(__local LOOSE(T) *)(to + IN_TILE(i, k)) = *(__global const LOOSE(T) *)(a + i * a_row + k);
        for (long k = whole; k < depth; k++)
            to[IN_TILE(i, k)] = a[i * a_row + k];
    }
    return end;
}
#endif

// Packs the first `rows` of the `existing` rows of A, `depth` long. What the last tile holds below them is multiplied
// but never stored.
void pack_a(__local T *to, __global const T *a, const long rows, const long existing, const long depth,
            const long a_row, const long a_depth)
{
    for (long i = pack_vectors(to, a, rows, existing, depth, a_row, a_depth); i < rows; i++)
        for (long k = 0; k < depth; k++)
            to[i / TILE_ROWS * A_TILE + IN_TILE(i % TILE_ROWS, k)] = a[i * a_row + k * a_depth];
}

#if WIDTH > 1
DEFINE_TRANSPOSE(T)
#endif

// to[i * to_stride + j] = from[i + j * from_stride] for i, j < WIDTH.
FULL_VECTORS
void transpose_square(__local T *to, const long to_stride, __global const T *from, const long from_stride)
{
    vector_t v[WIDTH];
    #pragma unroll
    for (int j = 0; j < WIDTH; j++)
        v[j] = *(__global const LOOSE(T) *)(from + j * from_stride);
#if WIDTH > 1
    CAT(transpose_, T)(v);
#endif
    #pragma unroll
    for (int i = 0; i < WIDTH; i++)
        *(__local LOOSE(T) *)(to + i * to_stride) = v[i];
}

// Where the packed block has row k of column j.
static inline long panel_offset(const long j, const long k, const long depth)
{
    return j / TILE_COLUMNS * TILE_COLUMNS * depth + k * TILE_COLUMNS + j % TILE_COLUMNS;
}

// Packs a block of B as panels of TILE_COLUMNS columns, one after another, zeros beside the last columns.
void pack_b(__local T *to, __global const T *b, const long columns, const long depth,
            const long b_depth, const long b_column)
{
    const long whole = columns / TILE_COLUMNS * TILE_COLUMNS;
    long packed = 0, k = 0;
    if (b_column == 1) {  // a few rows at a time: each is read in order, and of each panel some are written in order
        for (long top = 0; top < depth; top += ROWS_AT_ONCE)
            for (long j = 0; j < whole; j += TILE_COLUMNS)
                for (k = top; k < min(depth, top + ROWS_AT_ONCE); k++)
                    #pragma unroll
                    for (int lane = 0; lane < TILE_COLUMNS; lane += WIDTH)
                        *(__local LOOSE(T) *)(to + j * depth + k * TILE_COLUMNS + lane) =
                            *(__global const LOOSE(T) *)(b + k * b_depth + j + lane);
        packed = whole;
    } else if (b_depth == 1) {
        for (long j = 0; j < whole; j += WIDTH)
            for (k = 0; k + WIDTH <= depth; k += WIDTH)
                transpose_square(to + panel_offset(j, k, depth), TILE_COLUMNS, b + k + j * b_column, b_column);
        for (; k < depth; k++)
            for (long j = 0; j < whole; j++)
                to[panel_offset(j, k, depth)] = b[k * b_depth + j * b_column];
        packed = whole;
    }
    for (long j = packed; j < columns; j += TILE_COLUMNS)
        for (k = 0; k < depth; k++)
            for (long n = 0; n < TILE_COLUMNS; n++)
                to[j * depth + k * TILE_COLUMNS + n] = j + n < columns ? b[k * b_depth + (j + n) * b_column] : (T)0;
}

#endif
