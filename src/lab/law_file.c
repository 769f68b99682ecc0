/*
 * law_file.c - a mixture of Gaussians in the plane, from a file
 *
 * A student's own law should be a file of ten lines.  INI serves people, JSON serves programs; both
 * fill one list of parts, and what makes a part good is checked once, behind both.
 */
#include "lab/law_file.h"

#include "base/file.h"
#include "base/ini.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double most = 100, least_std = 1e-3;

struct part {
    char name[64]; /* of its section, or its number */
    bool has_mean, has_std, has_cov;
    double mean[2], std, cov[3], weight;
    int64_t label;
};

struct reading {
    const char *file;
    struct part *parts; /* [LAW_FILE_PARTS] */
    int n;
};

static enum status begin_part(struct reading *r, const char *name, size_t letters,
                              struct error *err)
{
    struct part *p;
    struct text t;

    if (r->n == LAW_FILE_PARTS)
        return fail(err, E_FORMAT, "more than %d parts", LAW_FILE_PARTS);
    p = &r->parts[r->n++];
    *p = (struct part){.weight = 1};
    text_init(&t, p->name, sizeof p->name);
    text_add_bytes(&t, name, letters);
    return OK;
}

/* ---- Keys ---- */

static const char *const keys[] = {"mean", "std", "cov", "weight", "label"};
enum { MEAN, STD, COV, WEIGHT, LABEL, N_KEYS };
static const int key_numbers[N_KEYS] = {2, 1, 3, 1, 1};

static enum status find_key(int *out, const struct part *p, const char *key, struct error *err)
{
    const char *nearest = text_nearest(key, keys, N_KEYS);

    for (*out = 0; *out < N_KEYS; (*out)++)
        if (!strcmp(key, keys[*out]))
            return OK;
    return fail(err, E_FORMAT, "part %s: unknown key '%s'%s%s%s", p->name, key,
                nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* v: as many numbers as the key has. */
static enum status set_key(struct part *p, int key, const double *v, struct error *err)
{
    for (int i = 0; i < key_numbers[key]; i++)
        if (!(fabs(v[i]) <= most * most))
            return fail(err, E_FORMAT, "part %s: %s holds %g", p->name, keys[key], v[i]);
    switch (key) {
    case MEAN:
        memcpy(p->mean, v, sizeof p->mean);
        p->has_mean = true;
        break;
    case STD:
        p->std = v[0];
        p->has_std = true;
        break;
    case COV:
        memcpy(p->cov, v, sizeof p->cov);
        p->has_cov = true;
        break;
    case WEIGHT:
        p->weight = v[0];
        break;
    default:
        if (v[0] != floor(v[0]) || v[0] < 0 || v[0] >= LAW_LABELS)
            return fail(err, E_FORMAT, "part %s: the label %g is not a number from 0 to %d",
                        p->name, v[0], LAW_LABELS - 1);
        p->label = (int64_t)v[0];
    }
    return OK;
}

/* What single keys cannot say. */
static enum status check_part(struct part *p, struct error *err)
{
    double larger, smaller, half, root;

    if (!p->has_mean || p->has_std == p->has_cov)
        return fail(err, E_FORMAT, "part %s wants a mean and one of std and cov", p->name);
    if (!(fabs(p->mean[0]) <= most && fabs(p->mean[1]) <= most))
        return fail(err, E_FORMAT, "part %s: the mean %g, %g lies outside -%g .. %g", p->name,
                    p->mean[0], p->mean[1], most, most);
    if (!(p->weight > 0))
        return fail(err, E_FORMAT, "part %s: the weight %g is not positive", p->name, p->weight);
    if (p->has_std) {
        p->cov[0] = p->cov[2] = p->std > 0 ? p->std * p->std : -1;
        p->cov[1] = 0;
    }
    half = 0.5 * (p->cov[0] + p->cov[2]);
    root = hypot(0.5 * (p->cov[0] - p->cov[2]), p->cov[1]);
    larger = half + root;
    smaller = half - root;
    if (!(smaller >= least_std * least_std * (1 - 1e-9) && larger <= most * most))
        return fail(err, E_FORMAT,
                    "part %s: its deviations are the roots of %g and %g; served are %g .. %g",
                    p->name, smaller, larger, least_std, most);
    return OK;
}

/* ---- INI ---- */

static enum status take_numbers(double *v, int n, const struct part *p, const char *key,
                                const char *value, struct error *err)
{
    char word[64];

    for (int i = 0; i < n; i++) {
        size_t letters = strcspn(value, ","), blanks = strspn(value, " \t");
        struct text t;

        text_init(&t, word, sizeof word);
        if (blanks <= letters)
            text_add_bytes(&t, value + blanks, letters - blanks);
        while (t.used && strchr(" \t", word[t.used - 1]))
            word[--t.used] = 0;
        if (t.cut || !text_to_real(word, &v[i]) || (i + 1 < n) != (value[letters] == ','))
            return fail(err, E_FORMAT, "part %s: %s wants %d number%s, not '%s'", p->name, key, n,
                        n > 1 ? "s with commas between them" : "", value);
        value += letters + 1;
    }
    return OK;
}

static enum status take_setting(const char *key, const char *value, struct error *err, void *arg)
{
    struct reading *r = arg;
    const char *dot = strchr(key, '.');
    size_t letters = dot ? (size_t)(dot - key) : 0;
    struct part *p;
    double v[3];
    enum status st;
    int which;

    if (!dot)
        return fail(err, E_FORMAT, "the key %s stands before the first [part]", key);
    p = r->n ? &r->parts[r->n - 1] : NULL;
    if (!p || strlen(p->name) != letters || strncmp(p->name, key, letters) != 0) {
        if (letters >= sizeof p->name)
            return fail(err, E_FORMAT, "the name of a part has %zu letters", letters);
        if ((st = begin_part(r, key, letters, err)))
            return st;
        p = &r->parts[r->n - 1];
    }
    if ((st = find_key(&which, p, dot + 1, err)) ||
        (st = take_numbers(v, key_numbers[which], p, keys[which], value, err)))
        return st;
    return set_key(p, which, v, err);
}

/* ---- JSON ---- */

static enum status take_values(double *v, int n, const struct part *p, const char *key,
                               const json_t *value, struct error *err)
{
    bool is_list = json_is_array(value);
    size_t have = is_list ? json_array_size(value) : 1;

    if (have != (size_t)n)
        return fail(err, E_FORMAT, "part %s: %s wants %d number%s", p->name, key, n,
                    n > 1 ? "s in a list" : "");
    for (int i = 0; i < n; i++) {
        const json_t *one = is_list ? json_array_get(value, (size_t)i) : value;

        if (!json_is_number(one))
            return fail(err, E_FORMAT, "part %s: %s holds something that is no number", p->name,
                        key);
        v[i] = json_number_value(one);
    }
    return OK;
}

static enum status take_object(struct reading *r, json_t *object, struct error *err)
{
    struct part *p = &r->parts[r->n - 1];
    const char *key;
    json_t *value;
    double v[3];
    enum status st;
    int which;

    if (!json_is_object(object))
        return fail(err, E_FORMAT, "part %s is no object", p->name);
    json_object_foreach(object, key, value)
    {
        if ((st = find_key(&which, p, key, err)) ||
            (st = take_values(v, key_numbers[which], p, key, value, err)) ||
            (st = set_key(p, which, v, err)))
            return st;
    }
    return OK;
}

static enum status read_json(struct reading *r, const char *text, size_t bytes, struct error *err)
{
    json_t *root = NULL, *parts = NULL;
    enum status st;

    if ((st = config_parse(&root, text, bytes, INI_FILE_MAX, r->file, err)))
        return st;
    if (!(st = config_need(root, "parts", err)))
        st = config_array(&parts, root, "parts", err);
    for (size_t i = 0; i < json_array_size(parts) && !st; i++) {
        char name[24];
        struct text t;

        text_init(&t, name, sizeof name);
        text_add(&t, "%zu", i + 1);
        if (!(st = begin_part(r, name, t.used, err)))
            st = take_object(r, json_array_get(parts, i), err);
    }
    if (st)
        fail_under(err, "%s", r->file);
    json_decref(root);
    return st;
}

/* ---- Both ---- */

static enum status make_law(struct law *l, const struct reading *r, struct error *err)
{
    double weight[LAW_FILE_PARTS], mean[2 * LAW_FILE_PARTS], cov[4 * LAW_FILE_PARTS];
    int32_t label[LAW_FILE_PARTS];
    enum status st;

    if (!r->n)
        return fail(err, E_FORMAT, "%s has no part", r->file);
    for (int k = 0; k < r->n; k++) {
        struct part *p = &r->parts[k];

        if ((st = check_part(p, err))) {
            fail_under(err, "%s", r->file);
            return st;
        }
        weight[k] = p->weight;
        memcpy(mean + 2 * k, p->mean, sizeof p->mean);
        cov[4 * k] = p->cov[0];
        cov[4 * k + 1] = cov[4 * k + 2] = p->cov[1];
        cov[4 * k + 3] = p->cov[2];
        label[k] = (int32_t)p->label;
    }
    return law_of_mixture(l, r->n, weight, mean, cov, label, err);
}

enum status law_read_text(struct law *l, const char *name, const char *text, size_t bytes,
                          struct error *err)
{
    struct reading r = {.file = name};
    size_t n = strlen(name);
    enum status st;

    if ((st = mem_new((void **)&r.parts, LAW_FILE_PARTS, sizeof(*r.parts), "a mixture", err)))
        return st;
    if (n > 5 && !strcasecmp(name + n - 5, ".json"))
        st = read_json(&r, text, bytes, err);
    else
        st = ini_read_text(name, text, bytes, take_setting, &r, err);
    if (!st)
        st = make_law(l, &r, err);
    free(r.parts);
    return st;
}

enum status law_read_file(struct law *l, const char *path, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    if ((st = file_read(&bytes, &n, path, INI_FILE_MAX, err)))
        return st;
    st = law_read_text(l, path, (const char *)bytes, n, err);
    free(bytes);
    return st;
}
