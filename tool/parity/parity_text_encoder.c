/*
 * parity_text_encoder.c - folders that hold a text encoder as it is published: CLIP, T5
 *
 * The network comes from the file and the configuration in its metadata or beside it, as a user's
 * would.  One run is compared at every value that the folder knows, behind every layer and at the
 * end, and must have the same bits on any number of threads and node by node.  The buckets of
 * relative positions lie beside T5 as a list and are compared by themselves.
 */
#include "parity.h"

#include "base/json.h"
#include "model/clip.h"
#include "model/t5.h"
#include "model_case.h"
#include "ops/sequence.h"

#include <stdio.h>
#include <string.h>

static const struct parity_limit within = {.of_each = 1e-4, .absolute = 1e-4};

enum { OUTPUTS = 4 };

struct encoder_case {
    struct model_case m; /* net and tools; its own inputs are not used */
    struct parity_report *r;
    int32_t *ids;
    int64_t N, L;
    struct tensor *(*values)(struct encoder_case *c, struct graph *g, struct tensor *ids, int k);
    const char *names[OUTPUTS]; /* of the results, in the file */
    struct clip_states states;
};

/* --- the two encoders --------------------------------------------------------------------- */

/* Result k of this recording, or NULL; called in order. */
static struct tensor *clip_values(struct encoder_case *c, struct graph *g, struct tensor *ids,
                                  int k)
{
    if (k == 0)
        clip_forward(g, c->m.net, ids, &c->states);
    switch (k) {
    case 0:
        return c->states.last;
    case 1:
        return c->states.penultimate;
    case 2:
        return c->states.pooled;
    default:
        return c->states.projected;
    }
}

static struct tensor *t5_values(struct encoder_case *c, struct graph *g, struct tensor *ids, int k)
{
    return k == 0 ? t5_forward(g, c->m.net, ids) : NULL;
}

/* What the network calls the value "mid.<theirs>". */
static void value_name(char out[96], const char *theirs, const struct network *net)
{
    int layer;

    snprintf(out, 96, "%s", theirs);
    if (strcmp(theirs, "embed") == 0)
        snprintf(out, 96, "text_model.embeddings");
    if (sscanf(theirs, "layer%d", &layer) == 1)
        snprintf(out, 96,
                 net->kind == &network_t5 ? "encoder.block.%d" : "text_model.encoder.layers.%d",
                 layer);
}

/* --- running ------------------------------------------------------------------------------ */

static enum status ids_load(struct encoder_case *c)
{
    const struct file_tensor *t = weights_find(c->m.data->file, "in.ids");
    int64_t n;
    enum status st;

    if (!t || t->rank != 2)
        return fail(c->m.err, E_FORMAT, "in.ids is not there or not [N, L]");
    c->N = t->dim[0];
    c->L = t->dim[1];
    st = fixture_i32(c->m.fixture, &c->ids, &n, c->m.data, "in.ids", c->m.err);
    return st ? st : network_check_ids(c->m.net, c->ids, n, c->L, c->m.err);
}

/* The results in got[k], NULL where there is none; taps may be NULL. */
static enum status encoder_run(struct encoder_case *c, struct graph *g, struct model_taps *taps,
                               float *got[OUTPUTS], int64_t n[OUTPUTS])
{
    struct tensor *ids = graph_input_i32(g, SHAPE(c->N, c->L), c->ids), *y[OUTPUTS];
    enum status st;

    model_case_tap(&c->m, g, taps);
    for (int k = 0; k < OUTPUTS; k++)
        if ((y[k] = c->values(c, g, ids, k)))
            graph_keep(g, y[k]);
    model_case_tap(&c->m, g, NULL);
    if ((st = graph_run(g, c->m.err)))
        return st;
    for (int k = 0; k < OUTPUTS && !st; k++) {
        n[k] = y[k] ? shape_count(y[k]->shape) : 0;
        got[k] = NULL;
        if (y[k])
            st = model_case_read(&c->m, g, &got[k], y[k]);
    }
    return st;
}

static enum status ways_compare(struct encoder_case *c, float *const first[OUTPUTS])
{
    static const struct {
        const char *name;
        unsigned flags;
        int threads;
    } ways[] = {
        {"planned, 1 thread", GRAPH_FROZEN, 1},
        {"planned, 3 threads", 0, 3},
        {"eager", GRAPH_EAGER, 2},
    };

    report_group(c->r, "equal bits");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct graph *g = NULL;
        float *got[OUTPUTS];
        int64_t n[OUTPUTS];
        bool same = true;
        enum status st;

        if (!(st = graph_new(&g, ways[i].flags, ways[i].threads, c->m.err)))
            st = encoder_run(c, g, NULL, got, n);
        graph_free(g);
        if (st)
            return st;
        for (int k = 0; k < OUTPUTS; k++)
            same = same && (!got[k] || !memcmp(got[k], first[k], (size_t)n[k] * sizeof(float)));
        parity_claim(c->r, ways[i].name, same, "the states differ from the first run's");
    }
    return OK;
}

/* --- comparing ---------------------------------------------------------------------------- */

/* The file may hold the first part of a value alone: one head of a bias. */
static enum status value_compare(struct encoder_case *c, const char *name, const float *got,
                                 int64_t n)
{
    struct parity_array want;
    enum status st = fixture_f32(c->m.fixture, &want, c->m.data, name, c->m.err);

    if (st)
        return st;
    if (want.n > 0 && want.n <= n && n % want.n == 0)
        parity_compare_f32(c->r, name, got, want.v, want.n, within);
    else
        parity_claim(c->r, name, false, "%lld numbers, not %lld", (long long)n, (long long)want.n);
    return OK;
}

static enum status taps_compare(struct encoder_case *c, struct graph *g,
                                const struct model_taps *taps)
{
    char ours[96];
    float *got;
    enum status st;
    int k;

    report_group(c->r, "activations");
    for (int64_t i = 0; i < weights_count(c->m.data->file); i++) {
        const char *name = weights_at(c->m.data->file, i)->name;

        if (strncmp(name, "mid.", 4) != 0)
            continue;
        value_name(ours, name + 4, c->m.net);
        for (k = 0; k < taps->n && strcmp(taps->at[k].name, ours) != 0; k++)
            continue;
        if (k == taps->n) {
            parity_skip(c->r, name, "the network does not show this value");
            continue;
        }
        if ((st = model_case_read(&c->m, g, &got, taps->at[k].value)) ||
            (st = value_compare(c, name, got, shape_count(taps->at[k].value->shape))))
            return st;
    }
    return OK;
}

static enum status outputs_compare(struct encoder_case *c, float *const got[OUTPUTS],
                                   const int64_t n[OUTPUTS])
{
    enum status st = OK;

    report_group(c->r, "outputs");
    for (int k = 0; k < OUTPUTS && !st; k++)
        if (got[k] && c->names[k] && weights_find(c->m.data->file, c->names[k]))
            st = value_compare(c, c->names[k], got[k], n[k]);
    return st;
}

/* buckets.json: relative positions from `first` on -> buckets. */
static enum status buckets_compare(struct encoder_case *c)
{
    const struct t5_config *config = c->m.net->config;
    json_t *root = NULL, *list = NULL;
    int64_t first = 0, differ = 0;
    enum status st;

    if (c->m.net->kind != &network_t5 ||
        (st = fixture_json(&root, c->m.fixture, "buckets.json", c->m.err)) || !root)
        return c->m.net->kind == &network_t5 && !root ? st : OK;
    report_group(c->r, "buckets");
    if (!(st = config_int(&first, root, "first", 0, -(1 << 20), 1 << 20, c->m.err)) &&
        !(st = config_array(&list, root, "bucket", c->m.err)))
        for (size_t i = 0; i < json_array_size(list); i++)
            differ += relative_bucket(first + (int64_t)i, config->buckets, config->far) !=
                      json_integer_value(json_array_get(list, i));
    if (!st)
        parity_claim(c->r, "bucket", json_array_size(list) > 0 && differ == 0,
                     "%lld of %d offsets differ", (long long)differ, (int)json_array_size(list));
    json_decref(root);
    return st;
}

static enum status encoder_compare(struct encoder_case *c, const struct parity_options *options)
{
    struct model_taps *taps;
    struct graph *g = NULL;
    float *got[OUTPUTS];
    int64_t n[OUTPUTS];
    enum status st;

    if ((st = ids_load(c)) ||
        (st = fixture_new(c->m.fixture, (void **)&taps, 1, sizeof(*taps), c->m.err)) ||
        (st = graph_new(&g, 0, options->threads, c->m.err)))
        return st;
    if (!(st = encoder_run(c, g, taps, got, n)))
        st = taps_compare(c, g, taps);
    graph_free(g);
    if (st || (st = outputs_compare(c, got, n)) || (st = ways_compare(c, got)))
        return st;
    return buckets_compare(c);
}

static struct encoder_case case_of(struct parity_report *r, struct parity_fixture *f,
                                   struct error *err)
{
    return (struct encoder_case){.m = {.fixture = f, .data = fixture_part(f, "io"), .err = err},
                                 .r = r};
}

static enum status clip_check(struct parity_report *r, struct parity_fixture *f,
                              const struct parity_options *options, struct error *err)
{
    struct encoder_case c = case_of(r, f, err);
    json_t *config = NULL;
    enum status st;

    c.values = clip_values;
    memcpy(c.names,
           (const char *[OUTPUTS]){"out.last", "out.penultimate", "out.pooled", "out.projected"},
           sizeof(c.names));
    if (!(st = fixture_json(&config, f, "config.json", err)) &&
        !(st = clip_open_published(&c.m.net, fixture_part(f, "model")->file, CLIP_L, config, err)))
        st = encoder_compare(&c, options);
    json_decref(config);
    network_free(c.m.net);
    return st;
}

static enum status t5_check(struct parity_report *r, struct parity_fixture *f,
                            const struct parity_options *options, struct error *err)
{
    struct encoder_case c = case_of(r, f, err);
    json_t *config = NULL;
    enum status st;

    c.values = t5_values;
    c.names[0] = "out.last";
    if (!(st = fixture_json(&config, f, "config.json", err)) &&
        !(st = t5_open_published(&c.m.net, fixture_part(f, "model")->file, config, err)))
        st = encoder_compare(&c, options);
    json_decref(config);
    network_free(c.m.net);
    return st;
}

const struct parity_checker parity_clip = {
    .kind = "CLIPTextModelWithProjection", .parts = {"io", "model"}, .check = clip_check};
const struct parity_checker parity_t5 = {
    .kind = "T5EncoderModel", .parts = {"io", "model"}, .check = t5_check};
