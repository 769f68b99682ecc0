/*
 * test_latent_training.c - training in the space of an autoencoder's latents
 *
 * Pictures of every origin are encoded once into a cache and learned from there: cut while it
 * encodes and while it trains, the run is the uncut one; it keeps to the latents it began with; and
 * what does not go together is refused before anything is written.
 */
#include "train/latent_data.h"
#include "train/trainer.h"

#include "base/file.h"
#include "data/latents.h"
#include "io/image.h"
#include "support/latent_run.h"
#include "support/runs.h"
#include "support/says.h"
#include "support/temp.h"
#include "support/tensor_files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS = 14 };

struct seen {
    int64_t stop_encoding, stop_step; /* stop there; 0: never            */
    int64_t encoded;                  /* the last count that was told    */
    int sheets;
    char note[256];
};

static bool watch(const struct train_event *e, void *user)
{
    struct seen *s = user;

    assert_non_null(e->memory);
    switch (e->kind) {
    case TRAIN_ENCODING:
        s->encoded = e->step;
        return !s->stop_encoding || e->step != s->stop_encoding;
    case TRAIN_STEP:
        return e->step != s->stop_step;
    case TRAIN_NOTE:
        snprintf(s->note, sizeof s->note, "%s", e->path);
        break;
    case TRAIN_SAMPLED:
        s->sheets++;
        break;
    default:
        break;
    }
    return true;
}

static enum status train_text(const char *text, bool resume, struct seen *seen,
                              const char *const *more, struct error *err)
{
    struct seen unseen = {0};
    const struct train_request r = {
        .threads = 2, .resume = resume, .callback = watch, .user = seen ? seen : &unseen};

    return run_text(r, text, more, err);
}

static enum status train(bool resume, struct seen *seen, const char *const *more, struct error *err)
{
    return train_text(latent_run_config, resume, seen, more, err);
}

static void must_train(const char *const *more, struct seen *seen)
{
    struct error err = {0};

    if (train(false, seen, more, &err))
        fail_msg("%s", err.text);
}

static int64_t count_parts(const char *folder)
{
    char path[TEMP_PATH];

    snprintf(path, sizeof path, "%s/latents-000000000000.safetensors", folder);
    return access(path, F_OK) ? 0 : access("cut/latents-000000000064.safetensors", F_OK) ? 1 : 2;
}

/* Stopped while it encodes, a run keeps what it has and goes on; its model is the same. */
static void encoding_goes_on_where_it_stopped(void **state)
{
    const char *more[] = {"data.cache=cut", "train.out=cut-run", NULL};
    struct seen some = {.stop_encoding = 64}, rest = {0};

    (void)state;
    assert_int_equal(train(false, &some, more, NULL), E_CANCELLED);
    assert_true(count_parts("cut") == 1 && access("cut/latents.json", F_OK));
    assert_true(access("cut-run", F_OK));
    must_train(more, &rest);
    assert_true(count_parts("cut") == 2 && rest.encoded == PICTURES && rest.sheets == 1);
    assert_true(same_files("run/model.safetensors", "cut-run/model.safetensors"));
}

static void a_resumed_run_is_the_uncut_one(void **state)
{
    const char *more[] = {"train.out=resumed", NULL};
    struct seen some = {.stop_step = 1};

    (void)state;
    assert_int_equal(train(false, &some, more, NULL), E_CANCELLED);
    assert_int_equal(train(true, NULL, more, NULL), OK);
    assert_true(same_files("run/model.safetensors", "resumed/model.safetensors"));
}

/* Latents of other pictures have other means: a run does not go on with them. */
static void a_run_keeps_to_its_latents(void **state)
{
    const char *first[] = {"train.out=kept", NULL};
    const char *then[] = {"train.out=kept", "data.limit=8", "data.cache=fewer", "train.batch=2",
                          NULL};
    struct seen some = {.stop_step = 1};
    struct error err = {0};

    (void)state;
    assert_int_equal(train(false, &some, first, NULL), E_CANCELLED);
    assert_int_equal(train(true, NULL, then, &err), E_ARG);
    assert_says(err.text, "checkpoint-00000001.safetensors");
    assert_says(err.text, "channel 0");
}

/* A cache alone is enough to train on; to see something it takes the autoencoder that made it. */
static void a_cache_can_be_trained_on(void **state)
{
    const char *alone[] = {
        "data.format=latents", "data.path=cache", "data.size=0",     "data.autoencoder=",
        "data.cache=",         "data.limit=0",    "train.out=alone", NULL};
    const char *seen_through[] = {
        "data.format=latents", "data.path=cache", "data.size=0", "data.cache=",
        "data.limit=0",        "train.out=seen",  NULL};
    const char *rough[] = {
        "data.format=latents", "data.path=cache",           "data.size=0",     "data.cache=",
        "data.limit=0",        "train.sample_preview=true", "train.out=rough", NULL};
    struct seen a = {0}, b = {0}, c = {0};
    struct imgen_model_info info;
    struct imgen_model *m;
    struct image im = {0};

    (void)state;
    must_train(alone, &a);
    assert_true(a.sheets == 0 && strstr(a.note, "no sheets") && strstr(a.note, "data.autoencoder"));
    m = latent_run_open("alone/model.safetensors", &info);
    assert_true(!info.autoencoder && info.autoencoder_hash && !info.height);
    assert_int_equal(imgen_model_use_autoencoder(m, "ae/vae.safetensors", NULL), IMGEN_OK);
    assert_int_equal(latent_run_sample(m, NULL), IMGEN_OK);
    imgen_model_close(m);

    must_train(seen_through, &b);
    assert_true(b.sheets == 1 && !*b.note);
    assert_int_equal(image_read(&im, "seen/samples-00000003.png", NULL), OK);
    assert_int_equal(im.height % PICTURE_SIDE, 6); /* two rows, three gaps of two */
    image_release(&im);

    must_train(rough, &c);
    assert_true(c.sheets == 1);
    m = latent_run_open("rough/model.safetensors", &info);
    assert_int_equal(latent_run_sample(m, NULL), IMGEN_OK);
    imgen_model_close(m);
}

static void must_not_train(const char *const *more, enum status wanted, const char *text,
                           const char *also)
{
    struct error err = {0};

    assert_int_equal(train(false, NULL, more, &err), wanted);
    assert_says(err.text, text);
    if (also)
        assert_says(err.text, also);
    assert_true(access("none", F_OK));
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct {
        const char *more[WORDS];
        enum status st;
        const char *text;
    } rows[] = {
        {{"data.cache="}, E_ARG, "data.cache names a folder"},
        {{"data.autoencoder="}, E_ARG, "data.autoencoder names it"},
        {{"data.format=latents", "data.path=cache"}, E_ARG, "data.cache"},
        {{"data.size=17"}, E_ARG, "data.size"},
        {{"data.limit=0"}, E_ARG, "endless"},
        {{"data.format=anchor-shapes", "data.limit=8"}, E_ARG, "channels"},
        {{"data.autoencoder=run/model.safetensors"}, E_FORMAT, "no autoencoder"},
        {{"data.autoencoder=missing.safetensors"}, E_IO, "missing.safetensors"},
        {{"data.autoencoder=", "data.cache=", "train.sample_preview=true"}, E_ARG, "pixels"},
        {{"data.autoencoder=ae/blind.safetensors", "data.cache=blind", "train.sample_preview=1"},
         E_ARG,
         "no linear preview"},
    };
    static const char nested[] =
        "[data]\nformat = latents\npath = cache\n[model]\nnetwork = tae\n"
        "[train]\nout = none\n[tae]\nwidth = 8\nlevels = 1\nblocks = 1\npool = false\n";
    const char *other[] = {"data.autoencoder=ae/other.safetensors", "train.out=none", NULL};
    const char *cached[] = {"data.autoencoder=ae/other.safetensors",
                            "data.format=latents",
                            "data.path=cache",
                            "data.cache=",
                            "data.size=0",
                            "train.out=none",
                            NULL};
    char a[HASH_TEXT], b[HASH_TEXT];
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *more[WORDS + 2] = {"train.out=none"};

        for (int k = 0; k < WORDS && rows[i].more[k]; k++)
            more[k + 1] = rows[i].more[k];
        must_not_train(more, rows[i].st, rows[i].text, NULL);
    }
    assert_int_equal(hash_file(a, "ae/vae.safetensors", NULL), OK);
    assert_int_equal(hash_file(b, "ae/other.safetensors", NULL), OK);
    assert_int_equal(train_text(nested, false, NULL, NULL, &err), E_ARG);
    assert_says(err.text, "the data are latents");
    must_not_train(other, E_FORMAT, a, b);
    must_not_train(cached, E_FORMAT, a, b);
}

/* Saying what a run takes writes nothing, and knows the decoder of its sheets. */
static void a_plan_writes_nothing(void **state)
{
    const char *more[] = {"data.cache=unmade", "train.out=unmade-run", "train.flip=true", NULL};
    const char *unseen[] = {"data.cache=unmade", "train.out=unmade-run", "train.sample_every=0",
                            NULL};
    struct train_plan plan, less;
    struct experiment e;
    struct train_request r = {.experiment = &e, .threads = 1};

    (void)state;
    run_read(&e, latent_run_config, more);
    assert_int_equal(train_measure(&r, &plan, NULL), OK);
    experiment_release(&e);
    assert_true(access("unmade", F_OK) && access("unmade-run", F_OK));
    assert_int_equal(plan.pictures, PICTURES);
    run_read(&e, latent_run_config, unseen);
    assert_int_equal(train_measure(&r, &less, NULL), OK);
    experiment_release(&e);
    assert_true(plan.memory.beside > less.memory.beside + 100000);
}

/* --- pictures of a folder -----------------------------------------------------------------------
 */

static void write_picture(const char *path, int which)
{
    static uint8_t pixels[PICTURE_LENGTH];
    const struct image im = {PICTURE_SIDE, PICTURE_SIDE, 3, pixels};

    for (int i = 0; i < PICTURE_LENGTH; i++)
        pixels[i] = (uint8_t)(which * 40 + i % 97 + i / (3 * PICTURE_SIDE) * 5);
    assert_int_equal(png_write(path, &im, NULL, 0, NULL), OK);
}

/* Of an endless set as many pictures are encoded as evaluations and sheets look at, whichever look
 * at more; and they are those of eval_path. */
static void held_out_of_an_endless_set(void **state)
{
    static const char *const sheets[] = {"train.sample_count=2", "train.sample_count=5"};
    static const char *const caches[] = {"data.cache=pairs", "data.cache=more-pairs"};
    static const int counts[] = {3, 5};
    char caption[CAPTION_TEXT], asked[CAPTION_TEXT];

    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *const more[] = {"data.format=relations",
                                    "data.path=training",
                                    "data.eval_path=held-out",
                                    "data.size=32",
                                    "data.limit=6",
                                    caches[k],
                                    "train.eval_every=1",
                                    "train.eval_count=3",
                                    sheets[k],
                                    "train.batch=2",
                                    k ? "train.out=more-pairs-run" : "train.out=pairs-run",
                                    NULL};
        static float z[32 * 32 * 3];
        struct experiment e;
        struct training_data_request r = {.experiment = &e, .threads = 1, .writes = true};
        struct training_data d;
        struct dataset *held, *pictures;
        int32_t label, own;

        must_train(more, NULL);
        run_read(&e, latent_run_config, more);
        assert_int_equal(training_data_open(&d, &r, NULL), OK);
        assert_int_equal(d.set->count, 6);
        assert_int_equal(training_data_held_out(&held, NULL, d.space, &d, &r, NULL), OK);
        assert_int_equal(held->count, counts[k]);
        assert_int_equal(evaluation_data(&e, &pictures, NULL), OK);
        for (int64_t i = 0; i < held->count; i++) {
            assert_int_equal(dataset_get(held, i, z, &label, caption, NULL), OK);
            assert_int_equal(dataset_get(pictures, i, z, &own, asked, NULL), OK);
            assert_int_equal(label, own);
            assert_string_equal(caption, asked);
        }
        dataset_close(pictures);
        dataset_close(held);
        training_data_release(&d);
        experiment_release(&e);
    }
}

/* Mirrored pictures are encoded as they are, for a latent must not be mirrored; and pictures held
 * out are brought to the mean and deviation of those that are trained on. */
static void pictures_of_a_folder(void **state)
{
    const char *more[] = {"data.format=folder",
                          "data.path=pictures",
                          "data.limit=0",
                          "data.cache=mirrored",
                          "train.flip=true",
                          "train.eval_every=1",
                          "train.eval_count=2",
                          "train.batch=2",
                          "data.eval_path=held",
                          "train.out=folder",
                          NULL};
    struct experiment e;
    struct training_data_request r = {.experiment = &e, .threads = 1, .writes = true};
    struct training_data d;
    struct dataset *held, *pictures;
    struct codec *c = latent_run_codec("ae/vae.safetensors");
    static float z[LATENT_LENGTH], x[LATENT_LENGTH], picture[PICTURE_LENGTH];
    struct latent_space *s;

    (void)state;
    assert_int_equal(mkdir("pictures", 0700) || mkdir("held", 0700), 0);
    write_picture("pictures/a.png", 1);
    write_picture("pictures/b.png", 2);
    write_picture("pictures/c.png", 3);
    write_picture("held/d.png", 4);
    write_picture("held/e.png", 5);
    must_train(more, NULL);
    run_read(&e, latent_run_config, more);
    assert_int_equal(training_data_open(&d, &r, NULL), OK);
    s = d.space;
    assert_int_equal(d.set->count, 6);
    assert_true(!d.set->flips && latents_info(d.set)->mirrored);
    assert_int_equal(training_data_held_out(&held, NULL, s, &d, &r, NULL), OK);
    assert_int_equal(held->count, 2);
    assert_int_equal(evaluation_data(&e, &pictures, NULL), OK);
    assert_int_equal(dataset_get(pictures, 1, picture, NULL, NULL, NULL), OK);
    assert_int_equal(codec_encode(c, z, picture, 1, PICTURE_SIDE, PICTURE_SIDE, NULL, NULL), OK);
    assert_int_equal(dataset_get(held, 1, x, NULL, NULL, NULL), OK);
    for (int i = 0; i < LATENT_LENGTH; i++) {
        double want =
            ((double)z[i] - s->mean[i % LATENT_CHANNELS]) / s->deviation[i % LATENT_CHANNELS];

        assert_true(fabs(want - (double)x[i]) < 1e-4 * (1 + fabs(want)));
    }
    dataset_close(pictures);
    dataset_close(held);
    training_data_release(&d);
    experiment_release(&e);
    codec_free(c);
}

static const char reading[] =
    "[data]\nformat = captioned\npath = spoken\neval_path = spoken\nsize = 16\n"
    "autoencoder = ae/vae.safetensors\n"
    "[model]\nnetwork = mmdit\n"
    "[mmdit]\npatch = 2\nwidth = 16\ndepth = 1\nheads = 2\n"
    "text_length = 16\ntext_width = 8\ntext_depth = 1\ntext_heads = 2\n"
    "[train]\nsteps = 3\nbatch = 4\nwarmup = 0\nlearning_rate = 0.01\nlabel_drop = 0\n"
    "sample_every = 3\nsample_count = 2\neval_every = 3\neval_count = 2\n"
    "[sample]\nsteps = 2\n";

/* Train on two pictures that say this. */
static void train_reading(const char *first, const char *second, const char *cache, const char *out)
{
    const char *const more[] = {cache, out, NULL};
    struct seen seen = {0};
    struct error err = {0};
    char list[256];
    int n = snprintf(list, sizeof list,
                     "{\"file\": \"a.png\", \"caption\": \"%s\"}\n"
                     "{\"file\": \"b.png\", \"caption\": \"%s\"}\n",
                     first, second);

    assert_int_equal(file_write("spoken/captions.jsonl", list, (uint64_t)n, NULL), OK);
    if (train_text(reading, false, &seen, more, &err))
        fail_msg("%s", err.text);
    assert_int_equal(seen.sheets, 1);
}

/* Captions go through the cache: what the pictures say decides what is learned, and nothing else
 * is different here. */
static void captions_are_learned_with_latents(void **state)
{
    struct experiment e;
    struct training_data_request r = {.experiment = &e, .threads = 1, .writes = true};
    const char *const again[] = {"data.cache=spoken-1", NULL};
    char caption[CAPTION_TEXT];
    float z[LATENT_LENGTH];
    struct training_data d;

    (void)state;
    assert_int_equal(mkdir("spoken", 0700), 0);
    write_picture("spoken/a.png", 1);
    write_picture("spoken/b.png", 2);
    train_reading("a star", "a moon", "data.cache=spoken-1", "train.out=reads-1");
    train_reading("a star", "a boat", "data.cache=spoken-2", "train.out=reads-2");
    train_reading("a star", "a moon", "data.cache=spoken-1", "train.out=reads-1b");
    assert_false(same_files("reads-1/model.safetensors", "reads-2/model.safetensors"));
    assert_true(same_files("reads-1/model.safetensors", "reads-1b/model.safetensors"));
    run_read(&e, reading, again);
    assert_int_equal(training_data_open(&d, &r, NULL), OK);
    assert_int_equal(d.set->count, 4); /* mirrored, too */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(dataset_get(d.set, i, z, NULL, caption, NULL), OK);
        assert_string_equal(caption, i < 2 ? "a star" : "a moon");
    }
    training_data_release(&d);
    experiment_release(&e);
}

/* A U-Net works on latents as a transformer does. */
static void a_unet_learns_latents_too(void **state)
{
    static const char unet[] =
        "[data]\nformat = latents\npath = cache\nautoencoder = ae/vae.safetensors\n"
        "[unet]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\ngroups = 4\n"
        "[train]\nsteps = 2\nbatch = 2\nwarmup = 0\nsample_every = 0\nout = unet\n"
        "[sample]\nsteps = 1\n";
    struct imgen_model_info info;
    struct imgen_model *m;

    (void)state;
    assert_int_equal(train_text(unet, false, NULL, NULL, NULL), OK);
    m = latent_run_open("unet/model.safetensors", &info);
    assert_int_equal(latent_run_sample(m, NULL), IMGEN_OK);
    imgen_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_goes_on_where_it_stopped),
        cmocka_unit_test(a_resumed_run_is_the_uncut_one),
        cmocka_unit_test(a_run_keeps_to_its_latents),
        cmocka_unit_test(a_cache_can_be_trained_on),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(a_plan_writes_nothing),
        cmocka_unit_test(pictures_of_a_folder),
        cmocka_unit_test(held_out_of_an_endless_set),
        cmocka_unit_test(captions_are_learned_with_latents),
        cmocka_unit_test(a_unet_learns_latents_too),
    };

    return cmocka_run_group_tests(tests, latent_run_set_up, latent_run_tear_down);
}
