/*
 * dnn.h - oneDNN's convolutions, one thread each
 *
 * The only door to oneDNN.  A struct dnn is one primitive of fixed shapes that runs on the calling
 * thread alone; several threads may run it at once, each through a lane of its own.  All data is
 * float32.  Weights are "packed": in the order that the primitive reads fastest, which only
 * dnn_pack and dnn_unpack know.
 */
#ifndef IMGEN_BACKEND_CPU_DNN_H
#define IMGEN_BACKEND_CPU_DNN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dnn;

/* Operands in the order of dnn_run. */
enum dnn_conv_kind {
    DNN_CONV_FORWARD, /* a: x,  b: packed weights, c: y             */
    DNN_CONV_DATA,    /* a: dy, b: packed weights, c: dx            */
    DNN_CONV_WEIGHTS, /* a: x,  b: dy,             c: packed dw     */
};

/* Pictures x [N, H, W, I] to y [N, OH, OW, O], both dense and channels last, kernel kh x kw. */
struct dnn_conv {
    int64_t N, H, W, I, O, kh, kw, OH, OW;
    int64_t stride, top, bottom, left, right; /* padding may not be negative */
};

/* One of a convolution's three products.  lanes: threads that will run it.  *out is given to
 * dnn_free.  Fails with E_MEMORY or E_UNSUPPORTED. */
enum status dnn_conv(struct dnn **out, enum dnn_conv_kind kind, const struct dnn_conv *s, int lanes,
                     struct error *err);

/* A copy of plain weights into p's packed order (dnn_run's a to c), or back.  step: floats from one
 * element of the plain weights to the next along [O, I, kh, kw].  Uses all threads when it runs
 * outside of tiles_run. */
enum status dnn_pack(struct dnn **out, const struct dnn *p, const int64_t step[4], int lanes,
                     struct error *err);
enum status dnn_unpack(struct dnn **out, const struct dnn *p, const int64_t step[4], int lanes,
                       struct error *err);

/* Whether weights packed for one serve the other. */
bool dnn_same_packing(const struct dnn *p, const struct dnn *q);

void dnn_free(struct dnn *p);

/* Bytes that the packed operand takes, and the scratch of one run, both multiples of 64. */
size_t dnn_packed_bytes(const struct dnn *p);
size_t dnn_scratch_bytes(const struct dnn *p);

/* c = op(a, b).  scratch: dnn_scratch_bytes, aligned to 64, contents undefined.  c overlaps
 * nothing. */
void dnn_run(const struct dnn *p, int lane, const float *a, const float *b, float *c,
             void *scratch);

#endif
