/*
 * test_utf8.c - UTF-8: all code points there and back, every kind of nonsense refused
 */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void code_points_come_back(void **state)
{
    (void)state;
    for (int32_t c = 0; c <= 0x10FFFF; c++) {
        bool surrogate = c >= 0xD800 && c < 0xE000;
        uint8_t bytes[4];
        size_t n = utf8_put(bytes, c);
        const uint8_t *p = bytes;

        assert_int_equal(utf8_next(&p, bytes + n), surrogate ? -1 : c);
        assert_ptr_equal(p, bytes + (surrogate ? 1 : n));
        for (size_t cut = 1; cut < n; cut++)
            assert_false(utf8_valid(bytes, cut));
    }
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF",
        "\xFE",
        "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFF",
        "\xC3\x28",
        "a\xE2\x82",
        "\xE2\x28\xA1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", 14));
}

static void shown_texts_are_harmless(void **state)
{
    char buf[UTF8_SHOWN], longer[4 * UTF8_SHOWN];

    (void)state;
    assert_string_equal(utf8_shown(buf, "caf\xC3\xA9"), "caf\xC3\xA9");
    assert_string_equal(utf8_shown(buf, "a\x1B[31m\n\x7F\xC2\x9B\xFFz"), "a?[31m????z");
    for (size_t shift = 0; shift < 3; shift++) {
        memset(longer, 'a', sizeof longer);
        for (size_t i = shift; i + 3 < sizeof longer; i += 3)
            memcpy(longer + i, "\xE2\x82\xAC", 3);
        longer[sizeof longer - 1] = 0;
        utf8_shown(buf, longer);
        assert_true(strlen(buf) < UTF8_SHOWN && strlen(buf) > UTF8_SHOWN - 5);
        assert_true(utf8_valid(buf, strlen(buf)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_points_come_back),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(shown_texts_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
