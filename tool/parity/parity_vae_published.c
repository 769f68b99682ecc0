/*
 * parity_vae_published.c - folders that hold an autoencoder as it is published (AutoencoderKL)
 *
 * The network comes from the file alone, as a user's would: sizes from shapes, the rest from the
 * configuration in its metadata.  Pictures and latents may be of any size, also of different ones.
 * Where the folder layout lies beside it (diffusers/vae), that is opened too, by its own names and
 * its own configuration, and must hold the same weights.
 */
#include "parity.h"

#include "model/vae.h"
#include "model_case.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct parity_limit within = {.of_each = 1e-4, .absolute = 1e-4};
enum { TAPS = 256 };

struct published {
    struct parity_fixture *fixture;
    const struct parity_part *io;
    struct parity_report *r;
    struct network *net;
    struct parity_array picture, noise, latent; /* in.image, in.eps, in.z: channels last */
    struct error *err;

    /* Of a run. */
    struct graph *graph;
    struct {
        char name[96];
        struct tensor *value;
    } tap[TAPS];
    int n_taps;
    struct tensor *moments, *sample, *decoded;
};

/* --- loading ------------------------------------------------------------------------------ */

static enum status map_load(struct published *p, struct parity_array *out, const char *name)
{
    struct parity_array in;
    enum status st = fixture_f32(p->fixture, &in, p->io, name, p->err);

    return st ? st : channels_last(p->fixture, out, &in, p->err);
}

static enum status inputs_load(struct published *p)
{
    const struct network_io *io = &p->net->io;
    const struct shape *x = &p->picture.shape, *z = &p->latent.shape;
    enum status st;

    if ((st = map_load(p, &p->picture, "in.image")) || (st = map_load(p, &p->noise, "in.eps")) ||
        (st = map_load(p, &p->latent, "in.z")))
        return st;
    if (x->rank != 4 || x->dim[3] != io->in_channels || z->rank != 4 ||
        z->dim[3] != io->latent_channels)
        return fail(p->err, E_FORMAT, "in.image or in.z does not fit the network");
    if ((st = autoencoder_check_size(p->net, x->dim[1], x->dim[2], p->err)))
        return st;
    if (!shape_equal(p->noise.shape, SHAPE(x->dim[0], x->dim[1] / io->factor,
                                           x->dim[2] / io->factor, io->latent_channels)))
        return fail(p->err, E_FORMAT, "in.eps does not fit in.image");
    return OK;
}

/* --- running ------------------------------------------------------------------------------ */

static void tap_keep(const char *name, struct tensor *value, void *user)
{
    struct published *p = user;

    if (p->n_taps == TAPS)
        return;
    graph_keep(p->graph, value);
    snprintf(p->tap[p->n_taps].name, sizeof(p->tap[p->n_taps].name), "%s", name);
    p->tap[p->n_taps++].value = value;
}

static enum status case_run(struct published *p, const struct parity_options *options)
{
    struct graph *g;
    enum status st;

    if ((st = graph_new(&p->graph, GRAPH_FROZEN, options->threads, p->err)))
        return st;
    g = p->graph;
    p->net->tap = tap_keep;
    p->net->tap_user = p;
    p->moments = autoencoder_encode(g, p->net, graph_input(g, p->picture.shape, p->picture.v));
    p->sample =
        autoencoder_latents(g, p->net, p->moments, graph_input(g, p->noise.shape, p->noise.v));
    p->decoded = autoencoder_decode(g, p->net, graph_input(g, p->latent.shape, p->latent.v));
    p->net->tap = NULL;
    graph_keep(g, p->moments);
    graph_keep(g, p->sample);
    graph_keep(g, p->decoded);
    return graph_run(g, p->err);
}

static enum status read_kept(struct published *p, float **out, const struct tensor *t)
{
    enum status st = fixture_new(p->fixture, (void **)out, (uint64_t)shape_count(t->shape),
                                 sizeof(float), p->err);

    if (!st)
        graph_read(p->graph, t, *out);
    return st;
}

/* --- comparing ---------------------------------------------------------------------------- */

static enum status map_compare(struct published *p, const char *name, const float *got,
                               struct shape shape)
{
    struct parity_array want;
    enum status st = map_load(p, &want, name);

    if (st)
        return st;
    if (shape_equal(want.shape, shape))
        parity_compare_f32(p->r, name, got, want.v, want.n, within);
    else
        parity_claim(p->r, name, false, "the shapes differ");
    return OK;
}

/* Of "mid.decoder.level2.upsample" our name, decoder.up.2.upsample; the last block of a level has
 * the level's name there. */
static void tap_name(char out[96], const char *theirs, int64_t blocks)
{
    int decodes = strncmp(theirs, "decoder.", 8) == 0, level, end = 0;
    const char *half = decodes ? "decoder" : "encoder", *inside = theirs + 8;

    if (sscanf(inside, "level%d%n", &level, &end) == 1 && inside[end] == '.')
        snprintf(out, 96, "%s.%s.%d%s", half, decodes ? "up" : "down", level, inside + end);
    else if (end)
        snprintf(out, 96, "%s.%s.%d.block.%d", half, decodes ? "up" : "down", level,
                 (int)blocks - !decodes);
    else if (strncmp(inside, "mid_", 4) == 0)
        snprintf(out, 96, "%s.mid.%s", half, inside + 4);
    else
        snprintf(out, 96, "%s", theirs);
}

static enum status taps_compare(struct published *p)
{
    const struct vae_config *config = p->net->config;
    char ours[96];
    float *got;
    enum status st;
    int k;

    report_group(p->r, "activations");
    for (int64_t i = 0; i < weights_count(p->io->file); i++) {
        const char *name = weights_at(p->io->file, i)->name;

        if (strncmp(name, "mid.encoder.", 12) != 0 && strncmp(name, "mid.decoder.", 12) != 0)
            continue;
        tap_name(ours, name + 4, config->blocks);
        for (k = 0; k < p->n_taps && strcmp(p->tap[k].name, ours) != 0; k++)
            continue;
        if (k == p->n_taps) {
            parity_skip(p->r, name, "the network does not show this value");
            continue;
        }
        if ((st = read_kept(p, &got, p->tap[k].value)) ||
            (st = map_compare(p, name, got, p->tap[k].value->shape)))
            return st;
    }
    return OK;
}

/* Bytes as the original makes them, cut off and not rounded: one off is allowed. */
static enum status bytes_compare(struct published *p, const float *picture)
{
    int32_t *want;
    int64_t n, most = 0;
    enum status st;

    if (!weights_find(p->io->file, "out.u8"))
        return OK;
    if ((st = fixture_i32(p->fixture, &want, &n, p->io, "out.u8", p->err)))
        return st;
    if (n != shape_count(p->decoded->shape))
        return fail(p->err, E_FORMAT, "out.u8 holds %lld bytes", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        float v = (picture[i] + 1) / 2, in_range = v < 0 ? 0 : v > 1 ? 1 : v;
        int64_t off = labs((long)(int32_t)(in_range * 255) - want[i]);

        most = off > most ? off : most;
    }
    parity_claim(p->r, "out.u8", most <= 1, "a byte is %lld off", (long long)most);
    return OK;
}

/* Mean and log variance from the moments by the library's own ops, on a tape of their own. */
static enum status moments_compare(struct published *p, const float *moments)
{
    struct tensor *in, *mean, *log_variance;
    struct graph *g = NULL;
    float *v;
    enum status st;

    if ((st = graph_new(&g, 0, 1, p->err)))
        return st;
    in = graph_input(g, p->moments->shape, moments);
    mean = posterior_mean(g, in);
    log_variance = posterior_log_variance(g, in);
    graph_keep(g, mean);
    graph_keep(g, log_variance);
    if ((st = graph_run(g, p->err)) ||
        (st = fixture_new(p->fixture, (void **)&v, (uint64_t)shape_count(mean->shape), sizeof(*v),
                          p->err)))
        goto out;
    graph_read(g, mean, v);
    if ((st = map_compare(p, "out.mean", v, mean->shape)))
        goto out;
    graph_read(g, log_variance, v);
    st = map_compare(p, "out.logvar", v, mean->shape);
out:
    graph_free(g);
    return st;
}

static enum status outputs_compare(struct published *p)
{
    float *moments, *sample, *picture;
    enum status st;

    if ((st = read_kept(p, &moments, p->moments)) || (st = read_kept(p, &sample, p->sample)) ||
        (st = read_kept(p, &picture, p->decoded)))
        return st;
    report_group(p->r, "outputs");
    if ((st = map_compare(p, "out.moments", moments, p->moments->shape)) ||
        (st = moments_compare(p, moments)) ||
        (st = map_compare(p, "out.sample", sample, p->sample->shape)) ||
        (st = map_compare(p, "out.image", picture, p->decoded->shape)) ||
        (st = bytes_compare(p, picture)))
        return st;
    latents_scale(p->net, sample, shape_rows(p->sample->shape));
    return map_compare(p, "out.latent", sample, p->sample->shape);
}

/* --- the other layout --------------------------------------------------------------------- */

static enum status folder_open(struct network **out, const struct parity_fixture *fixture,
                               struct error *err)
{
    struct weights *f = NULL;
    json_t *config = NULL;
    char path[4096];
    enum status st;

    if ((st = fixture_json(&config, fixture, "diffusers/vae/config.json", err)))
        return st;
    snprintf(path, sizeof(path), "%s/diffusers/vae", fixture->folder);
    if (!(st = weights_open(&f, path, err)))
        st = vae_open_published(out, f, config, HALVES_BOTH, err);
    weights_close(f);
    json_decref(config);
    return st;
}

/* Weights are compared, and with them all that follows.  The layout need not be there. */
static enum status folder_compare(struct published *p)
{
    struct network *other = NULL;
    char path[4096];
    struct stat is;
    enum status st;

    snprintf(path, sizeof(path), "%s/diffusers/vae", p->fixture->folder);
    if (stat(path, &is))
        return OK;

    report_group(p->r, "folder layout");
    if ((st = folder_open(&other, p->fixture, p->err)))
        return st;
    weights_compare(p->r, p->net->params, other->params);
    parity_claim(p->r, "scale and shift",
                 p->net->io.scale->at[0] == other->io.scale->at[0] &&
                     p->net->io.shift->at[0] == other->io.shift->at[0],
                 "%g and %g, not %g and %g", other->io.scale->at[0], other->io.shift->at[0],
                 p->net->io.scale->at[0], p->net->io.shift->at[0]);
    network_free(other);
    return OK;
}

/* --- the whole ---------------------------------------------------------------------------- */

static enum status published_check(struct parity_report *r, struct parity_fixture *f,
                                   const struct parity_options *options, struct error *err)
{
    struct published p = {.fixture = f, .io = fixture_part(f, "io"), .r = r, .err = err};
    json_t *config = NULL;
    enum status st;

    if ((st = fixture_metadata(&config, fixture_part(f, "model"), "config", err)) ||
        (st = vae_open_published(&p.net, fixture_part(f, "model")->file, config, HALVES_BOTH,
                                 err)) ||
        (st = inputs_load(&p)) || (st = case_run(&p, options)) || (st = taps_compare(&p)) ||
        (st = outputs_compare(&p)))
        goto out;
    st = folder_compare(&p);
out:
    json_decref(config);
    graph_free(p.graph);
    network_free(p.net);
    return st;
}

const struct parity_checker parity_vae_published = {
    .kind = "AutoencoderKL", .parts = {"io", "model"}, .check = published_check};
