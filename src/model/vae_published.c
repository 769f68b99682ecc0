/*
 * vae_published.c - autoencoders in files of others
 *
 * The same weights go around under two sets of names.  Single files and the original stand-alone
 * ones say decoder.up.3.block.0, counting levels from the finest; the folder layout says
 * decoder.up_blocks.0.resnets.0, counting in the order of computation, and had other words for the
 * attention at first.  Our names are the original ones, so a file of the folder layout is read by
 * translating what is looked for (sd3.md 7.5).
 *
 * What the shapes say is taken from the shapes: a configuration beside the file can be lost or
 * belong to another one.  Groups, scale and shift leave no trace in them and are read from it.
 */
#include "model/vae.h"

#include "base/json.h"
#include "nn/params_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 160, LEVELS = 64, BLOCKS = 64 };

/* Where a module's parameters are called otherwise in the folder layout, now and at first. */
static const struct {
    const char *ours, *folder, *old;
} leaves[] = {
    {"nin_shortcut.", "conv_shortcut.", NULL},
    {"norm.", "group_norm.", NULL},
    {"q.", "to_q.", "query."},
    {"k.", "to_k.", "key."},
    {"v.", "to_v.", "value."},
    {"proj_out.", "to_out.0.", "proj_attn."},
};

/* "q.weight" -> "to_q.weight", then "query.weight"; false past the last. */
static bool leaf_name(char out[NAME], const char *ours, int attempt)
{
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        size_t n = strlen(leaves[i].ours);
        const char *word = attempt == 0 ? leaves[i].folder : attempt == 1 ? leaves[i].old : NULL;

        if (strncmp(ours, leaves[i].ours, n) != 0)
            continue;
        return word && snprintf(out, NAME, "%s%s", word, ours + n) < NAME;
    }
    return attempt == 0 && snprintf(out, NAME, "%s", ours) < NAME;
}

/* What a module is called in the folder layout: "down.1.block.0." -> "down_blocks.1.resnets.0.";
 * *end: letters of `ours` that are the module's. */
static void module_name(char out[NAME], int *end, const char *ours, int levels)
{
    int level, index;

    *end = 0;
    if (sscanf(ours, "mid.block_%d.%n", &index, end) == 1 && *end)
        snprintf(out, NAME, "mid_block.resnets.%d.", index - 1);
    else if (sscanf(ours, "mid.attn_%d.%n", &index, end) == 1 && *end)
        snprintf(out, NAME, "mid_block.attentions.%d.", index - 1);
    else if (sscanf(ours, "down.%d.block.%d.%n", &level, &index, end) == 2 && *end)
        snprintf(out, NAME, "down_blocks.%d.resnets.%d.", level, index);
    else if (sscanf(ours, "down.%d.attn.%d.%n", &level, &index, end) == 2 && *end)
        snprintf(out, NAME, "down_blocks.%d.attentions.%d.", level, index);
    else if (sscanf(ours, "down.%d.downsample.%n", &level, end) == 1 && *end)
        snprintf(out, NAME, "down_blocks.%d.downsamplers.0.", level);
    else if (sscanf(ours, "up.%d.block.%d.%n", &level, &index, end) == 2 && *end)
        snprintf(out, NAME, "up_blocks.%d.resnets.%d.", levels - 1 - level, index);
    else if (sscanf(ours, "up.%d.attn.%d.%n", &level, &index, end) == 2 && *end)
        snprintf(out, NAME, "up_blocks.%d.attentions.%d.", levels - 1 - level, index);
    else if (sscanf(ours, "up.%d.upsample.%n", &level, end) == 1 && *end)
        snprintf(out, NAME, "up_blocks.%d.upsamplers.0.", levels - 1 - level);
    else if (sscanf(ours, "norm_out.%n", end) == 0 && *end)
        snprintf(out, NAME, "conv_norm_out.");
    else
        out[0] = 0;
}

/* user: how many levels there are, an int. */
static bool folder_name(char *out, size_t room, const char *ours, int attempt, const void *user)
{
    const char *inside = strchr(ours, '.') + 1;
    int half = (int)(inside - ours), end, n;
    char module[NAME], leaf[NAME];

    if (strncmp(ours, "encoder.", 8) != 0 && strncmp(ours, "decoder.", 8) != 0)
        return attempt == 0 && snprintf(out, room, "%s", ours) < (int)room;
    module_name(module, &end, inside, *(const int *)user);
    if (!leaf_name(leaf, inside + end, attempt))
        return false;
    n = snprintf(out, room, "%.*s%s%s", half, ours, module, leaf);
    return n >= 0 && n < (int)room;
}

/* --- what a file holds --------------------------------------------------------------------------
 */

struct source {
    struct params_source in;
    int levels;
};

static bool in_folder(const struct source *s)
{
    return s->in.naming.rename;
}

/* s stays where it is: names in folders depend on the levels that are counted in it. */
static enum status source_open(struct source *s, const struct weights *f, struct error *err)
{
    static const char *const prefixes[] = {"first_stage_model.", "vae.", ""};

    *s = (struct source){.in.file = f, .levels = 1};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        s->in.naming = (struct params_naming){.prefix = prefixes[i]};
        if (!source_find(&s->in, "decoder.conv_in.weight"))
            continue;
        if (!source_find(&s->in, "decoder.mid.block_1.norm1.weight")) {
            s->in.naming.rename = folder_name;
            s->in.naming.user = &s->levels;
        }
        /* In the folder layout the finest level has the last number, which counts them. */
        for (s->levels = 2; s->levels <= LEVELS; s->levels++)
            if (!source_find(&s->in, "decoder.up.%d.block.0.conv1.weight",
                             in_folder(s) ? 0 : s->levels - 1))
                break;
        s->levels--;
        return OK;
    }
    return fail(err, E_FORMAT, "there is no autoencoder in the file: no decoder.conv_in.weight");
}

static int add_new(json_t *list, json_t *value)
{
    return json_array_append_new(list, value);
}

/* Levels, widths, blocks, attention. */
static enum status read_levels(json_t *o, const struct source *s, int64_t width, struct error *err)
{
    json_t *mult = json_array(), *attention = json_array();
    int64_t channels = 0, blocks = 0;
    enum status st = OK;
    int bad = 0;

    for (int l = 0; l < s->levels && !st; l++) {
        if ((st = source_dim(&channels, &s->in, 0, err, "decoder.up.%d.block.0.conv1.weight", l)))
            break;
        bad |= add_new(mult, json_real((double)channels / (double)width));
        if (source_find(&s->in, "decoder.up.%d.attn.0.norm.weight", l))
            bad |= add_new(attention, json_integer((json_int_t)1 << (l < 32 ? l : 32)));
    }
    while (blocks < BLOCKS &&
           source_find(&s->in, "decoder.up.0.block.%" PRId64 ".conv1.weight", blocks + 1))
        blocks++;
    bad |= json_object_set_new(o, "mult", mult) | json_object_set_new(o, "attention", attention) |
           json_object_set_new(o, "blocks", json_integer(blocks));
    return bad && !st ? fail(err, E_MEMORY, "no memory for a configuration") : st;
}

static enum status read_channels(json_t *o, const struct source *s, int64_t *width,
                                 int64_t *latents, struct error *err)
{
    bool post = source_find(&s->in, "post_quant_conv.weight");
    int64_t channels = 0, inner = 0, n_codes = 0;
    enum status st;

    if ((st = source_dim(&inner, &s->in, 1, err, "decoder.conv_in.weight")) ||
        (st = source_dim(&channels, &s->in, 0, err, "decoder.conv_out.weight")) ||
        (st = source_dim(width, &s->in, 0, err, "decoder.up.0.block.0.conv1.weight")) ||
        (source_find(&s->in, "quantize.embedding.weight") &&
         (st = source_dim(&n_codes, &s->in, 0, err, "quantize.embedding.weight"))))
        return st;
    *latents = inner;
    if (post && (st = source_dim(latents, &s->in, 1, err, "post_quant_conv.weight")))
        return st;
    if (source_find(&s->in, "encoder.conv_in.weight") &&
        (st = source_dim(width, &s->in, 0, err, "encoder.conv_in.weight")))
        return st;
    if (json_object_set_new(o, "latent_channels", json_integer(*latents)) |
        json_object_set_new(o, "inner_channels", json_integer(inner)) |
        json_object_set_new(o, "channels", json_integer(channels)) |
        json_object_set_new(o, "width", json_integer(*width)) |
        json_object_set_new(o, "codes", json_integer(n_codes)) |
        json_object_set_new(o, "quant_conv",
                            json_boolean(source_find(&s->in, "quant_conv.weight") != NULL)) |
        json_object_set_new(o, "post_quant_conv", json_boolean(post)) |
        json_object_set_new(
            o, "middle_attention",
            json_boolean(source_find(&s->in, "decoder.mid.attn_1.norm.weight") != NULL)))
        return fail(err, E_MEMORY, "no memory for a configuration");
    return OK;
}

/* What the shapes do not say.  A shift may be null there, which is none. */
static enum status read_numbers(json_t *o, const json_t *config, int64_t latents, struct error *err)
{
    const json_t *no_shift = json_object_get(config, "shift_factor");
    double scale = latents == 4 ? 0.18215 : latents == 16 ? 1.5305 : 1;
    double shift = !config && latents == 16 ? 0.0609 : 0;
    int64_t groups;
    enum status st;

    if ((st = config_int(&groups, config, "norm_num_groups", 32, 1, 1024, err)) ||
        (st = config_double(&scale, config, "scaling_factor", scale, 1e-6, 1e6, err)) ||
        (!json_is_null(no_shift) &&
         (st = config_double(&shift, config, "shift_factor", shift, -1e6, 1e6, err))))
        return st;
    if (json_object_set_new(o, "groups", json_integer(groups)) |
        json_object_set_new(o, "scale", json_pack("[f]", scale)) |
        json_object_set_new(o, "shift", json_pack("[f]", shift)))
        return fail(err, E_MEMORY, "no memory for a configuration");
    return OK;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* What published files carry besides, and the half that is not wanted. */
static bool spare(const char *name)
{
    return begins(name, "loss.") || begins(name, "model_ema.");
}

static bool spare_decoder(const char *name)
{
    return spare(name) || begins(name, "decoder.") || begins(name, "post_quant_conv.");
}

static bool spare_encoder(const char *name)
{
    return spare(name) || begins(name, "encoder.") || begins(name, "quant_conv.");
}

static enum status describe(json_t *o, const struct source *s, const json_t *config,
                            enum autoencoder_halves halves, struct error *err)
{
    int64_t width = 0, latents = 0;
    enum status st;

    if (json_object_set_new(o, "halves", json_string(autoencoder_halves_names[halves])))
        return fail(err, E_MEMORY, "no memory for a configuration");
    if ((st = read_channels(o, s, &width, &latents, err)) || (st = read_levels(o, s, width, err)))
        return st;
    return read_numbers(o, config, latents, err);
}

enum status vae_open_published(struct network **out, const struct weights *f, const json_t *config,
                               enum autoencoder_halves halves, struct error *err)
{
    json_t *own = json_object();
    struct source s;
    enum status st;

    *out = NULL;
    if (!own)
        return fail(err, E_MEMORY, "no memory for a configuration");
    if ((st = source_open(&s, f, err)) || (st = describe(own, &s, config, halves, err)) ||
        (st = network_from_json(out, &network_vae, own, false, err)))
        goto out;
    params_allow((*out)->params, halves == HALVES_ENCODER   ? spare_decoder
                                 : halves == HALVES_DECODER ? spare_encoder
                                                            : spare);
    if ((st = params_load_named((*out)->params, f, &s.in.naming, PARAMS_ALL, NULL, err))) {
        network_free(*out);
        *out = NULL;
    }
out:
    json_decref(own);
    return st;
}
