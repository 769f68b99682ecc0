/*
 * test_forecast.c - what a request would take: how its parts add up, and what they depend on
 */
#include "pipeline/forecast.h"

#include "data/listing.h"
#include "pipeline/sd3.h"
#include "support/models.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DIT                                                                             \
    "\"model\": {\"network\": \"dit\", \"time_scale\": 1000}, \"dit\": {\"size\": 16, " \
    "\"classes\": 4, \"patch\": 2, \"width\": 64, \"depth\": 2, \"heads\": 2}"
#define TINY   SHARED_DIR "/fixtures/sd3/pipeline-tiny/diffusers"
#define SPIECE SHARED_DIR "/data/tokenizers/t5_spiece.model"

enum { MANY = 5 };

static const struct generate_item items[MANY] = {
    {0, 2, 10}, {3, 2, 11}, {1, 2, 12}, {0, 2, 13}, {2, 2, 14}};

static struct generate_request request(const struct model *m, int64_t n)
{
    return (struct generate_request){
        .model = m, .settings = m->sample, .items = items, .n = n, .threads = 2};
}

static struct forecast find(const struct generate_request *r)
{
    struct error err = {0};
    struct forecast f;

    if (forecast_find(&f, r, &err))
        fail_msg("%s", err.text);
    return f;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void check_peak(const struct forecast *f)
{
    int64_t solving = f->weights + f->values + f->solver, decoding = f->values + f->decoder;

    assert_int_equal(f->peak, f->program + larger(f->encoders, larger(solving, decoding)));
    assert_true(f->program > 0 && f->values > 0 && f->solver > 0);
    assert_true(f->flops > 0 && f->seconds > 0);
}

/* Batches, steps and operations of pixels; no weights lie in a file, and nothing is decoded. */
static void parts_of_pixels(void **state)
{
    struct model *m = model_random(DIT, 1);
    struct generate_request r = request(m, MANY);
    struct forecast five, two, one;

    (void)state;
    r.batch = 2;
    r.settings.steps = 7;
    five = find(&r);
    check_peak(&five);
    assert_int_equal(five.batch, 2);
    assert_int_equal(five.batches, 3);
    assert_int_equal(five.steps, 7);
    assert_true(five.weights == 0 && five.encoders == 0 && five.decoder == 0);
    r.n = 2;
    two = find(&r);
    assert_true(two.flops == five.flops && two.values == five.values && two.batches == 1);
    r.n = 1;
    one = find(&r);
    assert_true(2 * one.flops == two.flops && one.values < two.values);
    model_free(m);
}

static int sampler_number(const char *name)
{
    int i = 0;

    while (strcmp(sampler_at(i)->is.name, name) != 0)
        i++;
    return i;
}

/* Heun asks twice a step, an adaptive solver as often as it likes; a picture made of another takes
 * the last steps only. */
static void steps_and_solvers(void **state)
{
    static const float picture[16 * 16 * 3];
    const struct repaint_request of = {.picture = picture};
    struct model *m = model_random(DIT, 1);
    struct generate_request r = request(m, 1);
    struct forecast euler, heun;
    struct error err = {0};

    (void)state;
    r.settings.steps = 10;
    r.settings.sampler = sampler_number("euler");
    euler = find(&r);
    r.repaint = &of;
    r.strength = 0.35;
    assert_int_equal(find(&r).steps, 4);
    r.repaint = NULL;
    r.settings.sampler = sampler_number("heun");
    heun = find(&r);
    assert_true(heun.flops == 2 * euler.flops && heun.steps == euler.steps);
    r.settings.sampler = sampler_number("dopri5");
    assert_int_equal(find(&r).steps, 0);
    r.n = 0;
    assert_int_equal(forecast_find(&heun, &r, &err), E_ARG);
    model_free(m);
}

/* Weights of our own files are float32 in the mapping, but for what has another order there. */
static void weights_in_a_file(void **state)
{
    struct model *m = model_random(DIT, 1), *mapped;
    char dir[TEMP_PATH], path[TEMP_PATH + 64];
    struct generate_request r;
    struct forecast f;

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(model_save(m, temp_path(path, dir, "m.safetensors"), NULL, NULL), OK);
    assert_int_equal(model_load(&mapped, path, NULL), OK);
    r = request(mapped, 1);
    f = find(&r);
    check_peak(&f);
    assert_true(f.weights <= 4 * params_numbers(m->network->params));
    assert_true(f.weights > 3 * params_numbers(m->network->params));
    model_free(mapped);
    model_free(m);
    temp_dir_remove(dir);
}

/* A published model: encoders, a decoder, and texts that are longer than a row. */
static void published(void **state)
{
    static char book[2000];
    const char *const texts[] = {"a red cat", book};
    struct sd3_parts parts = {.spiece = SPIECE};
    struct generate_request r;
    struct forecast all, wide, wordy, without;
    struct model *m;

    (void)state;
    if (!path_is_folder(TINY) || !path_is_file(SPIECE)) {
        print_message("no small model at %s\n", TINY);
        skip();
    }
    memset(book, 'a', sizeof book - 1);
    assert_int_equal(sd3_open(&m, TINY, &parts, NULL), OK);
    assert_int_equal(network_resize(m->network, 8, 12, NULL), OK);
    r = request(m, 1);
    r.texts = texts;
    r.n_texts = 1;
    all = find(&r);
    check_peak(&all);
    assert_true(all.weights > 0 && all.encoders > 0 && all.decoder > 0);
    r.n_texts = 2;
    wordy = find(&r);
    assert_true(wordy.flops > all.flops && wordy.encoders == all.encoders);
    r.n_texts = 1;
    assert_int_equal(network_resize(m->network, 8, 16, NULL), OK);
    wide = find(&r);
    assert_true(wide.flops > all.flops && wide.decoder > all.decoder);
    assert_true(wide.weights == all.weights);
    model_free(m);
    parts.no_t5 = true;
    assert_int_equal(sd3_open(&m, TINY, &parts, NULL), OK);
    assert_int_equal(network_resize(m->network, 8, 12, NULL), OK);
    r.model = m;
    without = find(&r);
    assert_true(without.flops < all.flops && without.encoders < all.encoders);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_pixels),
        cmocka_unit_test(steps_and_solvers),
        cmocka_unit_test(weights_in_a_file),
        cmocka_unit_test(published),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
