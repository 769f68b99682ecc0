/*
 * parity_vq.c - fixtures of a codebook by itself (kind "vq")
 *
 * Vectors in, the nearest codes out; the gradient of <zq, cot> + 10 loss goes to the vectors
 * straight through and to the codes by the loss alone.
 */
#include "parity.h"

#include "graph/graph.h"
#include "model/autoencoder.h"
#include "ops/basic.h"

static const struct parity_limit of_outputs = {.of_max = 2e-5};
enum { LOSS_WEIGHT = 10 };

struct vq_case {
    struct parity_fixture *fixture;
    const struct parity_part *part;
    struct parity_array z, cot, codebook;
    double beta;
    struct error *err;
};

static enum status map_load(struct vq_case *c, struct parity_array *out, const char *name)
{
    struct parity_array in;
    enum status st = fixture_f32(c->fixture, &in, c->part, name, c->err);

    return st ? st : channels_last(c->fixture, out, &in, c->err);
}

static enum status case_load(struct vq_case *c)
{
    json_t *config;
    enum status st;

    if ((st = fixture_metadata(&config, c->part, "config", c->err)))
        return st;
    c->beta = json_number_value(json_object_get(config, "beta"));
    json_decref(config);
    if ((st = map_load(c, &c->z, "in.z")) || (st = map_load(c, &c->cot, "cot.zq")) ||
        (st = fixture_f32(c->fixture, &c->codebook, c->part, "in.codebook", c->err)))
        return st;
    if (!shape_equal(c->z.shape, c->cot.shape) || c->codebook.shape.rank != 2 ||
        c->codebook.shape.dim[0] < 1 || shape_last(c->codebook.shape) != shape_last(c->z.shape))
        return fail(c->err, E_FORMAT, "vectors, cotangent and codes do not fit each other");
    return OK;
}

static enum status map_compare(struct vq_case *c, struct parity_report *r, struct graph *g,
                               const char *name, const struct tensor *got)
{
    struct parity_array want;
    float *v;
    enum status st;

    if ((st = map_load(c, &want, name)) ||
        (st = fixture_new(c->fixture, (void **)&v, (uint64_t)shape_count(got->shape), sizeof(*v),
                          c->err)))
        return st;
    graph_read(g, got, v);
    if (shape_equal(want.shape, got->shape))
        parity_compare_f32(r, name, v, want.v, want.n, of_outputs);
    else
        parity_claim(r, name, false, "the shapes differ");
    return OK;
}

static enum status numbers_compare(struct vq_case *c, struct parity_report *r, struct graph *g,
                                   const struct tensor *numbers)
{
    int64_t n, differ = 0;
    int32_t *want, *got;
    enum status st;

    if ((st = fixture_i32(c->fixture, &want, &n, c->part, "out.indices", c->err)) ||
        (st = fixture_new(c->fixture, (void **)&got, (uint64_t)shape_count(numbers->shape),
                          sizeof(*got), c->err)))
        return st;
    if (n != shape_count(numbers->shape))
        return fail(c->err, E_FORMAT, "out.indices holds %lld numbers", (long long)n);
    graph_read_i32(g, numbers, got);
    for (int64_t i = 0; i < n; i++)
        differ += got[i] != want[i];
    parity_claim(r, "out.indices", differ == 0, "%lld of them differ", (long long)differ);
    return OK;
}

static enum status loss_compare(struct vq_case *c, struct parity_report *r, struct graph *g,
                                const struct tensor *loss)
{
    double *want, got;
    float value;
    int64_t n;
    enum status st = fixture_f64(c->fixture, &want, &n, c->part, "out.loss", c->err);

    if (st)
        return st;
    graph_read(g, loss, &value);
    got = (double)value;
    if (n != 1)
        return fail(c->err, E_FORMAT, "out.loss holds %lld numbers", (long long)n);
    parity_compare_f64(r, "out.loss", &got, want, 1, of_outputs);
    return OK;
}

static enum status case_run(struct vq_case *c, struct parity_report *r, struct graph *g)
{
    struct tensor *z = graph_input(g, c->z.shape, c->z.v), *book, *total;
    struct quantised q;
    enum status st;

    book = graph_input(g, c->codebook.shape, c->codebook.v);
    graph_want_grad(z);
    graph_want_grad(book);
    q = quantise(g, z, book, c->beta);
    total = op_sum(g, op_mul(g, q.codes, graph_input(g, c->cot.shape, c->cot.v)));
    total = op_mix(g, total, q.loss, 1, LOSS_WEIGHT);
    graph_keep(g, q.codes);
    graph_keep(g, q.numbers);
    graph_keep(g, q.loss);
    graph_backward(g, total);
    graph_keep(g, z->grad);
    graph_keep(g, book->grad);
    if ((st = graph_run(g, c->err)) || (st = map_compare(c, r, g, "out.zq", q.codes)) ||
        (st = numbers_compare(c, r, g, q.numbers)) || (st = loss_compare(c, r, g, q.loss)) ||
        (st = map_compare(c, r, g, "grad.z", z->grad)))
        return st;
    return map_compare(c, r, g, "grad.codebook", book->grad);
}

static enum status vq_check(struct parity_report *r, struct parity_fixture *f,
                            const struct parity_options *options, struct error *err)
{
    struct vq_case c = {.fixture = f, .part = fixture_part(f, ""), .err = err};
    struct graph *g = NULL;
    enum status st;

    if (!(st = case_load(&c)) && !(st = graph_new(&g, 0, options->threads, err)))
        st = case_run(&c, r, g);
    graph_free(g);
    return st;
}

const struct parity_checker parity_vq = {.kind = "vq", .parts = {""}, .check = vq_check};
