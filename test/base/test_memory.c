/*
 * test_memory.c - sizes from outside: products that overflow, memory that is zeroed and aligned
 */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void blocks_are_zeroed_and_aligned(void **state)
{
    (void)state;
    for (uint64_t count = 0; count < 300; count += 7) {
        uint8_t *p;

        assert_int_equal(mem_new((void **)&p, count, 3, "a block", NULL), OK);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (uint64_t i = 0; i < count * 3; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xAB, count * 3);
        free(p);
    }
}

/* Below, at and above the size of a huge page, and not a whole number of small ones. */
static void large_blocks_come_when_touched(void **state)
{
    static const uint64_t sizes[] = {0, 1000, (2 << 20) - 1, 2 << 20, (9 << 20) + 4097};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t n = sizes[i];
        bool mapped = n >= 2 << 20;
        uint8_t *p;

        assert_int_equal(mem_block_new((void **)&p, n, 1, "a block", NULL), OK);
        assert_int_equal((uintptr_t)p % (mapped ? 2 << 20 : 64), 0);
        assert_in_range(mem_block_missing(p, n, 1), mapped ? n : 0, mapped ? n + 4095 : 0);
        for (uint64_t k = 0; k < n; k++)
            assert_true(p[k] == 0);
        memset(p, 0xAB, n);
        assert_int_equal(mem_block_missing(p, n, 1), 0);
        mem_block_free(p, n, 1);
    }
    mem_block_free(NULL, 5, 1);
}

static void a_process_has_memory(void **state)
{
    enum { MORE = 64 << 20 };
    int64_t before = mem_resident();
    uint8_t *p;

    (void)state;
    assert_int_equal(mem_block_new((void **)&p, MORE, 1, "a block", NULL), OK);
    memset(p, 1, MORE);
    assert_in_range(mem_resident() - before, MORE - MORE / 8, MORE + MORE / 8);
    mem_block_free(p, MORE, 1);
    assert_in_range(mem_resident() - before + MORE, MORE - MORE / 8, MORE + MORE / 8);
    assert_true(mem_peak() >= before + MORE - MORE / 8);
}

/* More than this test needs is left, and less than an address space. */
static void the_machine_has_some_left(void **state)
{
    (void)state;
    assert_in_range(mem_available(), 1 << 20, INT64_C(1) << 50);
}

static void impossible_sizes_are_told(void **state)
{
    static const uint64_t sizes[][2] = {
        {UINT64_MAX, 2},          {UINT64_MAX, 1},          {UINT64_MAX - 62, 1},
        {(uint64_t)INT64_MAX, 1}, {1ull << 32, 1ull << 32}, {1ull << 61, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct error err = {0};
        void *p = &err;

        assert_int_equal(mem_new(&p, sizes[i][0], sizes[i][1], "the moon", &err), E_MEMORY);
        assert_null(p);
        assert_non_null(strstr(err.text, "the moon"));
        assert_int_equal(mem_block_new(&p, sizes[i][0], sizes[i][1], "the moon", &err), E_MEMORY);
        assert_null(p);
    }
}

static void memory_is_at_hand_or_not(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(mem_at_hand(1 << 20, "a moment", NULL), OK);
    assert_int_equal(mem_at_hand(UINT64_C(1) << 60, "the moon", &err), E_MEMORY);
    assert_non_null(strstr(err.text, "the moon"));
}

static void arrays_grow(void **state)
{
    int64_t room = 0, before;
    struct error err = {0};
    int32_t *x = NULL;

    (void)state;
    for (int32_t i = 0; i < 1000; i++) {
        assert_int_equal(mem_grow((void **)&x, &room, i + 1, sizeof *x, &err), OK);
        assert_true(room > i);
        x[i] = i;
    }
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(x[i], i);
    before = room;
    assert_int_equal(mem_grow((void **)&x, &room, INT64_MAX, sizeof *x, &err), E_MEMORY);
    assert_int_equal(mem_grow((void **)&x, &room, INT64_MAX / 4, 64, &err), E_MEMORY);
    assert_int_equal(room, before);
    assert_int_equal(x[999], 999);
    free(x);
}

static void texts_are_copied(void **state)
{
    char from[] = "text", *to;

    (void)state;
    assert_int_equal(mem_text(&to, from, NULL), OK);
    from[0] = 'x';
    assert_string_equal(to, "text");
    free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_and_aligned),
        cmocka_unit_test(large_blocks_come_when_touched),
        cmocka_unit_test(a_process_has_memory),
        cmocka_unit_test(the_machine_has_some_left),
        cmocka_unit_test(impossible_sizes_are_told),
        cmocka_unit_test(memory_is_at_hand_or_not),
        cmocka_unit_test(arrays_grow),
        cmocka_unit_test(texts_are_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
