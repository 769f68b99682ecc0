/*
 * test_parity.c - networks, operators and training against published implementations
 *
 * The fixtures under test/golden are compared by the checkers of the parity program, the very code
 * that runs over folders nobody has seen.  A checker that never fails proves nothing, so the
 * second half damages fixtures on purpose (a changed number, a file cut short, a part missing, a
 * shape that cannot be) and demands that the report says so.
 */
#include "parity/parity.h"
#include "support/temp.h"

#include "base/file.h"
#include "io/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct parity_options two_threads = {.threads = 2};

/* Run over one path; the counts. */
static struct parity_counts run(const char *path, bool print_failures)
{
    struct parity_report report = {0};
    struct parity_counts counts;
    struct error err = {0};

    if (parity_run(&report, &path, 1, &two_threads, &err))
        fail_msg("%s", err.text);
    counts = report_count(&report);
    if (print_failures && counts.failed > 0)
        report_print(&report, false, stderr);
    report_release(&report);
    return counts;
}

static void test_golden(void **state)
{
    struct parity_counts c = run(GOLDEN_DIR "/arch", true);

    (void)state;
    assert_int_equal(c.failed, 0);
    assert_int_equal(c.skipped, 0);
    assert_true(c.fixtures >= 24);
    assert_true(c.passed >= 1880);
}

/* Folders that one checker wants whole. */
static void test_files(void **state)
{
    struct parity_counts c = run(GOLDEN_DIR "/gguf", true);

    (void)state;
    assert_int_equal(c.failed, 0);
    assert_int_equal(c.skipped, 0);
    assert_int_equal(c.fixtures, 1);
    assert_int_equal(c.passed, 35);
    c = run(GOLDEN_DIR "/safetensors-cases", true);
    assert_int_equal(c.failed, 0);
    assert_int_equal(c.fixtures, 1);
    assert_int_equal(c.passed, 38);
}

/* Grids, tiles and losses of videos; three grids are of a reading that the library has not. */
static void test_movie(void **state)
{
    struct parity_counts c = run(GOLDEN_DIR "/movie-gen", true);

    (void)state;
    assert_int_equal(c.failed, 0);
    assert_int_equal(c.skipped, 3);
    assert_int_equal(c.passed, 160);
}

/* A manifest that takes what is refused, and refuses what is taken. */
static void test_wrong_manifest(void **state)
{
    static const char manifest[] = "[{\"file\": \"valid/a.safetensors\", \"valid\": false},"
                                   " {\"file\": \"invalid/b.safetensors\", \"valid\": true}]";
    static const char empty[] = "\x02\0\0\0\0\0\0\0{}";
    char dir[TEMP_PATH], path[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(mkdir(temp_path(path, dir, "valid"), 0777), 0);
    assert_int_equal(mkdir(temp_path(path, dir, "invalid"), 0777), 0);
    assert_int_equal(
        file_write(temp_path(path, dir, "manifest.json"), manifest, sizeof manifest - 1, NULL), OK);
    assert_int_equal(file_write(temp_path(path, dir, "valid/a.safetensors"), empty, 10, NULL), OK);
    assert_int_equal(file_write(temp_path(path, dir, "invalid/b.safetensors"), empty, 9, NULL), OK);
    assert_int_equal(run(dir, false).failed, 2);
    temp_dir_remove(dir);
}

/* What else lies there, test/text/test_golden.c compares. */
static void test_golden_sd3(void **state)
{
    static const char *const folders[] = {"mmdit-tiny", "mmditx-tiny", "clip-l-tiny", "clip-g-tiny",
                                          "t5-tiny"};
    int64_t passed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[512];
        struct parity_counts c;

        snprintf(path, sizeof path, "%s/sd3/%s", GOLDEN_DIR, folders[i]);
        c = run(path, true);
        assert_int_equal(c.failed, 0);
        assert_int_equal(c.skipped, 0);
        assert_int_equal(c.fixtures, 1);
        passed += c.passed;
    }
    assert_true(passed >= 265);
}

/* All fixtures of what exists here, where the larger collection stands beside the project. */
static void test_shared(void **state)
{
    static const char *const folders[] = {
        SHARED_DIR "/fixtures/arch/ops",
        SHARED_DIR "/fixtures/arch/dit",
        SHARED_DIR "/fixtures/arch/dit_text",
        SHARED_DIR "/fixtures/arch/unet_adm",
        SHARED_DIR "/fixtures/arch/unet_sd",
        SHARED_DIR "/fixtures/arch/classifier",
        SHARED_DIR "/fixtures/arch/train",
        SHARED_DIR "/fixtures/arch/samplers",
        SHARED_DIR "/fixtures/arch/vae",
        SHARED_DIR "/fixtures/theory",
        SHARED_DIR "/fixtures/sd3/vae4-tiny",
        SHARED_DIR "/fixtures/sd3/vae16-tiny",
        SHARED_DIR "/fixtures/sd3/vae16-g32-bf16",
        SHARED_DIR "/fixtures/sd3/mmdit-tiny",
        SHARED_DIR "/fixtures/sd3/mmdit-tiny-qknorm",
        SHARED_DIR "/fixtures/sd3/mmditx-tiny",
        SHARED_DIR "/fixtures/sd3/mmdit-sharded-f16",
        SHARED_DIR "/fixtures/sd3/clip-l-tiny",
        SHARED_DIR "/fixtures/sd3/clip-g-tiny",
        SHARED_DIR "/fixtures/sd3/t5-tiny",
        SHARED_DIR "/fixtures/sd3/pipeline-tiny",
        SHARED_DIR "/fixtures/sd3/gguf",
        SHARED_DIR "/fixtures/sd3/safetensors-cases",
    };
    struct stat s;

    (void)state;
    if (stat(folders[0], &s)) {
        print_message("no fixtures at %s\n", folders[0]);
        skip();
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        struct parity_counts c = run(folders[i], true);

        assert_int_equal(c.failed, 0);
        assert_int_equal(c.skipped, 0);
        assert_true(c.passed > 0);
    }
}

/* --- the comparison itself
 * ------------------------------------------------------------------------ */

static void test_limits(void **state)
{
    static const float want[3] = {100, 1, 0};
    const float near[3] = {100, 1.001f, 0}, none[3] = {100, 1, NAN}, all[3] = {100, INFINITY, 0};
    struct parity_report r = {0};

    (void)state;
    report_fixture(&r, "x");
    assert_true(
        parity_compare_f32(&r, "max", near, want, 3, (struct parity_limit){.of_max = 2e-5}));
    assert_false(
        parity_compare_f32(&r, "max", near, want, 3, (struct parity_limit){.of_max = 5e-6}));
    assert_true(
        parity_compare_f32(&r, "each", near, want, 3, (struct parity_limit){.of_each = 2e-3}));
    assert_false(
        parity_compare_f32(&r, "each", near, want, 3, (struct parity_limit){.of_each = 5e-4}));
    assert_true(
        parity_compare_f32(&r, "flat", near, want, 3, (struct parity_limit){.absolute = 2e-3}));
    assert_true(parity_compare_f32(&r, "exact", want, want, 3, (struct parity_limit){0}));
    assert_false(parity_compare_f32(&r, "exact", near, want, 3, (struct parity_limit){0}));
    assert_false(parity_compare_f32(&r, "nan", none, want, 3, (struct parity_limit){.of_max = 9}));
    assert_false(parity_compare_f32(&r, "inf", all, want, 3, (struct parity_limit){.of_max = 9}));
    assert_true(parity_compare_f32(&r, "inf", all, all, 3, (struct parity_limit){.of_max = 9}));
    assert_false(parity_claim(&r, "claim", false, "%d", 1));
    parity_skip(&r, "skip", "%d", 2);
    assert_int_equal(report_count(&r).passed, 5);
    assert_int_equal(report_count(&r).failed, 6);
    assert_int_equal(report_count(&r).skipped, 1);
    assert_int_equal(report_count(&r).fixtures, 1);
    report_release(&r);
}

/* The worst element is the one nearest to its own limit, in units of the limit. */
static void test_worst(void **state)
{
    const double got[2] = {1.5, 100.2}, want[2] = {1, 100};
    struct parity_report r = {0};

    (void)state;
    parity_compare_f64(&r, "each", got, want, 2, (struct parity_limit){.of_each = 1});
    assert_true(fabs(r.entries[0].worst - 0.5) < 1e-12);
    assert_true(r.entries[0].verdict == PARITY_PASS);
    report_release(&r);
}

/* --- damaged fixtures
 * ------------------------------------------------------------------------------ */

/* Copy a golden file of the folder `of` into dir: all but `cut` bytes, with the byte `flip` from
 * its end changed in its highest bit (0: none; 1: the sign of the last number). */
static void copy_of(const char *of, const char *dir, const char *leaf, uint64_t cut, uint64_t flip)
{
    char from[TEMP_PATH], to[TEMP_PATH];
    uint8_t *bytes = NULL;
    struct error err = {0};
    uint64_t n;

    snprintf(from, sizeof(from), "%s/%s/%s", GOLDEN_DIR, of, leaf);
    assert_int_equal(file_read(&bytes, &n, from, 1 << 24, &err), OK);
    assert_true(cut < n && flip < n);
    if (flip > 0)
        bytes[n - flip] ^= 0x80;
    assert_int_equal(file_write(temp_path(to, dir, strrchr(leaf, '/') + 1), bytes, n - cut, &err),
                     OK);
    free(bytes);
}

static void copy(const char *dir, const char *leaf, uint64_t cut, uint64_t flip)
{
    copy_of("arch", dir, leaf, cut, flip);
}

/* A published folder, one of whose files has a changed number: what the folder says of results, of
 * gradients, of a whole run of training, of a layer inside. */
static void test_changed_folder(void **state)
{
    static const char *const whole[] = {"config", "io", "model", "grads", "train", "train_final"};
    static const char *const folders[] = {"mmditx-tiny", "clip-g-tiny", "t5-tiny"};

    (void)state;
    for (size_t f = 0; f < sizeof(folders) / sizeof(folders[0]); f++) {
        size_t files = f == 0 ? 6 : 3;

        for (size_t flip = 1; flip < files; flip++) {
            char dir[TEMP_PATH], leaf[64];

            temp_dir_new(dir);
            for (size_t k = 0; k < files; k++) {
                snprintf(leaf, sizeof(leaf), "%s/%s.%s", folders[f], whole[k],
                         k ? "safetensors" : "json");
                copy_of("sd3", dir, leaf, 0, k == flip ? 1 : 0);
            }
            assert_true(run(dir, false).failed > 0);
            temp_dir_remove(dir);
        }
    }
}

static void test_changed_gradient(void **state)
{
    char dir[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    copy(dir, "dit/dit_modern_noshift.data.safetensors", 0, 0);
    copy(dir, "dit/dit_modern_noshift.weights.safetensors", 0, 0);
    copy(dir, "dit/dit_modern_noshift.grads.safetensors", 0, 1);
    assert_int_equal(run(dir, false).failed, 1);
    temp_dir_remove(dir);
}

static void test_changed_trajectory(void **state)
{
    char dir[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    copy(dir, "train/train_flow.data.safetensors", 0, 0);
    copy(dir, "train/train_flow.init.safetensors", 0, 0);
    copy(dir, "train/train_flow.final.safetensors", 0, 1);
    assert_int_equal(run(dir, false).failed, 1);
    temp_dir_remove(dir);
}

static void test_cut_short(void **state)
{
    char dir[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    copy(dir, "ops/linear.safetensors", 4, 0);
    copy(dir, "ops/loss.safetensors", 0, 0);
    assert_int_equal(run(dir, false).failed, 1);
    assert_true(run(dir, false).passed > 0);
    temp_dir_remove(dir);
}

static void test_missing_part(void **state)
{
    char dir[TEMP_PATH];
    struct parity_counts c;

    (void)state;
    temp_dir_new(dir);
    copy(dir, "unet_adm/adm_neworder.data.safetensors", 0, 0);
    copy(dir, "unet_adm/adm_neworder.grads.safetensors", 0, 0);
    c = run(dir, false);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.passed, 0);
    temp_dir_remove(dir);
}

/* A file of two matrices that says of itself what `kind` and `cases` say. */
static void matrices_write(const char *dir, const char *kind, const char *cases, int64_t inner)
{
    static const float zeros[64];
    char path[TEMP_PATH];
    struct save_tensor tensors[] = {
        {"a.in.x", FILE_F32, 2, {2, 3}, zeros, NULL},
        {"a.in.weight", FILE_F32, 2, {5, inner}, zeros, NULL},
        {"a.out", FILE_F32, 2, {2, 5}, zeros, NULL},
        {"a.cot", FILE_F32, 2, {2, 5}, zeros, NULL},
    };
    struct save_text texts[] = {{"kind", kind}, {"cases", cases}};
    struct error err = {0};

    assert_int_equal(
        safetensors_save(temp_path(path, dir, "made.safetensors"), tensors, 4, texts, 2, &err), OK);
}

static void test_impossible_shapes(void **state)
{
    static const char cases[] = "{\"a\": {\"op\": \"linear\"}}";
    char dir[TEMP_PATH];

    (void)state;
    temp_dir_new(dir);
    matrices_write(dir, "ops", cases, 3);
    assert_int_equal(run(dir, false).failed, 0);
    assert_true(run(dir, false).passed > 0);
    matrices_write(dir, "ops", cases, 4);
    assert_int_equal(run(dir, false).failed, 1);
    matrices_write(dir, "ops", "{\"a\": ", 3);
    assert_int_equal(run(dir, false).failed, 1);
    temp_dir_remove(dir);
}

/* What this version does not know is neither agreement nor failure. */
static void test_unknown(void **state)
{
    char dir[TEMP_PATH];
    struct parity_counts c;

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(run(dir, false).compared, 0);
    matrices_write(dir, "holograms", "{}", 3);
    c = run(dir, false);
    assert_int_equal(c.compared, 0);
    assert_int_equal(c.skipped, 1);
    matrices_write(dir, "ops", "{\"a\": {\"op\": \"entangle\"}}", 3);
    c = run(dir, false);
    assert_int_equal(c.compared, 0);
    assert_int_equal(c.skipped, 1);
    temp_dir_remove(dir);
}

/* A list is what a program had to say about fixtures: it is neither compared nor missed. */
static void test_list(void **state)
{
    static const char text[] = "[{\"case\": \"a\", \"f32_out\": 1e-7}]", object[] = "{\"case\": 1}";
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct parity_counts c;

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(file_write(temp_path(path, dir, "report.json"), text, sizeof text - 1, NULL),
                     OK);
    c = run(dir, false);
    assert_int_equal(c.compared, 0);
    assert_int_equal(c.skipped, 0);
    assert_int_equal(file_write(path, object, sizeof object - 1, NULL), OK);
    assert_int_equal(run(dir, false).skipped, 1);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_worst),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_movie),
        cmocka_unit_test(test_wrong_manifest),
        cmocka_unit_test(test_golden_sd3),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_changed_folder),
        cmocka_unit_test(test_changed_gradient),
        cmocka_unit_test(test_changed_trajectory),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_missing_part),
        cmocka_unit_test(test_impossible_shapes),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
