/*
 * tarball.c - tar archives made in memory, right ones and wrong ones
 *
 * Written from the format's description and sharing nothing with the reader, so that both cannot be
 * wrong in the same way; GNU tar itself is asked in test_tar.c where it is there.
 */
#include "support/tarball.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint8_t *room_for(struct tarball *t, uint64_t n)
{
    uint8_t *at = t->bytes + t->n;

    assert_true(n <= TARBALL_ROOM - t->n);
    t->n += n;
    memset(at, 0, n);
    return at;
}

void tarball_seal(uint8_t *header)
{
    unsigned sum = 0;

    memset(header + 148, ' ', 8);
    for (int i = 0; i < TARBALL_BLOCK; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

uint8_t *tarball_header(struct tarball *t, const char *name, char type, uint64_t size)
{
    uint8_t *h = room_for(t, TARBALL_BLOCK);

    assert_true(strlen(name) <= 100);
    memcpy(h, name, strlen(name));
    memcpy(h + 100, "0000644", 8);
    snprintf((char *)h + 124, 12, "%011llo", (unsigned long long)size);
    h[156] = (uint8_t)type;
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    tarball_seal(h);
    return h;
}

void tarball_content(struct tarball *t, const void *bytes, uint64_t n)
{
    memcpy(room_for(t, (n + TARBALL_BLOCK - 1) / TARBALL_BLOCK * TARBALL_BLOCK), bytes, n);
}

void tarball_file(struct tarball *t, const char *name, const void *bytes, uint64_t n)
{
    tarball_header(t, name, '0', n);
    tarball_content(t, bytes, n);
}

void tarball_text(struct tarball *t, const char *name, const char *text)
{
    tarball_file(t, name, text, strlen(text));
}

void tarball_special(struct tarball *t, char type, const char *text)
{
    tarball_header(t, "special", type, strlen(text));
    tarball_content(t, text, strlen(text));
}

void tarball_end(struct tarball *t)
{
    room_for(t, 2 * TARBALL_BLOCK);
}
