/*
 * measure.c - the list of measures, and what each one needs
 *
 * A person names two sets of pictures and wants to know all that can be known of them; which
 * measures that are depends on what there is: a reference, a feature network, labels and someone to
 * judge them.  Each descriptor says what it needs, so whoever asks can leave out the others and say
 * why.
 */
#include "eval/measure.h"

#include "base/text.h"
#include "base/whole.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MEASURES(X) \
    X(frechet)      \
    X(kid)          \
    X(precision)    \
    X(sliced)       \
    X(wavelet)      \
    X(nearest)      \
    X(psnr)         \
    X(ssim)         \
    X(bicubic)      \
    X(first_frame)  \
    X(flicker)      \
    X(joints)       \
    X(obedience)

#define DECLARE(name) extern const struct measure measure_##name;
MEASURES(DECLARE)

const struct measure *measure_at(int i)
{
#define ROW(name) &measure_##name,
    static const struct measure *const all[] = {MEASURES(ROW)};

    return i >= 0 && i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

enum status measure_find(const struct measure **out, const char *name, struct error *err)
{
    const char *names[32], *near;
    int n = 0;

    for (; measure_at(n); n++) {
        names[n] = measure_at(n)->name;
        if (!strcmp(names[n], name)) {
            *out = measure_at(n);
            return OK;
        }
    }
    near = text_nearest(name, names, n);
    return fail(err, E_ARG, "there is no measure '%s'%s%s%s", name, near ? "; did you mean '" : "",
                near ? near : "", near ? "'?" : "");
}

int64_t set_frame(const struct picture_set *p)
{
    return p->height * p->width * p->channels;
}

int64_t set_frames(const struct picture_set *p)
{
    return whole_max(p->frames, 1);
}

int64_t set_length(const struct picture_set *p)
{
    return set_frames(p) * set_frame(p);
}

const char *measure_lacks(const struct measure *m, const struct measure_task *t)
{
    const struct picture_set *p = &t->pictures, *r = &t->reference;

    if ((p->frames > 1 || r->frames > 1) && !m->of_clips)
        return "pictures, and these are clips";
    if (m->needs & NEEDS_REFERENCE && !r->n)
        return "a reference to compare with";
    if (m->needs & NEEDS_FEATURES && !p->features)
        return "a feature network";
    if (m->needs & NEEDS_PIXELS && !r->pixels)
        return "the pictures of the reference, not their statistics alone";
    if (m->needs & NEEDS_PAIRS && !t->paired)
        return "pairs: two folders whose files have the same names";
    if (m->needs & NEEDS_SMALLER && t->options.upscale < 2)
        return "pictures that a model has made larger";
    if (m->needs & NEEDS_FIRST_FRAME && !t->options.first_frame)
        return "clips that a model was given the first frames of";
    if (m->needs & NEEDS_MOTION && set_frames(p) < 3)
        return "clips of three frames or more";
    if (m->needs & NEEDS_JOINTS && !t->n_joints)
        return "joints: the frames before which another tile begins or ends";
    if (m->needs & NEEDS_LABELS && !p->label)
        return "pictures that were asked for by a label";
    if (m->needs & NEEDS_LABELS && !p->reader && !p->guess)
        return "a classifier that knows the labels";
    return NULL;
}

__attribute__((format(printf, 3, 0))) static void
add(struct measure_result *out, struct measure_value value, const char *fmt, va_list args)
{
    struct measure_value *to = &out->at[out->n++];

    MUST(out->n <= MEASURE_VALUES, "%s is one value too many", value.name);
    *to = value;
    vsnprintf(to->note, sizeof to->note, fmt, args);
}

void measure_add(struct measure_result *out, const char *name, double value, double deviation,
                 const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(out, (struct measure_value){.name = name, .value = value, .deviation = deviation}, fmt,
        args);
    va_end(args);
}

void measure_add_mean(struct measure_result *out, const char *name, const double *value, int64_t n,
                      const char *fmt, ...)
{
    struct measure_value v = {.name = name, .deviation = -1};
    double square = 0;
    va_list args;

    for (int64_t i = 0; i < n; i++)
        v.value += value[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (value[i] - v.value) * (value[i] - v.value);
    if (n > 1)
        v.deviation = sqrt(square / (double)(n - 1));
    va_start(args, fmt);
    add(out, v, fmt, args);
    va_end(args);
}
