/*
 * numbers.c - element types of files, and their values as the types we compute with
 *
 * Files hold fifteen element types, in memory that is not aligned; the program computes in float32.
 * One line of the lists below says all of a type: its name, the C type of its bits, its value. From
 * it come the loops that widen a whole tensor, one for each result, so that no branch on the type
 * stands inside a loop and no value is rounded twice on its way.
 *
 * Bytes are little-endian in the file and on every machine this is built for (x86-64, arm64); a
 * big-endian build is stopped below, not silently wrong.
 */
#include "io/numbers.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little-endian, and values are copied out of them as they are"
#endif

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* A format of e exponent bits (IEEE bias) and m mantissa bits, sign in front, widened: the exponent
 * is rebiased, the mantissa moves up, and a subnormal m 2^-k is scaled by the floating unit. */
static float widen(uint32_t bits, int e, int m)
{
    uint32_t sign = bits >> (e + m) << 31, rest = bits & ((1u << (e + m)) - 1);
    uint32_t exponent = rest >> m, top = (1u << e) - 1;
    int bias = (1 << (e - 1)) - 1;

    if (exponent == 0)
        return float_of(sign | bits_of(ldexpf((float)rest, 1 - bias - m)));
    if (exponent == top)
        return float_of(sign | 0x7F800000u | rest << (23 - m));
    return float_of(sign | ((rest << (23 - m)) + ((uint32_t)(127 - bias) << 23)));
}

float f16_value(uint16_t bits)
{
    return widen(bits, 5, 10);
}

float bf16_value(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

float f8_e4m3_value(uint8_t bits)
{
    uint32_t sign = (uint32_t)bits >> 7 << 31, rest = bits & 0x7Fu;

    if (rest == 0x7F)
        return float_of(sign | 0x7FC00000u);
    /* The top exponent holds numbers here: 2^8 (1 + m / 8). */
    if (rest >= 0x78)
        return float_of(sign | bits_of(256 * (1 + (float)(rest & 7) / 8)));
    return widen(bits, 4, 3);
}

float f8_e5m2_value(uint8_t bits)
{
    return widen(bits, 5, 2);
}

uint16_t f16_bits(float x)
{
    uint32_t sign = bits_of(x) >> 31 << 15;
    double size = fabs((double)x), step;
    int exponent;

    if (isnan(x))
        return (uint16_t)(sign | 0x7E00);
    if (size >= 65520)
        return (uint16_t)(sign | 0x7C00);
    if (size == 0)
        return (uint16_t)sign;
    frexp(size, &exponent); /* size in [2^(exponent - 1), 2^exponent) */
    if (exponent < -13)
        exponent = -13; /* below the smallest normal the spacing stays */
    step = nearbyint(ldexp(size, 11 - exponent));
    /* step counts units in the last place; 1024 of them are the next exponent, carry included. */
    return (uint16_t)(sign | (uint32_t)((exponent + 13) * 1024 + (int)step));
}

uint16_t bf16_bits(float x)
{
    uint32_t bits = bits_of(x);

    if (isnan(x))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* name, C type of the bits, value of v */
#define INTEGERS(X)          \
    X(BOOL, uint8_t, v != 0) \
    X(U8, uint8_t, v)        \
    X(I8, int8_t, v)         \
    X(U16, uint16_t, v)      \
    X(I16, int16_t, v)       \
    X(U32, uint32_t, v)      \
    X(I32, int32_t, v)       \
    X(U64, uint64_t, v)      \
    X(I64, int64_t, v)
#define FLOATS(X)                         \
    X(F16, uint16_t, f16_value(v))        \
    X(BF16, uint16_t, bf16_value(v))      \
    X(F32, float, v)                      \
    X(F64, double, v)                     \
    X(F8_E4M3, uint8_t, f8_e4m3_value(v)) \
    X(F8_E5M2, uint8_t, f8_e5m2_value(v))

/* The loop from a type to a result; in is not aligned. */
#define WIDEN(name, to, from, value)                          \
    static void name(void *out, const uint8_t *in, int64_t n) \
    {                                                         \
        to *x = out;                                          \
        for (int64_t i = 0; i < n; i++) {                     \
            from v;                                           \
            memcpy(&v, in + i * (int64_t)sizeof v, sizeof v); \
            x[i] = (to)(value);                               \
        }                                                     \
    }
#define TO_F32(type, bits, value) WIDEN(f32_from_##type, float, bits, value)
#define TO_F64(type, bits, value) WIDEN(f64_from_##type, double, bits, value)
#define TO_I64(type, bits, value) WIDEN(i64_from_##type, int64_t, bits, value)
INTEGERS(TO_F32)
INTEGERS(TO_F64)
INTEGERS(TO_I64)
FLOATS(TO_F32)
FLOATS(TO_F64)

#define INTEGER_ROW(type, bits, value) \
    [FILE_##type] = {#type, sizeof(bits), f32_from_##type, f64_from_##type, i64_from_##type},
#define FLOAT_ROW(type, bits, value) \
    [FILE_##type] = {#type, sizeof(bits), f32_from_##type, f64_from_##type, NULL},
static const struct {
    const char *name;
    size_t size;
    void (*f32)(void *out, const uint8_t *in, int64_t n);
    void (*f64)(void *out, const uint8_t *in, int64_t n);
    void (*i64)(void *out, const uint8_t *in, int64_t n); /* NULL for floating types */
} types[] = {INTEGERS(INTEGER_ROW) FLOATS(FLOAT_ROW)};

enum { N_TYPES = sizeof types / sizeof *types };

const char *file_dtype_name(enum file_dtype t)
{
    return types[t].name;
}

size_t file_dtype_size(enum file_dtype t)
{
    return types[t].size;
}

bool file_dtype_parse(enum file_dtype *out, const char *name)
{
    for (int i = 0; i < N_TYPES; i++) {
        if (!strcmp(types[i].name, name)) {
            *out = (enum file_dtype)i;
            return true;
        }
    }
    return false;
}

int64_t file_tensor_count(const struct file_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

enum status file_tensor_f32(const struct file_tensor *t, float *out, struct error *err)
{
    (void)err; /* every type has values as float32 */
    types[t->dtype].f32(out, t->bytes, file_tensor_count(t));
    return OK;
}

enum status file_tensor_f64(const struct file_tensor *t, double *out, struct error *err)
{
    (void)err;
    types[t->dtype].f64(out, t->bytes, file_tensor_count(t));
    return OK;
}

enum status file_tensor_i64(const struct file_tensor *t, int64_t *out, struct error *err)
{
    int64_t n = file_tensor_count(t);
    char name[UTF8_SHOWN];

    if (!types[t->dtype].i64)
        return fail(err, E_FORMAT, "tensor %s holds %s, must hold integers",
                    utf8_shown(name, t->name), types[t->dtype].name);
    types[t->dtype].i64(out, t->bytes, n);
    for (int64_t i = 0; i < n && t->dtype == FILE_U64; i++)
        if (out[i] < 0)
            return fail(err, E_FORMAT, "tensor %s: element %" PRId64 " is %" PRIu64 ", too large",
                        utf8_shown(name, t->name), i, (uint64_t)out[i]);
    return OK;
}
