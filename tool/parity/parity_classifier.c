/*
 * parity_classifier.c - fixtures of classifiers of noisy pictures (kind "classifier")
 *
 * Beside what every network's fixture holds, these tell what a classifier is for: the mean
 * cross-entropy that it is trained by, with its gradient with respect to the noisy picture, and
 * what guidance takes from it, log p(y | x, t) and that gradient times a scale.
 */
#include "model_case.h"

#include "ops/basic.h"
#include "ops/cross_entropy.h"

#include <stdlib.h>

static const struct parity_limit of_outputs = {.of_max = 5e-5, .absolute = 1e-6};
static const struct parity_limit of_inputs = {.of_max = 1e-4};

/* Of the labels y: surprise [N], gradient of its sum [N, H, W, C]. */
struct surprise {
    float *of, *grad;
};

static enum status surprise_run(struct model_case *m, struct graph *g, struct surprise *s,
                                const int32_t *y)
{
    struct network_input in = model_case_record(m, g, NULL);
    struct tensor *each;
    enum status st;

    graph_want_grad(in.x);
    each =
        op_cross_entropy(g, network_forward(g, m->net, in), graph_input_i32(g, SHAPE(m->t.n), y));
    graph_keep(g, each);
    graph_backward(g, op_sum(g, each));
    graph_keep(g, in.x->grad);
    if ((st = graph_run(g, m->err)) || (st = model_case_read(m, g, &s->of, each)))
        return st;
    return model_case_read(m, g, &s->grad, in.x->grad);
}

/* The file's gradient against ours times a factor. */
static enum status gradient_compare(struct model_case *m, struct parity_report *r, const char *name,
                                    const struct surprise *s, double factor)
{
    struct parity_array want;
    float *got;
    enum status st;

    if ((st = model_case_picture(m, &want, name, m->net->io.in_channels)) ||
        (st = fixture_new(m->fixture, (void **)&got, (uint64_t)want.n, sizeof(*got), m->err)))
        return st;
    for (int64_t i = 0; i < want.n; i++)
        got[i] = (float)(factor * (double)s->grad[i]);
    parity_compare_f32(r, name, got, want.v, want.n, of_inputs);
    return OK;
}

static enum status surprise_compare(struct model_case *m, struct parity_report *r,
                                    const struct surprise *s)
{
    int64_t n, N = m->t.n;
    double *want, *scale, mean = 0, *log_p;
    struct parity_array p;
    enum status st;

    if ((st = fixture_f64(m->fixture, &want, &n, m->data, "ce.mean_loss", m->err)) ||
        (st = fixture_new(m->fixture, (void **)&log_p, (uint64_t)N, sizeof(*log_p), m->err)))
        return st;
    for (int64_t i = 0; i < N; i++) {
        log_p[i] = -(double)s->of[i];
        mean += (double)s->of[i] / (double)N;
    }
    if (n != 1)
        return fail(m->err, E_FORMAT, "ce.mean_loss holds %lld numbers", (long long)n);
    report_group(r, "cross-entropy");
    parity_compare_f64(r, "ce.mean_loss", &mean, want, 1, of_outputs);
    if ((st = gradient_compare(m, r, "ce.grad_x", s, 1 / (double)N)))
        return st;
    report_group(r, "guidance");
    if ((st = fixture_f64(m->fixture, &want, &n, m->data, "guide.log_prob", m->err)) ||
        (st = model_case_array(m, &p, "guide.log_prob", SHAPE(N))))
        return st;
    parity_compare_f64(r, "guide.log_prob", log_p, want, N, of_outputs);
    if ((st = fixture_f64(m->fixture, &scale, &n, m->data, "guide.scale", m->err)))
        return st;
    if (n != 1)
        return fail(m->err, E_FORMAT, "guide.scale holds %lld numbers", (long long)n);
    return gradient_compare(m, r, "guide.grad_x_scaled", s, -scale[0]);
}

static enum status classifier_check(struct parity_report *r, struct parity_fixture *f,
                                    const struct parity_options *options, struct error *err)
{
    struct surprise s = {0};
    struct graph *g = NULL;
    struct model_case m;
    int32_t *y;
    enum status st;

    if (!(st = model_case_compare(&m, r, f, options, err)) &&
        !(st = model_case_labels(&m, &y, "in.y")) &&
        !(st = graph_new(&g, 0, options->threads, err)) && !(st = surprise_run(&m, g, &s, y)))
        st = surprise_compare(&m, r, &s);
    graph_free(g);
    network_free(m.net);
    return st;
}

const struct parity_checker parity_classifier = {
    .kind = "classifier", .parts = {"data", "weights", "grads"}, .check = classifier_check};
