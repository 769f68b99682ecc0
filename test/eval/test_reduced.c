/*
 * test_reduced.c - int8 and bf16 at the end of a run and in each layer, and what stays float32
 */
#include "eval/reduced.h"

#include "backend/cpu/panel.h"
#include "data/listing.h"
#include "pipeline/sd3.h"
#include "support/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* 64 tokens of 128 features: wide enough for layers to be reduced. */
#define DIT                                                                             \
    "\"model\": {\"network\": \"dit\", \"time_scale\": 1000}, \"dit\": {\"size\": 16, " \
    "\"classes\": 4, \"patch\": 2, \"width\": 128, \"depth\": 3, \"heads\": 2}"
#define TINY   SHARED_DIR "/fixtures/sd3/pipeline-tiny/diffusers"
#define SPIECE SHARED_DIR "/data/tokenizers/t5_spiece.model"

enum { STEPS = 28, BLOCKS = 3, REDUCED_A_BLOCK = 4, BAR = 30 };

static const struct generate_item items[] = {{0, 2, 10}, {3, 1, 11}, {1, 4, 12}};

static struct generate_request request(const struct model *m)
{
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = items, .n = 3, .threads = 2};

    r.settings.steps = STEPS;
    return r;
}

static void compare(struct reduced_result *out, const struct generate_request *r, enum precision p,
                    int64_t look_at)
{
    const struct reduced_task t = {r, p, look_at};
    struct error err = {0};

    if (reduced_compare(out, &t, &err))
        fail_msg("%s", err.text);
}

/* In each block four layers of tokens are reduced: the attention's two and the feed-forward's two;
 * and the attention itself where the processor multiplies bf16.
 * What is told of them is sorted, and in the size of a byte's and of eight bits' rounding. */
static void layers_and_latents(void **state)
{
    struct model *m = model_random(DIT, 1);
    struct generate_request r = request(m);
    struct reduced_result bytes, words;
    bool attends = !panel_engine(PRECISION_BF16)->widens;
    int64_t reduced = 0, attentions = 0;

    (void)state;
    compare(&bytes, &r, PRECISION_INT8, STEPS / 2);
    for (int64_t i = 0; i < bytes.n_layers; i++) {
        const struct reduced_layer *l = &bytes.layer[i];
        bool attention = !strncmp(l->name, "attention of ", strlen("attention of "));

        assert_true(i == 0 || bytes.layer[i - 1].error >= l->error);
        assert_true(l->reduced ? l->error > (attention ? 1e-4 : 1e-3) && l->error < 0.03
                               : l->error == 0);
        assert_true(!l->reduced || strstr(l->name, "attn.") || strstr(l->name, "mlp."));
        reduced += l->reduced;
        attentions += attention;
    }
    assert_int_equal(attentions, BLOCKS);
    assert_int_equal(reduced, BLOCKS * (REDUCED_A_BLOCK + attends));
    assert_true(bytes.n_layers > reduced + attentions);
    assert_true(bytes.psnr > BAR && bytes.psnr < 90 && bytes.snr < bytes.psnr);
    assert_true(bytes.seconds[0] > 0 && bytes.seconds[1] > 0);
    compare(&words, &r, PRECISION_BF16, -1);
    assert_int_equal(words.n_layers, 0);
    assert_true(words.psnr > bytes.psnr + 3);
    reduced_release(&bytes);
    reduced_release(&words);
    model_free(m);
}

/* The same numbers twice, whatever the batch. */
static void nothing_reduced_is_nothing_lost(void **state)
{
    struct model *m = model_random(DIT, 1);
    struct generate_request r = request(m);
    struct reduced_result same;
    struct error err = {0};

    (void)state;
    r.batch = 2;
    r.settings.steps = 2;
    compare(&same, &r, PRECISION_FLOAT32, 1);
    assert_true(isinf(same.psnr) && isinf(same.snr));
    for (int64_t i = 0; i < same.n_layers; i++)
        assert_false(same.layer[i].reduced);
    reduced_release(&same);
    r.n = 0;
    assert_int_equal(reduced_compare(&same, &(struct reduced_task){&r, PRECISION_INT8, 0}, &err),
                     E_ARG);
    reduced_release(&same);
    model_free(m);
}

/* The small model of the reference data is narrower than what is reduced. */
static void published_tiny(void **state)
{
    const char *const text[] = {"a red cat"};
    const struct sd3_parts parts = {.spiece = SPIECE};
    struct reduced_result result;
    struct generate_request r;
    struct error err = {0};
    struct model *m;

    (void)state;
    if (!path_is_folder(TINY) || !path_is_file(SPIECE)) {
        print_message("no small model at %s\n", TINY);
        skip();
    }
    if (sd3_open(&m, TINY, &parts, &err))
        fail_msg("%s", err.text);
    assert_int_equal(network_resize(m->network, 8, 12, NULL), OK);
    r = request(m);
    r.items = &(struct generate_item){0, 5, 3};
    r.n = 1;
    r.texts = text;
    r.n_texts = 1;
    compare(&result, &r, PRECISION_INT8, STEPS - 1);
    assert_true(result.psnr > BAR);
    assert_true(result.n_layers > 30);
    reduced_release(&result);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_and_latents),
        cmocka_unit_test(nothing_reduced_is_nothing_lost),
        cmocka_unit_test(published_tiny),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
