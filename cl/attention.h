// What the kernels of attention share: attention_lanes.cl, attention_lanes_gradient.cl, attention_rows.cl.
//
//   out = (softmax(q k^T * scale + mask) * kept / (1 - p)) v, for each of the heads; kept: 1 or, with probability p, 0
//
// q and out are [batch][head][query][D], k and v [batch][shared head][key][D]: `group` neighbouring heads of q share one of
// k and v. Powers of 2 stand for powers of e: scores are multiplied by scale * log2(e). A row whose keys are all masked
// gives zeros, and its log-sum-exp is -infinity.
#ifndef NEEDLE_ATTENTION_H
#define NEEDLE_ATTENTION_H
#include "builtins.h"
#include "common.h"
#include "philox.h"
#include "types.h"

// The length of a head.
#ifndef D
#define D 64
#endif

#define LOG2E ((COMPUTE_T)1.4426950408889634)
#define LN2 ((COMPUTE_T)0.6931471805599453)

// The parameters of a call that all kernels take. `mask_kind`: 0 none, 1 of bools, which are true where a key is seen,
// 2 of numbers to add. The mask's strides are 0 along axes of one element. `causal`: query i sees the keys up to i. An
// element is kept whose word of random bits is below `threshold`; 2^32 keeps all, and makes no words.
#define CALL_PARAMETERS                                                                                     \
    __global const uchar *mask, const long batches, const long heads, const long group, const long queries, \
    const long keys, const COMPUTE_T scale, const int causal, const int mask_kind, const long mask_batch,   \
    const long mask_head, const long mask_row, const long mask_key, const ulong seed, const ulong offset,   \
    const ulong threshold, const COMPUTE_T rescale

// The index of the mask's first element for a head, counted through all batches.
#define MASK_START(head) ((head) / heads * mask_batch + (head) % heads * mask_head)

// The head of k and v that a head of q shares, counted through all batches.
#define SHARED(head) ((head) / group)

// Random words come in blocks of four, for four neighbouring keys of a row: the number of the block.
#define WORD_BLOCK(row, key) (offset + (ulong)((row) * ((keys + 3) / 4) + (key) / 4))

#define KEEPS_ALL (threshold >> 32)

// What the mask adds to a score that is a power of 2.
static inline COMPUTE_T mask_at(__global const uchar *mask, const int kind, const long at)
{
    if (kind == 1) return mask[at] ? (COMPUTE_T)0 : -(COMPUTE_T)INFINITY;
    return LOAD(T, (__global const T *)mask, at) * LOG2E;
}

#endif
