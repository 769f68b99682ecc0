/*
 * main.c - parity DIR...: does this program compute what the published implementations compute?
 *
 * The answer is an exit code and one line for each quantity compared.  0: everything compared
 * agrees. 1: something differs, a file is damaged, or a folder held nothing that could be compared,
 * since an empty comparison proves nothing.  2: the command itself was wrong.
 */
#include "parity.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: parity [OPTION]... DIR...\n"
    "Compare this build of imgen with the reference numbers under each DIR.\n"
    "\n"
    "  -t, --threads N  threads to compute with (default 2)\n"
    "  -v, --verbose    a line for every tensor\n"
    "      --json       the whole report as JSON\n"
    "  -h, --help       this text\n"
    "\n"
    "Exit status: 0 all agree, 1 something does not (or nothing was compared), 2 misuse.\n";

enum { ASKED_JSON = 256 };

struct command {
    struct parity_options options;
    bool verbose, json, help;
};

static bool threads_read(int *out, const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end || n < 1 || n > 1024)
        return false;
    *out = (int)n;
    return true;
}

/* Whether the command line makes sense; says on stderr why not. */
static bool command_read(struct command *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"threads", required_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},
        {"json", no_argument, NULL, ASKED_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int o;

    while ((o = getopt_long(argc, argv, "t:vh", options, NULL)) != -1) {
        switch (o) {
        case 't':
            if (!threads_read(&c->options.threads, optarg)) {
                fprintf(stderr, "parity: --threads takes 1 to 1024, not \"%s\"\n", optarg);
                return false;
            }
            break;
        case 'v':
            c->verbose = true;
            break;
        case ASKED_JSON:
            c->json = true;
            break;
        case 'h':
            c->help = true;
            break;
        default:
            return false;
        }
    }
    if (optind == argc && !c->help) {
        fprintf(stderr, "parity: which folder? See parity --help.\n");
        return false;
    }
    return true;
}

/* Every folder must have given at least one comparison, so each is run into the report by itself.
 */
static enum status folders_run(struct parity_report *r, char **paths, int n, bool *empty,
                               const struct parity_options *options, struct error *err)
{
    for (int i = 0; i < n; i++) {
        int64_t before = report_count(r).compared;
        const char *path = paths[i];
        enum status st = parity_run(r, &path, 1, options, err);

        if (st)
            return st;
        if (report_count(r).compared == before) {
            fprintf(stderr, "parity: nothing in %s could be compared\n", path);
            *empty = true;
        }
    }
    return OK;
}

int main(int argc, char **argv)
{
    struct command c = {.options = {.threads = 2}};
    struct parity_report report = {0};
    struct error err = {0};
    bool empty = false;
    enum status st;
    int result = 1;

    if (!command_read(&c, argc, argv))
        return 2;
    if (c.help) {
        fputs(help, stdout);
        return 0;
    }
    st = folders_run(&report, argv + optind, argc - optind, &empty, &c.options, &err);
    if (c.json && !st)
        st = report_json(&report, stdout, &err);
    else
        report_print(&report, c.verbose, stdout);
    if (st)
        fprintf(stderr, "parity: %s\n", err.text);
    else if (!empty && report_count(&report).failed == 0)
        result = fflush(stdout) == 0 ? 0 : 1;
    report_release(&report);
    return result;
}
