/*
 * cmd_info.c - look inside a file: a model, any file of tensors, or a picture with its recipe
 *
 * What a file is, its first bytes say and not its name.
 */
#include "info.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"verify", "read every number and fail where one is not finite", IMGEN_OPTION_BOOL,
     offsetof(struct info_options, verify), .letter = 0},
    {"tensors", "list every tensor", IMGEN_OPTION_BOOL, offsetof(struct info_options, tensors),
     .letter = 0},
    {"json", "print as JSON, tensors included", IMGEN_OPTION_BOOL,
     offsetof(struct info_options, json), .letter = 0},
    {0},
};

void info_plain(const char *s)
{
    for (; *s; s++)
        putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static int show(const char *path, const struct info_options *o)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char first[8];
    FILE *f = fopen(path, "rb");
    size_t n;

    /* Of a folder nothing is read; which file in it is meant, the library finds. */
    if (!f)
        return command_broken(&command_info, "%s: %s", path, strerror(errno));
    n = fread(first, 1, sizeof first, f);
    fclose(f);
    if (n == sizeof png && !memcmp(first, png, sizeof png))
        return info_picture(path, o);
    return info_weights(path, o);
}

static int cmd_info(int argc, char **argv)
{
    struct info_options o = {0};
    int n_words, code;
    bool go = command_read(&command_info, &o, NULL, argc, argv, &n_words, &code);

    imgen_options_release(rows, &o);
    if (!go)
        return code;
    if (n_words != 1)
        return command_misused(&command_info, n_words ? "one file at a time" : "which file?");
    return show(argv[1], &o);
}

const struct command command_info = {
    .is = {"info", "FILE [flags]", "look inside a model, a file of tensors or a picture", rows},
    .details = "Shows what a model is and can be asked for, the tensors and texts of any\n"
               "safetensors or GGUF file (of one in several files its index or folder), or the\n"
               "recipe that a picture made by imgen carries.",
    .run = cmd_info,
};
