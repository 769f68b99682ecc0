/*
 * parity_floor.c - the loss of a perfect model
 *
 * The floor C* of a loss is E tr Var(target | x_t).  All four follow from one function of time, the
 * error of the best noise prediction: Var(eps | x) = 1 - E eps^2 over the law of x_t, and (2.5) for
 * the rest. It is a quadrature over x and t of the oracle's fields, in one dimension, exact far
 * beyond what a file can ask; Monte Carlo through the training batch is the test suite's.
 * theory.md 1.4, 2.2, 3.6.
 */
#include "oracle.h"

#include <math.h>
#include <string.h>

enum { X_POINTS = 700, T_PANELS = 30 };

/* E over x ~ p_t(. | y) of the squared prediction. */
static enum status mean_square(double *out, const struct mixture *m, const struct path_coefs *c,
                               int32_t y, enum prediction which, struct error *err)
{
    double lo = HUGE_VAL, hi = -HUGE_VAL, sum = 0, step;
    enum status st;

    for (int k = 0; k < m->parts; k++)
        if (y == MIXTURE_ANY || m->label[k] == y) {
            double width = sqrt(c->alpha * c->alpha * m->cov[k] + c->beta * c->beta);

            lo = fmin(lo, c->alpha * m->mean[k] - 10 * width);
            hi = fmax(hi, c->alpha * m->mean[k] + 10 * width);
        }
    step = (hi - lo) / X_POINTS;
    for (int i = 0; i <= X_POINTS; i++) {
        double x = lo + i * step, value;
        struct mixture_value v;

        if ((st = mixture_at(&v, m, c, &x, y, err)))
            return st;
        value = which == PREDICT_DATA ? v.z[0] : v.eps[0];
        sum += exp(v.log_p) * value * value * step;
    }
    *out = sum;
    return OK;
}

/* The four floors at one time.  Near noise the data are what is uncertain, near the data the noise;
 * the other of the two would be a difference of nearly equal numbers. */
static enum status floors_at(double out[KNOWN_PREDICTIONS], const struct mixture *m,
                             const struct path_coefs *c, int32_t y, struct error *err)
{
    bool noisy = c->alpha < c->beta;
    double known, mean, var, of_eps;
    struct path_coefs data = {.t = 1, .alpha = 1};
    enum status st;

    if ((st = mean_square(&known, m, c, y, noisy ? PREDICT_DATA : PREDICT_NOISE, err)) ||
        (st = mixture_moments(&mean, &var, m, &data, y, err)))
        return st;
    if (noisy)
        of_eps = (var + mean * mean - known) * c->alpha * c->alpha / (c->beta * c->beta);
    else
        of_eps = 1 - known;
    out[PREDICT_NOISE] = of_eps;
    out[PREDICT_DATA] =
        noisy ? var + mean * mean - known : of_eps * c->beta * c->beta / (c->alpha * c->alpha);
    out[PREDICT_VELOCITY] = noisy ? c->D * c->D / (c->beta * c->beta) * out[PREDICT_DATA]
                                  : c->D * c->D / (c->alpha * c->alpha) * of_eps;
    out[PREDICT_SCORE] = of_eps / (c->beta * c->beta);
    return OK;
}

/* Means over t uniform on [t0, t1]: Gauss's rule of three points in each panel, with t = 3 s^2 - 2
 * s^3 crowding the panels to the ends, where scores grow like 1 / beta^2. */
static enum status floors(double out[KNOWN_PREDICTIONS], const struct mixture *m,
                          const struct path *path, double t0, double t1, int32_t y,
                          struct error *err)
{
    static const double node[3] = {-0.77459666924148337704, 0, 0.77459666924148337704};
    static const double weight[3] = {5.0 / 18, 8.0 / 18, 5.0 / 18};
    double here[KNOWN_PREDICTIONS];
    enum status st;

    memset(out, 0, KNOWN_PREDICTIONS * sizeof(*out));
    for (int i = 0; i < 3 * T_PANELS; i++) {
        double s = (i / 3 + 0.5 + 0.5 * node[i % 3]) / T_PANELS;
        double share = weight[i % 3] / T_PANELS * 6 * s * (1 - s);
        struct path_coefs c = path_at(path, t0 + (t1 - t0) * s * s * (3 - 2 * s));

        if ((st = floors_at(here, m, &c, y, err)))
            return st;
        for (int p = 0; p < KNOWN_PREDICTIONS; p++)
            out[p] += share * here[p];
    }
    return OK;
}

static enum status floors_add(struct pairs of[KNOWN_PREDICTIONS],
                              const double got[KNOWN_PREDICTIONS], const json_t *want,
                              struct error *err)
{
    static const char *const keys[KNOWN_PREDICTIONS] = {"u", "score", "eps", "z"};
    enum status st = OK;

    for (int i = 0; i < KNOWN_PREDICTIONS && !st; i++) {
        const json_t *value = json_object_get(want, keys[i]);
        double number = json_number_value(value);

        if (json_is_number(value))
            st = pairs_add(&of[i], &got[i], &number, 1, err);
    }
    return st;
}

struct floor_pairs {
    struct pairs of[KNOWN_PREDICTIONS], dropped, single;
};

/* A row: unguided, each class, their mean, and the mean over dropped labels. */
static enum status floor_row(struct floor_pairs *p, const struct mixture *m, const json_t *root,
                             const json_t *row, struct error *err)
{
    double t0, t1, any[KNOWN_PREDICTIONS], with[KNOWN_PREDICTIONS], guided[KNOWN_PREDICTIONS] = {0};
    struct path path;
    enum status st;
    json_t *record;
    size_t i;

    if ((st = path_of_row(&path, root, row, err)) || (st = real_read(&t0, row, "t0", err)) ||
        (st = real_read(&t1, row, "t1", err)))
        return st;
    if (!(t0 >= 0 && t0 < t1 && t1 <= 1))
        return fail(err, E_FORMAT, "times from %g to %g", t0, t1);
    if ((st = floors(any, m, &path, t0, t1, MIXTURE_ANY, err)) ||
        (st = floors_add(p->of, any, json_object_get(row, "uncond"), err)))
        return st;
    json_array_foreach(json_object_get(row, "by_class"), i, record)
    {
        int32_t y;

        if ((st = label_read(&y, record, "y", err)) ||
            (st = floors(with, m, &path, t0, t1, y, err)) ||
            (st = floors_add(p->of, with, record, err)))
            return st;
        for (int j = 0; j < KNOWN_PREDICTIONS; j++)
            guided[j] += mixture_prior(m, y) * with[j];
    }
    if ((st = floors_add(p->of, guided, json_object_get(row, "guided"), err)))
        return st;
    json_array_foreach(json_object_get(row, "dropped"), i, record)
    {
        double eta, want, got;

        if ((st = real_read(&eta, record, "eta", err)) || (st = real_read(&want, record, "u", err)))
            return st;
        got = (1 - eta) * guided[PREDICT_VELOCITY] + eta * any[PREDICT_VELOCITY];
        if ((st = pairs_add(&p->dropped, &got, &want, 1, err)))
            return st;
    }
    return OK;
}

static enum status single_row(struct floor_pairs *p, const json_t *root, const json_t *row,
                              struct error *err)
{
    static const int32_t label;
    double t0, t1, var, want, zero = 0, one = 1, got[KNOWN_PREDICTIONS];
    struct mixture m;
    struct path path;
    enum status st;

    if ((st = path_of_row(&path, root, row, err)) || (st = real_read(&t0, row, "t0", err)) ||
        (st = real_read(&t1, row, "t1", err)) || (st = real_read(&var, row, "data_var", err)) ||
        (st = real_read(&want, row, "u", err)))
        return st;
    if (!(t0 >= 0 && t0 < t1 && t1 <= 1))
        return fail(err, E_FORMAT, "times from %g to %g", t0, t1);
    if (!(st = mixture_init(&m, 1, 1, &one, &zero, &var, &label, err)) &&
        !(st = floors(got, &m, &path, t0, t1, MIXTURE_ANY, err)))
        st = pairs_add(&p->single, &got[PREDICT_VELOCITY], &want, 1, err);
    mixture_release(&m);
    return st;
}

static bool floor_knows(const json_t *root)
{
    return json_object_get(root, "single_gaussian") && json_object_get(root, "mixture");
}

static enum status floor_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    static const char *const names[KNOWN_PREDICTIONS] = {"velocity loss", "score loss",
                                                         "noise loss", "data loss"};
    const struct parity_limit limit = {.of_each = 1e-5};
    const json_t *root = fixture_part(f, "")->json;
    struct floor_pairs p = {0};
    struct mixture m;
    enum status st = mixture_read(&m, f, json_object_get(root, "mixture"), err);
    json_t *row;
    size_t i;

    (void)options;
    if (!st && m.dim != 1) {
        parity_skip(r, "loss floors", "quadrature is for one dimension, the mixture has %d", m.dim);
        goto out;
    }
    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        if (!st)
            st = floor_row(&p, &m, root, row, err);
    }
    json_array_foreach(json_object_get(root, "single_gaussian"), i, row)
    {
        if (!st)
            st = single_row(&p, root, row, err);
    }
    for (int k = 0; k < KNOWN_PREDICTIONS; k++)
        pairs_compare(&p.of[k], r, names[k], limit);
    pairs_compare(&p.dropped, r, "velocity loss with dropped labels", limit);
    pairs_compare(&p.single, r, "velocity loss of one Gaussian", limit);
out:
    for (int k = 0; k < KNOWN_PREDICTIONS; k++)
        pairs_release(&p.of[k]);
    pairs_release(&p.dropped);
    pairs_release(&p.single);
    mixture_release(&m);
    return st;
}

const struct parity_checker parity_theory_floor = {
    .kind = "theory loss floor",
    .parts = {""},
    .knows = floor_knows,
    .check = floor_check,
};
