/*
 * prompt_list.h - the prompts that a model is asked for: typed, lines of a file, captions of a set
 */
#ifndef CLI_PROMPT_LIST_H
#define CLI_PROMPT_LIST_H

#include "cli.h"

#include <stdint.h>

struct prompt_list {
    const char **text; /* [n], heap as they are  */
    int *label;        /* [n] of captions of a labelled set the label, else -1 */
    int64_t n, room;
    struct imgen_data *data; /* the set that captions are of, or NULL: lends the names of labels */
};

/* Returns an exit code; release also after a failure. */
int prompt_list_add(struct prompt_list *p, const struct command *c, const char *text, int label);
/* Lines of a text file, blank ones passed over ("-": standard input); or, of a configuration
 * (.ini), with `settings` over it, the captions of the first `count` held-out pictures. */
int prompt_list_read(struct prompt_list *p, const struct command *c, const char *path,
                     const struct imgen_text_list *settings, int64_t count);
void prompt_list_release(struct prompt_list *p);

#endif
