/*
 * eval.c - measures, for users of the library
 *
 * Features are taken here, once for all measures that want them; sizes, labels and networks that do
 * not belong together are refused before anything is computed.
 */
#include "api/api.h"

#include "base/memory.h"
#include "base/text.h"
#include "data/moving.h"
#include "data/relations.h"
#include "eval/features.h"
#include "eval/measure.h"
#include "eval/statistics.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(sizeof(int) == sizeof(int32_t), "labels go in as they are");

struct imgen_features {
    struct features *f;
};

enum imgen_status imgen_features_open(struct imgen_features **out, const char *path,
                                      const struct imgen_features_how *how, struct imgen_error *err)
{
    struct features_how chosen = {how ? how->resize : NULL, how ? how->pooling : NULL};
    struct imgen_features *f = NULL;
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&f, 1, sizeof *f, "a feature network", &e)) ||
        (st = features_open(&f->f, path, &chosen, &e)))
        imgen_features_close(f);
    else
        *out = f;
    return api_status(err, &e, st);
}

void imgen_features_close(struct imgen_features *f)
{
    if (!f)
        return;
    features_close(f->f);
    free(f);
}

void imgen_features_info(const struct imgen_features *features, struct imgen_features_info *out)
{
    const struct features *f = features->f;

    *out = (struct imgen_features_info){
        .kind = f->kind->name,
        .about = f->about,
        .hash = f->hash,
        .resize = f->resize,
        .height = f->scaling ? 0 : (int)f->height,
        .width = f->scaling ? 0 : (int)f->width,
        .channels = f->scaling ? 0 : (int)f->channels,
        .frames = (int)f->frames,
        .features = (int)f->D,
        .n_labels = (int)f->n_classes,
    };
}

void imgen_measuring_init(struct imgen_measuring *m)
{
    *m = (struct imgen_measuring){.neighbours = 3, .subsets = 100, .projections = 512};
}

/* --- one call -----------------------------------------------------------------------------------
 */

struct measuring {
    const struct imgen_measuring *m;
    const struct features *features, *judge;
    struct statistics statistics;
    struct measure_task task;
    float *own, *theirs; /* features */
    int32_t *guess;
    const char *doing;
    imgen_measure_callback *callback;
    void *user;
};

static struct picture_set set_of(const struct imgen_pictures *p)
{
    return (struct picture_set){.n = p->n,
                                .height = p->height,
                                .width = p->width,
                                .channels = p->channels,
                                .frames = p->frames,
                                .pixels = p->pixels,
                                .label = p->label};
}

static enum status check_pictures(const struct imgen_pictures *p, const char *what,
                                  struct error *err)
{
    if (p->n < 1 || p->height < 1 || p->width < 1 || (p->channels != 1 && p->channels != 3))
        return fail(err, E_ARG, "%s: %" PRId64 " of %d x %d with %d channels", what, p->n, p->width,
                    p->height, p->channels);
    if (p->frames < 0 || p->frames > DATASET_FRAMES)
        return fail(err, E_ARG, "%s: clips of %d frames", what, p->frames);
    for (int64_t i = 0; p->label && i < p->n; i++)
        if (p->label[i] < -1 || p->label[i] >= p->n_labels)
            return fail(err, E_ARG, "%s: picture %" PRId64 " has label %d of %d", what, i,
                        p->label[i], p->n_labels);
    return OK;
}

static enum status check_joints(const struct imgen_measuring *m, struct error *err)
{
    int64_t frames = m->pictures.frames;

    for (int i = 0; i < m->n_joints; i++)
        if (m->joints[i] < 1 || m->joints[i] >= frames || (i && m->joints[i] <= m->joints[i - 1]))
            return fail(err, E_ARG,
                        "joint %d lies before frame %" PRId64 ": they rise, from 1 to %" PRId64
                        " of clips of %" PRId64 " frames",
                        i + 1, m->joints[i], frames - 1, frames);
    return OK;
}

static enum status check_sizes(const struct measuring *s, struct error *err)
{
    const struct picture_set *a = &s->task.pictures, *b = &s->task.reference;

    if (b->n && b->pixels && set_frames(a) != set_frames(b))
        return fail(err, E_ARG,
                    "the pictures have %" PRId64 " frame%s each, those of the reference %" PRId64,
                    set_frames(a), set_frames(a) == 1 ? "" : "s", set_frames(b));
    if (s->m->paired && a->n != s->m->reference.n)
        return fail(err, E_ARG,
                    "%" PRId64 " pictures and %" PRId64 " of the reference are no pairs", a->n,
                    s->m->reference.n);
    if (!b->n || (a->height == b->height && a->width == b->width && a->channels == b->channels))
        return OK;
    return fail(err, E_ARG,
                "the pictures are %" PRId64 " x %" PRId64 " with %" PRId64
                " channels, those of the reference %" PRId64 " x %" PRId64 " with %" PRId64,
                a->width, a->height, a->channels, b->width, b->height, b->channels);
}

/* --- labels and who judges them ------------------------------------------------------------------
 */

typedef void name_writer(char name[CAPTION_TEXT], int32_t label);

static void shape_name(char name[CAPTION_TEXT], int32_t label)
{
    snprintf(name, CAPTION_TEXT, "%s %s", shapes_colour_name(shapes_label_colour(label)),
             shapes_form_name(shapes_label_form(label)));
}

static void relation_name(char name[CAPTION_TEXT], int32_t label)
{
    struct relation r = relation_of_label(label);

    relation_caption(&r, name);
}

static void moving_name(char name[CAPTION_TEXT], int32_t label)
{
    struct moving m = moving_of_label(label);

    moving_caption(&m, 0, false, name);
}

static bool has_names(const struct imgen_pictures *p, int n, name_writer *write)
{
    char name[CAPTION_TEXT];

    if (p->n_labels != n)
        return false;
    for (int i = 0; i < n; i++) {
        write(name, i);
        if (strcmp(p->label_names[i], name) != 0)
            return false;
    }
    return true;
}

/* Pictures of the sets that the program draws are known by what their labels are called. */
static enum picture_reader reader_of(const struct imgen_pictures *p)
{
    if (!p->label_names || p->channels != 3 || p->height != p->width || p->width > SHAPES_SIDE_MAX)
        return READ_NOTHING;
    if (p->frames > 1)
        return p->frames >= MOVING_FRAMES_READ && p->frames <= MOVING_FRAMES_MOST &&
                       p->width >= RELATIONS_SIDE_MIN && has_names(p, MOVING_LABELS, moving_name)
                   ? READ_MOVING
                   : READ_NOTHING;
    if (p->width >= SHAPES_SIDE_MIN && has_names(p, SHAPES_CLASSES, shape_name))
        return READ_SHAPES;
    if (p->width >= RELATIONS_SIDE_MIN && has_names(p, RELATION_LABELS, relation_name))
        return READ_RELATIONS;
    return READ_NOTHING;
}

/* A guess is a number: it must mean the same class to both. */
static enum status check_judge(const struct measuring *s, struct error *err)
{
    const struct imgen_pictures *p = &s->m->pictures;
    const struct features *j = s->judge;

    if (p->n_labels != j->n_classes)
        return fail(err, E_ARG, "the pictures have %d labels, and %s knows %" PRId64, p->n_labels,
                    j->path, j->n_classes);
    for (int i = 0; p->label_names && j->class_names && i < p->n_labels; i++)
        if (strcasecmp(p->label_names[i], j->class_names[i]) != 0)
            return fail(err, E_ARG, "label %d is '%s' to the pictures and '%s' to %s", i,
                        p->label_names[i], j->class_names[i], j->path);
    return OK;
}

/* --- features -----------------------------------------------------------------------------------
 */

static bool relay(int64_t done, int64_t n, void *user)
{
    const struct measuring *s = user;

    return !s->m->progress || s->m->progress(s->doing, done, n, s->m->user) != 0;
}

static enum status extract(struct measuring *s, const struct features *f,
                           const struct picture_set *p, const char *what, float *out,
                           int32_t *guess, struct error *err)
{
    struct features_input in = {.pixels = p->pixels,
                                .n = p->n,
                                .height = p->height,
                                .width = p->width,
                                .channels = p->channels,
                                .frames = set_frames(p),
                                .threads = api_threads(s->m->threads),
                                .progress = relay,
                                .user = s};

    s->doing = what;
    return features_extract(f, out, guess, &in, err);
}

static enum status new_features(float **out, int64_t n, int64_t D, struct error *err)
{
    return mem_new((void **)out, (uint64_t)n, (uint64_t)D * sizeof **out, "features", err);
}

/* Of the pictures; with guesses from the same run where the judge is the same network. */
static enum status own_features(struct measuring *s, bool judged, struct error *err)
{
    struct picture_set *p = &s->task.pictures;
    enum status st;

    if (judged &&
        (st = mem_new((void **)&s->guess, (uint64_t)p->n, sizeof *s->guess, "guesses", err)))
        return st;
    if (s->features) {
        if ((st = new_features(&s->own, p->n, s->features->D, err)) ||
            (st = extract(s, s->features, p, "features of the pictures", s->own,
                          judged && s->judge == s->features ? s->guess : NULL, err)))
            return st;
        p->features = s->own;
    }
    if (judged && s->judge != s->features &&
        (st = extract(s, s->judge, p, "guesses", NULL, s->guess, err)))
        return st;
    p->guess = s->guess;
    return OK;
}

static enum status load_statistics(struct measuring *s, struct error *err)
{
    struct statistics *t = &s->statistics;
    enum status st;

    if (!s->features)
        return fail(err, E_ARG, "%s: statistics are features: name the network they were made by",
                    s->m->statistics);
    if ((st = statistics_load(t, s->m->statistics, err)))
        return st;
    if (strcmp(t->network, s->features->hash) != 0 || t->D != s->features->D)
        return fail(err, E_ARG,
                    "%s was made by another feature network (sha256 %.12s..., not %.12s...)",
                    s->m->statistics, t->network, s->features->hash);
    if (strcmp(t->protocol, s->features->protocol) != 0)
        return fail(err, E_ARG, "%s was made with '%s', and now it is '%s'", s->m->statistics,
                    t->protocol, s->features->protocol);
    s->task.reference = (struct picture_set){.n = t->n,
                                             .height = t->height,
                                             .width = t->width,
                                             .channels = t->channels,
                                             .label = t->label,
                                             .features = t->features};
    return OK;
}

static enum status save_statistics(const struct measuring *s, struct error *err)
{
    const struct picture_set *r = &s->task.reference;
    struct statistics t = {.n = r->n,
                           .D = s->features->D,
                           .features = s->theirs,
                           .label = (int32_t *)(uintptr_t)r->label,
                           .height = r->height,
                           .width = r->width,
                           .channels = r->channels};

    snprintf(t.network, sizeof t.network, "%s", s->features->hash);
    snprintf(t.protocol, sizeof t.protocol, "%s", s->features->protocol);
    snprintf(t.about, sizeof t.about, "%s", s->m->about ? s->m->about : "");
    return statistics_save(s->m->save, &t, err);
}

static enum status reference_features(struct measuring *s, struct error *err)
{
    struct picture_set *r = &s->task.reference;
    enum status st;

    if (r->features || !r->n || !s->features)
        return OK;
    if ((st = new_features(&s->theirs, r->n, s->features->D, err)) ||
        (st = extract(s, s->features, r, "features of the reference", s->theirs, NULL, err)))
        return st;
    r->features = s->theirs;
    return s->m->save ? save_statistics(s, err) : OK;
}

/* --- which measures -----------------------------------------------------------------------------
 */

static enum status report(struct measuring *s, const struct imgen_measure_row *row,
                          struct error *err)
{
    if (s->callback(row, s->user))
        return OK;
    return fail(err, E_CANCELLED, "stopped at the measure %s", row->measure);
}

static enum status leave_out(struct measuring *s, const struct measure *m, const char *why,
                             struct error *err)
{
    struct imgen_measure_row row = {
        .measure = m->name, .name = m->name, .lacks = why, .deviation = -1, .note = ""};

    return report(s, &row, err);
}

/* named: asked for by its name, so that leaving it out would be no answer. */
static enum status take(struct measuring *s, const struct measure *m, bool named, struct error *err)
{
    const char *lacks = measure_lacks(m, &s->task);
    struct measure_result result = {0};
    struct error why = {0};
    enum status st;

    if (lacks && named)
        return fail(err, E_ARG, "%s needs %s", m->name, lacks);
    if (lacks) {
        fail(&why, E_ARG, "needs %s", lacks);
        return leave_out(s, m, why.text, err);
    }
    s->doing = m->name;
    if (!relay(0, 1, s))
        return fail(err, E_CANCELLED, "stopped before the measure %s", m->name);
    st = m->run(&result, &s->task, &why);
    if (st == E_ARG && !named)
        return leave_out(s, m, why.text, err);
    if (st)
        return fail(err, st, "%s: %s", m->name, why.text);
    for (int i = 0; i < result.n && !st; i++) {
        const struct measure_value *v = &result.at[i];

        st = report(s,
                    &(struct imgen_measure_row){.measure = m->name,
                                                .name = v->name,
                                                .value = v->value,
                                                .deviation = v->deviation,
                                                .note = v->note},
                    err);
    }
    return st;
}

/* Call each(m) for the names of a list "a, b"; every name is known before the first is taken. */
static enum status take_listed(struct measuring *s, const char *list, bool check, struct error *err)
{
    const struct measure *m;
    char word[64];
    enum status st = OK;

    while (!st) {
        size_t blank = strspn(list, " "), n = strcspn(list + blank, ",");
        const char *end = list + blank + n;

        while (n && list[blank + n - 1] == ' ')
            n--;
        snprintf(word, sizeof word, "%.*s", (int)(n < 60 ? n : 60), list + blank);
        if (!(st = measure_find(&m, word, err)) && !check)
            st = take(s, m, true, err);
        if (!*end)
            break;
        list = end + 1;
    }
    return st;
}

static enum status take_all(struct measuring *s, struct error *err)
{
    enum status st = OK;

    if (s->m->measures)
        return take_listed(s, s->m->measures, false, err);
    for (int i = 0; measure_at(i) && !st; i++)
        st = take(s, measure_at(i), false, err);
    return st;
}

/* --- together -----------------------------------------------------------------------------------
 */

static enum status set_up(struct measuring *s, struct error *err)
{
    const struct imgen_measuring *m = s->m;
    bool judged;
    enum status st;

    if (m->measures && (st = take_listed(s, m->measures, true, err)))
        return st;
    if (m->save && (!m->features || !m->reference.n))
        return fail(err, E_ARG, "%s: only features of a reference can be saved", m->save);
    if (m->statistics && m->reference.n)
        return fail(err, E_ARG, "%s: a reference is pictures or statistics, not both",
                    m->statistics);
    s->features = m->features ? m->features->f : NULL;
    s->judge = m->judge ? m->judge->f : s->features;
    s->task.pictures = set_of(&m->pictures);
    s->task.reference = set_of(&m->reference);
    s->task.paired = m->paired != 0;
    s->task.joint = m->joints;
    s->task.n_joints = m->n_joints;
    s->task.pictures.reader = reader_of(&m->pictures);
    if ((st = check_pictures(&m->pictures, "pictures", err)) ||
        (m->reference.n && (st = check_pictures(&m->reference, "reference", err))) ||
        (m->statistics && (st = load_statistics(s, err))) || (st = check_sizes(s, err)) ||
        (st = check_joints(m, err)))
        return st;
    /* A feature network whose classes are others than the labels is no judge, unless it was named
     * as one. */
    judged = s->judge && s->judge->n_classes && m->pictures.label && !s->task.pictures.reader;
    if (judged && m->judge && (st = check_judge(s, err)))
        return st;
    judged = judged && !check_judge(s, NULL);
    if ((st = own_features(s, judged, err)) || (st = reference_features(s, err)))
        return st;
    s->task.D = s->features ? s->features->D : 0;
    s->task.options = (struct measure_options){.neighbours = m->neighbours,
                                               .subsets = m->subsets,
                                               .subset_size = m->subset_size,
                                               .projections = m->projections,
                                               .seed = m->seed,
                                               .upscale = m->upscale,
                                               .first_frame = m->first_frame != 0};
    return OK;
}

static void tear_down(struct measuring *s)
{
    statistics_release(&s->statistics);
    free(s->own);
    free(s->theirs);
    free(s->guess);
    free(s->task.nearest);
}

static void give_neighbours(struct imgen_neighbour *out, const struct neighbour *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (struct imgen_neighbour){from[i].first, from[i].distance, from[i].second};
}

enum imgen_status imgen_measure(const struct imgen_measuring *m, struct imgen_measured *out,
                                struct imgen_neighbour *nearest, imgen_measure_callback *callback,
                                void *callback_user, struct imgen_error *err)
{
    struct measuring s = {.m = m, .callback = callback, .user = callback_user};
    int before = omp_get_max_threads();
    struct error e = {0};
    enum status st;

    memset(out, 0, sizeof *out);
    omp_set_num_threads(api_threads(m->threads));
    st = set_up(&s, &e);
    if (!st && nearest)
        st = mem_new((void **)&s.task.nearest, (uint64_t)m->pictures.n, sizeof *s.task.nearest,
                     "neighbours", &e);
    if (!st) {
        out->n_reference = s.task.reference.n;
        snprintf(out->about, sizeof out->about, "%s", s.statistics.about);
        st = take_all(&s, &e);
    }
    if (!st && nearest)
        give_neighbours(nearest, s.task.nearest, m->pictures.n);
    tear_down(&s);
    omp_set_num_threads(before);
    return api_status(err, &e, st);
}
