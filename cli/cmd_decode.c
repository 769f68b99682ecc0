/*
 * cmd_decode.c - latents to pictures and clips
 *
 * A latent decoded by another autoencoder than its own is noise that looks like a picture, so that
 * is refused unless a person insists.  So is writing over a file: pictures and latents like to
 * share a folder, and the picture that would be lost may be the original.
 */
#include "coding_flags.h"
#include "file_tree.h"
#include "interrupt.h"
#include "json_out.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const endings[] = {".safetensors", NULL};
static const char picture_ending[] = ".png";

/* What clips become; "" is a folder of frames. */
static const char *const formats[] = {"webp", "apng", "y4m", "frames", NULL};
static const char *const format_endings[] = {".webp", ".apng", ".y4m", ""};

struct decode_options {
    bool help, force, overwrite, json, quiet;
    char *output;
    int format;
    double rate;
    struct coding_flags coding;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"output",
     "the folder for pictures and clips; of a single latent a file ending in .png, and of a clip "
     "in "
     ".webp, .apng or .y4m, too",
     IMGEN_OPTION_TEXT, offsetof(struct decode_options, output), .letter = 'o', .value = "OUT"},
    {"force", "decode latents of another autoencoder, too", IMGEN_OPTION_BOOL,
     offsetof(struct decode_options, force), .letter = 0},
    {"overwrite", "write over pictures that are there", IMGEN_OPTION_BOOL,
     offsetof(struct decode_options, overwrite), .letter = 0},
    {"format", "of clips: losslessly animated WebP or PNG, Y4M, or a folder of frames each",
     IMGEN_OPTION_CHOICE, offsetof(struct decode_options, format), "webp", .choices = formats},
    {"rate", "frames a second at which clips are shown; 0: what they had, or 8", IMGEN_OPTION_REAL,
     offsetof(struct decode_options, rate), "0", .lo = 0, .hi = 1000},
    CODING_ROWS(offsetof(struct decode_options, coding)),
    {"json", "print as JSON", IMGEN_OPTION_BOOL, offsetof(struct decode_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct decode_options, quiet),
     .letter = 'q'},
    {0},
};

struct decoded {
    bool failed;
    char *picture; /* its file, heap, or NULL */
    int64_t height, width;
    int64_t frames; /* of a clip, 0 of a picture */
    struct imgen_coding_plan plan;
};

struct decode_job {
    const struct decode_options *options;
    struct imgen_codec *codec;
    struct imgen_codec_info info;
    struct imgen_coding how;
    struct progress progress;
    struct file_tree files;
    struct decoded *done; /* [files.n] */
    int64_t i, failed;    /* the present one, and those before it that failed */
    char said[CODING_WORDS];
    double began;
};

/* ---- One latent ---- */

static int on_run(int64_t done, int64_t n, void *user)
{
    struct decode_job *job = user;
    double share = ((double)job->i + (double)done / (double)n) / (double)job->files.n;
    char left[UNITS_ROOM];

    if (progress_due(&job->progress, false))
        progress_say(&job->progress,
                     "latent %" PRId64 "/%" PRId64 "  part %" PRId64 "/%" PRId64 "   ETA %s",
                     job->i + 1, job->files.n, done, n,
                     units_seconds(left, (seconds_now() - job->began) / share * (1 - share)));
    return !interrupt_asked();
}

static bool complain(struct decode_job *job, const char *path, const struct imgen_error *err)
{
    coding_complain(&job->progress, &command_decode, path, err);
    return false;
}

static bool check(struct decode_job *job, const char *path, const struct imgen_latent *z)
{
    struct imgen_error err;

    if (job->options->force || !imgen_latent_check(job->codec, z, &err))
        return true;
    complain(job, path, &err);
    fprintf(stderr, "imgen decode: --force decodes it all the same\n");
    return false;
}

static bool plan(struct decode_job *job, struct decoded *d, const struct imgen_latent *z,
                 struct imgen_error *err)
{
    d->height = z->height ? z->height : z->rows * job->info.factor;
    d->width = z->width ? z->width : z->columns * job->info.factor;
    if (imgen_codec_plan(&d->plan, job->codec, IMGEN_DECODER, 1, d->height, d->width, &job->how,
                         err))
        return false;
    coding_say_plan(&job->progress, job->said, &d->plan, d->height, d->width);
    return true;
}

/* Of a single clip the name may say what becomes of it. */
static const char *clip_ending(const struct decode_options *o)
{
    const char *dot = strrchr(o->output, '.');

    return imgen_clip_named(o->output) ? dot : format_endings[o->format];
}

static bool make_output(struct decode_job *job, struct decoded *d, const char *name)
{
    const struct decode_options *o = job->options;
    const char *ending = d->frames ? clip_ending(o) : picture_ending;

    d->picture = file_tree_output(&command_decode, o->output, name, ending);
    if (!d->picture)
        return false;
    if (o->overwrite || access(d->picture, F_OK))
        return true;
    progress_end(&job->progress);
    fprintf(stderr, "imgen decode: %s is there; --overwrite writes over it\n", d->picture);
    return false;
}

static bool decode_picture(struct decode_job *job, struct decoded *d, const struct imgen_latent *z,
                           struct imgen_error *err)
{
    struct imgen_image image = {0};
    bool good = plan(job, d, z, err) &&
                !imgen_decode_latent(&image, job->codec, z, &job->how, err) &&
                !imgen_image_write(d->picture, &image, err);

    imgen_image_release(&image);
    return good;
}

static bool decode_clip(struct decode_job *job, struct decoded *d, const struct imgen_latent *z,
                        struct imgen_error *err)
{
    struct imgen_clip clip = {0};
    bool good = !imgen_decode_clip(&clip, job->codec, z, &job->how, err);

    if (job->options->rate > 0)
        clip.rate = job->options->rate;
    d->height = clip.height;
    d->width = clip.width;
    good = good && !imgen_clip_write(d->picture, &clip, NULL, err);
    imgen_clip_release(&clip);
    return good;
}

static bool decode(struct decode_job *job, struct decoded *d)
{
    const struct tree_file *f = &job->files.at[job->i];
    struct imgen_latent z = {0};
    struct imgen_error err;
    bool good;

    if (imgen_latent_read(&z, f->path, job->info.latent_channels, &err))
        return complain(job, f->path, &err);
    d->frames = z.frames;
    good = make_output(job, d, f->name) && check(job, f->path, &z);
    if (good && !(z.frames ? decode_clip(job, d, &z, &err) : decode_picture(job, d, &z, &err)))
        good = complain(job, f->path, &err);
    imgen_latent_release(&z);
    return good;
}

/* ---- All of them ---- */

static void print_json(const struct decode_job *job)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "hash", job->info.hash);
    json_out_int(&j, "decoded", job->i - job->failed);
    json_out_int(&j, "failed", job->failed);
    json_out_bool(&j, "stopped", job->i < job->files.n);
    json_out_open(&j, "pictures", '[');
    for (int64_t i = 0; i < job->i; i++) {
        const struct decoded *d = &job->done[i];

        json_out_open(&j, NULL, '{');
        json_out_text(&j, "latent", job->files.at[i].path);
        json_out_text(&j, "picture", d->picture);
        json_out_text(&j, "outcome", d->failed ? "failed" : "decoded");
        json_out_int(&j, "height", d->height);
        json_out_int(&j, "width", d->width);
        if (d->frames) {
            json_out_int(&j, "frames", d->frames);
        } else {
            json_out_int(&j, "tiles", d->plan.tiles_down * d->plan.tiles_across);
            json_out_int(&j, "strips", d->plan.strips);
            json_out_int(&j, "bytes", d->plan.bytes);
        }
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_real(&j, "seconds", seconds_now() - job->began);
    json_out_close(&j);
}

static void report(const struct decode_job *job)
{
    if (job->options->json) {
        print_json(job);
        return;
    }
    printf("%" PRId64 " decoded", job->i - job->failed);
    if (job->failed)
        printf(", %" PRId64 " failed", job->failed);
    if (job->i < job->files.n)
        printf(", %" PRId64 " not begun", job->files.n - job->i);
    printf(": %s\n", job->options->output);
}

static int decode_files(struct decode_job *job)
{
    job->done = calloc((size_t)job->files.n, sizeof *job->done);
    if (!job->done)
        return command_broken(&command_decode, "no memory for %" PRId64 " latents", job->files.n);
    for (; job->i < job->files.n && !interrupt_asked(); job->i++) {
        struct decoded *d = &job->done[job->i];

        d->failed = !decode(job, d);
        if (d->failed && interrupt_asked())
            break;
        job->failed += d->failed;
    }
    progress_end(&job->progress);
    report(job);
    if (job->i < job->files.n)
        return EXIT_STOPPED;
    return job->failed ? EXIT_FAILED : EXIT_DONE;
}

/* ---- The command ---- */

static int open_all(struct decode_job *job, int n_words, char **words)
{
    const struct decode_options *o = job->options;
    struct imgen_error err;
    int code;

    if (n_words < 2)
        return command_misused(&command_decode,
                               n_words ? "which latents?" : "by which autoencoder?");
    if (!o->output || !*o->output)
        return command_misused(&command_decode, "where to?  -o names a folder");
    if ((code = coding_flags_apply(&o->coding, &command_decode, &job->how)))
        return code;
    for (int i = 1; i < n_words; i++)
        if ((code = file_tree_add(&job->files, &command_decode, words[i], endings)))
            return code;
    if ((code = file_tree_check(&job->files, &command_decode, o->output,
                                imgen_clip_named(o->output) ? strrchr(o->output, '.')
                                                            : picture_ending)))
        return code;
    if (imgen_codec_open(&job->codec, words[0], IMGEN_DECODER, (int)o->coding.threads, &err))
        return command_failed(&command_decode, &err);
    imgen_codec_info(job->codec, &job->info);
    return EXIT_DONE;
}

static int cmd_decode(int argc, char **argv)
{
    struct decode_options o = {0};
    struct decode_job job = {.options = &o, .began = seconds_now()};
    int n_words, code;

    if (command_read(&command_decode, &o, NULL, argc, argv, &n_words, &code)) {
        interrupt_watch("\nstopping; what is written stays\n");
        progress_start(&job.progress, o.quiet);
        if (!(code = open_all(&job, n_words, argv + 1))) {
            job.how.progress = on_run;
            job.how.user = &job;
            code = decode_files(&job);
        }
    }
    for (int64_t i = 0; job.done && i < job.files.n; i++)
        free(job.done[i].picture);
    free(job.done);
    file_tree_release(&job.files);
    imgen_codec_close(job.codec);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_decode = {
    .is = {"decode", "AUTOENCODER LATENTS... -o OUT [flags]",
           "turn latents into pictures and clips", rows},
    .details =
        "LATENTS are files that imgen encode wrote, folders with all below them, or files of\n"
        "others with one tensor, [rows, columns, channels] or [1, channels, rows, columns].\n"
        "Each becomes OUT/NAME.png, in exactly the size of the picture it was made of; those of\n"
        "clips become clips.  imgen grid CLIPS shows their frames on one sheet.\n"
        "\n"
        "    imgen decode vae.safetensors latents/ -o again\n"
        "    imgen decode vae.safetensors huge.safetensors -o huge.png --memory 2G\n"
        "    imgen decode video_vae.safetensors latents/ -o again --format frames",
    .run = cmd_decode,
};
