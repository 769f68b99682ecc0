/*
 * fuzz_model.c - the description inside a model file, from any bytes
 *
 * What is accepted must describe itself again, and that description must be accepted and equal.
 */
#include "pipeline/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_again(const struct model *m)
{
    struct model *again = NULL;
    char *a = NULL, *b = NULL;

    if (model_describe(m, &a, NULL))
        abort();
    if (model_from_text(&again, a, "again", NULL) || model_describe(again, &b, NULL) ||
        strcmp(a, b))
        abort();
    free(a);
    free(b);
    model_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct model *m = NULL;
    char *text = malloc(n + 1);

    if (!text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = 0;
    if (!model_from_text(&m, text, "fuzz", &err))
        check_again(m);
    model_free(m);
    free(text);
    return 0;
}
