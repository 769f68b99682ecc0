/*
 * checkpoint.c - a run's whole state in one file
 *
 * The order of writing is the whole safety: the new file is complete and synced before `latest`
 * names it, and nothing old goes before that.  `latest` is a convenience for people and scripts;
 * when it is missing or names something that does not open, the highest step that opens is taken.
 *
 * What a step needs beyond these arrays (shuffling, noise, times, dropped labels) is a function of
 * the seed and the step, so that a resumed run is the uncut one.
 */
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OWN_PARTS = 4, COMPANION_PARTS = 3, PARTS = OWN_PARTS + COMPANION_PARTS * COMPANIONS_MAX };
enum { PREFIX = 32 };
enum { ENTRY_BYTES = 1600 }; /* of a tensor: its name, and its entry in the header being built */

struct part {
    struct params *params;
    char prefix[PREFIX];
    enum params_part which;
    float *values;
};

static struct part part_of(struct params *params, const char *name, const char *end,
                           enum params_part which, float *values)
{
    struct part p = {.params = params, .which = which, .values = values};

    snprintf(p.prefix, sizeof p.prefix, "%s%s.", name, end);
    return p;
}

/* Returns how many there are. */
static int parts_of(const struct train_state *s, struct part part[PARTS])
{
    struct params *own = model_learns(s->model);
    int n = OWN_PARTS;

    part[0] = part_of(own, "model", "", PARAMS_ALL, params_values(own));
    part[1] = part_of(own, "ema", "", PARAMS_ALL, s->average);
    part[2] = part_of(own, "adam", "_m", PARAMS_TRAINED, s->m);
    part[3] = part_of(own, "adam", "_v", PARAMS_TRAINED, s->v);
    for (int k = 0; k < s->n_companions; k++) {
        const struct companion *l = s->companion[k];

        part[n++] = part_of(l->params, l->name, "", PARAMS_ALL, params_values(l->params));
        part[n++] = part_of(l->params, l->name, "_m", PARAMS_TRAINED, l->m);
        part[n++] = part_of(l->params, l->name, "_v", PARAMS_TRAINED, l->v);
    }
    return n;
}

enum status checkpoint_path(char out[CHECKPOINT_PATH], const char *folder, int64_t step,
                            struct error *err)
{
    int n = snprintf(out, CHECKPOINT_PATH, "%s/checkpoint-%08" PRId64 ".safetensors", folder, step);

    if (n >= CHECKPOINT_PATH)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", CHECKPOINT_PATH);
    return OK;
}

/* The step a file's name speaks of, or -1. */
static int64_t step_of(const char *name)
{
    int64_t step;
    int end = 0;

    if (sscanf(name, "checkpoint-%8" SCNd64 ".safetensors%n", &step, &end) != 1 || !end ||
        name[end])
        return -1;
    return step;
}

static void remove_older(const char *folder, int64_t keep, int64_t newest)
{
    char path[CHECKPOINT_PATH];
    int64_t step, n, lowest;
    struct dirent *entry;
    DIR *dir;

    do {
        if (!(dir = opendir(folder)))
            return;
        for (n = 0, lowest = INT64_MAX; (entry = readdir(dir));) {
            step = step_of(entry->d_name);
            n += step >= 0 && step <= newest;
            if (step >= 0 && step < lowest)
                lowest = step;
        }
        closedir(dir);
    } while (n > keep && lowest < newest && !checkpoint_path(path, folder, lowest, NULL) &&
             !unlink(path));
}

static enum status write_latest(const char *folder, const char *path, struct error *err)
{
    char latest[CHECKPOINT_PATH], line[128];
    int n = snprintf(line, sizeof line, "%s\n", strrchr(path, '/') + 1);

    if (snprintf(latest, sizeof latest, "%s/latest", folder) >= (int)sizeof latest)
        return fail(err, E_ARG, "the name of a folder is longer than %d letters", CHECKPOINT_PATH);
    return file_write(latest, line, (uint64_t)n, err);
}

enum status checkpoint_save(const struct train_state *s, const char *folder, int64_t keep,
                            struct error *err)
{
    struct save_tensor *rows = NULL;
    struct part part[PARTS];
    void *names[PARTS] = {0};
    char path[CHECKPOINT_PATH], *text = NULL;
    int64_t n = 0, room = 0, more;
    int parts = parts_of(s, part);
    enum status st;

    for (int k = 0; k < parts; k++)
        room += params_count(part[k].params);
    if ((st = checkpoint_path(path, folder, s->model->step, err)) ||
        (st = model_describe(s->model, &text, err)) ||
        (st = mem_new((void **)&rows, (uint64_t)room, sizeof *rows, "a list of tensors", err)))
        goto out;
    for (int k = 0; k < parts; k++, n += more)
        if ((st = params_describe(part[k].params, part[k].prefix, part[k].which, part[k].values,
                                  rows + n, &more, &names[k], err)))
            goto out;
    st = safetensors_save(
        path, rows, n,
        (struct save_text[]){{"format", "pt"}, {"imgen", text}, {"imgen.train", s->config}}, 3,
        err);
    if (st || (st = write_latest(folder, path, err)))
        goto out;
    remove_older(folder, keep, s->model->step);
out:
    for (int k = 0; k < PARTS; k++)
        free(names[k]);
    free(rows);
    free(text);
    return st;
}

/* The largest tensor that is turned into another order to be written. */
static int64_t largest_turned(struct params *p)
{
    int64_t largest = 0;

    for (int64_t i = 0; i < params_count(p); i++) {
        int64_t bytes = shape_count(params_at(p, i)->shape) * (int64_t)sizeof(float);

        if (!param_keeps_order(params_at(p, i)) && bytes > largest)
            largest = bytes;
    }
    return largest;
}

int64_t checkpoint_bytes(const struct train_state *s)
{
    struct part part[PARTS];
    int64_t largest = 0, entries = 0;

    for (int n = parts_of(s, part), k = 0; k < n; k++) {
        int64_t bytes = largest_turned(part[k].params);

        largest = bytes > largest ? bytes : largest;
        entries += params_count(part[k].params);
    }
    return largest + entries * ENTRY_BYTES;
}

/* Whether the checkpoint of that step opens.  Memory that is missing now says nothing about the
 * file, and must not make a run go on from an older one: E_MEMORY. */
static enum status opens(bool *good, char path[CHECKPOINT_PATH], const char *folder, int64_t step,
                         struct error *err)
{
    struct weights *f = NULL;
    enum status st;

    *good = false;
    if ((st = checkpoint_path(path, folder, step, err)))
        return st;
    if (!(st = weights_open(&f, path, err)))
        *good = weights_metadata(f, "imgen.train") != NULL;
    weights_close(f);
    return st == E_MEMORY ? st : OK;
}

/* The step that `latest` names, or -1. */
static enum status named(int64_t *step, const char *folder, struct error *err)
{
    char latest[CHECKPOINT_PATH];
    uint8_t *line = NULL;
    uint64_t n;
    enum status st;

    *step = -1;
    if (snprintf(latest, sizeof latest, "%s/latest", folder) >= (int)sizeof latest)
        return OK;
    if (!(st = file_read(&line, &n, latest, 256, err))) {
        line[strcspn((char *)line, "\r\n")] = 0;
        *step = step_of((char *)line);
    }
    free(line);
    return st == E_MEMORY ? st : OK;
}

/* The highest step below `below` in the folder, or -1. */
static enum status highest(int64_t *out, const char *folder, int64_t below, struct error *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    *out = -1;
    if (!dir && errno == ENOENT)
        return OK;
    if (!dir)
        return fail_errno(err, errno == ENOMEM ? E_MEMORY : E_IO, "%s: cannot be listed", folder);
    while ((entry = readdir(dir))) {
        int64_t step = step_of(entry->d_name);

        if (step < below && step > *out)
            *out = step;
    }
    closedir(dir);
    return OK;
}

enum status checkpoint_find(char out[CHECKPOINT_PATH], const char *folder, struct error *err)
{
    int64_t step;
    bool good = false;
    enum status st;

    if ((st = named(&step, folder, err)))
        return st;
    if (step >= 0 && ((st = opens(&good, out, folder, step, err)) || good))
        return st;
    if ((st = highest(&step, folder, INT64_MAX, err)))
        return st;
    while (step >= 0) {
        if ((st = opens(&good, out, folder, step, err)) || good)
            return st;
        if ((st = highest(&step, folder, step, err)))
            return st;
    }
    return fail(err, E_IO, "%s: there is no checkpoint to go on from", folder);
}

bool checkpoint_exists(const char *folder)
{
    int64_t step;

    /* What cannot be listed may hold one: better refuse than write over it. */
    return highest(&step, folder, INT64_MAX, NULL) || step >= 0;
}

static enum status read_step(struct train_state *s, const struct weights *f, const char *path,
                             struct error *err)
{
    const char *text = weights_metadata(f, "imgen");
    struct model *other = NULL;
    enum status st;

    if (!text || !weights_metadata(f, "imgen.train"))
        return fail(err, E_FORMAT, "%s: no checkpoint of imgen", path);
    if ((st = model_from_text(&other, text, path, err)))
        return st;
    if (other->network->kind != s->model->network->kind)
        st = fail(err, E_FORMAT, "%s: holds a %s, not a %s", path, other->network->kind->name,
                  s->model->network->kind->name);
    else if ((st = latent_spaces_match(other->space, "checkpoint", s->model->space, err)))
        fail_under(err, "%s", path);
    s->model->step = other->step;
    model_free(other);
    return st;
}

enum status checkpoint_load(struct train_state *s, const char *path, struct error *err)
{
    struct weights *f = NULL;
    struct part part[PARTS];
    int parts = parts_of(s, part);
    enum status st;

    if ((st = weights_open(&f, path, err)) || (st = read_step(s, f, path, err)))
        goto out;
    for (int k = 0; k < parts && !st; k++)
        st = params_load(part[k].params, f, part[k].prefix, part[k].which, part[k].values, err);
    if (st)
        fail_under(err, "%s", path);
out:
    weights_close(f);
    return st;
}

void checkpoint_clean(const char *folder)
{
    char path[CHECKPOINT_PATH];
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (strstr(entry->d_name, FILE_TEMPORARY_MARK) &&
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path)
            unlink(path);
    if (dir)
        closedir(dir);
}
