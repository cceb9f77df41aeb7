// Reductions of a fused elementwise expression: sum, product, maximum and their kind.
//
// The host merges and orders axes into rows and columns (see expression.h). `reduce_rows` folds whole rows:
// an output's elements are `fold_rows` consecutive rows. `reduce_columns` folds across rows: an output row
// is the fold of `fold_rows` consecutive rows, column by column. Both can cut each fold into `segments`,
// whose partial results a second launch of the same kernels folds; so there are no atomics, and a result
// does not depend on timing.
//
// The launcher defines the operation on accumulators of type ACC: COMBINE(a, b) of a new element `a` and
// what has been folded `b`, IDENTITY, and FINISH(r, n) of the folded value and the number of elements; and it may
// define QUICK(a, b), which is COMBINE for floats but may pass over a NaN.
#include "expression.h"

// Whether to keep totals by Kahan's compensated summation (1965): for sums of floats.
#ifndef COMPENSATED
#define COMPENSATED 1
#endif
// Vectors that an accumulator folds before it is added to the total. The rounding error of a compensated sum
// grows with this number and not with the length.
#ifndef BLOCK
#define BLOCK (COMPENSATED ? 16 : 256)
#endif
// Columns a work-item folds side by side in `reduce_columns`, in vectors: long enough to stream whole
// cache lines, short enough to stay in the first-level cache.
#ifndef COLUMNS
#define COLUMNS 16
#endif
// Vectors, or in `reduce_columns` rows, folded side by side: as many as hide an addition's latency and keep
// several reads in flight. 1 where the expression is long, whose copies would only cost compile time.
#ifndef UNROLL
#define UNROLL 4
#endif
// Rows of so many vectors or fewer are folded one after another: several at once would be as many streams in a
// page of memory, which prefetchers do not follow.
#ifndef NARROW
#define NARROW 32
#endif
// Which kernel to compile: `reduce_columns` (1) or `reduce_rows` (0); both if it is not said.
#if !defined(ACROSS) || ACROSS
#define WITH_COLUMNS
#endif
#if !defined(ACROSS) || !ACROSS
#define WITH_ROWS
#endif
#ifndef ACC
#define ACC float
#define OUT float
#define COMBINE(a, b) (b + a)
#define QUICK(a, b) (b + a)
#define IDENTITY 0
#define FINISH(r, n) r
#endif

typedef VEC(ACC) accumulator;
typedef union { accumulator vector; ACC lane[WIDTH]; } lanes_t;

#define IDENTITIES LIT(ACC, IDENTITY)

// What has been folded so far; `lost` is the low-order part that the last addition dropped.
typedef struct { accumulator value, lost; } total_t;

// Maxima that give NaN for NaN take three instructions an element. Those that do not take one, and a look for NaNs
// in UNROLL elements takes one for each two of them.
#ifdef QUICK
#define START_NANS VEC(MASK(ACC)) nans = LIT(MASK(ACC), 0);
#define NOTE_NANS(element)                                                                                  \
    _Pragma("unroll")                                                                                       \
    for (int u = 0; u < UNROLL; u += 2) nans |= NAN_IN(element[u]) | NAN_IN(element[(u + 1) % UNROLL]);
#define NAN_IN(x) ((x) != (x))
#define WITH_NANS(value) (nans ? LIT(ACC, NAN) : (value))
#else
#define QUICK COMBINE
#define START_NANS
#define NOTE_NANS(element)
#define WITH_NANS(value) (value)
#endif

static inline void add_block(total_t *total, accumulator block) {
#if COMPENSATED
    const accumulator corrected = block - total->lost;
    const accumulator sum = total->value + corrected;
    const accumulator lost = (sum - total->value) - corrected;
    total->value = sum;
    total->lost = (fabs(sum) < LIT(ACC, INFINITY)) ? lost : LIT(ACC, 0);
#else
    total->value = COMBINE(block, total->value);
#endif
}

#ifdef WITH_ROWS
static inline ACC fold_lanes(accumulator vector) {
    lanes_t value;
    value.vector = vector;
    for (int half_width = WIDTH / 2; half_width > 0; half_width /= 2)
        for (int i = 0; i < half_width; i++) value.lane[i] = COMBINE(value.lane[i + half_width], value.lane[i]);
    return value.lane[0];
}

// The first `count` lanes, the others replaced by the identity.
static inline accumulator first_lanes(accumulator vector, int count) {
    lanes_t value;
    value.vector = vector;
    for (int i = 0; i < WIDTH; i++) value.lane[i] = i < count ? value.lane[i] : (ACC)IDENTITY;
    return value.vector;
}

__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void reduce_rows(__global OUT *restrict output, const long output_start, const long outputs, const long segments,
                 const long fold_rows, const long count, __constant const long *layout, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    const INDEX vectors = (INDEX)fold_rows * per_row;
    const INDEX per_segment = (vectors + (INDEX)segments - 1) / (INDEX)segments;
#if LOCAL > 1
    __local ACC shared[LOCAL];
    const int item = (int)get_local_id(0);
#endif
    FOR_GROUP_UNITS(task, outputs * segments) {
        const INDEX fold = task / (INDEX)segments;
        const INDEX begin = (task - fold * (INDEX)segments) * per_segment;
        const INDEX end = min(begin + per_segment, vectors);
        total_t total = {IDENTITIES, LIT(ACC, 0)};
        INDEX vector = begin + (INDEX)get_local_id(0);
        while (vector < end) {
            const INDEX row = vector / per_row;
            INDEX place = vector - row * per_row;
            INDEX at[OPERANDS] = {0};
            MOVE_TO_ROW(fold * (INDEX)fold_rows + row, at);
            const INDEX stop = min(full, place + (end - vector));
            vector -= place;
            while (place < stop) {
                const INDEX block_stop = min(stop, place + BLOCK * UNROLL * LOCAL);
                accumulator block[UNROLL];
                for (int u = 0; u < UNROLL; u++) block[u] = IDENTITIES;
                START_NANS
                for (; place < block_stop - (UNROLL - 1) * LOCAL; place += UNROLL * LOCAL) {
                    accumulator element[UNROLL];
                    #pragma unroll
                    for (int u = 0; u < UNROLL; u++) {
                        const INDEX column = (place + u * LOCAL) * WIDTH;
                        LOAD_FULL
                        COMPUTE
                        element[u] = CAST(ACC, result0);
                        block[u] = QUICK(element[u], block[u]);
                    }
                    NOTE_NANS(element)
                }
#if UNROLL > 1
                for (; place < block_stop; place += LOCAL) {
                    const INDEX column = place * WIDTH;
                    LOAD_FULL
                    COMPUTE
                    const accumulator element = CAST(ACC, result0);
                    block[0] = COMBINE(element, block[0]);
                }
                for (int u = 1; u < UNROLL; u++) block[0] = COMBINE(block[u], block[0]);
#endif
                add_block(&total, WITH_NANS(block[0]));
            }
            vector += place;
            if (WIDTH > 1 && place == full && full < per_row && vector < end) {
                const INDEX column = full * WIDTH;
                const int lanes = (int)(columns - column);
                LOAD_TAIL
                COMPUTE
                add_block(&total, first_lanes(CAST(ACC, result0), lanes));
                vector += LOCAL;
            }
        }
        ACC folded = fold_lanes(total.value);
#if LOCAL > 1
        shared[item] = folded;
        for (int reach = LOCAL / 2; reach > 0; reach /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (item < reach) shared[item] = COMBINE(shared[item + reach], shared[item]);
        }
        if (item == 0) folded = shared[0];
        if (item == 0)
#endif
            STORE(OUT, output, output_start + task, FINISH(folded, count));
#if LOCAL > 1
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
    }
}

#endif

#ifdef WITH_COLUMNS
// The axis along which rows follow each other.
#if RANK > 1
#define ROW_EXTENT EXTENT(RANK - 2)
#define ROW_STRIDE(operand) STRIDE(operand, RANK - 2)
#else
#define ROW_EXTENT 1
#define ROW_STRIDE(operand) 0
#endif

#if LOCAL > 1 && COLUMNS == 1
// On a GPU a work-item folds one vector of columns, UNROLL rows at once. Where they are is computed from the first of a
// stretch of rows that lie evenly, and not kept in an array.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void reduce_columns(__global OUT *restrict output, const long output_start, const long outputs, const long segments,
                    const long fold_rows, const long count, __constant const long *layout, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH, strips = (per_row + LOCAL - 1) / LOCAL;
    const INDEX per_segment = ((INDEX)fold_rows + (INDEX)segments - 1) / (INDEX)segments;
    const long tasks = outputs * segments * (long)strips;
    FOR_GROUP_UNITS(task, tasks) {
        const INDEX fold = task / strips;  // output row and segment
        const INDEX place = (task - fold * strips) * LOCAL + (INDEX)get_local_id(0);
        if (place >= per_row) continue;
        const INDEX output_row = fold / (INDEX)segments, column = place * WIDTH;
        const INDEX begin = (fold - output_row * (INDEX)segments) * per_segment;
        const INDEX end = min(begin + per_segment, (INDEX)fold_rows);
        const int lanes = (int)min(columns - column, (INDEX)WIDTH);
        total_t total = {IDENTITIES, LIT(ACC, 0)};
        for (INDEX row = begin; row < end;) {
            const INDEX number = output_row * (INDEX)fold_rows + row;
            INDEX at[OPERANDS] = {0};
            MOVE_TO_ROW(number, at);
            // The rows up to the end of their axis, of which a block at most.
            const INDEX even = min(min(end - row, (INDEX)(BLOCK * UNROLL)), (INDEX)(ROW_EXTENT - number % ROW_EXTENT));
            accumulator block[UNROLL];
            #pragma unroll
            for (int u = 0; u < UNROLL; u++) block[u] = IDENTITIES;
            INDEX done = 0;
            if (lanes == WIDTH) {
                START_NANS
                for (; done + UNROLL <= even; done += UNROLL) {
                    accumulator element[UNROLL];
                    #pragma unroll
                    for (int u = 0; u < UNROLL; u++) {
                        LOAD_FULL
                        COMPUTE
                        element[u] = CAST(ACC, result0);
                        #pragma unroll
                        for (int n = 0; n < OPERANDS; n++) at[n] += ROW_STRIDE(n);
                    }
                    #pragma unroll
                    for (int u = 0; u < UNROLL; u++) block[u] = QUICK(element[u], block[u]);
                    NOTE_NANS(element)
                }
                block[0] = WITH_NANS(block[0]);
            }
            for (; done < even; done++) {
                accumulator element;
                if (lanes == WIDTH) {
                    LOAD_FULL
                    COMPUTE
                    element = CAST(ACC, result0);
                } else {
                    LOAD_TAIL
                    COMPUTE
                    element = CAST(ACC, result0);
                }
                block[0] = COMBINE(element, block[0]);
                for (int n = 0; n < OPERANDS; n++) at[n] += ROW_STRIDE(n);
            }
            #pragma unroll
            for (int u = 1; u < UNROLL; u++) block[0] = COMBINE(block[u], block[0]);
            add_block(&total, block[0]);
            row += even;
        }
        lanes_t folded;
        folded.vector = total.value;
        for (int i = 0; i < lanes; i++)
            STORE(OUT, output, output_start + fold * columns + column + i, FINISH(folded.lane[i], count));
    }
}
#else
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void reduce_columns(__global OUT *restrict output, const long output_start, const long outputs, const long segments,
                    const long fold_rows, const long count, __constant const long *layout, PARAMETERS) {
    MOVE_TO_STARTS
    const INDEX columns = EXTENT(RANK - 1);
    const INDEX full = columns / WIDTH;
    const INDEX per_row = (columns + WIDTH - 1) / WIDTH;
    const INDEX strips = (per_row + COLUMNS * LOCAL - 1) / (COLUMNS * LOCAL);
    const INDEX per_segment = ((INDEX)fold_rows + (INDEX)segments - 1) / (INDEX)segments;
    const long tasks = outputs * segments * (long)strips;
    FOR_GROUP_UNITS(task, tasks) {
        const INDEX fold = task / strips;  // output row and segment
        const INDEX first = (task - fold * strips) * COLUMNS * LOCAL + (INDEX)get_local_id(0);
        const INDEX output_row = fold / (INDEX)segments;
        const INDEX begin = (fold - output_row * (INDEX)segments) * per_segment;
        const INDEX end = min(begin + per_segment, (INDEX)fold_rows);
        const int wide = (int)clamp((full - first + LOCAL - 1) / LOCAL, (INDEX)0, (INDEX)COLUMNS);
        const INDEX last = first + wide * LOCAL;  // where the row's partial vector is, if it is this item's
        const int lanes = (WIDTH > 1 && wide < COLUMNS && last == full) ? (int)(columns - full * WIDTH) : 0;
        total_t total[COLUMNS];
        const int used = wide + (lanes > 0);
        for (int k = 0; k < used; k++) total[k].value = IDENTITIES, total[k].lost = LIT(ACC, 0);
        INDEX next[OPERANDS] = {0}, ahead = 0;  // where the next row is, and how many follow at its stride
        for (INDEX row = begin; row < end;) {
            accumulator block[COLUMNS];
            for (int k = 0; k < used; k++) block[k] = IDENTITIES;
            const INDEX block_end = min(end, row + BLOCK);
            while (row < block_end) {
                const int height = (int)min((INDEX)UNROLL, block_end - row);
                INDEX places[UNROLL][OPERANDS];
                // All of them, needed or not: filled in part, the array is miscompiled by Intel's CPU compiler.
                for (int u = 0; u < UNROLL; u++) {
                    if (ahead == 0) {  // the next rows lie evenly, up to the end of their axis
                        const INDEX number = output_row * (INDEX)fold_rows + row + u;
                        for (int n = 0; n < OPERANDS; n++) next[n] = 0;
                        MOVE_TO_ROW(number, next);
                        ahead = ROW_EXTENT - number % ROW_EXTENT;
                    }
                    for (int n = 0; n < OPERANDS; n++) {
                        places[u][n] = next[n];
                        next[n] += ROW_STRIDE(n);
                    }
                    ahead--;
                }
                if (height == UNROLL && wide > NARROW) {
                    for (int k = 0; k < wide; k++) {
                        const INDEX column = (first + k * LOCAL) * WIDTH;
                        accumulator folded = block[k], element[UNROLL];
                        START_NANS
                        #pragma unroll
                        for (int u = 0; u < UNROLL; u++) {
                            const INDEX *at = places[u];
                            LOAD_FULL
                            COMPUTE
                            element[u] = CAST(ACC, result0);
                            folded = QUICK(element[u], folded);
                        }
                        NOTE_NANS(element)
                        block[k] = WITH_NANS(folded);
                    }
                } else {
                    for (int u = 0; u < height; u++) {
                        const INDEX *at = places[u];
                        for (int k = 0; k < wide; k++) {
                            const INDEX column = (first + k * LOCAL) * WIDTH;
                            LOAD_FULL
                            COMPUTE
                            const accumulator element = CAST(ACC, result0);
                            block[k] = COMBINE(element, block[k]);
                        }
                    }
                }
                for (int u = 0; u < height && lanes > 0; u++) {
                    const INDEX *at = places[u];
                    const INDEX column = full * WIDTH;
                    LOAD_TAIL
                    COMPUTE
                    const accumulator element = CAST(ACC, result0);
                    block[wide] = COMBINE(element, block[wide]);
                }
                row += height;
            }
            for (int k = 0; k < used; k++) add_block(&total[k], block[k]);
        }
        for (int k = 0; k < used; k++) {
            lanes_t folded;
            folded.vector = total[k].value;
            const INDEX column = (first + k * LOCAL) * WIDTH;
            for (int i = 0; i < (k < wide ? WIDTH : lanes); i++)
                STORE(OUT, output, output_start + fold * columns + column + i, FINISH(folded.lane[i], count));
        }
    }
}
#endif
#endif
