/*
 * key_list.c - the published list of a network's tensors
 *
 * The tensor that a piece wants is worked out here a second time, from the shape in files alone, so
 * that the loader's own idea of it is not what it is compared with.
 */
#include "support/key_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 2048 };

struct key {
    char name[PARAM_NAME];
    struct shape shape;
    bool met;
};

static struct shape shape_read(const char *text)
{
    struct shape s = {0};
    char *end;

    for (; *text && s.rank < SHAPE_RANK; text = *end ? end + 1 : end)
        s.dim[s.rank++] = strtoll(text, &end, 10);
    return s;
}

static int keys_read(struct key *keys, const char *path)
{
    FILE *f = fopen(path, "r");
    char shape[64];
    int n = 0;

    if (!f)
        fail_msg("no list at %s", path);
    while (f && n < KEYS && fscanf(f, "%159s %63s\n", keys[n].name, shape) == 2)
        keys[n++].shape = shape_read(shape);
    assert_true(f && feof(f));
    fclose(f);
    return n;
}

static void meet(struct key *keys, int n, const char *name, struct shape want)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    for (int i = 0; i < n; i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        if (!shape_equal(keys[i].shape, want))
            fail_msg("%s is %s, the network wants %s", name, shape_text(a, keys[i].shape),
                     shape_text(b, want));
        keys[i].met = true;
        return;
    }
    fail_msg("%s is not in the list", name);
}

void assert_key_list(struct params *p, const struct params_naming *naming, const char *path)
{
    struct key *keys = calloc(KEYS, sizeof *keys);
    char name[2 * PARAM_NAME];
    int n;

    assert_non_null(keys);
    n = keys_read(keys, path);
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);
        struct param_piece piece[PARAM_PIECES] = {{.parts = 1}};
        int pieces = 1;

        if (naming->pieces)
            pieces = naming->pieces(piece, q->name, 0, naming->user);
        else
            snprintf(piece[0].name, PARAM_NAME, "%s", q->name);
        assert_true(pieces > 0);
        for (int k = 0; k < pieces; k++) {
            struct shape want = q->file_shape;

            want.dim[0] = want.dim[0] / pieces * piece[k].parts;
            assert_true(snprintf(name, sizeof name, "%s%s", naming->prefix, piece[k].name) <
                        (int)sizeof name);
            meet(keys, n, name, want);
        }
    }
    for (int i = 0; i < n; i++)
        if (!keys[i].met)
            fail_msg("%s is declared by nobody", keys[i].name);
    free(keys);
}
