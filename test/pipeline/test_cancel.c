/*
 * test_cancel.c - a request stopped anywhere: nothing is lost, and the next one is as if nothing
 * had been
 *
 * The callback is asked at every operation and says no at the first, the second, and so on; after
 * each, the same graph and codec do the work to its end and give the bits of an undisturbed run.
 * Whatever leaked on the way, the sanitizers find.
 */
#include "pipeline/generate.h"
#include "pipeline/sd3.h"

#include "data/listing.h"
#include "support/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define TINY   SHARED_DIR "/fixtures/sd3/pipeline-tiny/diffusers"
#define SPIECE SHARED_DIR "/data/tokenizers/t5_spiece.model"

enum { PHASES = PHASE_DECODING + 1 };

/* Stops at call `at`, or, with a phase, at call `at` of that. */
struct stopper {
    int64_t calls, at;
    int phase; /* or -1 */
    int64_t told[PHASES];
    double done, share;
    int step;
};

static bool stop(const struct generate_progress *p, void *user)
{
    struct stopper *s = user;

    assert_true(p->done >= s->done - 1e-12 && p->done <= 1 && p->share >= 0 && p->share <= 1);
    assert_true((p->x != NULL) == (p->phase == PHASE_STEPPED));
    assert_true(p->phase != PHASE_STEPPED || p->step == s->step + 1);
    if (p->phase == PHASE_STEPPED)
        s->step = p->step;
    s->done = p->done;
    s->told[p->phase]++;
    if (s->phase >= 0 && s->phase != (int)p->phase)
        return true;
    return ++s->calls != s->at;
}

static bool stop_watch(double done, void *user)
{
    struct stopper *s = user;

    assert_true(done >= s->share - 1e-9 && done <= 1 + 1e-9);
    s->share = done;
    return ++s->calls != s->at;
}

/* --- networks -----------------------------------------------------------------------------------
 */

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3 };

static const char unet[] =
    "\"model\": {\"network\": \"unet\"}, \"unet\": {\"size\": 8, \"width\": 8, \"mult\": [1, 2],"
    " \"blocks\": 1, \"groups\": 4, \"attention\": [2], \"classes\": 3}";
static const char judge[] =
    "\"model\": {\"network\": \"classifier\"}, \"classifier\": {\"size\": 8,"
    " \"width\": 8, \"mult\": [1, 2], \"blocks\": 1, \"groups\": 4, \"attention\": [2],"
    " \"classes\": 3}";

static enum status draw(float *out, struct generate_request r, struct stopper *s, struct error *err)
{
    if (s) {
        *s = (struct stopper){.at = s->at, .phase = s->phase};
        r.progress = stop;
        r.user = s;
    }
    return generate(out, &r, NULL, err);
}

/* At every operation of every run of the network and of its guides, on one graph. */
static void a_graph_survives_it(void **state)
{
    static const struct generate_item items[] = {{1, 2, 7}, {2, 0.5, 8}};
    static const char *const numbers[] = {"guidance.perturbed=1"};
    static float want[2 * LENGTH], got[2 * LENGTH];
    struct model *m = model_random(unet, 1), *by = model_random(judge, 2);
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .items = items,
                                 .n = 2,
                                 .numbers = numbers,
                                 .n_numbers = 1,
                                 .classifier = by,
                                 .classifier_scale = 1,
                                 .threads = 2};
    struct stopper s = {.phase = -1};
    struct error err = {0};
    int64_t calls;

    (void)state;
    r.settings.steps = 2;
    assert_int_equal(draw(want, r, NULL, &err), OK);
    assert_int_equal(draw(got, r, &s, &err), OK);
    assert_memory_equal(want, got, sizeof want);
    assert_true(s.told[PHASE_STEPPED] == 2 && s.told[PHASE_STEP] > 200 && s.done == 1);
    calls = s.calls;
    assert_int_equal(graph_new(&r.graph, GRAPH_FROZEN, 2, &err), OK);
    for (s.at = 1; draw(got, r, &s, &err) == E_CANCELLED; s.at += 1 + s.at / 40) {
        assert_true(s.calls == s.at);
        assert_non_null(strstr(err.text, "stopped"));
    }
    assert_true(s.calls < s.at && s.at > calls / 2); /* what was planned before is not again */
    assert_memory_equal(want, got, sizeof want);
    assert_int_equal(draw(got, r, NULL, &err), OK);
    assert_memory_equal(want, got, sizeof want);
    graph_free(r.graph);
    model_free(by);
    model_free(m);
}

/* --- autoencoders -------------------------------------------------------------------------------
 */

static const char vae[] =
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 32, \"width\": 16, \"mult\": [1, 2, 2],"
    " \"blocks\": 1, \"groups\": 4, \"attention\": [], \"latent_channels\": 4}";

enum { HEIGHT = 96, WIDTH = 40, CELLS = HEIGHT / 4 * (WIDTH / 4), CODES = CELLS * 4 };

static enum status code(struct codec *c, bool decodes, float *out, const float *in,
                        const struct codec_limits *l)
{
    return decodes ? codec_decode(c, out, in, 1, HEIGHT, WIDTH, l, NULL)
                   : codec_encode(c, out, in, 1, HEIGHT, WIDTH, l, NULL);
}

static void check_half(struct codec *c, bool decodes, struct codec_limits l, bool in_strips)
{
    static float in[HEIGHT * WIDTH * 3], want[HEIGHT * WIDTH * 3], got[HEIGHT * WIDTH * 3];
    struct codec_plan plan;
    struct stopper s = {0};
    int64_t calls;

    for (int i = 0; i < HEIGHT * WIDTH * 3; i++)
        in[i] = (float)sin(0.03 * i);
    assert_int_equal(code(c, decodes, want, in, &l), OK);
    assert_int_equal(
        codec_plan(&plan, c, decodes ? HALVES_DECODER : HALVES_ENCODER, 1, HEIGHT, WIDTH, &l, NULL),
        OK);
    assert_int_equal(plan.strips.n > 0, in_strips);
    l.watch = stop_watch;
    l.watch_user = &s;
    assert_int_equal(code(c, decodes, got, in, &l), OK);
    assert_memory_equal(want, got, (decodes ? HEIGHT * WIDTH * 3 : CODES) * sizeof *want);
    assert_true(s.share > 0.5);
    calls = s.calls;
    for (int64_t at = 1; at <= calls; at += 1 + at / 20) {
        s = (struct stopper){.at = at};
        assert_int_equal(code(c, decodes, got, in, &l), E_CANCELLED);
        assert_true(s.calls == at);
    }
    l.watch = NULL;
    assert_int_equal(code(c, decodes, got, in, &l), OK);
    assert_memory_equal(want, got, (decodes ? HEIGHT * WIDTH * 3 : CODES) * sizeof *want);
}

static void a_codec_survives_it(void **state)
{
    static const char hash[] = "00000000000000000000000000000000"
                               "00000000000000000000000000000000";
    struct model *m = model_random(vae, 3);
    struct codec_plan whole;
    struct codec *c;

    (void)state;
    assert_int_equal(codec_new(&c, m->network, hash, 2, NULL), OK);
    for (int decodes = 0; decodes < 2; decodes++) {
        check_half(c, decodes, (struct codec_limits){0}, false);
        check_half(c, decodes, (struct codec_limits){.tile = 8}, false);
        assert_int_equal(codec_plan(&whole, c, decodes ? HALVES_DECODER : HALVES_ENCODER, 1, HEIGHT,
                                    WIDTH, NULL, NULL),
                         OK);
        check_half(c, decodes, (struct codec_limits){.memory = whole.bytes / 4 * 3}, true);
    }
    codec_free(c);
    model_free(m);
}

/* --- a published model: all phases --------------------------------------------------------------
 */

enum { PICTURE_HEIGHT = 32, PICTURE_WIDTH = 48, PIXELS = PICTURE_HEIGHT * PICTURE_WIDTH * 3 };

static void every_phase_can_be_stopped(void **state)
{
    static const struct generate_item item = {0, 5, 3};
    static const char *const text[] = {"a (red:1.3) cat"};
    static float picture[PIXELS], want[PIXELS], got[PIXELS];
    const struct sd3_parts parts = {.spiece = SPIECE};
    const struct repaint_request of = {.picture = picture};
    struct stopper s = {.phase = -1}, all;
    struct error err = {0};
    struct model *m;

    (void)state;
    if (!path_is_folder(TINY) || !path_is_file(SPIECE)) {
        print_message("no small model at %s\n", TINY);
        skip();
    }
    assert_int_equal(sd3_open(&m, TINY, &parts, &err), OK);
    assert_int_equal(network_resize(m->network, PICTURE_HEIGHT / 8, PICTURE_WIDTH / 8, NULL), OK);
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .texts = text,
                                 .n_texts = 1,
                                 .items = &item,
                                 .n = 1,
                                 .repaint = &of,
                                 .strength = 0.5,
                                 .threads = 2};
    r.settings.steps = 4;
    assert_int_equal(draw(want, r, NULL, &err), OK);
    assert_int_equal(draw(got, r, &s, &err), OK);
    assert_memory_equal(want, got, sizeof want);
    all = s;
    for (s.phase = 0; s.phase < PHASES; s.phase++)
        for (s.at = 1; s.at <= all.told[s.phase]; s.at += 1 + all.told[s.phase] / 5) {
            assert_int_equal(draw(got, r, &s, &err), E_CANCELLED);
            assert_true(s.calls == s.at);
            for (int later = s.phase + 1; later < PHASES && s.phase < PHASE_STEP; later++)
                assert_int_equal(s.told[later], 0);
        }
    for (int i = 0; i < PHASES; i++)
        assert_true(all.told[i] >= (i == PHASE_STEPPED ? 2 : 3));
    assert_int_equal(draw(got, r, NULL, &err), OK);
    assert_memory_equal(want, got, sizeof want);
    model_free(m);
}

/* With seconds between two calls: at the beginning of each phase and step, and after each. */
static void callbacks_are_rare(void **state)
{
    static const struct generate_item item = {1, 2, 7};
    static float got[LENGTH];
    struct model *m = model_random(unet, 1);
    struct stopper s = {.phase = -1};
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 1, .every = 1e6};

    (void)state;
    r.settings.steps = 3;
    assert_int_equal(draw(got, r, &s, NULL), OK);
    assert_true(s.told[PHASE_STEP] == 3 && s.told[PHASE_STEPPED] == 3 && s.calls == 6);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_survives_it),
        cmocka_unit_test(a_codec_survives_it),
        cmocka_unit_test(every_phase_can_be_stopped),
        cmocka_unit_test(callbacks_are_rare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
