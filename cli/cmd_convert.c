/*
 * cmd_convert.c - a model's file into another type or format
 *
 * The end of the new name says the format.  A file that is there is not written over unless a
 * person says so: the old model may be the only one, and eight bits do not become sixteen again.
 */
#include "cli.h"
#include "interrupt.h"
#include "json_out.h"
#include "progress.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct convert_options {
    bool help, overwrite, dry_run, json, quiet;
    char *output;
    int type; /* of IMGEN_STORED */
};

static const char *type_name(int i)
{
    struct imgen_choice c;

    return imgen_list(IMGEN_STORED, i, &c) ? c.name : NULL;
}

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"output", "the new file: NAME.safetensors or NAME.gguf", IMGEN_OPTION_TEXT,
     offsetof(struct convert_options, output), .letter = 'o', .value = "OUT"},
    {"type", "what its numbers are stored as", IMGEN_OPTION_CHOICE,
     offsetof(struct convert_options, type), .fallback = "f16", .choice = type_name, .letter = 't'},
    {"overwrite", "write over a file that is there", IMGEN_OPTION_BOOL,
     offsetof(struct convert_options, overwrite), .letter = 0},
    {"dry-run", "list what every tensor becomes, and write nothing", IMGEN_OPTION_BOOL,
     offsetof(struct convert_options, dry_run), .letter = 0},
    {"json", "print as JSON", IMGEN_OPTION_BOOL, offsetof(struct convert_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct convert_options, quiet),
     .letter = 'q'},
    {0},
};

struct convert_job {
    const struct convert_options *options;
    const char *in, *format;
    struct imgen_conversion *conversion;
    struct progress progress;
    double began;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcasecmp(text + n - m, end) == 0;
}

static int on_progress(uint64_t done, uint64_t total, void *user)
{
    struct convert_job *job = user;
    double share = total ? (double)done / (double)total : 1;
    char a[UNITS_ROOM], b[UNITS_ROOM], left[UNITS_ROOM];

    if (progress_due(&job->progress, false))
        progress_say(&job->progress, "%s of %s   ETA %s", units_bytes(a, (double)done),
                     units_bytes(b, (double)total),
                     units_seconds(left, (seconds_now() - job->began) / share * (1 - share)));
    return !interrupt_asked();
}

/* ---- What was, or would be, done ---- */

struct totals {
    int64_t tensors, left_out;
    double old_bytes, bytes;
};

static struct totals count(const struct imgen_conversion *c)
{
    struct imgen_conversion_row row;
    struct totals sum = {0};

    for (int64_t i = 0; imgen_conversion_row(c, i, &row); i++) {
        sum.tensors += row.name != NULL;
        sum.left_out += row.name == NULL;
        sum.old_bytes += (double)row.old_bytes;
        sum.bytes += (double)row.bytes;
    }
    return sum;
}

/* Texts of a stranger's file, without the letters that steer a terminal. */
static void print_plain(const char *s)
{
    for (; *s; s++)
        putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static void print_rows(const struct imgen_conversion *c)
{
    struct imgen_conversion_row row;

    for (int64_t i = 0; imgen_conversion_row(c, i, &row); i++) {
        printf("  %-7s -> %-7s [", row.from, row.name ? row.to : "nothing");
        for (int k = 0; k < row.rank; k++)
            printf("%s%" PRId64, k ? ", " : "", row.dim[k]);
        printf("]  ");
        print_plain(row.name ? row.name : row.old_name);
        printf("\n");
    }
}

static void print_json(const struct convert_job *job)
{
    struct totals sum = count(job->conversion);
    struct imgen_conversion_row row;
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "input", job->in);
    json_out_text(&j, "output", job->options->output);
    json_out_text(&j, "format", job->format);
    json_out_text(&j, "type", type_name(job->options->type));
    json_out_bool(&j, "written", !job->options->dry_run);
    json_out_int(&j, "old_bytes", (int64_t)sum.old_bytes);
    json_out_int(&j, "bytes", (int64_t)sum.bytes);
    json_out_open(&j, "tensors", '[');
    for (int64_t i = 0; imgen_conversion_row(job->conversion, i, &row); i++) {
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "name", row.name);
        json_out_text(&j, "old_name", row.old_name);
        json_out_text(&j, "from", row.from);
        json_out_text(&j, "to", row.name ? row.to : NULL);
        json_out_open(&j, "shape", '[');
        for (int k = 0; k < row.rank; k++)
            json_out_int(&j, NULL, row.dim[k]);
        json_out_close(&j);
        json_out_int(&j, "bytes", (int64_t)row.bytes);
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_real(&j, "seconds", seconds_now() - job->began);
    json_out_close(&j);
}

static void report(const struct convert_job *job)
{
    struct totals sum = count(job->conversion);
    char a[UNITS_ROOM], b[UNITS_ROOM];

    if (job->options->json) {
        print_json(job);
        return;
    }
    if (job->options->dry_run)
        print_rows(job->conversion);
    printf("%s: %" PRId64 " tensors, %s, from %s", job->options->output, sum.tensors,
           units_bytes(a, sum.bytes), units_bytes(b, sum.old_bytes));
    if (sum.left_out)
        printf("; %" PRId64 " left out", sum.left_out);
    printf("%s\n", job->options->dry_run ? "; nothing is written" : "");
}

/* ---- The command ---- */

static int convert(struct convert_job *job)
{
    const struct convert_options *o = job->options;
    struct imgen_error err;

    if (imgen_conversion_open(&job->conversion, job->in, type_name(o->type), job->format, &err))
        return command_failed(&command_convert, &err);
    if (!o->dry_run) {
        enum imgen_status st =
            imgen_conversion_run(job->conversion, o->output, on_progress, job, &err);

        progress_end(&job->progress);
        if (st == IMGEN_E_CANCELLED)
            return EXIT_STOPPED;
        if (st)
            return command_failed(&command_convert, &err);
    }
    report(job);
    return EXIT_DONE;
}

static int check(struct convert_job *job, int n_words)
{
    const struct convert_options *o = job->options;

    if (n_words != 1)
        return command_misused(&command_convert, n_words ? "one model at a time" : "which model?");
    if (!o->output || !*o->output)
        return command_misused(&command_convert, "where to?  -o names the new file");
    if (!ends_with(o->output, ".gguf") && !ends_with(o->output, ".safetensors"))
        return command_misused(&command_convert, "%s ends neither in .safetensors nor in .gguf",
                               o->output);
    job->format = ends_with(o->output, ".gguf") ? "GGUF" : "safetensors";
    if (!o->overwrite && !o->dry_run && !access(o->output, F_OK))
        return command_broken(&command_convert, "%s is there; --overwrite writes over it",
                              o->output);
    return EXIT_DONE;
}

static int cmd_convert(int argc, char **argv)
{
    struct convert_options o = {0};
    struct convert_job job = {.options = &o, .began = seconds_now()};
    int n_words, code;

    if (command_read(&command_convert, &o, NULL, argc, argv, &n_words, &code)) {
        job.in = argv[1];
        if (!(code = check(&job, n_words))) {
            interrupt_watch("\nstopping; nothing is written\n");
            progress_start(&job.progress, o.quiet);
            code = convert(&job);
        }
    }
    imgen_conversion_close(job.conversion);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_convert = {
    .is = {"convert", "MODEL -o OUT [flags]", "store a model in other numbers, or as GGUF", rows},
    .details =
        "MODEL is a safetensors or GGUF file, the index of one in several files, or a folder\n"
        "that holds one of these.  OUT ends in .safetensors or .gguf; with int8 and q8_0 the\n"
        "matrices of linear layers become bytes, and all else keeps 16 or 32 bits.  A model\n"
        "larger than memory is no hindrance.\n"
        "\n"
        "    imgen convert sd3_medium.safetensors -o sd3-int8.safetensors --type int8\n"
        "    imgen convert sd3/transformer -o sd3.gguf --type q8_0 --dry-run",
    .run = cmd_convert,
};
