/*
 * tensor_files.c - two files, held against each other: their tensors, or every byte
 */
#include "support/tensor_files.h"

#include "base/file.h"
#include "io/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void assert_same_tensors(const char *a, const char *b)
{
    struct weights *f, *g;

    assert_int_equal(weights_open(&f, a, NULL), OK);
    assert_int_equal(weights_open(&g, b, NULL), OK);
    assert_true(weights_count(f) > 0);
    assert_int_equal(weights_count(f), weights_count(g));
    for (int64_t i = 0; i < weights_count(f); i++) {
        const struct file_tensor *t = weights_at(f, i);
        const struct file_tensor *u = weights_find(g, t->name);

        assert_non_null(u);
        assert_int_equal(t->n_bytes, u->n_bytes);
        if (memcmp(t->bytes, u->bytes, t->n_bytes))
            fail_msg("%s differs between %s and %s", t->name, a, b);
    }
    weights_close(f);
    weights_close(g);
}

bool same_files(const char *a, const char *b)
{
    enum { LIMIT = 1 << 26 };
    uint8_t *x, *y;
    uint64_t n, m;
    bool same;

    assert_int_equal(file_read(&x, &n, a, LIMIT, NULL), OK);
    assert_int_equal(file_read(&y, &m, b, LIMIT, NULL), OK);
    same = n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}
