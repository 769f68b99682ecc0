/*
 * test_generate.c - a picture is a function of its own request
 *
 * Random weights everywhere (also where training starts from zero), so that every layer counts.
 */
#include "pipeline/generate.h"
#include "pipeline/picture.h"

#include "base/file.h"
#include "base/json.h"
#include "support/models.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16, LENGTH = SIDE * SIDE * 3, LABELS = 4, ITEMS = 5 };

static struct model *make(const char *kind, const char *const *settings)
{
    struct model *m = model_of(kind, NULL, settings, false);

    model_disturb(m, 5, 0.05);
    return m;
}

static struct model *make_unet(void)
{
    const char *const settings[] = {"size=16",     "classes=4", "width=16", "mult=1,2", "blocks=1",
                                    "attention=2", "groups=4",  "heads=2",  NULL};

    return make("unet", settings);
}

static struct model *make_dit(void)
{
    const char *const settings[] = {"size=16", "classes=4", "patch=4", "width=32",
                                    "depth=2", "heads=2",   NULL};

    return make("dit", settings);
}

static const struct choice *sampler_choice(int i)
{
    return sampler_at(i) ? &sampler_at(i)->is : NULL;
}

static const struct choice *schedule_choice(int i)
{
    return grid_kind_at(i) ? &grid_kind_at(i)->is : NULL;
}

static int number_of_choice(const struct choice *(*at)(int), const char *name)
{
    int i = 0;

    while (strcmp(at(i)->name, name) != 0)
        i++;
    return i;
}

static const struct generate_item items[ITEMS] = {
    {0, 2, 10}, {1, 0, 11}, {2, 1, 12}, {LABELS, 3, 13}, {3, 7.5, 14}};

static void draw(float *out, const struct model *m, const struct generate_item *which, int64_t n,
                 int64_t batch, int threads, int sampler)
{
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .items = which,
                                 .n = n,
                                 .batch = batch,
                                 .threads = threads};

    r.settings.sampler = sampler;
    assert_int_equal(generate(out, &r, NULL, NULL), OK);
}

static void check_own_request(struct model *m, int sampler)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];

    draw(want, m, items, ITEMS, 0, 1, sampler);
    assert_true(want[0] != want[LENGTH]);
    for (int threads = 2; threads <= 4; threads++) {
        draw(got, m, items, ITEMS, 0, threads, sampler);
        assert_memory_equal(want, got, sizeof want);
    }
    draw(got, m, items, ITEMS, 2, 2, sampler);
    assert_memory_equal(want, got, sizeof want);
    for (int i = 0; i < ITEMS; i++) {
        draw(got, m, &items[i], 1, 0, 2, sampler);
        assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *got);
    }
    model_free(m);
}

/* Where all items' pictures are the same: bit i. */
static unsigned equal_pictures(const float *a, const float *b)
{
    unsigned equal = 0;

    for (int i = 0; i < ITEMS; i++)
        if (!memcmp(a + i * LENGTH, b + i * LENGTH, LENGTH * sizeof *a))
            equal |= 1u << i;
    return equal;
}

/* Numbers reach what they name: guided nowhere is as trained (but unguided stays so),
 * and another kind of guidance is another picture where there is a label and w is neither 0 nor 1.
 */
static void test_numbers(void **state)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct model *m = make_dit();
    struct generate_item trained[ITEMS];
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = items, .n = ITEMS, .threads = 2};
    const char *number = "guidance.kind=apg";

    (void)state;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    r.numbers = &number;
    r.n_numbers = 1;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    assert_int_equal(equal_pictures(want, got), 1u << 1 | 1u << 2 | 1u << 3);

    number = "guidance.from=1";
    assert_int_equal(generate(got, &r, NULL, NULL), E_ARG);
    number = "guidance.from=0.999";
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    for (int i = 0; i < ITEMS; i++) {
        trained[i] = items[i];
        trained[i].w = 1;
    }
    r.items = trained;
    r.n_numbers = 0;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    assert_int_equal(equal_pictures(want, got), ((1u << ITEMS) - 1) & ~(1u << 1));
    model_free(m);
}

/* Every kind of number gets as far as the solver: another picture than without it, and the same
 * when it says what holds anyway. */
static void test_numbers_of_each_part(void **state)
{
    static const struct {
        const char *sampler, *schedule, *same, *other;
    } rows[] = {
        {"euler_ancestral", "uniform", "sampler.zeta=1", "sampler.zeta=0.5"},
        {"heun", "uniform", "sampler.euler_last=0", "sampler.euler_last=1"},
        {"euler", "karras", "schedule.rho=7", "schedule.rho=3"},
        {"euler", "shift", "schedule.shift=3", "schedule.shift=2"},
        {"euler", "uniform", "guidance.rescale=0", "guidance.rescale=0.7"},
        {"euler", "uniform", "guidance.threshold=0", "guidance.threshold=0.5"},
        {"euler_maruyama", "uniform", "sde.scale=1", "sde.scale=0.5"},
        {"euler_maruyama", "uniform", "sde.last=mean", "sde.last=flow"},
    };
    struct model *m = make_dit();
    struct generate_item item = {2, 3, 7};

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        static float plain[LENGTH], same[LENGTH], other[LENGTH];
        struct generate_request r = {
            .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 2};

        r.settings.sampler = number_of_choice(sampler_choice, rows[k].sampler);
        r.settings.schedule = number_of_choice(schedule_choice, rows[k].schedule);
        r.settings.shift = 3;
        assert_int_equal(generate(plain, &r, NULL, NULL), OK);
        r.n_numbers = 1;
        r.numbers = &rows[k].same;
        assert_int_equal(generate(same, &r, NULL, NULL), OK);
        r.numbers = &rows[k].other;
        assert_int_equal(generate(other, &r, NULL, NULL), OK);
        if (memcmp(plain, same, sizeof plain) || !memcmp(plain, other, sizeof plain))
            fail_msg("%s, or %s", rows[k].same, rows[k].other);
    }
    model_free(m);
}

/* The shift that a request has without saying more. */
static void test_shift(void **state)
{
    static float want[LENGTH], got[LENGTH];
    struct model *m = make_dit();
    struct generate_item item = {2, 3, 7};
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 2};
    const char *number = "schedule.shift=1.5";

    (void)state;
    r.settings.schedule = number_of_choice(schedule_choice, "shift");
    r.settings.shift = 1.5;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    r.settings.shift = 4;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    assert_memory_not_equal(want, got, sizeof want);
    r.numbers = &number;
    r.n_numbers = 1;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    assert_memory_equal(want, got, sizeof want);
    model_free(m);
}

/* A network without a null label can be guided away from a label, not from none. */
static void test_negative_without_none(void **state)
{
    const char *const settings[] = {"size=16", "classes=4", "patch=4",          "width=32",
                                    "heads=2", "depth=2",   "null_class=false", NULL};
    static float out[LENGTH];
    struct model *m = make("dit", settings);
    struct generate_item item = {2, 2, 7};
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 2};
    const char *number = "guidance.negative=3";
    struct error err = {0};

    (void)state;
    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "null label"));
    r.numbers = &number;
    r.n_numbers = 1;
    assert_int_equal(generate(out, &r, NULL, NULL), OK);
    model_free(m);
}

/* Guided away from a label: the picture of that label at w = 0, of its own at w = 1, another than
 * away from none beyond; and no null label is needed. */
static void test_negative(void **state)
{
    static float want[LENGTH], got[LENGTH];
    struct model *m = make_dit();
    struct generate_item item = {2, 1, 7};
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 2};
    const char *number = "guidance.negative=3";

    (void)state;
    item.label = 3;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    item = (struct generate_item){2, 0, 7};
    r.numbers = &number;
    r.n_numbers = 1;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    assert_memory_equal(want, got, sizeof want);

    item.w = 2;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    r.n_numbers = 0;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    assert_memory_not_equal(want, got, sizeof want);

    r.n_numbers = 1;
    number = "guidance.negative=99";
    assert_int_equal(generate(got, &r, NULL, NULL), E_ARG);
    model_free(m);
}

/* In int8 and bf16 too a picture is a function of its own request, and near the one in float32. */
static void test_precisions(void **state)
{
    const char *const settings[] = {"size=16", "classes=4", "patch=2", "width=128",
                                    "depth=2", "heads=2",   NULL};
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH], plain[ITEMS * LENGTH];
    struct model *m = make("dit", settings);
    struct generate_request r = {.model = m, .settings = m->sample, .items = items, .n = ITEMS};

    (void)state;
    draw(plain, m, items, ITEMS, 0, 1, 0);
    for (int p = PRECISION_BF16; p <= PRECISION_INT8; p++) {
        double off = 0;

        r.precision = (enum precision)p;
        r.threads = 1;
        r.batch = 0;
        assert_int_equal(generate(want, &r, NULL, NULL), OK);
        for (int64_t i = 0; i < ITEMS * LENGTH; i++)
            off += pow((double)want[i] - (double)plain[i], 2) / (ITEMS * LENGTH);
        assert_true(off > 0 && 10 * log10(4 / off) > 35);
        for (r.threads = 2; r.threads <= 8; r.threads += 3) {
            r.batch = r.threads / 2;
            assert_int_equal(generate(got, &r, NULL, NULL), OK);
            assert_memory_equal(want, got, sizeof want);
        }
    }
    model_free(m);
}

static void test_unet_pictures(void **state)
{
    (void)state;
    for (int s = 0; sampler_at(s); s++)
        if (!sampler_at(s)->of_variance)
            check_own_request(make_unet(), s);
}

static void test_dit_pictures(void **state)
{
    (void)state;
    for (int s = 0; sampler_at(s); s++)
        if (!sampler_at(s)->of_variance)
            check_own_request(make_dit(), s);
}

/* On a graph of the caller's that packs nothing: the same bits, by the plans that were measured. */
static void test_on_another_graph(void **state)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct model *m = make_unet();
    struct generate_request r = {
        .model = m, .settings = m->sample, .items = items, .n = ITEMS, .batch = 2, .threads = 1};
    struct graph_stats most, one;
    struct generate_beside beside;

    (void)state;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    assert_int_equal(graph_new(&r.graph, 0, 2, NULL), OK);
    assert_int_equal(generate_measure(&most, &beside, &r, NULL), OK);
    assert_true(most.arena_bytes > 0 && most.flops > 0 && beside.solving > 0);
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    assert_memory_equal(want, got, sizeof want);
    assert_int_equal(graph_measure(r.graph, &one, NULL), OK);
    assert_int_equal(one.plans, 2);
    assert_true(one.arena_bytes <= most.arena_bytes);
    graph_free(r.graph);
    model_free(m);
}

/* w = 0 and w = 1 ask the network once a slope, other scales twice. */
static void test_evaluations(void **state)
{
    const double w[] = {0, 1, 2};
    const int64_t want[] = {4, 4, 8};
    static float out[LENGTH];
    struct model *m = make_unet();

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct generate_item item = {1, w[k], 1};
        struct generate_request r = {
            .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 1};
        int64_t evaluations;

        while (strcmp(sampler_at(r.settings.sampler)->is.name, "euler"))
            r.settings.sampler++;
        assert_int_equal(generate(out, &r, &evaluations, NULL), OK);
        assert_int_equal(evaluations, want[k]);
    }
    model_free(m);
}

/* Without a request any scale is the unguided field; the label changes nothing of the noise. */
static void test_null_label(void **state)
{
    const struct generate_item none[] = {{LABELS, 4, 1}, {2, 0, 1}};
    static float out[2 * LENGTH];
    struct model *m = make_unet();

    (void)state;
    draw(out, m, none, 2, 0, 1, 0);
    for (int i = 0; i < LENGTH; i++)
        assert_float_equal(out[i], out[LENGTH + i], 1e-5);
    model_free(m);
}

static void expect(const struct generate_request *r, enum status want, const char *word)
{
    static float out[LENGTH];
    struct error err = {0};

    assert_int_equal(generate(out, r, NULL, &err), want);
    assert_non_null(strstr(err.text, word));
}

static void test_refusals(void **state)
{
    const double bad_times[] = {0, 0.5, 0.4, 1};
    struct model *m = make_unet();
    struct generate_item item = {0, 1, 1};
    const struct generate_request good = {
        .model = m, .settings = m->sample, .items = &item, .n = 1, .threads = 1};
    struct generate_request r = good;

    (void)state;
    item.label = LABELS + 1;
    expect(&r, E_ARG, "label 5");
    item = (struct generate_item){0, -1, 1};
    expect(&r, E_ARG, "-1");
    item.w = (double)NAN;
    expect(&r, E_ARG, "guidance scale");
    item.w = 1;
    r.settings.steps = 0;
    expect(&r, E_ARG, "0 steps");
    r.settings.steps = STEPS_MAX + 1;
    expect(&r, E_ARG, "1001 steps");
    r = good;
    r.times = bad_times;
    r.n_times = 4;
    expect(&r, E_ARG, "0.4");
    model_free(m);
}

static bool stop_at_second(const struct generate_progress *p, void *user)
{
    int *calls = user;

    assert_true(p->done >= 0 && p->done <= 1);
    return p->phase != PHASE_STEPPED || ++*calls < 2;
}

static void test_cancel(void **state)
{
    struct model *m = make_unet();
    int calls = 0;
    struct generate_request r = {.model = m,
                                 .settings = m->sample,
                                 .items = items,
                                 .n = 1,
                                 .threads = 1,
                                 .progress = stop_at_second,
                                 .user = &calls};
    static float out[LENGTH];

    (void)state;
    assert_int_equal(generate(out, &r, NULL, NULL), E_CANCELLED);
    assert_int_equal(calls, 2);
    model_free(m);
}

/* --- model files --------------------------------------------------------------------------------
 */

static void test_model_file(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH], *a, *b;
    char *const names[LABELS] = {(char *)"zero", (char *)"one", (char *)"Two words", (char *)"3"};
    static float want[LENGTH], got[LENGTH];
    struct model *m = make_unet(), *n;
    int32_t label;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "m.safetensors");
    assert_int_equal(model_set_labels(m, names, LABELS, NULL), OK);
    m->step = 77;
    assert_int_equal(model_save(m, path, NULL, NULL), OK);
    assert_int_equal(model_load(&n, path, NULL), OK);
    assert_int_equal(n->step, 77);
    assert_int_equal(model_describe(m, &a, NULL), OK);
    assert_int_equal(model_describe(n, &b, NULL), OK);
    assert_string_equal(a, b);
    draw(want, m, items, 1, 0, 1, 0);
    draw(got, n, items, 1, 0, 1, 0);
    assert_memory_equal(want, got, sizeof want);
    assert_int_equal(model_find_label(n, "two WORDS", &label, NULL), OK);
    assert_int_equal(label, 2);
    assert_int_equal(model_find_label(n, "none", &label, NULL), OK);
    assert_int_equal(label, LABELS);
    assert_int_equal(model_find_label(n, "two world", &label, NULL), E_ARG);
    assert_int_equal(model_find_label(n, "4", &label, NULL), E_ARG);
    free(a);
    free(b);
    model_free(m);
    model_free(n);
    temp_dir_remove(dir);
}

/* The description is checked like typed options: each damage is told, none is built. */
static void test_hostile_description(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"format\": 2}",
        "{\"format\": 1, \"model\": {\"network\": \"unit\"}}",
        "{\"format\": 1, \"model\": {\"network\": \"unet\"}, \"unet\": {\"width\": -5}}",
        "{\"format\": 1, \"model\": {\"network\": \"unet\"}, \"unet\": {\"wydth\": 32}}",
        "{\"format\": 1, \"model\": {\"network\": \"unet\"}, \"unet\": {\"mult\": []}}",
        "{\"format\": 1, \"model\": {\"network\": \"unet\"}, \"unet\": {\"size\": 33}}",
        "{\"format\": 1, \"model\": {\"network\": \"dit\"}, \"dit\": {\"patch\": 5}}",
        "{\"format\": 1, \"model\": {\"network\": \"dit\"}, \"dit\": {\"heads\": 7}}",
        "{\"format\": 1, \"model\": {\"network\": \"dit\"}, \"labels\": [\"one too many\"]}",
        "{\"format\": 1, \"model\": {\"network\": \"dit\"}, \"step\": -1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        struct model *m = NULL;

        assert_int_not_equal(model_from_text(&m, bad[i], "bad", &err), OK);
        assert_null(m);
        assert_true(strlen(err.text) > 5);
    }
}

static void test_foreign_file(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    float x[2] = {1, 2};
    struct save_tensor t = {"x", FILE_F32, 1, {2}, x, NULL};
    struct error err = {0};
    struct model *m;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "other.safetensors");
    assert_int_equal(safetensors_save(path, &t, 1, NULL, 0, NULL), OK);
    assert_int_equal(model_load(&m, path, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "no model of imgen"));
    temp_dir_remove(dir);
}

/* A small file that describes a huge network is refused before anything huge is asked for. */
static void test_huge_description(void **state)
{
    static const char text[] = "{\"format\": 1, \"model\": {\"network\": \"dit\"}, \"dit\": "
                               "{\"size\": 4096, \"patch\": 1, \"width\": 16384, \"depth\": 256, "
                               "\"heads\": 64}}";
    char dir[TEMP_PATH], path[TEMP_PATH];
    float x[2] = {1, 2};
    struct save_tensor t = {"x", FILE_F32, 1, {2}, x, NULL};
    struct save_text meta = {"imgen", text};
    struct error err = {0};
    struct model *m;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "huge.safetensors");
    assert_int_equal(safetensors_save(path, &t, 1, &meta, 1, NULL), OK);
    assert_int_equal(model_load(&m, path, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "holds 2"));
    temp_dir_remove(dir);
}

static void test_sheet(void **state)
{
    const float x[4] = {-1, 1, 0, -3};
    struct sheet s = {1, 2, 1, 2, 1, 1, 2, 9};
    const float broken[4] = {0, NAN, 0, 0};
    struct image im = {0};

    (void)state;
    assert_int_equal(picture_sheet(&im, x, &s, NULL), OK);
    assert_int_equal(im.height, 4);
    assert_int_equal(im.width, 11);
    assert_int_equal(im.pixels[0], 9);
    assert_int_equal(im.pixels[11 + 1], 0);
    assert_int_equal(im.pixels[11 + 3], 255);
    assert_int_equal(im.pixels[2 * 11 + 6], 128);
    assert_int_equal(im.pixels[2 * 11 + 8], 0);
    image_release(&im);
    assert_int_equal(picture_sheet(&im, broken, &s, NULL), E_NOT_FINITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unet_pictures),
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_dit_pictures),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_of_each_part),
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_negative),
        cmocka_unit_test(test_negative_without_none),
        cmocka_unit_test(test_evaluations),
        cmocka_unit_test(test_null_label),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_model_file),
        cmocka_unit_test(test_hostile_description),
        cmocka_unit_test(test_foreign_file),
        cmocka_unit_test(test_huge_description),
        cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_on_another_graph),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
