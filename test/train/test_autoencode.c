/*
 * test_autoencode.c - autoencoders trained from nothing: they learn, are gone on with, and refuse
 * what they have no use for
 */
#include "train/autoencode.h"

#include "io/image.h"
#include "support/runs.h"
#include "support/temp.h"
#include "train/history.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char config[] = "[data]\nformat = anchor-shapes\n"
                             "[train]\nbatch = 8\nwarmup = 2\nlearning_rate = 0.004\nema = 0.9\n"
                             "log_every = 1\nsample_every = 0\neval_count = 20\n"
                             "[autoencoder]\nstatistics = 16\n";

/* What `config` is completed to. */
static const char vae[] = "[model]\nnetwork = vae\n"
                          "[vae]\nlatent_channels = 4\nwidth = 8\nmult = 1,2\nblocks = 1\n"
                          "groups = 4\nmiddle_attention = false\n";
static const char vq[] = "[model]\nnetwork = vae\n"
                         "[vae]\nlatent_channels = 4\nwidth = 8\nmult = 1,2\nblocks = 1\n"
                         "groups = 4\nmiddle_attention = false\ncodes = 32\n";
static const char tae[] = "[model]\nnetwork = tae\n"
                          "[tae]\nlatent_channels = 4\nwidth = 8\nlevels = 2\nblocks = 1\n";

struct seen {
    int64_t stop; /* the step to stop after, or 0 */
    int evaluated;
    double first, last, psnr_first, psnr_last;
};

static bool watch(const struct train_event *e, void *user)
{
    struct seen *s = user;

    if (e->kind == TRAIN_STEP) {
        s->first = e->step == 1 ? e->loss : s->first;
        s->last = e->loss;
    }
    if (e->kind == TRAIN_EVALUATED) {
        assert_true(e->evaluated->rebuilds);
        s->psnr_first = s->evaluated++ ? s->psnr_first : e->evaluated->psnr;
        s->psnr_last = e->evaluated->psnr;
    }
    return e->kind != TRAIN_STEP || e->step != s->stop;
}

/* more: further settings, ending with NULL. */
static enum status train(const char *kind, const char *folder, bool resume, const char *const *more,
                         struct seen *seen, struct error *err)
{
    char out[TEMP_PATH + 16], text[1024];
    const char *settings[24] = {out};
    struct train_request r = {.threads = 2, .resume = resume, .callback = watch, .user = seen};
    int n = 1;

    snprintf(out, sizeof out, "train.out=%s", folder);
    snprintf(text, sizeof text, "%s%s", config, kind);
    for (; more && more[n - 1]; n++)
        settings[n] = more[n - 1];
    return run_text(r, text, settings, err);
}

/* ---- Learning ---- */

static void learns(const char *kind, const char *const *more, double at_least)
{
    char folder[TEMP_PATH], path[TEMP_PATH];
    struct seen s = {0};
    struct error err = {0};
    struct model *m;

    temp_dir_new(folder);
    if (train(kind, folder, false, more, &s, &err))
        fail_msg("%s", err.text);
    if (!(s.last < 0.8 * s.first && s.psnr_last > s.psnr_first + at_least))
        fail_msg("loss from %g to %g, PSNR from %g to %g", s.first, s.last, s.psnr_first,
                 s.psnr_last);
    assert_int_equal(model_load(&m, temp_path(path, folder, "model.safetensors"), NULL), OK);
    assert_true(m->network->io.factor > 0);
    /* It was measured: a weight for each of 4 channels, and an offset. */
    assert_int_equal(m->network->io.preview->n, 5);
    assert_int_equal(m->network->io.scale->n, 4);
    model_free(m);
    temp_dir_remove(folder);
}

static void test_learns(void **state)
{
    const char *const more[] = {"train.steps=100", "train.eval_every=10", NULL};
    const char *const opposed[] = {"train.steps=100",
                                   "train.eval_every=10",
                                   "autoencoder.discriminator=0.1",
                                   "autoencoder.discriminator_width=4",
                                   "autoencoder.discriminator_layers=2",
                                   NULL};
    const char *const squares[] = {"train.steps=100",       "train.eval_every=10",
                                   "autoencoder.pixels=l2", "autoencoder.log_scale=true",
                                   "autoencoder.noise=0.1", NULL};

    (void)state;
    learns(vae, more, 5);
    learns(vae, squares, 5);
    learns(vq, more, 5);
    learns(tae, more, 5);
    learns(vae, opposed, 4);
}

/* What is logged of held-out pictures is read again. */
static void test_logged(void **state)
{
    const char *const more[] = {"train.steps=4",
                                "train.eval_every=2",
                                "train.sample_every=4",
                                "train.sample_count=5",
                                "autoencoder.discriminator=0.5",
                                "autoencoder.discriminator_start=2",
                                "autoencoder.discriminator_width=4",
                                "autoencoder.discriminator_layers=2",
                                NULL};
    char folder[TEMP_PATH], path[TEMP_PATH];
    struct seen s = {0};
    struct history h;
    struct image sheet;

    (void)state;
    temp_dir_new(folder);
    assert_int_equal(train(vae, folder, false, more, &s, NULL), OK);
    assert_int_equal(history_read(&h, temp_path(path, folder, "log.jsonl"), NULL), OK);
    assert_int_equal(h.n_evals, 2);
    assert_int_equal(h.unread, 0);
    assert_true(h.evals[1].losses.rebuilds);
    assert_true(fabs(h.evals[1].losses.psnr - s.psnr_last) < 1e-3);
    assert_int_equal(h.n_rows, 4);
    for (int k = 0; k < 4; k++) {
        assert_true(h.rows[k].opponent.is == (k >= 2));
        assert_true(k < 2 || (h.rows[k].opponent.loss > 0 && h.rows[k].opponent.ratio > 0));
    }
    history_release(&h);
    /* Five originals, and below them five reconstructions. */
    assert_int_equal(image_read(&sheet, temp_path(path, folder, "samples-00000004.png"), NULL), OK);
    assert_true(sheet.width > 2 * sheet.height && sheet.width < 3 * sheet.height);
    image_release(&sheet);
    temp_dir_remove(folder);
}

/* ---- Going on ---- */

static void goes_on(const char *kind, const char *const *more)
{
    char whole[TEMP_PATH], part[TEMP_PATH];

    temp_dir_new(whole);
    assert_int_equal(train(kind, whole, false, more, &(struct seen){0}, NULL), OK);
    for (int64_t cut = 3; cut <= 7; cut += 4) {
        temp_dir_new(part);
        assert_int_equal(train(kind, part, false, more, &(struct seen){.stop = cut}, NULL),
                         E_CANCELLED);
        assert_int_equal(train(kind, part, true, more, &(struct seen){0}, NULL), OK);
        assert_same_runs(whole, part);
        temp_dir_remove(part);
    }
    temp_dir_remove(whole);
}

static void test_resume(void **state)
{
    const char *const more[] = {"train.steps=10", "autoencoder.noise=0.1", NULL};
    const char *const codes[] = {"train.steps=10", NULL};
    const char *const opposed[] = {"train.steps=10",
                                   "train.accumulate=2",
                                   "autoencoder.log_scale=true",
                                   "autoencoder.discriminator=0.5",
                                   "autoencoder.discriminator_start=5",
                                   "autoencoder.discriminator_width=4",
                                   "autoencoder.discriminator_layers=2",
                                   NULL};

    (void)state;
    goes_on(vae, more);
    goes_on(vq, codes);
    goes_on(vae, opposed);
    goes_on(tae, opposed);
}

/* ---- Refusals ---- */

static void test_refusals(void **state)
{
    static const struct {
        const char *kind, *setting, *says;
    } cases[] = {
        {vae, "train.time=logit_normal", "train.time"},
        {vae, "train.weight=min_snr", "train.weight"},
        {vae, "train.loss=data", "train.loss"},
        {vae, "train.label_drop=0.1", "train.label_drop"},
        {vae, "train.variance=1", "train.variance"},
        {vae, "model.prediction=noise", "model.prediction"},
        {vae, "sample.steps=5", "sample.steps"},
        {vae, "vae.halves=decoder", "halves"},
        {vae, "autoencoder.codebook=1", "no codebook"},
        {vae, "autoencoder.perceptual=1", "autoencoder.features"},
        {vae, "autoencoder.discriminator=1", "too small for a patch discriminator"},
        {vq, "autoencoder.kl=1", "no Gaussian latents"},
        {vq, "autoencoder.noise=0.1", "autoencoder.noise"},
        {tae, "autoencoder.kl=1", "no Gaussian latents"},
        {tae, "autoencoder.nothing=1", "nothing"},
        {"", "autoencoder.kl=1", "autoencoder"},
    };
    char folder[TEMP_PATH];

    (void)state;
    temp_dir_new(folder);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const more[] = {"train.steps=1", cases[i].setting, NULL};
        struct error err = {0};
        enum status st = train(cases[i].kind, folder, false, more, &(struct seen){0}, &err);

        if (st != E_ARG || !strstr(err.text, cases[i].says))
            fail_msg("%s: %s, '%s' does not say '%s'", cases[i].setting, status_name(st), err.text,
                     cases[i].says);
    }
    temp_dir_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_logged),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
