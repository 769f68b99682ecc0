/*
 * test_report.c - the log read again, curves, and the page that is made of them
 */
#include "train/report.h"

#include "base/file.h"
#include "base/rng.h"
#include "io/image.h"
#include "support/temp.h"
#include "train/curves.h"
#include "train/history.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char folder[] = "."; /* the tests run in one of their own */

/* ---- The log ---- */

static const char log_text[] =
    "{\"config\": {\"train\": {\"steps\": 90, \"batch\": 4}}}\n"
    "{\"step\": 10, \"loss\": 1.5, \"gradient_norm\": 2, \"learning_rate\": 0.001, "
    "\"steps_per_s\": 4, \"data_s\": 0.01, \"network_s\": 0.2, \"update_s\": 0.03, \"other_s\": "
    "0}\n"
    "{\"step\": 10, \"eval_loss\": 1.25, \"eval_averaged\": 1.125, \"eval_by_time\": [0.5, null]}\n"
    "\n"
    "{\"step\": 20, \"loss\": nan}\n"
    "{\"step\": 20, \"loss\": 0.75}\n"
    "{\"config\": {\"train\": {\"steps\": 90, \"batch\": 8}, \"data\": {\"path\": "
    "\"<b>&'\\\"\"}}}\n"
    "{\"step\": 30, \"eval_loss\": 1}\n"
    "[1, 2]\n"
    "{\"step\": \"40\", \"loss\": 1}\n"
    "{\"step\": 40, \"los";

static void a_log_is_read(void **state)
{
    struct history h;

    (void)state;
    assert_int_equal(history_parse(&h, log_text, sizeof log_text - 1, NULL), OK);
    assert_int_equal(h.n_rows, 2);
    assert_int_equal(h.n_evals, 1);
    assert_int_equal(h.unread, 5);
    assert_int_equal(h.rows[0].step, 10);
    assert_true(h.rows[0].loss == 1.5 && h.rows[0].gradient_norm == 2);
    assert_true(h.rows[0].learning_rate == 0.001 && h.rows[0].steps_per_s == 4);
    assert_true(h.rows[0].data_s == 0.01 && h.rows[0].network_s == 0.2);
    assert_true(h.rows[0].update_s == 0.03 && h.rows[0].other_s == 0);
    assert_int_equal(h.rows[1].step, 20);
    assert_true(h.rows[1].loss == 0.75);
    assert_true(h.evals[0].losses.raw == 1.25 && h.evals[0].losses.average == 1.125);
    assert_true(h.evals[0].losses.by_time[0] == 0.5);
    for (int k = 1; k < EVAL_TIMES; k++)
        assert_true(isnan(h.evals[0].losses.by_time[k]));
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(h.config, "train"), "batch")), 8);
    history_release(&h);
}

/* What log.c writes is what history.c reads. */
static void a_log_that_was_written_is_read(void **state)
{
    struct log_options o = {.folder = folder, .config = "{\"model\": {}}", .eval = true};
    struct log_row row = {10, 0.1, 2, 3e-4, 5, 1e-3, 2e-3, 3e-3, 4e-3, {0}};
    struct log_eval eval = {.step = 10, .losses = {.raw = 0.3, .average = 0.2}};
    char path[TEMP_PATH];
    struct train_log log;
    struct history h;

    (void)state;
    for (int k = 0; k < EVAL_TIMES; k++)
        eval.losses.by_time[k] = k == 3 ? (double)NAN : 0.5 * k;
    assert_int_equal(log_open(&log, &o, NULL), OK);
    assert_int_equal(log_write(&log, &row, NULL), OK);
    assert_int_equal(log_write_eval(&log, &eval, NULL), OK);
    row.step = eval.step = 20;
    assert_int_equal(log_write(&log, &row, NULL), OK);
    assert_int_equal(log_write_eval(&log, &eval, NULL), OK);
    log_close(&log);
    o.step = 10; /* a resumed run takes step 20 again */
    assert_int_equal(log_open(&log, &o, NULL), OK);
    log_close(&log);
    assert_int_equal(history_read(&h, temp_path(path, folder, "log.jsonl"), NULL), OK);
    assert_int_equal(h.n_rows, 1);
    assert_int_equal(h.n_evals, 1);
    assert_int_equal(h.unread, 0);
    assert_non_null(h.config);
    assert_int_equal(h.rows[0].step, 10);
    assert_true(h.rows[0].loss == 0.1 && h.rows[0].learning_rate == 3e-4);
    assert_true(h.evals[0].losses.raw == 0.3 && h.evals[0].losses.average == 0.2);
    for (int k = 0; k < EVAL_TIMES; k++)
        assert_true(k == 3 ? isnan(h.evals[0].losses.by_time[k])
                           : h.evals[0].losses.by_time[k] == 0.5 * k);
    history_release(&h);
    unlink(path);
}

/* Any bytes: read without harm, and what is read can be drawn. */
static void a_damaged_log_does_no_harm(void **state)
{
    static const char odd[] = "0123456789-+.eE{}[]\",: \n\\null";
    struct rng r = rng_stream(1, RNG_TEST, 77);
    char text[sizeof log_text], path[TEMP_PATH];

    (void)state;
    for (int round = 0; round < 400; round++) {
        uint64_t n = 1 + rng_below(&r, sizeof log_text - 1);

        memcpy(text, log_text, sizeof text);
        for (uint64_t k = rng_below(&r, 20); k > 0; k--)
            text[rng_below(&r, n)] =
                rng_below(&r, 4) ? odd[rng_below(&r, sizeof odd - 1)] : (char)(rng_u32(&r) & 255);
        assert_int_equal(file_write(temp_path(path, folder, "log.jsonl"), text, n, NULL), OK);
        assert_int_equal(report_write(folder, NULL), OK);
    }
    unlink(path);
}

/* ---- Curves ---- */

static char *drawing(const struct curve *curve, int n, bool from_zero, double x_end)
{
    struct curves c = {"title", "step", curve, n, x_end, from_zero};
    struct text t;

    text_init(&t, NULL, 0);
    curves_svg(&t, &c);
    return text_take(&t);
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

static int count_of(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

static void a_line_goes_from_corner_to_corner(void **state)
{
    const double x[] = {0, 5, 10}, y[] = {0, 0.5, 1};
    char *svg = drawing(&(struct curve){"rise", x, y, 3}, 1, true, 0);

    (void)state;
    assert_says(svg, "d=\"M62.0 212.0L304.0 126.0L546.0 40.0\"");
    assert_says(svg, ">rise</text>");
    assert_says(svg, ">0.2</text>");
    assert_says(svg, ">0.6</text>"); /* not 0.6000000000000001 */
    assert_says(svg, ">10</text>");
    free(svg);
}

static void large_ranges_are_logarithmic(void **state)
{
    const double x[] = {0, 10000, 20000}, y[] = {100, 10, 1};
    char *svg = drawing(&(struct curve){NULL, x, y, 3}, 1, false, 0);

    (void)state;
    assert_says(svg, "d=\"M62.0 40.0L304.0 126.0L546.0 212.0\"");
    assert_says(svg, ">20k</text>");
    assert_says(svg, ">50</text>");
    free(svg);
}

static void what_is_no_number_leaves_a_gap(void **state)
{
    const double x[] = {0, 1, 2, 3, 4, 5}, y[] = {0, 1, (double)NAN, 1, (double)INFINITY, 1e300};
    char *svg = drawing(&(struct curve){NULL, x, y, 6}, 1, true, 5);

    (void)state;
    assert_says(svg, "d=\"M62.0 212.0L158.8 40.0M352.4 40.0\"");
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    free(svg);
}

static void many_points_are_drawn_as_means(void **state)
{
    enum { N = 100000 };
    double *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
    char *svg;

    (void)state;
    assert_true(x && y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i % 2;
    }
    svg = drawing(&(struct curve){NULL, x, y, N}, 1, true, 0);
    assert_int_equal(count_of(strstr(svg, "class=\"c0\""), "L"), 399);
    assert_true(strlen(svg) < 20000);
    free(svg);
    free(x);
    free(y);
}

/* Every number of every path lies in the box, whatever is drawn. */
static void nothing_is_drawn_outside(void **state)
{
    static const double values[] = {0,    1,     -1,  1e-99, -1e99,       9.9e99,           1e-300,
                                    1e16, 1e300, 0.3, -0.1,  (double)NAN, (double)INFINITY, 5e-324};
    enum { VALUES = sizeof values / sizeof *values };
    struct rng r = rng_stream(2, RNG_TEST, 78);

    (void)state;
    for (int round = 0; round < 3000; round++) {
        double x[5], y[5];
        char *svg, *p, *end;

        for (int i = 0; i < 5; i++) {
            x[i] = fabs(values[rng_below(&r, VALUES)]);
            y[i] = values[rng_below(&r, VALUES)];
        }
        svg = drawing(&(struct curve){NULL, x, y, 5}, 1, round % 2, 0);
        assert_non_null(svg);
        p = strstr(svg, "class=\"c0\"");
        for (p += strcspn(p, "ML"), end = p + strcspn(p, ">"); p < end; p++) {
            double px, py;

            if (*p != 'M' && *p != 'L')
                continue;
            assert_int_equal(sscanf(p + 1, "%lf %lf", &px, &py), 2);
            if (px < 61.9 || px > 546.1 || py < 39.9 || py > 212.1)
                fail_msg("round %d: %g, %g", round, px, py);
        }
        free(svg);
    }
}

static void drawings_of_little(void **state)
{
    const double x[] = {7}, y[] = {3};
    const struct curve curves[] = {{"none", x, y, 0}, {"one", x, y, 1}};
    char *svg = drawing(curves, 2, false, 0);

    (void)state;
    assert_null(strstr(svg, ">none<"));
    assert_says(svg, "c1 dot");
    free(svg);
    svg = drawing(curves, 1, false, 0);
    assert_says(svg, "</svg>");
    free(svg);
}

/* ---- The page ---- */

static void write_text(const char *name, const char *text)
{
    char path[TEMP_PATH];

    assert_int_equal(file_write(temp_path(path, folder, name), text, strlen(text), NULL), OK);
}

static char *page(void)
{
    char path[TEMP_PATH];
    uint8_t *bytes;
    uint64_t n;
    struct error err = {0};

    if (report_write(folder, &err))
        fail_msg("%s", err.text);
    assert_int_equal(file_read(&bytes, &n, temp_path(path, folder, "report.html"), 1 << 24, NULL),
                     OK);
    return (char *)bytes;
}

static void write_sheets(int n)
{
    uint8_t pixels[12] = {0};
    struct image im = {2, 2, 3, pixels};
    char name[64], path[TEMP_PATH];

    for (int k = 1; k <= n; k++) {
        pixels[0] = (uint8_t)k;
        snprintf(name, sizeof name, "samples-%08d.png", k);
        assert_int_equal(png_write(temp_path(path, folder, name), &im, NULL, 0, NULL), OK);
    }
}

static void a_page_holds_the_run(void **state)
{
    static const char *const closed[] = {"figure", "svg",     "table", "tr",   "td", "div",
                                         "text",   "caption", "h2",    "body", "p",  "style"};
    char *html, *again, open[32], close[32];

    (void)state;
    write_text("log.jsonl", log_text);
    write_sheets(20);
    html = page();
    again = page();
    assert_string_equal(html, again);
    for (size_t k = 0; k < sizeof closed / sizeof *closed; k++) {
        snprintf(open, sizeof open, "<%s>", closed[k]);
        snprintf(close, sizeof close, "</%s>", closed[k]);
        int opened = count_of(html, open);

        snprintf(open, sizeof open, "<%s ", closed[k]);
        assert_int_equal(opened + count_of(html, open), count_of(html, close));
    }
    assert_says(html, "20 of 90");
    assert_says(html, "Loss against t at step");
    assert_says(html, "5 lines of the log could not be read");
    assert_says(html, "&lt;b&gt;&amp;&#39;&quot;");
    assert_null(strstr(html, "<b>&"));
    assert_null(strstr(html, "http"));
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "url("));
    assert_int_equal(count_of(html, "src="), 12);
    assert_int_equal(count_of(html, "src=\"data:image/png;base64,iVBORw0KGgo"), 12);
    assert_says(html, ">step 1<");
    assert_says(html, ">step 20<"); /* and none of what was drawn after step 20 */
    free(html);
    free(again);
}

static void sheets_of_an_earlier_attempt_are_left_out(void **state)
{
    char *html;

    (void)state;
    write_sheets(8);
    write_text("log.jsonl", "{\"step\": 5, \"loss\": 1}\n");
    write_text("samples-2.png", "not of this program");
    html = page();
    assert_int_equal(count_of(html, "src="), 5);
    assert_says(html, "train.eval_every");
    free(html);
}

static void a_run_that_just_began(void **state)
{
    char *html;

    (void)state;
    write_text("log.jsonl", "{\"config\": {}}\n");
    html = page();
    assert_says(html, "Nothing is logged yet");
    free(html);
}

static void a_folder_without_a_log(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(report_write("/nowhere/at/all", &err), E_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all/log.jsonl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_is_read),
        cmocka_unit_test(a_log_that_was_written_is_read),
        cmocka_unit_test(a_damaged_log_does_no_harm),
        cmocka_unit_test(a_line_goes_from_corner_to_corner),
        cmocka_unit_test(large_ranges_are_logarithmic),
        cmocka_unit_test(what_is_no_number_leaves_a_gap),
        cmocka_unit_test(many_points_are_drawn_as_means),
        cmocka_unit_test(nothing_is_drawn_outside),
        cmocka_unit_test(drawings_of_little),
        cmocka_unit_test(a_page_holds_the_run),
        cmocka_unit_test(sheets_of_an_earlier_attempt_are_left_out),
        cmocka_unit_test(a_run_that_just_began),
        cmocka_unit_test(a_folder_without_a_log),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
