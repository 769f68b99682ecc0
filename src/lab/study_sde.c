/*
 * study_sde.c - stochastic trajectories, whose law does not depend on how strongly they are stirred
 *
 * dX = [u + (sigma_t^2 / 2) s] dt + sigma_t dW has the marginals p_t for every sigma_t (2.6): noise
 * spreads the points and the score gathers them, and in the density both cancel.  So trajectories
 * differ wildly between the columns of the figure and the end points do not, as long as the steps
 * are small enough for the stirring.  With guidance w other than 0 and 1 this no longer holds, for
 * then the guided score is not the score of what the guided velocity transports (3.7, 3.8).
 */
#include "lab/cloud.h"
#include "lab/distance.h"
#include "lab/draw.h"

#include "base/memory.h"

#include <stdlib.h>

struct sde {
    struct study_setup setup;
    int64_t label;
    double w;
    int diffusion, last;
    struct real_list strengths;
    int64_t steps, points;
};

static const char *diffusion_name(int i)
{
    return diffusion_kind_at(i) ? diffusion_kind_at(i)->is.name : NULL;
}

static const char *last_name(int i)
{
    return last_step_at(i) ? last_step_at(i)->name : NULL;
}

static const struct option rows[] = {
    STUDY_ROWS(struct sde, "petals"),
    {"label", "guide to this label; -1: not at all", OPTION_INT, offsetof(struct sde, label), "-1",
     .lo = -1, .hi = LAW_LABELS - 1},
    {"cfg_scale", "guidance scale w: 0 unguided, 1 exact, above 1 strengthened", OPTION_REAL,
     offsetof(struct sde, w), "1", .lo = 0, .hi = 100, .letter = 'w'},
    {"diffusion", "how the strength of the noise depends on time", OPTION_CHOICE,
     offsetof(struct sde, diffusion), "proportional", .choice = diffusion_name},
    {"strengths", "c of the diffusion, a column each", OPTION_REALS,
     offsetof(struct sde, strengths), "0,0.5,1,2", .lo = 0, .hi = 100},
    {"last_step", "what the step to t = 1 does", OPTION_CHOICE, offsetof(struct sde, last), "mean",
     .choice = last_name},
    {"steps", "of Euler and Maruyama, evenly spaced", OPTION_INT, offsetof(struct sde, steps),
     "250", .lo = 2, .hi = STEPS_MAX},
    {"points", "that are carried and compared with the law", OPTION_INT,
     offsetof(struct sde, points), "2000", .lo = 10, .hi = 20000},
    {0},
};

enum { WAYS = 12 };

struct work {
    struct law law;
    struct path path;
    struct cloud_pair law_points;
    double *x, *trace;
    struct distance floor, found[8];
};

static enum status make_work(struct work *w, const struct sde *o, struct error *err)
{
    uint64_t n = 2 * (uint64_t)o->points;
    enum status st;

    if ((st = study_check_times(&o->strengths, err))) {
        fail_under(err, "strengths");
        return st;
    }
    if ((st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = law_check_label(&w->law, o->label, err)) ||
        (st = mem_new((void **)&w->x, (uint64_t)o->strengths.n, n * sizeof(double), "points",
                      err)) ||
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

static enum status draw_column(struct lab *lab, const struct work *w, const struct sde *o, int k,
                               struct error *err)
{
    struct path_coefs start = path_at(&w->path, 0);
    double half = draw_half(&w->law, &start);
    struct draw_ways ways = {w->trace, o->points, WAYS, (int)o->steps, 0, 1, true};
    struct axis y = {
        .label = k ? NULL : "first coordinate of X_t", .lo = -half, .hi = half, .bare = k > 0};
    struct axis t = {.label = "t", .lo = 0, .hi = 1};
    char text[DRAW_TEXT];
    struct panel *p = figure_panel(lab->findings.figure, DRAW_PLANE,
                                   draw_number(text, "c", o->strengths.at[k]), t, y);
    const struct mark_style line = draw_pen(colour_of_kind(0), 0.7, 0.8);

    return draw_ways(p, &ways, &line, err);
}

static enum status carry(struct lab *lab, struct work *w, const struct sde *o, int32_t exact, int k,
                         struct error *err)
{
    struct cloud_run run = cloud_run_plain(&w->path, "euler_maruyama", (int)o->steps);
    struct path_coefs start = path_at(&w->path, 0);
    double *x = w->x + 2 * o->points * k;
    enum status st;

    run.w = o->w;
    run.trace = w->trace;
    run.seed = o->setup.seed;
    run.diffusion = (struct diffusion){diffusion_kind_at(o->diffusion), o->strengths.at[k],
                                       (enum last_step)o->last};
    cloud_noisy(x, NULL, NULL, NULL, o->points, &w->law, &start, exact, o->setup.seed, CLOUD_START);
    if ((st = cloud_carry_exactly(x, o->points, &run, &w->law, (int32_t)o->label, lab, err)) ||
        (st = draw_column(lab, w, o, k, err)))
        return st;
    return distance_between(&w->found[k], x, w->law_points.fresh, o->points, lab->threads, err);
}

static void report(struct lab *lab, const struct work *w, const struct sde *o)
{
    static const char *const columns[] = {"strength", "sliced_wasserstein", "energy", "mmd", NULL};
    struct finding_table *table =
        findings_table(&lab->findings, "end_laws",
                       "distances of the end points from fresh points of the law", NULL, columns);

    for (int k = 0; k < o->strengths.n; k++)
        findings_row(&lab->findings, table, NULL,
                     (const double[]){o->strengths.at[k], w->found[k].sliced, w->found[k].energy,
                                      w->found[k].mmd});
    findings_value(&lab->findings, "sliced_wasserstein_floor", w->floor.sliced,
                   "between two sets of fresh points: what chance gives");
    findings_value(&lab->findings, "energy_floor", w->floor.energy, "");
    findings_value(&lab->findings, "mmd_floor", w->floor.mmd, "");
}

static enum status draw_ends(struct lab *lab, const struct work *w, const struct sde *o,
                             int32_t exact, struct error *err)
{
    struct path_coefs end = path_at(&w->path, 1);
    double half = draw_half(&w->law, &end);
    enum status st = OK;

    figure_row(lab->findings.figure, DRAW_PLANE);
    for (int k = 0; k < o->strengths.n && !st; k++) {
        struct panel *p = draw_plane(lab->findings.figure, "", half, k > 0);

        st = draw_density(p, &w->law, &end, exact, half, draw_pale, lab->threads, NULL, err);
        draw_points(p, w->x + 2 * o->points * k, NULL, o->points, 0.7, 0.5);
    }
    return st;
}

static enum status study(struct lab *lab, struct work *w, const struct sde *o, struct error *err)
{
    const struct mark_style line = draw_pen(colour_of_kind(0), 1, 1);
    const struct mark_style dot = draw_pen(colour_ink, 2, 1);
    int32_t exact = o->w == 0 ? LAW_ANY : (int32_t)o->label;
    enum status st = OK;

    cloud_pair_draw(&w->law_points, &w->law, exact, o->setup.seed);
    if ((st = distance_between(&w->floor, w->law_points.again, w->law_points.fresh, o->points,
                               lab->threads, err)))
        return st;
    figure_row(lab->findings.figure, 0.85 * DRAW_PLANE);
    for (int k = 0; k < o->strengths.n && !st; k++)
        if (!(st = lab_reached(lab, (double)k / o->strengths.n, err)))
            st = carry(lab, w, o, exact, k, err);
    if (st || (st = draw_ends(lab, w, o, exact, err)))
        return st;
    report(lab, w, o);
    figure_key(lab->findings.figure, MARK_LINE, &line, "trajectories");
    figure_key(lab->findings.figure, MARK_DOTS, &dot, "end points X_1");
    figure_key_amounts(lab->findings.figure, draw_pale, "exact density");
    return OK;
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct sde *o = config;
    struct work w = {0};
    char title[160];
    struct text t;
    enum status st;

    text_init(&t, title, sizeof title);
    text_add(&t, "The SDE with %s noise of strength c, %d steps", diffusion_name(o->diffusion),
             (int)o->steps);
    if (o->label >= 0)
        text_add(&t, ", guided to y = %d with w = %g", (int)o->label, o->w);
    if (!(st = make_work(&w, o, err)) && !(st = figure_new(&lab->findings.figure, title, err)))
        st = study(lab, &w, o, err);
    free_work(&w);
    return st;
}

const struct study study_sde = {
    .name = "sde",
    .summary = "trajectories of the SDE for several strengths of its noise",
    .details =
        "Carries noise along dX = [u + (sigma^2 / 2) s] dt + sigma dW by Euler and Maruyama, for\n"
        "several strengths c of sigma_t (--diffusion proportional: sigma_t = c beta_t).  The "
        "first\n"
        "row shows trajectories, the second the end points over the exact density: every strength\n"
        "ends in the same law, so each distance should be near its floor.  Then try --label 0 -w "
        "3,\n"
        "where no density is transported and the result depends on c.",
    .paper = "Song et al. 2020",
    .rows = rows,
    .bytes = sizeof(struct sde),
    .run = run,
};
