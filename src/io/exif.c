/*
 * exif.c - which way up a camera held the picture
 *
 *     "II" or "MM"      byte order of all that follows
 *     u16 42
 *     u32               offset of the first directory, from the byte order
 *     directory         u16 count | count entries of 12 bytes: u16 tag, u16 type, u32 count, 4
 * bytes
 *
 * Of all that EXIF may say only the tag 0x0112 matters, a u16 in the entry itself.  A dozen lines
 * read it; a library for it would bring parsers of every maker's notes.  Nothing is followed but
 * the one offset, and every read is checked.  Exif 2.32, section 4.6.
 */
#include "io/codec.h"

#include <string.h>

enum { ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };

static uint32_t get(const uint8_t *p, int bytes, bool little)
{
    uint32_t x = 0;

    for (int i = 0; i < bytes; i++)
        x = x << 8 | p[little ? bytes - 1 - i : i];
    return x;
}

int exif_orientation(const uint8_t *bytes, size_t n)
{
    size_t at, entries;
    bool little;

    if (n < 8 || (memcmp(bytes, "II", 2) != 0 && memcmp(bytes, "MM", 2) != 0))
        return 1;
    little = bytes[0] == 'I';
    at = get(bytes + 4, 4, little);
    if (get(bytes + 2, 2, little) != 42 || at > n - 2)
        return 1;
    entries = get(bytes + at, 2, little);
    at += 2;
    for (size_t i = 0; i < entries && n - at >= ENTRY; i++, at += ENTRY) {
        const uint8_t *entry = bytes + at;
        uint32_t value = get(entry + 8, 2, little);

        if (get(entry, 2, little) == ORIENTATION && get(entry + 2, 2, little) == TYPE_SHORT)
            return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
