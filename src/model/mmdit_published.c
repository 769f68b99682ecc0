/*
 * mmdit_published.c - the transformer of two streams in files of others
 *
 * Stable Diffusion 3 goes around in two layouts.  Single files keep the names of the original code,
 * which are ours.  The folder transformer/ has other names, one tensor each for q, k and v, and in
 * two places scale before shift: a parameter of ours is then made of pieces (sd3.md 3.1).
 *
 * Sizes are what the shapes say (sd3.md 1.1).  How the width is cut into heads and by which side a
 * new table of positions would be spaced is not among them; the configurations of both layouts say
 * it, each in its own words.
 */
#include "model/mmdit.h"

#include "base/json.h"
#include "io/published.h"
#include "model/dit_parts.h"
#include "nn/params_source.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HEAD = 64, SIDE = 64, DEPTH_MOST = 256 };

/* --- the names of the folder layout -------------------------------------------------------------
 */

/* What a module is called there; three names: q, k and v. */
struct module {
    const char *ours, *theirs[3];
};

static const struct module of_network[] = {
    {"pos_embed", {"pos_embed.pos_embed"}},
    {"x_embedder.proj.", {"pos_embed.proj."}},
    {"t_embedder.mlp.0.", {"time_text_embed.timestep_embedder.linear_1."}},
    {"t_embedder.mlp.2.", {"time_text_embed.timestep_embedder.linear_2."}},
    {"y_embedder.mlp.0.", {"time_text_embed.text_embedder.linear_1."}},
    {"y_embedder.mlp.2.", {"time_text_embed.text_embedder.linear_2."}},
    {"context_embedder.", {"context_embedder."}},
    {"final_layer.linear.", {"proj_out."}},
    {"final_layer.adaLN_modulation.1.", {"norm_out.linear."}},
    {0},
};

static const struct module of_image[] = {
    {"adaLN_modulation.1.", {"norm1.linear."}},
    {"attn.qkv.", {"attn.to_q.", "attn.to_k.", "attn.to_v."}},
    {"attn.ln_q.", {"attn.norm_q."}},
    {"attn.ln_k.", {"attn.norm_k."}},
    {"attn.proj.", {"attn.to_out.0."}},
    {"attn2.qkv.", {"attn2.to_q.", "attn2.to_k.", "attn2.to_v."}},
    {"attn2.ln_q.", {"attn2.norm_q."}},
    {"attn2.ln_k.", {"attn2.norm_k."}},
    {"attn2.proj.", {"attn2.to_out.0."}},
    {"mlp.fc1.", {"ff.net.0.proj."}},
    {"mlp.fc2.", {"ff.net.2."}},
    {0},
};

static const struct module of_text[] = {
    {"adaLN_modulation.1.", {"norm1_context.linear."}},
    {"attn.qkv.", {"attn.add_q_proj.", "attn.add_k_proj.", "attn.add_v_proj."}},
    {"attn.ln_q.", {"attn.norm_added_q."}},
    {"attn.ln_k.", {"attn.norm_added_k."}},
    {"attn.proj.", {"attn.to_add_out."}},
    {"mlp.fc1.", {"ff_context.net.0.proj."}},
    {"mlp.fc2.", {"ff_context.net.2."}},
    {0},
};

/* The row of `table` with which `ours` begins, or NULL. */
static const struct module *module_find(const struct module *table, const char *ours)
{
    for (; table->ours; table++)
        if (strncmp(ours, table->ours, strlen(table->ours)) == 0)
            return table;
    return NULL;
}

/* One piece a name of the module; swapped: two, the halves of the one there is. */
static int pieces_of(struct param_piece out[PARAM_PIECES], const char *before,
                     const struct module *m, const char *leaf, bool swapped)
{
    int n = swapped ? 2 : m->theirs[1] ? 3 : 1;

    for (int k = 0; k < n; k++) {
        out[k] = (struct param_piece){.part = swapped ? 1 - k : 0, .parts = swapped ? 2 : 1};
        if (snprintf(out[k].name, PARAM_NAME, "%s%s%s", before, m->theirs[swapped ? 0 : k], leaf) >=
            PARAM_NAME)
            return 0;
    }
    return n;
}

int mmdit_folder_pieces(struct param_piece out[PARAM_PIECES], const char *ours, int attempt,
                        const void *user)
{
    const int depth = *(const int *)user;
    char stream[8], before[48] = "";
    const struct module *m;
    int block, end = 0;
    bool swapped;

    if (attempt > 0)
        return 0;
    if (sscanf(ours, "joint_blocks.%d.%7[a-z]_block.%n", &block, stream, &end) == 2 && end) {
        m = module_find(strcmp(stream, "x") ? of_text : of_image, ours + end);
        swapped = m == of_text && block == depth - 1;
        snprintf(before, sizeof before, "transformer_blocks.%d.", block);
    } else {
        m = module_find(of_network, ours);
        swapped = m && strcmp(m->ours, "final_layer.adaLN_modulation.1.") == 0;
    }
    return m ? pieces_of(out, before, m, ours + end + strlen(m->ours), swapped) : 0;
}

/* --- sizes --------------------------------------------------------------------------------------
 */

struct sizes {
    int64_t width, channels, patch, context, pooled, hidden, rows, table;
    int depth;
};

/* Which layout the file has, under which prefix. */
static enum status source_open(struct params_source *p, int *depth, const struct weights *f,
                               struct error *err)
{
    static const char *const prefixes[] = {"model.diffusion_model.", ""};

    *depth = 0;
    *p = (struct params_source){.file = f};
    for (size_t i = 0; i < 2 * sizeof prefixes / sizeof *prefixes; i++) {
        p->naming = (struct params_naming){
            .prefix = prefixes[i / 2], .pieces = i % 2 ? mmdit_folder_pieces : NULL, .user = depth};
        if (source_find(p, "x_embedder.proj.weight") &&
            source_find(p, "joint_blocks.0.x_block.attn.qkv.weight")) {
            *depth =
                (int)source_count(p, "joint_blocks.", ".x_block.attn.qkv.weight", DEPTH_MOST + 1);
            return OK;
        }
    }
    return fail(err, E_FORMAT,
                "there is no transformer of two streams in the file: no x_embedder.proj.weight "
                "with a joint_blocks.0, nor pos_embed.proj.weight with a transformer_blocks.0");
}

static enum status sizes_read(struct sizes *s, const struct params_source *p, struct error *err)
{
    enum status st;

    if ((st = source_dim(&s->width, p, 0, err, "x_embedder.proj.weight")) ||
        (st = source_dim(&s->channels, p, 1, err, "x_embedder.proj.weight")) ||
        (st = source_dim(&s->patch, p, 2, err, "x_embedder.proj.weight")) ||
        (st = source_dim(&s->context, p, 1, err, "context_embedder.weight")) ||
        (st = source_dim(&s->hidden, p, 0, err, "joint_blocks.0.x_block.mlp.fc1.weight")) ||
        (st = source_dim(&s->rows, p, 0, err, "final_layer.linear.weight")) ||
        (st = source_dim(&s->table, p, -2, err, "pos_embed")))
        return st;
    s->pooled = 0;
    if (source_find(p, "y_embedder.mlp.0.weight") &&
        (st = source_dim(&s->pooled, p, 1, err, "y_embedder.mlp.0.weight")))
        return st;
    if (s->patch > DIT_WIDTH_MAX || s->rows % (s->patch * s->patch))
        return fail(err, E_FORMAT,
                    "the last layer has %" PRId64 " rows, which patches of %" PRId64 " do not "
                    "divide",
                    s->rows, s->patch);
    return OK;
}

/* The first of these keys that the configuration has, or the fallback. */
static enum status one_of(int64_t *out, const json_t *config, const char *key, const char *other,
                          int64_t fallback, struct error *err)
{
    return config_int(out, config, json_object_get(config, key) ? key : other, fallback, 1, 1 << 20,
                      err);
}

/* What the shapes do not say: heads, and the side for which the table is spaced. */
static enum status read_config(json_t *o, const struct params_source *p, const struct sizes *s,
                               const json_t *config, int64_t side, struct error *err)
{
    int64_t head = HEAD, heads, base, size;
    enum status st;

    if (source_find(p, "joint_blocks.0.x_block.attn.ln_q.weight") &&
        (st = source_dim(&head, p, 0, err, "joint_blocks.0.x_block.attn.ln_q.weight")))
        return st;
    heads = s->width / head > 0 ? s->width / head : 1;
    base = side < SIDE ? side : SIDE;
    if ((st = one_of(&heads, config, "num_heads", "num_attention_heads", heads, err)) ||
        (st = config_int(&base, config, "pos_embed_base_size", base, 1, 1 << 20, err)) ||
        (st = config_int(&size, config, "sample_size", base * s->patch, 1, 1 << 20, err)))
        return st;
    if (json_object_set_new(o, "heads", json_integer(heads)) |
        json_object_set_new(o, "size", json_integer(size)))
        return fail(err, E_MEMORY, "no memory for a configuration");
    return OK;
}

/* Features inside the feed-forward, as the ratio that gives exactly them. */
static double ratio_of(int64_t hidden, int64_t width)
{
    double ratio = (double)hidden / (double)width;

    while ((int64_t)((double)width * ratio) < hidden)
        ratio = nextafter(ratio, HUGE_VAL);
    return ratio;
}

static enum status read_blocks(json_t *o, const struct params_source *p, int depth,
                               struct error *err)
{
    json_t *dual = json_array();
    int bad = dual ? 0 : 1;

    for (int i = 0; i < depth; i++)
        if (source_find(p, "joint_blocks.%d.x_block.attn2.qkv.weight", i))
            bad |= json_array_append_new(dual, json_integer(i));
    bad |= json_object_set_new(o, "dual", dual) |
           json_object_set_new(o, "depth", json_integer(depth)) |
           json_object_set_new(
               o, "qk_norm",
               json_boolean(source_find(p, "joint_blocks.0.context_block.attn.ln_k.weight")));
    return bad ? fail(err, E_MEMORY, "no memory for a configuration") : OK;
}

/* Our configuration of what the file holds. */
static enum status describe(json_t *o, const struct params_source *p, int depth,
                            const json_t *config, struct error *err)
{
    struct sizes s;
    int64_t side;
    enum status st;

    if ((st = sizes_read(&s, p, err)))
        return st;
    side = (int64_t)llround(sqrt((double)s.table));
    if (side * side != s.table)
        return fail(err, E_FORMAT,
                    "the table of positions has %" PRId64 " rows, which is no square", s.table);
    if (json_object_set_new(o, "width", json_integer(s.width)) |
        json_object_set_new(o, "channels", json_integer(s.channels)) |
        json_object_set_new(o, "patch", json_integer(s.patch)) |
        json_object_set_new(o, "context_width", json_integer(s.context)) |
        json_object_set_new(o, "pooled_width", json_integer(s.pooled)) |
        json_object_set_new(o, "mlp_ratio", json_real(ratio_of(s.hidden, s.width))) |
        json_object_set_new(o, "out_channels", json_integer(s.rows / (s.patch * s.patch))) |
        json_object_set_new(o, "positions", json_integer(side)))
        return fail(err, E_MEMORY, "no memory for a configuration");
    if ((st = read_blocks(o, p, depth, err)))
        return st;
    return read_config(o, p, &s, config, side, err);
}

/* --- opening ------------------------------------------------------------------------------------
 */

/* The configuration in the file's own metadata, or NULL. */
static enum status own_config(json_t **out, const struct weights *f, struct error *err)
{
    const char *text = weights_metadata(f, "config");

    *out = NULL;
    return text ? config_parse(out, text, strlen(text), CONFIG_BYTES, "config", err) : OK;
}

/* A file without prefixes may hold other networks, which have theirs. */
static bool spare(const char *name)
{
    return published_spare(name) || published_part_of(name);
}

static enum status values_load(struct network *net, const struct params_source *p, bool gradients,
                               struct error *err)
{
    enum status st;

    params_allow(net->params, spare);
    if (!gradients)
        return params_map_named(net->params, p->file, &p->naming, err);
    st = params_alloc(net->params, true, err);
    return st ? st : params_load_named(net->params, p->file, &p->naming, PARAMS_ALL, NULL, err);
}

enum status mmdit_open_published(struct network **out, const struct weights *f,
                                 const json_t *config, bool gradients, struct error *err)
{
    json_t *ours = json_object(), *own = NULL;
    struct params_source p;
    enum status st;
    int depth;

    *out = NULL;
    if (!ours)
        return fail(err, E_MEMORY, "no memory for a configuration");
    if ((st = source_open(&p, &depth, f, err)) || (!config && (st = own_config(&own, f, err))) ||
        (st = describe(ours, &p, depth, config ? config : own, err)) ||
        (st = network_declare_json(out, &network_mmdit, ours, err)))
        goto out;
    if ((st = values_load(*out, &p, gradients, err))) {
        network_free(*out);
        *out = NULL;
    }
out:
    json_decref(ours);
    json_decref(own);
    return st;
}
