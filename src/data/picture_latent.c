/*
 * picture_latent.c - the latent of one picture in a file
 *
 * A latent means something to the autoencoder that made it and to no other, and a picture whose
 * sides are no multiples of the factor is smaller than its latent: so the file says whose it is and
 * how large the picture was.  What the picture was, and how it was encoded, tells whoever encodes a
 * folder for the second time which pictures are done.
 *
 * As in a cache (latents_part.c), the numbers and all that is said of them stand under one
 * checksum: the JSON without it, in one line, and the numbers behind it.
 *
 * Latents of other programs come without any of that.  Their layout follows from which side has the
 * autoencoder's channels, and only where two have does the number of dimensions decide.
 */
#include "data/picture_latent.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/whole.h"
#include "data/latents_file.h"
#include "data/seal.h"
#include "io/clip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1, TEXT_LIMIT = 1 << 16, PICTURE_SIDE = 1 << 20 };

static const char key[] = "imgen.latent", tensor_name[] = "latent", cache_key[] = "imgen.latents";

void picture_latent_release(struct picture_latent *z)
{
    free(z->values);
    *z = (struct picture_latent){0};
}

static int64_t count_of(const struct picture_latent *z)
{
    return whole_max(z->cells, 1) * z->rows * z->columns * z->channels;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* Absent members are those that there is nothing to say of; NULL for want of memory. */
static json_t *describe(const struct picture_latent *z)
{
    json_t *root =
        json_pack("{s:i, s:s, s:I, s:I}", "format", FORMAT_VERSION, "autoencoder", z->autoencoder,
                  "height", (json_int_t)z->height, "width", (json_int_t)z->width);

    if (root &&
        ((z->picture[0] && json_object_set_new(root, "picture", json_string(z->picture))) ||
         (z->sampled && config_set_seed(root, "sampled", z->seed)) ||
         (z->tile_rows && json_object_set_new(root, "tile",
                                              json_pack("[I, I]", (json_int_t)z->tile_rows,
                                                        (json_int_t)z->tile_columns))) ||
         (z->frames && json_object_set_new(root, "frames", json_integer(z->frames))) ||
         (z->frames && z->rate > 0 && json_object_set_new(root, "rate", json_real(z->rate))))) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

static enum status describe_sealed(char **out, const struct picture_latent *z, const char *path,
                                   struct error *err)
{
    json_t *root = describe(z);
    enum status st;

    *out = NULL;
    if (!root)
        return fail(err, E_MEMORY, "no memory to describe %s", path);
    st = seal_close(out, root, z->values, (uint64_t)count_of(z) * sizeof *z->values, err);
    json_decref(root);
    return st;
}

enum status picture_latent_save(const char *path, const struct picture_latent *z, struct error *err)
{
    struct save_tensor tensor = {.name = tensor_name,
                                 .dtype = FILE_F32,
                                 .rank = 3,
                                 .dim = {z->rows, z->columns, z->channels},
                                 .bytes = z->values};
    const int64_t of_clip[] = {z->cells, z->rows, z->columns, z->channels};
    struct save_text text = {key, NULL};
    char *words;
    enum status st;

    MUST(hash_is(z->autoencoder) && z->values && z->height > 0 && z->width > 0,
         "a latent of nobody, or of no picture");
    if (z->frames) {
        tensor.rank = 4;
        memcpy(tensor.dim, of_clip, sizeof of_clip);
    }
    if ((st = describe_sealed(&words, z, path, err)))
        return st;
    text.value = words;
    st = safetensors_save(path, &tensor, 1, &text, 1, err);
    free(words);
    return st;
}

/* --- reading ours -------------------------------------------------------------------------------
 */

static enum status read_tile(struct picture_latent *z, const json_t *root, struct error *err)
{
    int64_t tile[2] = {0}, n;
    enum status st;

    if ((st = config_ints(tile, &n, 2, root, "tile", 1, LATENTS_SIDE, err)))
        return st;
    if (n == 1)
        return fail(err, E_FORMAT, "\"tile\" has one number, not two");
    z->tile_rows = tile[0];
    z->tile_columns = tile[1];
    return OK;
}

static enum status read_description(struct picture_latent *z, const json_t *root, struct error *err)
{
    int64_t version;
    enum status st;

    if ((st = config_need_int(&version, root, "format", 1, FORMAT_VERSION, err)) ||
        (st = config_hash(z->autoencoder, root, "autoencoder", err)) ||
        (json_object_get(root, "picture") &&
         (st = config_hash(z->picture, root, "picture", err))) ||
        (st = config_need_int(&z->height, root, "height", 1, PICTURE_SIDE, err)) ||
        (st = config_need_int(&z->width, root, "width", 1, PICTURE_SIDE, err)) ||
        (st = config_seed(&z->seed, &z->sampled, root, "sampled", err)))
        return st;
    return read_tile(z, root, err);
}

/* A clip's tensor has a dimension more, and its description says so, or neither does. */
static enum status read_clip(struct picture_latent *z, const json_t *root,
                             const struct file_tensor *t, struct error *err)
{
    enum status st;

    if ((json_object_get(root, "frames") != NULL) != (t->rank == 4))
        return fail(err, E_FORMAT, "a latent of %d dimensions that says %s of frames", t->rank,
                    t->rank == 4 ? "nothing" : "a number");
    if (t->rank != 4)
        return OK;
    if ((st = config_int(&z->frames, root, "frames", 0, 1, CLIP_FRAMES, err)))
        return st;
    z->rate = json_number_value(json_object_get(root, "rate"));
    if (z->cells > z->frames)
        return fail(err, E_FORMAT, "%" PRId64 " latents of a clip of %" PRId64 " frames", z->cells,
                    z->frames);
    if (!(z->rate >= 0 && z->rate <= 1000))
        return fail(err, E_FORMAT, "%g frames a second; 0 to 1000 are possible", z->rate);
    return OK;
}

static enum status check_side(const struct file_tensor *t, int64_t rows, int64_t columns,
                              int64_t channels, struct error *err)
{
    if (rows >= 1 && rows <= LATENTS_SIDE && columns >= 1 && columns <= LATENTS_SIDE &&
        channels >= 1 && channels <= LATENTS_CHANNELS)
        return OK;
    return fail(err, E_FORMAT,
                "\"%s\" is a latent of %" PRId64 " x %" PRId64 " with %" PRId64 " channels",
                t->name, columns, rows, channels);
}

static enum status read_ours(struct picture_latent *z, const struct safetensors *f,
                             const char *text, int64_t channels, struct error *err)
{
    const struct file_tensor *t = safetensors_find(f, tensor_name);
    const int64_t *dim;
    json_t *root;
    enum status st;

    if (!t || (t->rank != 3 && t->rank != 4) || t->dtype != FILE_F32)
        return fail(err, E_FORMAT,
                    "there is no tensor \"%s\" of float32 in three dimensions, or four of a clip",
                    tensor_name);
    dim = t->dim + (t->rank == 4);
    if ((st = check_side(t, dim[0], dim[1], dim[2], err)))
        return st;
    z->cells = t->rank == 4 ? t->dim[0] : 1;
    if (z->cells < 1 || z->cells > CLIP_FRAMES)
        return fail(err, E_FORMAT, "%" PRId64 " latents of a clip; 1 to %d are possible", z->cells,
                    CLIP_FRAMES);
    z->rows = dim[0];
    z->columns = dim[1];
    z->channels = dim[2];
    if ((st = config_parse(&root, text, strlen(text), TEXT_LIMIT, key, err)))
        return st;
    if (!(st = read_description(z, root, err)) && !(st = read_clip(z, root, t, err)) &&
        !(st = seal_open(root, t->bytes, t->n_bytes, err)) && z->channels != channels)
        st = fail(err, E_FORMAT,
                  "a latent of %" PRId64 " channels, and the autoencoder's have %" PRId64,
                  z->channels, channels);
    json_decref(root);
    return st;
}

/* --- reading others -----------------------------------------------------------------------------
 */

static void shape_say(struct text *out, const struct file_tensor *t)
{
    for (int k = 0; k < t->rank; k++)
        text_add(out, "%s%" PRId64, k ? ", " : "[", t->dim[k]);
    text_add(out, "]");
}

/* *first: whether the channels come first. */
static enum status find_layout(struct picture_latent *z, bool *first, const struct safetensors *f,
                               const struct file_tensor *t, int64_t channels, struct error *err)
{
    const char *layout = safetensors_metadata(f, "layout");
    const int64_t *dim = t->dim + (t->rank == 4);
    bool batch = t->rank == 4, fits = t->rank == 3 || (batch && t->dim[0] == 1);
    char shape[256];
    struct text words;

    text_init(&words, shape, sizeof shape);
    shape_say(&words, t);
    if (!fits || (dim[0] != channels && dim[2] != channels))
        return fail(err, E_FORMAT,
                    "\"%.60s\" %s is no latent of one picture with %" PRId64 " channels: neither "
                    "[rows, columns, %" PRId64 "] nor [1, %" PRId64 ", rows, columns]",
                    t->name, shape, channels, channels, channels);
    *first = dim[0] == channels;
    if (*first && dim[2] == channels)
        *first = layout ? !strcmp(layout, "channels_first") : batch;
    z->cells = 1;
    z->channels = channels;
    z->rows = *first ? dim[1] : dim[0];
    z->columns = *first ? dim[2] : dim[1];
    return check_side(t, z->rows, z->columns, channels, err);
}

static enum status read_others(struct picture_latent *z, bool *first,
                               const struct file_tensor **out, const struct safetensors *f,
                               int64_t channels, struct error *err)
{
    if (safetensors_metadata(f, cache_key))
        return fail(err, E_FORMAT, "a part of a cache of latents, not the latent of one picture");
    if (safetensors_count(f) != 1)
        return fail(err, E_FORMAT, "%" PRId64 " tensors, where a latent is one",
                    safetensors_count(f));
    *out = safetensors_at(f, 0);
    return find_layout(z, first, f, *out, channels, err);
}

/* --- both ---------------------------------------------------------------------------------------
 */

/* in [channels, places] to out [places, channels]. */
static void channels_last(float *out, const float *in, int64_t places, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < places; i++)
            out[i * channels + c] = in[c * places + i];
}

static enum status take_values(struct picture_latent *z, const struct file_tensor *t, bool first,
                               struct error *err)
{
    float *in = NULL;
    enum status st;

    if ((st = mem_new((void **)&z->values, (uint64_t)count_of(z), sizeof *z->values, "a latent",
                      err)))
        return st;
    if (!first)
        return file_tensor_f32(t, z->values, err);
    if (!(st = mem_new((void **)&in, (uint64_t)count_of(z), sizeof *in, "a latent", err)) &&
        !(st = file_tensor_f32(t, in, err)))
        channels_last(z->values, in, z->rows * z->columns, z->channels);
    free(in);
    return st;
}

static enum status take(struct picture_latent *z, const struct safetensors *f, const char *name,
                        int64_t channels, struct error *err)
{
    const char *text = safetensors_metadata(f, key);
    const struct file_tensor *t = safetensors_find(f, tensor_name);
    bool first = false;
    enum status st;

    st = text ? read_ours(z, f, text, channels, err) : read_others(z, &first, &t, f, channels, err);
    if (st || (st = take_values(z, t, first, err)))
        fail_under(err, "%s", name);
    return st;
}

enum status picture_latent_read(struct picture_latent *z, const char *path, int64_t channels,
                                struct error *err)
{
    struct safetensors *f;
    enum status st;

    *z = (struct picture_latent){0};
    if ((st = safetensors_open(&f, path, err)))
        return st;
    st = take(z, f, path, channels, err);
    safetensors_close(f);
    return st;
}

enum status picture_latent_read_bytes(struct picture_latent *z, const uint8_t *bytes, uint64_t n,
                                      const char *name, int64_t channels, struct error *err)
{
    struct safetensors *f;
    enum status st;

    *z = (struct picture_latent){0};
    if ((st = safetensors_open_bytes(&f, bytes, n, name, err)))
        return st;
    st = take(z, f, name, channels, err);
    safetensors_close(f);
    return st;
}
