/*
 * png.c - PNG pictures, read and written by libpng
 *
 * libpng tells an error by longjmp.  What a jump leaves behind is therefore kept out of the
 * functions that can jump: a struct owned by the caller holds every resource, the function with the
 * setjmp has no local that changes, and the caller frees whatever the struct holds, jump or not.
 *
 * A few bytes can claim a picture of gigabytes.  Sizes are limited, and a size is believed only if
 * deflate, which shrinks by at most 1032, could have made it from a file this long.  Ancillary
 * chunks (colour profiles, texts) are not even parsed: we want pixels, and they are where decoders
 * have been broken.  The chunks are walked first by png_text.c, which checks every CRC and the end.
 *
 * Written files carry no time and no software name, so equal pictures give equal bytes.
 */
#include "io/codec.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { DEFLATE_RATIO = 1032, KEY_LENGTH = 79, CHUNK_MEMORY = 8 << 20 };

/* Everything a jump must not lose. */
struct png_job {
    jmp_buf jump;
    png_structp png;
    png_infop info;
    struct image *im;
    png_bytep *rows;
    const uint8_t *bytes; /* what is still to be read */
    size_t n;
    struct byte_buffer *to;
    png_textp texts;
    int n_texts;
    enum status st;
    struct error *err;
};

/* ------------------------------------------------------------------ what libpng calls back */

static void on_error(png_structp png, png_const_charp message)
{
    struct png_job *job = png_get_error_ptr(png);

    if (!job->st)
        job->st = fail(job->err, E_FORMAT, "PNG: %s", message);
    longjmp(job->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t n)
{
    struct png_job *job = png_get_mem_ptr(png);
    void *p = malloc(n);

    if (!p)
        job->st = fail(job->err, E_MEMORY, "PNG: no memory for %zu bytes", (size_t)n);
    return p;
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png;
    free(p);
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    struct png_job *job = png_get_io_ptr(png);

    if (n > job->n)
        png_error(png, "the file is cut short");
    memcpy(out, job->bytes, n);
    job->bytes += n;
    job->n -= n;
}

static void on_write(png_structp png, png_bytep bytes, size_t n)
{
    struct png_job *job = png_get_io_ptr(png);

    job->st = byte_buffer_put(job->to, bytes, n, job->err);
    if (job->st)
        png_error(png, "cannot be written");
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* ------------------------------------------------------------------------------- reading */

bool png_is(const uint8_t *bytes, size_t n)
{
    return n >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8);
}

/* Ask libpng for 8 bits a channel, no palette, transparency as an alpha channel. */
static void set_transforms(struct png_job *job)
{
    png_set_scale_16(job->png);
    png_set_expand(job->png);
    png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
}

/* Memory for the picture, its size checked first against what a file this long can hold. */
static enum status make_rows(struct png_job *job, size_t file_bytes)
{
    int64_t height = png_get_image_height(job->png, job->info);
    int64_t width = png_get_image_width(job->png, job->info);
    int64_t bits =
        (int64_t)png_get_channels(job->png, job->info) * png_get_bit_depth(job->png, job->info);
    enum status st;

    if ((st = image_check_size(height, width, job->err)))
        return st;
    if ((uint64_t)(height * ((width * bits + 7) / 8)) / DEFLATE_RATIO > file_bytes)
        return fail(job->err, E_FORMAT,
                    "PNG: %" PRId64 " x %" PRId64 " pixels cannot come from %zu bytes", width,
                    height, file_bytes);
    set_transforms(job);
    if ((st =
             image_init(job->im, height, width, png_get_channels(job->png, job->info), job->err)) ||
        (st = mem_new((void **)&job->rows, (uint64_t)height, sizeof *job->rows, "rows", job->err)))
        return st;
    MUST(png_get_rowbytes(job->png, job->info) == (size_t)(width * job->im->channels),
         "libpng makes rows of %zu bytes", png_get_rowbytes(job->png, job->info));
    for (int64_t y = 0; y < height; y++)
        job->rows[y] = job->im->pixels + y * width * job->im->channels;
    return OK;
}

/* Where libpng jumps to; what was made until then is in the job. */
static enum status run_decode(struct png_job *job, size_t file_bytes)
{
    if (setjmp(job->jump))
        return job->st;
    job->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                        on_malloc, on_free);
    if (job->png)
        job->info = png_create_info_struct(job->png);
    if (!job->info)
        return fail(job->err, E_MEMORY, "PNG: no memory for the decoder");
    png_set_read_fn(job->png, job, on_read);
    png_set_user_limits(job->png, IMAGE_SIDE, IMAGE_SIDE);
    png_set_chunk_malloc_max(job->png, CHUNK_MEMORY);
    png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(job->png, job->info);
    if ((job->st = make_rows(job, file_bytes)))
        return job->st;
    png_read_image(job->png, job->rows);
    png_read_end(job->png, NULL);
    return OK;
}

/* All CRCs right, an end, and the orientation noted on the way. */
static enum status check_chunks(int *orientation, const uint8_t *bytes, size_t n, struct error *err)
{
    struct png_chunk chunk;
    size_t at = 8;
    enum status st;

    while (at) {
        if ((st = png_chunk_next(&chunk, &at, bytes, n, err)))
            return st;
        if (!strcmp(chunk.type, "eXIf"))
            *orientation = exif_orientation(chunk.bytes, chunk.n);
    }
    return OK;
}

enum status png_decode(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                       struct error *err)
{
    struct png_job job = {.im = out, .bytes = bytes, .n = n, .err = err};
    enum status st;

    *orientation = 1;
    if ((st = check_chunks(orientation, bytes, n, err)))
        return st;
    st = run_decode(&job, n);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    free(job.rows);
    if (st)
        image_release(out);
    return st;
}

/* ------------------------------------------------------------------------------- writing */

/* A keyword as the standard wants it: 1 to 79 characters, no space at an end or doubled.  It allows
 * Latin-1, we plain ASCII, which is the same in the UTF-8 that our callers write. */
static bool key_is_good(const char *key)
{
    size_t n = strlen(key);

    if (n < 1 || n > KEY_LENGTH || key[0] == ' ' || key[n - 1] == ' ' || strstr(key, "  "))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)key[i];

        if (c < 0x20 || c > 0x7E)
            return false;
    }
    return true;
}

/* *out = text in Latin-1, heap, or NULL when a character is outside it. */
static enum status to_latin1(char **out, const char *text, struct error *err)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    size_t n = 0;
    enum status st;

    if ((st = mem_new((void **)out, (uint64_t)(end - p) + 1, 1, "a text", err)))
        return st;
    while (p < end) {
        int32_t c = utf8_next(&p, end);

        if (c > 0xFF) {
            free(*out);
            *out = NULL;
            return OK;
        }
        (*out)[n++] = (char)(uint8_t)c;
    }
    return OK;
}

static enum status add_text(struct png_job *job, const struct image_text *text)
{
    png_textp to = &job->texts[job->n_texts];
    char *latin1 = NULL;
    enum status st;

    if (!key_is_good(text->key))
        return fail(job->err, E_ARG, "PNG: \"%s\" is no keyword of 1 to 79 plain characters",
                    text->key);
    if (!utf8_valid(text->value, strlen(text->value)))
        return fail(job->err, E_ARG, "PNG: the text of %s is not UTF-8", text->key);
    if ((st = to_latin1(&latin1, text->value, job->err)))
        return st;
    to->compression = latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    if (!latin1 && (st = mem_text(&latin1, text->value, job->err)))
        return st;
    to->key = (png_charp)(uintptr_t)text->key; /* only read */
    to->text = latin1;
    to->text_length = strlen(latin1);
    to->itxt_length = to->text_length;
    job->n_texts++;
    return OK;
}

static enum status prepare_encode(struct png_job *job, const struct image *im,
                                  const struct image_text *texts, int64_t n_texts)
{
    enum status st;

    if ((st = mem_new((void **)&job->rows, (uint64_t)im->height, sizeof *job->rows, "rows",
                      job->err)) ||
        (st = mem_new((void **)&job->texts, (uint64_t)n_texts, sizeof *job->texts, "texts",
                      job->err)))
        return st;
    for (int64_t y = 0; y < im->height; y++)
        job->rows[y] = im->pixels + y * im->width * im->channels;
    for (int64_t i = 0; i < n_texts; i++)
        if ((st = add_text(job, &texts[i])))
            return st;
    return OK;
}

static enum status run_encode(struct png_job *job, const struct image *im)
{
    static const int colors[5] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                  PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};

    if (setjmp(job->jump))
        return job->st;
    job->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                         on_malloc, on_free);
    if (job->png)
        job->info = png_create_info_struct(job->png);
    if (!job->info)
        return fail(job->err, E_MEMORY, "PNG: no memory for the encoder");
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_IHDR(job->png, job->info, (png_uint_32)im->width, (png_uint_32)im->height, 8,
                 colors[im->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_text(job->png, job->info, job->texts, job->n_texts);
    png_write_info(job->png, job->info);
    png_write_image(job->png, job->rows);
    png_write_end(job->png, job->info);
    return OK;
}

enum status png_encode(struct byte_buffer *out, const struct image *im,
                       const struct image_text *texts, int64_t n_texts, struct error *err)
{
    struct png_job job = {.to = out, .err = err};
    enum status st;

    if (!(st = prepare_encode(&job, im, texts, n_texts)))
        st = run_encode(&job, im);
    png_destroy_write_struct(&job.png, &job.info);
    for (int i = 0; i < job.n_texts; i++)
        free(job.texts[i].text);
    free(job.texts);
    free(job.rows);
    return st;
}
