/*
 * op_case.c - running one case of one operator and comparing all the file knows about it
 *
 * The scalar that is differentiated is <out, cot>, so the tape is: leaves, the operator, out * cot,
 * sum, backward.  It is recorded twice from scratch, once for a planned run and once eagerly with a
 * single thread; besides agreeing with the file the two must agree with each other bit for bit.
 *
 * What the file asks is taken from the file: each "<case>.grad.<name>" must have been compared, so
 * an input that a builder forgot is a failure and not a silent gap.
 */
#include "op_case.h"

#include "ops/basic.h"

#include <string.h>

enum { CASE_KEY = 256 };

static void key_make(char key[CASE_KEY], const struct op_case *c, const char *what,
                     const char *name)
{
    snprintf(key, CASE_KEY, "%s.%s%s", c->name, what, name);
}

static const struct file_tensor *case_find(const struct op_case *c, const char *what,
                                           const char *name)
{
    char key[CASE_KEY];

    key_make(key, c, what, name);
    return weights_find(c->part->file, key);
}

bool case_need(struct op_case *c, bool holds, const char *what)
{
    if (!holds && !c->status)
        c->status = fail(c->err, E_FORMAT, "%s: %s", c->name, what);
    return holds && !c->status;
}

struct tensor *case_skip(struct op_case *c, const char *why)
{
    c->skipped = true;
    snprintf(c->why, sizeof(c->why), "%s", why);
    return NULL;
}

/* --- attributes --------------------------------------------------------------------------- */

int64_t case_int(struct op_case *c, const char *name, int64_t lo, int64_t hi)
{
    const json_t *a = json_object_get(c->attributes, name);
    int64_t v = json_is_integer(a) ? (int64_t)json_integer_value(a) : 0;

    if (c->status)
        return lo;
    if (!json_is_integer(a) || v < lo || v > hi) {
        c->status =
            fail(c->err, E_FORMAT, "%s: attribute \"%s\" must be an integer in %lld .. %lld",
                 c->name, name, (long long)lo, (long long)hi);
        return lo;
    }
    return v;
}

double case_real(struct op_case *c, const char *name)
{
    const json_t *a = json_object_get(c->attributes, name);

    if (!json_is_number(a) && !c->status)
        c->status = fail(c->err, E_FORMAT, "%s: attribute \"%s\" must be a number", c->name, name);
    return json_number_value(a);
}

const char *case_text(struct op_case *c, const char *name)
{
    const char *text = json_string_value(json_object_get(c->attributes, name));

    if (!text && !c->status)
        c->status = fail(c->err, E_FORMAT, "%s: attribute \"%s\" must be a text", c->name, name);
    return text ? text : "";
}

/* --- layouts ------------------------------------------------------------------------------ */

/* [N, heads, T, d] -> [N, T, heads d]. */
static enum status heads_join(struct op_case *c, struct parity_array *a)
{
    int64_t N, heads, T, d;
    float *v;
    enum status st;

    if (!case_need(c, a->shape.rank == 4, "values of heads have four dimensions"))
        return c->status;
    N = a->shape.dim[0], heads = a->shape.dim[1], T = a->shape.dim[2], d = a->shape.dim[3];
    if ((st = fixture_new(c->fixture, (void **)&v, (uint64_t)a->n, sizeof(float), c->err)))
        return st;
    for (int64_t n = 0; n < N; n++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t t = 0; t < T; t++)
                memcpy(v + ((n * T + t) * heads + h) * d, a->v + ((n * heads + h) * T + t) * d,
                       (size_t)d * sizeof(float));
    a->v = v;
    a->shape = SHAPE(N, T, heads * d);
    return OK;
}

/* [..., C p p] with the channel outermost -> innermost. */
static enum status patches_turn(struct op_case *c, struct parity_array *a)
{
    int64_t p = case_int(c, "patch", 1, 4096), features = shape_last(a->shape);
    struct shape full = a->shape;
    enum status st;

    if (!case_need(c, features % (p * p) == 0,
                   "patch features are channels times patch times patch"))
        return c->status;
    a->shape = SHAPE(a->n / (features > 0 ? features : 1), features / (p * p), p * p);
    st = channels_last(c->fixture, a, &(struct parity_array){a->v, a->n, a->shape}, c->err);
    a->shape = full;
    return st;
}

/* [N, 3 D, H, W], each head's channels dealt to q, k and v in turn -> [N, H, W, 3 D], each head's q
 * then k then v. */
static enum status heads_undeal(struct op_case *c, struct parity_array *out,
                                const struct parity_array *in)
{
    int64_t heads = case_int(c, "heads", 1, 4096), d;
    struct parity_array picture;
    enum status st;

    if (c->status || (st = channels_last(c->fixture, &picture, in, c->err)))
        return c->status ? c->status : st;
    d = shape_last(picture.shape) / 3 / heads;
    if (!case_need(c, d > 0 && shape_last(picture.shape) == 3 * heads * d,
                   "three times as many channels as heads divide"))
        return c->status;
    picture.shape = SHAPE(picture.n / (3 * d), d, 3);
    if ((st = channels_last(c->fixture, out, &picture, c->err)))
        return st;
    out->shape = SHAPE(in->shape.dim[0], in->shape.dim[2], in->shape.dim[3], 3 * heads * d);
    return OK;
}

/* "<case>.<what><name>" in a layout of the library. */
static enum status case_load(struct op_case *c, struct parity_array *out, const char *what,
                             const char *name, enum case_layout layout)
{
    struct parity_array in;
    char key[CASE_KEY];
    enum status st;

    key_make(key, c, what, name);
    if ((st = fixture_f32(c->fixture, &in, c->part, key, c->err)))
        return st;
    *out = in;
    switch (layout) {
    case CASE_PICTURE:
        return channels_last(c->fixture, out, &in, c->err);
    case CASE_HEADS:
        return heads_join(c, out);
    case CASE_PATCHES:
        return patches_turn(c, out);
    case CASE_DEALT:
        if (!case_need(c, in.shape.rank == 4, "a picture has four dimensions"))
            return c->status;
        return heads_undeal(c, out, &in);
    case CASE_PLAIN:
        break;
    }
    return OK;
}

/* --- inputs ------------------------------------------------------------------------------- */

struct tensor *case_input(struct op_case *c, const char *name, enum case_layout layout)
{
    const struct file_tensor *t = case_find(c, "in.", name);
    struct parity_array a;

    if (c->status || (c->status = case_load(c, &a, "in.", name, layout)))
        return NULL;
    MUST(c->n_inputs < CASE_INPUTS, "%s takes more than %d inputs", c->name, CASE_INPUTS);
    c->inputs[c->n_inputs].name = name;
    c->inputs[c->n_inputs].layout = layout;
    c->inputs[c->n_inputs].heads = layout == CASE_HEADS ? t->dim[1] : 0;
    c->inputs[c->n_inputs].count = a.n;
    c->inputs[c->n_inputs].tensor = graph_input(c->graph, a.shape, a.v);
    if (case_find(c, "grad.", name))
        graph_want_grad(c->inputs[c->n_inputs].tensor);
    return c->inputs[c->n_inputs++].tensor;
}

struct tensor *case_optional(struct op_case *c, const char *name, enum case_layout layout)
{
    return case_find(c, "in.", name) ? case_input(c, name, layout) : NULL;
}

int64_t case_heads(const struct op_case *c, const char *name)
{
    for (int i = 0; i < c->n_inputs; i++)
        if (strcmp(c->inputs[i].name, name) == 0)
            return c->inputs[i].heads;
    return 0;
}

struct tensor *case_indices(struct op_case *c, const char *name, int64_t below)
{
    char key[CASE_KEY];
    int32_t *ids;
    int64_t n;

    key_make(key, c, "in.", name);
    if (c->status || (c->status = fixture_i32(c->fixture, &ids, &n, c->part, key, c->err)))
        return NULL;
    for (int64_t i = 0; i < n; i++)
        if (!case_need(c, ids[i] >= 0 && ids[i] < below, "an index lies outside the table"))
            return NULL;
    return graph_input_i32(c->graph, SHAPE(n), ids);
}

struct tensor *case_mask(struct op_case *c, const char *name, int64_t rows, int64_t width)
{
    struct tensor *words = case_indices(c, name, INT32_MAX);

    if (!words ||
        !case_need(c, shape_count(words->shape) == rows * width, "a word of the mask for each key"))
        return NULL;
    words->shape = SHAPE(rows, width);
    return words;
}

/* --- running and comparing ---------------------------------------------------------------- */

/* What one run left: the result and the gradient of each input that wants one. */
struct case_results {
    float *out, *grads[CASE_INPUTS];
};

static enum status result_read(struct op_case *c, float **out, const struct tensor *t)
{
    enum status st = fixture_new(c->fixture, (void **)out, (uint64_t)shape_count(t->shape),
                                 sizeof(float), c->err);

    if (!st)
        graph_read(c->graph, t, *out);
    return st;
}

/* Record the case on a fresh graph, run it, and read everything. */
static enum status case_run(struct op_case *c, unsigned flags, int threads,
                            struct case_results *results)
{
    struct parity_array cot;
    struct tensor *y;
    enum status st;

    c->n_inputs = 0;
    if ((st = graph_new(&c->graph, flags, threads, c->err)))
        return st;
    y = c->builder->build(c);
    if (c->status || c->skipped) {
        st = c->status;
        goto out;
    }
    if ((st = case_load(c, &cot, "cot", "", c->builder->out)))
        goto out;
    if (!case_need(c, shape_count(y->shape) == cot.n,
                   "the result has another size than the cotangent")) {
        st = c->status;
        goto out;
    }
    graph_keep(c->graph, y);
    if (y->wants_grad)
        graph_backward(c->graph, op_sum(c->graph, op_mul(c->graph, y,
                                                         graph_input(c->graph, y->shape, cot.v))));
    for (int i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].tensor->grad)
            graph_keep(c->graph, c->inputs[i].tensor->grad);
    if ((st = graph_run(c->graph, c->err)) || (st = result_read(c, &results->out, y)))
        goto out;
    for (int i = 0; i < c->n_inputs && !st; i++)
        if (c->inputs[i].tensor->grad)
            st = result_read(c, &results->grads[i], c->inputs[i].tensor->grad);
out:
    graph_free(c->graph);
    c->graph = NULL;
    return st;
}

/* Every gradient in the file must be one that was asked for. */
static void gradients_covered(const struct op_case *c, struct parity_report *r)
{
    char prefix[CASE_KEY];
    size_t n;

    key_make(prefix, c, "grad.", "");
    n = strlen(prefix);
    for (int64_t k = 0; k < weights_count(c->part->file); k++) {
        const char *name = weights_at(c->part->file, k)->name;
        bool found = false;

        if (strncmp(name, prefix, n) != 0)
            continue;
        for (int i = 0; i < c->n_inputs; i++)
            found = found || strcmp(c->inputs[i].name, name + n) == 0;
        if (!found)
            parity_claim(r, name, false, "the file has this gradient, the operator not this input");
    }
}

static enum status results_compare(struct op_case *c, struct parity_report *r,
                                   const struct case_results *got, const struct case_results *eager,
                                   struct parity_limit limit)
{
    struct parity_array want;
    bool same;
    char key[CASE_KEY];
    enum status st;

    if ((st = case_load(c, &want, "out", "", c->builder->out)))
        return st;
    key_make(key, c, "out", "");
    parity_compare_f32(r, key, got->out, want.v, want.n, limit);
    same = memcmp(got->out, eager->out, (size_t)want.n * sizeof(float)) == 0;
    for (int i = 0; i < c->n_inputs; i++) {
        if (!case_find(c, "grad.", c->inputs[i].name))
            continue;
        if ((st = case_load(c, &want, "grad.", c->inputs[i].name, c->inputs[i].layout)))
            return st;
        key_make(key, c, "grad.", c->inputs[i].name);
        if (!got->grads[i] || want.n != c->inputs[i].count) {
            parity_claim(r, key, false, "the file has %lld numbers, the run %lld",
                         (long long)want.n, (long long)(got->grads[i] ? c->inputs[i].count : 0));
            continue;
        }
        parity_compare_f32(r, key, got->grads[i], want.v, want.n, limit);
        same = same && memcmp(got->grads[i], eager->grads[i], (size_t)want.n * sizeof(float)) == 0;
    }
    key_make(key, c, "bits", "");
    parity_claim(r, key, same, "the planned and the eager run differ in their bits");
    gradients_covered(c, r);
    return OK;
}

enum status case_check(struct op_case *c, struct parity_report *r, struct parity_limit limit,
                       const struct parity_options *options)
{
    struct case_results planned = {0}, eager = {0};
    const struct file_tensor *out = case_find(c, "out", ""), *cot = case_find(c, "cot", "");
    enum status st;

    if (!out || !cot || file_tensor_count(out) != file_tensor_count(cot))
        return fail(c->err, E_FORMAT, "%s: the file needs a result and a cotangent of its size",
                    c->name);
    if ((st = case_run(c, 0, options->threads, &planned)))
        return st;
    if (c->skipped) {
        parity_skip(r, c->name, "%s", c->why);
        return OK;
    }
    if ((st = case_run(c, GRAPH_EAGER, 1, &eager)))
        return st;
    return results_compare(c, r, &planned, &eager, limit);
}
