/*
 * json_out.c - writing JSON to a stream, value by value
 *
 * The program prints JSON and never reads any, so commas, brackets and the escape of texts are all
 * there is to it.  Texts come from files and file names of strangers: a byte that is not part of a
 * UTF-8 letter becomes U+FFFD, so that every reader accepts what was printed.
 */
#include "json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_out_begin(struct json_out *j, FILE *to)
{
    memset(j, 0, sizeof *j);
    j->to = to;
}

/* Bytes of the UTF-8 letter at s, or 0.  Refuses overlong forms, surrogates and what lies past
 * U+10FFFF, as RFC 3629 lists them. */
static int letter_bytes(const unsigned char *s)
{
    unsigned char low = 0x80, high = 0xbf;
    int n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;

    if (n < 2)
        return n;
    if (*s == 0xe0)
        low = 0xa0;
    if (*s == 0xed)
        high = 0x9f;
    if (*s == 0xf0)
        low = 0x90;
    if (*s == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (int i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return n;
}

static void put_text(FILE *to, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    fputc('"', to);
    while (*s) {
        int n = letter_bytes(s);

        if (!n)
            fputs("\\ufffd", to);
        else if (*s == '"' || *s == '\\')
            fprintf(to, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", to);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(to, "\\u%04x", *s);
        else
            fwrite(s, 1, (size_t)n, to);
        s += n ? n : 1;
    }
    fputc('"', to);
}

/* What stands before a value: the comma, the line and the key. */
static void put_place(struct json_out *j, const char *key)
{
    if (j->depth) {
        fprintf(j->to, "%s\n%*s", j->filled[j->depth] ? "," : "", 2 * j->depth, "");
        j->filled[j->depth] = true;
    }
    if (key) {
        put_text(j->to, key);
        fputs(": ", j->to);
    }
}

void json_out_open(struct json_out *j, const char *key, char bracket)
{
    put_place(j, key);
    fputc(bracket, j->to);
    j->depth++;
    j->filled[j->depth] = false;
    j->closing[j->depth] = bracket == '{' ? '}' : ']';
}

void json_out_close(struct json_out *j)
{
    char closing = j->closing[j->depth];
    bool filled = j->filled[j->depth--];

    if (filled)
        fprintf(j->to, "\n%*s", 2 * j->depth, "");
    fputc(closing, j->to);
    if (!j->depth)
        fputc('\n', j->to);
}

void json_out_text(struct json_out *j, const char *key, const char *value)
{
    if (!value) {
        json_out_null(j, key);
        return;
    }
    put_place(j, key);
    put_text(j->to, value);
}

void json_out_int(struct json_out *j, const char *key, int64_t value)
{
    put_place(j, key);
    fprintf(j->to, "%" PRId64, value);
}

void json_out_seed(struct json_out *j, const char *key, uint64_t value)
{
    put_place(j, key);
    fprintf(j->to, "%" PRIu64, value);
}

void json_out_real(struct json_out *j, const char *key, double value)
{
    char digits[40];

    if (!isfinite(value)) {
        json_out_null(j, key);
        return;
    }
    for (int n = 15; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put_place(j, key);
    fputs(digits, j->to);
}

void json_out_bool(struct json_out *j, const char *key, bool value)
{
    json_out_raw(j, key, value ? "true" : "false");
}

void json_out_null(struct json_out *j, const char *key)
{
    json_out_raw(j, key, "null");
}

void json_out_raw(struct json_out *j, const char *key, const char *json)
{
    put_place(j, key);
    fputs(json, j->to);
}
