/*
 * cmd_encode.c - pictures and clips to latents
 *
 * Of pictures each becomes a file that says whose latent it is and of which picture, so that a
 * folder can be encoded again whenever pictures were added: what is done is recognised and left
 * alone.  Of a configuration's data set the latents become a cache for training (encode_cache.c).
 *
 * A file with several frames is a clip, and with --clips a folder of frames is one: which of the
 * two a folder holds, nobody could say who looks at it.
 *
 * One picture that cannot be read is told and counted, and the others are encoded all the same.
 */
#include "encode.h"

#include "file_tree.h"
#include "interrupt.h"
#include "json_out.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const splits[] = {"train", "held-out", NULL};
static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp", ".apng", ".gif",
                                      ".y4m", ".mp4", ".m4v",  ".webm", NULL};
static const char latent_ending[] = ".safetensors";

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"output", "the folder for latents; of a single picture a file ending in .safetensors, too",
     IMGEN_OPTION_TEXT, offsetof(struct encode_options, output), .letter = 'o', .value = "OUT"},
    {"clips", "a folder that holds pictures is one clip, its frames in the order of their numbers",
     IMGEN_OPTION_BOOL, offsetof(struct encode_options, clips), .letter = 0},
    {"sample", "draw latents from the posterior by this seed; default: its means",
     IMGEN_OPTION_SEED, offsetof(struct encode_options, seed), .value = "SEED"},
    {"force", "encode again what is there, and write over latents of other autoencoders",
     IMGEN_OPTION_BOOL, offsetof(struct encode_options, force), .letter = 0},
    {"mirrored", "of a configuration: every picture also left to right", IMGEN_OPTION_BOOL,
     offsetof(struct encode_options, mirrored), .letter = 0},
    {"split", "of a configuration's pictures", IMGEN_OPTION_CHOICE,
     offsetof(struct encode_options, split), "train", .choices = splits},
    {"set", "a key of the configuration, over the file; may be given often", IMGEN_OPTION_TEXTS,
     offsetof(struct encode_options, settings), .value = "SECTION.KEY=VALUE"},
    CODING_ROWS(offsetof(struct encode_options, coding)),
    {"json", "print as JSON", IMGEN_OPTION_BOOL, offsetof(struct encode_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct encode_options, quiet),
     .letter = 'q'},
    {0},
};

/* What became of a picture. */
enum outcome { FAILED, KEPT, ENCODED };
static const char *const outcome_names[] = {"failed", "kept", "encoded"};

struct encoded {
    enum outcome is;
    char *latent; /* its file, heap, or NULL */
    int64_t height, width, rows, columns;
    int64_t frames, cells;         /* of a clip and its latent; 0 and 1 of a picture */
    struct imgen_coding_plan plan; /* of a picture that was encoded now              */
};

struct pictures {
    struct encode_job *job;
    struct file_tree files;
    struct encoded *done; /* [files.n] */
    int64_t i;            /* the present one */
    int64_t count[3];
    char said[CODING_WORDS];
    double began;
};

/* ---- One picture ---- */

static int on_run(int64_t done, int64_t n, void *user)
{
    const struct pictures *p = user;
    double share = ((double)p->i + (double)done / (double)n) / (double)p->files.n;
    double gone = seconds_now() - p->began;
    char left[UNITS_ROOM];

    if (progress_due(&p->job->progress, false))
        progress_say(&p->job->progress,
                     "picture %" PRId64 "/%" PRId64 "  part %" PRId64 "/%" PRId64 "   ETA %s",
                     p->i + 1, p->files.n, done, n,
                     units_seconds(left, gone / share * (1 - share)));
    return !interrupt_asked();
}

static enum outcome complain(const struct pictures *p, const char *path,
                             const struct imgen_error *err)
{
    coding_complain(&p->job->progress, &command_encode, path, err);
    return FAILED;
}

/* What a file of that name is: ENCODED when it may be written. */
static enum outcome look(const struct pictures *p, struct encoded *e, const char *hash)
{
    const struct encode_job *job = p->job;
    bool sampled = job->how.sample && job->info.gaussian;
    struct imgen_latent z = {0};
    struct imgen_error err;
    enum outcome is = ENCODED;

    if (job->options->force || access(e->latent, F_OK))
        return ENCODED;
    if (imgen_latent_read(&z, e->latent, job->info.latent_channels, &err) ||
        imgen_latent_check(job->codec, &z, &err)) {
        is = complain(p, e->latent, &err);
        fprintf(stderr, "imgen encode: %s is left as it is; --force writes over it\n", e->latent);
    } else if (z.autoencoder[0] && !strcmp(z.picture, hash) && z.sampled == sampled &&
               (!sampled || z.seed == job->how.seed)) {
        is = KEPT;
        e->height = z.height;
        e->width = z.width;
        e->frames = z.frames;
        e->cells = z.cells;
        e->rows = z.rows;
        e->columns = z.columns;
    }
    imgen_latent_release(&z);
    return is;
}

static enum imgen_status plan(struct pictures *p, struct encoded *e, struct imgen_error *err)
{
    enum imgen_status st = imgen_codec_plan(&e->plan, p->job->codec, IMGEN_ENCODER, 1, e->height,
                                            e->width, &p->job->how, err);

    e->rows = e->plan.rows;
    e->columns = e->plan.columns;
    if (!st)
        coding_say_plan(&p->job->progress, p->said, &e->plan, e->height, e->width);
    return st;
}

static enum imgen_status encode_picture(struct imgen_latent *z, struct pictures *p,
                                        struct encoded *e, const struct imgen_clip *clip,
                                        struct imgen_error *err)
{
    const struct imgen_image image = {clip->height, clip->width, clip->channels,
                                      (uint8_t *)(uintptr_t)clip->pixels};
    enum imgen_status st;

    if ((st = plan(p, e, err)))
        return st;
    return imgen_encode_image(z, p->job->codec, &image, &p->job->how, err);
}

/* A folder is a clip even of one frame. */
static bool is_clip(const struct imgen_clip *clip, const char *path)
{
    struct stat s;

    return clip->frames > 1 || (!stat(path, &s) && S_ISDIR(s.st_mode));
}

static enum outcome encode(struct pictures *p, struct encoded *e, const char *path,
                           const char *hash)
{
    struct imgen_clip clip = {0};
    struct imgen_latent z = {0};
    struct imgen_error err;
    bool bad;

    if (imgen_clip_read(&clip, path, 0, &err))
        return complain(p, path, &err);
    e->height = clip.height;
    e->width = clip.width;
    bad = is_clip(&clip, path) ? imgen_encode_clip(&z, p->job->codec, &clip, &p->job->how, &err)
                               : encode_picture(&z, p, e, &clip, &err);
    if (!bad) {
        e->frames = z.frames;
        e->cells = z.cells;
        e->rows = z.rows;
        e->columns = z.columns;
        memcpy(z.picture, hash, sizeof z.picture);
        bad = imgen_latent_write(e->latent, &z, &err);
    }
    imgen_latent_release(&z);
    imgen_clip_release(&clip);
    return bad ? complain(p, path, &err) : ENCODED;
}

static enum outcome take(struct pictures *p, struct encoded *e)
{
    const struct tree_file *f = &p->files.at[p->i];
    const char *output = p->job->options->output;
    struct imgen_error err;
    char hash[65];
    enum outcome is;

    e->latent = file_tree_output(&command_encode, output, f->name, latent_ending);
    if (!e->latent)
        return FAILED;
    if (imgen_clip_hash(hash, f->path, &err))
        return complain(p, f->path, &err);
    is = look(p, e, hash);
    return is == ENCODED ? encode(p, e, f->path, hash) : is;
}

/* ---- All of them ---- */

static void print_json(const struct pictures *p, double seconds)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "autoencoder", p->job->autoencoder);
    json_out_text(&j, "hash", p->job->info.hash);
    json_out_int(&j, "channels", p->job->info.latent_channels);
    json_out_int(&j, "factor", p->job->info.factor);
    for (int k = ENCODED; k >= FAILED; k--)
        json_out_int(&j, outcome_names[k], p->count[k]);
    json_out_bool(&j, "stopped", p->i < p->files.n);
    json_out_open(&j, "pictures", '[');
    for (int64_t i = 0; i < p->i; i++) {
        const struct encoded *e = &p->done[i];

        json_out_open(&j, NULL, '{');
        json_out_text(&j, "picture", p->files.at[i].path);
        json_out_text(&j, "latent", e->latent);
        json_out_text(&j, "outcome", outcome_names[e->is]);
        json_out_int(&j, "height", e->height);
        json_out_int(&j, "width", e->width);
        json_out_int(&j, "rows", e->rows);
        json_out_int(&j, "columns", e->columns);
        if (e->frames) {
            json_out_int(&j, "frames", e->frames);
            json_out_int(&j, "cells", e->cells);
        } else if (e->is == ENCODED) {
            json_out_int(&j, "tiles", e->plan.tiles_down * e->plan.tiles_across);
            json_out_int(&j, "strips", e->plan.strips);
            json_out_int(&j, "bytes", e->plan.bytes);
        }
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_real(&j, "seconds", seconds);
    json_out_close(&j);
}

static void report(const struct pictures *p)
{
    if (p->job->options->json) {
        print_json(p, seconds_now() - p->began);
        return;
    }
    printf("%" PRId64 " encoded, %" PRId64 " were there", p->count[ENCODED], p->count[KEPT]);
    if (p->count[FAILED])
        printf(", %" PRId64 " failed", p->count[FAILED]);
    if (p->i < p->files.n)
        printf(", %" PRId64 " not begun", p->files.n - p->i);
    printf(": %s\n", p->job->options->output);
}

static int encode_files(struct pictures *p)
{
    p->done = calloc((size_t)p->files.n, sizeof *p->done);
    if (!p->done)
        return command_broken(&command_encode, "no memory for %" PRId64 " pictures", p->files.n);
    for (; p->i < p->files.n && !interrupt_asked(); p->i++) {
        struct encoded *e = &p->done[p->i];

        e->is = take(p, e);
        if (e->is == FAILED && interrupt_asked())
            break;
        p->count[e->is]++;
    }
    progress_end(&p->job->progress);
    report(p);
    if (p->i < p->files.n)
        return EXIT_STOPPED;
    return p->count[FAILED] ? EXIT_FAILED : EXIT_DONE;
}

static int encode_pictures(struct encode_job *job, int n_words, char **words)
{
    struct pictures p = {
        .job = job, .files = {.folders = job->options->clips}, .began = seconds_now()};
    int code = EXIT_DONE;

    job->how.progress = on_run;
    job->how.user = &p;
    for (int i = 0; i < n_words && !code; i++)
        code = file_tree_add(&p.files, &command_encode, words[i], endings);
    if (!code &&
        !(code = file_tree_check(&p.files, &command_encode, job->options->output, latent_ending)))
        code = encode_files(&p);
    for (int64_t i = 0; p.done && i < p.files.n; i++)
        free(p.done[i].latent);
    free(p.done);
    file_tree_release(&p.files);
    return code;
}

/* ---- The command ---- */

static bool is_config(const char *word)
{
    size_t n = strlen(word);

    return n > 4 && !strcmp(word + n - 4, ".ini");
}

static int check_words(const struct encode_options *o, int n_words, char **words)
{
    if (!n_words)
        return command_misused(&command_encode, "by which autoencoder?");
    if (n_words == 1 && !o->settings.n)
        return command_misused(&command_encode, "which pictures, or which configuration?");
    for (int i = 1; i < n_words; i++)
        if (is_config(words[i]) && n_words > 2)
            return command_misused(&command_encode, "a configuration stands alone");
    if (!o->output || !*o->output)
        return command_misused(&command_encode, "where to?  -o names a folder");
    return EXIT_DONE;
}

static int run(struct encode_job *job, int n_words, char **words)
{
    const struct encode_options *o = job->options;
    bool set = n_words == 1 || (n_words == 2 && is_config(words[1]));
    struct imgen_error err;
    int code;

    if ((code = check_words(o, n_words, words)) ||
        (code = coding_flags_apply(&o->coding, &command_encode, &job->how)))
        return code;
    if (set && o->clips)
        return command_misused(&command_encode,
                               "--clips goes with files: a configuration says data.frames");
    if (!set && (o->mirrored || o->settings.n || o->split != SPLIT_TRAIN))
        return command_misused(&command_encode,
                               "--mirrored, --set and --split go with a configuration");
    job->how.sample = job->sampled;
    job->how.seed = o->seed;
    interrupt_watch("\nstopping; what is written stays\n");
    progress_start(&job->progress, o->quiet);
    job->autoencoder = words[0];
    if (imgen_codec_open(&job->codec, words[0], IMGEN_ENCODER, (int)o->coding.threads, &err))
        return command_failed(&command_encode, &err);
    imgen_codec_info(job->codec, &job->info);
    return set ? encode_cache(job, n_words == 2 ? words[1] : NULL)
               : encode_pictures(job, n_words - 1, words + 1);
}

static int cmd_encode(int argc, char **argv)
{
    bool given[sizeof rows / sizeof *rows] = {false};
    struct encode_options o = {0};
    struct encode_job job = {.options = &o};
    int n_words, code;

    if (command_read(&command_encode, &o, given, argc, argv, &n_words, &code)) {
        job.sampled = command_given(&command_encode, given, "sample");
        code = run(&job, n_words, argv + 1);
    }
    imgen_codec_close(job.codec);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_encode = {
    .is = {"encode", "AUTOENCODER PICTURES... -o OUT [flags]",
           "turn pictures and clips into latents", rows},
    .details =
        "AUTOENCODER is a model trained here, a published file or folder of the Stable\n"
        "Diffusion family, or one of a pair NAME_encoder, NAME_decoder.safetensors.\n"
        "\n"
        "Of pictures, and of folders with all below them, each becomes OUT/NAME.safetensors;\n"
        "what is there of the same picture and autoencoder is left alone.  Pictures that\n"
        "would not fit into memory go through a few layers at a time, in strips, which takes\n"
        "up to twice as long, or, larger still, in overlapping tiles, which changes them a\n"
        "little.\n"
        "\n"
        "    imgen encode vae.safetensors photos/ cat.png -o latents\n"
        "    imgen encode vae.safetensors huge.png -o huge.safetensors --memory 2G\n"
        "\n"
        "A file with several frames (animated WebP, APNG, GIF, Y4M) is a clip, of any length, and\n"
        "with --clips each folder that holds frames is one.\n"
        "\n"
        "    imgen encode video_vae.safetensors film.webp --clips frames/ -o latents\n"
        "\n"
        "Of a configuration the pictures of its data set become a cache for training\n"
        "(data.format = latents, data.path = OUT).  Stopped, the same command goes on.\n"
        "\n"
        "    imgen encode vae.safetensors config/cifar10.ini -o cifar10-latents --mirrored",
    .run = cmd_encode,
};
