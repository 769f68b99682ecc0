/*
 * study_train.c - a small network learns a field, and is held against the exact one
 *
 * Training never shows the field itself: its targets are noisy, alpha' z + beta' eps for one pair
 * (z, eps) of the many that lead through a point, and their mean is the field (1.5).  So the loss
 * does not fall to zero but to the floor C* of a perfect model (1.8), which is known here, and what
 * counts is the distance to the exact field at each time and to the exact law at the end.  The same
 * loop learns velocity, score, noise, data or v; converted by table 2.4 all are compared as
 * velocities.
 */
#include "lab/cloud.h"
#include "lab/distance.h"
#include "lab/draw.h"
#include "lab/learner.h"

#include "base/memory.h"
#include "train/rate.h"

#include <math.h>
#include <stdlib.h>

struct train {
    struct study_setup setup;
    int objective;
    int64_t steps, batch, width, depth;
    double rate, label_drop, t_max, w;
    int64_t label, points, solver_steps;
};

static const char *objective_name(int i)
{
    return prediction_at(i) ? prediction_at(i)->name : NULL;
}

static const struct option rows[] = {
    STUDY_ROWS(struct train, "moons"),
    {"objective", "what the network predicts", OPTION_CHOICE, offsetof(struct train, objective),
     "velocity", .choice = objective_name},
    {"steps", "of training", OPTION_INT, offsetof(struct train, steps), "2000", .lo = 10,
     .hi = 1e6},
    {"batch", "points a step", OPTION_INT, offsetof(struct train, batch), "512", .lo = 1,
     .hi = 65536},
    {"width", "of the hidden layers", OPTION_INT, offsetof(struct train, width), "128", .lo = 4,
     .hi = 2048},
    {"depth", "hidden layers after the first", OPTION_INT, offsetof(struct train, depth), "3",
     .lo = 0, .hi = 8},
    {"learning_rate", "at first; it falls along a cosine", OPTION_REAL,
     offsetof(struct train, rate), "0.003", .lo = 0, .hi = 1},
    {"label_drop", "share of points whose label is forgotten", OPTION_REAL,
     offsetof(struct train, label_drop), "0.2", .lo = 0, .hi = 1},
    {"t_max", "times are uniform from 0 to this", OPTION_REAL, offsetof(struct train, t_max),
     "0.999", .lo = 0.01, .hi = 1},
    {"label", "guide the points of the last panel to this label", OPTION_INT,
     offsetof(struct train, label), "0", .lo = 0, .hi = LAW_LABELS - 1},
    {"cfg_scale", "its guidance scale w", OPTION_REAL, offsetof(struct train, w), "1", .lo = 0,
     .hi = 100, .letter = 'w'},
    {"points", "over which field and law are compared", OPTION_INT, offsetof(struct train, points),
     "2000", .lo = 10, .hi = 20000},
    {"solver_steps", "of Heun, from noise to data", OPTION_INT,
     offsetof(struct train, solver_steps), "50", .lo = 1, .hi = STEPS_MAX},
    {0},
};

enum { CURVE = 60, TIMES = 12, ARROWS = 13 };

static const double times[TIMES] = {0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98};

/* Numbers of points for measuring, far from those of training. */
static const uint64_t held_out = UINT64_C(1) << 34;

struct work {
    struct law law;
    struct path path;
    struct mlp *net;
    struct learner learner; /* trains on `batch` rows */
    struct learner asker;   /* the same network, asked for `points` rows at once */
    struct cloud_pair law_points;
    double *x, *have, *want;
    int32_t *label;
    double curve[2 * CURVE], rms[TIMES][3], loss, floor;
};

static enum status make_learners(struct work *w, const struct train *o, int threads,
                                 struct error *err)
{
    struct flow_task task;
    enum status st;

    if ((st = learner_task(&task, &w->law, &w->path, (enum prediction)o->objective, o->label_drop,
                           o->t_max, o->setup.seed, err)) ||
        (st = mlp_new(&w->net, o->width, o->depth, w->law.n_labels, o->setup.seed, threads, err)) ||
        (st = learner_init(&w->learner, &w->law, &task, w->net, o->batch, err)))
        return st;
    return learner_init(&w->asker, &w->law, &task, w->net, o->points, err);
}

static enum status make_work(struct work *w, const struct train *o, int threads, struct error *err)
{
    uint64_t n = 2 * (uint64_t)o->points;
    enum status st;

    if ((st = study_open(&w->law, &w->path, &o->setup, err)) ||
        (st = law_check_label(&w->law, o->label, err)) ||
        (st = make_learners(w, o, threads, err)) ||
        (st = mem_new((void **)&w->x, n, sizeof(double), "points", err)) ||
        (st = cloud_pair_new(&w->law_points, o->points, err)) ||
        (st = mem_new((void **)&w->have, n, sizeof(double), "predictions", err)) ||
        (st = mem_new((void **)&w->want, n, sizeof(double), "predictions", err)))
        return st;
    return mem_new((void **)&w->label, n, sizeof(int32_t), "labels", err);
}

static void free_work(struct work *w)
{
    learner_release(&w->asker);
    learner_release(&w->learner);
    mlp_free(w->net);
    law_release(&w->law);
    free(w->x);
    cloud_pair_release(&w->law_points);
    free(w->have);
    free(w->want);
    free(w->label);
}

/* ---- Training ---- */

static enum status learn(struct lab *lab, struct work *w, const struct train *o, struct error *err)
{
    double mean = 0, loss;
    int64_t in_mean = 0, piece = 0;
    enum status st;

    for (int64_t s = 0; s < o->steps; s++) {
        double rate = o->rate * rate_at(RATE_COSINE, s, o->steps, 20, 0);

        if ((st = lab_reached(lab, 0.8 * (double)s / (double)o->steps, err)) ||
            (st = learner_step(&w->learner, (uint64_t)(s * o->batch), rate, &loss, err)))
            return st;
        mean += loss;
        in_mean++;
        if (s + 1 == (piece + 1) * o->steps / CURVE || s + 1 == o->steps) {
            for (; piece < CURVE && (piece + 1) * o->steps / CURVE <= s + 1; piece++) {
                w->curve[2 * piece] = (double)(s + 1) - 0.5 * (double)in_mean;
                w->curve[2 * piece + 1] = mean / (double)in_mean;
            }
            mean = 0;
            in_mean = 0;
        }
    }
    return learner_losses(&w->asker, held_out, &w->loss, &w->floor, err);
}

/* ---- Against the exact field ---- */

/* The root of the mean square difference of the learned and the exact velocity over points of p_t,
 * under their labels or none, and that of the exact one. */
static enum status compare_at(struct work *w, const struct train *o, double t, bool guided,
                              double *off, double *size, struct error *err)
{
    struct path_coefs c = path_at(&w->path, t);
    struct mixture_value v;
    enum status st;

    cloud_noisy(w->x, NULL, NULL, w->label, o->points, &w->law, &c, LAW_ANY, o->setup.seed,
                CLOUD_DATA);
    if ((st = learner_predict(&w->asker, w->have, w->x, t, guided ? w->label : NULL, err)) ||
        (st = prediction_convert(w->have, PREDICT_VELOCITY, w->have, (enum prediction)o->objective,
                                 w->x, &c, 2 * o->points, err)))
        return st;
    *off = *size = 0;
    for (int64_t i = 0; i < o->points; i++) {
        if ((st = law_at(&v, &w->law, &c, w->x + 2 * i, guided ? w->label[i] : LAW_ANY, err)))
            return st;
        for (int k = 0; k < 2; k++) {
            double d = w->have[2 * i + k] - v.u[k];

            *off += d * d / (double)o->points;
            *size += v.u[k] * v.u[k] / (double)o->points;
        }
    }
    *off = sqrt(*off);
    *size = sqrt(*size);
    return OK;
}

static enum status compare_fields(struct work *w, const struct train *o, struct error *err)
{
    enum status st;

    for (int k = 0; k < TIMES; k++) {
        double size;

        if ((st = compare_at(w, o, times[k], true, &w->rms[k][1], &size, err)) ||
            (st = compare_at(w, o, times[k], false, &w->rms[k][0], &w->rms[k][2], err)))
            return st;
    }
    return OK;
}

/* Where predictions of this kind begin to say what the data are: alpha large enough. */
static double first_time(const struct train *o, const struct path *path)
{
    if (o->objective == PREDICT_SCORE || o->objective == PREDICT_NOISE)
        return path_time_of_noise(path, 50);
    return 0;
}

/* The points carried by the learned field from noise to data. */
static enum status carry(struct lab *lab, struct work *w, const struct train *o, int32_t y,
                         double scale, struct error *err)
{
    struct cloud_run run = cloud_run_plain(&w->path, "heun", (int)o->solver_steps);
    struct path_coefs start;

    run.w = scale;
    run.t0 = first_time(o, &w->path);
    start = path_at(&w->path, run.t0);
    cloud_noisy(w->x, NULL, NULL, NULL, o->points, &w->law, &start, y, o->setup.seed, CLOUD_START);
    for (int64_t i = 0; i < o->points; i++)
        w->asker.label[i] = y;
    return cloud_carry(w->x, &run, predictor_of_learner(&w->asker), (enum prediction)o->objective,
                       lab, err);
}

/* ---- Showing ---- */

static void draw_loss(struct lab *lab, const struct work *w, const struct train *o)
{
    struct mark_style line = draw_pen(colour_of_kind(0), 1.4, 1),
                      floor = draw_pen(colour_of_kind(1), 1.4, 1);
    double most = w->floor, least = w->floor;
    struct panel *p;

    for (int k = 0; k < CURVE; k++) {
        most = fmax(most, w->curve[2 * k + 1]);
        least = fmin(least, w->curve[2 * k + 1]);
    }
    floor.dash = 5;
    p = figure_panel(lab->findings.figure, 0, "loss",
                     draw_axis("training step", 0, (double)o->steps),
                     draw_axis(NULL, fmax(0, least - 0.15 * (most - least)),
                               most + 0.05 * (most - least) + 1e-12));
    panel_level(p, &floor, true, w->floor);
    panel_points(p, MARK_LINE, &line, w->curve, CURVE);
    figure_key(lab->findings.figure, MARK_LINE, &line, "loss in training");
    figure_key(lab->findings.figure, MARK_LINE, &floor, "floor C^*: the exact field's loss");
}

static void draw_rms(struct lab *lab, const struct work *w)
{
    struct mark_style style[] = {draw_pen(colour_of_kind(2), 1.4, 1),
                                 draw_pen(colour_of_kind(3), 1.4, 1)};
    static const char *const names[] = {"error without label", "error with label"};
    double most = 0, xy[2 * TIMES];
    struct panel *p;

    for (int k = 0; k < TIMES; k++)
        most = fmax(most, fmax(w->rms[k][0], w->rms[k][1]) / w->rms[k][2]);
    style[1].dash = 5;
    p = figure_panel(lab->findings.figure, 0, "error of the learned velocity, relative",
                     draw_axis("t", 0, 1), draw_axis(NULL, 0, 1.1 * most + 1e-12));
    for (int which = 0; which < 2; which++) {
        for (int k = 0; k < TIMES; k++) {
            xy[2 * k] = times[k];
            xy[2 * k + 1] = w->rms[k][which] / w->rms[k][2];
        }
        draw_curve(p, &style[which], xy, TIMES);
        figure_key(lab->findings.figure, MARK_LINE, &style[which], names[which]);
    }
}

/* Velocities on a grid, learned and exact, the same scale for both. */
static enum status draw_arrows(struct lab *lab, struct work *w, const struct train *o, double t,
                               struct error *err)
{
    struct path_coefs c = path_at(&w->path, t);
    double half = draw_half(&w->law, &c), longest = 0, *have = w->have, *want = w->want;
    const struct mark_style exact = draw_pen(colour_of_kind(1), 2.2, 0.55),
                            learned = draw_pen(colour_ink, 0.9, 1);
    int64_t n = ARROWS * ARROWS < o->points ? ARROWS * ARROWS : o->points;
    double arrows[2][4 * ARROWS * ARROWS];
    struct mixture_value v;
    char text[DRAW_TEXT];
    struct panel *p;
    enum status st;

    for (int64_t i = 0; i < o->points; i++) {
        int64_t cell = i % (ARROWS * ARROWS);

        w->x[2 * i] = half * ((2 * (double)(cell % ARROWS) + 1) / ARROWS - 1);
        w->x[2 * i + 1] = half * ((2 * (double)(cell / ARROWS) + 1) / ARROWS - 1);
    }
    if ((st = learner_predict(&w->asker, have, w->x, t, NULL, err)) ||
        (st = prediction_convert(have, PREDICT_VELOCITY, have, (enum prediction)o->objective, w->x,
                                 &c, 2 * o->points, err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        if ((st = law_at(&v, &w->law, &c, w->x + 2 * i, LAW_ANY, err)))
            return st;
        want[2 * i] = v.u[0];
        want[2 * i + 1] = v.u[1];
        longest = fmax(longest, hypot(v.u[0], v.u[1]));
    }
    for (int64_t i = 0; i < 2 * n; i++) {
        double scale = 1.25 * 2 * half / ARROWS / longest;

        arrows[0][4 * (i / 2) + i % 2] = arrows[1][4 * (i / 2) + i % 2] =
            w->x[i] - 0.5 * scale * want[i];
        arrows[0][4 * (i / 2) + 2 + i % 2] = w->x[i] + 0.5 * scale * want[i];
        arrows[1][4 * (i / 2) + 2 + i % 2] = w->x[i] + scale * (have[i] - 0.5 * want[i]);
    }
    p = draw_plane(lab->findings.figure, draw_number(text, "velocity at t", t), half, false);
    if ((st = draw_density(p, &w->law, &c, LAW_ANY, half, draw_pale, lab->threads, NULL, err)))
        return st;
    panel_points(p, MARK_ARROWS, &exact, arrows[0], 2 * n);
    panel_points(p, MARK_ARROWS, &learned, arrows[1], 2 * n);
    figure_key(lab->findings.figure, MARK_ARROWS, &exact, "exact velocity");
    figure_key(lab->findings.figure, MARK_ARROWS, &learned, "learned velocity");
    return OK;
}

/* The end points of the learned flow over a law, and their distance from fresh points of it. */
static enum status draw_law(struct lab *lab, struct work *w, const struct train *o, int32_t y,
                            double scale, struct distance *found, struct distance *floor,
                            struct error *err)
{
    struct path_coefs end = path_at(&w->path, 1);
    double half = draw_half(&w->law, &end);
    char title[DRAW_TEXT];
    struct text t;
    struct panel *p;
    enum status st;

    text_init(&t, title, sizeof title);
    if (y == LAW_ANY)
        text_add(&t, "learned flow, unguided");
    else
        text_add(&t, "guided to y = %d, w = %g", (int)y, scale);
    if ((st = carry(lab, w, o, y, scale, err)))
        return st;
    p = draw_plane(lab->findings.figure, title, half, true);
    if ((st = draw_density(p, &w->law, &end, y, half, draw_pale, lab->threads, NULL, err)))
        return st;
    draw_points(p, w->x, NULL, o->points, 0.7, 0.5);
    cloud_pair_draw(&w->law_points, &w->law, y, o->setup.seed);
    if ((st = distance_between(found, w->x, w->law_points.fresh, o->points, lab->threads, err)))
        return st;
    return distance_between(floor, w->law_points.again, w->law_points.fresh, o->points,
                            lab->threads, err);
}

static void report(struct lab *lab, const struct work *w, const struct distance found[2],
                   const struct distance floor[2])
{
    static const char *const columns[] = {"t", "rms_error", "rms_error_labelled", "rms_velocity",
                                          NULL};
    static const char *const loss_columns[] = {"step", "loss", NULL};
    struct finding_table *fields = findings_table(&lab->findings, "fields",
                                                  "root mean squares over points of p_t: learned "
                                                  "minus exact velocity, without and with labels, "
                                                  "and the exact velocity itself",
                                                  NULL, columns);
    struct finding_table *losses = findings_table(
        &lab->findings, "losses", "means over pieces of the training", NULL, loss_columns);
    double relative = 0;

    for (int k = 0; k < TIMES; k++) {
        findings_row(&lab->findings, fields, NULL,
                     (const double[]){times[k], w->rms[k][0], w->rms[k][1], w->rms[k][2]});
        relative += w->rms[k][0] / w->rms[k][2] / TIMES;
    }
    for (int k = 0; k < CURVE; k++)
        findings_row(&lab->findings, losses, NULL, w->curve + 2 * k);
    findings_value(&lab->findings, "weights", (double)mlp_weights(w->net),
                   "numbers that are trained");
    findings_value(&lab->findings, "loss", w->loss, "on fresh points after training");
    findings_value(&lab->findings, "loss_floor", w->floor, "of the exact field on the same points");
    findings_value(&lab->findings, "relative_error", relative,
                   "of the learned velocity, mean over the times");
    findings_value(&lab->findings, "sliced_wasserstein", found[0].sliced,
                   "of the learned flow's end points, unguided, from the law");
    findings_value(&lab->findings, "sliced_wasserstein_floor", floor[0].sliced,
                   "between two sets of fresh points");
    findings_value(&lab->findings, "sliced_wasserstein_guided", found[1].sliced,
                   "guided, from p(x | y)");
    findings_value(&lab->findings, "sliced_wasserstein_guided_floor", floor[1].sliced, "");
}

static enum status study(struct lab *lab, struct work *w, const struct train *o, struct error *err)
{
    struct distance found[2], floor[2];
    enum status st;

    if ((st = learn(lab, w, o, err)) || (st = lab_reached(lab, 0.8, err)) ||
        (st = compare_fields(w, o, err)))
        return st;
    figure_row(lab->findings.figure, 130);
    draw_loss(lab, w, o);
    draw_rms(lab, w);
    figure_row(lab->findings.figure, DRAW_PLANE);
    if ((st = draw_arrows(lab, w, o, 0.6, err)) || (st = lab_reached(lab, 0.85, err)) ||
        (st = draw_law(lab, w, o, LAW_ANY, 0, &found[0], &floor[0], err)) ||
        (st = lab_reached(lab, 0.93, err)) ||
        (st = draw_law(lab, w, o, (int32_t)o->label, o->w, &found[1], &floor[1], err)))
        return st;
    report(lab, w, found, floor);
    return OK;
}

static enum status run(struct lab *lab, const void *config, struct error *err)
{
    const struct train *o = config;
    struct work w = {0};
    char title[160];
    struct text t;
    enum status st;

    text_init(&t, title, sizeof title);
    text_add(&t, "A network of %d hidden layers of %d learns the %s", (int)o->depth + 1,
             (int)o->width, objective_name(o->objective));
    if (!(st = make_work(&w, o, lab->threads, err)) &&
        !(st = figure_new(&lab->findings.figure, title, err)))
        st = study(lab, &w, o, err);
    free_work(&w);
    return st;
}

const struct study study_train = {
    .name = "train",
    .summary = "train a small network on a law, and compare it with the exact field",
    .details =
        "Trains a small network on endless points of a law to predict velocity, score, noise,\n"
        "data or v, in seconds, and shows its loss beside the floor that a perfect model has, the "
        "error\n"
        "of its velocity at each time, its field over the exact one, and where its flow ends,\n"
        "unguided and guided.  The loss does not go to zero: loss_floor is the goal.",
    .paper = "Lipman et al. 2023",
    .rows = rows,
    .bytes = sizeof(struct train),
    .run = run,
};
