/*
 * cifar.h - the binary version of CIFAR-10
 */
#ifndef IMGEN_DATA_CIFAR_H
#define IMGEN_DATA_CIFAR_H

#include "data/stored.h"

enum { CIFAR_SIDE = 32, CIFAR_CLASSES = 10, CIFAR_RECORD = 1 + 3 * CIFAR_SIDE * CIFAR_SIDE };

/* Append the records of one file to *s (zeroed or holding earlier files).  name: for messages.
 * E_FORMAT unless it is one or more whole records with labels 0..9; E_MEMORY; *s keeps what it had.
 */
enum status cifar_decode(struct stored *s, const uint8_t *bytes, uint64_t n, const char *name,
                         struct error *err);

#endif
