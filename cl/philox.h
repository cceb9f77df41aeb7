// The rounds of Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC11), which needle/ops/philox.py describes.
#ifndef NEEDLE_PHILOX_H
#define NEEDLE_PHILOX_H

#define PHILOX_LOW 0xFFFFFFFFUL

// Makes the four words of block `number` under `seed` in c0 to c3, which the caller has declared. `number` and the words are
// ulongs or vectors of ulongs, a block a lane: compilers see that products of 32-bit values take one multiplication.
#define PHILOX_ROUNDS(type, number, seed, c0, c1, c2, c3)                                                   \
    {                                                                                                       \
        c0 = (number) & PHILOX_LOW, c1 = (number) >> 32, c2 = 0, c3 = 0;                                    \
        ulong k0 = (seed) & PHILOX_LOW, k1 = (seed) >> 32;                                                  \
        _Pragma("unroll")                                                                                   \
        for (int round = 0; round < 10; round++) {                                                          \
            const type a = c0 * 0xD2511F53UL, b = c2 * 0xCD9E8D57UL;                                        \
            c0 = (b >> 32) ^ c1 ^ k0;                                                                       \
            c1 = b & PHILOX_LOW;                                                                            \
            c2 = (a >> 32) ^ c3 ^ k1;                                                                       \
            c3 = a & PHILOX_LOW;                                                                            \
            k0 = (k0 + 0x9E3779B9UL) & PHILOX_LOW;                                                          \
            k1 = (k1 + 0xBB67AE85UL) & PHILOX_LOW;                                                          \
        }                                                                                                   \
    }

#endif
