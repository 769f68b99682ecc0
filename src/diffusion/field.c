/*
 * field.c - what a solver integrates: a predictor under guidance, read through a path
 *
 * Guidance first, conversion after: the two commute (theory.md 3.5), and this order converts once.
 * With one Gaussian-path network the guided score is obtained from the guided velocity, so a solver
 * that needs both can never mix one guidance with another (theory.md 3.7).  Where the conversion
 * has no value, that is said before the network is asked.
 */
#include "diffusion/field.h"

enum status field_predict(struct field *f, enum prediction want, double *out, const double *x,
                          double t, struct error *err)
{
    struct path_coefs c = path_at(&f->path, t);
    int64_t n = f->guidance->of.rows * f->guidance->of.length;
    double of_x, of_have;
    enum status st;

    if ((st = prediction_coefs(&of_x, &of_have, want, f->predicts, &c, err)) ||
        (st = guidance_predict(f->guidance, out, x, t, err)))
        return st;
    return prediction_convert(out, want, out, f->predicts, x, &c, n, err);
}

enum status field_data_noise(struct field *f, double *data, double *noise, const double *x,
                             double t, struct error *err)
{
    struct path_coefs c = path_at(&f->path, t);
    int64_t n = f->guidance->of.rows * f->guidance->of.length;
    double of_x, of_have;
    enum status st;

    if ((st = prediction_coefs(&of_x, &of_have, PREDICT_DATA, f->predicts, &c, err)) ||
        (st = guidance_predict(f->guidance, data, x, t, err)) ||
        (noise &&
         (st = prediction_convert(noise, PREDICT_NOISE, data, f->predicts, x, &c, n, err))))
        return st;
    return prediction_convert(data, PREDICT_DATA, data, f->predicts, x, &c, n, err);
}

bool field_has(const struct field *f, enum prediction want, double t)
{
    struct path_coefs c = path_at(&f->path, t);
    double of_x, of_have;

    return !prediction_coefs(&of_x, &of_have, want, f->predicts, &c, NULL);
}
