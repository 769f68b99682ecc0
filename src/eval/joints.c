/*
 * joints.c - does a clip jump where its tiles meet?
 *
 * A clip that is longer than what a decoder takes at once is decoded a tile of frames at a time
 * (pipeline/frame_tiles.h).  Each tile is smooth in itself, and no frame alone shows where one
 * ends; what the eye sees is a step in brightness or place from one frame to the next.  So the
 * change from frame to frame at a joint is set against the usual one of the same clip, its median,
 * which a bounce or a cut elsewhere does not move.  1 is no joint at all, and 1.2 the most that is
 * allowed.
 *
 * Motion is not even, and the worst of several joints lies above 1 by chance: the same frames of
 * the reference say how much of it that is.
 */
#include "eval/measure.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* d(t), t = 1 .. frames - 1, at change[t - 1]. */
static void changes(double *change, const uint8_t *x, int64_t frames, int64_t length)
{
    for (int64_t t = 1; t < frames; t++) {
        const uint8_t *now = x + t * length, *before = now - length;
        int64_t sum = 0;

        for (int64_t i = 0; i < length; i++)
            sum += abs(now[i] - before[i]);
        change[t - 1] = (double)sum / (double)length;
    }
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *value, int64_t n)
{
    qsort(value, (size_t)n, sizeof *value, by_size);
    return n ? (value[(n - 1) / 2] + value[n / 2]) / 2 : 0;
}

static enum status check_joints(int64_t frames, const int64_t *joint, int64_t n, struct error *err)
{
    for (int64_t k = 0; k < n; k++)
        if (joint[k] < 1 || joint[k] >= frames || (k && joint[k] <= joint[k - 1]))
            return fail(err, E_ARG,
                        "joint %" PRId64 " lies before frame %" PRId64
                        ": they rise, from 1 to %" PRId64 " of a clip of %" PRId64 " frames",
                        k + 1, joint[k], frames - 1, frames);
    return OK;
}

enum status joint_jumps(struct joint_jump *out, const uint8_t *x, int64_t frames, int64_t length,
                        const int64_t *joint, int64_t n, struct error *err)
{
    double *change = NULL, *usual, m;
    int64_t k = 0, others = 0;
    enum status st;

    *out = (struct joint_jump){-1, -1};
    if ((st = check_joints(frames, joint, n, err)) ||
        (st = mem_new((void **)&change, 2 * (uint64_t)frames, sizeof *change, "differences", err)))
        return st;
    usual = change + frames;
    changes(change, x, frames, length);
    for (int64_t t = 1; t < frames; t++)
        if (k < n && joint[k] == t)
            k++;
        else
            usual[others++] = change[t - 1];
    if ((m = median(usual, others)) > 0) {
        *out = (struct joint_jump){0, 0};
        for (k = 0; k < n; k++) {
            out->mean += change[joint[k] - 1] / m / (double)n;
            out->worst = fmax(out->worst, change[joint[k] - 1] / m);
        }
    }
    free(change);
    return OK;
}

/* Of all clips of a set: mean [n] of those that move, the worst of all; returns how many move. */
static int64_t jumps_of(double *mean, double *worst, const struct picture_set *p,
                        const struct measure_task *t, enum status *st, struct error *err)
{
    int64_t moving = 0;

    *worst = 0;
    for (int64_t i = 0; i < p->n && !*st; i++) {
        struct joint_jump jump;

        *st = joint_jumps(&jump, p->pixels + i * set_length(p), set_frames(p), set_frame(p),
                          t->joint, t->n_joints, err);
        if (*st || jump.mean < 0)
            continue;
        mean[moving++] = jump.mean;
        *worst = fmax(*worst, jump.worst);
    }
    return moving;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures, *r = &t->reference;
    int64_t most = p->n > r->n ? p->n : r->n, n;
    double *mean, worst;
    enum status st;

    if ((st = mem_new((void **)&mean, (uint64_t)most, sizeof *mean, "differences", err)))
        return st;
    n = jumps_of(mean, &worst, p, t, &st, err);
    if (!st && !n)
        st =
            fail(err, E_ARG, "none of the %" PRId64 " clips moves: there is no usual change", p->n);
    if (!st) {
        measure_add_mean(out, "joint_jump", mean, n,
                         "change at %" PRId64 " joints over the median, of %" PRId64 " clips",
                         t->n_joints, n);
        measure_add(out, "joint_worst", worst, -1, "the largest at any joint of any clip");
    }
    if (!st && r->n && r->pixels && set_frames(r) == set_frames(p) &&
        (n = jumps_of(mean, &worst, r, t, &st, err))) {
        measure_add_mean(out, "joint_jump_reference", mean, n,
                         "at the same frames of the reference, which has no joints");
        measure_add(out, "joint_worst_reference", worst, -1, "the largest there");
    }
    free(mean);
    return st;
}

const struct measure measure_joints = {
    .name = "joints",
    .summary = "how far long clips jump where their tiles meet, over their usual change",
    .needs = NEEDS_MOTION | NEEDS_JOINTS,
    .of_clips = true,
    .run = run,
};
