/*
 * precision.c - the names of the precisions
 */
#include "tensor/precision.h"

#include <stddef.h>

static const struct {
    const char *name, *summary;
} precisions[] = {
    [PRECISION_FLOAT32] = {"float32", "products of 24-bit numbers"},
    [PRECISION_BF16] = {"bf16", "products of 8-bit numbers with an exponent each, sums in float32"},
    [PRECISION_INT8] = {"int8", "products of 8-bit numbers with a scale for each row, sampling only"},
};

enum { N = sizeof precisions / sizeof *precisions };

const char *precision_name(int i)
{
    return i >= 0 && i < N ? precisions[i].name : NULL;
}

const char *precision_summary(int i)
{
    return i >= 0 && i < N ? precisions[i].summary : NULL;
}

const char *precision_trained_name(int i)
{
    return i < PRECISION_INT8 ? precision_name(i) : NULL;
}
