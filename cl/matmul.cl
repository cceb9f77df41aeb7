// C = A @ B for a batch of matrices: A is rows x depth, B depth x columns, C contiguous.
//
// A and B are strided views of any kind. Two kernels compute the same thing:
//   matmul_blocks  for CPUs: one work-item packs a block of B, then multiplies it tile by tile in vectors;
//   matmul_tiles   for GPUs: a work-group stages square tiles in local memory, a work-item sums MICRO x MICRO;
//                  for what matmul_registers.cl, which is faster, does not take.
#include "matmul.h"

#ifdef ON_CPU
#include "matmul_pack.h"

#define MIDDLE_ROWS (TILE_ROWS > 8 ? 8 : 4)
#define SMALL_ROWS (TILE_ROWS > 8 ? 4 : 2)

// How often a work-group takes units, on average, at most: of many small ones it takes several at once.
#define TAKES 64

// Writes, or joins, the sums of a tile to C[rows, columns].
void store_tile(const vector_t *sums, __global T *c, const long c_row, const long rows, const long columns,
                const int join)
{
    for (long i = 0; i < rows; i++, c += c_row, sums += 2) {
        vector_t sum[2] = {sums[0], sums[1]};
        if (columns >= TILE_COLUMNS) {
            __global LOOSE(T) *to = (__global LOOSE(T) *)c;
            if (join) {
                JOIN(sum[0], to[0]);
                JOIN(sum[1], to[1]);
            }
            to[0] = sum[0];
            to[1] = sum[1];
        } else {
            const T *values = (const T *)sums;
            for (long j = 0; j < columns; j++) {
                T value = values[j];
                if (join)
                    JOIN(value, c[j]);
                c[j] = value;
            }
        }
    }
}

// Defines a function that computes C[rows, columns] = or += packed A @ a packed panel in one register tile of
// HEIGHT x TILE_COLUMNS sums. A macro, because compilers unroll only what is constant from the outset.
#define DEFINE_TILE(NAME, HEIGHT)                                                                               \
FULL_VECTORS void NAME(                                                                                         \
                 __local const T *a, __local const T *b, const long depth,                                      \
                 __global T *c, const long c_row, const long rows, const long columns, const int join)          \
{                                                                                                               \
    vector_t sum[HEIGHT][2];                                                                                    \
    _Pragma("unroll")                                                                                           \
    for (int i = 0; i < HEIGHT; i++)                                                                            \
        sum[i][0] = sum[i][1] = (vector_t)(0);                                                                  \
    _Pragma("unroll")                                                                                           \
    for (int i = 0; i < HEIGHT; i++) { /* for the end of this, when they would be waited for */                 \
        FETCH(c + i * c_row, 3);                                                                                \
        FETCH(c + i * c_row + WIDTH, 3);                                                                        \
    }                                                                                                           \
    for (long k = 0; k < depth; k++) {                                                                          \
        const vector_t left = *(__local const LOOSE(T) *)(b + k * TILE_COLUMNS);                                \
        const vector_t right = *(__local const LOOSE(T) *)(b + k * TILE_COLUMNS + WIDTH);                       \
        _Pragma("unroll")                                                                                       \
        for (int i = 0; i < HEIGHT; i++) {                                                                      \
            const vector_t x = (vector_t)(a[IN_TILE(i, k)]);                                                    \
            ACCUMULATE(sum[i][0], x, left);                                                                     \
            ACCUMULATE(sum[i][1], x, right);                                                                    \
        }                                                                                                       \
    }                                                                                                           \
    vector_t sums[HEIGHT * 2]; /* in memory, where the others stay in registers */                              \
    _Pragma("unroll")                                                                                           \
    for (int i = 0; i < HEIGHT; i++) {                                                                          \
        sums[2 * i] = sum[i][0];                                                                                \
        sums[2 * i + 1] = sum[i][1];                                                                            \
    }                                                                                                           \
    store_tile(sums, c, c_row, min(rows, (long)HEIGHT), columns, join);                                         \
}

DEFINE_TILE(large_tile, TILE_ROWS)
DEFINE_TILE(middle_tile, MIDDLE_ROWS)
DEFINE_TILE(small_tile, SMALL_ROWS)

// C[rows, columns] = or += packed A @ a packed panel.
void multiply_panel(__local const T *a, __local const T *panel, const long depth,
                    __global T *c, const long c_row, const long rows, const long columns,
                    const int join)
{
    long i = 0;
    for (; rows - i > MIDDLE_ROWS; i += TILE_ROWS, a += A_TILE)
        large_tile(a, panel, depth, c + i * c_row, c_row, rows - i, columns, join);
    if (rows - i > SMALL_ROWS)
        middle_tile(a, panel, depth, c + i * c_row, c_row, rows - i, columns, join);
    else if (rows > i)
        small_tile(a, panel, depth, c + i * c_row, c_row, rows - i, columns, join);
}

// Where a block starts if `count` are cut as evenly as can be; the first blocks are the longer ones.
static inline long start_of(const long block, const long blocks, const long count)
{
    return (count * block + blocks - 1) / blocks;
}

// Computes units: blocks of a C of the batch, which is cut into row_blocks x column_blocks; rows go fastest, then columns.
// The depth is summed `block_depth` at a time. Work-groups take the next few units when they are done with the last, so
// that one that starts late or is interrupted computes less. `taken` counts what was taken and the groups that are done;
// it is zeros before and after.
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void matmul_blocks(PARAMETERS, const long row_blocks, const long column_blocks, const long block_depth,
                   volatile __global int *taken)
{
    __local T packed_b[BLOCK_SIZE] __attribute__((aligned(128)));
    __local T packed_a[A_ROWS / TILE_ROWS * A_TILE] __attribute__((aligned(128)));
    const long tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const long panels = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const long units = batches * row_blocks * column_blocks;
    const long few = 1 + units / ((long)get_num_groups(0) * TAKES);
    long unit = 0, end = 0;
    // What packed_a and packed_b hold.
    __global const T *a_packed = 0, *b_packed = 0;
    long packed_height = 0, packed_width = 0, packed_length = 0;

    while (true) {
        if (unit == end) {
            unit = few * atomic_inc(taken);
            end = min(units, unit + few);
        }
        if (unit >= units)
            break;
        const long row_block = unit % row_blocks;
        const long column_block = unit / row_blocks % column_blocks;
        const long batch = unit / row_blocks / column_blocks;
        const long top = start_of(row_block, row_blocks, tiles) * TILE_ROWS;
        const long bottom = min(rows, start_of(row_block + 1, row_blocks, tiles) * TILE_ROWS);
        const long left = start_of(column_block, column_blocks, panels) * TILE_COLUMNS;
        const long right = min(columns, start_of(column_block + 1, column_blocks, panels) * TILE_COLUMNS);
        const long outer = batch / batch_inner, inner = batch % batch_inner;
        __global const T *a_batch = a + a_start + outer * a_outer + inner * a_inner;
        __global const T *b_batch = b + b_start + outer * b_outer + inner * b_inner;
        __global T *c_batch = c + c_start + batch * rows * columns;
        long k = 0;
        do {  // once even if there is no depth: the product is zeros then
            const long length = min(block_depth, depth - k);
            const bool other_length = length != packed_length;
            __global const T *b_block = b_batch + left * b_column + k * b_depth;
            if (b_block != b_packed || right - left != packed_width || other_length)
                pack_b(packed_b, b_block, right - left, length, b_depth, b_column);
            for (long i = top; i < bottom; i += A_ROWS) {
                const long height = min(bottom - i, (long)A_ROWS);
                __global const T *a_block = a_batch + i * a_row + k * a_depth;
                if (a_block != a_packed || height != packed_height || other_length)
                    pack_a(packed_a, a_block, height, rows - i, length, a_row, a_depth);
                a_packed = a_block;
                packed_height = height;
                for (long j = left; j < right; j += TILE_COLUMNS)
                    multiply_panel(packed_a, packed_b + (j - left) * length, length,
                                   c_batch + i * columns + j, columns, height, right - j, k > 0);
            }
            b_packed = b_block;
            packed_width = right - left;
            packed_length = length;
            k += length;
        } while (k < depth);
        unit++;
    }
    mem_fence(CLK_GLOBAL_MEM_FENCE);  // the last group to be done must see all that was taken
    if (atomic_inc(taken + 1) == (int)get_num_groups(0) - 1) {
        atomic_xchg(taken, 0);
        atomic_xchg(taken + 1, 0);
    }
}

#else

// Work-items along each side of a work-group, and sums along each side of a work-item's share.
#ifndef GROUP
#define GROUP 16
#endif
#ifndef MICRO
#define MICRO 4
#endif
// How much of the depth is staged at once.
#ifndef STEP
#define STEP 16
#endif

#define TILE (GROUP * MICRO)
#define ITEMS (GROUP * GROUP)

// Stages TILE x STEP elements as [k][line]; `lines` and `depth` say how many exist, zeros stand for the others.
// Neighbouring work-items read along the axis of unit stride.
void stage(__local SUM_T to[STEP][TILE + 1], __global const T *from, const long lines, const long depth,
           const long line_stride, const long depth_stride)
{
    for (int n = get_local_id(0); n < TILE * STEP; n += ITEMS) {
        const int line = depth_stride == 1 ? n / STEP : n % TILE;
        const int k = depth_stride == 1 ? n % STEP : n / TILE;
        to[k][line] = line < lines && k < depth ? LOAD(T, from, line * line_stride + k * depth_stride) : (SUM_T)0;
    }
}

// Work-group g computes one TILE x TILE tile of C; columns of tiles go fastest, then rows, then the batch.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void matmul_tiles(PARAMETERS)
{
    __local SUM_T a_tile[STEP][TILE + 1], b_tile[STEP][TILE + 1];
    const long tile_rows = (rows + TILE - 1) / TILE, tile_columns = (columns + TILE - 1) / TILE;
    const long group = get_group_id(0);
    const long j = group % tile_columns * TILE;
    const long i = group / tile_columns % tile_rows * TILE;
    const long batch = group / tile_columns / tile_rows;
    const long outer = batch / batch_inner, inner = batch % batch_inner;
    // Made an int before it is divided: a quotient of size_t, cut to int, Intel's vectorizer computes wrongly.
    const int item = get_local_id(0);
    const int y = item / GROUP, x = item % GROUP;
    a += a_start + outer * a_outer + inner * a_inner + i * a_row;
    b += b_start + outer * b_outer + inner * b_inner + j * b_column;
    c += c_start + (batch * rows + i) * columns + j;

    SUM_T sum[MICRO][MICRO];
    #pragma unroll
    for (int m = 0; m < MICRO * MICRO; m++)
        sum[m / MICRO][m % MICRO] = 0;
    for (long k = 0; k < depth; k += STEP) {
        stage(a_tile, a + k * a_depth, rows - i, depth - k, a_row, a_depth);
        stage(b_tile, b + k * b_depth, columns - j, depth - k, b_column, b_depth);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int s = 0; s < STEP; s++) {
            #pragma unroll
            for (int m = 0; m < MICRO; m++)
                #pragma unroll
                for (int n = 0; n < MICRO; n++)
                    ACCUMULATE(sum[m][n], a_tile[s][y + m * GROUP], b_tile[s][x + n * GROUP]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    #pragma unroll
    for (int m = 0; m < MICRO; m++)
        #pragma unroll
        for (int n = 0; n < MICRO; n++)
            if (y + m * GROUP < rows - i && x + n * GROUP < columns - j)
                STORE(T, c, (y + m * GROUP) * columns + x + n * GROUP, sum[m][n]);
}

#endif
