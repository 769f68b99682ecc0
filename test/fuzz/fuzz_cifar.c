/*
 * fuzz_cifar.c - any bytes as two files of CIFAR-10 records
 *
 * The format has no header, so most bytes are refused by their number; the input is therefore
 * repeated up to a whole record as well, which lets every byte reach the weaving of planes.
 */
#include "data/cifar.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const int64_t plane = CIFAR_SIDE * CIFAR_SIDE;
    uint8_t record[CIFAR_RECORD];
    struct stored s = {0};
    struct error err = {0};
    volatile unsigned sum = 0; /* volatile, so that every element is read */

    cifar_decode(&s, bytes, n, "fuzz", &err);
    for (size_t i = 0; n && i < sizeof record; i++)
        record[i] = bytes[i % n];
    if (n)
        cifar_decode(&s, record, sizeof record, "fuzz", &err);
    for (int64_t i = 0; i < s.n; i++)
        sum = sum + s.labels[i] + s.pixels[i * 3 * plane] + s.pixels[(i + 1) * 3 * plane - 1];
    stored_release(&s);
    return 0;
}
