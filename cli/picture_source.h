/*
 * picture_source.h - sets of pictures from wherever they may come
 */
#ifndef CLI_PICTURE_SOURCE_H
#define CLI_PICTURE_SOURCE_H

#include "cli.h"
#include "progress.h"
#include "prompt_list.h"
#include "request_models.h"

#include <stdint.h>

enum source_kind {
    SOURCE_NONE,
    SOURCE_FOLDER,
    SOURCE_SET,
    SOURCE_MODEL,
    SOURCE_STATISTICS,
    SOURCE_AUTOENCODER
};

/* What is wanted. */
struct source_wish {
    const struct command *command;   /* that complains                                     */
    const char *word;                /* a folder, a configuration (.ini) or a model        */
    struct imgen_text_list settings; /* over a configuration                             */
    int64_t count;                   /* 0: all, of a model or an endless set SOURCE_USUAL  */
    int64_t size, channels;          /* of pictures read from files; 0: as they are        */
    int64_t frames;                  /* of clips read from files or drawn; 0: as they are  */
    bool held_out;                   /* of a configuration: its data.eval_path             */
    uint64_t seed;
    const char *label;              /* of a model: only this one; NULL: all in turn       */
    const char *prompts;            /* of one that reads texts: prompt_list_read's path   */
    const char *classifier, *guide; /* to guide a model by, or NULL               */
    const char *autoencoder;        /* of a model of latents: struct model_files  */
    bool given; /* of a model that can: the clips that prompts are of give their first frames; one
                   that makes clips larger is always given them, made smaller */
    /* Of a model: fills in the solver's part of the request; returns an exit code. */
    int (*solver)(struct imgen_request *r, void *user);
    double (*scale)(const struct request_models *models, int label, void *user);
    void *user;
    int64_t threads;
    struct progress *progress;
};
enum { SOURCE_USUAL = 10000 };

/* A set in memory, and where it came from. */
struct picture_source {
    enum source_kind kind;
    const char *word;
    struct imgen_pictures pictures;
    uint8_t *pixels;
    uint8_t *originals; /* as pixels: the clips that a model was given something of, or NULL */
    int *label;
    int64_t *number; /* [n]: which of its set each picture is */
    const char **names;
    struct imgen_recipe recipe;   /* of a model's first picture */
    char about[800];              /* in words                   */
    const char *resize;           /* what was done to the files' pictures */
    struct request_models models; /* lend the names             */
    struct prompt_list prompts;   /* the same, of captions      */
    struct imgen_data *data;      /* the same                   */
};

/* By the word, and of a model's file by what it is; SOURCE_NONE after a complaint. */
enum source_kind source_kind_of(const struct command *c, const char *word);

/* Returns an exit code; release also after a failure. */
int source_read(struct picture_source *s, const struct source_wish *w);
void source_release(struct picture_source *s);

#endif
