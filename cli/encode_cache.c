/*
 * encode_cache.c - the latents of a data set, kept in a folder
 *
 * The set is opened as training opens it, so what is encoded is what training would have seen.  The
 * library keeps what is there and goes on behind it; here is only the asking and the telling.
 */
#include "encode.h"

#include "interrupt.h"
#include "json_out.h"
#include "units.h"

#include <inttypes.h>
#include <stdio.h>

struct caching {
    struct encode_job *job;
    struct imgen_data_info set;
    struct imgen_coding_plan plan;
    int64_t first, latents, encoded; /* first: what was there; -1: not known yet */
    double began, seconds;
};

static int on_latents(int64_t done, int64_t n, void *user)
{
    struct caching *c = user;
    struct progress *p = &c->job->progress;
    double rate;
    char left[UNITS_ROOM];

    c->latents = n;
    if (c->first < 0)
        c->first = done;
    rate = (double)(done - c->first) / (seconds_now() - c->began);
    if (progress_due(p, done == n))
        progress_say(p, "latent %" PRId64 "/%" PRId64 "  %3.0f %%   ETA %s", done, n,
                     100 * (double)done / (double)n,
                     rate > 0 ? units_seconds(left, (double)(n - done) / rate) : "?");
    return !interrupt_asked();
}

static int open_pictures(struct caching *c, struct imgen_data **out, const char *config)
{
    const struct encode_options *o = c->job->options;
    struct imgen_training t = {.config = config,
                               .settings = (const char *const *)o->settings.at,
                               .n_settings = o->settings.n};
    struct imgen_error err;

    if ((o->split == SPLIT_HELD_OUT ? imgen_data_open_held_out : imgen_data_open)(out, &t, &err))
        return command_failed(&command_encode, &err);
    imgen_data_info(*out, &c->set);
    return EXIT_DONE;
}

static int say_plan(struct caching *c)
{
    const struct imgen_data_info *d = &c->set;
    char said[CODING_WORDS] = "";
    struct imgen_error err;

    if (imgen_codec_plan(&c->plan, c->job->codec, IMGEN_ENCODER, 1, d->height, d->width,
                         &c->job->how, &err))
        return command_failed(&command_encode, &err);
    progress_note(&c->job->progress,
                  "%" PRId64 " pictures to latents of %" PRId64 " x %" PRId64 " with %d channels",
                  d->count, c->plan.columns, c->plan.rows, c->job->info.latent_channels);
    coding_say_plan(&c->job->progress, said, &c->plan, d->height, d->width);
    return EXIT_DONE;
}

static void report(const struct caching *c, const char *config)
{
    const struct encode_options *o = c->job->options;
    struct json_out j;

    if (!o->json) {
        printf("%" PRId64 " latents of %" PRId64 " x %" PRId64 " with %d channels in %s: %" PRId64
               " encoded, %" PRId64 " were there\n",
               c->latents, c->plan.columns, c->plan.rows, c->job->info.latent_channels, o->output,
               c->encoded, c->latents - c->encoded);
        return;
    }
    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "autoencoder", c->job->autoencoder);
    json_out_text(&j, "hash", c->job->info.hash);
    json_out_text(&j, "config", config);
    json_out_text(&j, "folder", o->output);
    json_out_int(&j, "latents", c->latents);
    json_out_int(&j, "rows", c->plan.rows);
    json_out_int(&j, "columns", c->plan.columns);
    json_out_int(&j, "channels", c->job->info.latent_channels);
    json_out_bool(&j, "mirrored", o->mirrored);
    json_out_int(&j, "encoded", c->encoded);
    json_out_int(&j, "kept", c->latents - c->encoded);
    json_out_int(&j, "tiles", c->plan.tiles_down * c->plan.tiles_across);
    json_out_real(&j, "seconds", c->seconds);
    json_out_close(&j);
}

int encode_cache(struct encode_job *job, const char *config)
{
    struct caching c = {.job = job, .first = -1, .began = seconds_now()};
    struct imgen_data *pictures = NULL;
    struct imgen_error err;
    int code;

    job->how.progress = on_latents;
    job->how.user = &c;
    if (!(code = open_pictures(&c, &pictures, config)) && !(code = say_plan(&c)) &&
        imgen_encode_set(job->codec, pictures, job->options->output, job->options->mirrored,
                         &job->how, &c.encoded, &err)) {
        progress_end(&job->progress);
        code = command_failed(&command_encode, &err);
        if (code == EXIT_STOPPED)
            fprintf(stderr, "the same command goes on\n");
    }
    progress_end(&job->progress);
    c.seconds = seconds_now() - c.began;
    imgen_data_close(pictures);
    if (!code)
        report(&c, config);
    return code;
}
