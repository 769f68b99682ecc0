/*
 * grid_axis.c - what may vary along an axis of `imgen grid`
 *
 * Eight things decide about a picture beside the noise: the table below has a row for each, with
 * how a value is read and what is written beside its pictures.  A row more is an axis more.  The
 * same rows read the flags that hold for the whole grid, so a value is right or wrong in one place.
 *
 * Checkpoints are files; a whole number is a step of the run that the model on the command line
 * belongs to.
 */
#include "grid_axis.h"

#include "part_flags.h"
#include "request_models.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Models ---- */

static bool is_folder(const char *path)
{
    struct stat s;

    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Along an axis all models must take the same requests and make pictures of one size. */
static int check_alike(const struct grid_models *m, const struct imgen_model_info *other,
                       const char *path)
{
    const struct imgen_model_info *first = &m->info;

    if (other->height == first->height && other->width == first->width &&
        other->channels == first->channels && other->frames == first->frames &&
        other->n_labels == first->n_labels && other->guided == first->guided &&
        !other->text_bytes == !first->text_bytes)
        return EXIT_DONE;
    return command_misused(&command_grid,
                           "%s makes pictures of %d x %d x %d in %d labels, %s of %d x %d x %d in "
                           "%d: they do not fit into one grid",
                           m->name[0], first->width, first->height, first->channels,
                           first->n_labels, path, other->width, other->height, other->channels,
                           other->n_labels);
}

static int add_model(struct grid_models *m, const char *path)
{
    struct imgen_model_info info;
    struct imgen_error err;
    int code;

    if (parts_named(&m->parts) ? imgen_model_open_parts(&m->at[m->n], path, &m->parts, &err)
                               : imgen_model_open(&m->at[m->n], path, &err))
        return command_failed(&command_grid, &err);
    m->n++;
    if ((code = request_autoencoder(m->at[m->n - 1], &info, &command_grid, NULL)))
        return code;
    if ((m->width || m->height) &&
        imgen_model_resize(m->at[m->n - 1], (int)(m->width ? m->width : info.width),
                           (int)(m->height ? m->height : info.height), &err))
        return command_failed(&command_grid, &err);
    if (m->frames && imgen_model_set_frames(m->at[m->n - 1], (int)m->frames, &err))
        return command_failed(&command_grid, &err);
    imgen_model_info(m->at[m->n - 1], &info);
    snprintf(m->name[m->n - 1], GRID_CAPTION, "%s", last_part(path));
    if (m->n > 1)
        return check_alike(m, &info, path);
    m->info = info;
    return EXIT_DONE;
}

/* The model of a run's folder, or while it is being trained the checkpoint that `latest` names. */
static void model_of_run(char out[GRID_PATH], const char *folder)
{
    char name[256] = "";
    FILE *f;

    snprintf(out, GRID_PATH, "%s/model.safetensors", folder);
    if (!access(out, F_OK))
        return;
    snprintf(out, GRID_PATH, "%s/latest", folder);
    f = fopen(out, "r");
    if (f && fgets(name, sizeof name, f))
        name[strcspn(name, "\n")] = 0;
    if (f)
        fclose(f);
    snprintf(out, GRID_PATH, "%s/%s", folder, *name ? name : "model.safetensors");
}

/* A folder with a published model is one, and no run's. */
static bool is_published(const char *folder)
{
    char path[GRID_PATH];

    snprintf(path, sizeof path, "%s/model_index.json", folder);
    return !access(path, F_OK);
}

int grid_models_open(struct grid_models *m, const char *word)
{
    char path[GRID_PATH];

    m->given = word;
    if (is_folder(word) && !is_published(word))
        model_of_run(path, word);
    else
        snprintf(path, sizeof path, "%s", word);
    return add_model(m, path);
}

int grid_models_open_guide(struct grid_models *m, const char *path)
{
    struct imgen_error err;

    if (imgen_model_open(&m->guide, path, &err))
        return command_failed(&command_grid, &err);
    snprintf(m->guide_name, sizeof m->guide_name, "%s", last_part(path));
    return EXIT_DONE;
}

void grid_models_release(struct grid_models *m)
{
    for (int i = 0; i < m->n; i++)
        imgen_model_close(m->at[i]);
    imgen_model_close(m->guide);
}

/* ---- Values ---- */

static int wrong(const char *axis, const char *value, const char *want)
{
    return command_misused(&command_grid, "%s: '%.60s' is not %s", axis, value, want);
}

static bool is_whole(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static int read_guidance(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    char *end;
    double w = strtod(value, &end);

    if (!*value || *end || !(w >= 0) || isinf(w))
        return wrong("guidance", value, "a number of 0 or more");
    if (!m->info.guided && !m->guide && w != 1)
        return command_misused(&command_grid,
                               "guidance: %s was not trained to be guided, so %s cannot be had",
                               m->name[0], value);
    cell->guidance = w;
    return EXIT_DONE;
}

static void caption_guidance(char out[GRID_CAPTION], const struct grid_cell *cell,
                             const struct grid_models *m)
{
    (void)m;
    snprintf(out, GRID_CAPTION, "w = %g", cell->guidance);
}

static int read_steps(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    (void)m;
    if (!is_whole(value) || strlen(value) > 4 || atoi(value) < 1 || atoi(value) > 1000)
        return wrong("steps", value, "a whole number from 1 to 1000");
    cell->steps = atoi(value);
    return EXIT_DONE;
}

static void caption_steps(char out[GRID_CAPTION], const struct grid_cell *cell,
                          const struct grid_models *m)
{
    (void)m;
    snprintf(out, GRID_CAPTION, "%d step%s", cell->steps, cell->steps == 1 ? "" : "s");
}

static int read_sampler(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    const char *names[GRID_VALUES], *nearest;
    struct imgen_choice c;
    int n = 0;

    (void)m;
    for (; n < GRID_VALUES && imgen_list(IMGEN_SAMPLERS, n, &c); n++) {
        names[n] = c.name;
        if (!strcmp(c.name, value)) {
            cell->sampler = c.name;
            return EXIT_DONE;
        }
    }
    nearest = imgen_nearest(value, names, n);
    return command_misused(&command_grid, "sampler: there is none called '%.60s'%s%s%s", value,
                           nearest ? "; did you mean '" : " (imgen list samplers)",
                           nearest ? nearest : "", nearest ? "'?" : "");
}

static void caption_sampler(char out[GRID_CAPTION], const struct grid_cell *cell,
                            const struct grid_models *m)
{
    (void)m;
    snprintf(out, GRID_CAPTION, "%s", cell->sampler);
}

static int read_seed(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    (void)m;
    errno = 0;
    cell->seed = strtoull(value, NULL, 10);
    return is_whole(value) && !errno ? EXIT_DONE : wrong("seed", value, "a whole number");
}

static void caption_seed(char out[GRID_CAPTION], const struct grid_cell *cell,
                         const struct grid_models *m)
{
    (void)m;
    snprintf(out, GRID_CAPTION, "seed %" PRIu64, cell->seed);
}

static int read_label(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    struct imgen_error err;

    if (!m->info.n_labels)
        return command_misused(&command_grid, "label: %s knows no labels", m->name[0]);
    if (imgen_model_find_label(m->at[0], value, &cell->label, &err))
        return command_failed(&command_grid, &err);
    return EXIT_DONE;
}

static void caption_label(char out[GRID_CAPTION], const struct grid_cell *cell,
                          const struct grid_models *m)
{
    const char *name = imgen_model_label(m->at[0], cell->label);

    if (cell->label < 0 || cell->label == m->info.null_label)
        snprintf(out, GRID_CAPTION, "no label");
    else if (name)
        snprintf(out, GRID_CAPTION, "%s", name);
    else
        snprintf(out, GRID_CAPTION, "label %d", cell->label);
}

static int read_prompt(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    int i = 0;

    if (!m->info.text_bytes)
        return command_misused(&command_grid, "prompt: %s reads no texts", m->name[0]);
    while (i < m->n_prompts && strcmp(m->prompt[i], value) != 0)
        i++;
    if (i == m->n_prompts) /* each is read by an axis or a flag, and stays where it stands */
        m->prompt[m->n_prompts++] = value;
    cell->label = i;
    return EXIT_DONE;
}

static void caption_prompt(char out[GRID_CAPTION], const struct grid_cell *cell,
                           const struct grid_models *m)
{
    snprintf(out, GRID_CAPTION, "%.60s", cell->label < 0 ? "no prompt" : m->prompt[cell->label]);
}

static int read_strength(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    char *end;
    double d = strtod(value, &end);

    if (!*value || *end || !(d >= 0 && d <= 1))
        return wrong("strength", value, "a number from 0 to 1");
    if (!m->has_init)
        return command_misused(&command_grid,
                               "strength: of which picture? Name it with --init-img");
    cell->strength = d;
    return EXIT_DONE;
}

static void caption_strength(char out[GRID_CAPTION], const struct grid_cell *cell,
                             const struct grid_models *m)
{
    (void)m;
    snprintf(out, GRID_CAPTION, "strength %g", cell->strength);
}

/* The run's folder: what was given, or where it stands. */
static void step_path(char out[GRID_PATH], const char *given, const char *step)
{
    const char *slash = strrchr(given, '/');
    int n = is_folder(given) ? (int)strlen(given) : slash ? (int)(slash - given) : 0;

    snprintf(out, GRID_PATH, "%.*s%scheckpoint-%08llu.safetensors", n, given, n ? "/" : "",
             strtoull(step, NULL, 10));
}

static int read_checkpoint(struct grid_cell *cell, struct grid_models *m, const char *value)
{
    bool is_step = is_whole(value);
    char path[GRID_PATH];
    int code;

    if (m->n > GRID_MODELS)
        return command_misused(&command_grid, "more than %d checkpoints", GRID_MODELS);
    if (is_step)
        step_path(path, m->given, value);
    else
        snprintf(path, sizeof path, "%s", value);
    if ((code = add_model(m, path)))
        return code;
    cell->model = m->n - 1;
    if (is_step)
        snprintf(m->name[cell->model], GRID_CAPTION, "step %s", value);
    return EXIT_DONE;
}

static void caption_checkpoint(char out[GRID_CAPTION], const struct grid_cell *cell,
                               const struct grid_models *m)
{
    snprintf(out, GRID_CAPTION, "%s", m->name[cell->model]);
}

static const struct grid_axis_kind kinds[] = {
    {"guidance", "cfg_scale", read_guidance, caption_guidance},
    {"steps", "steps", read_steps, caption_steps},
    {"sampler", "sampling_method", read_sampler, caption_sampler},
    {"seed", "seed", read_seed, caption_seed},
    {"label", "label", read_label, caption_label},
    {"prompt", "prompt", read_prompt, caption_prompt},
    {"strength", "strength", read_strength, caption_strength},
    {"checkpoint", NULL, read_checkpoint, caption_checkpoint},
};

const struct grid_axis_kind *grid_axis_kind_at(int i)
{
    return i >= 0 && i < (int)(sizeof kinds / sizeof *kinds) ? &kinds[i] : NULL;
}

/* ---- An axis ---- */

static int find_kind(struct grid_axis *a, const char *flag, const char *name, size_t n)
{
    const char *names[sizeof kinds / sizeof *kinds], *nearest;
    char word[64];

    snprintf(word, sizeof word, "%.*s", (int)n, name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        names[i] = kinds[i].name;
        if (!strcmp(word, kinds[i].name) || (kinds[i].other && !strcmp(word, kinds[i].other)))
            a->kind = &kinds[i];
    }
    if (a->kind)
        return EXIT_DONE;
    nearest = imgen_nearest(word, names, sizeof kinds / sizeof *kinds);
    if (nearest)
        return command_misused(&command_grid, "--%s: there is no axis '%s'; did you mean '%s'?",
                               flag, word, nearest);
    return command_misused(&command_grid, "--%s: there is no axis '%s'; see imgen help grid", flag,
                           word);
}

/* Blanks around a value do not count. */
static int add_value(struct grid_axis *a, const char *flag, const char *text, size_t n)
{
    while (n && *text == ' ')
        text++, n--;
    while (n && text[n - 1] == ' ')
        n--;
    if (a->n == GRID_VALUES)
        return command_misused(&command_grid, "--%s: more than %d values", flag, GRID_VALUES);
    if (!n || n >= sizeof a->value[0])
        return command_misused(&command_grid, "--%s: value %d has %zu letters", flag, a->n + 1, n);
    snprintf(a->value[a->n++], sizeof a->value[0], "%.*s", (int)n, text);
    return EXIT_DONE;
}

int grid_axis_read(struct grid_axis *a, const char *flag, const char *text)
{
    const char *equals = text ? strchr(text, '=') : NULL;
    int code;

    if (!text) {
        a->n = 1;
        return EXIT_DONE;
    }
    if (!equals)
        return command_misused(&command_grid, "--%s: '%.60s' is not AXIS=value,value,...", flag,
                               text);
    if ((code = find_kind(a, flag, text, (size_t)(equals - text))))
        return code;
    for (text = equals + 1;; text++) {
        size_t n = strcspn(text, ",");

        if ((code = add_value(a, flag, text, n)))
            return code;
        text += n;
        if (!*text)
            return EXIT_DONE;
    }
}

int grid_axis_apply(struct grid_cell *cell, const struct grid_axis *a, int i, struct grid_models *m)
{
    return a->kind ? a->kind->read(cell, m, a->value[i]) : EXIT_DONE;
}
