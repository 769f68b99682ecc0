/*
 * hash.h - what a file is, in 64 hexadecimal digits
 */
#ifndef IMGEN_BASE_HASH_H
#define IMGEN_BASE_HASH_H

#include "base/error.h"

enum { HASH_TEXT = 65 };

/* SHA-256 of a file's bytes, in small letters.  E_IO. */
enum status hash_file(char out[HASH_TEXT], const char *path, struct error *err);

#endif
