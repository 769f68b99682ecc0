/*
 * prompt.h - a person's prompt: weights in parentheses, and rows of ids for the encoders
 *
 *     prompt_parse   "a (red:1.5) cat"  ->  segments  "a " 1   "red" 1.5   " cat" 1
 *     prompt_clip    segments           ->  [rows, 77]      begin, ids, end, padding
 *     prompt_t5      segments           ->  [1, length]     ids, end, padding
 */
#ifndef IMGEN_TEXT_PROMPT_H
#define IMGEN_TEXT_PROMPT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clip_bpe;
struct unigram;

/* Text of one weight. */
struct prompt_segment {
    const char *text; /* in the prompt's own memory */
    size_t n;
    double weight;
};

/* Zeroed is empty; given back with prompt_release. */
struct prompt {
    char *text;
    struct prompt_segment *segment;
    int64_t n, room;
};

/* (text) weighs 1.1 times what stands around it, (text:1.3) weighs 1.3, and parentheses may stand
 * inside each other; \( and \) are letters, and so is a parenthesis without its other one.  The
 * number stands behind the last colon of its group, which is not the group's first letter; anything
 * else there is text.  Time grows with the length.  E_ARG for more than UNICODE_TEXT_BYTES and for
 * a weight too large for float32; E_MEMORY. */
enum status prompt_parse(struct prompt *out, const char *text, size_t n, struct error *err);

/* The text as it is: one segment of weight 1, or none where it is empty.  Errors as prompt_parse.
 */
enum status prompt_plain(struct prompt *out, const char *text, size_t n, struct error *err);

void prompt_release(struct prompt *p);

/* What one encoder reads.  Begin, end and padding weigh 1. */
struct prompt_rows {
    int32_t *id;    /* [rows, length] */
    double *weight; /* [rows, length] */
    int64_t rows, length;
    int64_t left_out; /* ids of the prompt for which there was no place */
};

void prompt_rows_release(struct prompt_rows *r);

enum {
    CLIP_ROW = 77,     /* ids in a row of the CLIP encoders          */
    CLIP_CONTENT = 75, /* of them the prompt's                       */
    CLIP_G_PAD = 0,    /* what CLIP bigG is padded with; CLIP-L is padded with clip_bpe_end */
    PROMPT_ROWS_MAX = 1 << 16,
};

struct prompt_clip_how {
    int32_t pad;         /* CLIP_G_PAD, or for CLIP-L clip_bpe_end                             */
    int64_t least, most; /* rows; 1 and 1 are the published pipelines', which cut at 75 ids    */
    bool special;        /* "<|endoftext|>" in a prompt is the end id, as there; else its letters */
};

/* Rows of 77 ids: begin, up to 75 of the prompt, end, padding.  A prompt that needs more takes more
 * rows, and a word of fewer than 8 ids is not cut in two there; with most = 1 it is cut behind the
 * 75th id.  Rows beyond what it needs, up to `least`, are those of the empty prompt.  E_ARG unless
 * least <= most, 1 <= most <= PROMPT_ROWS_MAX; E_MEMORY. */
enum status prompt_clip(struct prompt_rows *out, const struct clip_bpe *bpe, const struct prompt *p,
                        const struct prompt_clip_how *how, struct error *err);

/* One row: the prompt's ids and the end, cut to `most`, padded to `least`; the published pipelines
 * have 256 of both, or least = 77.  E_ARG unless 1 <= most, least <= most; E_MEMORY. */
enum status prompt_t5(struct prompt_rows *out, const struct unigram *unigram,
                      const struct prompt *p, int64_t least, int64_t most, struct error *err);

#endif
