// The register tile of weight gradients on CPUs: taps, broadcast, by vectors of filters.
#ifndef NEEDLE_CONVOLUTION_TAPS_H
#define NEEDLE_CONVOLUTION_TAPS_H
#include "convolution.h"

// Taps, and vectors of filters, that are summed in registers at once.
#ifndef JT
#define JT 6
#endif
#ifndef KV
#define KV 2
#endif
#define FILTERS (KV * WIDTH)
// LONE says that a group has one filter, as in depthwise convolutions. The lanes are then pixels: each sums a part of them,
// and KV is 1.

#if WIDTH > 1
DEFINE_TRANSPOSE(T)
#endif

// to[pixel][lane] = y[lane * filter_step + pixel * step] for WIDTH lanes, of which the first `filters` exist.
FULL_VECTORS
void transpose_filters(__global T *to, __global const T *y, const long filter_step, const long step, const long filters,
                       const long pixels)
{
    long pixel = 0;
    if (filters >= WIDTH && step == 1)
        for (; pixel + WIDTH <= pixels; pixel += WIDTH) {
            vector_t v[WIDTH];
            #pragma unroll
            for (int i = 0; i < WIDTH; i++)
                v[i] = *(__global const LOOSE(T) *)(y + i * filter_step + pixel);
#if WIDTH > 1
            CAT(transpose_, T)(v);
#endif
            #pragma unroll
            for (int i = 0; i < WIDTH; i++)
                *(__global LOOSE(T) *)(to + (pixel + i) * FILTERS) = v[i];
        }
    for (; pixel < pixels; pixel++)
        for (int i = 0; i < WIDTH; i++)
            to[pixel * FILTERS + i] = i < filters ? y[i * filter_step + pixel * step] : (T)0;
}

#ifdef LONE
// sums[j][lane] = or += the sum over every WIDTH-th of `pixels` of x[offsets[j] + pixel] * y[pixel], for JT taps j.
FULL_VECTORS
void sum_taps(__global const T *restrict y, __global const T *restrict x, __global const long *restrict offsets,
              const long pixels, __global T *sums, const int join)
{
    union { vector_t vector; T lane[WIDTH]; } sum[JT];
    __global const T *from[JT];
    #pragma unroll
    for (int j = 0; j < JT; j++) {
        from[j] = x + offsets[j];
        sum[j].vector = (vector_t)(0);
    }
    long pixel = 0;
    for (; pixel + WIDTH <= pixels; pixel += WIDTH) {
        const vector_t in = *(__global const LOOSE(T) *)(y + pixel);
        #pragma unroll
        for (int j = 0; j < JT; j++)
            sum[j].vector += in * *(__global const LOOSE(T) *)(from[j] + pixel);
    }
    for (; pixel < pixels; pixel++)
        for (int j = 0; j < JT; j++)
            sum[j].lane[0] += y[pixel] * from[j][pixel];
    #pragma unroll
    for (int j = 0; j < JT; j++) {
        __global LOOSE(T) *to = (__global LOOSE(T) *)(sums + j * WIDTH);
        *to = join ? *to + sum[j].vector : sum[j].vector;
    }
}
#else
// sums[j][filter] = or += the sum over `pixels` of x[offsets[j] + pixel] * y[pixel][filter], for JT taps j.
FULL_VECTORS
void sum_taps(__global const T *restrict y, __global const T *restrict x, __global const long *restrict offsets,
              const long pixels, __global T *sums, const int join)
{
    vector_t sum[JT][KV];
    __global const T *from[JT];
    #pragma unroll
    for (int j = 0; j < JT; j++) {
        from[j] = x + offsets[j];
        #pragma unroll
        for (int v = 0; v < KV; v++)
            sum[j][v] = (vector_t)(0);
    }
    for (long pixel = 0; pixel < pixels; pixel++) {
        vector_t in[KV];
        #pragma unroll
        for (int v = 0; v < KV; v++)
            in[v] = *(__global const LOOSE(T) *)(y + pixel * FILTERS + v * WIDTH);
        #pragma unroll
        for (int j = 0; j < JT; j++) {
            const vector_t value = (vector_t)(from[j][pixel]);
            #pragma unroll
            for (int v = 0; v < KV; v++)
                sum[j][v] += value * in[v];
        }
    }
    __global LOOSE(T) *to = (__global LOOSE(T) *)sums;
    if (join) {
        #pragma unroll
        for (int j = 0; j < JT; j++)
            #pragma unroll
            for (int v = 0; v < KV; v++)
                to[j * KV + v] += sum[j][v];
    } else {
        #pragma unroll
        for (int j = 0; j < JT; j++)
            #pragma unroll
            for (int v = 0; v < KV; v++)
                to[j * KV + v] = sum[j][v];
    }
}
#endif

#endif
