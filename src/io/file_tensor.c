/*
 * file_tensor.c - element types of files, and tensors of them as the numbers we compute with
 *
 * Files hold twenty-five element types, in memory that is not aligned; the program computes in
 * float32.  One line of the lists below says all of a type: its name, the C type of its bits, its
 * value. From it come the loops that widen a whole tensor, one for each result, so that no branch
 * on the type stands inside a loop and no value is rounded twice on its way.  Types in blocks have
 * a loop to float32 in gguf_blocks.c.
 *
 * A tensor with scales beside it (float8, int8) is widened and then multiplied, in float32.  What
 * comes in blocks or is scaled is a float32 by its definition, and is widened to double from there:
 * both ways of reading give the same numbers.
 */
#include "io/file_tensor.h"

#include "base/simd.h"
#include "base/utf8.h"
#include "base/whole.h"
#include "io/gguf_blocks.h"
#include "base/numbers.h"

#include <inttypes.h>
#include <string.h>

enum { CHUNK = 1024 }; /* elements that are widened by way of float32 at once; whole blocks */

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

/* name, elements of a block, their values */
#define BLOCKS(X)                         \
    X(Q4_0, GGUF_BLOCK, gguf_from_q4_0)   \
    X(Q4_1, GGUF_BLOCK, gguf_from_q4_1)   \
    X(Q5_0, GGUF_BLOCK, gguf_from_q5_0)   \
    X(Q5_1, GGUF_BLOCK, gguf_from_q5_1)   \
    X(Q8_0, GGUF_BLOCK, gguf_from_q8_0)   \
    X(Q2_K, GGUF_BLOCK_K, gguf_from_q2_k) \
    X(Q3_K, GGUF_BLOCK_K, gguf_from_q3_k) \
    X(Q4_K, GGUF_BLOCK_K, gguf_from_q4_k) \
    X(Q5_K, GGUF_BLOCK_K, gguf_from_q5_k) \
    X(Q6_K, GGUF_BLOCK_K, gguf_from_q6_k)

/* The loop from a type to a result; in is not aligned. */
#define WIDEN(name, to, from, value)                                       \
    IMGEN_CLONES static void name(void *out, const uint8_t *in, int64_t n) \
    {                                                                      \
        to *x = out;                                                       \
        for (int64_t i = 0; i < n; i++) {                                  \
            from v;                                                        \
            memcpy(&v, in + i * (int64_t)sizeof v, sizeof v);              \
            x[i] = (to)(value);                                            \
        }                                                                  \
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
    [FILE_##type] = {#type, 1, sizeof(bits), f32_from_##type, f64_from_##type, i64_from_##type},
#define FLOAT_ROW(type, bits, value) \
    [FILE_##type] = {#type, 1, sizeof(bits), f32_from_##type, f64_from_##type, NULL},
#define BLOCK_ROW(type, block, widen) \
    [FILE_##type] = {#type, block, GGUF_BYTES_##type, widen, NULL, NULL},
static const struct {
    const char *name;
    int64_t block; /* elements          */
    size_t size;   /* bytes of a block  */
    void (*f32)(void *out, const uint8_t *in, int64_t n);
    void (*f64)(void *out, const uint8_t *in, int64_t n); /* NULL: by way of float32   */
    void (*i64)(void *out, const uint8_t *in, int64_t n); /* NULL: not whole numbers   */
} types[] = {INTEGERS(INTEGER_ROW) FLOATS(FLOAT_ROW) BLOCKS(BLOCK_ROW)};

enum { N_TYPES = sizeof types / sizeof *types };

const char *file_dtype_name(enum file_dtype t)
{
    return types[t].name;
}

int64_t file_dtype_block(enum file_dtype t)
{
    return types[t].block;
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

/* Where element i lies; i stands at the begin of a block. */
static const uint8_t *place(const struct file_tensor *t, int64_t i)
{
    return t->bytes + i / types[t->dtype].block * (int64_t)types[t->dtype].size;
}

IMGEN_CLONES static void times(float *x, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= scale;
}

/* out holds elements first .. first + n - 1 as they are stored. */
static void apply_scale(const struct file_tensor *t, int64_t first, int64_t n, float *out)
{
    int64_t row = n ? file_tensor_count(t) / t->n_scale : 1;

    for (int64_t i = first, end = first + n; i < end;) {
        int64_t many = whole_min(end - i, row - i % row);

        times(out + (i - first), t->scale[i / row], many);
        i += many;
    }
}

void file_tensor_f32_part(const struct file_tensor *t, int64_t first, int64_t n, float *out)
{
    int64_t block = types[t->dtype].block;

    MUST(first % block == 0 && n % block == 0, "%s: %" PRId64 " elements from %" PRId64, t->name, n,
         first);
    types[t->dtype].f32(out, place(t, first), n);
    if (t->n_scale)
        apply_scale(t, first, n, out);
}

enum status file_tensor_f32(const struct file_tensor *t, float *out, struct error *err)
{
    (void)err; /* every type has values as float32 */
    file_tensor_f32_part(t, 0, file_tensor_count(t), out);
    return OK;
}

enum status file_tensor_f64(const struct file_tensor *t, double *out, struct error *err)
{
    int64_t n = file_tensor_count(t);
    float part[CHUNK];

    (void)err;
    if (types[t->dtype].f64 && !t->n_scale) {
        types[t->dtype].f64(out, t->bytes, n);
        return OK;
    }
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t many = whole_min(n - first, CHUNK);

        file_tensor_f32_part(t, first, many, part);
        for (int64_t i = 0; i < many; i++)
            out[first + i] = (double)part[i];
    }
    return OK;
}

enum status file_tensor_i64(const struct file_tensor *t, int64_t *out, struct error *err)
{
    int64_t n = file_tensor_count(t);
    char name[UTF8_SHOWN];

    if (!types[t->dtype].i64 || t->n_scale)
        return fail(err, E_FORMAT, "tensor %s holds %s%s, must hold integers",
                    utf8_shown(name, t->name), t->n_scale ? "scaled " : "", types[t->dtype].name);
    types[t->dtype].i64(out, t->bytes, n);
    for (int64_t i = 0; i < n && t->dtype == FILE_U64; i++)
        if (out[i] < 0)
            return fail(err, E_FORMAT, "tensor %s: element %" PRId64 " is %" PRIu64 ", too large",
                        utf8_shown(name, t->name), i, (uint64_t)out[i]);
    return OK;
}
