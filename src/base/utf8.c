/*
 * utf8.c - reading UTF-8 that comes from outside
 *
 * Names and texts in files are hostile: an overlong form hides a slash from a check, a surrogate
 * breaks the next reader, an escape character in an error message commands the terminal that shows
 * it.  The decoder is the definition read off (Unicode 15, table 3-7): the first byte says the
 * length and the smallest value that length is for, and a value below it is refused.
 */
#include "base/utf8.h"

#include <string.h>

int32_t utf8_next(const uint8_t **p, const uint8_t *end)
{
    static const int32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *s = *p;
    int32_t c = *s;
    int more;

    (*p)++;
    if (c < 0x80)
        return c;
    if (c < 0xC0 || c >= 0xF8)
        return -1;
    more = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    c &= 0x3F >> more;
    if (end - s <= more)
        return -1;
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return -1;
        c = c << 6 | (s[i] & 0x3F);
    }
    if (c < smallest[more] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return -1;
    *p = s + 1 + more;
    return c;
}

bool utf8_valid(const void *text, size_t n)
{
    const uint8_t *p = text, *end = p + n;

    while (p < end)
        if (utf8_next(&p, end) < 0)
            return false;
    return true;
}

size_t utf8_put(uint8_t out[4], int32_t c)
{
    static const uint8_t first[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
    out[0] = (uint8_t)(first[n] | c);
    return n;
}

const char *utf8_shown(char buf[UTF8_SHOWN], const char *text)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    size_t n = 0;

    while (p < end) {
        const uint8_t *start = p;
        int32_t c = utf8_next(&p, end);
        size_t bytes = (size_t)(p - start);

        if (n + bytes >= UTF8_SHOWN)
            break;
        if (c < 0x20 || (c >= 0x7F && c < 0xA0)) {
            buf[n++] = '?';
        } else {
            memcpy(buf + n, start, bytes);
            n += bytes;
        }
    }
    buf[n] = 0;
    return buf;
}
