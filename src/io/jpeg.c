/*
 * jpeg.c - JPEG pictures, read and written by libjpeg-turbo
 *
 * Errors come by longjmp, and as in png.c everything a jump must not lose lives in a struct that
 * the caller frees.  libjpeg repairs what it can and warns; two of its warnings say that data are
 * missing, and those are errors here, because a grey lower half would be learned from as if it were
 * a picture.  Others (a stray byte between markers) are what cameras write, and pass.
 *
 * Two ways to make a small file cost much are closed: the memory libjpeg may take is bounded, and
 * so is the number of scans, each of which goes over the whole picture.
 *
 * Four channels mean CMYK.  Adobe's programs, which write nearly all of these, store ink as 255 for
 * none, and say so by their marker.
 */
#include "io/codec.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum { MAX_SCANS = 100, EXIF_MARKER = JPEG_APP0 + 1, EXIF_HEAD = 6, STAGE = 1 << 14 };

/* Everything a jump must not lose; the libraries' structs find it by their client_data. */
struct jpeg_job {
    jmp_buf jump;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct in;
    struct jpeg_compress_struct out;
    struct jpeg_destination_mgr destination;
    struct image *im;
    uint8_t *row; /* a row of CMYK */
    struct byte_buffer *to;
    uint8_t *stage; /* bytes on their way to `to` */
    enum status st;
    struct error *err;
};

/* ----------------------------------------------------------------- what libjpeg calls back */

static void on_error(j_common_ptr common)
{
    struct jpeg_job *job = common->client_data;
    char text[JMSG_LENGTH_MAX];
    int code = common->err->msg_code;

    common->err->format_message(common, text);
    if (!job->st)
        job->st =
            fail(job->err,
                 code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE ? E_MEMORY : E_FORMAT,
                 "JPEG: %s", text);
    longjmp(job->jump, 1);
}

static void on_message(j_common_ptr common, int level)
{
    int code = common->err->msg_code;

    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
        on_error(common);
}

static void on_progress(j_common_ptr common)
{
    struct jpeg_job *job = common->client_data;

    if (job->in.input_scan_number <= MAX_SCANS)
        return;
    job->st = fail(job->err, E_FORMAT, "JPEG: more than %d scans", MAX_SCANS);
    longjmp(job->jump, 1);
}

static void on_start(j_compress_ptr c)
{
    struct jpeg_job *job = c->client_data;

    job->destination.next_output_byte = job->stage;
    job->destination.free_in_buffer = STAGE;
}

static void put_stage(struct jpeg_job *job, size_t n)
{
    job->st = byte_buffer_put(job->to, job->stage, n, job->err);
    if (job->st)
        longjmp(job->jump, 1);
}

static boolean on_full(j_compress_ptr c)
{
    put_stage(c->client_data, STAGE);
    on_start(c);
    return TRUE;
}

static void on_end(j_compress_ptr c)
{
    struct jpeg_job *job = c->client_data;

    put_stage(job, STAGE - job->destination.free_in_buffer);
}

static struct jpeg_error_mgr *set_errors(struct jpeg_job *job)
{
    jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    return &job->errors;
}

/* ------------------------------------------------------------------------------- reading */

bool jpeg_is(const uint8_t *bytes, size_t n)
{
    return n >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

static int find_orientation(const struct jpeg_decompress_struct *in)
{
    for (const struct jpeg_marker_struct *m = in->marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length >= EXIF_HEAD &&
            !memcmp(m->data, "Exif\0\0", EXIF_HEAD))
            return exif_orientation(m->data + EXIF_HEAD, m->data_length - EXIF_HEAD);
    return 1;
}

/* Inks over white: what is left of each colour after its ink and the black. */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, int64_t width, bool inverted)
{
    for (int64_t x = 0; x < width; x++) {
        uint32_t white = inverted ? cmyk[4 * x + 3] : 255u - cmyk[4 * x + 3];

        for (int k = 0; k < 3; k++) {
            uint32_t left = inverted ? cmyk[4 * x + k] : 255u - cmyk[4 * x + k];

            rgb[3 * x + k] = (uint8_t)((left * white + 127) / 255);
        }
    }
}

static enum status start_decode(struct jpeg_job *job)
{
    struct jpeg_decompress_struct *in = &job->in;
    bool cmyk = in->jpeg_color_space == JCS_CMYK || in->jpeg_color_space == JCS_YCCK;
    enum status st;

    if ((st = image_check_size(in->image_height, in->image_width, job->err)))
        return st;
    in->out_color_space = cmyk                                    ? JCS_CMYK
                          : in->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE
                                                                  : JCS_RGB;
    jpeg_start_decompress(in);
    if ((st = image_init(job->im, in->output_height, in->output_width,
                         in->out_color_space == JCS_GRAYSCALE ? 1 : 3, job->err)))
        return st;
    return cmyk ? mem_new((void **)&job->row, in->output_width, 4, "a row of CMYK", job->err) : OK;
}

static enum status run_decode(struct jpeg_job *job, int *orientation, const uint8_t *bytes,
                              size_t n)
{
    struct jpeg_decompress_struct *in = &job->in;

    if (setjmp(job->jump))
        return job->st;
    in->err = set_errors(job);
    in->client_data = job;
    jpeg_create_decompress(in);
    in->mem->max_memory_to_use = 1L << 30;
    job->progress.progress_monitor = on_progress;
    in->progress = &job->progress;
    jpeg_mem_src(in, bytes, n);
    jpeg_save_markers(in, EXIF_MARKER, 0xFFFF);
    jpeg_read_header(in, TRUE);
    *orientation = find_orientation(in);
    if ((job->st = start_decode(job)))
        return job->st;
    while (in->output_scanline < in->output_height) {
        uint8_t *to =
            job->im->pixels + (int64_t)in->output_scanline * job->im->width * job->im->channels;

        jpeg_read_scanlines(in, job->row ? &job->row : &to, 1);
        if (job->row)
            cmyk_to_rgb(to, job->row, job->im->width, in->saw_Adobe_marker);
    }
    jpeg_finish_decompress(in);
    return OK;
}

enum status jpeg_decode(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                        struct error *err)
{
    struct jpeg_job *job = NULL;
    enum status st;

    *orientation = 1;
    if ((st = mem_new((void **)&job, 1, sizeof *job, "the JPEG decoder", err)))
        return st;
    job->im = out;
    job->err = err;
    st = run_decode(job, orientation, bytes, n);
    jpeg_destroy_decompress(&job->in);
    free(job->row);
    free(job);
    if (st)
        image_release(out);
    return st;
}

/* ------------------------------------------------------------------------------- writing */

static enum status run_encode(struct jpeg_job *job, const struct image *im, int quality)
{
    struct jpeg_compress_struct *out = &job->out;

    if (setjmp(job->jump))
        return job->st;
    out->err = set_errors(job);
    out->client_data = job;
    jpeg_create_compress(out);
    job->destination.init_destination = on_start;
    job->destination.empty_output_buffer = on_full;
    job->destination.term_destination = on_end;
    out->dest = &job->destination;
    out->image_height = (JDIMENSION)im->height;
    out->image_width = (JDIMENSION)im->width;
    out->input_components = (int)im->channels;
    out->in_color_space = im->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(out);
    jpeg_set_quality(out, quality, TRUE);
    jpeg_start_compress(out, TRUE);
    while (out->next_scanline < out->image_height) {
        uint8_t *row = im->pixels + (int64_t)out->next_scanline * im->width * im->channels;

        jpeg_write_scanlines(out, &row, 1);
    }
    jpeg_finish_compress(out);
    return OK;
}

enum status jpeg_encode(struct byte_buffer *out, const struct image *im, int quality,
                        struct error *err)
{
    struct jpeg_job *job = NULL;
    enum status st;

    if (im->channels != 1 && im->channels != 3)
        return fail(err, E_ARG, "JPEG knows no transparency");
    if (quality < 1 || quality > 100)
        return fail(err, E_ARG, "JPEG quality is %d, must be within 1 and 100", quality);
    if ((st = mem_new((void **)&job, 1, sizeof *job, "the JPEG encoder", err)))
        return st;
    job->to = out;
    job->err = err;
    if (!(st = mem_new((void **)&job->stage, STAGE, 1, "the JPEG encoder", err)))
        st = run_encode(job, im, quality);
    jpeg_destroy_compress(&job->out);
    free(job->stage);
    free(job);
    return st;
}
