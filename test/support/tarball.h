/*
 * tarball.h - tar archives made in memory, right ones and wrong ones
 */
#ifndef IMGEN_TEST_SUPPORT_TARBALL_H
#define IMGEN_TEST_SUPPORT_TARBALL_H

#include <stdint.h>

enum { TARBALL_BLOCK = 512, TARBALL_ROOM = 1 << 18 };

struct tarball {
    uint8_t bytes[TARBALL_ROOM];
    uint64_t n;
};

/* A ustar header that says so, with the right checksum; returned to be changed, and sealed again.
 */
uint8_t *tarball_header(struct tarball *t, const char *name, char type, uint64_t size);
void tarball_seal(uint8_t *header);
/* n bytes and zeros up to a whole block. */
void tarball_content(struct tarball *t, const void *bytes, uint64_t n);
/* Both, for a file; of a text. */
void tarball_file(struct tarball *t, const char *name, const void *bytes, uint64_t n);
void tarball_text(struct tarball *t, const char *name, const char *text);
/* A member of another type whose content is a text: an extended header, a long name. */
void tarball_special(struct tarball *t, char type, const char *text);
void tarball_end(struct tarball *t); /* two blocks of zeros */

#endif
