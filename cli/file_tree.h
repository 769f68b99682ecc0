/*
 * file_tree.h - the files that words of a command line name: files, and folders with all below them
 */
#ifndef CLI_FILE_TREE_H
#define CLI_FILE_TREE_H

#include "cli.h"

#include <stdint.h>

struct tree_file {
    char *path;
    char *name; /* within the folder that was named, without its ending: "rose/0001" */
};

struct file_tree {
    struct tree_file *at; /* [n], by name once they are checked */
    int64_t n, room;
    bool folders; /* set before the first word: a folder that holds such files is one itself */
};

/* Add what a word names: a file, whatever its ending, or of a folder and all below it those with
 * one of these endings, capitals or not; the list ends with NULL.  Names that begin with a dot, and
 * links to folders, are passed over.  Where folders count as one, the folder's path and name stand
 * in the place of its files'.  Returns an exit code; release also after a failure. */
int file_tree_add(struct file_tree *t, const struct command *c, const char *word,
                  const char *const *endings);
/* Sort by name, and complain of two files with the same one, or of several for an output that is
 * one file: what is made of them would be one.  ending: of the files that are made. */
int file_tree_check(struct file_tree *t, const struct command *c, const char *output,
                    const char *ending);
void file_tree_release(struct file_tree *t);

/* "<output>/<name><ending>", or output itself where it has the ending, on the heap, its folders
 * made; NULL after a complaint. */
char *file_tree_output(const struct command *c, const char *output, const char *name,
                       const char *ending);

#endif
