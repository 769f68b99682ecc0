/*
 * parity_theory.c - exact values of the theory: schedulers, training targets, fields of mixtures
 *
 * Three kinds of JSON file, told apart by their keys.  The fields are also used the other way
 * round: given one of the file's four quantities at a point, the conversions must give the other
 * three.
 */
#include "oracle.h"

#include <math.h>
#include <string.h>

static const char *const prediction_keys[KNOWN_PREDICTIONS] = {"u", "score", "eps", "z"};

static const json_t *first_member(const json_t *object)
{
    void *it = json_object_iter((json_t *)object);

    return it ? json_object_iter_value(it) : NULL;
}

/* ---- Schedulers: every coefficient of every path at given times ---- */

static bool schedulers_knows(const json_t *root)
{
    return json_is_array(
        json_object_get(first_member(json_object_get(root, "schedulers")), "rows"));
}

/* Values where both are finite into pairs; a null must meet a value that is not finite. */
static enum status coefs_add(struct pairs *inside, struct pairs *ends, struct parity_report *r,
                             const struct path_coefs *c, const json_t *row, struct error *err)
{
    const struct {
        const char *key;
        double value;
    } table[] = {
        {"alpha", c->alpha}, {"beta", c->beta}, {"dalpha", c->dalpha},
        {"dbeta", c->dbeta}, {"D", c->D},       {"beta_dbeta", c->beta_dbeta},
        {"a_coef", c->a},    {"b_coef", c->b},  {"half_log_snr", c->half_log_snr},
    };
    bool near_end = c->t <= 1e-5 || c->t >= 1 - 1e-5;
    enum status st = OK;

    for (size_t i = 0; i < sizeof(table) / sizeof(*table) && !st; i++) {
        const json_t *value = json_object_get(row, table[i].key);
        double want = json_number_value(value);

        if (json_is_null(value))
            parity_claim(r, table[i].key, !isfinite(table[i].value), "%g at t = %g, not infinite",
                         table[i].value, c->t);
        else if (json_is_number(value))
            st = pairs_add(near_end ? ends : inside, &table[i].value, &want, 1, err);
    }
    return st;
}

static enum status scheduler_check(struct parity_report *r, const char *name, const json_t *s,
                                   struct error *err)
{
    struct pairs inside = {0}, ends = {0};
    const json_t *rows = json_object_get(s, "rows"), *row;
    struct path path;
    enum status st = path_read(&path, name, json_object_get(s, "params"), err);
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        struct path_coefs c;
        double t;

        if (st || (st = real_read(&t, row, "t", err)))
            break;
        if (!(t >= 0 && t <= 1)) {
            st = fail(err, E_FORMAT, "t = %g", t);
            break;
        }
        c = path_at(&path, t);
        if ((st = coefs_add(&inside, &ends, r, &c, row, err)))
            break;
    }
    /* The absolute part lets a zero be a rounding of the other terms' size. */
    pairs_compare(&inside, r, "coefficients", (struct parity_limit){.of_each = 1e-12});
    pairs_compare(&ends, r, "coefficients near an end",
                  (struct parity_limit){.of_each = 1e-9, .absolute = 1e-300});
    pairs_release(&inside);
    pairs_release(&ends);
    return st;
}

/* The discrete table of DDPM agrees with vp_linear of the same rates to about 1e-3 in alpha. */
static enum status ddpm_check(struct parity_report *r, const json_t *table, struct error *err)
{
    const json_t *rows = json_object_get(table, "rows"), *row;
    double count, first, last, worst = 0;
    struct path path;
    enum status st;
    size_t i;

    if ((st = real_read(&count, table, "T", err)) ||
        (st = real_read(&first, table, "beta_first", err)) ||
        (st = real_read(&last, table, "beta_last", err)) ||
        (st = path_init(&path, "vp_linear", err)) ||
        (st = path_set(&path, "b_min", count * first, err)) ||
        (st = path_set(&path, "b_max", count * last, err)))
        return st;
    json_array_foreach((json_t *)rows, i, row)
    {
        double k, alpha;

        if ((st = real_read(&k, row, "k", err)) || (st = real_read(&alpha, row, "alpha", err)))
            return st;
        if (!(k >= 0 && k < count))
            return fail(err, E_FORMAT, "row %g of a table of %g", k, count);
        worst = fmax(worst, fabs(path_at(&path, 1 - (k + 1) / count).alpha - alpha));
    }
    parity_claim(r, "discrete table near vp_linear", worst < 1.2e-3, "alpha differs by %g", worst);
    return OK;
}

static enum status schedulers_check(struct parity_report *r, struct parity_fixture *f,
                                    const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json, *table;
    enum status st = OK;
    const char *name;
    json_t *s;

    (void)options;
    json_object_foreach(json_object_get(root, "schedulers"), name, s)
    {
        report_group(r, name);
        if (!st)
            st = scheduler_check(r, name, s, err);
    }
    report_group(r, "ddpm");
    table = json_object_get(root, "ddpm_discrete");
    return st || !table ? st : ddpm_check(r, table, err);
}

const struct parity_checker parity_theory_schedulers = {
    .kind = "theory schedulers",
    .parts = {""},
    .knows = schedulers_knows,
    .check = schedulers_check,
};

/* ---- Targets: x_t, the conditional velocity and score, log p_t(x | z) ---- */

static bool targets_knows(const json_t *root)
{
    const json_t *row = json_array_get(first_member(root), 0);

    return json_object_get(row, "log_p_x_given_z") != NULL;
}

struct target_pairs {
    struct pairs x, u, score, log_p;
};

static enum status target_add(struct target_pairs *p, struct parity_fixture *f,
                              const struct path *path, const json_t *row, struct error *err)
{
    double t, log_p, got, of_z, of_eps, *z, *eps, *x, *u, *s, *mine;
    struct path_coefs c;
    enum status st;
    int64_t n;

    if ((st = real_read(&t, row, "t", err)) ||
        (st = real_read(&log_p, row, "log_p_x_given_z", err)) ||
        (st = member_read(&z, &n, f, row, "z", -1, err)) ||
        (st = member_read(&eps, NULL, f, row, "eps", n, err)) ||
        (st = member_read(&x, NULL, f, row, "x", n, err)) ||
        (st = member_read(&u, NULL, f, row, "u", n, err)) ||
        (st = member_read(&s, NULL, f, row, "score", n, err)) ||
        (st = fixture_new(f, (void **)&mine, (uint64_t)n, sizeof(*mine), err)))
        return st;
    if (!(t >= 0 && t < 1))
        return fail(err, E_FORMAT, "t = %g", t);
    c = path_at(path, t);
    path_point(mine, z, eps, &c, n);
    if ((st = pairs_add(&p->x, mine, x, n, err)) ||
        (st = prediction_target(&of_z, &of_eps, PREDICT_VELOCITY, &c, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        mine[i] = of_z * z[i] + of_eps * eps[i];
    if ((st = pairs_add(&p->u, mine, u, n, err)) ||
        (st = prediction_target(&of_z, &of_eps, PREDICT_SCORE, &c, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        mine[i] = of_z * z[i] + of_eps * eps[i];
    got = path_log_density(x, z, &c, n);
    return (st = pairs_add(&p->score, mine, s, n, err))
               ? st
               : pairs_add(&p->log_p, &got, &log_p, 1, err);
}

static enum status targets_check(struct parity_report *r, struct parity_fixture *f,
                                 const struct parity_options *options, struct error *err)
{
    struct target_pairs p = {0};
    enum status st = OK;
    const char *name;
    json_t *rows, *row;
    size_t i;

    (void)options;
    json_object_foreach(fixture_part(f, "")->json, name, rows)
    {
        struct path path;

        report_group(r, name);
        if (st || (st = path_read(&path, name, NULL, err)))
            break;
        json_array_foreach(rows, i, row)
        {
            if (!st)
                st = target_add(&p, f, &path, row, err);
        }
        pairs_compare(&p.x, r, "x", limit_rel(1e-11));
        pairs_compare(&p.u, r, "velocity target", limit_rel(1e-11));
        pairs_compare(&p.score, r, "score target", limit_rel(1e-11));
        pairs_compare(&p.log_p, r, "log p(x | z)", limit_rel(1e-11));
    }
    pairs_release(&p.x);
    pairs_release(&p.u);
    pairs_release(&p.score);
    pairs_release(&p.log_p);
    return st;
}

const struct parity_checker parity_theory_targets = {
    .kind = "theory targets",
    .parts = {""},
    .knows = targets_knows,
    .check = targets_check,
};

/* ---- Fields: everything the oracle knows, at given points ---- */

static bool fields_knows(const json_t *root)
{
    return json_is_array(
        json_object_get(first_member(json_object_get(root, "schedulers")), "points"));
}

struct field_pairs {
    struct pairs of[KNOWN_PREDICTIONS], guided[KNOWN_PREDICTIONS];
    struct pairs convert[KNOWN_PREDICTIONS][KNOWN_PREDICTIONS];
    struct pairs log_p, posterior, log_posterior, grad;
};

static void value_vectors(const double *out[KNOWN_PREDICTIONS], const struct mixture_value *v)
{
    out[PREDICT_VELOCITY] = v->u;
    out[PREDICT_SCORE] = v->s;
    out[PREDICT_NOISE] = v->eps;
    out[PREDICT_DATA] = v->z;
}

/* One record's log_p and four fields, under y or none; inside the path also all conversions. */
static enum status record_add(struct field_pairs *p, struct parity_fixture *f,
                              const struct mixture_value *v, const struct path_coefs *c,
                              const double *x, int64_t d, const json_t *record, struct error *err)
{
    const double *got[KNOWN_PREDICTIONS];
    double *want[KNOWN_PREDICTIONS], log_p, mine[MIXTURE_DIM];
    enum status st;

    value_vectors(got, v);
    if ((st = real_read(&log_p, record, "log_p", err)) ||
        (st = pairs_add(&p->log_p, &v->log_p, &log_p, 1, err)))
        return st;
    for (int i = 0; i < KNOWN_PREDICTIONS; i++)
        if ((st = member_read(&want[i], NULL, f, record, prediction_keys[i], d, err)) ||
            (st = pairs_add(&p->of[i], got[i], want[i], d, err)))
            return st;
    if (c->t < 0.02 || c->t > 0.98)
        return OK;
    for (int from = 0; from < KNOWN_PREDICTIONS; from++)
        for (int to = 0; to < KNOWN_PREDICTIONS; to++)
            if (from != to && ((st = prediction_convert(mine, (enum prediction)to, want[from],
                                                        (enum prediction)from, x, c, d, err)) ||
                               (st = pairs_add(&p->convert[from][to], mine, want[to], d, err))))
                return st;
    return OK;
}

static enum status guided_add(struct field_pairs *p, struct parity_fixture *f,
                              const struct mixture_value *any, const struct mixture_value *with,
                              int64_t d, const json_t *guided, struct error *err)
{
    const double *a[KNOWN_PREDICTIONS], *b[KNOWN_PREDICTIONS];
    double w, mine[MIXTURE_DIM], *want;
    enum status st;

    value_vectors(a, any);
    value_vectors(b, with);
    if ((st = real_read(&w, guided, "w", err)))
        return st;
    for (int i = 0; i < KNOWN_PREDICTIONS; i++) {
        if ((st = member_read(&want, NULL, f, guided, prediction_keys[i], d, err)))
            return st;
        guidance_combine(mine, a[i], b[i], w, d);
        if ((st = pairs_add(&p->guided[i], mine, want, d, err)))
            return st;
    }
    return OK;
}

/* The gradient of log p(y | x) is a difference of scores: its error is measured against theirs. */
static enum status posterior_add(struct field_pairs *p, struct parity_fixture *f,
                                 const struct mixture *m, const struct path_coefs *c,
                                 const double *x, int32_t y, const struct mixture_value *with,
                                 const json_t *record, struct error *err)
{
    double log_p, want, prob, grad[MIXTURE_DIM], *want_grad, zero = 0, norm = 0;
    enum status st;

    if ((st = mixture_posterior(&log_p, grad, m, c, x, y, err)) ||
        (st = real_read(&want, record, "log_posterior", err)) ||
        (st = pairs_add(&p->log_posterior, &log_p, &want, 1, err)) ||
        (st = real_read(&want, record, "posterior", err)))
        return st;
    prob = exp(log_p);
    if ((st = pairs_add(&p->posterior, &prob, &want, 1, err)) ||
        (st = member_read(&want_grad, NULL, f, record, "grad_log_posterior", m->dim, err)))
        return st;
    for (int i = 0; i < m->dim; i++)
        norm += with->s[i] * with->s[i];
    for (int i = 0; i < m->dim && !st; i++) {
        double scaled = (grad[i] - want_grad[i]) / (1 + sqrt(norm));

        st = pairs_add(&p->grad, &scaled, &zero, 1, err);
    }
    return st;
}

static enum status point_add(struct field_pairs *p, struct parity_fixture *f,
                             const struct mixture *m, const struct path *path, const json_t *point,
                             struct error *err)
{
    const json_t *classes = json_object_get(point, "by_class"), *record, *guided;
    struct mixture_value any, with;
    struct path_coefs c;
    enum status st;
    double t, *x;
    int32_t y;
    size_t i, j;

    if ((st = real_read(&t, point, "t", err)) ||
        (st = member_read(&x, NULL, f, point, "x", m->dim, err)))
        return st;
    if (!(t >= 0 && t <= 1))
        return fail(err, E_FORMAT, "t = %g", t);
    c = path_at(path, t);
    if ((st = mixture_at(&any, m, &c, x, MIXTURE_ANY, err)) ||
        (st = record_add(p, f, &any, &c, x, m->dim, point, err)))
        return st;
    json_array_foreach((json_t *)classes, i, record)
    {
        if ((st = label_read(&y, record, "y", err)) || (st = mixture_at(&with, m, &c, x, y, err)) ||
            (st = record_add(p, f, &with, &c, x, m->dim, record, err)) ||
            (st = posterior_add(p, f, m, &c, x, y, &with, record, err)))
            return st;
        json_array_foreach(json_object_get(record, "guided"), j, guided)
        {
            if ((st = guided_add(p, f, &any, &with, m->dim, guided, err)))
                return st;
        }
    }
    return OK;
}

/* What a list promises: inside the path everything; at its ends the four fields; far away what does
 * not depend on differences of large numbers. */
static void fields_compare(struct field_pairs *p, struct parity_report *r, const char *list)
{
    bool inside = strcmp(list, "points") == 0, edge = strcmp(list, "edge") == 0;
    struct parity_limit limit = limit_rel(edge ? 1e-8 : 1e-9);
    char name[64];

    for (int i = 0; i < KNOWN_PREDICTIONS; i++) {
        if (!inside && !edge && i != PREDICT_VELOCITY && i != PREDICT_SCORE)
            p->of[i].n = 0;
        if (!inside)
            p->guided[i].n = 0;
        snprintf(name, sizeof(name), "%s %s", list, prediction_keys[i]);
        pairs_compare(&p->of[i], r, name, limit);
        snprintf(name, sizeof(name), "%s guided %s", list, prediction_keys[i]);
        pairs_compare(&p->guided[i], r, name, limit);
        for (int j = 0; j < KNOWN_PREDICTIONS; j++) {
            if (!inside)
                p->convert[i][j].n = 0;
            snprintf(name, sizeof(name), "%s from %s", prediction_keys[j], prediction_keys[i]);
            pairs_compare(&p->convert[i][j], r, name, limit_rel(1e-8));
        }
    }
    if (edge)
        p->log_p.n = p->log_posterior.n = p->posterior.n = p->grad.n = 0;
    snprintf(name, sizeof(name), "%s log p", list);
    pairs_compare(&p->log_p, r, name, limit);
    if (!inside)
        p->log_posterior.n = p->posterior.n = p->grad.n = 0;
    pairs_compare(&p->log_posterior, r, "log p(y | x)", limit);
    pairs_compare(&p->posterior, r, "p(y | x)", limit);
    pairs_compare(&p->grad, r, "grad log p(y | x)", (struct parity_limit){.absolute = 1e-9});
}

static void field_pairs_release(struct field_pairs *p)
{
    for (int i = 0; i < KNOWN_PREDICTIONS; i++) {
        pairs_release(&p->of[i]);
        pairs_release(&p->guided[i]);
        for (int j = 0; j < KNOWN_PREDICTIONS; j++)
            pairs_release(&p->convert[i][j]);
    }
    pairs_release(&p->log_p);
    pairs_release(&p->posterior);
    pairs_release(&p->log_posterior);
    pairs_release(&p->grad);
}

static enum status fields_check(struct parity_report *r, struct parity_fixture *f,
                                const struct parity_options *options, struct error *err)
{
    static const char *const lists[] = {"points", "edge", "tail"};
    const json_t *root = fixture_part(f, "")->json;
    struct field_pairs p = {0};
    struct mixture m;
    enum status st = mixture_read(&m, f, json_object_get(root, "mixture"), err);
    const char *name;
    json_t *s, *point;
    size_t i;

    (void)options;
    json_object_foreach(json_object_get(root, "schedulers"), name, s)
    {
        struct path path;

        report_group(r, name);
        if (st || (st = path_read(&path, name, json_object_get(s, "params"), err)))
            break;
        for (int list = 0; list < 3; list++) {
            json_array_foreach(json_object_get(s, lists[list]), i, point)
            {
                if (!st)
                    st = point_add(&p, f, &m, &path, point, err);
            }
            fields_compare(&p, r, lists[list]);
        }
    }
    field_pairs_release(&p);
    mixture_release(&m);
    return st;
}

const struct parity_checker parity_theory_fields = {
    .kind = "theory fields",
    .parts = {""},
    .knows = fields_knows,
    .check = fields_check,
};
