/*
 * parity_variance.c - the loss of a learned variance (kind "ddpm_learned_range")
 *
 * The file has pictures, noise, indices and what a network said, and from the published code the
 * loss of each sample, its gradient, the step's mean and variance, and tables of the schedule.  The
 * loss is recorded by the trainer's own criterion from a batch whose numbers are the file's, and
 * the step is also made by the solver that takes such a variance.
 */
#include "parity.h"

#include "diffusion/ddpm.h"
#include "graph/graph.h"
#include "ops/loss.h"
#include "sampler/sampler.h"
#include "train/criterion.h"

#include <math.h>
#include <string.h>

static const struct parity_limit of_losses = {.of_each = 2e-5, .absolute = 1e-6};
static const struct parity_limit of_arrays = {.of_max = 2e-5, .absolute = 1e-9};
static const struct parity_limit of_tables = {.of_each = 1e-10};

struct variance_case {
    struct parity_fixture *fixture;
    const struct parity_part *part;
    struct parity_report *report;
    struct parity_array z, noise, y; /* channels last */
    int32_t *index;
    int64_t rows, length;
    struct path path;
    struct error *err;
};

static enum status picture_load(struct variance_case *c, struct parity_array *out, const char *name)
{
    struct parity_array in;
    enum status st = fixture_f32(c->fixture, &in, c->part, name, c->err);

    return st ? st : channels_last(c->fixture, out, &in, c->err);
}

static enum status case_load(struct variance_case *c)
{
    int64_t n;
    enum status st;

    if ((st = path_init(&c->path, "ddpm_linear", c->err)) ||
        (st = picture_load(c, &c->z, "in.x0")) || (st = picture_load(c, &c->noise, "in.noise")) ||
        (st = picture_load(c, &c->y, "in.model_output")) ||
        (st = fixture_i32(c->fixture, &c->index, &n, c->part, "in.t", c->err)))
        return st;
    c->rows = n;
    if (c->z.shape.rank != 4 || c->z.shape.dim[0] != n || n < 1 ||
        !shape_equal(c->z.shape, c->noise.shape) ||
        !shape_equal(c->y.shape, shape_with_last(c->z.shape, 2 * shape_last(c->z.shape))))
        return fail(c->err, E_FORMAT, "x0, noise, model_output and t do not fit each other");
    c->length = c->z.n / n;
    for (int64_t i = 0; i < n; i++)
        if (c->index[i] < 0 || c->index[i] >= path_steps(&c->path))
            return fail(c->err, E_FORMAT, "t[%lld] is %d, the schedule has %d steps", (long long)i,
                        (int)c->index[i], path_steps(&c->path));
    return OK;
}

/* The batch that training would have drawn, had it drawn these numbers. */
static enum status batch_fill(struct variance_case *c, struct flow_batch *b,
                              const struct flow_task *task)
{
    enum status st = flow_batch_init_for(b, task, c->rows, c->length, c->err);

    for (int64_t i = 0; i < c->rows && !st; i++) {
        double t = path_time_of_index(&c->path, c->index[i]);
        struct path_coefs at = path_at(&c->path, t);

        b->t[i] = (float)t;
        for (int64_t k = i * c->length; k < (i + 1) * c->length; k++) {
            b->x[k] = (float)(at.alpha * (double)c->z.v[k] + at.beta * (double)c->noise.v[k]);
            b->target[k] = c->noise.v[k];
        }
    }
    return st;
}

/* Compare [N, H, W, C] with the file's [N, C, H, W]. */
static enum status compare_picture(struct variance_case *c, const char *name, const float *got)
{
    struct parity_array want;
    enum status st = picture_load(c, &want, name);

    if (!st)
        parity_compare_f32(c->report, name, got, want.v, want.n, of_arrays);
    return st;
}

static enum status compare_series(struct variance_case *c, const char *name, const double *got,
                                  int64_t n, struct parity_limit limit)
{
    double *want;
    int64_t m;
    enum status st = fixture_f64(c->fixture, &want, &m, c->part, name, c->err);

    if (st)
        return st;
    if (m != n)
        return fail(c->err, E_FORMAT, "%s has %lld numbers, not %lld", name, (long long)m,
                    (long long)n);
    parity_compare_f64(c->report, name, got, want, n, limit);
    return OK;
}

/* The mean loss and its gradient by the criterion, the bound of each sample by its op. */
static enum status losses_check(struct variance_case *c, struct graph *g, struct criterion *with,
                                const struct flow_batch *b)
{
    struct shape shape = c->z.shape;
    double *each, *want, mean = 0, *got_mean;
    struct tensor *y, *loss, *bound;
    float *grad, *bits, value;
    int64_t n;
    enum status st;

    if ((st = fixture_new(c->fixture, (void **)&grad, (uint64_t)c->y.n, sizeof(float), c->err)) ||
        (st = fixture_new(c->fixture, (void **)&bits, (uint64_t)c->rows, sizeof(float), c->err)) ||
        (st = fixture_new(c->fixture, (void **)&each, (uint64_t)c->rows, sizeof(double), c->err)) ||
        (st = fixture_f64(c->fixture, &want, &n, c->part, "out.loss", c->err)))
        return st;
    graph_reset(g);
    y = graph_input(g, c->y.shape, c->y.v);
    graph_want_grad(y);
    loss = criterion_record(g, with, b, y, c->z.v);
    bound = op_variational(g, y, graph_input(g, shape, b->x), graph_input(g, shape, c->z.v),
                           graph_input(g, SHAPE(c->rows, VB_NUMBERS), with->numbers));
    graph_backward(g, loss);
    graph_keep(g, loss);
    graph_keep(g, bound);
    graph_keep(g, y->grad);
    if ((st = graph_run(g, c->err)))
        return st;
    graph_read(g, y->grad, grad);
    graph_read(g, bound, bits);
    graph_read(g, loss, &value);
    for (int64_t i = 0; i < c->rows; i++) {
        each[i] = (double)bits[i];
        mean += n == c->rows ? want[i] / (double)n : 0;
    }
    report_group(c->report, "loss");
    got_mean = (double[]){(double)value};
    parity_compare_f64(c->report, "mean of out.loss", got_mean, &mean, 1, of_losses);
    if ((st = compare_series(c, "out.vb", each, c->rows, of_losses)))
        return st;
    return compare_picture(c, "grad.model_output_of_mean_loss", grad);
}

/* The step's mean and log variance, and the picture they imply. */
static enum status step_check(struct variance_case *c, const struct flow_batch *b,
                              const float *numbers)
{
    int64_t C = shape_last(c->z.shape);
    float *out[3];
    enum status st;

    for (int k = 0; k < 3; k++)
        if ((st = fixture_new(c->fixture, (void **)&out[k], (uint64_t)c->z.n, sizeof(float),
                              c->err)))
            return st;
    for (int64_t i = 0; i < c->z.n; i++) {
        const float *k = numbers + i / c->length * VB_NUMBERS;
        const float *says = c->y.v + i / C * 2 * C + i % C;
        float share = 0.5f * (says[C] + 1);

        out[0][i] = k[VB_FROM_X] * b->x[i] - k[VB_FROM_NOISE] * says[0];
        out[1][i] = k[VB_MEAN_DATA] * out[0][i] + k[VB_MEAN_X] * b->x[i];
        out[2][i] = share * k[VB_LOG_LARGE] + (1 - share) * k[VB_LOG_SMALL];
    }
    report_group(c->report, "step");
    if ((st = compare_picture(c, "out.x_t", b->x)) ||
        (st = compare_picture(c, "out.pred_xstart", out[0])) ||
        (st = compare_picture(c, "out.p_mean", out[1])))
        return st;
    return compare_picture(c, "out.p_log_variance", out[2]);
}

/* What the network said of one sample, whatever it is asked. */
struct said {
    const struct variance_case *c;
    int64_t row;
    bool variance;
};

static enum status say(void *self, double *out, const double *x, double t, unsigned branches,
                       struct error *err)
{
    const struct said *s = self;
    int64_t C = shape_last(s->c->z.shape), n = s->c->length;
    const float *y = s->c->y.v + 2 * s->row * n + (s->variance ? C : 0);

    (void)x, (void)t, (void)branches, (void)err;
    for (int64_t i = 0; i < n; i++)
        out[i] = (double)y[i / C * 2 * C + i % C];
    return OK;
}

static void draw_ones(void *self, double *out, int64_t step)
{
    (void)step;
    for (int64_t i = 0; i < *(const int64_t *)self; i++)
        out[i] = 1;
}

/* One step of the solver, with ones for its noise, from x_t of a sample to the index before. */
static enum status solve_row(struct variance_case *c, double *x, int64_t row)
{
    struct said noise = {c, row, false}, variance = {c, row, true};
    const double one = 1;
    const double times[2] = {path_time_of_index(&c->path, c->index[row]),
                             c->index[row] ? path_time_of_index(&c->path, c->index[row] - 1) : 1};
    struct guidance guidance = {0};
    struct field field = {.path = c->path,
                          .predicts = PREDICT_NOISE,
                          .guidance = &guidance,
                          .variance = {say, &variance, 1, c->length}};
    struct sampling_request r = {
        .times = times, .steps = 1, .field = &field, .draw = draw_ones, .draw_self = &c->length};
    enum status st;

    if (!(st = sampler_find(&r.sampler, "ddpm_learned", c->err)) &&
        !(st = guidance_init(&guidance, (struct predictor){say, &noise, 1, c->length}, &one, NULL,
                             c->err)))
        st = sampling_run(x, &r, NULL, c->err);
    guidance_release(&guidance);
    return st;
}

/* The solver's step of every sample: mean and deviation, at the last index the mean alone. */
static enum status solver_check(struct variance_case *c, const struct flow_batch *b)
{
    struct parity_array mean, log_variance;
    double *got, *want;
    enum status st;

    if ((st = picture_load(c, &mean, "out.p_mean")) ||
        (st = picture_load(c, &log_variance, "out.p_log_variance")) ||
        (st = fixture_new(c->fixture, (void **)&got, (uint64_t)c->z.n, sizeof *got, c->err)) ||
        (st = fixture_new(c->fixture, (void **)&want, (uint64_t)c->z.n, sizeof *want, c->err)))
        return st;
    if (mean.n != c->z.n || log_variance.n != c->z.n)
        return fail(c->err, E_FORMAT, "means and variances are not those of x0");
    for (int64_t i = 0; i < c->z.n; i++) {
        bool last = c->index[i / c->length] == 0;

        got[i] = (double)b->x[i];
        want[i] = (double)mean.v[i] + (last ? 0 : exp(0.5 * (double)log_variance.v[i]));
    }
    for (int64_t i = 0; i < c->rows; i++)
        if ((st = solve_row(c, got + i * c->length, i)))
            return st;
    report_group(c->report, "solver");
    parity_compare_f64(c->report, "p_mean + deviation", got, want, c->z.n, of_arrays);
    return OK;
}

static enum status tables_check(struct variance_case *c)
{
    int T = path_steps(&c->path);
    double *out[3];
    enum status st;

    for (int k = 0; k < 3; k++)
        if ((st = fixture_new(c->fixture, (void **)&out[k], (uint64_t)T, sizeof(double), c->err)))
            return st;
    for (int k = 0; k < T; k++) {
        struct ddpm_posterior p = ddpm_posterior_at(&c->path, NULL, T, k);

        out[0][k] = p.rate;
        out[1][k] = ddpm_kept(&c->path, k);
        out[2][k] = p.log_small;
    }
    report_group(c->report, "tables");
    if ((st = compare_series(c, "table.betas", out[0], T, of_tables)) ||
        (st = compare_series(c, "table.alphas_cumprod", out[1], T, of_tables)))
        return st;
    return compare_series(c, "table.posterior_log_variance_clipped", out[2], T, of_tables);
}

/* "respace.10" is evenly spread, "respace.ddim10" of a fixed stride. */
static enum status respace_check(struct variance_case *c, const char *name, bool evenly)
{
    char key[64];
    double *steps, *rates;
    int *index;
    int64_t n;
    enum status st;

    snprintf(key, sizeof key, "respace.%s.timesteps", name);
    if ((st = fixture_f64(c->fixture, &rates, &n, c->part, key, c->err)))
        return st;
    if (n < 2 || n > path_steps(&c->path))
        return fail(c->err, E_FORMAT, "%s picks %lld steps", key, (long long)n);
    if ((st = fixture_new(c->fixture, (void **)&index, (uint64_t)n, sizeof *index, c->err)) ||
        (st = fixture_new(c->fixture, (void **)&rates, (uint64_t)n, sizeof *rates, c->err)) ||
        (st = fixture_new(c->fixture, (void **)&steps, (uint64_t)n, sizeof *steps, c->err)))
        return st;
    ddpm_respace(index, (int)n, path_steps(&c->path), evenly);
    for (int i = 0; i < n; i++) {
        steps[i] = index[i];
        rates[i] = ddpm_posterior_at(&c->path, index, (int)n, i).rate;
    }
    if ((st = compare_series(c, key, steps, n, (struct parity_limit){0})))
        return st;
    snprintf(key, sizeof key, "respace.%s.betas", name);
    return compare_series(c, key, rates, n, of_tables);
}

static enum status all_check(struct variance_case *c, struct graph *g, struct flow_batch *b)
{
    struct flow_task task = {.path = c->path, .head = {{.predicts = PREDICT_NOISE}}};
    struct criterion with = {.task = &task, .variance = 1};
    enum status st;

    if ((st = batch_fill(c, b, &task)) ||
        (st = fixture_new(c->fixture, (void **)&with.numbers, (uint64_t)c->rows,
                          VB_NUMBERS * sizeof(float), c->err)))
        return st;
    criterion_draw(&with, b);
    if ((st = losses_check(c, g, &with, b)) || (st = step_check(c, b, with.numbers)) ||
        (st = solver_check(c, b)) || (st = tables_check(c)) || (st = respace_check(c, "10", true)))
        return st;
    return respace_check(c, "ddim10", false);
}

static enum status variance_check(struct parity_report *r, struct parity_fixture *f,
                                  const struct parity_options *options, struct error *err)
{
    struct variance_case c = {.fixture = f, .part = fixture_part(f, ""), .report = r, .err = err};
    struct flow_batch b = {0};
    struct graph *g = NULL;
    enum status st;

    if (!(st = case_load(&c)) && !(st = graph_new(&g, 0, options->threads, err)))
        st = all_check(&c, g, &b);
    flow_batch_release(&b);
    graph_free(g);
    return st;
}

const struct parity_checker parity_ddpm_learned_range = {
    .kind = "ddpm_learned_range", .parts = {""}, .check = variance_check};
