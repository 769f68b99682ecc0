/*
 * fuzz_idx.c - any bytes as an IDX file, plain or gzip
 *
 * The first byte chooses labels or pictures.  What is accepted must be exactly what the dimensions
 * say: every element is touched, so that the sanitizer sees an array that is too short.
 */
#include "data/idx.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct idx a = {0};
    struct error err = {0};
    volatile unsigned sum = 0; /* volatile, so that every element is read */

    if (n < 1)
        return 0;
    if (!idx_decode(&a, bytes[0] & 1 ? 1 : 3, bytes + 1, n - 1, "fuzz", &err)) {
        int64_t count = a.dims[0] * (a.n_dims == 3 ? a.dims[1] * a.dims[2] : 1);

        for (int64_t i = 0; i < count; i++)
            sum = sum + a.bytes[i];
    }
    idx_release(&a);
    return 0;
}
