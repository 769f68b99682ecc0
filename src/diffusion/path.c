/*
 * path.c - the Gaussian path x_t = alpha z + beta eps from noise (t = 0) to data (t = 1)
 *
 * All that distinguishes rectified flow, DDPM, EDM and the others is the pair of functions (alpha,
 * beta), so each is one small function and one descriptor.  What follows from the pair for every
 * prediction is written once, in prediction.c.
 *
 * The difficulty is the ends.  At t = 0 alpha is often 0, at t = 1 beta is, and the quotients of
 * the textbook become 0/0 although the fields they stand for are finite.  Two habits keep them
 * right: beta comes from a form without cancellation (expm1, the sine of 1 - t) and is exactly 0 at
 * t = 1; and products that stay finite (beta dbeta, beta D) are formed as products, never as a
 * quotient times its divisor.  theory.md 2.4 and 2.5.
 */
#include "diffusion/path.h"

#include <math.h>
#include <string.h>

static const double half_pi = 1.57079632679489661923;

/* ---- The table of paths ---- */

static void condot_fill(struct path_coefs *c, const double *values, double t)
{
    (void)values;
    c->alpha = t;
    c->beta = 1 - t;
    c->dalpha = 1;
    c->dbeta = -1;
    c->beta_dbeta = -c->beta;
}

static const struct path_kind path_condot = {
    .is = {.name = "condot",
           .aliases = {"linear", "rectified_flow", "ot", "rf"},
           .summary = "straight lines from noise to data: alpha = t, beta = 1 - t",
           .paper = "Liu et al. 2022; Lipman et al. 2022"},
    .fill = condot_fill,
};

enum { MIN_SIGMA_MIN };
static const struct option condot_min_options[] = {
    {.name = "sigma_min",
     .help = "noise left at the data end",
     .type = OPTION_REAL,
     .offset = MIN_SIGMA_MIN * sizeof(double),
     .fallback = "1e-5",
     .lo = 0,
     .hi = 0.5},
    {0},
};

/* 1 - (1 - m) t written as a sum of positive terms: nothing cancels near t = 1. */
static void condot_min_fill(struct path_coefs *c, const double *values, double t)
{
    double m = values[MIN_SIGMA_MIN];

    c->alpha = t;
    c->beta = (1 - t) + m * t;
    c->dalpha = 1;
    c->dbeta = -(1 - m);
    c->beta_dbeta = c->beta * c->dbeta;
}

static const struct path_kind path_condot_min = {
    .is = {.name = "condot_min",
           .aliases = {"movie_gen"},
           .summary = "straight lines that keep a little noise: beta = 1 - (1 - sigma_min) t",
           .paper = "Lipman et al. 2022; Polyak et al. 2024",
           .options = condot_min_options},
    .fill = condot_min_fill,
};

/* cos(pi t / 2) is 6e-17 at t = 1; the sine of pi (1 - t) / 2 is 0. */
static void cosine_fill(struct path_coefs *c, const double *values, double t)
{
    (void)values;
    c->alpha = sin(half_pi * t);
    c->beta = sin(half_pi * (1 - t));
    c->dalpha = half_pi * c->beta;
    c->dbeta = -half_pi * c->alpha;
    c->beta_dbeta = c->beta * c->dbeta;
}

static const struct path_kind path_cosine = {
    .is = {.name = "cosine",
           .aliases = {"gvp", "trigonometric", "trig"},
           .summary = "a quarter of a circle: alpha = sin(pi t / 2), beta = cos(pi t / 2)",
           .paper = "Albergo and Vanden-Eijnden 2022"},
    .variance_preserving = true,
    .fill = cosine_fill,
};

enum { VP_MIN, VP_MAX };
static const struct option vp_linear_options[] = {
    {.name = "b_min",
     .help = "rate of noising at the data end",
     .type = OPTION_REAL,
     .offset = VP_MIN * sizeof(double),
     .fallback = "0.1",
     .lo = 1e-6,
     .hi = 100},
    {.name = "b_max",
     .help = "rate of noising at the noise end",
     .type = OPTION_REAL,
     .offset = VP_MAX * sizeof(double),
     .fallback = "20",
     .lo = 1e-6,
     .hi = 1000},
    {0},
};

/* alpha = exp(-B/2) with B the rate integrated from the data; dbeta is infinite at t = 1, its
 * product with beta is not. */
static void vp_linear_fill(struct path_coefs *c, const double *values, double t)
{
    double tau = 1 - t, lo = values[VP_MIN], hi = values[VP_MAX];
    double rate = lo + tau * (hi - lo), total = tau * (lo + 0.5 * tau * (hi - lo));

    c->alpha = exp(-0.5 * total);
    c->beta = sqrt(-expm1(-total));
    c->dalpha = 0.5 * rate * c->alpha;
    c->beta_dbeta = -0.5 * rate * c->alpha * c->alpha;
    c->dbeta = c->beta > 0 ? c->beta_dbeta / c->beta : -HUGE_VAL;
}

static const struct path_kind path_vp_linear = {
    .is = {.name = "vp_linear",
           .aliases = {"vp", "ddpm"},
           .summary = "variance preserving with a linear rate of noising, as DDPM",
           .paper = "Ho et al. 2020; Song et al. 2020",
           .options = vp_linear_options},
    .variance_preserving = true,
    .fill = vp_linear_fill,
};

enum { KARRAS_MIN, KARRAS_MAX, KARRAS_RHO };
static const struct option ve_karras_options[] = {
    {.name = "sigma_min",
     .help = "noise at the data end",
     .type = OPTION_REAL,
     .offset = KARRAS_MIN * sizeof(double),
     .fallback = "0.002",
     .lo = 1e-8,
     .hi = 1e6},
    {.name = "sigma_max",
     .help = "noise at the noise end",
     .type = OPTION_REAL,
     .offset = KARRAS_MAX * sizeof(double),
     .fallback = "80",
     .lo = 1e-8,
     .hi = 1e6},
    {.name = "rho",
     .help = "how much time is spent near the data",
     .type = OPTION_REAL,
     .offset = KARRAS_RHO * sizeof(double),
     .fallback = "7",
     .lo = 0.1,
     .hi = 100},
    {0},
};

static void ve_karras_fill(struct path_coefs *c, const double *values, double t)
{
    double rho = values[KARRAS_RHO];
    double start = pow(values[KARRAS_MAX], 1 / rho), end = pow(values[KARRAS_MIN], 1 / rho);
    double root = (1 - t) * start + t * end;

    c->alpha = 1;
    c->beta = pow(root, rho);
    c->dalpha = 0;
    c->dbeta = rho * (end - start) * pow(root, rho - 1);
    c->beta_dbeta = c->beta * c->dbeta;
}

static const struct path_kind path_ve_karras = {
    .is = {.name = "ve_karras",
           .aliases = {"karras", "edm"},
           .summary = "variance exploding, the noise level a power of a straight line",
           .paper = "Karras et al. 2022",
           .options = ve_karras_options},
    .variance_exploding = true,
    .fill = ve_karras_fill,
};

enum { GEOMETRIC_MIN, GEOMETRIC_MAX };
static const struct option ve_geometric_options[] = {
    {.name = "sigma_min",
     .help = "noise at the data end",
     .type = OPTION_REAL,
     .offset = GEOMETRIC_MIN * sizeof(double),
     .fallback = "0.01",
     .lo = 1e-8,
     .hi = 1e6},
    {.name = "sigma_max",
     .help = "noise at the noise end",
     .type = OPTION_REAL,
     .offset = GEOMETRIC_MAX * sizeof(double),
     .fallback = "50",
     .lo = 1e-8,
     .hi = 1e6},
    {0},
};

static void ve_geometric_fill(struct path_coefs *c, const double *values, double t)
{
    double span = log(values[GEOMETRIC_MAX] / values[GEOMETRIC_MIN]);

    c->alpha = 1;
    c->beta = values[GEOMETRIC_MIN] * exp(span * (1 - t));
    c->dalpha = 0;
    c->dbeta = -span * c->beta;
    c->beta_dbeta = c->beta * c->dbeta;
}

static const struct path_kind path_ve_geometric = {
    .is = {.name = "ve_geometric",
           .aliases = {"ve"},
           .summary = "variance exploding, the noise level geometric in time",
           .paper = "Song et al. 2020",
           .options = ve_geometric_options},
    .variance_exploding = true,
    .fill = ve_geometric_fill,
};

enum { ND_OFFSET };
static const struct option nd_cosine_options[] = {
    {.name = "s",
     .help = "offset that keeps the noise from vanishing too slowly",
     .type = OPTION_REAL,
     .offset = ND_OFFSET * sizeof(double),
     .fallback = "0.008",
     .lo = 0,
     .hi = 1},
    {0},
};

/* cos(q s) = sin(q) because q (1 + s) = pi / 2; with the sine, alpha is exactly 1 at t = 1. */
static void nd_cosine_fill(struct path_coefs *c, const double *values, double t)
{
    double s = values[ND_OFFSET], tau = 1 - t, q = half_pi / (1 + s), whole = sin(q);

    c->alpha = sin(q * t) / whole;
    c->beta = sqrt(sin(q * tau) * sin(q * (tau + 2 * s))) / whole;
    c->dalpha = q * cos(q * t) / whole;
    c->beta_dbeta = -c->alpha * c->dalpha;
    c->dbeta = c->beta > 0 ? c->beta_dbeta / c->beta : -HUGE_VAL;
}

static const struct path_kind path_nd_cosine = {
    .is = {.name = "nd_cosine",
           .aliases = {"iddpm", "offset_cosine"},
           .summary = "the cosine path with an offset, as improved DDPM",
           .paper = "Nichol and Dhariwal 2021",
           .options = nd_cosine_options},
    .variance_preserving = true,
    .fill = nd_cosine_fill,
};

/* The list of paths in other files: a new one is one file and one name here. */
#define PATHS(X)      X(ddpm_linear) X(ddpm_scaled) X(ddpm_cosine)
#define DECLARE(name) extern const struct path_kind path_##name;
PATHS(DECLARE)
#undef DECLARE

const struct path_kind *path_kind_at(int i)
{
#define ADDRESS(name) &path_##name,
    static const struct path_kind *const all[] = {
        &path_condot,    &path_condot_min,   &path_cosine,    &path_vp_linear,
        &path_ve_karras, &path_ve_geometric, &path_nd_cosine, PATHS(ADDRESS)};
#undef ADDRESS

    return i >= 0 && i < (int)(sizeof(all) / sizeof(*all)) ? all[i] : NULL;
}

static const struct choice *path_choice_at(int i)
{
    const struct path_kind *kind = path_kind_at(i);

    return kind ? &kind->is : NULL;
}

/* ---- A path ---- */

enum status path_init(struct path *p, const char *name, struct error *err)
{
    enum status st;
    int i;

    memset(p, 0, sizeof(*p));
    if ((st = choice_find(&i, "path", name, path_choice_at, err)))
        return st;
    p->kind = path_kind_at(i);
    choice_defaults(p->values, &p->kind->is);
    return OK;
}

enum status path_set(struct path *p, const char *param, double value, struct error *err)
{
    return choice_set(p->values, &p->kind->is, param, value, err);
}

struct path_coefs path_at(const struct path *p, double t)
{
    struct path_coefs c = {.t = t};

    MUST(t >= 0 && t <= 1, "a path is asked for t = %g, outside [0, 1]", t);
    p->kind->fill(&c, p->values, t);
    /* Both terms are >= 0 on every path, so neither sum cancels. */
    c.D = c.dalpha * c.beta - c.alpha * c.dbeta;
    c.beta_D = c.dalpha * c.beta * c.beta - c.alpha * c.beta_dbeta;
    c.a = c.alpha > 0 ? c.dalpha / c.alpha : HUGE_VAL;
    c.b = c.alpha > 0 ? c.beta_D / c.alpha : HUGE_VAL;
    c.half_log_snr = c.beta > 0 ? log(c.alpha / c.beta) : HUGE_VAL;
    return c;
}

/* beta / alpha falls in t on every path, so halving finds the place; written without the quotient,
 * the comparison holds also where alpha = 0. */
double path_time_of_noise(const struct path *p, double sigma)
{
    double lo = 0, hi = 1;

    for (;;) {
        double mid = 0.5 * (lo + hi);
        struct path_coefs c;

        if (!(mid > lo && mid < hi))
            break;
        c = path_at(p, mid);
        if (c.beta > sigma * c.alpha)
            lo = mid;
        else
            hi = mid;
    }
    return lo > 0 ? hi : path_at(p, 0).beta > sigma * path_at(p, 0).alpha ? hi : 0;
}

int path_steps(const struct path *p)
{
    return p->kind->steps ? p->kind->steps(p->values) : 0;
}

double path_time_of_index(const struct path *p, int k)
{
    int T = path_steps(p);

    MUST(k >= 0 && k < T, "index %d of a schedule of %d steps", k, T);
    return 1 - (double)(k + 1) / T;
}

/* 1 - t has lost what rounding took from t: less than a millionth of an index. */
double path_index(const struct path *p, double t)
{
    double index = path_steps(p) * (1 - t) - 1, whole = round(index);

    return fabs(index - whole) < 1e-6 ? whole : index;
}

void path_point(double *out, const double *z, const double *eps, const struct path_coefs *c,
                int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = c->alpha * z[i] + c->beta * eps[i];
}

double path_log_density(const double *x, const double *z, const struct path_coefs *c, int64_t n)
{
    double square = 0;

    MUST(c->beta > 0, "p_t(x | z) is a point at t = %g", c->t);
    for (int64_t i = 0; i < n; i++) {
        double eps = (x[i] - c->alpha * z[i]) / c->beta;

        square += eps * eps;
    }
    return -0.5 * square - (double)n * (log(c->beta) + 0.5 * log(4 * half_pi));
}
