/*
 * study_convergence.c - how fast solvers approach the flow as steps become many
 *
 * A solver of order p makes an error that falls as h^p, a straight line of slope -p where both axes
 * are logarithmic.  The study carries the same points with each solver and each number of steps,
 * compares with a far finer solution, and reads the order off the last two.  Against the number of
 * evaluations, which is what a network costs, orders alone do not decide.  theory.md 4.2.
 */
#include "lab/cloud.h"
#include "lab/draw.h"

#include "base/memory.h"
#include "plot/font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct convergence {
    struct study_setup setup;
    int64_t label;
    double w;
    char *samplers;
    struct int_list steps;
    int64_t points;
};

static const struct option rows[] = {
    STUDY_ROWS(struct convergence, "petals"),
    {"label", "guide to this label; -1: not at all", OPTION_INT,
     offsetof(struct convergence, label), "-1", .lo = -1, .hi = LAW_LABELS - 1},
    {"cfg_scale", "guidance scale w: 0 unguided, 1 exact, above 1 strengthened", OPTION_REAL,
     offsetof(struct convergence, w), "1", .lo = 0, .hi = 100, .letter = 'w'},
    {"samplers", "solvers of the flow, with commas between them", OPTION_TEXT,
     offsetof(struct convergence, samplers), "euler,heun,rk4,dpmpp_2m,unipc", .value = "NAMES"},
    {"steps", "numbers of steps, increasing", OPTION_INTS, offsetof(struct convergence, steps),
     "5,10,20,40,80,160", .lo = 1, .hi = STEPS_MAX},
    {"points", "that are carried", OPTION_INT, offsetof(struct convergence, points), "200", .lo = 1,
     .hi = 20000},
    {0},
};

enum { SAMPLERS = 7, COUNTS = 12 };

/* Errors below this are rounding, and no order can be read off them. */
static const double rounding = 1e-11;

struct work {
    struct law law;
    struct path path;
    const struct sampler *sampler[SAMPLERS];
    int n_samplers;
    double *start, *x, *exact; /* [points, 2] */
    double error[SAMPLERS][COUNTS], order[SAMPLERS];
};

static enum status take_samplers(struct work *w, const char *list, struct error *err)
{
    char name[48];
    enum status st;

    while (*list) {
        size_t n = strcspn(list, ",");
        struct text t;

        text_init(&t, name, sizeof name);
        text_add_bytes(&t, list, n);
        if (w->n_samplers == SAMPLERS)
            return fail(err, E_ARG, "more than %d solvers", SAMPLERS);
        if ((st = sampler_find(&w->sampler[w->n_samplers], name, err)))
            return st;
        if (w->sampler[w->n_samplers]->stochastic || w->sampler[w->n_samplers]->adaptive)
            return fail(err, E_ARG, "%s has no steps of the flow to count: it %s", name,
                        w->sampler[w->n_samplers]->adaptive ? "chooses its own" : "draws noise");
        w->n_samplers++;
        list += n + (list[n] == ',');
    }
    return w->n_samplers ? OK : fail(err, E_ARG, "no solver to compare");
}

static enum status check_steps(const struct int_list *steps, struct error *err)
{
    if (steps->n < 2 || steps->n > COUNTS)
        return fail(err, E_ARG, "%d numbers of steps; served are 2 to %d", steps->n, COUNTS);
    for (int i = 1; i < steps->n; i++)
        if (steps->at[i] <= steps->at[i - 1])
            return fail(err, E_ARG, "numbers of steps must increase, and %lld follows %lld",
                        (long long)steps->at[i], (long long)steps->at[i - 1]);
    if (steps->at[steps->n - 1] > STEPS_MAX / 2)
        return fail(err, E_ARG,
                    "%lld steps; the finer solution has %d, so half of that is the most",
                    (long long)steps->at[steps->n - 1], STEPS_MAX);
    return OK;
}

static enum status make_work(struct work *w, const struct convergence *o, struct error *err)
{
    uint64_t n = 2 * (uint64_t)o->points;
    enum status st;

    if ((st = check_steps(&o->steps, err)) || (st = take_samplers(w, o->samplers, err)) ||
        (st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = law_check_label(&w->law, o->label, err)) ||
        (st = mem_new((void **)&w->start, n, sizeof(double), "points", err)) ||
        (st = mem_new((void **)&w->x, n, sizeof(double), "points", err)))
        return st;
    return mem_new((void **)&w->exact, n, sizeof(double), "points", err);
}

static void free_work(struct work *w)
{
    law_release(&w->law);
    free(w->start);
    free(w->x);
    free(w->exact);
}

static enum status solve(struct lab *lab, double *x, const struct work *w,
                         const struct convergence *o, const char *sampler, int64_t steps,
                         struct error *err)
{
    struct cloud_run run = cloud_run_plain(&w->path, sampler, (int)steps);

    run.w = o->w;
    memcpy(x, w->start, 2 * (size_t)o->points * sizeof(*x));
    return cloud_carry_exactly(x, o->points, &run, &w->law, (int32_t)o->label, lab, err);
}

static double rms(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < 2 * n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)n);
}

static enum status solve_all(struct lab *lab, struct work *w, const struct convergence *o,
                             struct error *err)
{
    struct path_coefs start = path_at(&w->path, 0);
    enum status st;

    cloud_noisy(w->start, NULL, NULL, NULL, o->points, &w->law, &start,
                o->w == 0 ? LAW_ANY : (int32_t)o->label, o->setup.seed, CLOUD_START);
    if ((st = solve(lab, w->exact, w, o, "rk4", STEPS_MAX, err)))
        return st;
    for (int s = 0; s < w->n_samplers; s++) {
        int last = o->steps.n - 1;

        if ((st = lab_reached(lab, 0.4 + 0.6 * s / w->n_samplers, err)))
            return st;
        for (int k = 0; k <= last; k++) {
            if ((st = solve(lab, w->x, w, o, w->sampler[s]->is.name, o->steps.at[k], err)))
                return st;
            w->error[s][k] = rms(w->x, w->exact, o->points);
        }
        while (last > 1 && w->error[s][last] < rounding)
            last--;
        w->order[s] = log(w->error[s][last - 1] / w->error[s][last]) /
                      log((double)o->steps.at[last] / (double)o->steps.at[last - 1]);
    }
    return OK;
}

/* ---- Showing ---- */

static void report(struct lab *lab, const struct work *w, const struct convergence *o)
{
    static const char *const columns[] = {"steps", "evaluations", "error", NULL};
    static const char *const order_columns[] = {"order", "stated", NULL};
    struct finding_table *errors = findings_table(
        &lab->findings, "errors",
        "error: root of the mean square distance from a solution of 1000 steps of rk4", "sampler",
        columns);
    struct finding_table *orders =
        findings_table(&lab->findings, "orders",
                       "order: log ratio of the last two errors above rounding; stated: by theory",
                       "sampler", order_columns);

    for (int s = 0; s < w->n_samplers; s++) {
        const struct sampler *sampler = w->sampler[s];

        for (int k = 0; k < o->steps.n; k++)
            findings_row(&lab->findings, errors, sampler->is.name,
                         (const double[]){(double)o->steps.at[k],
                                          (double)(o->steps.at[k] * sampler->evaluations),
                                          w->error[s][k]});
        findings_row(&lab->findings, orders, sampler->is.name,
                     (const double[]){w->order[s], sampler->order});
    }
}

static void draw_errors(struct panel *p, const struct work *w, const struct convergence *o,
                        bool by_evaluations)
{
    double xy[2 * COUNTS];

    for (int s = 0; s < w->n_samplers; s++) {
        struct mark_style style = draw_pen(colour_of_kind(s), 1.5, 1);
        int n = 0;

        style.dash = s % 2 ? 5 : 0;
        for (int k = 0; k < o->steps.n; k++)
            if (w->error[s][k] > 0) {
                xy[2 * n] =
                    (double)(o->steps.at[k] * (by_evaluations ? w->sampler[s]->evaluations : 1));
                xy[2 * n++ + 1] = w->error[s][k];
            }
        draw_curve(p, &style, xy, n);
    }
}

static void draw(struct lab *lab, const struct work *w, const struct convergence *o)
{
    struct figure *f = lab->findings.figure;
    double least = 1, most = 0, first = (double)o->steps.at[0],
           last = (double)o->steps.at[o->steps.n - 1];
    double dearest = last;
    char text[DRAW_TEXT], name[DRAW_TEXT];

    for (int s = 0; s < w->n_samplers; s++) {
        dearest = fmax(dearest, last * w->sampler[s]->evaluations);
        for (int k = 0; k < o->steps.n; k++)
            if (w->error[s][k] > 0) {
                least = fmin(least, w->error[s][k]);
                most = fmax(most, w->error[s][k]);
            }
    }
    most = fmax(most, 10 * least);
    figure_row(f, 210);
    draw_errors(figure_panel(f, 230, "against steps",
                             draw_axis_log("steps", 0.85 * first, 1.18 * last),
                             draw_axis_log("error of the end points", 0.5 * least, 2 * most)),
                w, o, false);
    draw_errors(
        figure_panel(f, 230, "against evaluations",
                     draw_axis_log("evaluations of the field", 0.85 * first, 1.18 * dearest),
                     (struct axis){.lo = 0.5 * least,
                                   .hi = 2 * most,
                                   .logarithmic = true,
                                   .grid = true,
                                   .bare = true}),
        w, o, true);
    for (int s = 0; s < w->n_samplers; s++) {
        struct mark_style style = draw_pen(colour_of_kind(s), 1.5, 1);
        struct text t;

        style.dash = s % 2 ? 5 : 0;
        text_init(&t, text, sizeof text);
        text_add(&t, "%s: order %.2f", font_escape(name, sizeof name, w->sampler[s]->is.name),
                 w->order[s]);
        figure_key(f, MARK_LINE, &style, text);
    }
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct convergence *o = config;
    struct work w = {0};
    enum status st;

    if (!(st = make_work(&w, o, err)) &&
        !(st = figure_new(&lab->findings.figure, "Errors of solvers of the flow", err)) &&
        !(st = solve_all(lab, &w, o, err))) {
        draw(lab, &w, o);
        report(lab, &w, o);
    }
    free_work(&w);
    return st;
}

const struct study study_convergence = {
    .name = "convergence",
    .summary = "errors of solvers against their steps, and the orders they have",
    .details =
        "Carries the same noise with several solvers and numbers of steps and compares with a\n"
        "solution of 1000 steps of rk4.  On logarithmic axes a solver of order p falls with slope\n"
        "-p; the order in the key is that of its last two errors.  Against evaluations, which are\n"
        "what a network costs, a higher order pays only when little error is wanted.",
    .rows = rows,
    .bytes = sizeof(struct convergence),
    .run = run,
};
