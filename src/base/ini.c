/*
 * ini.c - configuration files
 *
 * inih parses; this file stands guard on both of its sides.  Before it, lines are counted, so that
 * a sentence can say `shapes.ini:12:`, and a line that inih would silently cut is refused instead.
 * Behind it, keys that come twice are refused.
 *
 * inih reads an indented line as the continuation of the value above, which turns a tidily indented
 * file into nonsense without a word.  Lines are therefore handed to it with their indentation taken
 * off, and a value is always one line.
 *
 * What must stay true: inih goes on after an error and reports only the first faulty line at its
 * end, so of two errors the one with the smaller line number is told.
 */
#include "base/ini.h"

#include "base/memory.h"
#include "base/text.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* inih wants room for "\r\n" and the closing zero in the line it asks for. */
enum { LINE_ENDING = 3, KEY_ROOM = 128, SHOWN_MAX = 60 };

struct reading {
    const char *at; /* what inih has not yet been given */
    size_t left;
    int line; /* of what it was given last */
    char **seen;
    int64_t n_seen, room;
    ini_setting *setting;
    void *arg;
    enum status st; /* once it is not OK, inih gets no more lines */
    struct error why;
};

/* ---- Before inih: one line ---- */

static char *next_line(char *line, int room, void *stream)
{
    struct reading *r = stream;
    const char *end;
    size_t n, indent;

    if (r->st || !r->left)
        return NULL;
    r->line++;
    end = memchr(r->at, '\n', r->left);
    n = end ? (size_t)(end - r->at) + 1 : r->left;
    for (indent = 0; indent < n && strchr(" \t", r->at[indent]) && r->at[indent]; indent++)
        ;
    if (memchr(r->at, '\0', n))
        r->st = fail(&r->why, E_FORMAT, "a zero byte: this is no text");
    else if (n - indent > (size_t)room - LINE_ENDING)
        r->st = fail(&r->why, E_FORMAT, "a line of %zu letters; the limit is %d", n - indent,
                     room - LINE_ENDING);
    if (r->st)
        return NULL;
    memcpy(line, r->at + indent, n - indent);
    line[n - indent] = '\0';
    r->at += n;
    r->left -= n;
    return line;
}

/* ---- Behind inih: one setting ---- */

/* Remember the key; '-' is stored as '_', because options know no difference. */
static enum status key_once(struct reading *r, const char *key)
{
    char *copy = NULL;
    enum status st;

    if (r->n_seen == INI_SETTINGS_MAX)
        return fail(&r->why, E_FORMAT, "more than %d settings", INI_SETTINGS_MAX);
    if ((st = mem_text(&copy, key, &r->why)))
        return st;
    for (char *c = copy; *c; c++)
        if (*c == '-')
            *c = '_';
    for (int64_t i = 0; i < r->n_seen && !st; i++)
        if (strcmp(r->seen[i], copy) == 0)
            st = fail(&r->why, E_FORMAT, "'%.*s' is set a second time", SHOWN_MAX, copy);
    if (!st)
        st = mem_grow((void **)&r->seen, &r->room, r->n_seen + 1, sizeof *r->seen, &r->why);
    if (st) {
        free(copy);
        return st;
    }
    r->seen[r->n_seen++] = copy;
    return OK;
}

/* Called by inih; 0 means an error. */
static int take_setting(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    char room[KEY_ROOM];
    struct text key;

    if (r->st)
        return 0;
    if (!name)
        return 1;
    text_init(&key, room, sizeof room);
    text_add(&key, "%s%s%s", section, *section ? "." : "", name);
    r->st = key_once(r, room);
    if (!r->st)
        r->st = r->setting(room, value ? value : "", &r->why, r->arg);
    return r->st == OK;
}

/* ---- The whole ---- */

enum status ini_read_text(const char *name, const char *text, size_t bytes, ini_setting *setting,
                          void *arg, struct error *err)
{
    struct reading r = {.at = text, .left = bytes, .setting = setting, .arg = arg};
    int first_bad;
    enum status st;

    if (bytes > INI_FILE_MAX)
        return fail(err, E_FORMAT, "%s: %zu bytes; the limit is %d", name, bytes, INI_FILE_MAX);
    first_bad = ini_parse_stream(next_line, &r, take_setting, &r);
    st = r.st;
    if (first_bad < 0)
        st = fail(err, E_MEMORY, "%s: no memory to read it", name);
    else if (first_bad > 0 && (!r.st || first_bad < r.line))
        st = fail(err, E_FORMAT, "%s:%d: neither [section] nor key = value", name, first_bad);
    else if (r.st)
        fail(err, r.st, "%s:%d: %.*s", name, r.line, ERROR_TEXT / 2, r.why.text);
    for (int64_t i = 0; i < r.n_seen; i++)
        free(r.seen[i]);
    free(r.seen);
    return st;
}

enum status ini_read(const char *path, ini_setting *setting, void *arg, struct error *err)
{
    FILE *file = NULL;
    void *text = NULL;
    size_t bytes;
    enum status st;

    file = fopen(path, "rb");
    if (!file)
        return fail_errno(err, E_IO, "%s", path);
    if ((st = mem_new(&text, 1, INI_FILE_MAX + 1, path, err)))
        goto out;
    bytes = fread(text, 1, INI_FILE_MAX + 1, file);
    if (ferror(file)) {
        st = fail_errno(err, E_IO, "%s", path);
        goto out;
    }
    if (bytes > INI_FILE_MAX)
        st = fail(err, E_FORMAT, "%s: more than %d bytes", path, INI_FILE_MAX);
    else
        st = ini_read_text(path, text, bytes, setting, arg, err);
out:
    free(text);
    fclose(file);
    return st;
}
