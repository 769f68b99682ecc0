/*
 * test_recipe.c - pictures made of pictures, and what pictures tell of how they were made
 *
 * Only imgen.h is used, but to write a model and texts into files.
 */
#include "imgen.h"

#include "io/image.h"
#include "support/models.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, PIXELS = SIDE * SIDE, LENGTH = PIXELS * 3, ITEMS = 2 };

static const char about[] =
    "\"labels\":[\"cat\",\"dog\"],\"path\":{},\"sample\":{\"steps\":8},"
    "\"model\":{\"network\":\"dit\"},\"dit\":{\"size\":16,\"classes\":2,\"patch\":4,"
    "\"width\":16,\"depth\":1,\"heads\":2}";

static const struct imgen_item items[ITEMS] = {{0, 1, 7}, {1, 2, 18446744073709551615u}};

static char folder[TEMP_PATH], model_path[TEMP_PATH], path[TEMP_PATH];
static struct imgen_model *model;
static uint8_t init_pixels[LENGTH], mask_pixels[PIXELS];
static const struct imgen_image init = {SIDE, SIDE, 3, init_pixels};
static const struct imgen_image mask = {SIDE, SIDE, 1, mask_pixels};

static struct imgen_request request_of(const struct imgen_image *of,
                                       const struct imgen_image *where)
{
    struct imgen_request r;

    imgen_request_init(&r, model);
    r.items = items;
    r.n_items = ITEMS;
    r.threads = 2;
    r.init = of;
    r.mask = where;
    return r;
}

static void sample(uint8_t *out, const struct imgen_request *r)
{
    struct imgen_error err;

    if (imgen_sample(model, r, out, &err))
        fail_msg("%s", err.text);
}

static void refuse(const struct imgen_request *r, const char *word)
{
    static uint8_t out[ITEMS * LENGTH];
    struct imgen_error err;

    assert_int_equal(imgen_sample(model, r, out, &err), IMGEN_E_ARG);
    assert_says(err.text, word);
}

/* ---- Pictures of pictures ---- */

static void levels_come_back(void **state)
{
    static uint8_t got[ITEMS * LENGTH], plain[ITEMS * LENGTH];
    struct imgen_request r = request_of(&init, NULL);

    (void)state;
    assert_true(r.strength == 0.75);
    r.strength = 0;
    sample(got, &r);
    for (int i = 0; i < ITEMS; i++)
        assert_memory_equal(got + i * LENGTH, init_pixels, LENGTH);
    r.strength = 1;
    sample(got, &r);
    r.init = NULL;
    sample(plain, &r);
    assert_memory_equal(got, plain, sizeof got);
    r.init = &init;
    r.mask = &mask;
    sample(got, &r);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        if (!mask_pixels[i % LENGTH / 3])
            assert_int_equal(got[i], init_pixels[i % LENGTH]);
    assert_memory_not_equal(got, init_pixels, LENGTH);
}

/* Twice as large, every pixel four times: the same picture, but for the filter at edges. */
static void any_size_and_kind_is_taken(void **state)
{
    static uint8_t large[4 * PIXELS * 4], got[ITEMS * LENGTH], level[PIXELS * 2];
    struct imgen_image im = {2 * SIDE, 2 * SIDE, 4, large};
    struct imgen_request r = request_of(&im, NULL);

    (void)state;
    r.strength = 0;
    for (int i = 0; i < 4 * PIXELS; i++) { /* red on the left, nothing on the right */
        const uint8_t red[4] = {200, 10, 20, 255}, none[4] = {0, 0, 0, 0};

        memcpy(large + 4 * i, i % (2 * SIDE) < SIDE ? red : none, 4);
    }
    sample(got, &r);
    for (int i = 0; i < PIXELS; i++) {
        int x = i % SIDE;

        if (x < SIDE / 2 - 2)
            assert_true(got[3 * i] == 200 && got[3 * i + 1] == 10 && got[3 * i + 2] == 20);
        if (x > SIDE / 2 + 2)
            assert_true(got[3 * i] == 255 && got[3 * i + 1] == 255 && got[3 * i + 2] == 255);
    }
    im = (struct imgen_image){SIDE, SIDE, 2, level};
    for (int i = 0; i < PIXELS; i++) {
        level[2 * i] = (uint8_t)(i % 200);
        level[2 * i + 1] = 255;
    }
    sample(got, &r);
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(got[i], i / 3 % 200);
}

/* In colour, or painted on a transparent layer: the same mask. */
static void masks_of_every_kind(void **state)
{
    static uint8_t want[ITEMS * LENGTH], got[ITEMS * LENGTH], colour[LENGTH], layer[PIXELS * 4];
    struct imgen_image im = {SIDE, SIDE, 3, colour};
    struct imgen_request r = request_of(&init, &mask);

    (void)state;
    sample(want, &r);
    for (int i = 0; i < PIXELS; i++) {
        memset(colour + 3 * i, mask_pixels[i], 3);
        memset(layer + 4 * i, 255, 3);
        layer[4 * i + 3] = mask_pixels[i];
    }
    r.mask = &im;
    sample(got, &r);
    assert_memory_equal(want, got, sizeof want);
    im = (struct imgen_image){SIDE, SIDE, 4, layer};
    sample(got, &r);
    assert_memory_equal(want, got, sizeof want);
}

static void what_does_not_fit_is_refused(void **state)
{
    static uint8_t other[4 * PIXELS];
    struct imgen_image im = {SIDE, SIDE - 1, 1, other};
    struct imgen_request r = request_of(&init, &im);

    (void)state;
    refuse(&r, "the mask is 15 x 16 pixels, and its picture 16 x 16");
    im.width = 2 * SIDE;
    im.height = 2 * SIDE;
    refuse(&r, "32 x 32");
    r.init = NULL;
    refuse(&r, "without the picture");
    r = request_of(&im, NULL);
    im.channels = 5;
    refuse(&r, "5 channels");
    im = (struct imgen_image){0, SIDE, 3, other};
    refuse(&r, "16 x 0 pixels");
    r = request_of(&init, NULL);
    r.strength = (double)NAN;
    refuse(&r, "strength");
    r.strength = 1.5;
    refuse(&r, "1.5 is outside");
    r.strength = 1;
    r.sampler = "dopri5";
    refuse(&r, "chooses its own steps");
}

/* ---- Recipes ---- */

static void write_picture(const struct imgen_recipe *recipe)
{
    struct imgen_error err;

    if (imgen_picture_write(path, &init, recipe, &err))
        fail_msg("%s", err.text);
}

static void line_says(const char *word)
{
    char *text;

    assert_int_equal(png_read_text(&text, path, "parameters", NULL), OK);
    assert_says(text, word);
    free(text);
}

static void a_recipe_names_its_pictures(void **state)
{
    struct imgen_request r = request_of(&init, &mask);
    struct imgen_recipe made, read, other;

    (void)state;
    r.init_name = "some/where/cat.png";
    r.mask_name = "ears.png";
    r.strength = 0.625;
    assert_int_equal(imgen_recipe_make(&made, model, &r, 1, NULL), IMGEN_OK);
    write_picture(&made);
    assert_int_equal(imgen_recipe_read(&read, path, NULL), IMGEN_OK);
    assert_memory_equal(&read, &made, sizeof read);
    assert_string_equal(read.init, "cat.png");
    assert_string_equal(read.mask, "ears.png");
    assert_true(read.strength == 0.625 && read.width == SIDE && read.height == SIDE);
    assert_true(strlen(read.init_hash) == 64 && strlen(read.mask_hash) == 64);
    line_says("Denoising strength: 0.625, Init image hash: ");
    line_says(", Mask blur: 0, ");

    init_pixels[5] ^= 1; /* the content counts ... */
    assert_int_equal(imgen_recipe_make(&other, model, &r, 1, NULL), IMGEN_OK);
    assert_string_not_equal(other.init_hash, made.init_hash);
    assert_string_equal(other.mask_hash, made.mask_hash);
    init_pixels[5] ^= 1;
    r.init = &(struct imgen_image){2 * SIDE, SIDE / 2, 3, init_pixels}; /* ... and the size */
    assert_int_equal(imgen_recipe_make(&other, model, &r, 1, NULL), IMGEN_OK);
    assert_string_not_equal(other.init_hash, made.init_hash);

    r = request_of(NULL, NULL);
    assert_int_equal(imgen_recipe_make(&other, model, &r, 1, NULL), IMGEN_OK);
    assert_true(!*other.init && !*other.init_hash && !*other.mask_hash && other.strength == 0);
}

static void a_negative_prompt_has_its_own_place(void **state)
{
    static char number[IMGEN_PROMPT + 64];
    const char *numbers[] = {"guidance.kind=apg", " guidance.negative =  dog", "guidance.to=0.8"};
    struct imgen_request r = request_of(NULL, NULL);
    struct imgen_recipe made, read;
    struct imgen_error err;

    (void)state;
    r.numbers = numbers;
    r.n_numbers = 3;
    assert_int_equal(imgen_recipe_make(&made, model, &r, 0, NULL), IMGEN_OK);
    assert_string_equal(made.negative, "dog");
    assert_int_equal(made.n_numbers, 2);
    assert_string_equal(made.numbers[1], "guidance.to=0.8");
    write_picture(&made);
    line_says("cat\nNegative prompt: dog\nSteps: 8, Sampler: ");
    assert_int_equal(imgen_recipe_read(&read, path, NULL), IMGEN_OK);
    assert_memory_equal(&read, &made, sizeof read);

    numbers[1] = number;
    snprintf(number, sizeof number, "guidance.negative=%0*d", IMGEN_PROMPT - 1, 5);
    assert_int_equal(imgen_recipe_make(&made, model, &r, 0, NULL), IMGEN_OK);
    write_picture(&made);
    assert_int_equal(imgen_recipe_read(&read, path, NULL), IMGEN_OK);
    assert_memory_equal(&read, &made, sizeof read);
    snprintf(number, sizeof number, "guidance.negative=%0*d", IMGEN_PROMPT, 5);
    assert_int_equal(imgen_recipe_make(&made, model, &r, 0, &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "guidance.negative: 8192 letters"));
}

/* As pictures of earlier versions have it: among the numbers. */
static void older_recipes_are_read(void **state)
{
    const struct image im = {SIDE, SIDE, 3, init_pixels};
    const struct image_text text = {
        "imgen", "{\"model\":\"m\",\"times\":[],\"numbers\":[\"guidance.negative=dog\"]}"};
    struct imgen_recipe read;

    (void)state;
    assert_int_equal(image_write(path, &im, &text, 1, NULL), OK);
    assert_int_equal(imgen_recipe_read(&read, path, NULL), IMGEN_OK);
    assert_string_equal(read.negative, "dog");
    assert_true(read.n_numbers == 0 && read.steps == 1 && !read.init_hash[0] && !read.foreign);
}

/* ---- Of other programs ---- */

static enum imgen_status read_foreign(struct imgen_recipe *out, const char *text,
                                      struct imgen_error *err)
{
    const struct image im = {SIDE, SIDE, 3, init_pixels};
    const struct image_text of = {"parameters", text};

    assert_int_equal(image_write(path, &im, &of, 1, NULL), OK);
    return imgen_recipe_read(out, path, err);
}

static void parameters_of_others_are_read(void **state)
{
    struct imgen_recipe r;

    (void)state;
    assert_int_equal(
        read_foreign(&r,
                     "a cat,\non a roof\nNegative prompt: dog\nSteps: 28, Sampler: DPM++ 2M SDE, "
                     "Schedule type: Karras, CFG scale: 4.5, Seed: 18446744073709551615, Size: "
                     "512x768, Model hash: 0123456789, Model: sd3, Denoising strength: 0.6, "
                     "RNG: CPU, Version: v1.10.1",
                     NULL),
        IMGEN_OK);
    assert_true(r.foreign && r.steps == 28 && r.item.cfg_scale == 4.5 && r.strength == 0.6);
    assert_true(r.item.seed == 18446744073709551615u && r.width == 512 && r.height == 768);
    assert_string_equal(r.label, "a cat,\non a roof");
    assert_string_equal(r.negative, "dog");
    assert_string_equal(r.sampler, "dpmpp_2m_sde");
    assert_string_equal(r.schedule, "karras");
    assert_string_equal(r.model, "sd3");
    assert_string_equal(r.hash, "");
    assert_string_equal(r.rng, "torch-cpu");
    assert_string_equal(r.precision, "");
}

/* As stable-diffusion.cpp has it: a list with commas that nobody quoted; and as it is written here.
 */
static void layers_left_out_are_named(void **state)
{
    static const char *const numbers[] = {"guidance.skip=2.5", "guidance.skip_layers=1,2"};
    struct imgen_request r = request_of(NULL, NULL);
    struct imgen_recipe made, read;

    (void)state;
    r.numbers = numbers;
    r.n_numbers = 2;
    assert_int_equal(imgen_recipe_make(&made, model, &r, 1, NULL), IMGEN_OK);
    write_picture(&made);
    line_says(", SLG scale: 2.5, Skip layers: \"[1,2]\", Skip layer start: 0.01, Skip layer end: "
              "0.2, Version");
    assert_int_equal(
        read_foreign(&read,
                     "a cat\nSteps: 28, Seed: 3, SLG scale: 2.5, Skip layers: [7, 8, 10, ], Skip "
                     "layer start: 0.05, Skip layer end: 0.25, Size: 512x768",
                     NULL),
        IMGEN_OK);
    assert_true(read.n_numbers == 4 && read.width == 512);
    assert_string_equal(read.numbers[0], "guidance.skip=2.5");
    assert_string_equal(read.numbers[1], "guidance.skip_layers=7,8,10");
    assert_string_equal(read.numbers[2], "guidance.skip_start=0.05");
    assert_string_equal(read.numbers[3], "guidance.skip_stop=0.25");
}

static void names_of_samplers_mean_ours(void **state)
{
    static const struct {
        const char *theirs, *sampler, *schedule;
    } rows[] = {
        {"Euler", "euler", ""},
        {"Euler a", "euler_ancestral", ""},
        {"euler_a", "euler_ancestral", ""},
        {"Heun", "heun", ""},
        {"DDIM", "ddim", ""},
        {"UniPC", "unipc", ""},
        {"DPM++ 2M", "dpmpp_2m", ""},
        {"dpm++2m", "dpmpp_2m", ""},
        {"DPM++ 2M SDE", "dpmpp_2m_sde", ""},
        {"DPM++ 2M Karras", "dpmpp_2m", "karras"},
        {"DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential"},
        {"DPM fast", "DPM fast", ""},
        {"DPM++ 2M v2", "DPM++ 2M v2", ""},
        {"Euler, Schedule type: Automatic", "euler", ""},
        {"Euler, Schedule type: Beta", "euler", "beta"},
        {"Euler, Schedule type: Align Your Steps", "euler", "Align Your Steps"},
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct imgen_recipe r;

        snprintf(text, sizeof text, "Steps: 2, Seed: 1, Sampler: %s", rows[i].theirs);
        assert_int_equal(read_foreign(&r, text, NULL), IMGEN_OK);
        if (strcmp(r.sampler, rows[i].sampler) != 0 || strcmp(r.schedule, rows[i].schedule) != 0)
            fail_msg("%s became %s, %s", rows[i].theirs, r.sampler, r.schedule);
    }
}

/* Every name that is written is read as what it was. */
static void names_come_back(void **state)
{
    struct imgen_request r = request_of(NULL, NULL);
    struct imgen_recipe made, read;
    struct imgen_choice c;
    char *text;

    (void)state;
    for (int i = 0; imgen_list(IMGEN_SAMPLERS, i, &c); i++) {
        r.sampler = c.name;
        assert_int_equal(imgen_recipe_make(&made, model, &r, 0, NULL), IMGEN_OK);
        write_picture(&made);
        assert_int_equal(png_read_text(&text, path, "parameters", NULL), OK);
        assert_int_equal(read_foreign(&read, text, NULL), IMGEN_OK);
        assert_string_equal(read.sampler, c.name);
        assert_string_equal(read.label, "cat");
        assert_true(read.steps == 8 && read.item.seed == 7 && read.item.cfg_scale == 1);
        free(text);
    }
    for (int i = 0; imgen_list(IMGEN_SCHEDULES, i, &c); i++) {
        r.schedule = c.name;
        assert_int_equal(imgen_recipe_make(&made, model, &r, 0, NULL), IMGEN_OK);
        write_picture(&made);
        assert_int_equal(png_read_text(&text, path, "parameters", NULL), OK);
        assert_int_equal(read_foreign(&read, text, NULL), IMGEN_OK);
        assert_string_equal(read.schedule, c.name);
        free(text);
    }
}

static void what_says_too_little_is_refused(void **state)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"a cat", "Steps"},
        {"Steps: 20", "no 'Seed'"},
        {"Steps: 0, Seed: 1", "Steps: 0"},
        {"Steps: 1001, Seed: 1", "Steps: 1001"},
        {"Steps: many, Seed: 1", "Steps: many"},
        {"Steps: 2, Seed: -1", "Seed: -1"},
        {"Steps: 2, Seed: 1, CFG scale: x", "CFG scale: x"},
        {"Steps: 2, Seed: 1, CFG scale: -1", "CFG scale: -1"},
        {"Steps: 2, Seed: 1, Size: 512", "Size: 512"},
        {"Steps: 2, Seed: 1, SLG scale: much", "SLG scale: much"},
        {"Steps: 2, Seed: 1, Size: 0x512", "Size: 0x512"},
        {"Steps: 2, Seed: 1, Size: 512x99999999999", "Size: 512x"},
        {"Steps: 2, Seed: 1, Denoising strength: 2", "Denoising strength: 2"},
        {"Steps: 2, Seed: 1, Model: \"x", "no end"},
        {"Steps: 2, Seed: 1, Sampler: 0123456789012345678901234567890123456789012345678",
         "Sampler: 49 letters"},
    };
    struct imgen_recipe r;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct imgen_error err;

        assert_int_equal(read_foreign(&r, rows[i].text, &err), IMGEN_E_FORMAT);
        if (!strstr(err.text, rows[i].word) || !strstr(err.text, "a.png"))
            fail_msg("'%s' does not say '%s'", err.text, rows[i].word);
    }
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    temp_path(path, folder, "a.png");
    temp_path(model_path, folder, "model.safetensors");
    model_save_random(model_path, about, 1);
    for (int i = 0; i < LENGTH; i++)
        init_pixels[i] = (uint8_t)(i * 7 + i / 48);
    for (int i = 0; i < PIXELS; i++)
        mask_pixels[i] = i % SIDE < SIDE / 2 ? 255 : 0;
    return imgen_model_open(&model, model_path, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    imgen_model_close(model);
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_come_back),
        cmocka_unit_test(any_size_and_kind_is_taken),
        cmocka_unit_test(masks_of_every_kind),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_recipe_names_its_pictures),
        cmocka_unit_test(a_negative_prompt_has_its_own_place),
        cmocka_unit_test(older_recipes_are_read),
        cmocka_unit_test(parameters_of_others_are_read),
        cmocka_unit_test(layers_left_out_are_named),
        cmocka_unit_test(names_of_samplers_mean_ours),
        cmocka_unit_test(names_come_back),
        cmocka_unit_test(what_says_too_little_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
