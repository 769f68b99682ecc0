/*
 * latent_run.c - a folder with a run in it that trained a latent model, and what it takes to look
 * at it
 */
#include "support/latent_run.h"

#include "support/models.h"
#include "support/runs.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PLAIN        "\"path\":{},\"sample\":{},\"labels\":[],"
#define NUMBERS      0.3, -0.1, 0.2, 0.05, 0.4, -0.2, -0.3, 0.1, 0.1, 0.2, 0.2, 0.25, 0.01, -0.02, 0.03
#define TEXT_OF(...) #__VA_ARGS__
#define AS_TEXT(...) TEXT_OF(__VA_ARGS__)
const double latent_run_preview[(LATENT_CHANNELS + 1) * 3] = {NUMBERS};
const char latent_run_vae[] =
    PLAIN "\"model\":{\"network\":\"vae\"},\"vae\":{\"size\":16,\"width\":8,"
          "\"mult\":[1,2],\"latent_channels\":4,\"blocks\":1,\"groups\":4,"
          "\"scale\":[1.5],\"shift\":[0.2],\"preview\":[" AS_TEXT(NUMBERS) "]}";
static const char blind[] = PLAIN "\"model\":{\"network\":\"vae\"},\"vae\":{\"size\":16,"
                                  "\"width\":8,\"mult\":[1,2],\"latent_channels\":4,\"blocks\":1,"
                                  "\"groups\":4}";
static const char tae[] = PLAIN "\"model\":{\"network\":\"tae\"},\"tae\":{\"size\":16,\"width\":8,"
                                "\"levels\":1,\"latent_channels\":4,\"blocks\":1,\"pool\":false}";

const char latent_run_config[] =
    "[data]\nformat = shapes\nsize = 16\nlimit = 80\n"
    "autoencoder = ae/vae.safetensors\ncache = cache\n"
    "[model]\nnetwork = dit\n"
    "[dit]\npatch = 2\nwidth = 16\ndepth = 1\nheads = 2\n"
    "[train]\nsteps = 3\nbatch = 4\nwarmup = 0\nlearning_rate = 0.003\n"
    "sample_every = 3\nsample_count = 4\nlog_every = 1\n"
    "[sample]\nsteps = 3\ncfg_scale = 2\n";

int latent_run_set_up(void **state)
{
    struct error err = {0};

    if (temp_enter(state) || mkdir("ae", 0700))
        return 1;
    model_save_random("ae/vae.safetensors", latent_run_vae, 1);
    model_save_random("ae/other.safetensors", latent_run_vae, 3);
    model_save_random("ae/blind.safetensors", blind, 4);
    model_save_random("ae/tae.safetensors", tae, 5);
    if (run_text((struct train_request){.threads = 2}, latent_run_config, NULL, &err))
        fail_msg("%s", err.text);
    return 0;
}

int latent_run_tear_down(void **state)
{
    return temp_leave(state);
}

struct codec *latent_run_codec(const char *path)
{
    struct codec *c;

    assert_int_equal(codec_open(&c, path, HALVES_BOTH, 1, NULL), OK);
    return c;
}

struct imgen_model *latent_run_open(const char *path, struct imgen_model_info *info)
{
    struct imgen_model *m;

    assert_int_equal(imgen_model_open(&m, path, NULL), IMGEN_OK);
    imgen_model_info(m, info);
    assert_true(info->latent_height == LATENT_SIDE && info->latent_width == LATENT_SIDE &&
                info->latent_channels == LATENT_CHANNELS);
    return m;
}

enum imgen_status latent_run_sample(struct imgen_model *m, struct imgen_error *err)
{
    static uint8_t pixels[PICTURE_LENGTH];
    const struct imgen_item item = {0, 2, 1};
    struct imgen_request r;

    imgen_request_init(&r, m);
    r.items = &item;
    r.n_items = 1;
    r.threads = 1;
    return imgen_sample(m, &r, pixels, err);
}
