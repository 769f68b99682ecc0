/*
 * prompt_list.c - the prompts that a model is asked for
 */
#include "prompt_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct prompt_list *p)
{
    int64_t room = p->room ? 2 * p->room : 64;
    const char **text;
    int *label;

    if (p->n < p->room)
        return true;
    if (!(text = realloc((void *)p->text, (size_t)room * sizeof *text)))
        return false;
    p->text = text;
    if (!(label = realloc(p->label, (size_t)room * sizeof *label)))
        return false;
    p->label = label;
    p->room = room;
    return true;
}

int prompt_list_add(struct prompt_list *p, const struct command *c, const char *text, int label)
{
    char *own = grow(p) ? strdup(text) : NULL;

    if (!own)
        return command_broken(c, "no memory for prompt %" PRId64, p->n + 1);
    p->text[p->n] = own;
    p->label[p->n++] = label;
    return EXIT_DONE;
}

static int read_lines(struct prompt_list *p, const struct command *c, FILE *f, const char *path)
{
    int64_t before = p->n;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int code = EXIT_DONE;

    while (!code && (n = getline(&line, &room, f)) >= 0) {
        while (n > 0 && strchr(" \t\r\n", line[n - 1]))
            line[--n] = '\0';
        if (strlen(line) != (size_t)n)
            code = command_misused(c, "%s: prompt %" PRId64 " holds a zero byte", path, p->n + 1);
        else if (n)
            code = prompt_list_add(p, c, line, -1);
    }
    free(line);
    if (!code && p->n == before)
        code = command_misused(c, "%s: no prompts in it", path);
    return code;
}

static int read_captions(struct prompt_list *p, const struct command *c, const char *path,
                         const struct imgen_text_list *settings, int64_t count)
{
    const struct imgen_training t = {
        .config = path, .settings = (const char *const *)settings->at, .n_settings = settings->n};
    struct imgen_data_info d;
    char caption[IMGEN_CAPTION];
    struct imgen_error err;
    float *pixels;
    int label, code = EXIT_DONE;

    if (imgen_data_open_held_out(&p->data, &t, &err))
        return command_failed(c, &err);
    imgen_data_info(p->data, &d);
    pixels = calloc((size_t)(d.frames > 1 ? d.frames : 1) * (size_t)d.height * (size_t)d.width *
                        (size_t)d.channels,
                    sizeof *pixels);
    if (!pixels)
        return command_broken(c, "no memory for a picture");
    for (int64_t i = 0; i < count && i < d.count && !code; i++)
        code = imgen_data_get(p->data, i, pixels, &label, caption, &err)
                   ? command_failed(c, &err)
                   : prompt_list_add(p, c, caption, label);
    free(pixels);
    return code;
}

int prompt_list_read(struct prompt_list *p, const struct command *c, const char *path,
                     const struct imgen_text_list *settings, int64_t count)
{
    size_t n = strlen(path);
    FILE *f;
    int code;

    if (n > 4 && !strcmp(path + n - 4, ".ini"))
        return read_captions(p, c, path, settings, count);
    if (!strcmp(path, "-"))
        return read_lines(p, c, stdin, "standard input");
    if (!(f = fopen(path, "r")))
        return command_misused(c, "%s: %s", path, strerror(errno));
    code = read_lines(p, c, f, path);
    fclose(f);
    return code;
}

void prompt_list_release(struct prompt_list *p)
{
    for (int64_t i = 0; i < p->n; i++)
        free((void *)(uintptr_t)p->text[i]);
    free((void *)p->text);
    free(p->label);
    imgen_data_close(p->data);
    *p = (struct prompt_list){0};
}
