/*
 * clip_published.c - CLIP's text encoders in files of others
 *
 * The same encoder stands alone, in a folder, or among the parts of a whole model under a prefix.
 * OpenCLIP, which trained bigG, has other names, keeps q, k and v in one matrix, and its projection
 * the other way round: each of ours is then a piece of a tensor (sd3.md 8.1, 8.4).
 */
#include "model/clip.h"

#include "base/json.h"
#include "io/published.h"
#include "nn/params_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEAD = 64, DEPTH_MOST = 256 };

/* --- the names of OpenCLIP ----------------------------------------------------------------------
 */

/* part: of the three that share a tensor, or -1: all of it. */
struct module {
    const char *ours, *theirs;
    int part;
};

static const struct module of_network[] = {
    {"text_model.embeddings.token_embedding.weight", "token_embedding.weight", -1},
    {"text_model.embeddings.position_embedding.weight", "positional_embedding", -1},
    {"text_model.final_layer_norm.", "ln_final.", -1},
    {"text_projection.weight", "text_projection", -1},
    {0},
};

static const struct module of_layer[] = {
    {"self_attn.q_proj.", "attn.in_proj_", 0},
    {"self_attn.k_proj.", "attn.in_proj_", 1},
    {"self_attn.v_proj.", "attn.in_proj_", 2},
    {"self_attn.out_proj.", "attn.out_proj.", -1},
    {"layer_norm1.", "ln_1.", -1},
    {"layer_norm2.", "ln_2.", -1},
    {"mlp.fc1.", "mlp.c_fc.", -1},
    {"mlp.fc2.", "mlp.c_proj.", -1},
    {0},
};

static int native_pieces(struct param_piece out[PARAM_PIECES], const char *ours, int attempt,
                         const void *user)
{
    const struct module *m = of_network;
    char before[48] = "";
    int layer, end = 0, n;

    (void)user;
    if (sscanf(ours, "text_model.encoder.layers.%d.%n", &layer, &end) == 1 && end) {
        m = of_layer;
        snprintf(before, sizeof before, "transformer.resblocks.%d.", layer);
    }
    while (m->ours && strncmp(ours + end, m->ours, strlen(m->ours)) != 0)
        m++;
    if (attempt > 0 || !m->ours)
        return 0;
    out[0] = (struct param_piece){.part = m->part < 0 ? 0 : m->part,
                                  .parts = m->part < 0 ? 1 : 3,
                                  .transposed = !strcmp(m->theirs, "text_projection")};
    n = snprintf(out[0].name, PARAM_NAME, "%s%s%s", before, m->theirs,
                 ours + end + strlen(m->ours));
    return n >= 0 && n < PARAM_NAME;
}

/* --- which encoder, and where -------------------------------------------------------------------
 */

static const char *const prefixes[][5] = {
    [CLIP_L] = {"text_encoders.clip_l.transformer.", "cond_stage_model.transformer.",
                "conditioner.embedders.0.transformer.", "", NULL},
    [CLIP_G] = {"text_encoders.clip_g.transformer.", "conditioner.embedders.1.model.",
                "conditioner.embedders.1.transformer.", "", NULL},
};

static enum status find_encoder(struct params_source *s, const struct weights *f,
                                enum clip_form form, struct error *err)
{
    s->file = f;
    for (int i = 0; prefixes[form][i]; i++)
        for (int native = 0; native < 2; native++) {
            s->naming = (struct params_naming){.prefix = prefixes[form][i],
                                               .pieces = native ? native_pieces : NULL};
            if (source_find(s, "text_model.encoder.layers.0.self_attn.q_proj.weight"))
                return OK;
        }
    return fail(err, E_FORMAT,
                "there is no text encoder CLIP-%s in the file: no "
                "text_model.encoder.layers.0.self_attn.q_proj.weight nor its name in OpenCLIP",
                form == CLIP_L ? "L" : "G");
}

static bool spare(const char *name)
{
    static const char *const others[] = {"vision_model.", "visual_projection.", "visual.",
                                         "attn_mask"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return true;
    return published_spare(name) || published_part_of(name);
}

static bool spare_projection(const char *name)
{
    return spare(name) || strncmp(name, "text_projection", strlen("text_projection")) == 0;
}

/* --- sizes --------------------------------------------------------------------------------------
 */

static enum status read_activation(json_t *o, const json_t *config, enum clip_form form,
                                   struct error *err)
{
    const char *act = form == CLIP_L ? "quick_gelu" : "gelu";
    enum status st = config_text(&act, config, "hidden_act", act, err);

    if (st)
        return st;
    if (strcmp(act, "gelu") != 0 && strcmp(act, "quick_gelu") != 0)
        return fail(err, E_UNSUPPORTED,
                    "a CLIP with the activation %s; known are gelu and "
                    "quick_gelu",
                    act);
    return json_object_set_new(o, "activation", json_string(act))
               ? fail(err, E_MEMORY, "no memory for a configuration")
               : OK;
}

static enum status describe(json_t *o, const struct params_source *s, enum clip_form form,
                            const json_t *config, bool projects, struct error *err)
{
    int64_t width, hidden, vocabulary, positions, heads, projection = 0, depth;
    double eps;
    enum status st;

    if ((st = source_dim(&vocabulary, s, 0, err, "text_model.embeddings.token_embedding.weight")) ||
        (st = source_dim(&width, s, 1, err, "text_model.embeddings.token_embedding.weight")) ||
        (st = source_dim(&positions, s, 0, err,
                         "text_model.embeddings.position_embedding.weight")) ||
        (st = source_dim(&hidden, s, 0, err, "text_model.encoder.layers.0.mlp.fc1.weight")) ||
        (projects && (st = source_dim(&projection, s, s->naming.pieces ? 1 : 0, err,
                                      "text_projection.weight"))) ||
        (st = config_int(&heads, config, "num_attention_heads", width > HEAD ? width / HEAD : 1, 1,
                         1024, err)) ||
        (st = config_double(&eps, config, "layer_norm_eps", 1e-5, 1e-12, 1, err)) ||
        (st = read_activation(o, config, form, err)))
        return st;
    depth =
        source_count(s, "text_model.encoder.layers.", ".self_attn.q_proj.weight", DEPTH_MOST + 1);
    if (json_object_set_new(o, "width", json_integer(width)) |
        json_object_set_new(o, "depth", json_integer(depth)) |
        json_object_set_new(o, "heads", json_integer(heads)) |
        json_object_set_new(o, "hidden", json_integer(hidden)) |
        json_object_set_new(o, "vocabulary", json_integer(vocabulary)) |
        json_object_set_new(o, "positions", json_integer(positions)) |
        json_object_set_new(o, "projection", json_integer(projection)) |
        json_object_set_new(o, "eps", json_real(eps)))
        return fail(err, E_MEMORY, "no memory for a configuration");
    return OK;
}

enum status clip_open_published(struct network **out, const struct weights *f, enum clip_form form,
                                const json_t *config, struct error *err)
{
    json_t *ours = json_object();
    struct params_source s;
    bool projects;
    enum status st;

    *out = NULL;
    if (!ours)
        return fail(err, E_MEMORY, "no memory for a configuration");
    if ((st = find_encoder(&s, f, form, err)))
        goto out;
    projects = (form == CLIP_G || config) && source_find(&s, "text_projection.weight");
    if ((st = describe(ours, &s, form, config, projects, err)) ||
        (st = network_declare_json(out, &network_clip, ours, err)))
        goto out;
    params_allow((*out)->params, projects ? spare : spare_projection);
    if ((st = params_map_named((*out)->params, f, &s.naming, err))) {
        network_free(*out);
        *out = NULL;
    }
out:
    json_decref(ours);
    return st;
}
