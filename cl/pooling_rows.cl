// Pooling where a work-item makes whole rows of the result on vectors, as suits a CPU (see pooling.h).
//
// First the rows that a window reaches over are folded into one line, vector by vector, whatever the windows are along the
// columns. Then the columns of the line are folded. Where the line's windows begin one or two places apart, or two of them
// at each place (the gradient of a sum), that goes by vectors too. What windows reach beyond the borders is in the line as
// elements that change nothing; so no window is special.

// Lanes of vectors, more than 1.
#ifndef WIDTH
#define WIDTH 8
#endif
#if WIDTH > 1
#include "pooling.h"

// The most columns of a line: what the windows of a chunk may reach over.
#ifndef COLUMNS
#define COLUMNS 2048
#endif
#define SLACK (4 * WIDTH)  // how far vectors may reach beyond the end of a line

#define PLACE MASK(COMPUTE_T)
typedef VEC(COMPUTE_T) numbers;
typedef VEC(COMPUTE_T) __attribute__((aligned(sizeof(COMPUTE_T)))) loose_numbers;
typedef VEC(PLACE) places;
typedef VEC(PLACE) __attribute__((aligned(sizeof(PLACE)))) loose_places;
typedef VEC(int) __attribute__((aligned(sizeof(int)))) loose_ints;
typedef union { numbers vector; COMPUTE_T lane[WIDTH]; } number_lanes;
typedef union { places vector; PLACE lane[WIDTH]; } place_lanes;
DEFINE_LOOSE(T)

#define AT(type, array, i) (*(const type *)((array) + (i)))
#define PUT(type, array, i, vector) *(type *)((array) + (i)) = (vector)

// The columns of a chunk, the rows folded.
struct line {
    COMPUTE_T value[COLUMNS + SLACK];
#ifdef MAXIMUM
    PLACE place[COLUMNS + SLACK];
#endif
};

// The place of the result that comes next, and its chunk.
struct unit {
    long chunk, image, z, y;
};

// The rows of a window, from the first column of a chunk on that is in the source: distances in memory, positions.
struct rows {
    long columns, column_step;
    long layers, layer_step, rows, row_step;
    PLACE place, layer_places, row_places;
};

// Where a row of the result goes.
struct target {
    __global T *restrict result;
#ifdef MAXIMUM
    __global int *restrict positions;
#else
    COMPUTE_T factor;
#endif
};

#ifdef MAXIMUM
// The position of what is beyond the borders: after all others, so that it is never the first of equal elements.
#define BEYOND INT_MAX

// Whether a value at a position comes before what was found: a vector of truth values, or one.
#define IS_BEFORE(value, position, found, place)                                                            \
    (((value) > (found)) | (((value) == (found)) & ((position) < (place))) |                                \
     (((value) != (value)) & (((found) == (found)) | ((position) > (place)))))

static inline places lane_numbers(void)
{
    place_lanes numbers;
    #pragma unroll
    for (int i = 0; i < WIDTH; i++)
        numbers.lane[i] = i;
    return numbers.vector;
}
#endif

// -- rows ----------------------------------------------------------------------------------------------------

// Folds WIDTH columns of all rows, or the first `lanes` of them if they are not `packed`, into the line at `target`.
static inline void fold_columns(__global const T *restrict source, const struct rows *w, const long column,
                                const long lanes, const int packed, struct line *line, const long target)
{
    numbers found = (numbers)(START);
#ifdef MAXIMUM
    const places first = lane_numbers() + (PLACE)(w->place + column);
    places place = first;
#endif
    for (long i = 0; i < w->layers; i++)
        for (long j = 0; j < w->rows; j++) {
            __global const T *from = source + i * w->layer_step + j * w->row_step + column * w->column_step;
            number_lanes value;
            if (packed)
                value.vector = LOAD_VECTOR(T, from, 0);
            else {
                value.vector = (numbers)(START);
                for (long n = 0; n < lanes; n++)
                    value.lane[n] = LOAD(T, from, n * w->column_step);
            }
#ifdef MAXIMUM
            const places larger = (value.vector > found) | (value.vector != value.vector);
            found = larger ? value.vector : found;
            place = larger ? first + (PLACE)(i * w->layer_places + j * w->row_places) : place;
#else
            found += value.vector;
#endif
        }
    PUT(loose_numbers, line->value, target, found);
#ifdef MAXIMUM
    PUT(loose_places, line->place, target, place);
#endif
}

// Whole vectors of the first row, at `a`, and of the second, at `b`, if `both` are there, folded into the line.
static inline void fold_first(__global const T *restrict a, __global const T *restrict b, const int both,
                              const struct rows *w, struct line *line, const long target)
{
#ifdef MAXIMUM
    places place = lane_numbers() + w->place;
#endif
    for (long c = 0; c + WIDTH <= w->columns; c += WIDTH) {
        const numbers value = LOAD_VECTOR(T, a, c);
#ifdef MAXIMUM
        const numbers second = both ? LOAD_VECTOR(T, b, c) : value;
        const places larger = (second > value) | (second != second);
        PUT(loose_numbers, line->value, target + c, larger ? second : value);
        PUT(loose_places, line->place, target + c, both && larger ? place + w->row_places : place);
        place += WIDTH;
#else
        PUT(loose_numbers, line->value, target + c, both ? value + LOAD_VECTOR(T, b, c) : value);
#endif
    }
}

// Whole vectors of a further row, whose first position is `place`, folded into the line.
static inline void fold_further(__global const T *restrict row, const long columns, const PLACE place,
                                struct line *line, const long target)
{
#ifdef MAXIMUM
    places here = lane_numbers() + place;
#endif
    for (long c = 0; c + WIDTH <= columns; c += WIDTH) {
        const numbers found = AT(loose_numbers, line->value, target + c), value = LOAD_VECTOR(T, row, c);
#ifdef MAXIMUM
        const places larger = (value > found) | (value != value);
        PUT(loose_numbers, line->value, target + c, larger ? value : found);
        PUT(loose_places, line->place, target + c, larger ? here : AT(loose_places, line->place, target + c));
        here += WIDTH;
#else
        PUT(loose_numbers, line->value, target + c, found + value);
#endif
    }
}

// Folds the rows of a window, of which `source` is the first, into the line from `target` on.
static inline void fold_rows(__global const T *restrict source, const struct rows *w, struct line *line,
                             const long target)
{
    const int none = w->layers == 0 || w->rows == 0;  // as in the gradient of sums over windows that leave gaps
    if (none || w->column_step != 1 || w->columns < WIDTH) {
        for (long c = 0; c < w->columns; c += WIDTH)
            fold_columns(source, w, c, min(w->columns - c, (long)WIDTH), 0, line, target + c);
        return;
    }
    if (w->rows > 1)
        fold_first(source, source + w->row_step, 1, w, line, target);
    else
        fold_first(source, source, 0, w, line, target);
    for (long i = 0; i < w->layers; i++)
        for (long j = i == 0 ? min(w->rows, 2L) : 0; j < w->rows; j++)
            fold_further(source + i * w->layer_step + j * w->row_step, w->columns,
                         (PLACE)(w->place + i * w->layer_places + j * w->row_places), line, target);
    if (w->columns % WIDTH)
        fold_columns(source, w, w->columns - WIDTH, WIDTH, 1, line, target + w->columns - WIDTH);
}

// -- columns ---------------------------------------------------------------------------------------------------

// Elements 0, stride, 2 * stride, ... of an array from `i` on; the stride is 1 or 2.
#define DEFINE_APART(name, vector, loose, element)                                                          \
    static inline vector name(const element *array, const long i, const int stride)                         \
    {                                                                                                       \
        const vector first = AT(loose, array, i);                                                           \
        if (stride == 1)                                                                                    \
            return first;                                                                                   \
        const vector second = AT(loose, array, i + WIDTH);                                                  \
        vector result;                                                                                      \
        result.lo = first.even;                                                                             \
        result.hi = second.even;                                                                            \
        return result;                                                                                      \
    }
DEFINE_APART(numbers_apart, numbers, loose_numbers, COMPUTE_T)
#ifdef MAXIMUM
DEFINE_APART(places_apart, places, loose_places, PLACE)
#endif

// Writes WIDTH elements of a row of the result, or those before its end.
static inline void write_some(const struct target *target, const long x, const long columns, numbers found,
                              const places place)
{
#ifndef MAXIMUM
    found *= target->factor;
#endif
    if (x + WIDTH <= columns) {
        STORE_VECTOR(T, target->result, x, found);
#ifdef MAXIMUM
        *(__global loose_ints *)(target->positions + x) = CAST(int, place);
#endif
        return;
    }
    number_lanes values = {found};
#ifdef MAXIMUM
    place_lanes positions = {place};
#endif
    for (long i = 0; x + i < columns; i++) {
        STORE(T, target->result, x + i, values.lane[i]);
#ifdef MAXIMUM
        target->positions[x + i] = (int)positions.lane[i];
#endif
    }
}

// WIDTH windows of `taps` columns, the first of them from the line's column `first` on, `stride` apart.
static inline numbers fold_along(const struct line *line, const long first, const int stride, const long taps,
                                 const long tap_step, places *where)
{
    numbers found = numbers_apart(line->value, first, stride);
#ifdef MAXIMUM
    places place = places_apart(line->place, first, stride);
#endif
    for (long tap = 1; tap < taps; tap++) {
        const long at = first + tap * tap_step;
        const numbers value = numbers_apart(line->value, at, stride);
#ifdef MAXIMUM
        const places position = places_apart(line->place, at, stride);
        const places before = IS_BEFORE(value, position, found, place);
        found = before ? value : found;
        place = before ? position : place;
#else
        found += value;
#endif
    }
#ifdef MAXIMUM
    *where = place;
#endif
    return found;
}

// `columns` windows, the first of them from the line's column `begin` on, `stride` apart.
static inline void fold_regular(__constant const struct windows *p, const struct line *line, const long begin,
                                const int stride, const long columns, const struct target *target)
{
    const long taps = p->taps[0], tap_step = p->tap_step[2];
    places place = (places)(0);
    for (long x = 0; x < columns; x += WIDTH) {
        const numbers found = fold_along(line, begin + x * stride, stride, taps, tap_step, &place);
        write_some(target, x, columns, found, place);
    }
}

#ifndef MAXIMUM
// `columns` windows of two phases; each pair begins one column after the pair before it.
static inline void fold_pairs(__constant const struct windows *p, const struct line *line, const long begin,
                              const long columns, const struct target *target)
{
    const long even_begin = begin + p->firsts[0], odd_begin = begin + p->firsts[1];
    const long even_taps = p->taps[0], odd_taps = p->taps[1];
    places none = (places)(0);
    for (long x = 0; x < columns; x += 2 * WIDTH) {
        const numbers even = fold_along(line, even_begin + x / 2, 1, even_taps, 1, &none);
        const numbers odd = fold_along(line, odd_begin + x / 2, 1, odd_taps, 1, &none);
        numbers low, high;
        low.even = even.lo, low.odd = odd.lo;
        high.even = even.hi, high.odd = odd.hi;
        write_some(target, x, columns, low, none);
        write_some(target, x + WIDTH, columns, high, none);
    }
}
#endif

// The window of columns `first` to `last` of the line, for column `x` of the result.
static inline void fold_one(const struct line *line, const long first, const long last, const long tap_step,
                            const struct target *target, const long x)
{
    long at = first;
    COMPUTE_T found = START;
#ifdef MAXIMUM
    PLACE place = BEYOND;
#endif
    if (tap_step == 1 && last - first >= 2 * WIDTH) {
        number_lanes vector;
        place_lanes places;
        const long taps = (last - first) / WIDTH;
        vector.vector = fold_along(line, first, 1, taps, WIDTH, &places.vector);
        at += taps * WIDTH;
        #pragma unroll
        for (int i = 0; i < WIDTH; i++) {
#ifdef MAXIMUM
            const int before = IS_BEFORE(vector.lane[i], places.lane[i], found, place);
            found = before ? vector.lane[i] : found;
            place = before ? places.lane[i] : place;
#else
            found += vector.lane[i];
#endif
        }
    }
    for (; at < last; at += tap_step) {
        const COMPUTE_T value = line->value[at];
#ifdef MAXIMUM
        const int before = IS_BEFORE(value, line->place[at], found, place);
        found = before ? value : found;
        place = before ? line->place[at] : place;
#else
        found += value;
#endif
    }
#ifdef MAXIMUM
    STORE(T, target->result, x, found);
    target->positions[x] = (int)place;
#else
    STORE(T, target->result, x, found * target->factor);
#endif
}

// All windows of a chunk of a row of the result, from a line that begins at the source's column `low`.
static inline void fold_line(__constant const struct windows *p, __global const long *restrict table,
                             const struct line *line, const long low, const long first, const long columns,
                             const struct target *target)
{
    const long begin = first * p->stride + p->firsts[0] - low;
    if (p->phases == 1 && p->stride == 1)
        fold_regular(p, line, begin, 1, columns, target);
    else if (p->phases == 1)
        fold_regular(p, line, begin, 2, columns, target);
#ifndef MAXIMUM
    else if (p->phases == 2)
        fold_pairs(p, line, first / 2 - low, columns, target);
#endif
    else
        for (long x = 0; x < columns; x++)
            fold_one(line, table[p->starts[2] + first + x] - low, table[p->ends[2] + first + x] - low,
                     p->tap_step[2], target, x);
}

// -- the kernel ------------------------------------------------------------------------------------------------

// The unit of number `number`, of `rows` a chunk: rows in the order of memory.
static inline struct unit unit_of(__constant const struct windows *p, const long number, const long rows)
{
    const long row = number % rows, layer = row / p->outputs[1];
    const struct unit unit = {number / rows, layer / p->outputs[0], layer % p->outputs[0], row % p->outputs[1]};
    return unit;
}

// The next unit; without divisions, which would take as long as a short row.
static inline void advance(__constant const struct windows *p, struct unit *unit)
{
    if (++unit->y < p->outputs[1])
        return;
    unit->y = 0;
    if (++unit->z < p->outputs[0])
        return;
    unit->z = 0;
    if (++unit->image < p->images)
        return;
    unit->image = 0;
    unit->chunk++;
}

static inline long count_of(const long first, const long end, const long step)
{
    return step == 1 ? end - first : (end - first + step - 1) / step;
}

// A unit is a chunk of a row of the result; all rows of a chunk come before the next chunk.
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1)))
void pooling_rows(__global const T *restrict source, __global T *restrict result,
#ifdef MAXIMUM
                  __global int *restrict positions,
#else
                  const COMPUTE_T factor,
#endif
                  __global const long *restrict table, const long start, __constant const struct windows *p)
{
    struct line line;
    struct unit at = {-1, 0, 0, 0};
    long prepared = -1;  // the chunk whose borders are in the line
    const long rows = p->images * p->outputs[0] * p->outputs[1];
    FOR_UNITS(number, p->chunks * rows) {
        if (at.chunk < 0)
            at = unit_of(p, number, rows);
        else
            advance(p, &at);
        const long first = at.chunk * p->chunk, columns = min(p->chunk, p->outputs[2] - first);
        const long low = table[p->spans + 2 * at.chunk], high = table[p->spans + 2 * at.chunk + 1];
        if (at.chunk != prepared) {
            prepared = at.chunk;
            for (long i = 0; i < high - low + SLACK; i++) {
                line.value[i] = START;
#ifdef MAXIMUM
                line.place[i] = BEYOND;
#endif
            }
        }
        const long begin = max(low, 0L);
        const long i = table[p->starts[0] + at.z], j = table[p->starts[1] + at.y];
        const long layers = count_of(i, table[p->ends[0] + at.z], p->tap_step[0]);
        const long window_rows = count_of(j, table[p->ends[1] + at.y], p->tap_step[1]);
        const struct rows w = {
            min(high, p->extent[2]) - begin, p->step[2],
            layers, p->tap_step[0] * p->step[0], window_rows, p->tap_step[1] * p->step[1],
            (PLACE)((i * p->extent[1] + j) * p->extent[2] + begin),
            (PLACE)(p->tap_step[0] * p->extent[1] * p->extent[2]), (PLACE)(p->tap_step[1] * p->extent[2])};
        const long outer = p->inner == 1 ? at.image : at.image / p->inner, inner = at.image - outer * p->inner;
        __global const T *from = source + start + outer * p->outer_step + inner * p->inner_step;
        from += i * p->step[0] + j * p->step[1] + begin * p->step[2];
        fold_rows(from, &w, &line, begin - low);

        const long row = (at.image * p->outputs[0] + at.z) * p->outputs[1] + at.y;
        const long place = row * p->outputs[2] + first;
#ifdef MAXIMUM
        const struct target target = {result + place, positions + place};
#else
        const struct target target = {result + place, factor};
#endif
        fold_line(p, table, &line, low, first, columns, &target);
    }
}
#endif
