/*
 * captions.h - captions as files have them: a text, an object of JSON, or a list of such objects
 *
 * A caption is UTF-8 on one line: white space and control characters, newlines among them, become
 * one space however many they are, and none at the ends; what does not fit CAPTION_TEXT is cut
 * before an incomplete character.  It may be empty.
 */
#ifndef IMGEN_DATA_CAPTIONS_H
#define IMGEN_DATA_CAPTIONS_H

#include "data/dataset.h"

#include <stddef.h>

enum {
    CAPTION_FILE_BYTES = 1 << 20,    /* of a text that is one caption */
    CAPTION_RECORD_BYTES = 16 << 20, /* of one object                 */
    CAPTION_LIST_BYTES = 1 << 30,    /* of a list                     */
};

struct caption_record {
    const char *file;  /* the picture, relative to the folder of the list; NULL unless in one */
    const char *group; /* the name of its class, or NULL */
    char caption[CAPTION_TEXT];
};

/* n bytes of text, followed by a zero byte, as a caption.  E_FORMAT, naming file and line, when
 * they are not UTF-8 or hold a zero. */
enum status caption_from_text(char out[CAPTION_TEXT], const char *text, size_t n, const char *name,
                              struct error *err);

/* Told of each object in turn; what it points to is gone afterwards.  line counts from 1. */
typedef enum status caption_taker(const struct caption_record *r, int64_t line, void *user,
                                  struct error *err);

/* The object {"caption" or "text" or "prompt": TEXT, "group" or "label": TEXT} of one picture; of
 * several keys the first counts, others are ignored, and so are a group and a label that are no
 * text.  E_FORMAT naming the file; E_MEMORY; what `take` says (line 1, file NULL). */
enum status caption_from_json(const char *text, size_t n, const char *name, caption_taker *take,
                              void *user, struct error *err);

/* Lines of such objects, each with "file" or "file_name" or "image" too, without "./" in front;
 * empty lines are passed over.  E_FORMAT naming file and line, also for an absolute path and one
 * with a ".." among its parts. */
enum status captions_from_list(const char *text, size_t n, const char *name, caption_taker *take,
                               void *user, struct error *err);

#endif
