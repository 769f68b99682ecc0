/*
 * sd3.c - Stable Diffusion 3 and 3.5 as published
 *
 * To everything above it this is a model like any other: a network, a path, what it predicts, an
 * autoencoder for its latents, and prompts in the place of labels.  Only where these come from is
 * different.  Files of ours say all of it in one place; published ones say little, so most is known
 * from the name of the thing (sd3.md 1, 5):
 *
 *     x_sigma = (1 - sigma) z + sigma eps     our path "condot" with t = 1 - sigma
 *     v = eps - z                             our prediction "descent"
 *     the network reads 1000 sigma            our time input "noise"
 *
 * What belongs to a model is scattered over one to seven files.  Nothing is copied here: the
 * network's weights are mapped, encoders are only located, and opened when there is a prompt.
 */
#include "pipeline/sd3.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/listing.h"
#include "io/published.h"
#include "io/weights.h"
#include "model/mmdit.h"
#include "pipeline/autoencoder_file.h"
#include "sampler/grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATENTS = 16, TIMES = 1000 };

/* --- what is where ------------------------------------------------------------------------------
 */

/* "<folder>/<name>", heap, where it is there, else NULL. */
static enum status beside(char **out, const char *folder, const char *name, struct error *err)
{
    enum status st = listing_path(out, folder, name, err);

    if (!st && !path_is_file(*out) && !path_is_folder(*out)) {
        free(*out);
        *out = NULL;
    }
    return st;
}

static enum status folder_of(char **out, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    enum status st = mem_text(out, slash ? path : ".", err);

    if (!st && slash)
        (*out)[slash == path ? 1 : slash - path] = 0;
    return st;
}

static bool holds_part(const struct weights *f, const char *part)
{
    for (int64_t i = 0; i < weights_count(f); i++) {
        const struct published_part *p = published_part_of(weights_at(f, i)->name);

        if (p && !strcmp(p->name, part))
            return true;
    }
    return false;
}

static bool holds_network(const struct weights *f)
{
    static const char *const names[] = {
        "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
        "joint_blocks.0.x_block.attn.qkv.weight",
        "transformer_blocks.0.attn.add_q_proj.weight",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (weights_find(f, names[i]))
            return !weights_metadata(f, "imgen");
    return false;
}

bool sd3_is(const char *path)
{
    struct weights *f = NULL;
    char *index = NULL;
    bool is;

    if (path_is_folder(path) && !beside(&index, path, "model_index.json", NULL) && index) {
        free(index);
        return true;
    }
    is = !weights_open(&f, path, NULL) && holds_network(f);
    weights_close(f);
    return is;
}

/* The first of these names that is there, in the folder or in text_encoders/ below it. */
static enum status look_for(char **out, const char *folder, const char *const *names,
                            struct error *err)
{
    static const char *const below[] = {"", "text_encoders/"};
    enum status st = OK;

    for (int k = 0; names[k]; k++)
        for (int i = 0; i < 2; i++) {
            char name[80];

            snprintf(name, sizeof name, "%s%s", below[i], names[k]);
            if ((st = beside(out, folder, name, err)) || *out)
                return st;
        }
    return OK;
}

static const char *const clip_l_names[] = {"clip_l.safetensors", NULL};
static const char *const clip_g_names[] = {"clip_g.safetensors", NULL};
static const char *const t5_names[] = {"t5xxl_fp16.safetensors",
                                       "t5xxl.safetensors",
                                       "t5xxl_fp8_e4m3fn.safetensors",
                                       "t5xxl_fp8_e4m3fn_scaled.safetensors",
                                       "t5xxl.gguf",
                                       NULL};
static const char *const autoencoder_names[] = {"sd3_vae.safetensors", "vae.safetensors",
                                                "ae.safetensors", "vae", NULL};

/* One part: as given, or inside the file, or beside it; *out NULL: nowhere. */
static enum status find_part(char **out, const char *given, const struct weights *f,
                             const char *path, const char *part, const char *folder,
                             const char *const *names, struct error *err)
{
    *out = NULL;
    if (given)
        return *given ? mem_text(out, given, err) : OK;
    if (f && holds_part(f, part))
        return mem_text(out, path, err);
    return look_for(out, folder, names, err);
}

/* Where all lies; heap. */
struct found {
    char *network, *config, *scheduler, *autoencoder;
    struct text_encoders encoders;
};

static void found_release(struct found *p)
{
    free(p->network);
    free(p->config);
    free(p->scheduler);
    free(p->autoencoder);
    text_encoders_release(&p->encoders);
}

static enum status find_in_file(struct found *p, const char *path, const struct sd3_parts *given,
                                struct error *err)
{
    struct text_encoders *e = &p->encoders;
    struct weights *f = NULL;
    enum status st;

    if ((st = folder_of(&e->folder, path, err)) || (st = mem_text(&p->network, path, err)) ||
        (st = weights_open(&f, path, err)))
        return st;
    if (!(st = find_part(&e->clip_l, given->clip_l, f, path, "clip-l", e->folder, clip_l_names,
                         err)) &&
        !(st = find_part(&e->clip_g, given->clip_g, f, path, "clip-g", e->folder, clip_g_names,
                         err)) &&
        !(st = find_part(&e->t5, given->t5, f, path, "t5xxl", e->folder, t5_names, err)))
        st = find_part(&p->autoencoder, given->autoencoder, f, path, "autoencoder", e->folder,
                       autoencoder_names, err);
    weights_close(f);
    return st;
}

static enum status find_in_folder(struct found *p, const char *path, const struct sd3_parts *given,
                                  struct error *err)
{
    struct text_encoders *e = &p->encoders;
    const struct {
        char **out;
        const char *given, *names[2];
    } part[] = {
        {&p->network, NULL, {"transformer"}},
        {&p->scheduler, NULL, {"scheduler/scheduler_config.json"}},
        {&p->config, NULL, {"transformer/config.json"}},
        {&p->autoencoder, given->autoencoder, {"vae"}},
        {&e->clip_l, given->clip_l, {"text_encoder"}},
        {&e->clip_g, given->clip_g, {"text_encoder_2"}},
        {&e->t5, given->t5, {"text_encoder_3"}},
    };
    enum status st = mem_text(&e->folder, path, err);

    for (size_t i = 0; i < sizeof part / sizeof *part && !st; i++)
        st = find_part(part[i].out, part[i].given, NULL, path, "", path, part[i].names, err);
    if (!st && !p->network)
        st = fail(err, E_FORMAT, "%s: a model_index.json, and no transformer/ beside it", path);
    return st;
}

static enum status find_all(struct found *p, const char *path, const struct sd3_parts *given,
                            struct error *err)
{
    struct text_encoders *e = &p->encoders;
    enum status st;

    if ((st = path_is_folder(path) ? find_in_folder(p, path, given, err)
                                   : find_in_file(p, path, given, err)) ||
        (given->merges && (st = mem_text(&e->merges, given->merges, err))) ||
        (given->spiece && (st = mem_text(&e->spiece, given->spiece, err))))
        return st;
    e->t5_tokens = given->no_t5 ? 0 : T5_TOKENS;
    return OK;
}

/* --- the model ----------------------------------------------------------------------------------
 */

/* *out NULL: there is no such file. */
static enum status read_json(json_t **out, const char *path, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    *out = NULL;
    if (!path)
        return OK;
    if (!(st = file_read(&bytes, &n, path, CONFIG_BYTES, err)))
        st = config_parse(out, (const char *)bytes, (size_t)n, CONFIG_BYTES, path, err);
    free(bytes);
    return st;
}

/* Steps and scale by the released models (sd3.md 1); the shift by the folder's scheduler. */
static enum status choose_defaults(struct model *m, const char *scheduler, struct error *err)
{
    const struct mmdit_config *c = m->network->config;
    bool medium_3_5 = c->positions == 384, large = c->depth == 38;
    struct sample_defaults *s = &m->sample;
    struct option_group group = {"", sample_option_rows, s, NULL};
    struct option_set set = {&group, 1};
    json_t *root;
    enum status st;

    if ((st = options_default(&set, err)) ||
        (st = options_set(&set, "sampling_method", "euler", err)) ||
        (st = options_set(&set, "schedule", "sd3", err)) || (st = read_json(&root, scheduler, err)))
        return st;
    s->steps = medium_3_5 ? 40 : 28;
    s->cfg_scale = medium_3_5 || large ? 4.5 : 5;
    st = config_double(&s->shift, root, "shift", 3, 0.01, 100, err);
    json_decref(root);
    return st;
}

static int kind_number(const struct network_kind *kind)
{
    int i = 0;

    while (network_kind_at(i) != kind)
        i++;
    return i;
}

static enum status make_model(struct model **out, struct network *net, struct error *err)
{
    struct model_options o = {.network = kind_number(net->kind),
                              .prediction = PREDICT_DESCENT,
                              .time_input = TIME_NOISE,
                              .time_scale = TIMES};
    double values[CHOICE_VALUES] = {0};

    MUST(!strcmp(path_kind_at(o.path)->is.name, "condot"),
         "the first path is not the straight one");
    return model_of_network(out, &o, values, net, err);
}

static enum status open_network(struct model **out, const struct found *p, struct error *err)
{
    struct weights *f = NULL;
    struct network *net = NULL;
    json_t *config = NULL;
    enum status st;

    *out = NULL;
    if ((st = read_json(&config, p->config, err)) || (st = weights_open(&f, p->network, err)))
        goto out;
    if ((st = mmdit_open_published(&net, f, config, false, err))) {
        fail_under(err, "%s", p->network);
        goto out;
    }
    if ((st = make_model(out, net, err))) /* which owns the network, and the file with it */
        goto out;
    (*out)->file = f;
    f = NULL;
out:
    json_decref(config);
    weights_close(f);
    return st;
}

/* What the latents mean: z = shift + x / scale, by the autoencoder's own numbers. */
static enum status find_space(struct model *m, const char *path, struct error *err)
{
    struct autoencoder_file a = {0};
    double mean[LATENTS], deviation[LATENTS];
    int64_t channels = m->network->io.in_channels;
    const struct network_io *io;
    enum status st;

    if ((st = autoencoder_file_open_unnamed(&a, path, HALVES_DECODER, err)))
        goto out;
    io = &a.network->io;
    if (io->latent_channels != channels || channels > LATENTS) {
        st = fail(err, E_ARG, "%s: an autoencoder of %d channels, and the model's latents have %d",
                  path, (int)io->latent_channels, (int)channels);
        goto out;
    }
    for (int64_t c = 0; c < channels; c++) {
        mean[c] = io->shift->at[io->shift->n > 1 ? c : 0];
        deviation[c] = 1 / io->scale->at[io->scale->n > 1 ? c : 0];
    }
    if ((st = latent_space_new(&m->space, a.hash, mean, deviation, channels, err)) ||
        (st = mem_text(&m->space->found, path, err)))
        goto out;
    m->space->published = true;
    m->space->factor = io->factor;
    m->space->picture_channels = io->in_channels;
    m->space->previews = io->preview->n > 0;
out:
    autoencoder_file_release(&a);
    return st;
}

enum status sd3_open(struct model **out, const char *path, const struct sd3_parts *parts,
                     struct error *err)
{
    struct found p = {0};
    struct model *m = NULL;
    enum status st;

    *out = NULL;
    if ((st = find_all(&p, path, parts, err)) || (st = open_network(&m, &p, err)) ||
        (st = choose_defaults(m, p.scheduler, err)))
        goto out;
    if (!p.autoencoder) {
        st = fail(err, E_IO, "%s: holds no autoencoder, and there is none beside it: name its file",
                  path);
        goto out;
    }
    if ((st = find_space(m, p.autoencoder, err)) ||
        (st = mem_new((void **)&m->encoders, 1, sizeof *m->encoders, "text encoders", err)))
        goto out;
    *m->encoders = p.encoders;
    p.encoders = (struct text_encoders){0};
    *out = m;
    m = NULL;
out:
    found_release(&p);
    model_free(m);
    return st;
}
