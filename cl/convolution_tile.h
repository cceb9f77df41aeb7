// The register tile of convolutions on CPUs: filters, broadcast, by vectors of pixels.
#ifndef NEEDLE_CONVOLUTION_TILE_H
#define NEEDLE_CONVOLUTION_TILE_H
#include "convolution.h"

// Filters, and vectors of pixels, that are summed in registers at once: 12 sums of 16 registers, or 24 of 32.
#ifndef KT
#define KT 4
#endif
#ifndef TV
#define TV 3
#endif
#define PIXELS (TV * WIDTH)

// y[i * step + pixel] = or += the sum over j of w[j][i] * planes[offsets[j] + pixel], for `filters` x `pixels` of the tile.
FULL_VECTORS
void sum_tile(__global const T *restrict w, __global const T *planes, __global const long *restrict offsets, const long n,
              __global T *y, const long step, const long filters, const long pixels, const int join)
{
    const int whole = filters >= KT && pixels >= PIXELS;
    vector_t sum[KT][TV];
    #pragma unroll
    for (int i = 0; i < KT; i++)
        #pragma unroll
        for (int v = 0; v < TV; v++)
            sum[i][v] = (vector_t)(0);
    if (whole && join) {
        #pragma unroll
        for (int i = 0; i < KT; i++)
            #pragma unroll
            for (int v = 0; v < TV; v++)
                sum[i][v] = *(__global const LOOSE(T) *)(y + i * step + v * WIDTH);
    }
    for (long j = 0; j < n; j++) {
        __global const T *from = planes + offsets[j];
        vector_t in[TV];
        #pragma unroll
        for (int v = 0; v < TV; v++)
            in[v] = *(__global const LOOSE(T) *)(from + v * WIDTH);
        #pragma unroll
        for (int i = 0; i < KT; i++) {
            const vector_t weight = (vector_t)(w[j * KT + i]);
            #pragma unroll
            for (int v = 0; v < TV; v++)
                sum[i][v] += weight * in[v];
        }
    }
    if (whole) {
        #pragma unroll
        for (int i = 0; i < KT; i++)
            #pragma unroll
            for (int v = 0; v < TV; v++)
                *(__global LOOSE(T) *)(y + i * step + v * WIDTH) = sum[i][v];
        return;
    }
    vector_t sums[KT * TV];
    #pragma unroll
    for (int i = 0; i < KT; i++)
        #pragma unroll
        for (int v = 0; v < TV; v++)
            sums[i * TV + v] = sum[i][v];
    for (long i = 0; i < min(filters, (long)KT); i++) {
        const T *values = (const T *)(sums + i * TV);
        for (long pixel = 0; pixel < min(pixels, (long)PIXELS); pixel++)
            y[i * step + pixel] = join ? y[i * step + pixel] + values[pixel] : values[pixel];
    }
}

#endif
