// What attention_lanes.cl and attention_lanes_gradient.cl share: attention on a CPU, with queries in the lanes of vectors.
//
// Scores are held transposed, [key][lane of a query]. So q alone is transposed, once; k and v are read where they lie, as
// scalars that fill a vector; and what belongs to a row (maximum, sum, log-sum-exp) is one lane: nothing goes across lanes.
//
// D must be a multiple of WIDTH and of 4, and a head have TILE keys or more: tiles at the end of a block of keys are shifted
// back, and overwrite what lies up to TILE rows before the block's buffer, which callers must have there.
#ifndef NEEDLE_ATTENTION_LANES_H
#define NEEDLE_ATTENTION_LANES_H
#ifndef WIDTH
#define WIDTH 8
#endif
#include "attention.h"
#include "powers.h"

// Vectors of queries, and keys, of a register tile of scores.
#define V 2
#define TILE 6
// Rows of a register tile of sums over keys.
#define COLUMNS 4
// Queries of a tile, and of a row of a block of scores in local memory.
#define STRIP (V * WIDTH)
#ifndef PITCH
#define PITCH STRIP
#endif

typedef VEC(COMPUTE_T) vec;
typedef vec loose __attribute__((aligned(sizeof(COMPUTE_T))));
typedef VEC(MASK(COMPUTE_T)) lanes_t;
DEFINE_TRANSPOSE(COMPUTE_T)

#if WIDTH == 2
#define LANES ((lanes_t)(0, 1))
#elif WIDTH == 4
#define LANES ((lanes_t)(0, 1, 2, 3))
#elif WIDTH == 8
#define LANES ((lanes_t)(0, 1, 2, 3, 4, 5, 6, 7))
#else
#define LANES ((lanes_t)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#endif

// Vector v of row i in local memory, whose rows are PITCH long.
#define AT(rows, i, v) (*(__local loose *)((rows) + (i) * PITCH + (v) * WIDTH))

#define UNROLLED _Pragma("unroll")

// Functions with many sums in registers ask for the longest ones, where the compiler would halve them.
#if defined(__AVX512F__) && defined(__has_attribute)
#if __has_attribute(min_vector_width)
#define WIDE __attribute__((min_vector_width(512)))
#endif
#endif
#ifndef WIDE
#define WIDE
#endif

// to[d][lane] = from[row of the lane][d] * scale for WIDTH rows, of which `rows` exist (at least 1; the last is repeated).
void pack_rows(__local COMPUTE_T *to, __global const COMPUTE_T *from, const long rows, const COMPUTE_T scale)
{
    for (long d = 0; d < D; d += WIDTH) {
        vec r[WIDTH];
        UNROLLED
        for (int i = 0; i < WIDTH; i++) r[i] = *(__global const loose *)(from + min((long)i, rows - 1) * D + d);
        CAT(transpose_, COMPUTE_T)(r);
        UNROLLED
        for (int i = 0; i < WIDTH; i++) AT(to, d + i, 0) = r[i] * scale;
    }
}

// to[row][d] = from[d][lane of the row] * factor for the first `rows` of WIDTH rows.
void unpack_rows(__global COMPUTE_T *to, __local const COMPUTE_T *from, const long rows, const vec factor)
{
    for (long d = 0; d < D; d += WIDTH) {
        vec r[WIDTH];
        UNROLLED
        for (int i = 0; i < WIDTH; i++) r[i] = AT(from, d + i, 0) * factor;
        CAT(transpose_, COMPUTE_T)(r);
        UNROLLED
        for (int i = 0; i < WIDTH; i++)
            if (i < rows) *(__global loose *)(to + i * D + d) = r[i];
    }
}

// s[key][lane] = k[key] . qt for n keys; `largest` is kept up to date.
WIDE void products(__local const COMPUTE_T *qt, __global const COMPUTE_T *k, __local COMPUTE_T *s, const long n, vec *largest)
{
    vec m[V];
    UNROLLED
    for (int v = 0; v < V; v++) m[v] = largest[v];
    for (long t = 0; t < n; t += TILE) {
        const long at = min(t, n - TILE);
        __global const COMPUTE_T *row = k + at * D;
        vec sum[TILE][V];
        UNROLLED
        for (int i = 0; i < TILE; i++)
            UNROLLED
            for (int v = 0; v < V; v++) sum[i][v] = (vec)(0);
        for (int d = 0; d < D; d++) {
            vec in[V];
            UNROLLED
            for (int v = 0; v < V; v++) in[v] = AT(qt, d, v);
            UNROLLED
            for (int i = 0; i < TILE; i++) {
                const vec x = (vec)(row[i * D + d]);
                UNROLLED
                for (int v = 0; v < V; v++) sum[i][v] += x * in[v];
            }
        }
        UNROLLED
        for (int i = 0; i < TILE; i++)
            UNROLLED
            for (int v = 0; v < V; v++) {
                AT(s, at + i, v) = sum[i][v];
                m[v] = sum[i][v] > m[v] ? sum[i][v] : m[v];
            }
    }
    UNROLLED
    for (int v = 0; v < V; v++) largest[v] = m[v];
}

// o[d][lane] = o * alpha + the sum over n keys of x[key][d] * p[key][lane]
WIDE void gather(__local const COMPUTE_T *p, __global const COMPUTE_T *x, __local COMPUTE_T *o, const long n, const vec *alpha)
{
    for (int d = 0; d < D; d += COLUMNS) {
        vec sum[COLUMNS][V];
        UNROLLED
        for (int i = 0; i < COLUMNS; i++)
            UNROLLED
            for (int v = 0; v < V; v++) sum[i][v] = AT(o, d + i, v) * alpha[v];
        for (long j = 0; j < n; j++) {
            vec in[V];
            UNROLLED
            for (int v = 0; v < V; v++) in[v] = AT(p, j, v);
            UNROLLED
            for (int i = 0; i < COLUMNS; i++) {
                const vec y = (vec)(x[j * D + d + i]);
                UNROLLED
                for (int v = 0; v < V; v++) sum[i][v] += y * in[v];
            }
        }
        UNROLLED
        for (int i = 0; i < COLUMNS; i++)
            UNROLLED
            for (int v = 0; v < V; v++) AT(o, d + i, v) = sum[i][v];
    }
}

// Adds the mask to the scores of n keys: of key j and lane i it is element at + i * row_stride + j * key_stride. `rows`
// lanes exist.
void add_mask(__local COMPUTE_T *s, __global const uchar *mask, const int kind, const long at, const long row_stride,
              const long key_stride, const long n, const long rows)
{
    for (long j = 0; j < n; j++)
        for (int v = 0; v < V; v++) {
            COMPUTE_T lanes[WIDTH] __attribute__((aligned(sizeof(vec))));
            for (long i = 0; i < WIDTH; i++)
                lanes[i] = i && !row_stride
                    ? lanes[0] : mask_at(mask, kind, at + min(v * WIDTH + i, rows - 1) * row_stride + j * key_stride);
            AT(s, j, v) += *(vec *)lanes;
        }
}

// Hides the scores of keys that come after the query of their lane; lane i of `s` sees key j if i >= first + j.
void hide_later(__local COMPUTE_T *s, const long n, const long first)
{
    for (long j = 0; j < n; j++)
        UNROLLED
        for (int v = 0; v < V; v++)
            AT(s, j, v) = LANES + v * WIDTH >= (lanes_t)(first + j) ? AT(s, j, v) : (vec)(-INFINITY);
}

// to[key][lane] = from[key][lane] * rescale where an element is kept, else 0, for n keys from the one whose words are in
// block `block` of the row of lane 0. Blocks of neighbouring rows are `pitch` apart.
void drop(__local COMPUTE_T *to, __local const COMPUTE_T *from, const long n, const ulong block, const ulong pitch,
          const ulong seed, const ulong threshold, const COMPUTE_T rescale)
{
    for (long j = 0; j < n; j += 4)
        for (int v = 0; v < V; v++) {
            VEC(ulong) c0, c1, c2, c3;
            const VEC(ulong) number = block + j / 4 + (CAST(ulong, LANES) + (ulong)(v * WIDTH)) * pitch;
            PHILOX_ROUNDS(VEC(ulong), number, seed, c0, c1, c2, c3)
            const VEC(ulong) words[4] = {c0, c1, c2, c3};
            UNROLLED
            for (int i = 0; i < 4; i++)
                if (j + i < n) {
                    const VEC(MASK(COMPUTE_T)) kept = CAST(MASK(COMPUTE_T), words[i] < (VEC(ulong))(threshold));
                    AT(to, j + i, v) = kept ? AT(from, j + i, v) * rescale : (vec)(0);
                }
        }
}

#endif
