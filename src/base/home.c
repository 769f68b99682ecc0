/*
 * home.c - where this library lies
 *
 * Vocabularies and plugins are installed in places that stand in a fixed relation to the library. A
 * path that is fixed when it is compiled would forbid moving the tree, so the library asks the
 * loader where one of its own bytes came from.  Of a program that holds the library the loader
 * knows the name it was called by, which need not have a folder: then the system says.
 */
#define _GNU_SOURCE /* dladdr */

#include "base/home.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

void home_find(char out[HOME_PATH])
{
    static const char inside = 0;
    ssize_t n = -1;
    Dl_info info;
    char *slash;

    *out = 0;
    if (dladdr(&inside, &info) && info.dli_fname && strchr(info.dli_fname, '/')) {
        n = (ssize_t)strlen(info.dli_fname);
        if (n < HOME_PATH)
            memcpy(out, info.dli_fname, (size_t)n);
    } else {
        n = readlink("/proc/self/exe", out, HOME_PATH);
    }
    if (n < 0 || n >= HOME_PATH) {
        *out = 0;
        return;
    }
    out[n] = 0;
    slash = strrchr(out, '/');
    if (slash)
        slash[1] = 0;
}
