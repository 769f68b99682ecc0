/*
 * strassen.h - the sum of outer.h for large layers, with seven multiplications for eight
 *
 *     C [O, I] = A [R, O]^T B [R, I],    sums [O] = the columns of A summed up
 *
 * All dense float32.  The bits depend on the shapes alone, not on the number of threads.
 *
 * An element of C is a difference of sums in which another column of A and another of B take part:
 * its error is relative to the larger of the two that share a place in their halves of a block, not
 * to its own size.  Where a column of A is zero, C is not, but 2e-7 of what the other column gives;
 * and what is not finite in one spoils the other.
 */
#ifndef IMGEN_BACKEND_CPU_STRASSEN_H
#define IMGEN_BACKEND_CPU_STRASSEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strassen {
    int64_t rows, O, I;
    int64_t high, wide; /* half a block of C, each way               */
    int64_t cut;        /* rows of the halves that a task computes   */
    int64_t down, across, cuts;
    int lanes;
};

/* Whether a layer of this shape halves evenly, and is large enough to be faster for it. */
bool strassen_suits(int64_t rows, int64_t O, int64_t I);

/* A shape that suits.  For the number of threads that OpenMP is set to now; works with any. */
void strassen_init(struct strassen *s, int64_t rows, int64_t O, int64_t I);

/* Scratch of `threads` threads; a multiple of 64. */
size_t strassen_scratch_bytes(const struct strassen *s, int threads);

/* sums may be NULL. */
void strassen_run(const struct strassen *s, const float *a, const float *b, float *c, float *sums,
                  void *scratch);

#endif
