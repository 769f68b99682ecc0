/*
 * settings.c - the numbers behind the names of a request
 *
 * Solvers, schedules and kinds of guidance carry their own rows of options, so what can be set
 * follows from what is chosen: `sampler.zeta` exists while the solver is one that has a zeta.  The
 * kinds are read first, wherever in the list they stand; then all assignments, against the rows of
 * the kinds.  A new solver or guidance is here without a line.
 */
#include "pipeline/settings.h"

#include <stddef.h>
#include <string.h>

struct guidance_options {
    int kind;
    double from, to, rescale, threshold, perturbed, skip, skip_start, skip_stop;
    char *negative;
    struct int_list layers, skip_layers;
};

struct sde_options {
    int kind, last;
    double scale;
};

static const char *guidance_choice(int i)
{
    return guidance_kind_at(i) ? guidance_kind_at(i)->is.name : NULL;
}

static const char *diffusion_choice(int i)
{
    return diffusion_kind_at(i) ? diffusion_kind_at(i)->is.name : NULL;
}

static const char *last_choice(int i)
{
    return last_step_at(i) ? last_step_at(i)->name : NULL;
}

static const struct option guidance_rows[] = {
    {"kind", "how the two predictions become one", OPTION_CHOICE,
     offsetof(struct guidance_options, kind), .choice = guidance_choice},
    {"from", "guided after this time, as trained before; below 0: from the start", OPTION_REAL,
     offsetof(struct guidance_options, from), "-1", .lo = -1, .hi = 1},
    {"to", "guided up to this time, as trained after", OPTION_REAL,
     offsetof(struct guidance_options, to), "1", .lo = 0, .hi = 1},
    {"rescale", "share of the result that gets the deviation of the guided prediction", OPTION_REAL,
     offsetof(struct guidance_options, rescale), "0", .lo = 0, .hi = 1},
    {"threshold", "quantile of the predicted picture's numbers to clip at; 0: none", OPTION_REAL,
     offsetof(struct guidance_options, threshold), "0", .lo = 0, .hi = 1},
    {"negative", "a label or text to guide away from, in the place of none", OPTION_TEXT,
     offsetof(struct guidance_options, negative), .value = "LABEL"},
    {"perturbed", "away from itself with attention that keeps values in place, so far; 0: not",
     OPTION_REAL, offsetof(struct guidance_options, perturbed), "0", .lo = 0, .hi = 1000},
    {"layers", "perturbed: which self-attention, from the input on, 0 first; none: the middle",
     OPTION_INTS, offsetof(struct guidance_options, layers), .lo = 0, .hi = 100000,
     .value = "N,N,..."},
    {"skip", "away from itself with blocks left out, so far; 0: not", OPTION_REAL,
     offsetof(struct guidance_options, skip), "0", .lo = 0, .hi = 1000},
    {"skip_layers", "skip: which blocks, 0 first, never the last; none: 7,8,9", OPTION_INTS,
     offsetof(struct guidance_options, skip_layers), .lo = 0, .hi = 100000, .value = "N,N,..."},
    {"skip_start", "skip: after this share of the steps ...", OPTION_REAL,
     offsetof(struct guidance_options, skip_start), "0.01", .lo = 0, .hi = 1},
    {"skip_stop", "skip: ... and before this one", OPTION_REAL,
     offsetof(struct guidance_options, skip_stop), "0.2", .lo = 0, .hi = 1},
    {0},
};

static const struct option sde_rows[] = {
    {"kind", "how the strength of the noise changes with time", OPTION_CHOICE,
     offsetof(struct sde_options, kind), .choice = diffusion_choice},
    {"scale", "strength of the noise; 0: the flow", OPTION_REAL,
     offsetof(struct sde_options, scale), "1", .lo = 0, .hi = 1e6},
    {"last", "what the last step does, whose noise would stay", OPTION_CHOICE,
     offsetof(struct sde_options, last), .choice = last_choice},
    {0},
};

/* Which says a kind, and not what the kind decides. */
static bool chooses(const char *assignment)
{
    assignment += strspn(assignment, " \t");
    return !strncmp(assignment, "guidance.kind", 13) || !strncmp(assignment, "sde.", 4);
}

static enum status assign(const struct option_set *set, const char *const *assignments, int n,
                          bool kinds, struct error *err)
{
    enum status st = OK;

    for (int i = 0; i < n && !st; i++)
        if (chooses(assignments[i]) == kinds)
            st = options_assign(set, assignments[i], err);
    return st;
}

static enum status assign_kinds(struct settings *s, struct guidance_options *guidance,
                                const char *const *assignments, int n, struct error *err)
{
    struct sde_options sde = {0};
    const struct option_group groups[] = {{"guidance", guidance_rows, guidance, NULL},
                                          {"sde", sde_rows, &sde, NULL}};
    const struct option_set set = {groups, 2};
    enum status st;

    if ((st = options_default(&set, err)) || (st = assign(&set, assignments, n, true, err)))
        return st;
    s->diffusion = (struct diffusion){
        .kind = diffusion_kind_at(sde.kind), .scale = sde.scale, .last = (enum last_step)sde.last};
    s->guidance.kind = guidance_kind_at(guidance->kind);
    choice_defaults(s->guidance.values, &s->guidance.kind->is);
    return OK;
}

static enum status take_layers(int64_t *to, int *n, const struct int_list *from, const char *name,
                               struct error *err)
{
    if (from->n > SETTINGS_LAYERS)
        return fail(err, E_ARG, "guidance.%s: %d layers are more than %d", name, from->n,
                    SETTINGS_LAYERS);
    *n = from->n;
    for (int i = 0; i < from->n; i++)
        to[i] = from->at[i];
    return OK;
}

static enum status assign_numbers(struct settings *s, struct guidance_options *guidance,
                                  const struct option_group *more, const char *const *assignments,
                                  int n, struct error *err)
{
    const struct option_group groups[] = {
        choice_options(&s->sampler->is, "sampler", s->sampler_values),
        choice_options(&s->grid.kind->is, "schedule", s->grid.values),
        {"guidance", guidance_rows, guidance, NULL},
        choice_options(&s->guidance.kind->is, "guidance", s->guidance.values),
        more ? *more : (struct option_group){0},
    };
    const struct option_set set = {groups, more ? 5 : 4};
    const char *negative;
    enum status st;

    if ((st = assign(&set, assignments, n, false, err))) {
        fail_under(err, "solver %s, schedule %s, guidance %s", s->sampler->is.name,
                   s->grid.kind->is.name, s->guidance.kind->is.name);
        return st;
    }
    negative = guidance->negative ? guidance->negative : "";
    if (strlen(negative) >= sizeof s->negative)
        return fail(err, E_ARG, "guidance.negative: %zu letters are more than %d: '%.40s...'",
                    strlen(negative), SETTINGS_LABEL - 1, negative);
    memcpy(s->negative, negative, strlen(negative) + 1);
    if ((st = take_layers(s->layers, &s->n_layers, &guidance->layers, "layers", err)) ||
        (st = take_layers(s->skip.block, &s->skip.n, &guidance->skip_layers, "skip_layers", err)))
        return st;
    s->skip.scale = guidance->skip;
    s->skip.start = guidance->skip_start;
    s->skip.stop = guidance->skip_stop;
    s->guidance.perturbed_from = -1;
    s->guidance.perturbed_to = 1;
    s->guidance.perturbed = guidance->perturbed;
    s->guidance.from = guidance->from;
    s->guidance.to = guidance->to;
    s->guidance.rescale = guidance->rescale;
    s->guidance.threshold = guidance->threshold;
    return OK;
}

enum status settings_assign(struct settings *s, const struct option_group *more,
                            const char *const *assignments, int n, struct error *err)
{
    struct guidance_options guidance = {0};
    const struct option_group held = {"guidance", guidance_rows, &guidance, NULL};
    enum status st;

    if (!(st = assign_kinds(s, &guidance, assignments, n, err)))
        st = assign_numbers(s, &guidance, more, assignments, n, err);
    options_release(&(struct option_set){&held, 1});
    return st;
}

void settings_init(struct settings *s, const struct sampler *sampler, const struct grid_kind *grid,
                   const struct path *path)
{
    enum status st;

    *s = (struct settings){.sampler = sampler, .grid = {.kind = grid, .path = path}};
    choice_defaults(s->sampler_values, &sampler->is);
    choice_defaults(s->grid.values, &grid->is);
    st = settings_assign(s, NULL, NULL, 0, NULL);
    MUST(!st, "the defaults of guidance and SDE are not valid");
}

static void each_row(const char *section, const char *of, const struct option *rows,
                     settings_row *tell, void *user)
{
    for (; rows && rows->name; rows++)
        tell(section, of, rows, user);
}

void settings_each(settings_row *tell, void *user)
{
    for (int i = 0; sampler_at(i); i++)
        each_row("sampler", sampler_at(i)->is.name, sampler_at(i)->is.options, tell, user);
    for (int i = 0; grid_kind_at(i); i++)
        each_row("schedule", grid_kind_at(i)->is.name, grid_kind_at(i)->is.options, tell, user);
    each_row("guidance", NULL, guidance_rows, tell, user);
    for (int i = 0; guidance_kind_at(i); i++)
        each_row("guidance", guidance_kind_at(i)->is.name, guidance_kind_at(i)->is.options, tell,
                 user);
    each_row("sde", NULL, sde_rows, tell, user);
}
