/*
 * vocabulary.c - where the vocabulary of a text encoder lies
 *
 * CLIP's merges are free to be passed on and come with the program.  Where they are is found from
 * where this library is, not from a path fixed at compile time, so that an installed tree may be
 * moved, and a program out of the build folder finds the copy there:
 *
 *     PREFIX/lib/libimgen.so      ->  PREFIX/share/imgen/clip/merges.txt (IMGEN_DATA_FROM_LIBRARY)
 *     build/libimgen.so           ->  build/share/imgen/clip/merges.txt
 *
 * A checkpoint's own vocabulary comes first: a reduced model may have one of its own.
 */
#include "text/vocabulary.h"

#include "base/home.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 4 };

struct places {
    const char *what;
    const char *of_checkpoint[PLACES]; /* below a checkpoint's folder, ends at the first NULL */
    const char *installed;             /* below the folder of the program's data              */
};

static const struct places places[] = {
    [VOCABULARY_CLIP] = {"CLIP vocabulary (merges.txt)",
                         {"tokenizer/merges.txt", "tokenizer_2/merges.txt", "merges.txt"},
                         "clip/merges.txt"},
    [VOCABULARY_T5] = {"T5 vocabulary (spiece.model)",
                       {"tokenizer_3/spiece.model", "tokenizer/spiece.model", "spiece.model"},
                       "t5/spiece.model"},
};

/* Whether "<folder>/<leaf>" is there: then it is *out.  Otherwise it joins what was looked at. */
static bool is_there(char **out, enum status *st, struct text *looked, const char *folder,
                     const char *leaf, struct error *err)
{
    size_t n = strlen(folder);
    struct text path;
    bool found = false;

    text_init(&path, NULL, 0);
    text_add(&path, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", leaf);
    *out = text_take(&path);
    if (!*out) {
        *st = fail(err, E_MEMORY, "no memory for a path");
        return true;
    }
    found = !access(*out, F_OK);
    if (!found) {
        text_add(looked, "%s%s", looked->used ? ", " : "", *out);
        free(*out);
        *out = NULL;
    }
    return found;
}

enum status vocabulary_find(char **out, enum vocabulary which, const char *given,
                            const char *folder, struct error *err)
{
    static const char *const data[] = {IMGEN_DATA_FROM_LIBRARY, "share/imgen"};
    const struct places *p = &places[which];
    char looked_at[ERROR_TEXT / 2], library[HOME_PATH];
    enum status st = OK;
    struct text looked;

    *out = NULL;
    if (given)
        return mem_text(out, given, err);
    text_init(&looked, looked_at, sizeof looked_at);
    for (int i = 0; folder && i < PLACES && p->of_checkpoint[i]; i++)
        if (is_there(out, &st, &looked, folder, p->of_checkpoint[i], err))
            return st;
    home_find(library);
    for (size_t i = 0; i < sizeof data / sizeof *data && *library; i++) {
        char leaf[HOME_PATH];
        struct text below;

        text_init(&below, leaf, sizeof leaf);
        text_add(&below, "%s/%s", data[i], p->installed);
        if (is_there(out, &st, &looked, library, leaf, err))
            return st;
    }
    return fail(err, E_IO, "no %s is to be found; looked for %s", p->what, looked_at);
}
