/*
 * model_config.c - the words of published code, and ours
 *
 * Fixtures name the options of a network as the published implementations do.  A table of pairs
 * says which of our options each one is; the values go through the same checks as any configuration
 * file, so an absurd size is refused with a sentence.  Keys in neither table (a seed, the batch,
 * the recipe of a training run) say nothing about the network and are passed over: if one of them
 * does matter, the comparison of the outputs will show it.
 */
#include "model_config.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rename {
    const char *theirs, *ours;
};

static const struct rename dit_names[] = {
    {"input_size", "size"},     {"in_channels", "channels"}, {"num_classes", "classes"},
    {"patch_size", "patch"},    {"hidden_size", "width"},    {"depth", "depth"},
    {"num_heads", "heads"},     {"mlp_ratio", "mlp_ratio"},  {"learn_sigma", "learn_sigma"},
    {"use_rmsnorm", "rmsnorm"}, {"use_swiglu", "swiglu"},    {"use_rope", "rope"},
    {"use_qknorm", "qk_norm"},  {"wo_shift", "no_shift"},    {NULL, NULL},
};

static const struct rename text_names[] = {
    {"input_size", "size"},
    {"in_channels", "channels"},
    {"patch_size", "patch"},
    {"hidden_size", "width"},
    {"depth", "depth"},
    {"num_heads", "heads"},
    {"mlp_ratio", "mlp_ratio"},
    {"context_dim", "context_width"},
    {"pooled_dim", "pooled_width"},
    {"learn_sigma", "learn_sigma"},
    {NULL, NULL},
};

static const struct rename unet_names[] = {
    {"image_size", "size"},
    {"in_channels", "channels"},
    {"out_channels", "out_channels"},
    {"num_classes", "classes"},
    {"model_channels", "width"},
    {"channel_mult", "mult"},
    {"num_res_blocks", "blocks"},
    {"attention_resolutions", "attention"},
    {"num_heads", "heads"},
    {"num_head_channels", "head_channels"},
    {"groups", "groups"},
    {"use_scale_shift_norm", "film"},
    {"resblock_updown", "residual_resample"},
    {"use_new_attention_order", "new_attention_order"},
    {"context_dim", "context_width"},
    {"transformer_depth", "depth"},
    {NULL, NULL},
};

/* DDPM++ and EDM2; where they attend is told in pixels (attention_set). */
static const struct rename edm_names[] = {
    {"img_resolution", "size"}, {"img_channels", "channels"},
    {"label_dim", "classes"},   {"model_channels", "width"},
    {"channel_mult", "mult"},   {"num_blocks", "blocks"},
    {"num_heads", "heads"},     {"channels_per_head", "head_channels"},
    {"adaptive_scale", "film"}, {NULL, NULL},
};

/* Where it attends is told in pixels, too. */
static const struct rename vae_names[] = {
    {"resolution", "size"},
    {"in_channels", "channels"},
    {"ch", "width"},
    {"ch_mult", "mult"},
    {"num_res_blocks", "blocks"},
    {"z_channels", "inner_channels"},
    {"embed_dim", "latent_channels"},
    {"groups", "groups"},
    {NULL, NULL},
};

static const struct rename classifier_names[] = {
    {"image_size", "size"},
    {"in_channels", "channels"},
    {"out_channels", "classes"},
    {"model_channels", "width"},
    {"channel_mult", "mult"},
    {"num_res_blocks", "blocks"},
    {"attention_resolutions", "attention"},
    {"num_heads", "heads"},
    {"num_head_channels", "head_channels"},
    {"groups", "groups"},
    {"use_scale_shift_norm", "film"},
    {"resblock_updown", "residual_resample"},
    {"use_new_attention_order", "new_attention_order"},
    {NULL, NULL},
};

/* What the published code does where its configuration is silent. */
struct silence {
    const char *key, *json;
};
static const struct silence unet_silence[] = {
    {"film", "false"}, {"residual_resample", "false"}, {"new_attention_order", "false"},
    {"heads", "1"},    {"null_class", "false"},        {NULL, NULL},
};

static const struct silence ddpmpp_silence[] = {
    {"style", "\"ddpmpp\""}, {"film", "false"}, {"null_class", "false"}, {NULL, NULL}};
static const struct silence edm2_silence[] = {
    {"style", "\"edm2\""}, {"null_class", "false"}, {NULL, NULL}};

static const struct silence vae_silence[] = {
    {"quant_conv", "true"}, {"post_quant_conv", "true"}, {NULL, NULL}};

static const struct silence classifier_silence[] = {
    {"film", "false"},
    {"residual_resample", "false"},
    {"new_attention_order", "false"},
    {"heads", "1"},
    {NULL, NULL},
};

struct fixture_kind {
    const char *kind, *network;
    const struct rename *names;
    const struct silence *silence;
};

static const struct fixture_kind kinds[] = {
    {"dit", "dit", dit_names, NULL},
    {"dit_modern", "dit", dit_names, NULL},
    {"train_dit", "dit", dit_names, NULL},
    {"dit_text_cross", "pixart", text_names, NULL},
    {"dit_text_joint", "mmdit", text_names, NULL},
    {"unet_adm", "unet", unet_names, unet_silence},
    {"unet_sd", "unet", unet_names, unet_silence},
    {"unet_ddpmpp", "unet", edm_names, ddpmpp_silence},
    {"unet_edm2", "unet", edm_names, edm2_silence},
    {"classifier", "classifier", classifier_names, classifier_silence},
    {"vae_kl", "vae", vae_names, vae_silence},
};

/* A value in our terms: published code says null for "no classes" and -1 for "not used". */
static json_t *value_translate(json_t *theirs)
{
    if (json_is_null(theirs) || (json_is_integer(theirs) && json_integer_value(theirs) == -1))
        return json_integer(0);
    return json_incref(theirs);
}

/* The label table has a row for "no request" exactly when labels were dropped in training; the
 * released code drops one in ten unless told otherwise. */
static int null_class_set(json_t *ours, const json_t *config)
{
    const json_t *p = json_object_get(config, "class_dropout_prob");

    return json_object_set_new(ours, "null_class", json_boolean(!p || json_number_value(p) > 0));
}

/* Sides of the levels that attend -> by how much those are reduced. */
static int attention_set(json_t *ours, const json_t *config)
{
    json_int_t size = json_integer_value(json_object_get(ours, "size"));
    const json_t *sides = json_object_get(config, "attn_resolutions");
    json_t *reductions = json_array();
    int bad = reductions ? 0 : 1;

    for (size_t i = 0; i < json_array_size(sides); i++) {
        json_int_t side = json_integer_value(json_array_get(sides, i));

        bad |= json_array_append_new(reductions, json_integer(side > 0 ? size / side : 0));
    }
    return bad | json_object_set_new(ours, "attention", reductions);
}

static enum status translate(json_t **out, const struct fixture_kind *k, const json_t *config,
                             struct error *err)
{
    json_t *ours = json_object();
    int bad = ours ? 0 : 1;

    for (const struct silence *s = k->silence; s && s->key; s++)
        bad |= json_object_set_new(ours, s->key, json_loads(s->json, JSON_DECODE_ANY, NULL));
    for (const struct rename *r = k->names; r->theirs; r++) {
        json_t *v = json_object_get(config, r->theirs);

        if (v)
            bad |= json_object_set_new(ours, r->ours, value_translate(v));
    }
    if (strcmp(k->network, "dit") == 0)
        bad |= null_class_set(ours, config);
    if (k->names == edm_names || k->names == vae_names)
        bad |= attention_set(ours, config);
    *out = ours;
    return bad ? fail(err, E_MEMORY, "no memory for a configuration") : OK;
}

/* A network of this kind from a configuration in our own terms. */
static enum status build(struct network **out, const char *name, json_t *ours, bool gradients,
                         struct error *err)
{
    const struct network_kind *kind;
    enum status st = network_kind_find(&kind, name, err);

    return st ? st : network_from_json(out, kind, ours, gradients, err);
}

enum status model_from_config(struct network **out, const char *kind, const json_t *config,
                              bool gradients, struct error *err)
{
    json_t *ours = NULL;
    enum status st;

    *out = NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].kind, kind) != 0)
            continue;
        if (!(st = translate(&ours, &kinds[i], config, err)))
            st = build(out, kinds[i].network, ours, gradients, err);
        json_decref(ours);
        return st;
    }
    return fail(err, E_FORMAT, "no network is known for the kind %s", kind);
}

/* "attn.ln_q.weight" -> "attn.ln_q_norm.weight". */
static bool joint_name(char *out, size_t room, const char *ours, int attempt, const void *user)
{
    const char *norm = strstr(ours, ".ln_"), *leaf = norm ? strchr(norm + 1, '.') : NULL;
    int n;

    (void)user;
    if (leaf)
        n = snprintf(out, room, "%.*s_norm%s", (int)(leaf - ours), ours, leaf);
    else
        n = snprintf(out, room, "%s", ours);
    return attempt == 0 && n >= 0 && n < (int)room;
}

const struct params_naming *model_naming(const char *kind)
{
    static const struct params_naming ours = {.prefix = ""};
    static const struct params_naming joint = {.prefix = "", .rename = joint_name};

    return strcmp(kind, "dit_text_joint") ? &ours : &joint;
}

enum status model_of_tables(struct network **out, int64_t width, int64_t grid, bool rotary,
                            struct error *err)
{
    json_t *ours = json_pack("{s:I, s:I, s:i, s:i, s:i, s:i, s:b}", "size", (json_int_t)grid,
                             "width", (json_int_t)width, "patch", 1, "channels", 1, "depth", 1,
                             "heads", 1, "rope", rotary ? 1 : 0);
    enum status st;

    *out = NULL;
    if (!ours)
        return fail(err, E_MEMORY, "no memory for a configuration");
    st = build(out, "dit", ours, false, err);
    json_decref(ours);
    if (!st)
        params_init((*out)->params, 0);
    return st;
}
