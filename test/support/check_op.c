/*
 * check_op.c - one op run in every way the engine knows, against its formula in double
 *
 * The gradient that an op's adjoint records is compared with differences of the double reference,
 * not of the op itself: float32 differences are good to three digits and would hide a forgotten
 * term of the size of epsilon, while (L(x + h) - L(x - h)) / 2h in double, h = 1e-5, is good to
 * eight.  The difference is summed entry by entry, cot (y+ - y-), so that the entries that x does
 * not touch cancel exactly and a large result costs no digits.
 *
 * All other ways to run (eager, more threads, a plan met before, no gradient wanted, memory reused)
 * are compared with the first run bit by bit: a law of the graph, not a matter of tolerance.
 */
#include "support/check_op.h"

#include "base/memory.h"
#include "base/rng.h"
#include "ops/basic.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PROBES = 40 };
static const double TOLERANCE = 2e-5;
static const double STEP = 1e-5;

/* The values of one case; float and double hold the same numbers. */
struct values {
    float *f32[CHECK_INS];
    int32_t *i32[CHECK_INS];
    double *f64[CHECK_INS];
};

/* One way to run. */
struct trial {
    const char *name;
    unsigned flags;
    int threads;
    bool forward_only;
    bool detour; /* every float input goes through x * 1 - 0, so that its memory may be reused */
    int times;   /* recorded and run so often on one graph */
};

struct result {
    struct shape shape;
    float *out;
    float *grad[CHECK_INS]; /* NULL where none is wanted */
};

static void *new_array(int64_t count, size_t size)
{
    struct error err = {0};
    void *p = NULL;

    if (mem_new(&p, (uint64_t)count, size, "a test's values", &err))
        fail_msg("%s", err.text);
    return p;
}

static bool present(const struct check_input *in)
{
    return in->shape.rank > 0;
}

static bool wants_grad(const struct check_input *in)
{
    return present(in) && !in->fixed && !in->ids;
}

static bool any_grad(const struct check_case *c)
{
    for (int k = 0; k < CHECK_INS; k++)
        if (wants_grad(&c->in[k]))
            return true;
    return false;
}

static void values_draw(struct values *v, const struct check_case *c)
{
    for (int k = 0; k < CHECK_INS; k++) {
        const struct check_input *in = &c->in[k];
        struct rng r = rng_stream(1, RNG_TEST, (uint64_t)k);
        int64_t n = present(in) ? shape_count(in->shape) : 0;
        double std = in->std != 0 ? in->std : 1;

        if (!present(in))
            continue;
        v->f64[k] = new_array(n, sizeof(double));
        v->f32[k] = new_array(n, sizeof(float));
        v->i32[k] = new_array(n, sizeof(int32_t));
        for (int64_t i = 0; i < n; i++) {
            if (in->ids)
                v->i32[k][i] = (int32_t)rng_below(&r, (uint64_t)in->ids);
            v->f32[k][i] = in->ids      ? (float)v->i32[k][i]
                           : in->values ? in->values[i]
                                        : (float)(in->mean + std * rng_normal(&r));
            v->f64[k][i] = (double)v->f32[k][i];
        }
    }
}

static void values_free(struct values *v)
{
    for (int k = 0; k < CHECK_INS; k++) {
        free(v->f32[k]);
        free(v->i32[k]);
        free(v->f64[k]);
    }
}

static void result_free(struct result *r)
{
    free(r->out);
    for (int k = 0; k < CHECK_INS; k++)
        free(r->grad[k]);
    memset(r, 0, sizeof(*r));
}

/* Sample n's cotangent must not depend on the batch, so a row has its own stream. */
static float *cotangent(struct shape shape, int64_t first_row)
{
    int64_t n = shape_count(shape), rows = shape.rank ? shape.dim[0] : 1;
    int64_t row = rows ? n / rows : 0;
    float *cot = new_array(n, sizeof(float));

    for (int64_t i = 0; i < rows; i++) {
        struct rng r = rng_stream(2, RNG_TEST, (uint64_t)(first_row + i));

        rng_normals(&r, cot + i * row, row);
    }
    return cot;
}

/* --- one run ---------------------------------------------------------------------------------- */

/* An input on the tape; *leaf is the tensor whose gradient is asked. */
static struct tensor *place_input(struct graph *g, const struct check_input *in, const float *f32,
                                  const int32_t *i32, float *grad, bool detour,
                                  struct tensor **leaf)
{
    struct tensor *x;

    if (in->ids)
        return graph_input_i32(g, in->shape, i32);
    if (in->param) {
        x = graph_param(g, in->shape, f32, grad, NULL);
    } else {
        x = graph_input(g, in->shape, f32);
        if (grad)
            graph_want_grad(x);
    }
    *leaf = x;
    return detour ? op_affine(g, x, 1, -0.0) : x;
}

static void read_values(struct graph *g, const struct tensor *t, float *out)
{
    if (shape_count(t->shape)) /* no memory is planned where there are no values */
        graph_read(g, t, out);
}

/* Record the case and <cot, y>, run, and copy the results out. */
static void record_and_run(struct graph *g, const struct check_case *c, const struct values *v,
                           const struct trial *t, int64_t first_row, struct result *r)
{
    struct tensor *in[CHECK_INS] = {NULL}, *leaf[CHECK_INS] = {NULL}, *y;
    bool backward = any_grad(c) && !t->forward_only;
    struct error err = {0};
    float *cot;

    for (int k = 0; k < CHECK_INS; k++) {
        if (!present(&c->in[k]))
            continue;
        if (backward && wants_grad(&c->in[k]))
            r->grad[k] = new_array(shape_count(c->in[k].shape), sizeof(float));
        in[k] = place_input(g, &c->in[k], v->f32[k], v->i32[k], r->grad[k], t->detour, &leaf[k]);
    }
    y = c->build(g, in, c);
    r->shape = y->shape;
    r->out = new_array(shape_count(y->shape), sizeof(float));
    cot = cotangent(y->shape, first_row);
    graph_keep(g, y);
    if (backward) {
        graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, y->shape, cot))));
        for (int k = 0; k < CHECK_INS; k++)
            if (r->grad[k] && !c->in[k].param) {
                if (!leaf[k]->grad)
                    fail_msg("%s: input %d has no gradient", c->name, k);
                graph_keep(g, leaf[k]->grad);
            }
    }
    if (graph_run(g, &err))
        fail_msg("%s, %s: %s", c->name, t->name, err.text);
    read_values(g, y, r->out);
    for (int k = 0; k < CHECK_INS; k++)
        if (r->grad[k] && !c->in[k].param)
            read_values(g, leaf[k]->grad, r->grad[k]);
    free(cot);
}

static void run_trial(const struct check_case *c, const struct values *v, const struct trial *t,
                      int64_t first_row, struct result *r)
{
    struct graph *g = NULL;
    struct error err = {0};

    memset(r, 0, sizeof(*r));
    if (graph_new(&g, t->flags, t->threads, &err))
        fail_msg("%s: %s", c->name, err.text);
    for (int i = 0; i < t->times; i++) {
        result_free(r);
        graph_reset(g);
        record_and_run(g, c, v, t, first_row, r);
    }
    graph_free(g);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* The place of element i, as "[1, 0, 7]". */
static const char *place_text(char buf[SHAPE_TEXT], struct shape s, int64_t i)
{
    struct shape at = s;

    for (int d = s.rank - 1; d >= 0; d--) {
        at.dim[d] = i % s.dim[d];
        i /= s.dim[d];
    }
    return shape_text(buf, at);
}

static void must_same_bits(const char *name, const char *how, const char *what, int index,
                           struct shape shape, const float *a, const float *b)
{
    char at[SHAPE_TEXT], size[SHAPE_TEXT];

    for (int64_t i = 0; i < shape_count(shape); i++)
        if (memcmp(&a[i], &b[i], sizeof(float)) != 0)
            fail_msg("%s, %s: %s %d %s has other bits at %s: %.9g, should be %.9g", name, how, what,
                     index, shape_text(size, shape), place_text(at, shape, i), (double)b[i],
                     (double)a[i]);
}

static void must_same_results(const struct check_case *c, const char *how, const struct result *a,
                              const struct result *b)
{
    must_same_bits(c->name, how, "result", 0, a->shape, a->out, b->out);
    for (int k = 0; k < CHECK_INS; k++)
        if (a->grad[k] && b->grad[k])
            must_same_bits(c->name, how, "gradient of input", k, c->in[k].shape, a->grad[k],
                           b->grad[k]);
}

/* |got - want| <= tol max|want| everywhere, or a report of the worst place; NaN is worst of all. */
static void must_agree(const struct check_case *c, const char *how, const double *want,
                       const struct result *r)
{
    double scale = 0, worst = -1, tol = c->tol != 0 ? c->tol : TOLERANCE;
    char at[SHAPE_TEXT], size[SHAPE_TEXT];
    int64_t n = shape_count(r->shape), where = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)r->out[i] - want[i]);

        if (isnan(d))
            d = HUGE_VAL;
        if (d > worst) {
            worst = d;
            where = i;
        }
        scale = fmax(scale, fabs(want[i]));
    }
    if (worst > tol * scale)
        fail_msg("%s, %s: result %s is off by %.3g of its largest magnitude at %s: %.9g, should be "
                 "%.9g (tolerance %.3g)",
                 c->name, how, shape_text(size, r->shape), worst / scale,
                 place_text(at, r->shape, where), (double)r->out[where], want[where], tol);
}

/* --- gradients -------------------------------------------------------------------------------- */

struct probe {
    int64_t at;
    double want, got;
};

/* d <cot, ref> / d in[k][i] by a central difference; plus and minus have room for the result. */
static double slope(const struct check_case *c, struct values *v, int k, int64_t i,
                    const float *cot, int64_t n, double *plus, double *minus)
{
    double *x = &v->f64[k][i], old = *x, sum = 0;
    double h = STEP * (c->in[k].std != 0 ? c->in[k].std : 1);

    *x = old + h;
    c->ref(plus, (const double *const *)v->f64, c);
    *x = old - h;
    c->ref(minus, (const double *const *)v->f64, c);
    *x = old;
    for (int64_t j = 0; j < n; j++)
        sum += (double)cot[j] * (plus[j] - minus[j]);
    return sum / (2 * h);
}

/* Probe input k's gradient at every place, or at seeded random ones; returns how many. */
static int64_t probe_input(const struct check_case *c, struct values *v, int k,
                           const struct result *r, const float *cot, struct probe *probes)
{
    int64_t n = shape_count(c->in[k].shape), out = shape_count(r->shape);
    int64_t limit = c->probes ? c->probes : PROBES, count = n < limit ? n : limit;
    struct rng rng = rng_stream(3, RNG_TEST, (uint64_t)k);
    double *plus = new_array(out, sizeof(double)), *minus = new_array(out, sizeof(double));

    for (int64_t j = 0; j < count; j++) {
        int64_t i = n == count ? j : (int64_t)rng_below(&rng, (uint64_t)n);

        probes[j].at = i;
        probes[j].got = (double)r->grad[k][i];
        probes[j].want = slope(c, v, k, i, cot, out, plus, minus);
    }
    free(plus);
    free(minus);
    return count;
}

static double largest(const struct probe *p, int64_t n)
{
    double max = 0;

    for (int64_t i = 0; i < n; i++)
        max = fmax(max, fabs(p[i].want));
    return max;
}

static void must_be_slopes(const struct check_case *c, int k, const struct probe *p, int64_t n,
                           double scale)
{
    double worst = -1, tol = c->grad_tol != 0 ? c->grad_tol : TOLERANCE;
    char at[SHAPE_TEXT], size[SHAPE_TEXT];
    int64_t where = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = fabs(p[i].got - p[i].want);

        if (isnan(d))
            d = HUGE_VAL;
        if (d > worst) {
            worst = d;
            where = i;
        }
    }
    if (worst > tol * scale)
        fail_msg("%s: gradient of input %d %s is off by %.3g of its largest magnitude at %s: "
                 "%.9g, should be %.9g (tolerance %.3g)",
                 c->name, k, shape_text(size, c->in[k].shape), worst / scale,
                 place_text(at, c->in[k].shape, p[where].at), p[where].got, p[where].want, tol);
}

/* A gradient that vanishes mathematically is compared on the scale of the largest beside it. */
static void check_gradients(const struct check_case *c, struct values *v, const struct result *r)
{
    int64_t limit = c->probes ? c->probes : PROBES, count[CHECK_INS] = {0};
    struct probe *probes[CHECK_INS] = {NULL};
    float *cot = cotangent(r->shape, 0);
    double all = 0;

    for (int k = 0; k < CHECK_INS; k++) {
        if (!r->grad[k])
            continue;
        probes[k] = new_array(limit, sizeof(struct probe));
        count[k] = probe_input(c, v, k, r, cot, probes[k]);
        all = fmax(all, largest(probes[k], count[k]));
    }
    for (int k = 0; k < CHECK_INS; k++)
        if (probes[k])
            must_be_slopes(c, k, probes[k], count[k],
                           fmax(largest(probes[k], count[k]), all * 1e-3));
    for (int k = 0; k < CHECK_INS; k++)
        free(probes[k]);
    free(cot);
}

/* --- each sample alone ------------------------------------------------------------------------ */

static int64_t samples(const struct check_case *c)
{
    for (int k = 0; k < CHECK_INS; k++)
        if (present(&c->in[k]) && c->in[k].batched)
            return c->in[k].shape.dim[0];
    return 0;
}

/* The case and the values of sample n alone; the values still belong to *v. */
static void take_sample(struct check_case *one, struct values *w, const struct check_case *c,
                        const struct values *v, int64_t n)
{
    *one = *c;
    *w = *v;
    for (int k = 0; k < CHECK_INS; k++) {
        if (!present(&c->in[k]) || !c->in[k].batched)
            continue;
        one->in[k].shape.dim[0] = 1;
        w->f32[k] += n * shape_count(one->in[k].shape);
        w->i32[k] += n * shape_count(one->in[k].shape);
    }
}

static void check_alone(const struct check_case *c, const struct values *v,
                        const struct result *batch)
{
    static const struct trial trial = {.name = "alone", .threads = 2, .times = 1};

    for (int64_t n = 0; n < samples(c); n++) {
        struct check_case one;
        struct values w;
        struct result r;
        char how[64];

        snprintf(how, sizeof(how), "sample %" PRId64 " alone", n);
        take_sample(&one, &w, c, v, n);
        run_trial(&one, &w, &trial, n, &r);
        must_same_bits(c->name, how, "result", 0, r.shape, batch->out + n * shape_count(r.shape),
                       r.out);
        for (int k = 0; k < CHECK_INS && c->alone_grad; k++)
            if (r.grad[k] && c->in[k].batched)
                must_same_bits(c->name, how, "gradient of input", k, one.in[k].shape,
                               batch->grad[k] + n * shape_count(one.in[k].shape), r.grad[k]);
        result_free(&r);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static const struct trial base = {.name = "planned", .threads = 1, .times = 1};
static const struct trial same_bits[] = {
    {.name = "2 threads", .threads = 2, .times = 1},
    {.name = "3 threads", .threads = 3, .times = 1},
    {.name = "4 threads", .threads = 4, .times = 1},
    {.name = "a plan met before", .threads = 2, .times = 2},
    {.name = "eager", .flags = GRAPH_EAGER, .threads = 2, .times = 1},
    {.name = "memory reused", .threads = 2, .detour = true, .times = 1},
    {.name = "no gradient wanted", .threads = 1, .forward_only = true, .times = 1},
    {.name = "no gradient wanted, memory reused",
     .threads = 2,
     .forward_only = true,
     .detour = true,
     .times = 1},
};
static const struct trial frozen = {
    .name = "frozen", .flags = GRAPH_FROZEN, .threads = 2, .forward_only = true, .times = 2};

void check_op(const struct check_case *c)
{
    struct values v = {{NULL}, {NULL}, {NULL}};
    struct result first, other;
    char size[SHAPE_TEXT], expected[SHAPE_TEXT];
    double *want;

    values_draw(&v, c);
    run_trial(c, &v, &base, 0, &first);
    if (c->out.rank && !shape_equal(c->out, first.shape))
        fail_msg("%s: result is %s, should be %s", c->name, shape_text(size, first.shape),
                 shape_text(expected, c->out));
    want = new_array(shape_count(first.shape), sizeof(double));
    c->ref(want, (const double *const *)v.f64, c);
    must_agree(c, base.name, want, &first);
    check_gradients(c, &v, &first);
    for (size_t i = 0; i < sizeof(same_bits) / sizeof(same_bits[0]); i++) {
        run_trial(c, &v, &same_bits[i], 0, &other);
        must_same_results(c, same_bits[i].name, &first, &other);
        result_free(&other);
    }
    run_trial(c, &v, &frozen, 0, &other);
    must_agree(c, frozen.name, want, &other);
    result_free(&other);
    check_alone(c, &v, &first);
    result_free(&first);
    values_free(&v);
    free(want);
}

void check_ops(const struct check_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_op(&cases[i]);
}
