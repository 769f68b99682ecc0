/*
 * tensor.c - sizes and names of shapes
 */
#include "tensor/tensor.h"

#include "tensor/matrix.h"

#include <inttypes.h>
#include <stdio.h>

int64_t shape_count(struct shape s)
{
    int64_t n = 1;

    for (int i = 0; i < s.rank; i++)
        n *= s.dim[i];
    return n;
}

bool shape_equal(struct shape a, struct shape b)
{
    if (a.rank != b.rank)
        return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

int64_t shape_last(struct shape s)
{
    return s.rank ? s.dim[s.rank - 1] : 1;
}

int64_t shape_rows(struct shape s)
{
    int64_t n = 1;

    for (int i = 0; i + 1 < s.rank; i++)
        n *= s.dim[i];
    return n;
}

struct shape shape_with_last(struct shape s, int64_t last)
{
    s.dim[s.rank - 1] = last;
    return s;
}

const char *shape_text(char buf[SHAPE_TEXT], struct shape s)
{
    size_t n = (size_t)snprintf(buf, SHAPE_TEXT, "[");

    for (int i = 0; i < s.rank && n < SHAPE_TEXT; i++)
        n += (size_t)snprintf(buf + n, SHAPE_TEXT - n, "%s%" PRId64, i ? ", " : "", s.dim[i]);
    if (n < SHAPE_TEXT)
        snprintf(buf + n, SHAPE_TEXT - n, "]");
    return buf;
}

size_t tensor_bytes(const struct tensor *t)
{
    if (t->dtype == DTYPE_STORED)
        return matrix_all_bytes(t->data);
    return (size_t)shape_count(t->shape) * sizeof(float); /* and int32_t, which is as wide */
}
