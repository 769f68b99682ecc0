/*
 * test_pack.c - stored numbers to floats, rows turned round, and parts of matrices as panels
 *
 * Everything that several processors do in their own way is asked of every way that this one has:
 * widening and turning move numbers and round nothing, so all must agree bit for bit.
 */
#include "backend/cpu/pack.h"
#include "backend/cpu/words.h"
#include "base/numbers.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool same(float a, float b)
{
    return isnan(a) ? isnan(b) : !memcmp(&a, &b, sizeof a);
}

/* --- one number at a time -----------------------------------------------------------------------
 */

static float value(enum matrix_type t, uint16_t bits)
{
    switch (t) {
    case MATRIX_F16:
        return f16_value(bits);
    case MATRIX_BF16:
        return bf16_value(bits);
    case MATRIX_F8_E4M3:
        return f8_e4m3_value((uint8_t)bits);
    case MATRIX_F8_E5M2:
        return f8_e5m2_value((uint8_t)bits);
    default:
        return (float)(int8_t)(uint8_t)bits;
    }
}

static void every_number_has_its_value(void **state)
{
    enum { ALL = 1 << 16 };
    static uint16_t halves[ALL];
    static uint8_t bytes[ALL];
    static float got[ALL];

    (void)state;
    for (int i = 0; i < ALL; i++) {
        halves[i] = (uint16_t)i;
        bytes[i] = (uint8_t)i;
    }
    for (int e = 0; widen_engine_at(e); e++)
        for (int t = MATRIX_F16; t <= MATRIX_I8 && widen_engine_at(e)->here(); t++) {
            bool wide = t == MATRIX_F16 || t == MATRIX_BF16;

            widen_engine_at(e)->numbers[t](got, wide ? (const void *)halves : bytes, ALL);
            for (int i = 0; i < ALL; i++)
                if (!same(got[i], value((enum matrix_type)t, (uint16_t)i)))
                    fail_msg("%s: %s %x became %a", widen_engine_at(e)->name,
                             matrix_name((enum matrix_type)t), (unsigned)i, (double)got[i]);
        }
}

/* --- parts of rows ------------------------------------------------------------------------------
 */

enum { ROWS = 6, COLS = 96, BLOCK = 12 };

/* Numbers that say where they are, told in blocks alone. */
static void widen_twelve(float *out, const struct matrix *s, int64_t row, int64_t first, int64_t n)
{
    assert_int_equal(first % BLOCK, 0);
    assert_int_equal(n % BLOCK, 0);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(1000 * row + first + i) + *(const float *)s->user;
}

static const float an_eighth = 0.125f;

/* A matrix of random bytes of each type; at an odd address. */
static struct matrix matrix(enum matrix_type t, unsigned char *bytes, const float *scale)
{
    struct matrix s = {.type = t, .rows = ROWS, .cols = COLS, .bytes = bytes + 1};
    struct rng r = rng_stream(5, RNG_TEST, (uint64_t)t);

    s.row_bytes = (int64_t)matrix_bytes(t, COLS);
    for (int64_t i = 0; i < ROWS * s.row_bytes; i++)
        bytes[1 + i] = (unsigned char)(rng_u32(&r) & 0x3f);
    if (t == MATRIX_F32)
        for (int i = 0; i < ROWS * COLS; i++)
            memcpy(bytes + 1 + 4 * i, &(float){(float)rng_normal(&r)}, 4);
    if (t == MATRIX_I8 || t == MATRIX_F8_E4M3) {
        s.scale = scale;
        s.scales = t == MATRIX_I8 ? ROWS : 1;
    }
    if (t == MATRIX_OTHER) {
        s.widen = widen_twelve;
        s.block = BLOCK;
        s.user = &an_eighth;
    }
    return s;
}

static float element(const struct matrix *s, int64_t row, int64_t i)
{
    const uint8_t *at = (const uint8_t *)s->bytes + row * s->row_bytes;
    float x = 0;
    uint16_t half = 0;

    if (s->type == MATRIX_OTHER)
        return (float)(1000 * row + i) + an_eighth;
    if (s->type == MATRIX_Q8_0) {
        memcpy(&half, at + i / 32 * 34, sizeof half);
        return f16_value(half) * (float)(int8_t)at[i / 32 * 34 + 2 + i % 32];
    }
    if (s->type == MATRIX_F32)
        memcpy(&x, at + 4 * i, sizeof x);
    else
        memcpy(&half, at + i * (int64_t)matrix_bytes(s->type, 1), matrix_bytes(s->type, 1));
    x = s->type == MATRIX_F32 ? x : value(s->type, half);
    return s->scales ? x * s->scale[s->scales == 1 ? 0 : row] : x;
}

static const float scales[] = {1, 0.5f, 0.3f, 2, 7, 0.01f};

static void any_part_of_a_row(void **state)
{
    static unsigned char bytes[4 * ROWS * COLS + 1];
    static float got[COLS + 1];

    (void)state;
    for (int e = 0; widen_engine_at(e); e++)
        for (int t = 0; t <= MATRIX_OTHER && widen_engine_at(e)->here(); t++) {
            struct matrix s = matrix((enum matrix_type)t, bytes, scales);

            for (int64_t first = 0; first < COLS; first += 7)
                for (int64_t n = 1; first + n <= COLS; n += 5) {
                    int64_t row = (first + n) % ROWS;

                    got[n] = 77;
                    widen_row(widen_engine_at(e), got, &s, row, first, n);
                    for (int64_t i = 0; i < n; i++)
                        assert_true(same(got[i], element(&s, row, first + i)));
                    assert_true(same(got[n], 77));
                }
        }
}

/* --- turned round -------------------------------------------------------------------------------
 */

static void every_way_turns_alike(void **state)
{
    static panel_word in[TURN_ROWS * TURN_STEP], out[TURN_WORDS * PANEL_COLS];
    static const int64_t counts[] = {1, 3, 4, 8, 15, 16, 17, 40, 255, 256};

    (void)state;
    for (int i = 0; i < TURN_ROWS * TURN_STEP; i++)
        in[i] = (panel_word)i;
    for (int e = 0; turn_engine_at(e); e++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts && turn_engine_at(e)->here(); c++) {
            memset(out, 0xff, sizeof out);
            turn_engine_at(e)->turn(out, in, counts[c]);
            for (int64_t k = 0; k < TURN_WORDS; k++)
                for (int64_t j = 0; j < PANEL_COLS; j++)
                    assert_int_equal(out[k * PANEL_COLS + j], j < TURN_ROWS && k < counts[c]
                                                                  ? in[j * TURN_STEP + k]
                                                                  : 0xffffffff);
        }
}

/* --- parts of a matrix --------------------------------------------------------------------------
 */

enum { TALL = 150, WIDE = 90 };

/* The floats of word (k, j) of B = W^T, or W, beyond the matrix 0. */
static float number(const float *w, bool turned, int64_t k, int64_t j)
{
    int64_t row = turned ? j : k, col = turned ? k : j;

    return row < TALL && col < WIDE ? w[row * WIDE + col] : 0;
}

static panel_word word_of(const float *w, bool turned, enum precision p, int64_t k, int64_t j)
{
    panel_word word;
    float x;

    if (p == PRECISION_BF16)
        return bf16_bits(number(w, turned, 2 * k, j)) |
               (panel_word)bf16_bits(number(w, turned, 2 * k + 1, j)) << 16;
    x = number(w, turned, k, j);
    memcpy(&word, &x, sizeof word);
    return word;
}

static void check_part(const struct pack_source *s, const float *w, struct pack_part p)
{
    static panel_word out[PACK_WORDS * PACK_COLS];

    memset(out, 0xff, sizeof out);
    p.out = out;
    p.step = p.words * PANEL_COLS;
    pack_part(s, &p);
    for (int64_t j = 0; j < (p.cols + PANEL_COLS - 1) / PANEL_COLS * PANEL_COLS; j++)
        for (int64_t k = 0; k < p.words; k++) {
            panel_word got = out[j / PANEL_COLS * p.step + k * PANEL_COLS + j % PANEL_COLS];
            panel_word want =
                j < p.cols ? word_of(w, s->turned, s->precision, p.word + k, p.col + j) : 0;

            if (got != want)
                fail_msg("%s, %s: word %d of column %d is %x, not %x",
                         s->turned ? "turned" : "as it lies", precision_name((int)s->precision),
                         (int)(p.word + k), (int)(p.col + j), (unsigned)got, (unsigned)want);
        }
}

static void parts_are_those_of_the_matrix(void **state)
{
    static float w[TALL * WIDE];
    struct matrix floats = matrix_floats(w, TALL, WIDE), piece[2];
    struct matrix two = {.rows = TALL, .cols = WIDE, .piece = piece, .pieces = 2};
    struct rng r = rng_stream(6, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, w, TALL * WIDE);
    piece[0] = matrix_floats(w, TALL / 2, WIDE);
    piece[1] = matrix_floats(w + TALL / 2 * WIDE, TALL / 2, WIDE);
    for (int c = 0; c < 16; c++) {
        bool turned = c & 1, neighbour = turned && c & 8;
        enum precision p = c & 2 ? PRECISION_BF16 : PRECISION_FLOAT32;
        struct pack_source s = pack_source(c & 4 ? &two : &floats, turned, p);
        int64_t N = turned ? TALL : WIDE, words = panel_words(p, turned ? WIDE : TALL);

        check_part(&s, w, (struct pack_part){.words = words, .cols = N, .neighbour = neighbour});
        check_part(&s, w, (struct pack_part){.word = 7, .words = 3, .col = 64, .cols = N - 64});
        check_part(
            &s, w,
            (struct pack_part){.word = words - 1, .words = 1, .cols = 64, .neighbour = neighbour});
    }
}

/* Bytes: as they are stored; of other types, the nearest multiples of a scale for each row. */
static void bytes_are_stored_or_nearest(void **state)
{
    enum { N = 3, K = 1030, WORDS = (K + 3) / 4 };
    static float w[N * K];
    static signed char bytes[N * K];
    static panel_word out[PACK_WORDS * PANEL_COLS];
    float scale[PANEL_COLS], total[PANEL_COLS] = {0};
    struct matrix floats = matrix_floats(w, N, K);
    struct matrix stored = {.type = MATRIX_I8, .rows = N, .cols = K, .bytes = bytes};
    struct rng r = rng_stream(7, RNG_TEST, 0);

    (void)state;
    stored.row_bytes = K;
    stored.scale = scales;
    stored.scales = N;
    rng_normals(&r, w, N * K);
    for (int i = 0; i < N * K; i++)
        bytes[i] = (signed char)(rng_u32(&r) % 256 - 128);
    for (int kind = 0; kind < 2; kind++) {
        struct pack_source s = pack_source(kind ? &stored : &floats, true, PRECISION_INT8);
        int64_t sum[N] = {0};

        pack_scales(&s, scale, 0, N);
        memset(total, 0, sizeof total);
        for (int64_t word = 0; word < WORDS; word += PACK_WORDS) {
            int64_t words = WORDS - word < PACK_WORDS ? WORDS - word : PACK_WORDS;
            const signed char *got = (const signed char *)out;

            pack_part(&s, &(struct pack_part){.word = word,
                                              .words = words,
                                              .cols = N,
                                              .out = out,
                                              .scale = scale,
                                              .total = total});
            for (int64_t k = 4 * word; k < 4 * (word + words); k++)
                for (int j = 0; j < N; j++) {
                    int byte = got[((k / 4 - word) * PANEL_COLS + j) * 4 + k % 4];
                    double x = k < K ? (double)w[j * K + k] : 0;

                    sum[j] += byte;
                    if (kind)
                        assert_int_equal(byte, k < K ? bytes[j * K + k] : 0);
                    else
                        assert_true(fabs(x - byte * (double)scale[j]) <= 0.501 * (double)scale[j]);
                }
        }
        for (int j = 0; j < N; j++) {
            assert_true(same(total[j], (float)sum[j]));
            assert_true(!kind || same(scale[j], scales[j]));
        }
        assert_true(same(scale[N], 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_has_its_value),
        cmocka_unit_test(any_part_of_a_row),
        cmocka_unit_test(every_way_turns_alike),
        cmocka_unit_test(parts_are_those_of_the_matrix),
        cmocka_unit_test(bytes_are_stored_or_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
