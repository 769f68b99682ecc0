/*
 * temp.c - a folder of its own for a test that writes files
 */
#include "support/temp.h"

#include "base/error.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void temp_dir_new(char dir[TEMP_PATH])
{
    const char *base = getenv("TMPDIR");

    snprintf(dir, TEMP_PATH, "%s/imgen-test-XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(dir), "cannot make %s", dir);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void temp_dir_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *temp_path(char out[TEMP_PATH], const char *dir, const char *name)
{
    snprintf(out, TEMP_PATH, "%s/%s", dir, name);
    return out;
}

/* Where the tests of a group run, and where the program was before. */
struct place {
    char folder[TEMP_PATH], before[TEMP_PATH];
};

int temp_enter(void **state)
{
    struct place *p = malloc(sizeof *p);

    MUST(p, "no memory for a path");
    temp_dir_new(p->folder);
    MUST(getcwd(p->before, sizeof p->before) && !chdir(p->folder), "cannot enter %s", p->folder);
    *state = p;
    return 0;
}

int temp_leave(void **state)
{
    struct place *p = *state;
    int failed = chdir(p->before);

    temp_dir_remove(p->folder);
    free(p);
    return failed;
}
