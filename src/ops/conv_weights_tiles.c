/*
 * conv_weights_tiles.c - the gradient of a convolution's weights as products of small matrices
 *
 * For one tap (ky, kx) the gradient is a plain product over pixels,
 *
 *     dW [:, ky, kx, :] = sum over p of dy [p, :]^T x [p moved by the tap, :],
 *
 * and channels last gives both operands as they lie: a row of pixels is a matrix whose rows stand
 * I or O floats apart, the next row of the picture follows at a fixed distance, and so does the
 * next picture.  ops/tile.h sums over all three in registers, so nothing is unfolded, packed or
 * padded, and the pixels that a tap finds outside of the picture are simply left out.
 *
 *              o ->                 A task makes dW of one panel of 64 inputs and up to 128 outputs
 *         +---+---+---+             over one chunk of the batch.  It walks the chunk in steps of
 *      i  |   |   |   |  x chunks   some 256 pixels: the step's part of x and dy and the panel's
 *      |  +---+---+---+             dW, 300 KB for nine taps, stay in the second-level cache.
 *      v  |   |   |   |
 *         +---+---+---+             Chunks exist only where panels are too few to share; each but
 *                                   the first has a copy of dW, and copies are added in order.
 *
 * What is cut how depends on the shapes alone.  oneDNN's own kernels (conv_weights.c) work on the
 * whole of dW, so that every thread needs a copy, and are slower by 10 to 30 %; they remain for
 * channels that fill no vectors.
 */
#include "backend/cpu/columns.h"
#include "backend/cpu/tiles.h"
#include "base/fetch.h"
#include "base/simd.h"
#include "base/whole.h"
#include "ops/conv_parts.h"
#include "ops/tile.h"

#include <string.h>

enum {
    PANEL = 64,         /* inputs of a task: the columns of a block in registers    */
    BLOCK = 128,        /* outputs of a task, at most                               */
    STEP_PIXELS = 256,  /* about; whole rows, or whole pictures where they are small */
    TASKS = 8,          /* wanted, so that a few threads share them evenly          */
    CHUNKS = 8,         /* at most                                                  */
    CHUNK_PIXELS = 512, /* at least                                                 */
    SPAN = 1 << 14,     /* floats of a tile when copies are added                   */
};

struct cut {
    struct dnn_conv s;
    int64_t panels, blocks, chunks;
    int64_t pictures, rows;  /* of a step: several whole pictures or rows of one */
    int64_t picture_steps;   /* steps in a picture, 1 where a step has several   */
    int64_t steps, together; /* in all; of a chunk                               */
};

/* in[0]: dy, in[1]: x; result dW. */
static struct cut cut_of(const struct tensor *y)
{
    struct cut c = {.s = conv_geometry_of(y, y->in[1], y, y->in[0])};
    int64_t pixels = c.s.OH * c.s.OW;

    c.panels = whole_parts(c.s.I, PANEL);
    c.blocks = whole_parts(c.s.O, BLOCK);
    c.pictures = whole_clamp(STEP_PIXELS / pixels, 1, STEP_PIXELS);
    c.rows = whole_clamp(STEP_PIXELS / c.s.OW, 1, c.s.OH);
    c.picture_steps = whole_parts(c.s.OH, c.rows);
    c.steps = c.picture_steps > 1 ? c.s.N * c.picture_steps : whole_parts(c.s.N, c.pictures);
    c.chunks = whole_clamp(whole_parts(TASKS, c.panels * c.blocks), 1, CHUNKS);
    c.chunks = whole_clamp(c.chunks, 1, whole_clamp(c.s.N * pixels / CHUNK_PIXELS, 1, c.steps));
    c.together = whole_parts(c.steps, c.chunks);
    c.chunks = whole_parts(c.steps, c.together);
    return c;
}

/* Pictures and rows of dy. */
struct step {
    int64_t n, pictures, u, rows;
};

static struct step step_at(const struct cut *c, int64_t k)
{
    struct step at = {.n = k / c->picture_steps, .pictures = 1, .rows = c->s.OH};

    if (c->picture_steps > 1) {
        at.u = k % c->picture_steps * c->rows;
        at.rows = whole_clamp(c->s.OH - at.u, 0, c->rows);
    } else {
        at.n = k * c->pictures;
        at.pictures = whole_clamp(c->s.N - at.n, 0, c->pictures);
    }
    return at;
}

/* The outputs [*first, *end) within the given ones whose tap lies in 0 .. in - 1. */
static void inside(int64_t *first, int64_t *end, int64_t tap, int64_t stride, int64_t in)
{
    int64_t least = tap < 0 ? whole_parts(-tap, stride) : 0;
    int64_t most = in - tap > 0 ? whole_parts(in - tap, stride) : 0;

    *first = *first < least ? least : *first;
    *end = *end > most ? most : *end;
}

/* Scratch: all chunks' sums of dy, in double | a copy of dW for each chunk but the first. */
static size_t sums_bytes(const struct cut *c)
{
    return whole_lines((size_t)(c->chunks * c->s.O) * sizeof(double));
}

static size_t tiles_scratch(const struct tensor *y, int threads)
{
    struct cut c = cut_of(y);

    (void)threads;
    return sums_bytes(&c) + tensor_bytes(y) * (size_t)(c.chunks - 1);
}

struct job {
    const struct tensor *y;
    struct cut c;
};

static double *sums_of(const struct job *job, int64_t chunk)
{
    return (double *)job->y->scratch + chunk * job->c.s.O;
}

static float *copy_of(const struct job *job, int64_t chunk)
{
    unsigned char *copies = (unsigned char *)job->y->scratch + sums_bytes(&job->c);

    if (!chunk)
        return job->y->data;
    return (float *)(void *)copies + (chunk - 1) * shape_count(job->y->shape);
}

/* A task's part of dW: outputs [o, o + O), inputs [i, i + I). */
struct part {
    float *dw;
    int64_t o, O, i, I;
};

/* One tap over one step. */
static void add_tap(const struct job *job, const struct part *p, const struct step *at, int64_t ky,
                    int64_t kx)
{
    const struct dnn_conv *s = &job->c.s;
    const float *dy = job->y->in[0]->data, *x = job->y->in[1]->data;
    int64_t u = at->u, u_end = at->u + at->rows, v = 0, v_end = s->OW;
    struct tile a = {.row = 1, .col = s->O}, b = {.row = s->stride * s->I, .col = 1};

    inside(&u, &u_end, ky - s->top, s->stride, s->H);
    inside(&v, &v_end, kx - s->left, s->stride, s->W);
    if (u >= u_end || v >= v_end)
        return;
    dy += ((at->n * s->OH + u) * s->OW + v) * s->O + p->o;
    x += ((at->n * s->H + u * s->stride + ky - s->top) * s->W + v * s->stride + kx - s->left) *
             s->I +
         p->i;
    /* Operands are only read: the cast drops const for struct tile. */
    a.at = (float *)(uintptr_t)dy;
    b.at = (float *)(uintptr_t)x;
    tile_mul_sum(
        tile_rows(p->dw + (p->o * s->kh * s->kw + ky * s->kw + kx) * s->I + p->i,
                  s->kh * s->kw * s->I),
        a, b, p->O, p->I, v_end - v,
        (const struct tile_terms[2]){{at->pictures, s->OH * s->OW * s->O, s->H * s->W * s->I},
                                     {u_end - u, s->OW * s->O, s->stride * s->W * s->I}},
        true);
}

/* Ask for share `k` of `of` of what a step will read.  Pieces of 256 bytes, a row of channels
 * apart, are no pattern that a processor would foresee; asked for while the step before is
 * computed, they cost nothing. */
FETCH_INLINE void prefetch_share(const float *at, int64_t row, int64_t rows, int64_t width,
                                 int64_t k, int64_t of)
{
    for (int64_t r = rows * k / of; r < rows * (k + 1) / of; r++)
        fetch_floats(at + r * row, width);
}

FETCH_INLINE void prefetch_step(const struct job *job, const struct part *p, const struct step *at,
                                int64_t k, int64_t of)
{
    const struct dnn_conv *s = &job->c.s;
    int64_t rows = at->pictures * at->rows, u = at->u * s->stride;
    const float *dy = job->y->in[0]->data, *x = job->y->in[1]->data;

    prefetch_share(dy + (at->n * s->OH + at->u) * s->OW * s->O + p->o, s->O, rows * s->OW, p->O, k,
                   of);
    rows = whole_clamp(rows * s->stride, 0, (at->n + at->pictures) * s->H - at->n * s->H - u);
    prefetch_share(x + (at->n * s->H + u) * s->W * s->I + p->i, s->I, rows * s->W, p->I, k, of);
}

static void clear_part(const struct part *p, const struct dnn_conv *s)
{
    int64_t taps = s->kh * s->kw;

    for (int64_t r = p->o * taps; r < (p->o + p->O) * taps; r++)
        memset(p->dw + r * s->I + p->i, 0, (size_t)p->I * sizeof(float));
}

static void task(void *user, int64_t t, int lane)
{
    const struct job *job = user;
    const struct cut *c = &job->c;
    const struct dnn_conv *s = &c->s;
    int64_t chunk = t / (c->panels * c->blocks), panel = t % c->panels;
    int64_t last = whole_clamp((chunk + 1) * c->together, 0, c->steps), taps = s->kh * s->kw;
    struct part p = {.dw = copy_of(job, chunk), .i = panel * PANEL};

    (void)lane;
    p.o = t / c->panels % c->blocks * BLOCK;
    p.O = whole_clamp(s->O - p.o, 0, BLOCK);
    p.I = whole_clamp(s->I - p.i, 0, PANEL);
    clear_part(&p, s);
    for (int64_t k = chunk * c->together; k < last; k++) {
        struct step at = step_at(c, k), next = step_at(c, k + 1);

        for (int64_t tap = 0; tap < taps; tap++) {
            if (k + 1 < last)
                prefetch_step(job, &p, &next, tap, taps);
            add_tap(job, &p, &at, tap / s->kw, tap % s->kw);
        }
        if (job->y->side && !panel)
            columns_sum(sums_of(job, chunk) + p.o,
                        (const float *)job->y->in[0]->data + (at.n * s->OH + at.u) * s->OW * s->O +
                            p.o,
                        s->O, at.pictures * at.rows * s->OW, p.O);
    }
}

IMGEN_CLONES static void add_span(float *restrict total, const float *restrict copy, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        total[i] += copy[i];
}

static void add_copies(void *user, int64_t tile, int lane)
{
    const struct job *job = user;
    int64_t first = tile * SPAN, n = whole_clamp(shape_count(job->y->shape) - first, 0, SPAN);

    (void)lane;
    for (int64_t k = 1; k < job->c.chunks; k++)
        add_span(copy_of(job, 0) + first, copy_of(job, k) + first, n);
}

static void tiles_cpu(const struct tensor *y)
{
    struct job job = {.y = y, .c = cut_of(y)};
    const struct cut *c = &job.c;
    float *db = y->side ? y->side->data : NULL;

    if (!c->s.N) {
        memset(y->data, 0, tensor_bytes(y));
        memset(db, 0, db ? tensor_bytes(y->side) : 0);
        return;
    }
    memset(y->scratch, 0, sums_bytes(c));
    tiles_run(c->chunks * c->blocks * c->panels, tiles_lanes(), task, &job);
    if (c->chunks > 1)
        tiles_run(whole_parts(shape_count(y->shape), SPAN), tiles_lanes(), add_copies, &job);
    for (int64_t o = 0; db && o < c->s.O; o++) {
        double total = 0;

        for (int64_t k = 0; k < c->chunks; k++)
            total += sums_of(&job, k)[o];
        db[o] = (float)total;
    }
}

static double tiles_flops(const struct tensor *y)
{
    struct dnn_conv s = conv_geometry_of(y, y->in[1], y, y->in[0]);

    return conv_flops(&s);
}

const struct op conv_dw_tiles = {
    .name = "conv_dw",
    .cpu = tiles_cpu,
    .scratch = tiles_scratch,
    .flops = tiles_flops,
};

/* Fewer than three vectors of inputs leave the registers of a block half empty. */
bool conv_dw_has_tiles(const struct tensor *w)
{
    int64_t I = w->shape.dim[3];

    return I % TILE_LANES == 0 && I >= 3 * TILE_LANES;
}
