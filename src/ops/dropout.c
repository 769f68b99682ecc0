/*
 * dropout.c - values left out at random in training
 *
 *     y_i = m_i x_i / (1 - p),   m_i = 0 with probability p, else 1;     dx_i = m_i dy_i / (1 - p)
 *
 * A network that can rely on no single value learns ones that agree (Srivastava et al. 2014), and
 * on small sets generators overfit later; ADM and EDM train with it (architectures.md 2.1, 2.3).
 *
 * The usual implementation draws the mask from a generator with a state and keeps it for the
 * backward.  Here it is a function of the sample's number in the run, the place in the network and
 * the element, by a generator that can start anywhere (base/rng.h): the backward, a recomputed
 * segment, another cut of the batch and a resumed run draw the very same mask, nothing is kept, and
 * threads share the work as they like.  The seed and the number are values that change from step to
 * step, so they enter as an input; the place is a constant.
 *
 * The op is linear and its own adjoint.
 */
#include "ops/dropout.h"

#include "base/rng.h"
#include "base/simd.h"
#include "base/whole.h"
#include "ops/rows.h"

#include <inttypes.h>

enum { ARG_P, ARG_PLACE };
enum { CHUNK_BLOCKS = 64, CHUNK = 4 * CHUNK_BLOCKS };

/* About thirty operations make a word. */
static double thirty_flops(const struct tensor *y)
{
    return 30 * (double)shape_count(y->shape);
}

static struct rng stream_of(const int32_t *key, int64_t place)
{
    uint64_t seed = (uint64_t)(uint32_t)key[1] << 32 | (uint32_t)key[0];
    uint64_t sample = (uint64_t)(uint32_t)key[3] << 32 | (uint32_t)key[2];

    return rng_stream_at(seed, RNG_DROPOUT, sample, (uint32_t)place);
}

IMGEN_CLONES static void drop(float *y, const float *x, const uint32_t *word, int64_t n,
                              uint32_t below, float scale)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = word[i] < below ? 0 : x[i] * scale;
}

/* Blocks of elements begin at multiples of four of a sample: at whole blocks of the generator. */
static void dropout_block(const struct tensor *y, struct block at)
{
    int64_t length = shape_count(y->shape) / y->shape.dim[0], begin = at.sample * length;
    struct rng r =
        stream_of((const int32_t *)y->in[1]->data + at.sample * DROP_WORDS, y->arg[ARG_PLACE].i);
    double p = y->arg[ARG_P].f;
    uint32_t below = (uint32_t)(p * 0x1p32), word[CHUNK];
    const float *x = y->in[0]->data;
    float *out = y->data, scale = (float)(1 / (1 - p));

    for (int64_t i = at.first; i < at.last; i += CHUNK) {
        int64_t n = whole_min(CHUNK, at.last - i);

        rng_blocks(word, &r, (uint32_t)((i - begin) / 4), whole_parts(n, 4));
        drop(out + i, x + i, word, n, below, scale);
    }
}

static void dropout_cpu(const struct tensor *y)
{
    int64_t N = y->shape.dim[0];

    each_block(y, row_blocks(N, N ? shape_count(y->shape) / N : 0, 1), dropout_block);
}

static void dropout_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], op_dropout(g, y->grad, y->in[1], y->arg[ARG_P].f, y->arg[ARG_PLACE].i));
}

static const struct op dropout = {.name = "dropout",
                                  .cpu = dropout_cpu,
                                  .adjoint = dropout_adjoint,
                                  .flops = thirty_flops,
                                  .inplace = 1};

struct tensor *op_dropout(struct graph *g, struct tensor *x, struct tensor *key, double p,
                          int64_t place)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank > 0 && key->dtype == DTYPE_I32 &&
             shape_equal(key->shape, SHAPE(x->shape.dim[0], DROP_WORDS)),
         "dropout: x %s, keys %s", shape_text(a, x->shape), shape_text(b, key->shape));
    MUST(p >= 0 && p < 1 && place >= 0 && place < RNG_PLACES,
         "dropout: probability %g at place %" PRId64, p, place);
    y = record(g, &dropout, x->shape, x, key, NULL, NULL);
    y->arg[ARG_P].f = p;
    y->arg[ARG_PLACE].i = place;
    return y;
}
