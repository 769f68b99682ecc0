/*
 * cmd_report.c - a run on one page, made again
 *
 * Training writes the page at each evaluation and at the end; this makes it from the log of a run
 * that was killed, copied from elsewhere, or written before there was a page.
 */
#include "cli.h"
#include "json_out.h"

#include <stddef.h>
#include <stdio.h>

enum { REPORT_PATH = 4096 };

struct report_options {
    bool help, json;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"json", "print the result as JSON", IMGEN_OPTION_BOOL, offsetof(struct report_options, json),
     .letter = 0},
    {0},
};

static int run(const struct report_options *o, int n_words, char **words)
{
    char path[REPORT_PATH];
    struct imgen_error err;
    struct json_out j;

    if (n_words != 1)
        return command_misused(&command_report, n_words ? "one run at a time" : "which run?");
    if (snprintf(path, sizeof path, "%s/report.html", words[0]) >= (int)sizeof path)
        return command_misused(&command_report, "a name of more than %d letters", REPORT_PATH);
    if (imgen_report(words[0], &err))
        return command_failed(&command_report, &err);
    if (!o->json) {
        puts(path);
        return EXIT_DONE;
    }
    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "path", path);
    json_out_text(&j, "version", imgen_version());
    json_out_close(&j);
    return EXIT_DONE;
}

static int cmd_report(int argc, char **argv)
{
    struct report_options o = {0};
    int n_words, code;

    if (command_read(&command_report, &o, NULL, argc, argv, &n_words, &code))
        code = run(&o, n_words, argv + 1);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_report = {
    .is = {"report", "FOLDER [flags]", "a run on one page", rows},
    .details =
        "Writes FOLDER/report.html from the log and the sample pictures of a run and prints its\n"
        "name: curves, pictures over time, loss against t, configuration.  One file that needs no\n"
        "network.  Training writes it by itself at each evaluation and at the end.\n"
        "\n"
        "    imgen report run-fashion-mnist",
    .run = cmd_report,
};
