/*
 * lab.c - studies: one question of the theory, put to a law in the plane
 *
 * What a person can look at, a person can check: in the plane every object of the theory is a
 * picture, and for the laws of law.c it has an exact value.  A study takes one question (do SDEs of
 * every strength end in the same law?), computes it with the library's own paths, fields, solvers
 * and losses, and leaves a figure and numbers.  Nothing of the theory is implemented here a second
 * time.
 */
#include "lab/lab.h"

#include "base/json.h"

#include <string.h>

/* The list of studies: a new one is one file and one name here. */
#define STUDIES(X) X(paths) X(marginals) X(fields) X(ode) X(sde) X(guidance) X(convergence) X(train)

#define DECLARE(name) extern const struct study study_##name;
STUDIES(DECLARE)
#undef DECLARE

const struct study *study_at(int i)
{
#define ADDRESS(name) &study_##name,
    static const struct study *const all[] = {STUDIES(ADDRESS)};
#undef ADDRESS

    return i >= 0 && i < (int)(sizeof(all) / sizeof(*all)) ? all[i] : NULL;
}

enum status study_find(const struct study **out, const char *name, struct error *err)
{
    const char *names[32], *nearest;
    int n = 0;

    for (; study_at(n); n++) {
        names[n] = study_at(n)->name;
        if (!strcmp(names[n], name)) {
            *out = study_at(n);
            return OK;
        }
    }
    nearest = text_nearest(name, names, n);
    return fail(err, E_ARG, "there is no study '%s'%s%s%s", name, nearest ? "; did you mean '" : "",
                nearest ? nearest : "", nearest ? "'?" : "");
}

/* What was asked, as JSON: {"study": "paths", "law": "moons", ...}. */
static enum status tell_config(char **out, const struct study *study, const void *config,
                               struct error *err)
{
    const struct option_group group = {"", study->rows, (void *)(uintptr_t)config, NULL};
    const struct option_set set = {&group, 1};
    json_t *json = NULL, *all = json_pack("{s:s}", "study", study->name);
    enum status st;

    if (!(st = options_to_json(&set, &json, err)))
        st = !all || json_object_update(all, json)
                 ? fail(err, E_MEMORY, "no memory for the options of a study")
                 : config_dump(out, all, err);
    json_decref(json);
    json_decref(all);
    return st;
}

enum status lab_run(struct lab *lab, const struct study *study, const void *config,
                    struct error *err)
{
    enum status st;

    if ((st = tell_config(&lab->findings.config, study, config, err)) ||
        (st = study->run(lab, config, err)))
        return st;
    return findings_check(&lab->findings, err);
}

const char *study_path_name(int i)
{
    return path_kind_at(i) ? path_kind_at(i)->is.name : NULL;
}

const struct sampler *study_sampler(int i)
{
    const struct sampler *s;

    for (int k = 0; (s = sampler_at(k)); k++)
        if (!s->stochastic && !s->adaptive && i-- == 0)
            return s;
    return NULL;
}

const char *study_sampler_name(int i)
{
    return study_sampler(i) ? study_sampler(i)->is.name : NULL;
}

enum status study_open(struct law *law, struct path *path, const struct study_setup *setup,
                       struct error *err)
{
    enum status st;

    *law = (struct law){0};
    if ((st = path_init(path, study_path_name(setup->path), err)))
        return st;
    return law_open(law, setup->law, err);
}

enum status study_check_times(const struct real_list *times, struct error *err)
{
    if (times->n < 1 || times->n > 8)
        return fail(err, E_ARG, "%d times; one row shows 1 to 8", times->n);
    return OK;
}

bool lab_goes_on(struct lab *lab)
{
    return !lab->callback || lab->callback(lab->self, lab->done);
}

enum status lab_reached(struct lab *lab, double done, struct error *err)
{
    lab->done = done;
    if (lab_goes_on(lab))
        return OK;
    return fail(err, E_CANCELLED, "the study was stopped when %.0f %% were done", 100 * done);
}
