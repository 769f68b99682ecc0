/*
 * encode.c - float32 into the types that files store
 *
 * Rounding must not change what a number is.  float16 ends at 65504, and a weight beyond it would
 * become infinite and the model nonsense, so that is refused with the number and its place, and
 * another type is for whoever has such a model.  The largest and whether all are finite is found in
 * one pass, which compilers make vectors of; only when something is wrong a second one looks for
 * where.
 */
#include "io/encode.h"

#include "base/simd.h"
#include "base/utf8.h"
#include "io/gguf_blocks.h"
#include "base/numbers.h"

#include <inttypes.h>
#include <math.h>

enum { LANES = 16 };

/* Past these, rounding to the nearest gives infinity: to float16, and to the float16 scale of a
 * block. */
static const float f16_end = 65520, q8_0_end = 65520.0f * 127;

/* The largest |x|; NaN when one of them is, infinite when one of them is. */
IMGEN_CLONES static float most_of(const float *x, int64_t n)
{
    float most[LANES] = {0}, bad[LANES] = {0}, out = 0, wrong = 0;
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            float size = fabsf(x[i + l]);

            most[l] = size > most[l] ? size : most[l];
            bad[l] += size * 0;
        }
    }
    for (; i < n; i++) {
        most[0] = fabsf(x[i]) > most[0] ? fabsf(x[i]) : most[0];
        bad[0] += x[i] * 0;
    }
    for (int l = 0; l < LANES; l++) {
        out = most[l] > out ? most[l] : out;
        wrong += bad[l];
    }
    /* An infinity makes a NaN of its own in `wrong`, and is told from one by the largest. */
    return isnan(wrong) && isfinite(out) ? wrong : out;
}

/* The first number whose size is not below `end`; there is one. */
static int64_t place_of(const float *x, int64_t n, float end)
{
    int64_t i = 0;

    while (i + 1 < n && fabsf(x[i]) < end)
        i++;
    return i;
}

static enum status must_be_finite(const float *x, int64_t n, float most, const char *name,
                                  int64_t first, struct error *err)
{
    char shown[UTF8_SHOWN];
    int64_t i;

    if (isfinite(most))
        return OK;
    i = place_of(x, n, INFINITY);
    return fail(err, E_NOT_FINITE, "tensor %s: number %" PRId64 " is %g", utf8_shown(shown, name),
                first + i, (double)x[i]);
}

/* The first finite number past the end, if there is one; an infinity is one already. */
static enum status must_fit(const float *x, int64_t n, float end, const char *what,
                            const char *name, int64_t first, struct error *err)
{
    char shown[UTF8_SHOWN];

    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i]) && fabsf(x[i]) >= end)
            return fail(err, E_UNSUPPORTED,
                        "tensor %s: number %" PRId64 " is %g, past the largest that %s holds; bf16 "
                        "and f32 hold it",
                        utf8_shown(shown, name), first + i, (double)x[i], what);
    return OK;
}

IMGEN_CLONES static void to_f16(uint8_t *out, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits = f16_bits(x[i]);

        memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

IMGEN_CLONES static void to_bf16(uint8_t *out, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits = bf16_bits(x[i]);

        memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

enum status encode_floats(uint8_t *out, enum file_dtype to, const float *x, int64_t n,
                          const char *name, int64_t first, struct error *err)
{
    float most = to == FILE_F16 || to == FILE_Q8_0 ? most_of(x, n) : 0;
    enum status st = OK;

    MUST(n % file_dtype_block(to) == 0, "%s: %" PRId64 " numbers", name, n);
    switch (to) {
    case FILE_F32:
        memcpy(out, x, (size_t)n * sizeof *x);
        break;
    case FILE_F16:
        if (!(most < f16_end))
            st = must_fit(x, n, f16_end, "float16", name, first, err);
        if (!st)
            to_f16(out, x, n);
        break;
    case FILE_BF16:
        to_bf16(out, x, n);
        break;
    case FILE_Q8_0:
        if (!(st = must_be_finite(x, n, most, name, first, err)) && most >= q8_0_end)
            st = must_fit(x, n, q8_0_end, "a block of Q8_0", name, first, err);
        if (!st)
            gguf_to_q8_0(out, x, n);
        break;
    default:
        MUST(false, "%s cannot be written", file_dtype_name(to));
    }
    return st;
}

/* Adding 1.5 * 2^23 leaves the nearest whole number in the low bits, ties to even. */
IMGEN_CLONES static void to_codes(int8_t *out, const float *x, int64_t n, float per_step)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (int8_t)(uint8_t)number_bits(x[i] * per_step + 12582912.0f);
}

enum status encode_row(int8_t *out, float *scale, const float *x, int64_t n, const char *name,
                       int64_t row, struct error *err)
{
    float most = most_of(x, n);
    enum status st;

    if ((st = must_be_finite(x, n, most, name, row * n, err)))
        return st;
    *scale = most / 127;
    if (out)
        to_codes(out, x, n, most > 0 ? 127 / most : 0);
    return OK;
}
