// Names shared by every kernel family: token pasting and vector types of WIDTH lanes.
#ifndef NEEDLE_COMMON_H
#define NEEDLE_COMMON_H

// Functions are `static inline`: a plain `inline` one does not exist for a compiler that does not inline it. Those that
// get pointers to local memory are neither: into static ones LLVM moves the address of the kernel's array, which is then
// not the one that PoCL 3.0 gives the kernel. (tools/check_cl.py insists on both.)

// Lanes of the vectors a work-item computes on: 1, 2, 4, 8 or 16. 16 fills an AVX-512 register with
// floats; a GPU, whose lanes are work-items, wants 1.
#ifndef WIDTH
#define WIDTH 1
#endif

// The type of element counts and offsets: `int` halves the arithmetic on GPUs where it is large enough.
#ifndef INDEX
#define INDEX long
#endif

// Writes a vector past the caches if the compiler knows how, so that memory need not be read only to be overwritten.
// The address must be a multiple of the vector's size.
#define STREAM(vector_type, target, value) *(__global vector_type *)(target) = (value)
#ifdef __has_builtin
#if __has_builtin(__builtin_nontemporal_store)
#undef STREAM
#define STREAM(vector_type, target, value) __builtin_nontemporal_store(value, (__global vector_type *)(target))
#endif
#endif
#define IS_ALIGNED(vector_type, target) ((size_t)(target) % sizeof(vector_type) == 0)

// Asks for the line of memory around an address, to be kept in all caches (3) or not in the first (2), where the compiler
// says that its target is a CPU. OpenCL's prefetch() is a slow call on some CPUs, and nothing on others.
// FETCH_TO_WRITE asks for a line that will be written.
#define FETCH(pointer, caches)
#define FETCH_TO_WRITE(pointer)
#if defined(__has_builtin) && (defined(__x86_64__) || defined(__aarch64__))
#if __has_builtin(__builtin_prefetch)
#undef FETCH
#define FETCH(pointer, caches) __builtin_prefetch((const void *)(size_t)(pointer), 0, caches)
#undef FETCH_TO_WRITE
#define FETCH_TO_WRITE(pointer) __builtin_prefetch((const void *)(size_t)(pointer), 1, 3)
#endif
#endif

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

#if WIDTH == 1
#define VEC(T) T
#else
#define VEC(T) CAT(T, WIDTH)
#endif

// Defines `transpose_T`, which transposes WIDTH vectors in registers by log2(WIDTH) perfect shuffles. Halves of
// vectors, because `shuffle2` is a call on some; a macro, because T is not known here.
#define DEFINE_TRANSPOSE(T)                                                                                 \
    static inline void CAT(transpose_, T)(VEC(T) *v) {                                                      \
        VEC(T) t[WIDTH];                                                                                    \
        _Pragma("unroll")                                                                                   \
        for (int step = 1; step < WIDTH; step *= 2) {                                                       \
            _Pragma("unroll")                                                                               \
            for (int i = 0; i < WIDTH / 2; i++) {                                                           \
                t[2 * i].even = v[i].lo;                                                                    \
                t[2 * i].odd = v[i + WIDTH / 2].lo;                                                         \
                t[2 * i + 1].even = v[i].hi;                                                                \
                t[2 * i + 1].odd = v[i + WIDTH / 2].hi;                                                     \
            }                                                                                               \
            _Pragma("unroll")                                                                               \
            for (int i = 0; i < WIDTH; i++) v[i] = t[i];                                                    \
        }                                                                                                   \
    }

#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#if defined(cl_khr_fp16) || defined(__NV_CL_C_VERSION)
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#endif

#endif
