/*
 * prediction.c - what a network may predict, and every prediction from every other
 *
 * A prediction is a row of two numbers, p = of_z z + of_eps eps.  Together with the point itself,
 * x = alpha z + beta eps, two rows h and w are three linear forms of two unknowns, so by Cramer's
 * rule, with [a, b] = a_z b_eps - a_eps b_z,
 *
 *     w = ([w, h] x + [x, w] h) / [x, h]
 *
 * and that one line is the whole table 2.4 of theory.md: adding a prediction is adding its row.
 *
 * The ends need care.  Coefficients of eps may be infinite where beta = 0 (the score always, the
 * velocity on variance preserving paths) although the conversion between two such rows is finite.
 * So each row also gives beta of_eps, which never is: multiplying every determinant by beta leaves
 * the quotients as they are.  And two rows may be parallel (score and noise are at all times, the
 * velocity joins them where dalpha = 0), which makes w a multiple of h that needs no x and no
 * division by [x, h], even where alpha = 0.  What remains infinite or undefined has no value, and
 * that is an error that names the numbers: a NaN in a picture says nothing about where it came
 * from.
 *
 * v is the target of Salimans and Ho 2022.  Its determinant with x is alpha^2 + beta^2, so a
 * network of v has every prediction but the score at both ends of every path.
 */
#include "diffusion/prediction.h"

#include <math.h>
#include <string.h>

/* p = z z + eps eps; beta_eps = beta eps, finite where eps is not. */
struct row {
    double z, eps, beta_eps;
};

static struct row velocity_row(const struct path_coefs *c)
{
    return (struct row){c->dalpha, c->dbeta, c->beta_dbeta};
}

static struct row score_row(const struct path_coefs *c)
{
    return (struct row){0, -1 / c->beta, -1};
}

static struct row noise_row(const struct path_coefs *c)
{
    return (struct row){0, 1, c->beta};
}

static struct row data_row(const struct path_coefs *c)
{
    (void)c;
    return (struct row){1, 0, 0};
}

static struct row v_row(const struct path_coefs *c)
{
    return (struct row){-c->beta, c->alpha, c->alpha * c->beta};
}

static struct row descent_row(const struct path_coefs *c)
{
    return (struct row){-1, 1, c->beta};
}

static const struct {
    struct choice is;
    struct row (*row)(const struct path_coefs *c);
} table[N_PREDICTIONS] = {
    [PREDICT_VELOCITY] = {{.name = "velocity",
                           .aliases = {"u", "flow"},
                           .summary = "the velocity of the flow, dalpha z + dbeta eps",
                           .paper = "Lipman et al. 2022"},
                          velocity_row},
    [PREDICT_SCORE] = {{.name = "score",
                        .aliases = {"s"},
                        .summary = "the gradient of the log density, -eps / beta",
                        .paper = "Song et al. 2020"},
                       score_row},
    [PREDICT_NOISE] = {{.name = "noise",
                        .aliases = {"eps", "epsilon"},
                        .summary = "the noise that was added",
                        .paper = "Ho et al. 2020"},
                       noise_row},
    [PREDICT_DATA] = {{.name = "data",
                       .aliases = {"z", "x0", "sample", "denoised"},
                       .summary = "the picture without noise",
                       .paper = "Karras et al. 2022"},
                      data_row},
    [PREDICT_V] = {{.name = "v",
                    .aliases = {"v_prediction"},
                    .summary = "alpha eps - beta z: noise where there is data, data in noise",
                    .paper = "Salimans and Ho 2022"},
                   v_row},
    [PREDICT_DESCENT] = {{.name = "descent",
                          .aliases = {"noise_minus_data", "flow_reversed"},
                          .summary =
                              "eps - z: the way from data to noise, as public flow models say it",
                          .paper = "Esser et al. 2024"},
                         descent_row},
};

const struct choice *prediction_at(int i)
{
    return i >= 0 && i < N_PREDICTIONS ? &table[i].is : NULL;
}

enum status prediction_find(enum prediction *out, const char *name, struct error *err)
{
    enum status st;
    int i;

    if ((st = choice_find(&i, "prediction", name, prediction_at, err)))
        return st;
    *out = (enum prediction)i;
    return OK;
}

enum status prediction_target(double *of_z, double *of_eps, enum prediction p,
                              const struct path_coefs *c, struct error *err)
{
    struct row row = table[p].row(c);

    *of_z = row.z;
    *of_eps = row.eps;
    if (!isfinite(*of_eps))
        return fail(err, E_ARG,
                    "the %s to train for is infinite at t = %g, where beta = %g: keep "
                    "the training times below 1",
                    table[p].is.name, c->t, c->beta);
    return OK;
}

/* w as a multiple of h, of which it is one. */
static double multiple(struct row w, struct row h)
{
    return h.eps != 0 ? w.eps / h.eps : w.z / h.z;
}

/* w = out[0] x + out[1] h; not finite where there is no such thing. */
static void solve(double out[2], struct row w, struct row h, const struct path_coefs *c)
{
    double w_eps = w.eps, h_eps = h.eps, beta = c->beta, between;

    if (!isfinite(w.eps) || !isfinite(h.eps)) { /* every determinant, times beta */
        w_eps = w.beta_eps;
        h_eps = h.beta_eps;
        beta *= c->beta;
    }
    between = w.z * h_eps - w_eps * h.z;
    if (between == 0 && isfinite(w.eps) && isfinite(h.eps)) {
        out[0] = 0;
        out[1] = multiple(w, h);
        return;
    }
    out[0] = between / (c->alpha * h_eps - beta * h.z);
    out[1] = (c->alpha * w_eps - beta * w.z) / (c->alpha * h_eps - beta * h.z);
}

enum status prediction_coefs(double *of_x, double *of_have, enum prediction want,
                             enum prediction have, const struct path_coefs *c, struct error *err)
{
    double k[2] = {0, 1};

    if (want != have)
        solve(k, table[want].row(c), table[have].row(c), c);
    *of_x = k[0];
    *of_have = k[1];
    if (!isfinite(k[0]) || !isfinite(k[1]))
        return fail(err, E_ARG,
                    "a %s prediction says nothing about the %s at t = %g, where alpha = %g and "
                    "beta = %g: keep the times away from that end",
                    table[have].is.name, table[want].is.name, c->t, c->alpha, c->beta);
    return OK;
}

bool prediction_tells(enum prediction want, enum prediction have, const struct path_coefs *c)
{
    struct path_coefs start = *c;
    double of_x, of_have;

    if (prediction_coefs(&of_x, &of_have, want, have, c, NULL))
        return false;
    start.alpha = 0;
    return c->alpha >= PREDICTION_ALPHA ||
           !prediction_coefs(&of_x, &of_have, want, have, &start, NULL);
}

enum status prediction_convert(double *out, enum prediction want, const double *in,
                               enum prediction have, const double *x, const struct path_coefs *c,
                               int64_t n, struct error *err)
{
    double of_x, of_have;
    enum status st;

    if ((st = prediction_coefs(&of_x, &of_have, want, have, c, err)))
        return st;
    if (want == have) {
        memmove(out, in, (size_t)n * sizeof(*out));
        return OK;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = of_x * x[i] + of_have * in[i];
    return OK;
}
