/*
 * picture_names.c - the names of several pictures, made from one
 *
 * Numbers are as wide as the last one, and at least three digits, so that a folder lists the
 * pictures in their order.
 */
#include "picture_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char ending[] = ".png";

bool picture_name_ends(const char *name)
{
    size_t n = strlen(name), e = sizeof ending - 1;

    return n > e && n < PICTURE_NAME - 64 && !strcasecmp(name + n - e, ending);
}

size_t picture_name_stem(const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');

    return dot ? (size_t)(dot - name) : strlen(name);
}

void picture_name_marked(char out[PICTURE_NAME], const char *name, const char *mark)
{
    size_t stem = picture_name_stem(name);

    snprintf(out, PICTURE_NAME, "%.*s-%s%s", (int)stem, name, mark, name + stem);
}

void picture_name(char out[PICTURE_NAME], const char *name, int64_t i, int64_t n)
{
    int width = snprintf(NULL, 0, "%" PRId64, n - 1);
    char number[32];

    if (n == 1) {
        snprintf(out, PICTURE_NAME, "%s", name);
        return;
    }
    snprintf(number, sizeof number, "%0*" PRId64, width < 3 ? 3 : width, i);
    picture_name_marked(out, name, number);
}
