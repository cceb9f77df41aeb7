// Recurrent layers, all steps in one launch: what follows the products of the inputs, forward and backward.
//
// A step takes the state h before it to the one after it. With s = x + b_x + h w^T + b_h, where x are the products of
// the inputs (GATES * H numbers for each step and batch row), s_i to s_n those of one gate:
//   CELL 0: h' = tanh(s)        CELL 1: h' = max(s, 0)
//   CELL 2, LSTM: i, f, o = sigmoid(s_i, s_f, s_o), g = tanh(s_g), c' = f c + i g, h' = o tanh(c')
//   CELL 3, GRU:  r, z = sigmoid(s_r, s_z), n = tanh(x_n + b_x + r m), h' = (1 - z) n + z h, where m = h w_n^T + b_h
// A row that is over, at a step that is not below its length, keeps its states.
//
// States lie as [step + 1][row][H]: going forward state t is the one before step t, in reverse it is the one after it.
// What the gradient needs of step t lies in gates[t][row][SLOTS][H]: of LSTM i, f, g, o; of GRU r, z, n, m; else h'.
//
// A work-group has rows of its own, which depend on no others. It makes the products of a step in tiles of ROWS rows by V
// vectors of columns, then what is elementwise. Weights are packed in panels of columns: [panel][depth][PANEL].
#include "builtins.h"
#include "common.h"
#include "powers.h"
#include "types.h"
#include "units.h"

#ifndef CELL
#define CELL 2
#endif
// Batch rows, and vectors of columns, of a tile.
#ifndef ROWS
#define ROWS 4
#endif
#ifndef V
#define V 2
#endif
#if CELL == 2
#define GATES 4
#define SLOTS 4
#elif CELL == 3
#define GATES 3
#define SLOTS 4
#else
#define GATES 1
#define SLOTS 1
#endif

// Columns of a panel of weights; a work-item has those of its vectors.
#define PANEL (V * LOCAL * WIDTH)
#define COLUMN(panel, v) ((panel) * PANEL + ((v) * LOCAL + get_local_id(0)) * WIDTH)

#if LOCAL == 1
#define DONE
#else
#define DONE barrier(CLK_GLOBAL_MEM_FENCE);
#endif
#define UNROLLED _Pragma("unroll")

typedef VEC(COMPUTE_T) vec;
DEFINE_LOOSE(T)
#define GET(pointer, i) LOAD_VECTOR(T, pointer, i)
#define PUT(pointer, i, value) STORE_VECTOR(T, pointer, i, value)
#define ONE ((vec)(1))

#if OWN_EXP
static inline vec sigmoid_of(vec x)
{
    x = x * -1.44269504f;
    x = x > 127.0f ? 127.0f : x;
    return 1.0f / (1.0f + exp2_of(x));
}

// Small arguments by a polynomial (Cephes): relative error below 3e-7.
static inline vec tanh_of(const vec x)
{
    const vec a = CAT(as_, VEC(float))(CAT(as_, VEC(int))(x) & 0x7fffffff);
    const vec e = exp2_of(a * -2.88539008f);
    const vec large = (1.0f - e) / (1.0f + e);
    const vec z = x * x;
    vec p = z * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * z + -5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z + -3.33332819422e-1f;
    const vec small = p * (z * a) + a;
    const vec t = a < 0.625f ? small : large;
    return CAT(as_, VEC(float))(CAT(as_, VEC(int))(t) | (CAT(as_, VEC(int))(x) & (int)0x80000000));
}
#else
#define sigmoid_of(x) (ONE / (ONE + exp(-(x))))
#define tanh_of(x) tanh(x)
#endif

// The sums of a tile: to sum[i][v] is added the product of row r + i of x, of `depth` numbers, with the panel's columns.
static inline void multiply(vec sum[ROWS][V], __global const T *x, __global const T *panel, const long row, const long last,
                            const long depth)
{
    __global const T *rows[ROWS];
    UNROLLED
    for (int i = 0; i < ROWS; i++) rows[i] = x + min(row + i, last - 1) * depth;
    panel += get_local_id(0) * WIDTH;
    for (long k = 0; k < depth; k++, panel += PANEL) {
        vec in[V];
        UNROLLED
        for (int v = 0; v < V; v++) in[v] = GET(panel, v * LOCAL * WIDTH);
        UNROLLED
        for (int i = 0; i < ROWS; i++) {
            const vec y = (vec)(LOAD(T, rows[i], k));
            UNROLLED
            for (int v = 0; v < V; v++) sum[i][v] += y * in[v];
        }
    }
}

// to[panel][k][PANEL] of the matrix whose element (k, column) is from[k * row + column * step]; zeros beyond `columns`.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void recurrent_pack(__global const T *restrict from, __global T *restrict to, const long depth, const long columns,
                    const long row, const long step)
{
    const long panels = (columns + PANEL - 1) / PANEL;
    FOR_UNITS(unit, panels * depth) {
        const long panel = unit / depth, k = unit - panel * depth;
        for (long i = 0; i < PANEL; i++) {
            const long column = panel * PANEL + i;
            STORE(T, to, unit * PANEL + i, column < columns ? LOAD(T, from, k * row + column * step) : 0);
        }
    }
}

// The rows of a work-group, and the steps with the states before and after them.
#define FIRST_ROW (batch * (long)get_group_id(0) / (long)get_num_groups(0))
#define LAST_ROW (batch * ((long)get_group_id(0) + 1) / (long)get_num_groups(0))
#define FOR_VECTORS(i, first, last)                                                                         \
    for (long i = ((first) * size + get_local_id(0) * WIDTH); i < (last) * size; i += LOCAL * WIDTH)
#define BEFORE(t) (((t) + (reverse ? 1 : 0)) * batch * size)
#define AFTER(t) (((t) + (reverse ? 0 : 1)) * batch * size)
#define IS_OVER(t, row) (ragged && (t) >= lengths[row])

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void recurrent(__global const T *restrict x, __global const T *restrict w, __global const T *restrict b_x,
               __global const T *restrict b_h, __global const T *restrict h0, __global const T *restrict c0,
               __global const int *restrict lengths, __global T *h, __global T *c, __global T *gates, const long steps,
               const long batch, const long size, const int reverse, const int ragged)
{
    const long first = FIRST_ROW, last = LAST_ROW, panels = (GATES * size + PANEL - 1) / PANEL;
    FOR_VECTORS(i, first, last) {
        PUT(h, BEFORE(reverse ? steps - 1 : 0) + i, GET(h0, i));
#if CELL == 2
        PUT(c, BEFORE(reverse ? steps - 1 : 0) + i, GET(c0, i));
#endif
    }
    DONE
    for (long n = 0; n < steps; n++) {
        const long t = reverse ? steps - 1 - n : n;
        __global const T *x_t = x + t * batch * GATES * size;
        __global T *gates_t = gates + t * batch * SLOTS * size;
        for (long panel = 0; panel < panels; panel++)
            for (long row = first; row < last; row += ROWS) {
                vec sum[ROWS][V];
                UNROLLED
                for (int v = 0; v < V; v++) {
                    const long column = min((long)COLUMN(panel, v), GATES * size - WIDTH);
                    const int apart = CELL == 3 && column >= 2 * size;
                    const vec bias = apart ? GET(b_h, column) : GET(b_x, column) + GET(b_h, column);
                    UNROLLED
                    for (int i = 0; i < ROWS; i++)
                        sum[i][v] = apart ? bias : bias + GET(x_t, min(row + i, last - 1) * GATES * size + column);
                }
                multiply(sum, h + BEFORE(t), w + panel * size * PANEL, row, last, size);
                UNROLLED
                for (int v = 0; v < V; v++) {
                    const long column = COLUMN(panel, v);
                    if (column < GATES * size)
                        UNROLLED
                        for (int i = 0; i < ROWS; i++)
                            if (row + i < last)
                                PUT(gates_t, (row + i) * SLOTS * size + column + (CELL == 3 && column >= 2 * size ? size : 0),
                                    sum[i][v]);
                }
            }
        DONE
        FOR_VECTORS(i, first, last) {
            const long row = i / size;
            __global T *own = gates_t + row * SLOTS * size + (i - row * size);
            const vec before = GET(h, BEFORE(t) + i);
#if CELL == 0
            vec after = tanh_of(GET(own, 0));
            PUT(own, 0, after);
#elif CELL == 1
            const vec sum = GET(own, 0);
            vec after = sum < 0 ? (vec)(0) : sum;
            PUT(own, 0, after);
#elif CELL == 2
            const vec in = sigmoid_of(GET(own, 0)), keep = sigmoid_of(GET(own, size));
            const vec new = tanh_of(GET(own, 2 * size)), out = sigmoid_of(GET(own, 3 * size));
            const vec old = GET(c, BEFORE(t) + i), cell = keep * old + in * new;
            vec after = out * tanh_of(cell);
            PUT(own, 0, in);
            PUT(own, size, keep);
            PUT(own, 2 * size, new);
            PUT(own, 3 * size, out);
            PUT(c, AFTER(t) + i, IS_OVER(t, row) ? old : cell);
#else
            const vec reset = sigmoid_of(GET(own, 0)), keep = sigmoid_of(GET(own, size));
            const long column = i - row * size + 2 * size;
            const vec new = tanh_of(GET(x_t, row * GATES * size + column) + GET(b_x, column) + reset * GET(own, 3 * size));
            vec after = (ONE - keep) * new + keep * before;
            PUT(own, 0, reset);
            PUT(own, size, keep);
            PUT(own, 2 * size, new);
#endif
            PUT(h, AFTER(t) + i, IS_OVER(t, row) ? before : after);
        }
        DONE
    }
}

// dx are the gradients of the products of the inputs, dm of a GRU those of the products of the states: for others they are
// the same. Those of the states before each step take turns in dh0 and dc0.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void recurrent_gradient(__global const T *restrict w, __global const T *restrict h, __global const T *restrict c,
                        __global const T *restrict gates, __global const int *restrict lengths,
                        __global const T *restrict dh, __global const T *restrict dc, __global T *dx, __global T *dm,
                        __global T *dh0, __global T *dc0, const long steps, const long batch, const long size,
                        const int reverse, const int ragged)
{
    const long first = FIRST_ROW, last = LAST_ROW, panels = (size + PANEL - 1) / PANEL;
    FOR_VECTORS(i, first, last) {
        PUT(dh0, i, (vec)(0));
#if CELL == 2
        PUT(dc0, i, (vec)(0));
#endif
    }
    DONE
    for (long n = steps - 1; n >= 0; n--) {
        const long t = reverse ? steps - 1 - n : n;
        __global const T *gates_t = gates + t * batch * SLOTS * size;
        __global T *dx_t = dx + t * batch * GATES * size;
#if CELL == 3
        __global T *dm_t = dm + t * batch * GATES * size;
#else
        __global T *dm_t = dx_t;
#endif
        FOR_VECTORS(i, first, last) {
            const long row = i / size, at = row * GATES * size + (i - row * size);
            __global const T *own = gates_t + row * SLOTS * size + (i - row * size);
            const vec by_h = GET(dh0, i) + GET(dh, AFTER(t) + i);
            const int is_over = IS_OVER(t, row);
            const vec grad = is_over ? (vec)(0) : by_h;
#if CELL == 0
            const vec y = GET(own, 0);
            PUT(dx_t, at, grad * (ONE - y * y));
            PUT(dh0, i, is_over ? by_h : (vec)(0));
#elif CELL == 1
            PUT(dx_t, at, GET(own, 0) > 0 ? grad : (vec)(0));
            PUT(dh0, i, is_over ? by_h : (vec)(0));
#elif CELL == 2
            const vec in = GET(own, 0), keep = GET(own, size), new = GET(own, 2 * size), out = GET(own, 3 * size);
            const vec old = GET(c, BEFORE(t) + i), y = tanh_of(keep * old + in * new);
            const vec by_c = GET(dc0, i) + GET(dc, AFTER(t) + i);
            const vec cell = (is_over ? (vec)(0) : by_c) + grad * out * (ONE - y * y);
            PUT(dx_t, at, cell * new * (in * (ONE - in)));
            PUT(dx_t, at + size, cell * old * (keep * (ONE - keep)));
            PUT(dx_t, at + 2 * size, cell * in * (ONE - new * new));
            PUT(dx_t, at + 3 * size, grad * y * (out * (ONE - out)));
            PUT(dc0, i, is_over ? by_c : cell * keep);
            PUT(dh0, i, is_over ? by_h : (vec)(0));
#else
            const vec reset = GET(own, 0), keep = GET(own, size), new = GET(own, 2 * size), m = GET(own, 3 * size);
            const vec slope = grad * (ONE - keep) * (ONE - new * new);
            const vec by_reset = slope * m * (reset * (ONE - reset));
            const vec by_keep = grad * (GET(h, BEFORE(t) + i) - new) * (keep * (ONE - keep));
            PUT(dx_t, at, by_reset);
            PUT(dx_t, at + size, by_keep);
            PUT(dx_t, at + 2 * size, slope);
            PUT(dm_t, at, by_reset);
            PUT(dm_t, at + size, by_keep);
            PUT(dm_t, at + 2 * size, slope * reset);
            PUT(dh0, i, is_over ? by_h : by_h * keep);
#endif
        }
        DONE
        for (long panel = 0; panel < panels; panel++)
            for (long row = first; row < last; row += ROWS) {
                vec sum[ROWS][V];
                UNROLLED
                for (int i = 0; i < ROWS; i++)
                    UNROLLED
                    for (int v = 0; v < V; v++) sum[i][v] = (vec)(0);
                multiply(sum, dm_t, w + panel * GATES * size * PANEL, row, last, GATES * size);
                UNROLLED
                for (int v = 0; v < V; v++) {
                    const long column = COLUMN(panel, v);
                    if (column < size)
                        UNROLLED
                        for (int i = 0; i < ROWS; i++)
                            if (row + i < last) {
                                const long to = (row + i) * size + column;
                                PUT(dh0, to, GET(dh0, to) + sum[i][v]);
                            }
                }
            }
        DONE
    }
    FOR_VECTORS(i, first, last) {
        PUT(dh0, i, GET(dh0, i) + GET(dh, BEFORE(reverse ? steps - 1 : 0) + i));
#if CELL == 2
        PUT(dc0, i, GET(dc0, i) + GET(dc, BEFORE(reverse ? steps - 1 : 0) + i));
#endif
    }
}
