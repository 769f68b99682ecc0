/*
 * test_golden.c - texts, noise and noise levels against published implementations
 *
 * The checkers are those of the parity program.  What needs the vocabulary of T5 is compared where
 * that lies beside the project.
 */
#include "parity/parity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct parity_counts run(const char *path)
{
    static const struct parity_options options = {.threads = 1};
    struct parity_report report = {0};
    struct parity_counts counts;
    struct error err = {0};

    if (parity_run(&report, &path, 1, &options, &err))
        fail_msg("%s", err.text);
    counts = report_count(&report);
    if (counts.failed)
        report_print(&report, false, stderr);
    report_release(&report);
    return counts;
}

static void every_number_agrees(void **state)
{
    static const struct {
        const char *path;
        int64_t least, without_t5; /* things compared */
    } parts[] = {{GOLDEN_DIR "/sd3/tokenizers/clip.json", 78, 78},
                 {GOLDEN_DIR "/sd3/tokenizers/t5.json", 140, 0},
                 {GOLDEN_DIR "/sd3/tokenizers/weights.json", 290, 150},
                 {GOLDEN_DIR "/sd3/noise", 30, 30},
                 {GOLDEN_DIR "/sd3/sigmas", 74, 74}};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct parity_counts c = run(parts[i].path);

        assert_int_equal(c.failed, 0);
        if (c.skipped)
            print_message("%s: no vocabulary of T5\n", parts[i].path);
        assert_true(c.passed >= (c.skipped ? parts[i].without_t5 : parts[i].least));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_number_agrees)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
