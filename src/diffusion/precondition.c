/*
 * precondition.c - what a network is shown of (x, t), and what its output means
 *
 * On variance exploding paths x grows to eighty times the size of the data, and near the data the
 * noise to be found is a five-hundredth of it; a network asked for either directly would have to
 * learn these sizes.  Karras et al. put four known functions around it instead, so that what F
 * reads has unit variance, what it must answer has unit variance, and its errors are amplified as
 * little as possible:
 *
 *     E[z | x] = c_skip x + c_out F(c_in x, (1/4) log sigma)
 *
 * They write it for alpha = 1.  With x / alpha for x and beta / alpha for sigma it holds on every
 * path, and multiplied out nothing is divided by alpha: it starts where alpha = 0 and ends where
 * beta = 0.  Only the logarithm is infinite there, and is held within e^-20 .. e^20.
 *
 * It is a wrapper in the strict sense: the network does not know.  Training scales its input and
 * its target (objective.c), sampling its input and its output (pipeline/predictor.c).
 * architectures.md 2.3; Karras et al. 2022, "Elucidating the design space", section 5.
 */
#include "diffusion/precondition.h"

#include <math.h>

static void none_fill(struct reading *r, const double *values, const struct path_coefs *c)
{
    (void)values, (void)c;
    *r = (struct reading){.in = 1, .out = 1};
}

enum { DATA_STD };
static const struct option edm_options[] = {
    {.name = "data_std",
     .help = "standard deviation of the data, over all pixels",
     .type = OPTION_REAL,
     .offset = DATA_STD * sizeof(double),
     .fallback = "0.5",
     .lo = 1e-6,
     .hi = 1e6},
    {0},
};

static void edm_fill(struct reading *r, const double *values, const struct path_coefs *c)
{
    double s = values[DATA_STD], size2 = c->beta * c->beta + s * s * c->alpha * c->alpha;

    r->in = 1 / sqrt(size2);
    r->skip = s * s * c->alpha / size2;
    r->out = c->beta * s * r->in;
    r->time = fmax(-5, fmin(5, -0.25 * c->half_log_snr));
}

static const struct precondition_kind kinds[] = {
    {.is = {.name = "none", .summary = "the network's output is the prediction"},
     .makes = N_PREDICTIONS,
     .fill = none_fill},
    {.is = {.name = "edm",
            .summary = "data = c_skip x + c_out F(c_in x, log(sigma) / 4), all of unit size",
            .paper = "Karras et al. 2022",
            .options = edm_options},
     .makes = PREDICT_DATA,
     .tells_time = true,
     .fill = edm_fill},
};

static const struct choice time_inputs[N_TIME_INPUTS] = {
    [TIME_SCALED] = {.name = "scaled", .summary = "time_scale t"},
    [TIME_INDEX] = {.name = "index",
                    .summary = "the index of a discrete schedule, 0 next to the data",
                    .paper = "Ho et al. 2020"},
    [TIME_NOISE] = {.name = "noise",
                    .summary =
                        "time_scale (1 - t): the share of noise, as public flow models say it",
                    .paper = "Esser et al. 2024"},
};

const struct precondition_kind *precondition_kind_at(int i)
{
    return i >= 0 && i < (int)(sizeof kinds / sizeof *kinds) ? &kinds[i] : NULL;
}

const struct choice *time_input_at(int i)
{
    return i >= 0 && i < N_TIME_INPUTS ? &time_inputs[i] : NULL;
}

static const struct precondition_kind *kind_of(const struct precondition *p)
{
    return p->kind ? p->kind : &kinds[0];
}

enum status precondition_check(const struct precondition *p, const struct path *path,
                               enum prediction predicts, struct error *err)
{
    const struct precondition_kind *kind = kind_of(p);

    if (kind->makes != N_PREDICTIONS && kind->makes != predicts)
        return fail(err, E_ARG,
                    "the precondition '%s' makes a %s prediction of what a network says, and this "
                    "one is to predict the %s",
                    kind->is.name, prediction_at((int)kind->makes)->name,
                    prediction_at((int)predicts)->name);
    if (kind->tells_time && p->time_input != TIME_SCALED)
        return fail(err, E_ARG, "the precondition '%s' brings its own time: it excludes '%s'",
                    kind->is.name, time_inputs[p->time_input].name);
    if (p->time_input == TIME_INDEX && !path_steps(path))
        return fail(err, E_ARG,
                    "the path '%s' is continuous and has no index to tell: take time_input = "
                    "scaled, or a path of discrete steps such as ddpm_linear",
                    path->kind->is.name);
    return choice_check(p->values, &kind->is, err);
}

struct reading precondition_at(const struct precondition *p, const struct path *path,
                               const struct path_coefs *c)
{
    const struct precondition_kind *kind = kind_of(p);
    struct reading r;

    kind->fill(&r, p->values, c);
    if (kind->tells_time)
        return r;
    if (p->time_input == TIME_INDEX)
        r.time = path_index(path, c->t);
    else
        r.time = (p->time_scale > 0 ? p->time_scale : 1) *
                 (p->time_input == TIME_NOISE ? 1 - c->t : c->t);
    return r;
}

bool precondition_is_plain(const struct precondition *p)
{
    return kind_of(p) == &kinds[0];
}
