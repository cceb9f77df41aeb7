// A fused elementwise expression: every output element from the elements at its place in the inputs.
//
// The iteration space, RANK axes merged by the host, is walked as rows of vectors. A work-group takes a
// contiguous stretch of `per_group` vectors; its work-items take every LOCAL-th of them, so that
// neighbours read neighbours on a GPU, and the one work-item of a CPU's group streams.
//
// Where an operand's neighbours lie along the rows and not along the columns, as in a transposed view, `tiles`
// takes the place of `elementwise`: it goes through TILE rows before it goes on to the next columns, so that
// what a cache line or a transaction brings is used while it is there. On a CPU such operands are read as vectors
// along the rows, squares of which are transposed in registers.
#include "expression.h"

// Rows of a tile: on a GPU the elements of a cache line or two; on a CPU, where each column is another page of
// memory, more of them.
#ifndef TILE
#define TILE 32
#endif
// Which kernel to compile: `tiles` (1) or `elementwise` (0); both if it is not said.
#if !defined(TILED) || TILED
#define WITH_TILES
#endif
#if !defined(TILED) || !TILED
#define WITH_ROWS
#endif

#ifdef WITH_ROWS
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void elementwise(__constant const long *layout, const long rows, const long per_group, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    INDEX vector = (INDEX)get_group_id(0) * (INDEX)per_group + (INDEX)get_local_id(0);
    const INDEX end = min((INDEX)rows * per_row, (INDEX)(get_group_id(0) + 1) * (INDEX)per_group);
    while (vector < end) {
        const INDEX row = RANK > 1 ? vector / per_row : 0;
        INDEX place = vector - row * per_row;
        INDEX at[OPERANDS] = {0};
        MOVE_TO_ROW(row, at);
        const INDEX stop = min(full, place + (end - vector));
#ifdef STREAM_FULL
        for (; CAN_STREAM && place < stop; place += LOCAL, vector += LOCAL) {
            const INDEX column = place * WIDTH;
            LOAD_FULL
            COMPUTE
            STREAM_FULL
        }
#endif
        for (; place < stop; place += LOCAL, vector += LOCAL) {
            const INDEX column = place * WIDTH;
            LOAD_FULL
            COMPUTE
            STORE_FULL
        }
        if (WIDTH > 1 && place == full && full < per_row && vector < end) {
            const INDEX column = full * WIDTH;
            const int lanes = (int)(columns - column);
            LOAD_TAIL
            COMPUTE
            STORE_TAIL
            vector += LOCAL;
        }
    }
#ifdef STREAM_FULL
    write_mem_fence(CLK_GLOBAL_MEM_FENCE);  // such stores are not in order with others by themselves
#endif
}
#endif

#if defined(WITH_TILES) && RANK > 1
#ifdef LOAD_BLOCK
BLOCK_TYPES
#endif
// Vectors side by side in a tile: on a GPU as many as give every work-item one.
#define ACROSS (LOCAL > TILE ? LOCAL / TILE : 1)

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void tiles(__constant const long *layout, const long rows, const long per_group, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1), height = EXTENT(RANK - 2);
    const INDEX full = columns / WIDTH;
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    const INDEX wide = (per_row + ACROSS - 1) / ACROSS, high = (height + TILE - 1) / TILE;
    const INDEX first = (INDEX)get_group_id(0) * (INDEX)per_group;
    const INDEX last = min((INDEX)rows / height * high * wide, first + (INDEX)per_group);
    const INDEX item = (INDEX)get_local_id(0);
    for (INDEX tile = first; tile < last; tile++) {
        const INDEX strip = tile / wide;
        const INDEX place = (tile - strip * wide) * ACROSS + item % ACROSS;
        const INDEX outer = strip / high;
        const INDEX top = (strip - outer * high) * TILE;
        const INDEX bottom = place < per_row ? min(top + TILE, height) : 0;
        INDEX row = top + item / ACROSS;
        INDEX at[OPERANDS] = {0};
        MOVE_TO_ROW(outer * height + row, at);
        const INDEX column = place * WIDTH;
        const int lanes = (int)(columns - column);
#ifdef LOAD_BLOCK
        for (; place < full && row + WIDTH <= bottom; row += WIDTH) {
            LOAD_BLOCK
            for (int u = 0; u < WIDTH; u++) {
                LOAD_ROW
                COMPUTE
                STORE_FULL
                for (int k = 0; k < OPERANDS; k++) at[k] += STRIDE(k, RANK - 2);
            }
        }
#endif
        for (; row < bottom; row += (LOCAL + ACROSS - 1) / ACROSS) {
            if (WIDTH == 1 || place < full) {
                LOAD_FULL
                COMPUTE
                STORE_FULL
            } else {
                LOAD_TAIL
                COMPUTE
                STORE_TAIL
            }
            for (int k = 0; k < OPERANDS; k++) at[k] += (LOCAL + ACROSS - 1) / ACROSS * STRIDE(k, RANK - 2);
        }
    }
}
#endif
