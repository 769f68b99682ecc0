/*
 * test_text.c - builders, nearest names, numbers
 */
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nearest_is_one_slip_away(void **state)
{
    static const char *const names[] = {"steps", "seed", "learning_rate", NULL, "cfg_scale", "w"};

    (void)state;
    assert_string_equal(text_nearest("stpes", names, 6), "steps");
    assert_string_equal(text_nearest("step", names, 6), "steps");
    assert_string_equal(text_nearest("stteps", names, 6), "steps");
    assert_string_equal(text_nearest("SEED", names, 6), "seed");
    assert_string_equal(text_nearest("leraning-rate", names, 6), "learning_rate");
    assert_string_equal(text_nearest("cfg-scale", names, 6), "cfg_scale");
}

static void nothing_is_near_nonsense(void **state)
{
    static const char *const names[] = {"steps", "seed", "w"};
    char endless[300];

    (void)state;
    memset(endless, 's', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(text_nearest("banana", names, 3));
    assert_null(text_nearest("q", names, 3));
    assert_null(text_nearest("", names, 3));
    assert_null(text_nearest("steps", names, 0));
    assert_null(text_nearest(endless, names, 3));
}

static void a_full_array_cuts_and_stays_closed(void **state)
{
    char room[8];
    struct text t;

    (void)state;
    text_init(&t, room, sizeof room);
    assert_string_equal(t.data, "");
    text_add(&t, "%s", "abcde");
    assert_false(t.cut);
    text_add(&t, "%d", 12345);
    assert_true(t.cut);
    assert_string_equal(t.data, "abcde12");
    text_add(&t, "more");
    text_add_bytes(&t, "more", 4);
    assert_string_equal(t.data, "abcde12");
    assert_null(text_take(&t));
}

static void a_heap_text_grows(void **state)
{
    struct text t;
    char *whole;

    (void)state;
    text_init(&t, NULL, 0);
    assert_string_equal(t.data, "");
    for (int i = 0; i < 5000; i++)
        text_add(&t, "%04d", i);
    assert_false(t.cut);
    whole = text_take(&t);
    assert_int_equal(strlen(whole), 20000);
    assert_memory_equal(whole + 4 * 4321, "4321", 4);
    free(whole);

    text_init(&t, NULL, 0);
    whole = text_take(&t);
    assert_string_equal(whole, "");
    free(whole);
    text_init(&t, NULL, 0);
    text_add_bytes(&t, "", 0);
    assert_string_equal(t.data, "");
    text_release(&t);
    text_release(&t);
}

static void whole_numbers(void **state)
{
    static const char *const wrong[] = {
        "", " 1", "1 ", "1.0", "0x10", "1e3", "+-1", "abc", "--1", "-", "9223372036854775808"};
    int64_t x = 7;
    uint64_t seed = 7;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(text_to_int(wrong[i], &x));
    assert_int_equal(x, 7);
    assert_true(text_to_int("-9223372036854775808", &x));
    assert_true(x == INT64_MIN);
    assert_true(text_to_int("+12", &x));
    assert_int_equal(x, 12);
    assert_false(text_to_seed("-1", &seed));
    assert_false(text_to_seed("18446744073709551616", &seed));
    assert_true(text_to_seed("18446744073709551615", &seed));
    assert_true(seed == UINT64_MAX);
}

static void real_numbers(void **state)
{
    static const char *const wrong[] = {"",   "nan", "inf", "1e999", "0x1p3", "1,5", "1.5x",
                                        " 1", "1 ",  "e5",  ".",     "-",     "1e",  "1..2"};
    double x = 7;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(text_to_real(wrong[i], &x));
    assert_true(x == 7);
    assert_true(text_to_real("-.5e-1", &x) && x == -0.05);
    assert_true(text_to_real("3", &x) && x == 3);
}

static void reals_read_back_exactly(void **state)
{
    static const double cases[] = {0,       1,
                                   -1,      0.1,
                                   1.0 / 3, 1e-300,
                                   5e-324,  1.7976931348623157e308,
                                   1e6,     123456789012345678.0,
                                   2.5,     1e22};
    char room[TEXT_REAL];
    double back;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(text_to_real(text_from_real(room, cases[i]), &back));
        assert_true(back == cases[i]);
    }
    assert_string_equal(text_from_real(room, 0.1), "0.1");
    assert_string_equal(text_from_real(room, 1000000), "1000000");
    assert_string_equal(text_from_real(room, 65536), "65536");
}

/* A German program must read 0.5 as a half.  Where no such locale is installed, nothing is tested.
 */
static void numbers_know_no_locale(void **state)
{
    char room[TEXT_REAL];
    double x = 0;

    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "de_DE.utf8")) {
        print_message("no German locale is installed here\n");
        skip();
    }
    assert_true(text_to_real("0.5", &x) && x == 0.5);
    assert_string_equal(text_from_real(room, 0.5), "0.5");
    setlocale(LC_NUMERIC, "C");
}

static void sizes(void **state)
{
    static const char *const wrong[] = {"",     "G",    "-1",  "1x",      "1 G",
                                        "1GiB", "1e30", "nan", "4194304T"};
    int64_t x = 7;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(text_to_bytes(wrong[i], &x));
    assert_int_equal(x, 7);
    assert_true(text_to_bytes("1234", &x) && x == 1234);
    assert_true(text_to_bytes("2k", &x) && x == 2048);
    assert_true(text_to_bytes("1.5G", &x) && x == INT64_C(3) << 29);
    assert_true(text_to_bytes("800M", &x) && x == INT64_C(800) << 20);
    assert_true(text_to_bytes("1T", &x) && x == INT64_C(1) << 40);
}

/* RFC 4648, section 10, and all bytes. */
static void base64(void **state)
{
    static const char *const want[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    const uint8_t high[] = {0xff, 0xfe, 0xfb, 0xf0, 0x00, 0x3f};
    struct text t;
    char room[16];

    (void)state;
    for (size_t n = 0; n <= 6; n++) {
        text_init(&t, room, sizeof room);
        text_add_base64(&t, "foobar", n);
        assert_string_equal(room, want[n]);
    }
    text_init(&t, room, sizeof room);
    text_add_base64(&t, high, 6);
    assert_string_equal(room, "//778AA/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_is_one_slip_away),
        cmocka_unit_test(nothing_is_near_nonsense),
        cmocka_unit_test(a_full_array_cuts_and_stays_closed),
        cmocka_unit_test(a_heap_text_grows),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(real_numbers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(reals_read_back_exactly),
        cmocka_unit_test(numbers_know_no_locale),
        cmocka_unit_test(base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
