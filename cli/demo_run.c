/*
 * demo_run.c - the folder in which the demo's model is trained
 *
 * A demo that was stopped should go on, a demo that is finished should only draw again, and a demo
 * of another configuration must not be mixed up with either.  So the run keeps the text of its
 * configuration beside its checkpoints, and only a run with the same text is gone on with.
 *
 *     FOLDER/run/demo.ini    the configuration, a line for each setting over it, the version
 *     FOLDER/run/...         what training writes
 */
#include "demo_run.h"

#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mark[] = "demo.ini";

static int complain(const char *path, const char *what)
{
    return command_broken(&command_demo, "%s %s: %s", path, what, strerror(errno));
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        return complain(path, "cannot be made");
    return EXIT_DONE;
}

static bool begins(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

/* The names that training writes; nothing else in the folder is ever touched. */
static bool is_ours(const char *name)
{
    return begins(name, "checkpoint-") || begins(name, "samples-") || begins(name, "log.") ||
           begins(name, "model.safetensors") || begins(name, "latest") || !strcmp(name, mark);
}

static int remove_run(const char *run)
{
    DIR *folder = opendir(run);
    const struct dirent *entry;
    int code = EXIT_DONE;

    if (!folder)
        return complain(run, "cannot be read");
    while ((entry = readdir(folder)) && !code)
        if (is_ours(entry->d_name) && unlinkat(dirfd(folder), entry->d_name, 0))
            code = complain(entry->d_name, "cannot be removed");
    closedir(folder);
    return code;
}

/* The whole identity of a run as one text; the caller frees it. */
static char *identity(const struct imgen_text_list *settings)
{
    size_t n = strlen(demo_config) + 128, at;
    char *text;

    for (int i = 0; i < settings->n; i++)
        n += strlen(settings->at[i]) + 16;
    if (!(text = malloc(n)))
        return NULL;
    at = (size_t)snprintf(text, n, "; imgen %s\n%s", imgen_version(), demo_config);
    for (int i = 0; i < settings->n; i++)
        at += (size_t)snprintf(text + at, n - at, "; --set %s\n", settings->at[i]);
    return text;
}

static bool is_same(const char *path, const char *text)
{
    FILE *f = fopen(path, "rb");
    const char *c = text;
    int got = EOF;

    while (f && (got = fgetc(f)) != EOF && got == (unsigned char)*c)
        c++;
    if (f)
        fclose(f);
    return f && got == EOF && !*c;
}

static int write_mark(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    bool good = f && fputs(text, f) >= 0;

    if (f && fclose(f))
        good = false;
    return good ? EXIT_DONE : complain(path, "cannot be written");
}

int demo_run_prepare(const char *folder, const struct imgen_text_list *settings, bool fresh,
                     bool *resumes)
{
    char run[DEMO_RUN_PATH], path[DEMO_RUN_PATH + 16], *text;
    int code;

    *resumes = false;
    if (snprintf(run, sizeof run, "%s/run", folder) >= (int)sizeof run)
        return command_misused(&command_demo, "--output: a name of %zu letters", strlen(folder));
    snprintf(path, sizeof path, "%s/%s", run, mark);
    if (!(text = identity(settings)))
        return command_broken(&command_demo, "no memory");
    if ((code = make_folder(folder)) || (code = make_folder(run)))
        goto out;
    *resumes = !fresh && is_same(path, text);
    if (!*resumes && !(code = remove_run(run)))
        code = write_mark(path, text);
out:
    free(text);
    return code;
}
