/*
 * study_guidance.c - what guidance of scale w really gives
 *
 * Classifier-free guidance replaces the velocity by (1 - w) u(x) + w u(x | y).  For w = 0 that is
 * the unguided flow and for w = 1 the exact guided one; for any other w no density is transported
 * (theory.md 3.8), and what comes out is neither p(x | y) nor the tilted density p(x) p(y | x)^w,
 * and is another thing again when noise stirs.  All this is measured: distances of the end points
 * from fresh points of p(x | y) and of p(x), for the flow and for an SDE, beside the floor that
 * chance gives, and how sure the exact classifier is of what came out.
 */
#include "lab/cloud.h"
#include "lab/distance.h"
#include "lab/draw.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

struct guidance_study {
    struct study_setup setup;
    int64_t label;
    struct real_list scales;
    double strength;
    int64_t steps, points;
};

static const struct option rows[] = {
    STUDY_ROWS(struct guidance_study, "petals"),
    {"label", "guide to this label", OPTION_INT, offsetof(struct guidance_study, label), "0",
     .lo = 0, .hi = LAW_LABELS - 1},
    {"scales", "guidance scales w, a column each", OPTION_REALS,
     offsetof(struct guidance_study, scales), "0,1,2,4,7.5", .lo = 0, .hi = 100},
    {"strength", "c of the SDE that is compared, sigma_t = c beta_t", OPTION_REAL,
     offsetof(struct guidance_study, strength), "2", .lo = 0, .hi = 100},
    {"steps", "of Heun for the flow; twice as many of Euler and Maruyama for the SDE", OPTION_INT,
     offsetof(struct guidance_study, steps), "100", .lo = 2, .hi = STEPS_MAX / 2},
    {"points", "that are carried and compared with the law", OPTION_INT,
     offsetof(struct guidance_study, points), "2000", .lo = 10, .hi = 20000},
    {0},
};

/* What is measured at one scale; the order of the table's columns. */
enum { SCALE, GUIDED, UNGUIDED, SURE, SPREAD, GUIDED_SDE, SURE_SDE, SPREAD_SDE, N_MEASURES };

struct work {
    struct law law;
    struct path path;
    double *x;                         /* [scales + 1, points, 2]: flows, and one SDE */
    double *guided, *unguided, *again; /* [points, 2]: fresh points of the laws       */
    double found[8][N_MEASURES], floor_guided, floor_unguided;
};

static enum status make_work(struct work *w, const struct guidance_study *o, struct error *err)
{
    uint64_t n = 2 * (uint64_t)o->points;
    enum status st;

    if ((st = study_check_times(&o->scales, err))) {
        fail_under(err, "scales");
        return st;
    }
    if ((st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = law_check_label(&w->law, o->label, err)) ||
        (st = mem_new((void **)&w->x, (uint64_t)o->scales.n + 1, n * sizeof(double), "points",
                      err)) ||
        (st = mem_new((void **)&w->guided, n, sizeof(double), "points", err)) ||
        (st = mem_new((void **)&w->unguided, n, sizeof(double), "points", err)))
        return st;
    return mem_new((void **)&w->again, n, sizeof(double), "points", err);
}

static void free_work(struct work *w)
{
    law_release(&w->law);
    free(w->x);
    free(w->guided);
    free(w->unguided);
    free(w->again);
}

/* Fresh points of both laws, and how far such sets lie apart by chance. */
static enum status find_floors(struct lab *lab, struct work *w, const struct guidance_study *o,
                               struct error *err)
{
    struct distance d;
    enum status st;

    cloud_draw(w->guided, NULL, o->points, &w->law, (int32_t)o->label, o->setup.seed, CLOUD_EXACT,
               0);
    cloud_draw(w->unguided, NULL, o->points, &w->law, LAW_ANY, o->setup.seed, CLOUD_EXACT, 0);
    cloud_draw(w->again, NULL, o->points, &w->law, (int32_t)o->label, o->setup.seed, CLOUD_AGAIN,
               0);
    if ((st = distance_between(&d, w->again, w->guided, o->points, lab->threads, err)))
        return st;
    w->floor_guided = d.sliced;
    cloud_draw(w->again, NULL, o->points, &w->law, LAW_ANY, o->setup.seed, CLOUD_AGAIN, 0);
    st = distance_between(&d, w->again, w->unguided, o->points, lab->threads, err);
    w->floor_unguided = d.sliced;
    return st;
}

/* The mean of p(y | x) over the points: how sure the exact classifier is. */
static double sureness(const struct work *w, const struct guidance_study *o, const double *x)
{
    struct path_coefs end = path_at(&w->path, 1);
    double log_prior = log(law_prior(&w->law, (int32_t)o->label)), sum = 0;

    for (int64_t i = 0; i < o->points; i++) {
        struct mixture_value none, with;
        double p = 0;

        if (!law_at(&none, &w->law, &end, x + 2 * i, LAW_ANY, NULL) &&
            !law_at(&with, &w->law, &end, x + 2 * i, (int32_t)o->label, NULL))
            p = exp(log_prior + with.log_p - none.log_p);
        sum += isfinite(p) ? p : 0; /* off a board nobody is sure of anything */
    }
    return sum / (double)o->points;
}

/* The points' mean squared distance from their mean, in shares of that of p(x | y). */
static double spread(const struct work *w, const struct guidance_study *o, const double *x)
{
    struct path_coefs end = path_at(&w->path, 1);
    double mean[2] = {0}, exact_mean[2], cov[4], sum = 0;

    law_moments(exact_mean, cov, &w->law, &end, (int32_t)o->label);
    for (int64_t i = 0; i < 2 * o->points; i++)
        mean[i % 2] += x[i] / (double)o->points;
    for (int64_t i = 0; i < 2 * o->points; i++)
        sum += (x[i] - mean[i % 2]) * (x[i] - mean[i % 2]) / (double)o->points;
    return sum / (cov[0] + cov[3]);
}

static enum status carry(struct lab *lab, const struct work *w, const struct guidance_study *o,
                         double *x, double scale, bool stirred, struct error *err)
{
    struct cloud_run run = cloud_run_plain(&w->path, stirred ? "euler_maruyama" : "heun",
                                           (int)o->steps * (stirred ? 2 : 1));
    struct path_coefs start = path_at(&w->path, 0);

    run.w = scale;
    run.seed = o->setup.seed;
    if (stirred) {
        run.diffusion = (struct diffusion){NULL, o->strength, LAST_MEAN};
        MUST(!diffusion_find(&run.diffusion.kind, "proportional", NULL), "a diffusion is gone");
    }
    cloud_noisy(x, NULL, NULL, NULL, o->points, &w->law, &start,
                scale == 0 ? LAW_ANY : (int32_t)o->label, o->setup.seed, CLOUD_START);
    return cloud_carry_exactly(x, o->points, &run, &w->law, (int32_t)o->label, lab, err);
}

static enum status measure(struct lab *lab, struct work *w, const struct guidance_study *o, int k,
                           struct error *err)
{
    double *x = w->x + 2 * o->points * k, *stirred = w->x + 2 * o->points * o->scales.n;
    double *found = w->found[k];
    struct distance guided, unguided, sde;
    enum status st;

    if ((st = carry(lab, w, o, x, o->scales.at[k], false, err)) ||
        (st = carry(lab, w, o, stirred, o->scales.at[k], true, err)) ||
        (st = distance_between(&guided, x, w->guided, o->points, lab->threads, err)) ||
        (st = distance_between(&unguided, x, w->unguided, o->points, lab->threads, err)) ||
        (st = distance_between(&sde, stirred, w->guided, o->points, lab->threads, err)))
        return st;
    found[SCALE] = o->scales.at[k];
    found[GUIDED] = guided.sliced;
    found[UNGUIDED] = unguided.sliced;
    found[GUIDED_SDE] = sde.sliced;
    found[SURE] = sureness(w, o, x);
    found[SURE_SDE] = sureness(w, o, stirred);
    found[SPREAD] = spread(w, o, x);
    found[SPREAD_SDE] = spread(w, o, stirred);
    return OK;
}

/* ---- The points ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Half the side of a square that shows 99 in 100 coordinates of every scale; w->again is lost. */
static double half_of_points(struct work *w, const struct guidance_study *o)
{
    struct path_coefs end = path_at(&w->path, 1);
    double half = draw_half(&w->law, &end);

    for (int k = 0; k < o->scales.n; k++) {
        const double *x = w->x + 2 * o->points * k;

        for (int64_t i = 0; i < 2 * o->points; i++)
            w->again[i] = fabs(x[i]);
        qsort(w->again, 2 * (size_t)o->points, sizeof(double), by_value);
        half = fmax(half, 1.1 * w->again[2 * o->points * 99 / 100]);
    }
    return half;
}

static enum status draw_points_of_scales(struct lab *lab, struct work *w,
                                         const struct guidance_study *o, struct error *err)
{
    struct path_coefs end = path_at(&w->path, 1);
    double half = half_of_points(w, o);
    enum status st = OK;

    figure_row(lab->findings.figure, DRAW_PLANE);
    for (int k = 0; k < o->scales.n && !st; k++) {
        char text[DRAW_TEXT];
        struct panel *p =
            draw_plane(lab->findings.figure, draw_number(text, "w", o->scales.at[k]), half, k > 0);

        st = draw_density(p, &w->law, &end, (int32_t)o->label, half, draw_pale, lab->threads, NULL,
                          err);
        draw_points(p, w->x + 2 * o->points * k, NULL, o->points, 0.7, 0.5);
    }
    return st;
}

/* ---- The curves against w ---- */

static void draw_measure(struct panel *p, const struct work *w, int n, int which,
                         const struct mark_style *style)
{
    double xy[16];

    for (int k = 0; k < n; k++) {
        xy[2 * k] = w->found[k][SCALE];
        xy[2 * k + 1] = w->found[k][which];
    }
    draw_curve(p, style, xy, n);
}

/* The largest of some measures over the scales. */
static double largest(const struct work *w, int n, const int *which, int n_which)
{
    double most = 0;

    for (int k = 0; k < n; k++)
        for (int i = 0; i < n_which; i++)
            most = fmax(most, w->found[k][which[i]]);
    return most;
}

static void draw_curves(struct lab *lab, const struct work *w, int n)
{
    static const int scale[] = {SCALE}, distances[] = {GUIDED, UNGUIDED, GUIDED_SDE};
    static const int spreads[] = {SPREAD, SPREAD_SDE};
    struct figure *f = lab->findings.figure;
    struct mark_style flow = draw_pen(colour_of_kind(0), 1.5, 1);
    struct mark_style other = draw_pen(colour_of_kind(2), 1.5, 1);
    struct mark_style stirred = draw_pen(colour_of_kind(1), 1.5, 1);
    struct mark_style floor = draw_pen(colour_faint, 1.2, 1);
    struct axis x = draw_axis("guidance scale w", 0, 1.03 * fmax(1, largest(w, n, scale, 1)));
    struct panel *p;

    stirred.dash = 5;
    floor.dash = 2.5;
    figure_row(f, 140);
    p = figure_panel(f, 0, "sliced Wasserstein distance", x,
                     draw_axis(NULL, 0, 1.08 * largest(w, n, distances, 3) + 1e-12));
    panel_level(p, &floor, true, w->floor_guided);
    draw_measure(p, w, n, UNGUIDED, &other);
    draw_measure(p, w, n, GUIDED, &flow);
    draw_measure(p, w, n, GUIDED_SDE, &stirred);
    p = figure_panel(f, 0, "spread, in shares of that of p(x | y)", x,
                     draw_axis(NULL, 0, 1.08 * fmax(1, largest(w, n, spreads, 2))));
    panel_level(p, &floor, true, 1);
    draw_measure(p, w, n, SPREAD, &flow);
    draw_measure(p, w, n, SPREAD_SDE, &stirred);
    p = figure_panel(f, 0, "mean of p(y | X_1)", x, draw_axis(NULL, 0, 1.05));
    draw_measure(p, w, n, SURE, &flow);
    draw_measure(p, w, n, SURE_SDE, &stirred);
    figure_key(f, MARK_LINE, &flow, "flow, against p(x | y)");
    figure_key(f, MARK_LINE, &stirred, "SDE, against p(x | y)");
    figure_key(f, MARK_LINE, &other, "flow, against p(x)");
    figure_key(f, MARK_LINE, &floor, "fresh points of p(x | y)");
    figure_key_amounts(f, draw_pale, "exact p(x | y)");
}

static void report(struct lab *lab, const struct work *w, int n)
{
    static const char *const columns[] = {"w",        "to_guided",  "to_unguided",
                                          "sure",     "spread",     "sde_to_guided",
                                          "sde_sure", "sde_spread", NULL};
    _Static_assert(sizeof columns / sizeof *columns == N_MEASURES + 1, "a column a measure");
    struct finding_table *table = findings_table(
        &lab->findings, "scales",
        "sliced Wasserstein distances of the end points from fresh points of p(x | y) and p(x); "
        "sure: mean of p(y | x); spread: of the points, in shares of that of p(x | y)",
        NULL, columns);

    for (int k = 0; k < n; k++)
        findings_row(&lab->findings, table, NULL, w->found[k]);
    findings_value(&lab->findings, "floor_guided", w->floor_guided,
                   "distance of two sets of fresh points of p(x | y): what chance gives");
    findings_value(&lab->findings, "floor_unguided", w->floor_unguided, "the same of p(x)");
}

static enum status study(struct lab *lab, struct work *w, const struct guidance_study *o,
                         struct error *err)
{
    enum status st;

    if ((st = find_floors(lab, w, o, err)))
        return st;
    for (int k = 0; k < o->scales.n && !st; k++)
        if (!(st = lab_reached(lab, (double)k / o->scales.n, err)))
            st = measure(lab, w, o, k, err);
    if (st || (st = draw_points_of_scales(lab, w, o, err)))
        return st;
    draw_curves(lab, w, o->scales.n);
    report(lab, w, o->scales.n);
    return OK;
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct guidance_study *o = config;
    struct work w = {0};
    char title[160];
    struct text t;
    enum status st;

    text_init(&t, title, sizeof title);
    text_add(&t, "Guided to y = %d: end points of the flow over the exact p(x | y)", (int)o->label);
    if (!(st = make_work(&w, o, err)) && !(st = figure_new(&lab->findings.figure, title, err)))
        st = study(lab, &w, o, err);
    free_work(&w);
    return st;
}

const struct study study_guidance = {
    .name = "guidance",
    .summary = "end points under guidance against the exact guided law, for several w",
    .details =
        "Guides the exact flow to a label with several scales w and compares the end points with\n"
        "the exact law p(x | y).  w = 1 gives that law, w = 0 the unguided one (to_unguided at "
        "its\n"
        "floor); beyond 1 the points drift away from both and huddle where the classifier is "
        "sure,\n"
        "and an SDE ends elsewhere than the flow: no law is transported any more.",
    .paper = "Ho and Salimans 2022",
    .rows = rows,
    .bytes = sizeof(struct guidance_study),
    .run = run,
};
