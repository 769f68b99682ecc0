/*
 * simd.h - one program for old and new x86-64 processors
 *
 * The build aims at any x86-64, whose vectors are 4 floats wide.  A hot loop marked IMGEN_CLONES is
 * compiled three times (SSE2, AVX2 + FMA, AVX-512) and the loader picks what the processor has.
 *
 *     IMGEN_CLONES static void scale(float *restrict y, const float *restrict x, int64_t n)
 *
 * Put it on leaf functions that hold the loop itself: the body of `#pragma omp parallel` becomes a
 * function of its own that is not cloned, so the parallel loop goes into the caller.  Inline
 * functions called from a clone are compiled for the clone.  Which clone runs depends on the
 * machine alone, so results are the same bits run after run there; fused multiply-adds make them
 * differ in the last bits between machines.
 *
 * The thread sanitizer is not yet awake when the loader asks, and clang's first versions of the
 * attribute are young: both get the plain loop.
 */
#ifndef IMGEN_BASE_SIMD_H
#define IMGEN_BASE_SIMD_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__SANITIZE_THREAD__)
#define IMGEN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define IMGEN_CLONES
#endif

#endif
