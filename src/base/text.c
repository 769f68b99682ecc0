/*
 * text.c - building sentences and reading numbers from them
 *
 * A mistyped name is usually one slip away from the meant one: a letter missing, doubled, wrong, or
 * two swapped.  The distance that counts exactly these is the restricted one of Damerau (1964) on
 * the table of Wagner and Fischer (1974).  Only three rows of that table are alive at a time, so
 * names are bounded and nothing is allocated.
 *
 * The C library reads and prints numbers in the locale of the whole process, and a library does not
 * own the process: in a German program strtod("0.5") is 0.  Each conversion therefore runs under
 * the "C" locale of its own thread (POSIX uselocale), which glibc hands out without allocating.
 *
 * What must stay true: a builder's data is a closed string at every moment, also after it was cut.
 */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LETTERS = 63, HEAP_START = 256 };

/* ---- The nearest name ---- */

static int letter(char c)
{
    return c == '-' || c == ' ' ? '_' : tolower((unsigned char)c);
}

static int min3(int a, int b, int c)
{
    int ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Slips between two words of at most NAME_MAX_LETTERS letters. */
static int distance(const char *a, int na, const char *b, int nb)
{
    int rows[3][NAME_MAX_LETTERS + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];

    for (int j = 0; j <= nb; j++)
        above[j] = before[j] = j;
    for (int i = 1; i <= na; i++) {
        int *spare = before;

        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int wrong = letter(a[i - 1]) != letter(b[j - 1]);

            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + wrong);
            if (i > 1 && j > 1 && letter(a[i - 1]) == letter(b[j - 2]) &&
                letter(a[i - 2]) == letter(b[j - 1]) && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[nb];
}

const char *text_nearest(const char *word, const char *const *names, int n)
{
    const char *nearest = NULL;
    size_t length = strlen(word);
    int best;

    if (length > NAME_MAX_LETTERS)
        return NULL;
    best = length < 6 ? 2 : 1 + (int)length / 3; /* the first distance that is too far */
    for (int i = 0; i < n; i++) {
        size_t other = names[i] ? strlen(names[i]) : NAME_MAX_LETTERS + 1;
        int d;

        if (other > NAME_MAX_LETTERS)
            continue;
        d = distance(word, (int)length, names[i], (int)other);
        /* A name all of whose letters are wrong is no suggestion, however short it is. */
        if (d < best && d < (int)(length > other ? length : other)) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

/* ---- The builder ---- */

void text_init(struct text *t, char *array, size_t room)
{
    /* The empty literal is never written: room 0 lets nothing in. */
    *t = (struct text){
        .data = array ? array : (char *)"", .room = array ? room : 0, .grows = !array};
    if (t->room)
        t->data[0] = '\0';
}

/* Room for n more letters and the closing zero; less when the text is cut. */
static size_t text_reserve(struct text *t, size_t n)
{
    size_t room = t->room ? t->room : HEAP_START;
    char *bigger;

    if (t->cut)
        return 0;
    if (t->room && n < t->room - t->used)
        return n;
    if (t->grows && n < SIZE_MAX / 4 && t->used < SIZE_MAX / 4) {
        while (room - t->used <= n)
            room *= 2;
        bigger = realloc(t->room ? t->data : NULL, room);
        if (bigger) {
            t->data = bigger;
            t->room = room;
            t->data[t->used] = '\0';
            return n;
        }
    }
    t->cut = true;
    return t->room ? t->room - t->used - 1 : 0;
}

void text_add_bytes(struct text *t, const char *bytes, size_t n)
{
    n = text_reserve(t, n);
    if (!n)
        return;
    memcpy(t->data + t->used, bytes, n);
    t->used += n;
    t->data[t->used] = '\0';
}

void text_add_base64(struct text *t, const void *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = bytes;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)from[i] << 16 | (i + 1 < n ? (uint32_t)from[i + 1] << 8 : 0) |
                         (i + 2 < n ? from[i + 2] : 0u);
        const char four[] = {digits[three >> 18], digits[three >> 12 & 63],
                             i + 1 < n ? digits[three >> 6 & 63] : '=',
                             i + 2 < n ? digits[three & 63] : '='};

        text_add_bytes(t, four, sizeof four);
    }
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    size_t fits;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n <= 0)
        return;
    fits = text_reserve(t, (size_t)n);
    if (!fits)
        return;
    va_start(ap, fmt);
    vsnprintf(t->data + t->used, fits + 1, fmt, ap);
    va_end(ap);
    t->used += fits;
}

void text_release(struct text *t)
{
    if (t->grows && t->room)
        free(t->data);
    *t = (struct text){0};
}

char *text_take(struct text *t)
{
    char *whole = NULL;

    if (t->grows && !t->room)
        text_reserve(t, 0);
    if (t->grows && !t->cut) {
        whole = t->data;
        *t = (struct text){0};
    }
    text_release(t);
    return whole;
}

/* ---- Numbers ---- */

/* strtod takes more than a person means by a number, so the letters are checked first. */
static bool looks_decimal(const char *text)
{
    return *text && !text[strspn(text, "0123456789+-.eE")] && text[strspn(text, "+-.")] >= '0' &&
           text[strspn(text, "+-.")] <= '9';
}

bool text_to_real(const char *text, double *out)
{
    locale_t plain, mine;
    double x;
    char *end;

    if (!looks_decimal(text))
        return false;
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return false;
    mine = uselocale(plain);
    x = strtod(text, &end);
    uselocale(mine);
    freelocale(plain);
    if (*end || !isfinite(x))
        return false;
    *out = x;
    return true;
}

bool text_to_int(const char *text, int64_t *out)
{
    long long x;
    char *end;

    if (!isdigit((unsigned char)text[*text == '-' || *text == '+']))
        return false;
    errno = 0;
    x = strtoll(text, &end, 10);
    if (*end || errno == ERANGE)
        return false;
    *out = x;
    return true;
}

bool text_to_seed(const char *text, uint64_t *out)
{
    unsigned long long x;
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    x = strtoull(text, &end, 10);
    if (*end || errno == ERANGE)
        return false;
    *out = x;
    return true;
}

bool text_to_bytes(const char *text, int64_t *out)
{
    static const char letters[] = "KMGT";
    size_t n = strlen(text);
    const char *unit = n ? strchr(letters, toupper((unsigned char)text[n - 1])) : NULL;
    char number[TEXT_REAL];
    double x;

    if (n >= sizeof number)
        return false;
    memcpy(number, text, n + 1);
    if (unit)
        number[n - 1] = 0;
    if (!text_to_real(number, &x) || x < 0)
        return false;
    for (long k = 0; unit && k <= unit - letters; k++)
        x *= 1024;
    if (x >= 0x1p62)
        return false;
    *out = (int64_t)x;
    return true;
}

const char *text_from_real(char out[TEXT_REAL], double x)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t mine = plain ? uselocale(plain) : (locale_t)0;

    /* Whole numbers a person would write out are written out: 1000000, not 1e+06. */
    snprintf(out, TEXT_REAL, "%.0f", fabs(x) < 1e15 ? x : 0.0);
    for (int digits = 6; digits <= 17 && strtod(out, NULL) != x; digits++)
        snprintf(out, TEXT_REAL, "%.*g", digits, x);
    if (plain) {
        uselocale(mine);
        freelocale(plain);
    }
    return out;
}
