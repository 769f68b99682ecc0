/*
 * test_unigram.c - pieces: the best cut, spellings, and models of every kind
 *
 * The models are written here, message by message, so that each rule has a case of its own.
 */
#include "text/unigram.h"

#include "base/file.h"
#include "base/text.h"
#include "support/says.h"
#include "support/temp.h"
#include "text/unicode.h"
#include "text/unigram_model.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Writing a model ---- */

struct writer {
    uint8_t bytes[1 << 16];
    size_t n;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    assert_true(w->n + n <= sizeof w->bytes);
    memcpy(w->bytes + w->n, bytes, n);
    w->n += n;
}

static void put_varint(struct writer *w, uint64_t x)
{
    for (; x > 127; x >>= 7)
        put(w, &(uint8_t){(uint8_t)(x | 128)}, 1);
    put(w, &(uint8_t){(uint8_t)x}, 1);
}

static void put_message(struct writer *w, int field, const struct writer *inner)
{
    put_varint(w, (uint64_t)field << 3 | 2);
    put_varint(w, inner->n);
    put(w, inner->bytes, inner->n);
}

static void put_piece(struct writer *w, const char *text, float score, int kind)
{
    struct writer piece = {.n = 0};

    put_varint(&piece, 1 << 3 | 2);
    put_varint(&piece, strlen(text));
    put(&piece, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    put(&piece, &score, 4);
    if (kind != PIECE_NORMAL) {
        put_varint(&piece, 3 << 3);
        put_varint(&piece, (uint64_t)kind);
    }
    put_message(w, 1, &piece);
}

/* A double array over keys, wasteful and simple: node k's children lie in the 256 units from 256 k.
 */
struct map {
    uint32_t unit[64 * 256];
    int n_nodes;
    char out[256];
    size_t n_out;
};

static uint32_t unit_to(uint32_t at, uint32_t base, uint32_t label)
{
    uint32_t offset = at ^ base; /* below 2^21: no shift */

    return offset << 10 | label;
}

static void map_key(struct map *m, const char *key, const char *replacement)
{
    uint32_t at = 0, base = 256;

    if (!m->n_nodes) {
        m->n_nodes = 2;
        m->unit[0] = unit_to(0, 256, 0);
    }
    for (; *key; key++) {
        at = base ^ (uint8_t)*key;
        if (!m->unit[at]) {
            assert_true(m->n_nodes < 64);
            m->unit[at] = unit_to(at, 256 * (uint32_t)m->n_nodes++, (uint8_t)*key);
        }
        base = at ^ m->unit[at] >> 10;
    }
    m->unit[at] |= 1 << 8;
    m->unit[base] = 0x80000000u | (uint32_t)m->n_out;
    memcpy(m->out + m->n_out, replacement, strlen(replacement) + 1);
    m->n_out += strlen(replacement) + 1;
}

static void put_map(struct writer *normaliser, const struct map *m)
{
    struct writer whole = {.n = 0};
    uint32_t bytes = 4 * 256 * (uint32_t)m->n_nodes;

    put(&whole, &bytes, 4);
    put(&whole, m->unit, bytes);
    put(&whole, m->out, m->n_out);
    put_message(normaliser, 2, &whole);
}

static struct unigram *opened(const struct writer *w)
{
    struct unigram *u;
    struct error err = {0};

    if (unigram_open_bytes(&u, w->bytes, w->n, "test", &err))
        fail_msg("%s", err.text);
    return u;
}

/* What every model begins with. */
static void put_start(struct writer *w)
{
    put_piece(w, "<pad>", 0, PIECE_CONTROL);
    put_piece(w, "</s>", 0, PIECE_CONTROL);
    put_piece(w, "<unk>", 0, PIECE_UNKNOWN);
}

static void assert_ids(const struct unigram *u, const char *text, const int32_t *want, int64_t n)
{
    struct ids ids = {0};

    assert_int_equal(unigram_encode(u, &ids, text, strlen(text), NULL), OK);
    assert_int_equal(ids.n, n);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(ids.id[i], want[i]);
    ids_release(&ids);
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

static void assert_spelled(const struct unigram *u, const char *text, const char *want)
{
    char *out;
    size_t n;

    assert_int_equal(unigram_normalise(u, &out, &n, text, strlen(text), NULL), OK);
    assert_string_equal(out, want);
    assert_int_equal(n, strlen(want));
    free(out);
}

#define S "\xE2\x96\x81"

/* ---- Cuts ---- */

static void the_best_sum_wins(void **state)
{
    struct writer w = {.n = 0};
    struct unigram *u;

    (void)state;
    put_start(&w);
    put_piece(&w, S, -2, PIECE_NORMAL);     /* 3 */
    put_piece(&w, "a", -3, PIECE_NORMAL);   /* 4 */
    put_piece(&w, S "a", -4, PIECE_NORMAL); /* 5: better than both   */
    put_piece(&w, "ab", -9, PIECE_NORMAL);  /* 6: worse than a and b */
    put_piece(&w, "b", -5, PIECE_NORMAL);   /* 7 */
    put_piece(&w, "abc", -1, PIECE_UNUSED); /* 8: never matches      */
    put_piece(&w, "xyz", 0, PIECE_USER);    /* 9: 3 (-2) - 0.1       */
    put_piece(&w, "xy", -3, PIECE_NORMAL);  /* 10 */
    put_piece(&w, "z", -3, PIECE_NORMAL);   /* 11: with xy better, -6 against -6.1 */
    u = opened(&w);
    assert_ids(u, "", NULL, 0);
    assert_ids(u, "   ", NULL, 0);
    assert_ids(u, "a", IDS(5));
    assert_ids(u, "ab", IDS(5, 7));
    assert_ids(u, " b  a ", IDS(3, 7, 5));
    assert_ids(u, "aab", IDS(5, 4, 7));
    assert_ids(u, "xyz", IDS(3, 10, 11));
    assert_ids(u, "\xC3\xA9\xC3\xA9 a", IDS(3, 2, 5)); /* the unknown are one */
    assert_ids(u,
               "a\xFF"
               "b",
               IDS(5, 2, 7));
    assert_ids(u, "</s>", IDS(3, 2)); /* control pieces are no text */
    unigram_close(u);
    unigram_close(NULL);
}

static void bytes_stand_in_for_the_unknown(void **state)
{
    struct writer w = {.n = 0};
    struct unigram *u;

    (void)state;
    put_start(&w);
    for (int i = 0; i < 256; i++) {
        char name[8];

        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        put_piece(&w, name, 0, PIECE_BYTE);
    }
    put_piece(&w, S, -2, PIECE_NORMAL);
    put_piece(&w, "a", -2, PIECE_NORMAL);
    u = opened(&w);
    assert_ids(u,
               "a\xC3\xA9"
               "a",
               IDS(259, 260, 3 + 0xC3, 3 + 0xA9, 260));
    unigram_close(u);
}

/* The cut by the same recurrence, with every piece tried at every place. */
static int64_t cut_plainly(int32_t *out, const char *text, size_t n, char piece[][8],
                           const float *score, int n_pieces, float lowest)
{
    float best[128];
    int32_t from[128], what[128];
    int64_t count = 0;

    for (size_t i = 0; i <= n; i++)
        from[i] = -1;
    best[0] = 0;
    for (size_t i = 0; i < n; i++) {
        bool known = false;

        for (size_t length = 1; i + length <= n; length++)
            for (int k = 0; k < n_pieces; k++) {
                double sum = (double)best[i] + (double)score[k];

                if (strlen(piece[k]) != length || memcmp(piece[k], text + i, length))
                    continue;
                known = known || length == 1;
                if (from[i + length] < 0 || sum > (double)best[i + length]) {
                    best[i + length] = (float)sum;
                    from[i + length] = (int32_t)i;
                    what[i + length] = 3 + k;
                }
            }
        if (!known &&
            (from[i + 1] < 0 || (double)best[i] + (double)(lowest - 10) > (double)best[i + 1])) {
            best[i + 1] = (float)((double)best[i] + (double)(lowest - 10));
            from[i + 1] = (int32_t)i;
            what[i + 1] = 2;
        }
    }
    for (int64_t i = (int64_t)n; i > 0; i = from[i])
        if (what[i] != 2 || !count || out[count - 1] != 2)
            out[count++] = what[i];
    for (int64_t i = 0; i < count / 2; i++) {
        int32_t id = out[i];

        out[i] = out[count - 1 - i];
        out[count - 1 - i] = id;
    }
    return count;
}

static uint32_t draw(uint32_t *r, uint32_t n)
{
    *r = *r * 1664525u + 1013904223u;
    return (*r >> 8) % n;
}

/* Scores are quarters, so that many sums are equal. */
static void every_cut_is_the_recurrences(void **state)
{
    enum { PIECES = 24 };
    uint32_t r = 3;

    (void)state;
    for (int trial = 0; trial < 300; trial++) {
        char piece[PIECES][8], text[64];
        struct writer w = {.n = 0}, normaliser = {.n = 0};
        float score[PIECES], lowest = INFINITY;
        int32_t want[64];
        int n_pieces = 0, n = 1 + (int)draw(&r, 40);
        struct unigram *u;

        put_start(&w);
        while (n_pieces < PIECES) {
            bool again = false;
            int length = 1 + (int)draw(&r, 5);

            for (int i = 0; i < length; i++)
                piece[n_pieces][i] = "abc"[draw(&r, 3)];
            piece[n_pieces][length] = 0;
            for (int k = 0; k < n_pieces; k++)
                again = again || !strcmp(piece[k], piece[n_pieces]);
            if (again)
                continue;
            score[n_pieces] =
                -0.25f * (float)draw(&r, 40) + (trial & 1 ? 1e-3f * (float)n_pieces : 0);
            lowest = fminf(lowest, score[n_pieces]);
            put_piece(&w, piece[n_pieces], score[n_pieces], PIECE_NORMAL);
            n_pieces++;
        }
        put_varint(&normaliser, 3 << 3); /* no space in front */
        put_varint(&normaliser, 0);
        put_message(&w, 3, &normaliser);
        for (int i = 0; i < n; i++)
            text[i] = "abcd"[draw(&r, draw(&r, 8) ? 3 : 4)];
        text[n] = 0;
        u = opened(&w);
        assert_ids(u, text, want,
                   cut_plainly(want, text, (size_t)n, piece, score, n_pieces, lowest));
        unigram_close(u);
    }
}

/* ---- Spellings ---- */

static void put_model(struct writer *w, const struct writer *normaliser)
{
    put_start(w);
    put_piece(w, "a", -1, PIECE_NORMAL);
    put_message(w, 3, normaliser);
}

static void the_longest_key_gives_way(void **state)
{
    static struct map map;
    struct writer w = {.n = 0}, normaliser = {.n = 0};
    struct unigram *u;

    (void)state;
    map_key(&map, "\t", " ");
    map_key(&map, "f", "F");
    map_key(&map, "ffi", "<ffi>");
    map_key(&map, "\x01", "");
    map_key(&map, "\xEF\xAC\x81", "fi");
    map_key(&map, "w", "a  b ");
    put_map(&normaliser, &map);
    put_model(&w, &normaliser);
    u = opened(&w);
    assert_spelled(u, "", "");
    assert_spelled(u, " \t ", "");
    assert_spelled(u, "x", S "x");
    assert_spelled(u, "  x \t\ty ", S "x" S "y");
    assert_spelled(u, "ffffi ff", S "FF<ffi>" S "FF"); /* "ff" alone is no key */
    assert_spelled(u, "\x01x\x01", S "x");
    assert_spelled(u, "\xEF\xAC\x81", S "fi");
    assert_spelled(u, "\xEF\xAC", S "\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_spelled(u, "xwx", S "xa" S "b" S "x");
    unigram_close(u);
}

static void a_model_may_leave_spaces_alone(void **state)
{
    struct writer w = {.n = 0}, normaliser = {.n = 0};
    struct unigram *u;

    (void)state;
    for (int field = 3; field <= 5; field++) {
        put_varint(&normaliser, (uint64_t)field << 3);
        put_varint(&normaliser, 0);
    }
    put_model(&w, &normaliser);
    u = opened(&w);
    assert_spelled(u, "  a  a ", "  a  a ");
    unigram_close(u);
}

/* ---- Long texts ---- */

static void long_texts_come_through(void **state)
{
    enum { LETTERS = 100000 };
    static struct map map;
    struct writer w = {.n = 0}, normaliser = {.n = 0};
    char *text = malloc(UNICODE_TEXT_BYTES + 1), grown[200];
    struct ids ids = {0};
    struct error err = {0};
    struct unigram *u;

    (void)state;
    assert_non_null(text);
    memset(grown, 'a', sizeof grown - 1);
    grown[sizeof grown - 1] = 0;
    map_key(&map, "g", grown);
    put_map(&normaliser, &map);
    put_model(&w, &normaliser);
    u = opened(&w);
    memset(text, 'a', LETTERS);
    assert_int_equal(unigram_encode(u, &ids, text, LETTERS, NULL), OK);
    assert_int_equal(ids.n, 1 + LETTERS);
    memset(text, 'g', UNICODE_TEXT_BYTES + 1);
    assert_int_equal(unigram_encode(u, &ids, text, LETTERS, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "grows"));
    assert_int_equal(unigram_encode(u, &ids, text, UNICODE_TEXT_BYTES + 1, &err), E_ARG);
    ids_release(&ids);
    free(text);
    unigram_close(u);
}

/* ---- Files ---- */

static void assert_refused(const struct writer *w, enum status want, const char *says)
{
    struct error err = {0};
    struct unigram *u;

    assert_int_equal(unigram_open_bytes(&u, w->bytes, w->n, "test", &err), want);
    assert_null(u);
    assert_says(err.text, says);
}

static void damaged_models_are_refused(void **state)
{
    struct writer good = {.n = 0}, normaliser = {.n = 0}, bad;
    static struct map map;
    char lengthy[UNIGRAM_PIECE_BYTES + 2];

    (void)state;
    memset(lengthy, 'x', sizeof lengthy);
    lengthy[sizeof lengthy - 1] = 0;
    put_start(&good);
    bad = good;
    assert_refused(&bad, E_FORMAT, "no pieces");
    bad.n = 0;
    assert_refused(&bad, E_FORMAT, "no pieces");
    put_piece(&bad, "a", -1, PIECE_NORMAL);
    assert_refused(&bad, E_FORMAT, "unknown");
    put_piece(&good, "a", -1, PIECE_NORMAL);
    for (size_t cut = 1; cut < good.n; cut++) { /* never read beyond the end; whole pieces may do */
        struct unigram *u;

        if (!unigram_open_bytes(&u, good.bytes, cut, "test", NULL))
            unigram_close(u);
    }
    bad = good;
    put_piece(&bad, "a", -2, PIECE_NORMAL);
    assert_refused(&bad, E_FORMAT, "twice");
    bad = good;
    put_piece(&bad, "<u>", 0, PIECE_UNKNOWN);
    assert_refused(&bad, E_FORMAT, "2 and 4 are both unknown");
    bad = good;
    put_piece(&bad, "", 0, PIECE_NORMAL);
    assert_refused(&bad, E_FORMAT, "without a text");
    bad = good;
    put_piece(&bad, "b", (float)NAN, PIECE_NORMAL);
    assert_refused(&bad, E_FORMAT, "not finite");
    bad = good;
    put_piece(&bad, "b", 0, 7);
    assert_refused(&bad, E_FORMAT, "unknown kind");
    bad = good;
    put_piece(&bad, "<0xG0>", 0, PIECE_BYTE);
    assert_refused(&bad, E_FORMAT, "does not say which");
    bad = good;
    put_piece(&bad, lengthy, 0, PIECE_NORMAL);
    assert_refused(&bad, E_UNSUPPORTED, "513");
    bad = good;
    put(&bad, "\x0B", 1);
    assert_refused(&bad, E_FORMAT, "unknown type");
    bad = good;
    put(&bad, "\x00\x00", 2);
    assert_refused(&bad, E_FORMAT, "impossible number");
    bad = good;
    put(&bad, "\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11);
    assert_refused(&bad, E_FORMAT, "behind the end");
    bad = good;
    put(&bad, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 11);
    assert_refused(&bad, E_FORMAT, "without an end");

    map_key(&map, "\t", " ");
    put_map(&normaliser, &map);
    bad = good;
    put_message(&bad, 3, &normaliser);
    put_message(&bad, 3, &normaliser);
    assert_refused(&bad, E_FORMAT, "second map");
    normaliser.bytes[normaliser.n - 1] = 'x';
    bad = good;
    put_message(&bad, 3, &normaliser);
    assert_refused(&bad, E_FORMAT, "no end");
    normaliser.n = 0;
    put(&normaliser, "\x12\x06\xFF\x00\x00\x00xx", 8);
    bad = good;
    put_message(&bad, 3, &normaliser);
    assert_refused(&bad, E_FORMAT, "does not fit");
}

/* Tries whose units lead anywhere: any answer, but one. */
static void wild_maps_end(void **state)
{
    uint32_t r = 5;

    (void)state;
    for (int trial = 0; trial < 300; trial++) {
        struct writer w = {.n = 0}, normaliser = {.n = 0}, map = {.n = 0};
        uint32_t n = 4 * (1 + draw(&r, 512));
        struct unigram *u;
        char text[200], *out;
        size_t length;

        put(&map, &n, 4);
        for (uint32_t i = 0; i < n / 4; i++) {
            uint32_t unit = draw(&r, 1 << 24) << 8 ^ draw(&r, 512);

            if (draw(&r, 2))
                unit = draw(&r, 512) << 10 | draw(&r, 2) << 8 | draw(&r, 256);
            put(&map, &unit, 4);
        }
        put(&map, "abc\0de", 7);
        put_message(&normaliser, 2, &map);
        put_model(&w, &normaliser);
        u = opened(&w);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)draw(&r, 256);
        assert_int_equal(unigram_normalise(u, &out, &length, text, sizeof text, NULL), OK);
        free(out);
        unigram_close(u);
    }
}

static void a_file_or_its_folder(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct writer w = {.n = 0}, none = {.n = 0};
    struct error err = {0};
    struct unigram *u;

    (void)state;
    put_model(&w, &none);
    temp_dir_new(dir);
    assert_int_equal(unigram_open(&u, dir, &err), E_IO);
    assert_non_null(strstr(err.text, "spiece.model"));
    assert_int_equal(file_write(temp_path(path, dir, "spiece.model"), w.bytes, w.n, NULL), OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unigram_open(&u, i ? path : dir, NULL), OK);
        assert_ids(u, "a", IDS(2, 3));
        unigram_close(u);
    }
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_sum_wins),
        cmocka_unit_test(bytes_stand_in_for_the_unknown),
        cmocka_unit_test(every_cut_is_the_recurrences),
        cmocka_unit_test(the_longest_key_gives_way),
        cmocka_unit_test(a_model_may_leave_spaces_alone),
        cmocka_unit_test(long_texts_come_through),
        cmocka_unit_test(damaged_models_are_refused),
        cmocka_unit_test(wild_maps_end),
        cmocka_unit_test(a_file_or_its_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
