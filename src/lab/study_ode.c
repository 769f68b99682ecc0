/*
 * study_ode.c - trajectories of the flow, and the law they end in
 *
 * dX = u_t(X) dt carries noise to data along curves that never cross.  With the exact field the end
 * points have exactly the law of the data, so whatever distance is left between them and fresh data
 * is the solver's, and the floor says how much chance alone would give.  theory.md 1.3, 1.6.
 */
#include "lab/cloud.h"
#include "lab/distance.h"
#include "lab/draw.h"

#include "base/memory.h"
#include "plot/font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ode {
    struct study_setup setup;
    int64_t label;
    double w;
    int sampler;
    int64_t steps, points, ways;
};

static const struct option rows[] = {
    STUDY_ROWS(struct ode, "moons"),
    {"label", "guide to this label; -1: not at all", OPTION_INT, offsetof(struct ode, label), "-1",
     .lo = -1, .hi = LAW_LABELS - 1},
    {"cfg_scale", "guidance scale w: 0 unguided, 1 exact, above 1 strengthened", OPTION_REAL,
     offsetof(struct ode, w), "1", .lo = 0, .hi = 100, .letter = 'w'},
    {"sampler", "solver of the flow", OPTION_CHOICE, offsetof(struct ode, sampler), "euler",
     .choice = study_sampler_name},
    {"steps", "of the solver, evenly spaced", OPTION_INT, offsetof(struct ode, steps), "50",
     .lo = 1, .hi = STEPS_MAX},
    {"points", "that are carried and compared with the law", OPTION_INT,
     offsetof(struct ode, points), "2000", .lo = 10, .hi = 20000},
    {"trajectories", "that are drawn", OPTION_INT, offsetof(struct ode, ways), "120", .lo = 1,
     .hi = 2000},
    {0},
};

struct work {
    struct law law;
    struct path path;
    struct cloud_pair law_points;
    double *x, *trace;
};

static enum status make_work(struct work *w, const struct ode *o, struct error *err)
{
    uint64_t n = 2 * (uint64_t)o->points;
    enum status st;

    if ((st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = law_check_label(&w->law, o->label, err)) ||
        (st = mem_new((void **)&w->x, n, sizeof(double), "points", err)) ||
        (st = cloud_pair_new(&w->law_points, o->points, err)))
        return st;
    return mem_new((void **)&w->trace, n * (uint64_t)(o->steps + 1), sizeof(double), "trajectories",
                   err);
}

static void free_work(struct work *w)
{
    law_release(&w->law);
    free(w->x);
    free(w->trace);
    cloud_pair_release(&w->law_points);
}

static enum status measure(struct lab *lab, const struct work *w, const struct ode *o,
                           struct error *err)
{
    struct distance found, floor;
    enum status st;

    if ((st = distance_between(&found, w->x, w->law_points.fresh, o->points, lab->threads, err)) ||
        (st = distance_between(&floor, w->law_points.again, w->law_points.fresh, o->points,
                               lab->threads, err)))
        return st;
    findings_value(&lab->findings, "sliced_wasserstein", found.sliced,
                   "distance of the end points from fresh points of the law");
    findings_value(&lab->findings, "sliced_wasserstein_floor", floor.sliced,
                   "the same between two sets of fresh points: what chance gives");
    findings_value(&lab->findings, "energy", found.energy, "energy distance");
    findings_value(&lab->findings, "energy_floor", floor.energy, "");
    findings_value(&lab->findings, "mmd", found.mmd, "maximum mean discrepancy, Gaussian kernel");
    findings_value(&lab->findings, "mmd_floor", floor.mmd, "");
    return OK;
}

static enum status draw(struct lab *lab, const struct work *w, const struct ode *o,
                        struct error *err)
{
    struct path_coefs start = path_at(&w->path, 0), end = path_at(&w->path, 1);
    struct figure *f = lab->findings.figure;
    double from = draw_half(&w->law, &start), to = draw_half(&w->law, &end);
    struct draw_ways ways = {w->trace, o->points, o->ways, (int)o->steps, 0, 1, false};
    const struct mark_style line = draw_pen(colour_faint, 0.6, 0.55);
    const struct mark_style first = draw_pen(colour_of_kind(4), 1.5, 1);
    const struct mark_style last = draw_pen(colour_of_kind(0), 1.5, 1);
    int64_t shown = o->ways < o->points ? o->ways : o->points;
    struct panel *p;
    enum status st;

    figure_row(f, 1.3 * DRAW_PLANE);
    p = figure_panel(f, 1.3 * DRAW_PLANE, "trajectories", (struct axis){.lo = -from, .hi = from},
                     (struct axis){.lo = -from, .hi = from});
    if ((st = draw_ways(p, &ways, &line, err)))
        return st;
    panel_points(p, MARK_DOTS, &first, w->trace, shown);
    panel_points(p, MARK_DOTS, &last, w->x, shown);
    ways.against_time = true;
    p = figure_panel(f, 1.5 * DRAW_PLANE, "along time", draw_axis("t", 0, 1),
                     draw_axis("first coordinate of X_t", -from, from));
    if ((st = draw_ways(p, &ways, &line, err)))
        return st;
    p = figure_panel(f, 1.3 * DRAW_PLANE, "end points over the law",
                     (struct axis){.lo = -to, .hi = to}, (struct axis){.lo = -to, .hi = to});
    if ((st = draw_density(p, &w->law, &end, o->w == 0 ? LAW_ANY : (int32_t)o->label, to, draw_pale,
                           lab->threads, NULL, err)))
        return st;
    draw_points(p, w->x, NULL, o->points, 0.8, 0.55);
    figure_key(f, MARK_DOTS, &first, "X_0, noise");
    figure_key(f, MARK_DOTS, &last, "X_1");
    figure_key_amounts(f, draw_pale, "exact density");
    return OK;
}

static enum status carry(struct lab *lab, struct work *w, const struct ode *o, struct error *err)
{
    struct cloud_run run = cloud_run_plain(&w->path, study_sampler_name(o->sampler), (int)o->steps);
    struct path_coefs start = path_at(&w->path, 0);
    int32_t y = (int32_t)o->label, exact = o->w == 0 ? LAW_ANY : y;

    run.w = o->w;
    run.trace = w->trace;
    cloud_noisy(w->x, NULL, NULL, NULL, o->points, &w->law, &start, exact, o->setup.seed,
                CLOUD_START);
    cloud_pair_draw(&w->law_points, &w->law, exact, o->setup.seed);
    return cloud_carry_exactly(w->x, o->points, &run, &w->law, y, lab, err);
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct ode *o = config;
    struct work w = {0};
    char title[160], name[DRAW_TEXT];
    struct text t;
    enum status st;

    text_init(&t, title, sizeof title);
    text_add(&t, "The flow in %d steps of %s", (int)o->steps,
             font_escape(name, sizeof name, study_sampler_name(o->sampler)));
    if (o->label >= 0)
        text_add(&t, ", guided to y = %d with w = %g", (int)o->label, o->w);
    if (!(st = make_work(&w, o, err)) && !(st = figure_new(&lab->findings.figure, title, err)) &&
        !(st = carry(lab, &w, o, err)) && !(st = measure(lab, &w, o, err)))
        st = draw(lab, &w, o, err);
    free_work(&w);
    return st;
}

const struct study study_ode = {
    .name = "ode",
    .summary = "trajectories of the flow dX = u dt, and the law they end in",
    .details =
        "Carries noise along the exact velocity with a solver and shows the trajectories, the\n"
        "first coordinate along time, and the end points over the exact density.  The distances\n"
        "compare the end points with fresh points of the law; *_floor is what two sets of fresh\n"
        "points give.  Few steps of euler miss the law, many reach the floor.",
    .rows = rows,
    .bytes = sizeof(struct ode),
    .run = run,
};
