/*
 * parity_tokenizers.c - texts as ids of CLIP and of T5, and weighted prompts
 *
 * Three files without a kind: clip.json (texts and ids, rows padded to 77), t5.json (texts and ids,
 * texts in the pieces' spelling), weights.json (a list of weighted prompts).  Ids must agree
 * exactly.
 *
 * The vocabularies are no part of the fixtures.  They are looked for beside the file and in
 * data/tokenizers of every folder above it, then where the program has its own.
 */
#include "parity.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "text/clip_bpe.h"
#include "text/prompt.h"
#include "text/unigram.h"
#include "text/vocabulary.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct parity_limit of_weights = {.absolute = 1e-6};

struct texts {
    struct parity_report *r;
    struct parity_fixture *f;
    struct clip_bpe *clip;
    struct unigram *t5;
};

static void texts_release(struct texts *t)
{
    clip_bpe_close(t->clip);
    unigram_close(t->t5);
}

/* ---- Vocabularies ---- */

/* One of some names in `folder` or in its data/tokenizers; true when path names it. */
static bool lies_in(char path[PATH_MAX], const char *folder, const char *const names[2])
{
    static const char *const below[] = {"", "/data/tokenizers"};

    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            if (snprintf(path, PATH_MAX, "%s%s/%s", folder, below[i], names[k]) < PATH_MAX &&
                !access(path, R_OK))
                return true;
    return false;
}

enum status vocabulary_near(char **out, enum vocabulary which, const char *fixture,
                            struct error *err)
{
    static const char *const names[][2] = {
        [VOCABULARY_CLIP] = {"clip_merges.txt", "merges.txt"},
        [VOCABULARY_T5] = {"t5_spiece.model", "spiece.model"},
    };
    char folder[PATH_MAX], path[PATH_MAX], *slash;

    if (realpath(fixture, folder))
        while ((slash = strrchr(folder, '/'))) {
            *slash = 0;
            if (lies_in(path, folder, names[which]))
                return mem_text(out, path, err);
        }
    if (lies_in(path, PARITY_VOCABULARIES, names[which]))
        return mem_text(out, path, err);
    return vocabulary_find(out, which, NULL, NULL, err);
}

/* Open one vocabulary; what is not there is a line of the report, and NULL. */
static enum status clip_open(struct texts *t, struct error *err)
{
    struct error why = {0};
    char *path;
    enum status st = OK;

    if (vocabulary_near(&path, VOCABULARY_CLIP, t->f->parts[0].path, &why))
        parity_skip(t->r, "clip vocabulary", "%s", why.text);
    else
        st = clip_bpe_open(&t->clip, path, err);
    free(path);
    return st;
}

static enum status t5_open(struct texts *t, struct error *err)
{
    struct error why = {0};
    char *path;
    enum status st = OK;

    if (vocabulary_near(&path, VOCABULARY_T5, t->f->parts[0].path, &why))
        parity_skip(t->r, "t5 vocabulary", "%s", why.text);
    else
        st = unigram_open(&t->t5, path, err);
    free(path);
    return st;
}

/* ---- Comparing ---- */

static void ids_compare(struct texts *t, const char *text, const int32_t *got, int64_t n,
                        const json_t *want)
{
    char shown[UTF8_SHOWN];
    int64_t first = 0, count = (int64_t)json_array_size(want);

    while (first < n && first < count &&
           got[first] == json_integer_value(json_array_get(want, (size_t)first)))
        first++;
    parity_claim(t->r, utf8_shown(shown, text), first == n && first == count,
                 "%lld ids for %lld, the first that differs is number %lld", (long long)n,
                 (long long)count, (long long)first);
}

/* What one row of a list is compared by; text is its "text". */
typedef enum status row_check(struct texts *t, const json_t *row, const char *text, size_t n,
                              struct error *err);

static enum status list_check(struct texts *t, const json_t *list, row_check *check,
                              struct error *err)
{
    enum status st = OK;

    for (size_t i = 0; i < json_array_size(list) && !st; i++) {
        const json_t *row = json_array_get(list, i), *text = json_object_get(row, "text");

        if (!json_is_string(text))
            return fail(err, E_FORMAT, "row %zu has no text", i);
        st = check(t, row, json_string_value(text), json_string_length(text), err);
    }
    return st;
}

static void id_claim(struct parity_report *r, const json_t *root, const char *key, int32_t got)
{
    const json_t *want = json_object_get(root, key);

    if (want)
        parity_claim(r, key, json_integer_value(want) == got, "is %d, not %lld", got,
                     (long long)json_integer_value(want));
}

/* ---- CLIP ---- */

static enum status clip_row(struct texts *t, const json_t *row, const char *text, size_t n,
                            struct error *err)
{
    struct ids ids = {0};
    enum status st = clip_bpe_encode(t->clip, &ids, text, n, CLIP_SPECIAL, err);

    if (!st)
        ids_compare(t, text, ids.id, ids.n, json_object_get(row, "ids"));
    ids_release(&ids);
    return st;
}

static enum status padded_row(struct texts *t, const json_t *row, const char *text, size_t n,
                              struct error *err)
{
    struct prompt_clip_how how = {.least = 1, .most = 1, .special = true};
    struct prompt prompt;
    enum status st;

    if ((st = prompt_plain(&prompt, text, n, err)))
        return st;
    for (int g = 0; g < 2 && !st; g++) {
        struct prompt_rows rows;

        how.pad = g ? CLIP_G_PAD : clip_bpe_end(t->clip);
        if (!(st = prompt_clip(&rows, t->clip, &prompt, &how, err)))
            ids_compare(t, text, rows.id, rows.length, json_object_get(row, g ? "g" : "l"));
        prompt_rows_release(&rows);
    }
    prompt_release(&prompt);
    return st;
}

static enum status clip_check(struct parity_report *r, struct parity_fixture *f,
                              const struct parity_options *options, struct error *err)
{
    static const struct {
        const char *key;
        row_check *check;
    } lists[] = {{"strings", clip_row}, {"nfc", clip_row}, {"padded", padded_row}};
    const json_t *root = fixture_part(f, "")->json;
    struct texts t = {.r = r, .f = f};
    enum status st;

    (void)options;
    if ((st = clip_open(&t, err)) || !t.clip)
        goto out;
    id_claim(r, root, "bos", clip_bpe_begin(t.clip));
    id_claim(r, root, "eos", clip_bpe_end(t.clip));
    for (size_t i = 0; i < sizeof lists / sizeof *lists && !st; i++) {
        report_group(r, lists[i].key);
        st = list_check(&t, json_object_get(root, lists[i].key), lists[i].check, err);
    }
out:
    texts_release(&t);
    return st;
}

static bool clip_knows(const json_t *root)
{
    return json_object_get(root, "strings") && json_object_get(root, "bos");
}

const struct parity_checker parity_clip_tokenizer = {
    .kind = "clip_tokenizer",
    .parts = {""},
    .knows = clip_knows,
    .check = clip_check,
};

/* ---- T5 ---- */

static enum status t5_row(struct texts *t, const json_t *row, const char *text, size_t n,
                          struct error *err)
{
    struct ids ids = {0};
    enum status st = unigram_encode(t->t5, &ids, text, n, err);

    if (!st)
        ids_compare(t, text, ids.id, ids.n, json_object_get(row, "ids"));
    ids_release(&ids);
    return st;
}

static enum status spelling_row(struct texts *t, const json_t *row, const char *text, size_t n,
                                struct error *err)
{
    const json_t *want = json_object_get(row, "out");
    char shown[UTF8_SHOWN], *got;
    size_t bytes;
    enum status st;

    if (!json_is_string(want))
        return fail(err, E_FORMAT, "a text has no spelling to compare");
    if ((st = unigram_normalise(t->t5, &got, &bytes, text, n, err)))
        return st;
    parity_claim(t->r, utf8_shown(shown, text),
                 bytes == json_string_length(want) && !memcmp(got, json_string_value(want), bytes),
                 "becomes '%.200s', not '%.200s'", got, json_string_value(want));
    free(got);
    return OK;
}

static enum status t5_check(struct parity_report *r, struct parity_fixture *f,
                            const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json;
    struct texts t = {.r = r, .f = f};
    enum status st;

    (void)options;
    if ((st = t5_open(&t, err)) || !t.t5)
        goto out;
    id_claim(r, root, "eos", UNIGRAM_END);
    id_claim(r, root, "pad", UNIGRAM_PAD);
    report_group(r, "strings");
    if ((st = list_check(&t, json_object_get(root, "strings"), t5_row, err)))
        goto out;
    report_group(r, "normalized");
    st = list_check(&t, json_object_get(root, "normalized"), spelling_row, err);
out:
    texts_release(&t);
    return st;
}

static bool t5_knows(const json_t *root)
{
    return json_object_get(root, "strings") && json_object_get(root, "normalized");
}

const struct parity_checker parity_t5_tokenizer = {
    .kind = "t5_tokenizer",
    .parts = {""},
    .knows = t5_knows,
    .check = t5_check,
};

/* ---- Weighted prompts ---- */

static void segments_compare(struct texts *t, const struct prompt *p, const char *text,
                             const json_t *want)
{
    bool same = (size_t)p->n == json_array_size(want);
    char shown[UTF8_SHOWN];

    for (int64_t i = 0; same && i < p->n; i++) {
        const json_t *pair = json_array_get(want, (size_t)i), *words = json_array_get(pair, 0);
        double weight = json_number_value(json_array_get(pair, 1));

        same = p->segment[i].n == json_string_length(words) &&
               !memcmp(p->segment[i].text, json_string_value(words), p->segment[i].n);
        if (same)
            parity_compare_f64(t->r, utf8_shown(shown, text), &p->segment[i].weight, &weight, 1,
                               of_weights);
    }
    parity_claim(t->r, utf8_shown(shown, text), same, "other segments, %lld for %zu",
                 (long long)p->n, json_array_size(want));
}

/* The first row up to the end id, which is part of it, against [[id, weight], ...]. */
static void row_compare(struct texts *t, const struct prompt_rows *rows, int32_t end,
                        const char *text, const json_t *want)
{
    int64_t n = 0;
    char shown[UTF8_SHOWN];
    bool same;

    while (n < rows->length - 1 && rows->id[n] != end)
        n++;
    n++;
    same = (size_t)n == json_array_size(want);
    for (int64_t i = 0; same && i < n; i++) {
        const json_t *pair = json_array_get(want, (size_t)i);
        double weight = json_number_value(json_array_get(pair, 1));

        same = json_integer_value(json_array_get(pair, 0)) == rows->id[i];
        parity_compare_f64(t->r, utf8_shown(shown, text), &rows->weight[i], &weight, 1, of_weights);
    }
    parity_claim(t->r, utf8_shown(shown, text), same, "other ids, %lld for %zu", (long long)n,
                 json_array_size(want));
}

static enum status segments_row(struct texts *t, const json_t *row, const char *text, size_t n,
                                struct error *err)
{
    struct prompt p;
    enum status st = prompt_parse(&p, text, n, err);

    if (!st)
        segments_compare(t, &p, text, json_object_get(row, "segments"));
    prompt_release(&p);
    return st;
}

static enum status clip_weights_row(struct texts *t, const json_t *row, const char *text, size_t n,
                                    struct error *err)
{
    struct prompt_clip_how how = {clip_bpe_end(t->clip), 1, 1, true};
    struct prompt_rows rows = {0};
    struct prompt p;
    enum status st = prompt_parse(&p, text, n, err);

    if (!st && !(st = prompt_clip(&rows, t->clip, &p, &how, err)))
        row_compare(t, &rows, how.pad, text, json_object_get(row, "l"));
    prompt_rows_release(&rows);
    prompt_release(&p);
    return st;
}

static enum status t5_weights_row(struct texts *t, const json_t *row, const char *text, size_t n,
                                  struct error *err)
{
    struct prompt_rows rows = {0};
    struct prompt p;
    enum status st = prompt_parse(&p, text, n, err);

    if (!st && !(st = prompt_t5(&rows, t->t5, &p, 1, INT32_MAX, err)))
        row_compare(t, &rows, UNIGRAM_END, text, json_object_get(row, "t5"));
    prompt_rows_release(&rows);
    prompt_release(&p);
    return st;
}

static enum status weights_check(struct parity_report *r, struct parity_fixture *f,
                                 const struct parity_options *options, struct error *err)
{
    const json_t *list = fixture_part(f, "")->json;
    struct texts t = {.r = r, .f = f};
    enum status st;

    (void)options;
    if ((st = clip_open(&t, err)) || (st = t5_open(&t, err)))
        goto out;
    report_group(r, "segments");
    st = list_check(&t, list, segments_row, err);
    report_group(r, "clip");
    if (!st && t.clip)
        st = list_check(&t, list, clip_weights_row, err);
    report_group(r, "t5");
    if (!st && t.t5)
        st = list_check(&t, list, t5_weights_row, err);
out:
    texts_release(&t);
    return st;
}

static bool weights_knows(const json_t *root)
{
    return json_object_get(json_array_get(root, 0), "segments");
}

const struct parity_checker parity_prompt_weights = {
    .kind = "prompt_weights",
    .parts = {""},
    .knows = weights_knows,
    .check = weights_check,
};
