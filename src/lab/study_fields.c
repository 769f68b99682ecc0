/*
 * study_fields.c - the velocity and the score, as arrows
 *
 * The velocity u_t says where a point flows, the score s_t where the density grows, and on a
 * Gaussian path they are two views of one thing: u = a x + b s (2.9).  The study shows both above
 * the density, guided where a label is given, and checks on the grid of arrows what ties them: that
 * table 2.4 turns one into the other, and that the score is the gradient of the logarithm of the
 * density, by central differences.
 */
#include "lab/draw.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

struct fields {
    struct study_setup setup;
    int64_t label;
    double w;
    struct real_list times;
    int64_t arrows;
};

static const struct option rows[] = {
    STUDY_ROWS(struct fields, "petals"),
    {"label", "guide to this label; -1: not at all", OPTION_INT, offsetof(struct fields, label),
     "-1", .lo = -1, .hi = LAW_LABELS - 1},
    {"cfg_scale", "guidance scale w: 0 unguided, 1 exact, above 1 strengthened", OPTION_REAL,
     offsetof(struct fields, w), "1", .lo = 0, .hi = 100, .letter = 'w'},
    {"times", "at which fields are shown", OPTION_REALS, offsetof(struct fields, times),
     "0.1,0.4,0.7,0.95", .lo = 0, .hi = 1},
    {"arrows", "along each axis", OPTION_INT, offsetof(struct fields, arrows), "15", .lo = 3,
     .hi = 60},
    {0},
};

struct work {
    struct law law;
    struct path path;
    double *at, *u, *s; /* [arrows^2, 2] */
    double *pairs;      /* [2 arrows^2, 2]: tails and tips */
};

/* (1 - w) f(x) + w f(x | y) of velocity and score. */
static enum status guided(double u[2], double s[2], const struct work *w, const struct fields *o,
                          const struct path_coefs *c, const double x[2], struct error *err)
{
    struct mixture_value none, with;
    enum status st;

    if ((st = law_at(&none, &w->law, c, x, LAW_ANY, err)) ||
        (st = law_at(&with, &w->law, c, x, (int32_t)o->label, err)))
        return st;
    guidance_combine(u, none.u, with.u, o->w, 2);
    guidance_combine(s, none.s, with.s, o->w, 2);
    return OK;
}

/* log of what the guided score is the gradient of: (1 - w) log p(x) + w log p(x | y). */
static double guided_log_p(const struct work *w, const struct fields *o, const struct path_coefs *c,
                           const double x[2])
{
    struct mixture_value none, with;

    if (law_at(&none, &w->law, c, x, LAW_ANY, NULL) ||
        law_at(&with, &w->law, c, x, (int32_t)o->label, NULL))
        return (double)NAN;
    return (1 - o->w) * none.log_p + o->w * with.log_p;
}

static enum status fill(struct work *w, const struct fields *o, const struct path_coefs *c,
                        double half, int threads, struct error *err)
{
    int64_t n = o->arrows;
    enum status failed = OK;

#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < n * n; i++) {
        double *x = w->at + 2 * i;
        struct error mine = {0};
        enum status st;

        x[0] = half * ((2 * (double)(i % n) + 1) / (double)n - 1);
        x[1] = half * ((2 * (double)(i / n) + 1) / (double)n - 1);
        if ((st = guided(w->u + 2 * i, w->s + 2 * i, w, o, c, x, &mine))) {
#pragma omp critical(study_fields_failed)
            {
                failed = st;
                if (err)
                    *err = mine;
            }
        }
    }
    return failed;
}

/* Arrows along v, the longest as long as the grid is wide; returns the root of the mean square. */
static double draw_arrows(struct panel *p, struct work *w, const double *v, int64_t n, double cell,
                          struct colour colour)
{
    const struct mark_style style = draw_pen(colour, 0.9, 1);
    double longest = 0, square = 0, scale;

    for (int64_t i = 0; i < n; i++) {
        longest = fmax(longest, hypot(v[2 * i], v[2 * i + 1]));
        square += v[2 * i] * v[2 * i] + v[2 * i + 1] * v[2 * i + 1];
    }
    scale = longest > 0 ? 1.25 * cell / longest : 0;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            w->pairs[4 * i + k] = w->at[2 * i + k] - 0.5 * scale * v[2 * i + k];
            w->pairs[4 * i + 2 + k] = w->at[2 * i + k] + 0.5 * scale * v[2 * i + k];
        }
    panel_points(p, MARK_ARROWS, &style, w->pairs, 2 * n);
    return sqrt(square / (double)n);
}

/* The largest relative difference between u and a x + b s, or NaN where the table has no value. */
static double table_error(const struct work *w, int64_t n, const struct path_coefs *c)
{
    double of_x, of_s, worst = 0;

    if (prediction_coefs(&of_x, &of_s, PREDICT_VELOCITY, PREDICT_SCORE, c, NULL))
        return (double)NAN;
    for (int64_t i = 0; i < 2 * n; i++)
        worst = fmax(worst, fabs(of_x * w->at[i] + of_s * w->s[i] - w->u[i]) / (1 + fabs(w->u[i])));
    return worst;
}

static double gradient_error(const struct work *w, const struct fields *o, int64_t n,
                             const struct path_coefs *c)
{
    const double h = 1e-5;
    double worst = 0;

    for (int64_t i = 0; i < 2 * n; i++) {
        double x[2] = {w->at[i - i % 2], w->at[i - i % 2 + 1]}, up, down, slope;

        x[i % 2] += h;
        up = guided_log_p(w, o, c, x);
        x[i % 2] -= 2 * h;
        down = guided_log_p(w, o, c, x);
        slope = (up - down) / (2 * h);
        if (isfinite(slope)) /* off a board there is no density at t = 1 */
            worst = fmax(worst, fabs(slope - w->s[i]) / (1 + fabs(w->s[i])));
    }
    return worst;
}

/* Half the side of the k-th panel; 0 before the first. */
static double half_at(const struct work *w, const struct fields *o, int k)
{
    struct path_coefs c;

    if (k < 0)
        return 0;
    c = path_at(&w->path, o->times.at[k]);
    return draw_half(&w->law, &c);
}

/* One panel of a row; before: half the side of the one before it. */
static enum status draw_time(struct lab *lab, struct work *w, const struct fields *o, double t,
                             bool velocity, double before, double row[5], struct error *err)
{
    struct path_coefs c = path_at(&w->path, t);
    double half = draw_half(&w->law, &c);
    int64_t n = o->arrows * o->arrows;
    char text[DRAW_TEXT];
    struct panel *p = draw_plane(lab->findings.figure, velocity ? draw_number(text, "t", t) : "",
                                 half, half == before);
    enum status st;

    if ((st = draw_density(p, &w->law, &c, (int32_t)o->label, half, draw_pale, lab->threads, NULL,
                           err)) ||
        (st = fill(w, o, &c, half, lab->threads, err)))
        return st;
    row[0] = t;
    row[velocity ? 1 : 2] =
        draw_arrows(p, w, velocity ? w->u : w->s, n, 2 * half / (double)o->arrows,
                    velocity ? colour_ink : colour_of_kind(1));
    row[3] = table_error(w, n, &c);
    row[4] = gradient_error(w, o, n, &c);
    return OK;
}

static enum status draw(struct lab *lab, struct work *w, const struct fields *o, struct error *err)
{
    static const char *const columns[] = {"t",           "rms_velocity",   "rms_score",
                                          "table_error", "gradient_error", NULL};
    struct finding_table *table = findings_table(
        &lab->findings, "fields",
        "over the arrows: root mean squares; largest |u - (a x + b s)| and |s - grad log p|, "
        "relative to 1 + size",
        NULL, columns);
    struct mark_style style = draw_pen(colour_ink, 1, 1);
    double found[8][5];
    enum status st = OK;

    for (int velocity = 1; velocity >= 0; velocity--) {
        figure_row(lab->findings.figure, DRAW_PLANE);
        for (int k = 0; k < o->times.n && !st; k++)
            st =
                draw_time(lab, w, o, o->times.at[k], velocity, half_at(w, o, k - 1), found[k], err);
    }
    for (int k = 0; k < o->times.n && !st; k++)
        findings_row(&lab->findings, table, NULL, found[k]);
    figure_key(lab->findings.figure, MARK_ARROWS, &style, "velocity u_t");
    style.colour = colour_of_kind(1);
    figure_key(lab->findings.figure, MARK_ARROWS, &style, "score s_t");
    figure_key_amounts(lab->findings.figure, draw_pale, "density p_t");
    return st;
}

static enum status make_work(struct work *w, const struct fields *o, struct error *err)
{
    uint64_t n = 2 * (uint64_t)(o->arrows * o->arrows);
    enum status st;

    if ((st = study_check_times(&o->times, err)) ||
        (st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = law_check_label(&w->law, o->label, err)) ||
        (st = mem_new((void **)&w->at, n, sizeof(double), "a grid of arrows", err)) ||
        (st = mem_new((void **)&w->u, n, sizeof(double), "a grid of arrows", err)) ||
        (st = mem_new((void **)&w->s, n, sizeof(double), "a grid of arrows", err)))
        return st;
    return mem_new((void **)&w->pairs, 2 * n, sizeof(double), "a grid of arrows", err);
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct fields *o = config;
    struct work w = {0};
    char title[128];
    struct text t;
    enum status st;

    text_init(&t, title, sizeof title);
    text_add(&t, "Velocity and score");
    if (o->label >= 0)
        text_add(&t, " guided to y = %d with w = %g", (int)o->label, o->w);
    if (!(st = make_work(&w, o, err)) && !(st = figure_new(&lab->findings.figure, title, err)))
        st = draw(lab, &w, o, err);
    law_release(&w.law);
    free(w.at);
    free(w.u);
    free(w.s);
    free(w.pairs);
    return st;
}

const struct study study_fields = {
    .name = "fields",
    .summary = "velocity and score fields as arrows over the density",
    .details =
        "Shows at several times the exact velocity u_t (where points flow) and the exact score "
        "s_t\n"
        "(where the density grows) over the density; with --label under classifier-free guidance\n"
        "of scale -w.  Arrows are scaled by panel; the table has their size.  table_error says "
        "how\n"
        "well u = a x + b s holds, gradient_error how well the score is the gradient of log p.",
    .rows = rows,
    .bytes = sizeof(struct fields),
    .run = run,
};
