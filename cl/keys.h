// Keys: elements as unsigned integers of the same order.
//
// Signed integers and floats have bits flipped, NaN comes after all numbers, -0 and 0 are equal, and a descending order
// flips all bits. So one compiled kernel serves all dtypes of a size; elements of 1 and 2 bytes share it with those of 4.
#ifndef NEEDLE_KEYS_H
#define NEEDLE_KEYS_H
#include "common.h"

// Bytes of a key: 8 for elements of 8 bytes, 4 for all others.
#ifndef KEY_BYTES
#define KEY_BYTES 4
#endif
#if KEY_BYTES == 8
#define KEY ulong
#else
#define KEY uint
#endif

// What elements are: how their order follows from their bits.
#define UNSIGNED_INTEGER 0
#define SIGNED_INTEGER 1
#define FLOATING 2

// The parameters that tell of the elements: their bits, their size in bytes, their kind, and the bits that a descending
// order flips.
#define ELEMENTS __global const uchar *restrict raw, const int size, const int kind, const KEY flip

static inline KEY key_of(ELEMENTS, const long i) {
#if KEY_BYTES == 8
    ulong bits = ((__global const ulong *)raw)[i];
    const ulong sign = (ulong)1 << 63, infinity = (ulong)0x7ff << 52;
#else
    uint bits = size == 4   ? ((__global const uint *)raw)[i]
                : size == 2 ? ((__global const ushort *)raw)[i]
                            : raw[i];
    const uint sign = 1u << (8 * size - 1), infinity = size == 4 ? 0x7f800000u : 0x7c00u;
#endif
    if (kind == SIGNED_INTEGER) bits ^= sign;
    if (kind == FLOATING) {
        const KEY magnitude = bits & (sign - 1), all = sign | (sign - 1);
        const KEY ordered = magnitude == 0 ? sign : (bits & sign) ? all ^ bits : bits | sign;
        bits = magnitude > infinity ? all : ordered;
    }
    return bits ^ flip;
}

#endif
