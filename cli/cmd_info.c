/*
 * cmd_info.c - look inside a file: a model, any file of tensors, a picture with its recipe, a clip
 *
 * What a file is, its first bytes say and not its name.
 */
#include "info.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 };

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

/* What files of clips and of pictures without recipes begin with. */
static bool begins_as_clip(const unsigned char *first, size_t n)
{
    static const char *const begins[] = {"GIF8", "YUV4MPEG", "\xff\xd8\xff", "\x1a\x45\xdf\xa3"};

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (n >= strlen(begins[i]) && !memcmp(first, begins[i], strlen(begins[i])))
            return true;
    return n >= 12 && ((!memcmp(first, "RIFF", 4) && !memcmp(first + 8, "WEBP", 4)) ||
                       !memcmp(first + 4, "ftyp", 4));
}

/* Of an APNG both: what it shows, and how it was made, where that is said. */
static int show_png(const char *path, const struct info_options *o)
{
    struct imgen_clip clip = {0};
    struct imgen_recipe recipe;
    bool moves = !imgen_clip_read(&clip, path, 2, NULL) && clip.frames > 1;
    int code = EXIT_DONE;

    imgen_clip_release(&clip);
    if (moves && imgen_recipe_read(&recipe, path, NULL))
        return info_clip(path, o);
    if (moves && !o->json)
        code = info_clip(path, o);
    return code ? code : info_picture(path, o);
}

/* A folder whose own files are pictures, and none a model. */
static bool is_frames(const char *path)
{
    static const char *const of_models[] = {"model_index.json", "model.safetensors", "config.json"};
    char name[PATH_ROOM], hash[65];

    for (size_t i = 0; i < sizeof of_models / sizeof *of_models; i++) {
        snprintf(name, sizeof name, "%s/%s", path, of_models[i]);
        if (!access(name, F_OK))
            return false;
    }
    return !imgen_clip_hash(hash, path, NULL);
}

static int show(const char *path, const struct info_options *o)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char first[16];
    FILE *f = fopen(path, "rb");
    struct stat s;
    size_t n;

    /* Of a folder nothing is read; which file in it is meant, the library finds. */
    if (!f)
        return command_broken(&command_info, "%s: %s", path, strerror(errno));
    n = fread(first, 1, sizeof first, f);
    fclose(f);
    if (!stat(path, &s) && S_ISDIR(s.st_mode))
        return is_frames(path) ? info_clip(path, o) : info_weights(path, o);
    if (n >= sizeof png && !memcmp(first, png, sizeof png))
        return show_png(path, o);
    return begins_as_clip(first, n) ? info_clip(path, o) : info_weights(path, o);
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
    .is = {"info", "FILE [flags]", "look inside a model, a file of tensors, a picture or a clip",
           rows},
    .details =
        "Shows what a model is and can be asked for, the tensors and texts of any\n"
        "safetensors or GGUF file (of one in several files its index or folder), or the\n"
        "recipe that a picture made by imgen carries.  Of animations and folders of frames:\n"
        "how many, how large and how fast.",
    .run = cmd_info,
};
