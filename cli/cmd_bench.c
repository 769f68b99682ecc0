/*
 * cmd_bench.c - how fast this machine is, and what share of it the library reaches
 *
 * Peak and bandwidth are measured again beside every repetition, so a share means the same on every
 * machine and under every neighbour's load.
 */
#include "cli.h"
#include "json_out.h"
#include "units.h"

#include <stddef.h>
#include <stdio.h>

struct bench_options {
    bool help, json;
    int64_t threads, runs;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct bench_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"runs",
     "of each case, behind one that warms up; 0: 9, of a case that takes 4 s 5, and of one that "
     "takes 10 s 3",
     IMGEN_OPTION_INT, offsetof(struct bench_options, runs), "0", .lo = 0, .hi = 99, .letter = 'n'},
    {"json", "print as JSON", IMGEN_OPTION_BOOL, offsetof(struct bench_options, json), .letter = 0},
    {0},
};

struct table {
    struct imgen_machine machine; /* measured before the first row */
    struct json_out json;
    int n;
};

static void print_head(const struct imgen_machine *m)
{
    char peak[UNITS_ROOM], bandwidth[UNITS_ROOM];

    printf("%d threads: peak %s, memory %s\n\n", m->threads,
           units_si(peak, m->peak_flops, "FLOP/s"), units_si(bandwidth, m->bandwidth, "B/s"));
    printf("work: 2 a multiply-add of products, convolutions (as the direct method has them; "
           "Winograd's\nneeds fewer) and attention\n\n");
    printf("%-76s %9s %7s %11s %14s %7s\n", "", "time", "spread", "work", "rate", "share");
}

static const char *limit_name(enum imgen_limit limit)
{
    static const char *const names[] = {
        [IMGEN_LIMIT_NONE] = "",
        [IMGEN_LIMIT_ARITHMETIC] = "of peak",
        [IMGEN_LIMIT_MEMORY] = "of memory",
        [IMGEN_LIMIT_TIME] = "of the step",
        [IMGEN_LIMIT_RATIO] = "x",
    };

    return names[limit];
}

static void print_measured(const struct imgen_bench_row *row)
{
    char time[UNITS_ROOM], work[UNITS_ROOM], rate[UNITS_ROOM];
    bool counts = row->flops > 0;

    printf(" %9s %5.0f %% %11s", units_time(time, row->seconds), 100 * row->spread,
           counts ? units_si(work, row->flops, "FLOP") : "");
    printf(" %14s", !counts && row->bytes <= 0
                        ? ""
                        : units_si(rate, (counts ? row->flops : row->bytes) / row->seconds,
                                   counts ? "FLOP/s" : "B/s"));
}

static int print_row(const struct imgen_bench_row *row, void *user)
{
    struct table *table = user;
    char memory[UNITS_ROOM];

    if (!table->n++)
        print_head(&table->machine);
    printf("%-76s", row->name);
    if (row->seconds > 0)
        print_measured(row);
    else
        printf(" %44s", "");
    if (row->limit == IMGEN_LIMIT_RATIO)
        printf(" %5.2f times as fast", row->share);
    else
        printf(" %5.1f %% %s", 100 * row->share, limit_name(row->limit));
    if (row->memory)
        printf(", tape %s", units_bytes(memory, (double)row->memory));
    if (row->resident)
        printf(", process %s", units_bytes(memory, (double)row->resident));
    printf("\n");
    fflush(stdout);
    return 1;
}

static int print_row_json(const struct imgen_bench_row *row, void *user)
{
    struct table *table = user;
    struct json_out *j = &table->json;

    table->n++;
    json_out_open(j, NULL, '{');
    json_out_text(j, "name", row->name);
    json_out_real(j, "seconds", row->seconds);
    json_out_real(j, "spread", row->spread);
    json_out_real(j, "flops", row->flops);
    json_out_real(j, "bytes", row->bytes);
    json_out_real(j, "share", row->share);
    json_out_text(j, "limit", limit_name(row->limit));
    json_out_int(j, "memory", row->memory);
    json_out_int(j, "resident", row->resident);
    json_out_close(j);
    return 1;
}

static int run(const struct bench_options *o, const char *filter)
{
    struct table table = {0};
    struct imgen_machine *m = &table.machine;
    struct json_out *j = &table.json;
    struct imgen_error err;

    json_out_begin(j, stdout);
    if (o->json) {
        json_out_open(j, NULL, '{');
        json_out_open(j, "rows", '[');
    }
    if (imgen_bench((int)o->threads, filter, (int)o->runs, m, o->json ? print_row_json : print_row,
                    &table, &err))
        return command_failed(&command_bench, &err);
    if (o->json) {
        json_out_close(j);
        json_out_int(j, "threads", m->threads);
        json_out_real(j, "peak_flops", m->peak_flops);
        json_out_real(j, "bandwidth", m->bandwidth);
        json_out_text(j, "version", imgen_version());
        json_out_close(j);
    }
    if (!table.n)
        return command_misused(&command_bench, "no row has '%s' in its name", filter ? filter : "");
    return EXIT_DONE;
}

static int cmd_bench(int argc, char **argv)
{
    struct bench_options o = {0};
    int n_words, code;
    bool go = command_read(&command_bench, &o, NULL, argc, argv, &n_words, &code);

    imgen_options_release(rows, &o);
    if (!go)
        return code;
    if (n_words > 1)
        return command_misused(&command_bench, "one filter at a time, not %d", n_words);
    return run(&o, n_words ? argv[1] : NULL);
}

const struct command command_bench = {
    .is = {"bench", "[FILTER] [flags]", "measure this machine and the hot operations", rows},
    .details =
        "Times the operations whose name contains FILTER: median, spread, rate and share of\n"
        "the machine's measured peak of arithmetic, or of memory where that is the limit.\n"
        "Families: linear, conv, attention, elementwise, optimizer, training step, sampling\n"
        "step, encoder, decoder.\n"
        "\n"
        "    imgen bench sd3          Stable Diffusion 3 medium at 512 x 512, random weights in 6 "
        "GB of\n"
        "                             memory: a guided step in float32 and in int8, both CLIP "
        "text\n"
        "                             encoders, the decoder.  Minutes.\n"
        "    imgen bench \"sd3 1024\"   the step at 1024 x 1024\n"
        "\n"
        "These two are measured only where the filter says so.",
    .run = cmd_bench,
};
