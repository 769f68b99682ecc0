/*
 * fuzz_captions.c - any bytes as a list of captions, as one object, and as a text
 *
 * What is taken must be what data/captions.h promises, whatever it was made of.
 */
#include "base/utf8.h"
#include "data/captions.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_caption(const char *caption)
{
    size_t n = strlen(caption);

    MUST(n < CAPTION_TEXT && utf8_valid(caption, n), "no caption");
    for (size_t i = 0; i < n; i++)
        MUST((unsigned char)caption[i] >= ' ' && caption[i] != 0x7F, "a control character");
    MUST(!n || (caption[0] != ' ' && caption[n - 1] != ' '), "white space around it");
}

static enum status take(const struct caption_record *r, int64_t line, void *user, struct error *err)
{
    bool listed = *(bool *)user;

    (void)err;
    MUST(line > 0 && !!r->file == listed && (!r->group || r->group[0]), "a record");
    if (r->file)
        MUST(r->file[0] && r->file[0] != '/' && strcmp(r->file, "..") != 0 &&
                 strncmp(r->file, "../", 3) != 0 && !strstr(r->file, "/../"),
             "a file outside");
    check_caption(r->caption);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char caption[CAPTION_TEXT], *text = malloc(n + 1);
    struct error err = {0};
    bool listed = true;

    if (!text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = 0;
    MUST(!captions_from_list(text, n, "fuzz", take, &listed, &err) || err.text[0], "no sentence");
    err = (struct error){0};
    listed = false;
    MUST(!caption_from_json(text, n, "fuzz", take, &listed, &err) || err.text[0], "no sentence");
    if (!caption_from_text(caption, text, n, "fuzz", &err))
        check_caption(caption);
    free(text);
    return 0;
}
