// C = A @ B for a batch of matrices, on GPUs: a work-item sums MY x MX elements of C in its registers.
//
// A work-group of GX x GY work-items computes a tile of C, of GY * MY rows and GX * MX columns. It goes through the depth
// in steps of STEP, which it stages in local memory as [depth][line], in two buffers: while a step is multiplied, the next
// one is fetched to registers; so there is one barrier a step. A hardware thread's reads of local memory are whole vectors.
//
// A and B are strided views of any kind. How each is read is known when the kernel is compiled (A_MODE, B_MODE):
//   0  four neighbouring lines at once: unit stride across the depth, everything a multiple of four elements
//   1  four along the depth at once: unit stride along it, everything a multiple of four elements
//   2  one by one, neighbouring work-items along the lines
//   3  one by one, neighbouring work-items along the depth
// Offsets inside a tile fit into an int; the launcher sees to that.
//
// Where tiles are few, the depth is cut into `slices`, each by work-groups of its own, whose sums matmul_join adds up.
#undef WIDTH
#define WIDTH 4
#define C_T RESULT_T
#ifndef SLICED
#define SLICED 0
#endif
#if SLICED
#define RESULT_T SUM_T
#else
#define RESULT_T T
#endif
#include "matmul.h"

#ifndef A_MODE
#define A_MODE 1
#endif
#ifndef B_MODE
#define B_MODE 0
#endif
// Whether the rows of C are whole vectors of four, aligned as such.
#ifndef C_QUADS
#define C_QUADS 1
#endif
// Work-items along the columns and the rows of a tile: GX a multiple of 8, GY of 4.
#ifndef GX
#define GX 16
#define GY 16
#endif
// Columns and rows of C that a work-item sums, multiples of 4.
#ifndef MX
#define MX 8
#define MY 8
#endif
// How much of the depth is staged at once.
#ifndef STEP
#define STEP 8
#endif
// Depths whose reads of local memory are in flight together: this bounds the registers that compilers for AMD take.
#ifndef AHEAD
#define AHEAD 4
#endif

#define ITEMS (GX * GY)
#define TILE_N (GX * MX)
#define TILE_M (GY * MY)
// Rows of a staged step lie further apart than they are long, so that stores of a column do not meet in one bank.
#define PITCH_A (TILE_M + 4)
#define PITCH_B (TILE_N + 4)
// Vectors of a step that each work-item fetches.
#define A_FETCHES (TILE_M * STEP / 4 / ITEMS)
#define B_FETCHES (TILE_N * STEP / 4 / ITEMS)
#if TILE_M * STEP % (4 * ITEMS) || TILE_N * STEP % (4 * ITEMS) || GX % 8 || GY % 4 || MX % 4 || MY % 4
#error "every work-item must fetch whole vectors"
#endif

typedef VEC(SUM_T) sums_t;
#define TEXT_(x) #x
#define UNROLL_BY_(n) _Pragma(TEXT_(unroll n))
#define UNROLL_BY(n) UNROLL_BY_(n)

DEFINE_LOAD_FOUR(T)
#define LOAD_SUMS(from) CAST(SUM_T, load_four(from))
#define LOAD_ONE(from) (SUM_T)LOAD(T, from, 0)
#if SLICED
#define PUT_FOUR(to, v) *(__global sums_t *)(to) = (v)
#define PUT_ONE(to, v) *(to) = (v)
#else
#define PUT_FOUR(to, v) STORE_FOUR(T, to, v)
#define PUT_ONE(to, v) STORE(T, to, 0, v)
#endif

// Where element `e` of the fetch `n` of a work-item stands in a step.
#define LINE_OF(mode, tile, n, e)                                                                               \
    ((mode) == 0 ? ((n) * ITEMS + item) % ((tile) / 4) * 4 + (e)                                                \
     : (mode) == 1 ? ((n) * ITEMS + item) / (STEP / 4)                                                          \
     : (mode) == 2 ? ((4 * (n) + (e)) * ITEMS + item) % (tile)                                                  \
                   : ((4 * (n) + (e)) * ITEMS + item) / STEP)
#define DEPTH_OF(mode, tile, n, e)                                                                              \
    ((mode) == 0 ? ((n) * ITEMS + item) / ((tile) / 4)                                                          \
     : (mode) == 1 ? ((n) * ITEMS + item) % (STEP / 4) * 4 + (e)                                                \
     : (mode) == 2 ? ((4 * (n) + (e)) * ITEMS + item) / (tile)                                                  \
                   : ((4 * (n) + (e)) * ITEMS + item) % STEP)

// The addresses of a work-item's fetches: one for four elements read at once (modes 0 and 1), else one for each.
#define PLACES(mode, fetches) ((mode) < 2 ? (fetches) : 4 * (fetches))

// Defines the functions that fetch a work-item's part of a step. Lines beyond the last are read as the last, since what
// they give is never stored. Only a first, shorter step has depths that do not exist, for which zeros stand.
#define DEFINE_FETCH(NAME, MODE, TILE, FETCHES)                                                                 \
    static inline void CAT(NAME, _places)(int *places, const int item, const int lines, const int line_stride,  \
                                          const int depth_stride)                                               \
    {                                                                                                           \
        const int last = lines - (MODE == 0 ? 4 : 1);                                                           \
        _Pragma("unroll")                                                                                       \
        for (int n = 0; n < FETCHES; n++)                                                                       \
            _Pragma("unroll")                                                                                   \
            for (int e = 0; e < (MODE < 2 ? 1 : 4); e++)                                                        \
                places[(MODE < 2 ? 1 : 4) * n + e] = min(LINE_OF(MODE, TILE, n, e), last) * line_stride         \
                                                   + DEPTH_OF(MODE, TILE, n, e) * depth_stride;                 \
    }                                                                                                           \
    static inline void NAME(sums_t *into, __global const T *from, const int *places)                            \
    {                                                                                                           \
        _Pragma("unroll")                                                                                       \
        for (int n = 0; n < FETCHES; n++) {                                                                     \
            if (MODE < 2) into[n] = LOAD_SUMS(from + places[n]);                                                \
            else into[n] = (sums_t)(LOAD_ONE(from + places[4 * n]), LOAD_ONE(from + places[4 * n + 1]),         \
                                    LOAD_ONE(from + places[4 * n + 2]), LOAD_ONE(from + places[4 * n + 3]));    \
        }                                                                                                       \
    }                                                                                                           \
    static inline void CAT(NAME, _first)(sums_t *into, __global const T *from, const int *places,               \
                                         const int item, const int depth)                                       \
    {                                                                                                           \
        _Pragma("unroll")                                                                                       \
        for (int n = 0; n < FETCHES; n++) {                                                                     \
            into[n] = (sums_t)(0);                                                                              \
            if (MODE < 2) {                                                                                     \
                if (DEPTH_OF(MODE, TILE, n, 0) < depth) into[n] = LOAD_SUMS(from + places[n]);                  \
            } else {                                                                                            \
                if (DEPTH_OF(MODE, TILE, n, 0) < depth) into[n].s0 = LOAD_ONE(from + places[4 * n]);            \
                if (DEPTH_OF(MODE, TILE, n, 1) < depth) into[n].s1 = LOAD_ONE(from + places[4 * n + 1]);        \
                if (DEPTH_OF(MODE, TILE, n, 2) < depth) into[n].s2 = LOAD_ONE(from + places[4 * n + 2]);        \
                if (DEPTH_OF(MODE, TILE, n, 3) < depth) into[n].s3 = LOAD_ONE(from + places[4 * n + 3]);        \
            }                                                                                                   \
        }                                                                                                       \
    }
DEFINE_FETCH(fetch_a, A_MODE, TILE_M, A_FETCHES)
DEFINE_FETCH(fetch_b, B_MODE, TILE_N, B_FETCHES)

// Stores what was fetched, as [depth][line]. A macro, since PoCL 3 mislays local arrays that functions get.
#define STAGE(to, MODE, TILE, PITCH, FETCHES, got)                                                              \
    _Pragma("unroll")                                                                                           \
    for (int n = 0; n < FETCHES; n++) {                                                                         \
        if (MODE == 0)                                                                                          \
            *(__local sums_t *)((to) + DEPTH_OF(0, TILE, n, 0) * PITCH + LINE_OF(0, TILE, n, 0)) = got[n];      \
        else {                                                                                                  \
            (to)[DEPTH_OF(MODE, TILE, n, 0) * PITCH + LINE_OF(MODE, TILE, n, 0)] = got[n].s0;                   \
            (to)[DEPTH_OF(MODE, TILE, n, 1) * PITCH + LINE_OF(MODE, TILE, n, 1)] = got[n].s1;                   \
            (to)[DEPTH_OF(MODE, TILE, n, 2) * PITCH + LINE_OF(MODE, TILE, n, 2)] = got[n].s2;                   \
            (to)[DEPTH_OF(MODE, TILE, n, 3) * PITCH + LINE_OF(MODE, TILE, n, 3)] = got[n].s3;                   \
        }                                                                                                       \
    }

// Tiles go fastest, columns first, then the batch, then the slices. A slice is `slice` long, the last one shorter; if
// SLICED, `c` has the sums of one slice after those of another.
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void matmul_registers(PARAMETERS, const long slice)
{
    __local SUM_T a_tile[2][STEP * PITCH_A] __attribute__((aligned(64)));
    __local SUM_T b_tile[2][STEP * PITCH_B] __attribute__((aligned(64)));
    const int item = get_local_id(0);
    // A hardware thread of 32 work-items covers 8 x 4 of them: its reads of local memory are 8 and 4 vectors.
    const int x = item % 8 + item / 32 % (GX / 8) * 8, y = item / 8 % 4 + item / 32 / (GX / 8) * 4;
    const uint tile_columns = (uint)((columns + TILE_N - 1) / TILE_N), tile_rows = (uint)((rows + TILE_M - 1) / TILE_M);
    const uint tiles = tile_columns * tile_rows, group = get_group_id(0);
    const uint turn = group / tiles, tile = group - turn * tiles;
    const uint part = turn / (uint)batches, matrix = turn - part * (uint)batches;
    const uint tile_row = tile / tile_columns;
    const long i = (long)tile_row * TILE_M, j = (long)(tile - tile_row * tile_columns) * TILE_N;
    const long outer = matrix / (uint)batch_inner, inner = matrix % (uint)batch_inner;
    const long begin = (long)part * slice, length = min(slice, depth - begin);
    a += a_start + outer * a_outer + inner * a_inner + i * a_row + begin * a_depth;
    b += b_start + outer * b_outer + inner * b_inner + j * b_column + begin * b_depth;
    c += c_start + ((long)turn * rows + i) * columns + j;
    const int high = (int)min(rows - i, (long)TILE_M), wide = (int)min(columns - j, (long)TILE_N);
    // The first step is the one that may be shorter.
    int steps = (int)((length + STEP - 1) / STEP);
    const int first = (int)(length - (long)(steps - 1) * STEP);

    sums_t sum[MY][MX / 4];
    #pragma unroll
    for (int m = 0; m < MY; m++)
        #pragma unroll
        for (int n = 0; n < MX / 4; n++) sum[m][n] = (sums_t)(0);

    sums_t a_next[A_FETCHES], b_next[B_FETCHES];
    int a_places[PLACES(A_MODE, A_FETCHES)], b_places[PLACES(B_MODE, B_FETCHES)];
    fetch_a_places(a_places, item, high, (int)a_row, (int)a_depth);
    fetch_b_places(b_places, item, wide, (int)b_column, (int)b_depth);
    fetch_a_first(a_next, a, a_places, item, steps > 0 ? first : 0);
    fetch_b_first(b_next, b, b_places, item, steps > 0 ? first : 0);
    a += first * a_depth;
    b += first * b_depth;
    STAGE(a_tile[0], A_MODE, TILE_M, PITCH_A, A_FETCHES, a_next)
    STAGE(b_tile[0], B_MODE, TILE_N, PITCH_B, B_FETCHES, b_next)
    barrier(CLK_LOCAL_MEM_FENCE);
    int now = 0;
    while (true) {
        steps--;
        if (steps > 0) {
            fetch_a(a_next, a, a_places);
            fetch_b(b_next, b, b_places);
            a += STEP * a_depth;
            b += STEP * b_depth;
        }
        __local const SUM_T *a_now = a_tile[now] + 4 * y, *b_now = b_tile[now] + 4 * x;
        UNROLL_BY(AHEAD)
        for (int s = 0; s < STEP; s++) {
            sums_t p[MY / 4], q[MX / 4];
            #pragma unroll
            for (int m = 0; m < MY / 4; m++) p[m] = *(__local const sums_t *)(a_now + s * PITCH_A + m * 4 * GY);
            #pragma unroll
            for (int n = 0; n < MX / 4; n++) q[n] = *(__local const sums_t *)(b_now + s * PITCH_B + n * 4 * GX);
            #pragma unroll
            for (int m = 0; m < MY / 4; m++)
                #pragma unroll
                for (int n = 0; n < MX / 4; n++) {
                    ACCUMULATE(sum[4 * m + 0][n], (sums_t)(p[m].s0), q[n]);
                    ACCUMULATE(sum[4 * m + 1][n], (sums_t)(p[m].s1), q[n]);
                    ACCUMULATE(sum[4 * m + 2][n], (sums_t)(p[m].s2), q[n]);
                    ACCUMULATE(sum[4 * m + 3][n], (sums_t)(p[m].s3), q[n]);
                }
        }
        if (steps <= 0) break;
        now ^= 1;
        STAGE(a_tile[now], A_MODE, TILE_M, PITCH_A, A_FETCHES, a_next)
        STAGE(b_tile[now], B_MODE, TILE_N, PITCH_B, B_FETCHES, b_next)
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    #pragma unroll
    for (int m = 0; m < MY; m++) {
        const int row = m / 4 * 4 * GY + 4 * y + m % 4;
        __global C_T *to = c + row * columns;
        if (row < high) {
            #pragma unroll
            for (int n = 0; n < MX / 4; n++) {
                const int column = n * 4 * GX + 4 * x;
                if (C_QUADS && column < wide) PUT_FOUR(to + column, sum[m][n]);
                else {
                    if (column < wide) PUT_ONE(to + column, sum[m][n].s0);
                    if (column + 1 < wide) PUT_ONE(to + column + 1, sum[m][n].s1);
                    if (column + 2 < wide) PUT_ONE(to + column + 2, sum[m][n].s2);
                    if (column + 3 < wide) PUT_ONE(to + column + 3, sum[m][n].s3);
                }
            }
        }
    }
}

#if SLICED
// c = the sums of all slices, in their order.
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void matmul_join(__global const SUM_T *restrict sums, __global T *restrict c, const long c_start, const long size,
                 const long slices)
{
    for (long i = get_global_id(0); i < size; i += get_global_size(0)) {
        SUM_T sum = sums[i];
        for (long n = 1; n < slices; n++) JOIN(sum, sums[n * size + i]);
        STORE(T, c, c_start + i, sum);
    }
}
#endif
