/*
 * field.c - what a solver integrates: a predictor under guidance, read through a path
 *
 * Guidance first, conversion after: the two commute (theory.md 3.5), and this order converts once.
 * With one Gaussian-path network the guided score is obtained from the guided velocity, so a solver
 * that needs both can never mix one guidance with another (theory.md 3.7).  A model with two
 * predictions gives each from its own, both guided alike.  Where the conversion has no value, that
 * is said before the network is asked.
 */
#include "diffusion/field.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Where the kind of guidance names the noise itself, the velocity follows from picture and noise.
 */
static enum status from_parts(double *out, enum prediction want, enum prediction is,
                              const double *noise, const double *x, const struct path_coefs *c,
                              int64_t n, struct error *err)
{
    enum status st;

    if ((st = prediction_convert(out, PREDICT_DATA, out, is, x, c, n, err)))
        return st;
    if (want == PREDICT_NOISE)
        memcpy(out, noise, (size_t)n * sizeof(*out));
    else if (want == PREDICT_SCORE)
        return prediction_convert(out, want, noise, PREDICT_NOISE, x, c, n, err);
    else if (want == PREDICT_VELOCITY)
        for (int64_t i = 0; i < n; i++)
            out[i] = c->dalpha * out[i] + c->dbeta * noise[i];
    return OK;
}

/* want = *of_x x + ... what the network predicts; some kinds of guidance go through a prediction of
 * their own on the way, and must be able to come back from it. */
static enum status reach(double *of_x, const struct guidance *g, enum prediction want,
                         enum prediction predicts, const struct path_coefs *c, struct error *err)
{
    enum prediction on = g ? g->how.kind->on : N_PREDICTIONS;
    double x, have;
    enum status st;

    if (on != N_PREDICTIONS && ((st = prediction_coefs(&x, &have, on, predicts, c, err)) ||
                                (st = prediction_coefs(&x, &have, want, on, c, err))))
        return st;
    return prediction_coefs(of_x, &have, want, predicts, c, err);
}

/* What to ask for `want`: E_ARG where nobody can tell. */
static enum status choose(struct guidance **from, enum prediction *predicts, const struct field *f,
                          enum prediction want, const struct path_coefs *c, struct error *err)
{
    double of_x = 1;
    bool second_tells = f->second && !reach(&of_x, f->second, want, f->second_predicts, c, NULL);
    bool is_multiple = second_tells && of_x == 0 && f->predicts != want;
    enum status st = reach(&of_x, f->guidance, want, f->predicts, c, err);

    *from = is_multiple || (st && second_tells) ? f->second : f->guidance;
    *predicts = *from == f->second && f->second ? f->second_predicts : f->predicts;
    return second_tells ? OK : st;
}

enum status field_predict(struct field *f, enum prediction want, double *out, const double *x,
                          double t, struct error *err)
{
    struct path_coefs c = path_at(&f->path, t);
    int64_t n = f->guidance->of.rows * f->guidance->of.length;
    bool renoises = f->guidance->how.kind->renoises, has_noise;
    struct guidance *from;
    enum prediction is, predicts;
    double *noise = NULL;
    enum status st;

    if ((st = choose(&from, &predicts, f, want, &c, err)) ||
        (renoises &&
         (st = mem_new((void **)&noise, (uint64_t)n, sizeof(*noise), "unguided noise", err))))
        return st;
    if (!(st = guidance_predict(from, out, &is, noise, &has_noise, x, &c, predicts, err)))
        st = has_noise ? from_parts(out, want, is, noise, x, &c, n, err)
                       : prediction_convert(out, want, out, is, x, &c, n, err);
    free(noise);
    return st;
}

enum status field_data_noise(struct field *f, double *data, double *noise, const double *x,
                             double t, struct error *err)
{
    struct path_coefs c = path_at(&f->path, t);
    int64_t n = f->guidance->of.rows * f->guidance->of.length;
    struct guidance *from;
    enum prediction is, predicts;
    bool has_noise;
    enum status st;

    if ((st = choose(&from, &predicts, f, PREDICT_DATA, &c, err)) ||
        (st = guidance_predict(from, data, &is, noise, &has_noise, x, &c, predicts, err)))
        return st;
    if (noise && !has_noise &&
        (st = prediction_convert(noise, PREDICT_NOISE, data, is, x, &c, n, err)))
        return st;
    return prediction_convert(data, PREDICT_DATA, data, is, x, &c, n, err);
}

enum status field_variance(struct field *f, double *out, const double *x, double t,
                           struct error *err)
{
    if (!f->variance.predict)
        return fail(err, E_ARG, "nobody says how uncertain a step is");
    return guidance_ask(f->guidance, f->variance, out, x, t, err);
}

bool field_has(const struct field *f, enum prediction want, double t)
{
    struct path_coefs c = path_at(&f->path, t);
    struct guidance *from;
    enum prediction predicts;

    return !choose(&from, &predicts, f, want, &c, NULL);
}
