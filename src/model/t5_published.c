/*
 * t5_published.c - T5's encoder in files of others
 *
 * Parameters have the names of Hugging Face.  GGUF files have short ones; the table of tokens goes
 * by two names, and some files hold it twice (sd3.md 8.2, 13).
 */
#include "model/t5.h"

#include "base/json.h"
#include "io/published.h"
#include "nn/params_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MOST = 256 };

static const struct {
    const char *ours, *theirs;
} gguf[] = {
    {"layer.0.SelfAttention.q.", "attn_q."},
    {"layer.0.SelfAttention.k.", "attn_k."},
    {"layer.0.SelfAttention.v.", "attn_v."},
    {"layer.0.SelfAttention.o.", "attn_o."},
    {"layer.0.SelfAttention.relative_attention_bias.", "attn_rel_b."},
    {"layer.0.layer_norm.", "attn_norm."},
    {"layer.1.DenseReluDense.wi_0.", "ffn_gate."},
    {"layer.1.DenseReluDense.wi_1.", "ffn_up."},
    {"layer.1.DenseReluDense.wo.", "ffn_down."},
    {"layer.1.layer_norm.", "ffn_norm."},
};

static bool gguf_name(char *out, size_t room, const char *ours, int attempt, const void *user)
{
    int block, end = 0, n = -1;

    (void)user;
    if (attempt > 0)
        return false;
    if (!strcmp(ours, "shared.weight"))
        n = snprintf(out, room, "token_embd.weight");
    else if (!strcmp(ours, "encoder.final_layer_norm.weight"))
        n = snprintf(out, room, "enc.output_norm.weight");
    else if (sscanf(ours, "encoder.block.%d.%n", &block, &end) == 1 && end)
        for (size_t i = 0; i < sizeof gguf / sizeof *gguf; i++) {
            size_t m = strlen(gguf[i].ours);

            if (!strncmp(ours + end, gguf[i].ours, m))
                n = snprintf(out, room, "enc.blk.%d.%s%s", block, gguf[i].theirs, ours + end + m);
        }
    return n >= 0 && n < (int)room;
}

static bool table_name(char *out, size_t room, const char *ours, int attempt, const void *user)
{
    const char *name = ours;
    int n;

    (void)user;
    if (attempt == 1 && !strcmp(ours, "shared.weight"))
        name = "encoder.embed_tokens.weight";
    else if (attempt > 0)
        return false;
    n = snprintf(out, room, "%s", name);
    return n >= 0 && n < (int)room;
}

static enum status find_encoder(struct params_source *s, const struct weights *f, struct error *err)
{
    static const struct params_naming namings[] = {
        {.prefix = "text_encoders.t5xxl.transformer.", .rename = table_name},
        {.prefix = "", .rename = table_name},
        {.prefix = "", .rename = gguf_name},
    };

    s->file = f;
    for (size_t i = 0; i < sizeof namings / sizeof *namings; i++) {
        s->naming = namings[i];
        if (source_find(s, "encoder.block.0.layer.0.SelfAttention.q.weight"))
            return OK;
    }
    return fail(err, E_FORMAT,
                "there is no T5 encoder in the file: no "
                "encoder.block.0.layer.0.SelfAttention.q.weight nor enc.blk.0.attn_q.weight");
}

/* The other half of T5, and the second copy of the table. */
static bool spare(const char *name)
{
    static const char *const others[] = {"encoder.embed_tokens.weight", "decoder.", "lm_head.",
                                         "dec.", "output.weight"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return true;
    return published_spare(name) || published_part_of(name);
}

static enum status describe(json_t *o, const struct params_source *s, const json_t *config,
                            struct error *err)
{
    static const char asks[] = "encoder.block.0.layer.0.SelfAttention";
    const char *act = "gated-gelu";
    int64_t vocabulary, width, inner, hidden, buckets, heads, far, depth;
    double eps;
    enum status st;

    if ((st = config_text(&act, config, "feed_forward_proj", act, err)))
        return st;
    if (strcmp(act, "gated-gelu") != 0)
        return fail(err, E_UNSUPPORTED, "a T5 whose feed-forward is %s; known is gated-gelu", act);
    if ((st = source_dim(&vocabulary, s, 0, err, "shared.weight")) ||
        (st = source_dim(&width, s, 1, err, "shared.weight")) ||
        (st = source_dim(&inner, s, 0, err, "%s.q.weight", asks)) ||
        (st = source_dim(&buckets, s, 0, err, "%s.relative_attention_bias.weight", asks)) ||
        (st = source_dim(&heads, s, 1, err, "%s.relative_attention_bias.weight", asks)) ||
        (st = source_dim(&hidden, s, 0, err,
                         "encoder.block.0.layer.1.DenseReluDense.wi_0.weight")) ||
        (st = config_int(&far, config, "relative_attention_max_distance", 128, 2, 1 << 20, err)) ||
        (st = config_double(&eps, config, "layer_norm_epsilon", 1e-6, 1e-12, 1, err)))
        return st;
    if (inner % heads)
        return fail(err, E_FORMAT, "%" PRId64 " heads do not divide %" PRId64 " queries", heads,
                    inner);
    depth = source_count(s, "encoder.block.", ".layer.0.SelfAttention.q.weight", DEPTH_MOST + 1);
    if (json_object_set_new(o, "width", json_integer(width)) |
        json_object_set_new(o, "depth", json_integer(depth)) |
        json_object_set_new(o, "heads", json_integer(heads)) |
        json_object_set_new(o, "head", json_integer(inner / heads)) |
        json_object_set_new(o, "hidden", json_integer(hidden)) |
        json_object_set_new(o, "vocabulary", json_integer(vocabulary)) |
        json_object_set_new(o, "buckets", json_integer(buckets)) |
        json_object_set_new(o, "far", json_integer(far)) |
        json_object_set_new(o, "eps", json_real(eps)))
        return fail(err, E_MEMORY, "no memory for a configuration");
    return OK;
}

enum status t5_open_published(struct network **out, const struct weights *f, const json_t *config,
                              struct error *err)
{
    json_t *ours = json_object();
    struct params_source s;
    enum status st;

    *out = NULL;
    if (!ours)
        return fail(err, E_MEMORY, "no memory for a configuration");
    if ((st = find_encoder(&s, f, err)) || (st = describe(ours, &s, config, err)) ||
        (st = network_declare_json(out, &network_t5, ours, err)))
        goto out;
    params_allow((*out)->params, spare);
    if ((st = params_map_named((*out)->params, f, &s.naming, err))) {
        network_free(*out);
        *out = NULL;
    }
out:
    json_decref(ours);
    return st;
}
