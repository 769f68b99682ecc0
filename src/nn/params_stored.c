/*
 * params_stored.c - weights that stay in their file
 *
 * A model of two billion parameters has nearly all of them in the matrices of linear layers and in
 * tables of embeddings, and a file keeps those in two bytes, in one, or in less.  Products and
 * look-ups read them there, whatever the type (tensor/matrix.h), so nothing of them is copied and
 * processes that sample from one file share it.  So does the window of a table of positions, which
 * may be half a gigabyte, all but a few megabytes of it for pictures of other sizes.  What is left,
 * biases and norms, is small and becomes float32.
 *
 * What must stay true: nobody but those ops may see such a parameter, since it has no value
 * (param->matrix says whether that is so).
 */
#include "backend/cpu/widen.h"
#include "base/whole.h"
#include "nn/params.h"

#include <string.h>

/* --- a tensor of a file as a stored matrix ------------------------------------------------------
 */

/* Blocks of GGUF.  What the matrix is of, its tensor knows; where the tensor begins, the bytes. */
static void widen_blocks(float *out, const struct matrix *s, int64_t row, int64_t first, int64_t n)
{
    const struct file_tensor *t = s->user;
    int64_t before = (const uint8_t *)s->bytes - t->bytes;

    before = before / (int64_t)file_dtype_size(t->dtype) * file_dtype_block(t->dtype);
    file_tensor_f32_part(t, before + row * s->cols + first, n, out);
}

static bool type_of(enum matrix_type *out, enum file_dtype t)
{
    static const struct {
        enum file_dtype file;
        enum matrix_type stored;
    } types[] = {{FILE_F32, MATRIX_F32},         {FILE_F16, MATRIX_F16},
                 {FILE_BF16, MATRIX_BF16},       {FILE_F8_E4M3, MATRIX_F8_E4M3},
                 {FILE_F8_E5M2, MATRIX_F8_E5M2}, {FILE_I8, MATRIX_I8},
                 {FILE_Q8_0, MATRIX_Q8_0}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].file == t) {
            *out = types[i].stored;
            return true;
        }
    *out = MATRIX_OTHER;
    return file_dtype_block(t) > 1;
}

/* Rows [first, first + rows) of a tensor; false when its type is none for matrices, or its rows are
 * not whole blocks. */
static bool stored_rows(struct matrix *out, const struct file_tensor *t, int64_t first,
                        int64_t rows, int64_t cols)
{
    int64_t block = file_dtype_block(t->dtype);
    struct matrix s = {.rows = rows, .cols = cols, .block = block, .user = t};

    if (!type_of(&s.type, t->dtype) || cols % block || block > MATRIX_BLOCK)
        return false;
    s.row_bytes = cols / block * (int64_t)file_dtype_size(t->dtype);
    s.bytes = t->bytes + first * s.row_bytes;
    if (s.type == MATRIX_OTHER) {
        s.widen = widen_blocks; /* scale included */
    } else if (t->n_scale) {
        s.scale = t->scale + (t->n_scale == 1 ? 0 : first);
        s.scales = t->n_scale == 1 ? 1 : rows;
    }
    *out = s;
    return true;
}

/* --- parameters ---------------------------------------------------------------------------------
 */

bool param_lend(struct param *q, const struct param_rows *from, int n)
{
    int64_t rows = q->shape.dim[0], cols = rows ? shape_count(q->shape) / rows : 0;

    MUST(n > 0 && n <= PARAM_LENT, "%s: of %d tensors", q->name, n);
    if (!q->matrix || !param_keeps_order(q) || rows % n || !cols)
        return false;
    for (int k = 0; k < n; k++)
        if (!stored_rows(&q->lent_piece[k], from[k].tensor, from[k].first, rows / n, cols))
            return false;
    q->lent =
        n == 1 ? q->lent_piece[0]
               : (struct matrix){.rows = rows, .cols = cols, .piece = q->lent_piece, .pieces = n};
    return true;
}

void param_read(float *out, const struct param *q)
{
    if (q->value)
        memcpy(out, q->value, (size_t)shape_count(q->shape) * sizeof *out);
    else
        for (int64_t row = 0; row < q->lent.rows; row++, out += q->lent.cols)
            widen_row(widen_engine(), out, &q->lent, row, 0, q->lent.cols);
}
