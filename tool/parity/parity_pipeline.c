/*
 * parity_pipeline.c - a whole model, from prompt to picture, as it is published
 *
 * A folder with info.json, io.safetensors and the folder layout in diffusers/ is one fixture; where
 * a single file with the same weights lies beside, both are run.  What is asked stands in
 * info.json; the numbers on the way are those of io.safetensors:
 *
 *     mid.context, mid.y, and mid.neg_...    what the encoders say of the prompts
 *     mid.sigmas                             the steps
 *     mid.euler.x<i>                         where each begins
 *     out.latent_..., out.image, out.u8      where they end
 *     in.init_latent, out.img2img_latent     a picture begun with, and what became of it
 *
 * The noise is the fixture's.  Tolerances are those of its README.
 */
#include "parity.h"

#include "base/json.h"
#include "base/memory.h"
#include "data/listing.h"
#include "pipeline/generate.h"
#include "pipeline/sd3.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096, STEPS_MOST = 64 };

static const struct parity_limit of_conditioning = {.absolute = 1e-4};
static const struct parity_limit of_latents = {.of_each = 5e-4, .absolute = 5e-4};
static const struct parity_limit of_extrapolated = {.of_each = 2e-3, .absolute = 2e-3};
static const struct parity_limit of_pictures = {.absolute = 2e-3};
static const struct parity_limit of_levels = {.absolute = 2};
static const struct parity_limit of_sigmas = {.absolute = 1e-6};

/* The fixture while it is compared. */
struct whole {
    struct parity_report *r;
    struct parity_fixture *f;
    const struct parity_options *options;
    struct parity_part io;
    const char *prompt, *negative, *layout;
    int64_t steps;
    double scale, shift, strength;
    struct model *m;
};

static bool there(const char *folder, const char *name)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path_is_file(path) || path_is_folder(path);
}

static bool owns_pipeline(const char *folder)
{
    return there(folder, "info.json") && there(folder, "io.safetensors") &&
           there(folder, "diffusers/model_index.json");
}

/* --- what the prompts become --------------------------------------------------------------------
 */

static enum status compare(struct whole *w, const char *name, const float *got, int64_t n,
                           struct parity_limit limit, struct error *err)
{
    struct parity_array want;
    enum status st;

    if ((st = fixture_f32(w->f, &want, &w->io, name, err)))
        return st;
    if (want.n != n)
        parity_claim(w->r, name, false, "%lld numbers, and %lld in the reference", (long long)n,
                     (long long)want.n);
    else
        parity_compare_f32(w->r, name, got, want.v, n, limit);
    return OK;
}

static enum status check_conditioning(struct whole *w, struct error *err)
{
    const char *const text[] = {w->prompt, w->negative};
    const char *const name[2][2] = {{"mid.context", "mid.y"}, {"mid.neg_context", "mid.neg_y"}};
    const struct encoding_how how = {.threads = w->options->threads};
    struct prompts p;
    enum status st = prompts_encode(&p, w->m->encoders, &w->m->network->io, text, 2, &how, err);

    for (int i = 0; i < 2 && !st; i++) {
        int64_t length = p.tokens * p.width;

        if (!(st = compare(w, name[i][0], p.context + i * length, length, of_conditioning, err)))
            st = compare(w, name[i][1], p.pooled + i * p.pooled_width, p.pooled_width,
                         of_conditioning, err);
    }
    prompts_release(&p);
    return st;
}

/* --- from noise to a picture --------------------------------------------------------------------
 */

/* States after each step, and what they are compared with. */
struct seen {
    struct whole *w;
    float *state; /* [steps, length], channels first as in the fixture */
    int64_t pixels, channels;
};

/* [pixels, channels] -> [channels, pixels]. */
static void planes(float *out, const double *in, int64_t pixels, int64_t channels)
{
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < channels; c++)
            out[c * pixels + i] = (float)in[i * channels + c];
}

static bool look(const struct generate_progress *p, void *user)
{
    struct seen *s = user;

    if (p->x && p->step >= 1 && p->step <= s->w->steps)
        planes(s->state + (p->step - 1) * s->pixels * s->channels, p->x, s->pixels, s->channels);
    return true;
}

static enum status settings_of(struct sample_defaults *out, const struct whole *w,
                               const char *sampler, struct error *err)
{
    struct option_group group = {"", sample_option_rows, out, NULL};
    struct option_set set = {&group, 1};

    *out = w->m->sample;
    out->steps = w->steps;
    out->shift = w->shift;
    return options_set(&set, "sampling_method", sampler, err);
}

/* The noise, or a latent to begin with, as the network has it, channels last. */
static enum status read_latent(struct whole *w, const char *name, struct parity_array *out,
                               struct error *err)
{
    struct parity_array in;
    enum status st = fixture_f32(w->f, &in, &w->io, name, err);

    return st ? st : channels_last(w->f, out, &in, err);
}

/* of: what to begin with, or NULL. */
static enum status draw(struct whole *w, const char *sampler, const struct repaint_request *of,
                        struct seen *s, float **picture, struct error *err)
{
    const struct generate_item item = {.label = 0, .w = w->scale};
    struct generate_request g = {.model = w->m,
                                 .texts = &w->prompt,
                                 .n_texts = 1,
                                 .repaint = of,
                                 .strength = w->strength,
                                 .items = &item,
                                 .n = 1,
                                 .threads = w->options->threads,
                                 .progress = look,
                                 .user = s};
    struct view_shape shape = view_shape(w->m, false);
    char negative[1200];
    const char *number = negative;
    struct parity_array noise;
    enum status st;

    snprintf(negative, sizeof negative, "guidance.negative=%s", w->negative);
    g.numbers = &number;
    g.n_numbers = 1;
    s->w = w;
    s->pixels = w->m->network->io.height * w->m->network->io.width;
    s->channels = w->m->network->io.in_channels;
    if ((st = read_latent(w, "in.noise", &noise, err)) ||
        (st = settings_of(&g.settings, w, sampler, err)) ||
        (st = fixture_new(w->f, (void **)&s->state, (uint64_t)(w->steps * s->pixels * s->channels),
                          sizeof(float), err)) ||
        (st = fixture_new(w->f, (void **)picture, (uint64_t)view_length(&shape), sizeof(float),
                          err)))
        return st;
    g.noise = noise.v;
    return generate(*picture, &g, NULL, err);
}

static enum status check_steps(struct whole *w, const struct seen *s, struct error *err)
{
    int64_t length = s->pixels * s->channels;
    enum status st = OK;

    for (int64_t i = 1; i < w->steps && !st; i++) {
        char name[32];

        snprintf(name, sizeof name, "mid.euler.x%d", (int)i);
        st = compare(w, name, s->state + (i - 1) * length, length, of_latents, err);
    }
    return st;
}

/* [H, W, C] in -1 .. 1 -> [C, H, W], and bytes as the reference makes them, truncated. */
static enum status check_picture(struct whole *w, const float *picture, struct error *err)
{
    struct view_shape shape = view_shape(w->m, false);
    int64_t pixels = shape.height * shape.width, n = pixels * shape.channels;
    float *plane, *level;
    enum status st;

    if ((st = fixture_new(w->f, (void **)&plane, (uint64_t)n, sizeof *plane, err)) ||
        (st = fixture_new(w->f, (void **)&level, (uint64_t)n, sizeof *level, err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        float v = (picture[i] + 1) / 2;

        plane[i % shape.channels * pixels + i / shape.channels] = picture[i];
        level[i] = floorf(255 * (v < 0 ? 0 : v > 1 ? 1 : v));
    }
    if ((st = compare(w, "out.image", plane, n, of_pictures, err)))
        return st;
    return compare(w, "out.u8", level, n, of_levels, err);
}

static enum status check_drawing(struct whole *w, struct error *err)
{
    struct seen euler, second;
    int64_t last;
    float *picture;
    enum status st;

    if ((st = draw(w, "euler", NULL, &euler, &picture, err)) || (st = check_steps(w, &euler, err)))
        return st;
    last = (w->steps - 1) * euler.pixels * euler.channels;
    if ((st = compare(w, "out.latent_euler", euler.state + last, euler.pixels * euler.channels,
                      of_latents, err)) ||
        (st = check_picture(w, picture, err)) ||
        (st = draw(w, "dpmpp_2m", NULL, &second, &picture, err)))
        return st;
    return compare(w, "out.latent_dpmpp2m", second.state + last, second.pixels * second.channels,
                   of_extrapolated, err);
}

/* Of a latent: the last of its steps, of which there are fewer. */
static enum status check_begun(struct whole *w, struct error *err)
{
    int64_t steps = w->steps - grid_start((int)w->steps, w->strength, START_REFERENCE);
    struct repaint_request of = {0};
    struct parity_array latent;
    struct seen s;
    float *picture;
    int64_t length;
    enum status st;

    if (!weights_find(w->io.file, "in.init_latent"))
        return OK;
    if ((st = read_latent(w, "in.init_latent", &latent, err)))
        return st;
    of.latent = latent.v;
    if ((st = draw(w, "euler", &of, &s, &picture, err)))
        return st;
    length = s.pixels * s.channels;
    return compare(w, "out.img2img_latent", s.state + (steps - 1) * length, length, of_latents,
                   err);
}

static enum status check_sigmas(struct whole *w, struct error *err)
{
    struct sample_defaults s;
    double t[STEPS_MOST + 1];
    float sigma[STEPS_MOST + 1];
    struct grid grid = {0};
    enum status st;

    if ((st = settings_of(&s, w, "euler", err)))
        return st;
    grid.kind = grid_kind_at(s.schedule);
    choice_defaults(grid.values, &grid.kind->is);
    grid.path = &w->m->path;
    if ((st = grid_set(&grid, "shift", w->shift, err)) ||
        (st = grid_fill(t, &grid, (int)w->steps, 0, 1, err)))
        return st;
    for (int64_t i = 0; i <= w->steps; i++)
        sigma[i] = (float)(1 - t[i]);
    return compare(w, "mid.sigmas", sigma, w->steps + 1, of_sigmas, err);
}

/* --- both layouts -------------------------------------------------------------------------------
 */

static enum status set_size(struct whole *w, struct error *err)
{
    struct parity_array noise;
    enum status st = fixture_f32(w->f, &noise, &w->io, "in.noise", err);

    if (st)
        return st;
    if (noise.shape.rank != 4)
        return fail(err, E_FORMAT, "in.noise has %d dimensions, not 4", noise.shape.rank);
    return network_resize(w->m->network, noise.shape.dim[2], noise.shape.dim[3], err);
}

static enum status check_layout(struct whole *w, const char *path, const struct sd3_parts *parts,
                                struct error *err)
{
    enum status st;

    report_group(w->r, w->layout);
    if (!(st = sd3_open(&w->m, path, parts, err)) && !(st = set_size(w, err)) &&
        !(st = check_sigmas(w, err)) && !(st = check_conditioning(w, err)) &&
        !(st = check_drawing(w, err)))
        st = check_begun(w, err);
    model_free(w->m);
    w->m = NULL;
    return st;
}

/* A single file beside, whatever it is called; *out is heap or NULL. */
static enum status find_single(char **out, const char *folder, struct error *err)
{
    struct listing l;
    enum status st;

    *out = NULL;
    if ((st = listing_read(&l, folder, err)))
        return st;
    for (int64_t i = 0; i < l.n && !*out && !st; i++) {
        if (!name_ends(l.names[i], ".safetensors") || !strcmp(l.names[i], "io.safetensors"))
            continue;
        st = listing_path(out, folder, l.names[i], err);
    }
    listing_release(&l);
    return st;
}

static enum status check_layouts(struct whole *w, const char *spiece, struct error *err)
{
    char folder[PATH_ROOM], part[3][PATH_ROOM + 32], *single = NULL;
    struct sd3_parts parts = {.spiece = spiece};
    enum status st;

    snprintf(folder, sizeof folder, "%s/diffusers", w->f->folder);
    w->layout = "folder layout";
    if ((st = check_layout(w, folder, &parts, err)) ||
        (st = find_single(&single, w->f->folder, err)) || !single)
        return st;
    for (int i = 0; i < 3; i++)
        snprintf(part[i], sizeof part[i], "%s/text_encoder%s", folder,
                 i ? (const char *[]){"", "_2", "_3"}[i] : "");
    parts.clip_l = part[0];
    parts.clip_g = part[1];
    parts.t5 = part[2];
    w->layout = "single file";
    st = check_layout(w, single, &parts, err);
    free(single);
    return st;
}

static enum status read_info(struct whole *w, const json_t *info, struct error *err)
{
    int64_t tokens;
    enum status st;

    if ((st = config_text(&w->prompt, info, "prompt", "", err)) ||
        (st = config_text(&w->negative, info, "negative", "", err)) ||
        (st = config_int(&tokens, info, "t5_len", T5_TOKENS, T5_TOKENS, T5_TOKENS, err)) ||
        (st = config_int(&w->steps, info, "steps", 4, 2, STEPS_MOST, err)) ||
        (st = config_double(&w->scale, info, "cfg", 5, 0, 100, err)) ||
        (st = config_double(&w->strength, info, "denoise", 1, 0.01, 1, err)))
        return st;
    return config_double(&w->shift, info, "shift", 3, 0.01, 100, err);
}

static enum status pipeline_check(struct parity_report *r, struct parity_fixture *f,
                                  const struct parity_options *options, struct error *err)
{
    struct whole w = {.r = r, .f = f, .options = options};
    char path[PATH_ROOM], *spiece = NULL;
    json_t *info = NULL;
    struct error why = {0};
    enum status st;

    snprintf(path, sizeof path, "%s/io.safetensors", f->folder);
    if (vocabulary_near(&spiece, VOCABULARY_T5, path, &why)) {
        parity_skip(r, "t5 vocabulary", "%s", why.text);
        return OK;
    }
    if (!(st = fixture_json(&info, f, "info.json", err)) &&
        !(st = weights_open(&w.io.file, path, err)) && !(st = read_info(&w, info, err)))
        st = check_layouts(&w, spiece, err);
    weights_close(w.io.file);
    json_decref(info);
    free(spiece);
    return st;
}

const struct parity_checker parity_pipeline = {
    .kind = "pipeline", .owns = owns_pipeline, .check = pipeline_check};
