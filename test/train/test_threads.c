/*
 * test_threads.c - losses, parameters and pictures do not know how many threads made them
 *
 * Whole runs of both architectures, large enough that every product, convolution, norm, reduction
 * and the optimizer is cut into more tiles than there are threads, compared bit for bit at 1, 2, 3,
 * 4 and 8 threads: the log's losses and gradient norms, then every tensor of the checkpoint
 * (weights, averages, both moments), then the numbers of guided pictures drawn with the averages.
 * Three threads divide nothing evenly; eight are more than most machines of a test have.
 */
#include "pipeline/generate.h"
#include "train/trainer.h"

#include "support/runs.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 4, LINE = 256, SIDE = 16, PICTURES = 3 };
static const int counts[] = {1, 2, 3, 4, 8};

static const char common[] = "[data]\nformat = shapes\nsize = 16\n"
                             "[train]\nsteps = 4\nbatch = 16\nwarmup = 0\nweight_decay = 0.01\n"
                             "log_every = 1\nsample_every = 0\n";
static const char unet[] =
    "[model]\nnetwork = unet\n"
    "[unet]\nwidth = 32\nmult = 1,2\nblocks = 1\nattention = 2\ngroups = 8\n";
static const char dit[] = "[model]\nnetwork = dit\n"
                          "[dit]\npatch = 2\nwidth = 64\ndepth = 2\nheads = 2\n";
/* With what the modern variant has instead: other norms, gates and positions. */
static const char modern[] = "[model]\nnetwork = dit\n"
                             "[dit]\npatch = 2\nwidth = 64\ndepth = 2\nheads = 2\nrmsnorm = true\n"
                             "swiglu = true\nrope = true\nqk_norm = true\nno_shift = true\n";

static void train(const char *network, const char *folder, int threads)
{
    char text[1024], out[TEMP_PATH + 16];
    const char *const settings[] = {out, NULL};

    snprintf(text, sizeof text, "%s%s", common, network);
    snprintf(out, sizeof out, "train.out=%s", folder);
    assert_int_equal(run_text((struct train_request){.threads = threads}, text, settings, NULL),
                     OK);
}

/* Step, loss and gradient norm of every line; what follows are seconds. */
static void read_log(const char *folder, char lines[STEPS][LINE])
{
    char path[TEMP_PATH], line[LINE], *end = line;
    FILE *f = fopen(temp_path(path, folder, "log.csv"), "r");

    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    for (int i = 0; i < STEPS; i++) {
        assert_non_null(fgets(line, sizeof line, f));
        end = line;
        for (int k = 0; k < 3; k++)
            end = strchr(end, ',') + 1;
        *end = 0;
        memcpy(lines[i], line, sizeof line);
    }
    fclose(f);
}

static void draw(float *out, const char *folder, int threads)
{
    const struct generate_item items[PICTURES] = {{0, 3, 1}, {1, 0, 2}, {2, 1, 3}};
    struct generate_request r = {.items = items, .n = PICTURES, .threads = threads};
    char path[TEMP_PATH];
    struct model *m;

    assert_int_equal(model_load(&m, temp_path(path, folder, "model.safetensors"), NULL), OK);
    r.model = m;
    r.settings = m->sample;
    r.settings.steps = 2;
    assert_int_equal(generate(out, &r, NULL, NULL), OK);
    model_free(m);
}

static void check(const char *network)
{
    static float want[PICTURES * SIDE * SIDE * 3], got[PICTURES * SIDE * SIDE * 3];
    static char first[STEPS][LINE], lines[STEPS][LINE];
    char one[TEMP_PATH], other[TEMP_PATH];

    temp_dir_new(one);
    train(network, one, counts[0]);
    read_log(one, first);
    assert_string_not_equal(strchr(first[0], ','), strchr(first[STEPS - 1], ','));
    draw(want, one, counts[0]);
    for (size_t k = 1; k < sizeof counts / sizeof *counts; k++) {
        temp_dir_new(other);
        train(network, other, counts[k]);
        read_log(other, lines);
        for (int i = 0; i < STEPS; i++)
            assert_string_equal(first[i], lines[i]);
        assert_same_runs(one, other);
        draw(got, one, counts[k]);
        assert_memory_equal(want, got, sizeof want);
        temp_dir_remove(other);
    }
    temp_dir_remove(one);
}

static void test_unet(void **state)
{
    (void)state;
    check(unet);
}

static void test_dit(void **state)
{
    (void)state;
    check(dit);
}

static void test_modern_dit(void **state)
{
    (void)state;
    check(modern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unet),
        cmocka_unit_test(test_dit),
        cmocka_unit_test(test_modern_dit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
