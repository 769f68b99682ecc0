/*
 * test_plot.c - figures: round numbers, letters, colours, and the two back ends
 *
 * The SVG is read by a small parser of XML that demands every tag closed in order.  The golden hash
 * is of a figure made by sums and products alone, so that no processor's libm has a say in it.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "plot/figure.h"
#include "plot/font.h"
#include "plot/raster.h"
#include "plot/svg.h"
#include "plot/ticks.h"
#include "support/temp.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Ticks ---- */

static void assert_labels(double lo, double hi, bool logarithmic, int about, const char *want)
{
    struct tick ticks[TICKS_MAX];
    int n = ticks_make(ticks, lo, hi, logarithmic, about);
    char got[512] = "";

    for (int i = 0; i < n; i++) {
        strcat(got, i ? " " : "");
        strcat(got, ticks[i].label);
        assert_true(ticks[i].at >= lo - 1e-9 * (hi - lo) && ticks[i].at <= hi + 1e-9 * (hi - lo));
    }
    assert_string_equal(got, want);
}

static void test_ticks(void **state)
{
    (void)state;
    assert_labels(0, 1, false, 5, "0.0 0.2 0.4 0.6 0.8 1.0");
    assert_labels(-3.3, 3.3, false, 4,
                  "\xe2\x88\x92"
                  "2 0 2");
    assert_labels(0, 2000, false, 4, "0 500 1000 1500 2000");
    assert_labels(1e-5, 4e-5, false, 3, "0.00001 0.00002 0.00003 0.00004");
    assert_labels(5, 160, true, 6, "5 10 20 50 100");
    assert_labels(1e-9, 1, true, 5,
                  "10^{\xe2\x88\x92"
                  "8} 10^{\xe2\x88\x92"
                  "6} 10^{\xe2\x88\x92"
                  "4} 0.01 1");
    for (double hi = 1e-12; hi < 1e12; hi *= 3.7) {
        struct tick ticks[TICKS_MAX];
        int n = ticks_make(ticks, -0.3 * hi, hi, false, 6);

        assert_true(n >= 2 && n <= 8);
        for (int i = 1; i < n; i++)
            assert_true(ticks[i].at > ticks[i - 1].at);
    }
}

/* ---- Letters ---- */

static void bound(void *self, const double *xy, int n)
{
    double *box = self;

    for (int i = 0; i < n; i++) {
        assert_true(isfinite(xy[2 * i]) && isfinite(xy[2 * i + 1]));
        box[0] = fmin(box[0], xy[2 * i]);
        box[1] = fmax(box[1], xy[2 * i]);
        box[2] = fmin(box[2], xy[2 * i + 1]);
        box[3] = fmax(box[3], xy[2 * i + 1]);
    }
}

/* Every letter stays in its own cell, between tails and capitals. */
static void test_letters(void **state)
{
    static const int32_t others[] = {0xb1,   0xb7,   0xd7,   0x394,  0x3b1,  0x3b2,  0x3b5,
                                     0x3b7,  0x3b8,  0x3ba,  0x3bb,  0x3bc,  0x3c0,  0x3c1,
                                     0x3c3,  0x3c4,  0x2016, 0x2192, 0x2205, 0x2207, 0x2212,
                                     0x221a, 0x221e, 0x2248, 0x2264, 0x2265};
    double unknown = font_advance(0x4e2d);

    (void)state;
    for (int i = 0; i < 95 + (int)(sizeof others / sizeof *others); i++) {
        int32_t c = i < 95 ? ' ' + i : others[i - 95];
        double box[4] = {100, -100, 100, -100};

        font_draw(c, bound, box);
        if (c != ' ')
            assert_true(box[0] >= 0 && box[1] <= font_advance(c) && box[2] >= -5 && box[3] <= 15.5);
        if (c > ' ' && c != 'n') {
            double none[4] = {100, -100, 100, -100};

            font_draw(0x4e2d, bound, none);
            assert_false(box[0] == none[0] && box[1] == none[1] && box[3] == none[3] &&
                         font_advance(c) == unknown);
        }
    }
}

static void test_runs(void **state)
{
    const char *text = "x_t = 10^-3 a_{ij}\\_b";
    static const char *const want[] = {"x", "t", " = 10", "-3", " a", "ij", "_b"};
    struct font_run run;
    char out[32];

    (void)state;
    for (int i = 0; i < 7; i++) {
        assert_true(font_next_run(&run, &text));
        assert_int_equal(run.n, strlen(want[i]));
        assert_memory_equal(run.text, want[i], (size_t)run.n);
        assert_true((run.rise < 0) == (i == 1 || i == 5) && (run.rise > 0) == (i == 3));
    }
    assert_false(font_next_run(&run, &text));
    assert_string_equal(font_escape(out, sizeof out, "a_b^c\\"), "a\\_b\\^c\\\\");
    assert_true(font_width(out) > font_width("abc"));
    assert_true(fabs(font_width("a\\_b") - font_width("a") - font_width("b") - 0.5) < 1e-9);
    font_width("_"); /* ends after the sign */
    font_width("a\\");
    font_width("^{");
}

/* ---- Colours ---- */

static double luminance(struct colour c)
{
    return 0.2126 * pow(c.r / 255.0, 2.2) + 0.7152 * pow(c.g / 255.0, 2.2) +
           0.0722 * pow(c.b / 255.0, 2.2);
}

static void test_colours(void **state)
{
    (void)state;
    assert_true(colour_of_amount(0).r == 255 && colour_of_amount(0).g == 255);
    for (int i = 1; i <= 64; i++) {
        assert_true(luminance(colour_of_amount(i / 64.0)) <
                    luminance(colour_of_amount((i - 1) / 64.0)));
        assert_true(luminance(colour_of_place(i / 64.0)) >
                    luminance(colour_of_place((i - 1) / 64.0)));
    }
    assert_int_equal(colour_of_amount(-1).b, colour_of_amount(0).b);
}

/* ---- Pixels ---- */

static double darkness(const struct image *im)
{
    double sum = 0;

    for (int64_t i = 0; i < im->height * im->width; i++)
        sum += 1 - im->pixels[3 * i] / 255.0;
    return sum;
}

static void test_coverage(void **state)
{
    const struct mark_style black = {.opacity = 1, .size = 9};
    const struct mark_style half = {.opacity = 0.5, .size = 2};
    const double disc[] = {20.3, 21.7}, triangle[] = {5.2, 3.1, 30.4, 8.3, 11.7, 33.9};
    const double line[] = {5, 5, 25, 20, 25, 20, 35, 6};
    struct scene s;
    struct image im;

    (void)state;
    for (int scale = 1; scale <= 3; scale++) {
        double square = (double)scale * scale;

        scene_init(&s, 40, 40);
        scene_points(&s, MARK_DOTS, &black, disc, 1);
        assert_int_equal(raster_draw(&im, &s, scale, NULL), OK);
        assert_true(fabs(darkness(&im) / square - 3.14159265 * 81) < 1.5);
        image_release(&im);
        scene_release(&s);
        scene_init(&s, 40, 40);
        scene_points(&s, MARK_AREA, &black, triangle, 3);
        assert_int_equal(raster_draw(&im, &s, scale, NULL), OK);
        assert_true(fabs(darkness(&im) / square - 371.2) < 2);
        image_release(&im);
        scene_release(&s);
        /* a half transparent line is no darker where its pieces meet */
        scene_init(&s, 40, 40);
        scene_points(&s, MARK_LINE, &half, line, 4);
        assert_int_equal(raster_draw(&im, &s, scale, NULL), OK);
        for (int64_t i = 0; i < im.height * im.width; i++)
            assert_true(im.pixels[3 * i] >= 127);
        image_release(&im);
        scene_release(&s);
    }
}

static void test_clip(void **state)
{
    const struct mark_style black = {.opacity = 1, .size = 30};
    const double disc[] = {20, 20};
    struct scene s;
    struct image im;

    (void)state;
    scene_init(&s, 40, 40);
    s.clip = (struct box){10, 12, 14, 20};
    scene_points(&s, MARK_DOTS, &black, disc, 1);
    assert_int_equal(raster_draw(&im, &s, 1, NULL), OK);
    assert_true(fabs(darkness(&im) - 32) < 1e-9);
    image_release(&im);
    assert_int_equal(raster_draw(&im, &s, 9, NULL), E_ARG);
    assert_int_equal(raster_draw(&im, &s, 0.1, NULL), E_ARG);
    assert_null(im.pixels);
    scene_release(&s);
}

/* ---- A figure ---- */

static struct figure *make_figure(void)
{
    static const double points[] = {0, 0, 0.25, 0.5, 0.5, (double)NAN, 0.75, 0.5, 1, 1};
    static const double arrows[] = {0.1, 0.1, 0.4, 0.3, 0.5, 0.5, 0.5, 0.5};
    static const double amounts[] = {0, 1, 2, 3, 2, 1};
    const struct mark_style style = {
        .colour = {0, 114, 178}, .opacity = 0.75, .size = 1.5, .dash = 4};
    struct figure *f;
    struct panel *p;

    assert_int_equal(figure_new(&f, "A <figure> & its \"title\"", NULL), OK);
    figure_row(f, 100);
    p = figure_panel(f, 120, "x_t", (struct axis){.label = "t", .lo = 0, .hi = 1, .grid = true},
                     (struct axis){.label = "first", .lo = 0, .hi = 1});
    panel_heat(p, 0, 1, 0, 1, amounts, 2, 3, 3);
    panel_points(p, MARK_LINE, &style, points, 5);
    panel_points(p, MARK_ARROWS, &style, arrows, 4);
    panel_points(p, MARK_DOTS, &style, points, 5);
    p = figure_panel(f, 120, "", (struct axis){.lo = 1, .hi = 100, .logarithmic = true},
                     (struct axis){.lo = 0.5, .hi = 1, .bare = true});
    panel_text(p, &style, 10, 0.75, "words > 3");
    panel_level(p, &style, true, 0.6);
    figure_row(f, 50);
    figure_panel(f, 0, "wide", (struct axis){.lo = 0, .hi = 8}, (struct axis){.lo = -2, .hi = 2});
    figure_key(f, MARK_LINE, &style, "a line");
    figure_key(f, MARK_DOTS, &style, "dots");
    figure_key(f, MARK_AREA, &style, "an area");
    figure_key(f, MARK_ARROWS, &style, "arrows");
    figure_key_amounts(f, 0.5, "amounts");
    return f;
}

/* Every tag closed in order, attributes quoted, no bare '<' or '&'. */
static void assert_xml(const char *s)
{
    char open[16][32];
    int depth = 0, elements = 0;

    assert_memory_equal(s, "<?xml", 5);
    s = strchr(s, '>') + 1;
    for (; *s; s++) {
        char name[32] = "";
        int n = 0;

        if (*s == '&') {
            assert_true(!strncmp(s, "&amp;", 5) || !strncmp(s, "&lt;", 4) ||
                        !strncmp(s, "&gt;", 4) || !strncmp(s, "&quot;", 6));
            continue;
        }
        if (*s != '<')
            continue;
        s++;
        if (*s == '/') {
            const char *end = strchr(s, '>');

            assert_true(depth > 0);
            depth--;
            assert_int_equal((int)strlen(open[depth]), (int)(end - s - 1));
            assert_memory_equal(open[depth], s + 1, strlen(open[depth]));
            s = end;
            continue;
        }
        while (isalpha((unsigned char)*s) && n < 31)
            name[n++] = *s++;
        name[n] = 0;
        assert_true(n > 0);
        elements++;
        while (*s != '>' && *s != '/') {
            assert_true(*s == ' ');
            s += strcspn(s, "\"<>");
            assert_true(*s == '"');
            s += 1 + strcspn(s + 1, "\"<>");
            assert_true(*s == '"');
            s++;
        }
        if (*s == '/') {
            s++;
            assert_true(*s == '>');
        } else {
            assert_true(depth < 16);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
    assert_true(elements > 50);
}

static void draw_svg(struct text *out)
{
    struct figure *f = make_figure();
    struct scene s;

    text_init(out, NULL, 0);
    assert_int_equal(figure_place(&s, f, NULL), OK);
    assert_int_equal(svg_write(out, &s, "A <figure>", "{\"seed\": 1}", NULL), OK);
    for (int64_t i = 0; i < s.n; i++) /* nothing but marks of panels may leave the page */
        if (s.marks[i].clip.left == 0 && s.marks[i].kind != MARK_TEXT)
            for (int64_t k = 0; k < s.marks[i].n; k++) {
                const double *at = s.xy + 2 * (s.marks[i].first + k);

                assert_true(isnan(at[0]) ||
                            (at[0] >= 0 && at[0] <= s.width && at[1] >= 0 && at[1] <= s.height));
            }
    scene_release(&s);
    figure_free(f);
}

static void test_svg(void **state)
{
    struct text first, second;

    (void)state;
    draw_svg(&first);
    draw_svg(&second);
    assert_xml(first.data);
    assert_string_equal(first.data, second.data);
    assert_non_null(strstr(first.data, "<title>A &lt;figure&gt;</title>"));
    assert_non_null(strstr(first.data, "data:image/png;base64,iVBORw0KGgo"));
    assert_non_null(strstr(first.data, ">words &gt; 3</text>"));
    assert_null(strstr(first.data, "nan"));
    assert_null(strstr(first.data, "inf"));
    text_release(&first);
    text_release(&second);
}

/* Marks without text, image or libm: the same bytes everywhere. */
static void test_golden(void **state)
{
    const struct mark_style style = {
        .colour = {213, 94, 0}, .opacity = 0.5, .size = 1.25, .dash = 3};
    double xy[2 * 40];
    struct scene s;
    struct text out;

    (void)state;
    for (int i = 0; i < 40; i++) {
        xy[2 * i] = 5 + 1.5 * i;
        xy[2 * i + 1] = 8 + 0.05 * (i - 20) * (i - 20);
    }
    scene_init(&s, 70, 40);
    scene_points(&s, MARK_LINE, &style, xy, 40);
    scene_points(&s, MARK_DOTS, &style, xy, 40);
    s.clip = (struct box){10, 10, 30, 30};
    scene_points(&s, MARK_AREA, &style, xy, 40);
    text_init(&out, NULL, 0);
    assert_int_equal(svg_write(&out, &s, "golden", NULL, NULL), OK);
    assert_true(out.used > 900 && out.used < 3000);
    {
        uint32_t hash = 2166136261u; /* FNV-1a */

        for (size_t i = 0; i < out.used; i++)
            hash = (hash ^ (unsigned char)out.data[i]) * 16777619u;
        assert_int_equal(hash, 0x8fd45656u);
    }
    text_release(&out);
    scene_release(&s);
}

static void test_files(void **state)
{
    char dir[TEMP_PATH], svg[TEMP_PATH], png[TEMP_PATH], other[TEMP_PATH], *about = NULL;
    struct figure *f = make_figure();
    struct error err = {0};
    struct image im;

    (void)state;
    temp_dir_new(dir);
    temp_path(svg, dir, "figure.svg");
    temp_path(png, dir, "figure.PNG");
    temp_path(other, dir, "figure.pdf");
    assert_int_equal(figure_write(f, svg, 1, NULL, NULL), OK);
    assert_int_equal(figure_write(f, png, 2, "{\"study\": \"none\"}", NULL), OK);
    assert_int_equal(image_read(&im, png, NULL), OK);
    assert_true(im.width > 500 && im.channels == 3 && darkness(&im) > 1000);
    assert_int_equal(png_read_text(&about, png, "imgen", NULL), OK);
    assert_string_equal(about, "{\"study\": \"none\"}");
    free(about);
    image_release(&im);
    assert_int_equal(figure_write(f, other, 1, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, ".svg"));
    assert_int_equal(figure_write(f, svg, 100, NULL, NULL), E_ARG);
    assert_int_equal(figure_write(f, "/nowhere/at/all.svg", 1, NULL, NULL), E_IO);
    figure_free(f);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks),    cmocka_unit_test(test_letters),
        cmocka_unit_test(test_runs),     cmocka_unit_test(test_colours),
        cmocka_unit_test(test_coverage), cmocka_unit_test(test_clip),
        cmocka_unit_test(test_svg),      cmocka_unit_test(test_golden),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
