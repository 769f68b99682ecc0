/*
 * seal.h - descriptions that carry a checksum of what they say, and of what they describe
 */
#ifndef IMGEN_DATA_SEAL_H
#define IMGEN_DATA_SEAL_H

#include "base/hash.h"
#include "base/json.h"

/* Sets the object's last member, "checksum": the SHA-256 of its line of text without that member
 * and, where there are bytes that it describes, of a new line and those.  *out: the line of text
 * with it, heap.  E_MEMORY. */
enum status seal_close(char **out, json_t *root, const void *bytes, uint64_t n, struct error *err);

/* Takes "checksum" out of the object again.  E_FORMAT where it is missing or another, naming both;
 * E_MEMORY. */
enum status seal_open(json_t *root, const void *bytes, uint64_t n, struct error *err);

/* E_FORMAT, naming both, unless they are the same. */
enum status seal_compare(const char *claimed, const char *found, struct error *err);

#endif
