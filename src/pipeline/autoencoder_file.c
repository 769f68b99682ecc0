/*
 * autoencoder_file.c - autoencoders in files, ours and published ones
 *
 * People have autoencoders in many shapes: trained here, cut out of a large model's single file, as
 * the folder that a publisher's library writes, or as a pair of small files.  Which one it is
 * follows from what is in the file, and from names only where the file cannot say it: that two
 * halves belong together, or that a config.json belongs to weights.
 *
 * Latents mean something to one autoencoder alone, so it is named by a hash of its weights.  A
 * config.json beside them is not hashed: what people edit in it is the scaling of latents, which
 * changes none of them.
 */
#include "pipeline/autoencoder_file.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/listing.h"
#include "model/tae.h"
#include "model/vae.h"

#include <stdlib.h>
#include <string.h>

static const char folder_weights[] = "diffusion_pytorch_model.safetensors";
static const char own_weights[] = "model.safetensors";
static const char folder_config[] = "config.json";
static const char encoder_ending[] = "encoder.safetensors";
static const char decoder_ending[] = "decoder.safetensors";

/* Zeros where nobody wants it. */
static enum status take_hash(struct autoencoder_file *a, const char *path, struct error *err)
{
    memset(a->hash, '0', HASH_TEXT - 1);
    a->hash[HASH_TEXT - 1] = 0;
    return a->unnamed ? OK : hash_file(a->hash, path, err);
}

/* --- a model file of ours -----------------------------------------------------------------------
 */

static enum status open_own(struct autoencoder_file *a, const char *path, struct error *err)
{
    enum status st;

    if ((st = model_load(&a->model, path, err)))
        return st;
    a->network = a->model->network;
    if (!a->network->io.factor)
        return fail(err, E_FORMAT, "%s: a '%s' is no autoencoder", path, a->network->kind->name);
    return take_hash(a, path, err);
}

/* --- published ones of the large kind -----------------------------------------------------------
 */

/* In the file's own metadata, where one with a whole model has it under a name of its own, or
 * beside it where the folder layout has it; else NULL. */
static enum status read_config(json_t **out, const struct weights *f, const char *path,
                               struct error *err)
{
    const char *text = weights_metadata(f, "vae_config"), *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    uint8_t *bytes = NULL;
    struct text name;
    uint64_t n;
    enum status st = OK;

    *out = NULL;
    if (!text)
        text = weights_metadata(f, "config");
    if (text)
        return config_parse(out, text, strlen(text), CONFIG_BYTES, path, err);
    if (strcmp(path + folder, folder_weights) != 0)
        return OK;
    text_init(&name, NULL, 0);
    text_add(&name, "%.*s%s", (int)folder, path, folder_config);
    if (name.cut)
        st = fail(err, E_MEMORY, "no memory for a path");
    else if (path_is_file(name.data) && !(st = file_read(&bytes, &n, name.data, CONFIG_BYTES, err)))
        st = config_parse(out, (const char *)bytes, (size_t)n, CONFIG_BYTES, name.data, err);
    free(bytes);
    text_release(&name);
    return st;
}

static enum status open_published(struct autoencoder_file *a, const struct weights *f,
                                  const char *path, enum autoencoder_halves halves,
                                  struct error *err)
{
    json_t *config = NULL;
    enum status st;

    if ((st = read_config(&config, f, path, err)))
        return st;
    if ((st = vae_open_published(&a->network, f, config, halves, err)))
        fail_under(err, "%s", path);
    json_decref(config);
    return st ? st : take_hash(a, path, err);
}

/* --- tiny ones, a file a half -------------------------------------------------------------------
 */

/* The names of both halves, heap; NULL for the one that is not there. */
struct pair {
    char *encoder, *decoder;
};

static void pair_release(struct pair *p)
{
    free(p->encoder);
    free(p->decoder);
}

/* The first layer has number 0 in an encoder and 1 in a decoder, behind the one that bounds the
 * latents; both have blocks at 3. */
static bool is_half(const struct weights *f)
{
    return weights_find(f, "3.conv.0.weight") &&
           (weights_find(f, "0.weight") || weights_find(f, "1.weight"));
}

static bool is_encoder(const struct weights *f)
{
    return weights_find(f, "0.weight") != NULL;
}

/* "NAME_encoder.safetensors" and "NAME_decoder.safetensors" in each other's place: *out is heap, or
 * NULL when the name is neither, or there is no such file. */
static enum status find_sibling(char **out, const char *path, const char *own, const char *other,
                                struct error *err)
{
    size_t n = strlen(path), ending = strlen(own);
    enum status st;

    *out = NULL;
    if (!name_ends(path, own))
        return OK;
    if ((st = mem_text(out, path, err)))
        return st;
    memcpy(*out + n - ending, other, ending);
    if (path_is_file(*out))
        return OK;
    free(*out);
    *out = NULL;
    return OK;
}

static enum status hash_pair(char out[HASH_TEXT], const struct pair *p, struct error *err)
{
    char encoder[HASH_TEXT], decoder[HASH_TEXT];
    struct hash both;
    enum status st;

    if (!p->encoder || !p->decoder)
        return hash_file(out, p->encoder ? p->encoder : p->decoder, err);
    if ((st = hash_file(encoder, p->encoder, err)) || (st = hash_file(decoder, p->decoder, err)))
        return st;
    hash_begin(&both);
    hash_add(&both, encoder, strlen(encoder));
    hash_add(&both, decoder, strlen(decoder));
    hash_end(&both, out);
    return OK;
}

static enum status open_pair(struct autoencoder_file *a, const struct pair *p,
                             enum autoencoder_halves halves, struct error *err)
{
    const char *missing = !p->encoder && halves != HALVES_DECODER   ? encoder_ending
                          : !p->decoder && halves != HALVES_ENCODER ? decoder_ending
                                                                    : NULL;
    struct weights *encoder = NULL, *decoder = NULL;
    enum status st;

    if (missing)
        return fail(err, E_FORMAT, "%s: one half of an autoencoder, and no file NAME_%s beside it",
                    p->encoder ? p->encoder : p->decoder, missing);
    if ((halves == HALVES_DECODER || !(st = weights_open(&encoder, p->encoder, err))) &&
        (halves == HALVES_ENCODER || !(st = weights_open(&decoder, p->decoder, err))) &&
        (st = tae_open_published(&a->network, encoder, decoder, err)))
        fail_under(err, "%s", encoder ? p->encoder : p->decoder);
    weights_close(encoder);
    weights_close(decoder);
    return st ? st : hash_pair(a->hash, p, err);
}

static enum status open_half(struct autoencoder_file *a, const struct weights *f, const char *path,
                             enum autoencoder_halves halves, struct error *err)
{
    struct pair p = {0};
    enum status st;

    if (is_encoder(f)) {
        if (!(st = mem_text(&p.encoder, path, err)))
            st = find_sibling(&p.decoder, path, encoder_ending, decoder_ending, err);
    } else {
        if (!(st = mem_text(&p.decoder, path, err)))
            st = find_sibling(&p.encoder, path, decoder_ending, encoder_ending, err);
    }
    if (!st)
        st = open_pair(a, &p, halves, err);
    pair_release(&p);
    return st;
}

/* --- which one is it? ---------------------------------------------------------------------------
 */

static enum status open_file(struct autoencoder_file *a, const char *path,
                             enum autoencoder_halves halves, struct error *err)
{
    struct weights *f;
    enum status st;

    if ((st = weights_open(&f, path, err)))
        return st;
    if (weights_metadata(f, "imgen"))
        st = open_own(a, path, err);
    else if (is_half(f))
        st = open_half(a, f, path, halves, err);
    else
        st = open_published(a, f, path, halves, err);
    weights_close(f);
    return st;
}

/* The one encoder in a folder, *out heap; NULL for none, and for several. */
static enum status find_encoder(char **out, const char *folder, struct error *err)
{
    const char *name = NULL;
    struct listing l;
    int n = 0;
    enum status st;

    *out = NULL;
    if ((st = listing_read(&l, folder, err)))
        return st;
    for (int64_t i = 0; i < l.n; i++)
        if (name_ends(l.names[i], encoder_ending)) {
            name = l.names[i];
            n++;
        }
    if (n == 1)
        st = listing_path(out, folder, name, err);
    listing_release(&l);
    return st;
}

static enum status find_in_folder(char **out, const char *folder, struct error *err)
{
    static const char *const names[] = {"vae", folder_weights, own_weights};
    enum status st;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((st = listing_path(out, folder, names[i], err)))
            return st;
        if (i == 0 ? path_is_folder(*out) : path_is_file(*out))
            return OK;
        free(*out);
    }
    return find_encoder(out, folder, err);
}

static enum status open_folder(struct autoencoder_file *a, const char *folder, bool inside,
                               enum autoencoder_halves halves, struct error *err)
{
    char *path;
    enum status st;

    if ((st = find_in_folder(&path, folder, err)))
        return st;
    if (!path || (inside && path_is_folder(path)))
        st = fail(err, E_FORMAT,
                  "%s: no autoencoder in this folder: there is no vae/, %s, %s, nor one "
                  "NAME_%s",
                  folder, folder_weights, own_weights, encoder_ending);
    else if (path_is_folder(path))
        st = open_folder(a, path, true, halves, err);
    else
        st = open_file(a, path, halves, err);
    free(path);
    return st;
}

static enum status open_any(struct autoencoder_file *a, const char *path,
                            enum autoencoder_halves halves, struct error *err)
{
    const struct network_io *io;
    enum status st;

    if ((st = path_is_folder(path) ? open_folder(a, path, false, halves, err)
                                   : open_file(a, path, halves, err)))
        return st;
    io = &a->network->io;
    if (halves != HALVES_DECODER && !io->has_encoder)
        return fail(err, E_FORMAT, "%s: an autoencoder without its encoder", path);
    if (halves != HALVES_ENCODER && !io->has_decoder)
        return fail(err, E_FORMAT, "%s: an autoencoder without its decoder", path);
    return OK;
}

enum status autoencoder_file_open(struct autoencoder_file *a, const char *path,
                                  enum autoencoder_halves halves, struct error *err)
{
    *a = (struct autoencoder_file){0};
    return open_any(a, path, halves, err);
}

enum status autoencoder_file_open_unnamed(struct autoencoder_file *a, const char *path,
                                          enum autoencoder_halves halves, struct error *err)
{
    *a = (struct autoencoder_file){.unnamed = true};
    return open_any(a, path, halves, err);
}

void autoencoder_file_release(struct autoencoder_file *a)
{
    if (a->model)
        model_free(a->model);
    else
        network_free(a->network);
    *a = (struct autoencoder_file){0};
}
