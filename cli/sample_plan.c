/*
 * sample_plan.c - what making pictures would take: said, shown, or refused
 *
 * A small model answers before anybody has read a plan, and making one takes longer than its
 * picture; so only large ones are planned for, unless a flag asks.  Where more memory is needed
 * than there is, a run would not fail but crawl, with weights read from the disk at every step, or
 * be ended by the system in the middle; it is refused, with what would help, and --memory-limit 0
 * is for those who know better.
 *
 * What helps depends on which part is the largest, since parts follow one another: fewer bits for
 * weights do nothing where the text encoder is what does not fit.
 */
#include "sample_plan.h"

#include "json_out.h"
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LARGE = 1 << 26, WORDS = 256 }; /* numbers of a model that takes seconds a step */

/* A limit of the whole process: as typed, or what it has and what is free; 0: none. */
static int read_limit(int64_t *out, const struct sample_plan_flags *f, const struct command *c,
                      const struct imgen_sample_plan *p)
{
    *out = p->available_bytes ? p->program_bytes + p->available_bytes : 0;
    if (f->memory_limit && (!imgen_bytes(f->memory_limit, out) || *out < 0))
        return command_misused(c,
                               "--memory-limit: '%s' is no size: bytes, or a number with K, M or G "
                               "as in 2.5G",
                               f->memory_limit);
    return EXIT_DONE;
}

/* What the largest part is made smaller by. */
static const char *advice(const struct imgen_sample_plan *p)
{
    int64_t solving = p->weights_bytes + p->values_bytes + p->solver_bytes;
    int64_t decoding = p->values_bytes + p->decoder_bytes;

    if (p->encoder_bytes >= solving && p->encoder_bytes >= decoding)
        return "--no-t5 does without the largest text encoder, and imgen convert makes it smaller";
    if (decoding > solving)
        return "smaller pictures (-W, -H) take less to decode";
    if (p->weights_bytes >= p->values_bytes)
        return "imgen convert --type int8, or q8_0, halves weights of 16 bits; smaller pictures "
               "(-W, -H) take less beside them";
    return p->batch > 1 ? "fewer pictures at once (-n), or smaller ones (-W, -H)"
                        : "smaller pictures (-W, -H)";
}

static int refuse(const struct imgen_sample_plan *p, int64_t limit, const struct command *c)
{
    char peak[UNITS_ROOM], most[UNITS_ROOM], weights[UNITS_ROOM], encoder[UNITS_ROOM],
        values[UNITS_ROOM], decoder[UNITS_ROOM];

    return command_broken(
        c,
        "%s of memory are needed, and %s are to be had: weights %s, text encoder %s, values %s, "
        "decoder %s, not all at once.  %s; --memory-limit 0 goes on all the same",
        units_bytes(peak, (double)p->peak_bytes), units_bytes(most, (double)limit),
        units_bytes(weights, (double)p->weights_bytes),
        units_bytes(encoder, (double)p->encoder_bytes),
        units_bytes(values, (double)p->values_bytes),
        units_bytes(decoder, (double)p->decoder_bytes), advice(p));
}

static void say(const struct imgen_sample_plan *p, struct progress *progress)
{
    char peak[UNITS_ROOM], weights[UNITS_ROOM], step[UNITS_ROOM], all[UNITS_ROOM], steps[32] = "",
                                                                                   batches[48] = "";

    if (p->steps)
        snprintf(steps, sizeof steps, "%" PRId64 " ", p->steps);
    if (p->batches > 1)
        snprintf(batches, sizeof batches, ", %" PRId64 " times for %" PRId64 " pictures",
                 p->batches, p->batch);
    progress_note(
        progress, "%ssteps of about %s%s%s%s; memory %s, of it weights %s", steps,
        units_seconds(step, p->step_seconds), batches, p->steps ? ", together " : "",
        p->steps ? units_seconds(all, p->step_seconds * (double)(p->steps * p->batches)) : "",
        units_bytes(peak, (double)p->peak_bytes), units_bytes(weights, (double)p->weights_bytes));
}

/* --- on stdout ----------------------------------------------------------------------------------
 */

static void show_json(const struct imgen_sample_plan *p, int64_t limit)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_int(&j, "program_bytes", p->program_bytes);
    json_out_int(&j, "weights_bytes", p->weights_bytes);
    json_out_int(&j, "encoder_bytes", p->encoder_bytes);
    json_out_int(&j, "values_bytes", p->values_bytes);
    json_out_int(&j, "solver_bytes", p->solver_bytes);
    json_out_int(&j, "decoder_bytes", p->decoder_bytes);
    json_out_int(&j, "peak_bytes", p->peak_bytes);
    json_out_int(&j, "limit_bytes", limit);
    json_out_int(&j, "batch", p->batch);
    json_out_int(&j, "batches", p->batches);
    json_out_int(&j, "steps", p->steps);
    json_out_real(&j, "step_flops", p->step_flops);
    json_out_real(&j, "step_seconds", p->step_seconds);
    json_out_close(&j);
}

static void show_bytes(const char *name, int64_t bytes, const char *what)
{
    char text[UNITS_ROOM];

    printf("%-14s %10s  %s\n", name, units_bytes(text, (double)bytes), what);
}

static void show(const struct imgen_sample_plan *p, int64_t limit)
{
    char flops[UNITS_ROOM], seconds[UNITS_ROOM];

    show_bytes("text encoder", p->encoder_bytes, "the largest, read before the first step");
    show_bytes("weights", p->weights_bytes, "of the network, read at every step");
    show_bytes("values", p->values_bytes, "that it computes with");
    show_bytes("solver", p->solver_bytes, "");
    show_bytes("decoder", p->decoder_bytes, "after the last step");
    show_bytes("program", p->program_bytes, "");
    show_bytes("at most", p->peak_bytes, "at once");
    if (limit)
        show_bytes("to be had", limit, "");
    printf("%-14s %10" PRId64 "  times %" PRId64 " pictures at once\n", "batches", p->batches,
           p->batch);
    if (p->steps)
        printf("%-14s %10" PRId64 "\n", "steps", p->steps);
    printf("%-14s %10s  %s, by a short measurement\n", "a step",
           units_seconds(seconds, p->step_seconds), units_si(flops, p->step_flops, "FLOP"));
}

/* --- before the work ----------------------------------------------------------------------------
 */

int sample_plan_check(const struct sample_plan_flags *f, const struct command *c,
                      struct progress *progress, const struct imgen_model *model,
                      const struct imgen_request *r)
{
    struct imgen_model_info info;
    struct imgen_sample_plan plan;
    struct imgen_error err;
    int64_t limit;
    int code;

    imgen_model_info(model, &info);
    if (info.weights < LARGE && !f->memory_limit && !f->dry_run)
        return EXIT_DONE;
    if (imgen_sample_measure(model, r, &plan, &err))
        return command_failed(c, &err);
    if ((code = read_limit(&limit, f, c, &plan)))
        return code;
    if (f->dry_run && f->json)
        show_json(&plan, limit);
    else if (f->dry_run)
        show(&plan, limit);
    else
        say(&plan, progress);
    return limit && plan.peak_bytes > limit ? refuse(&plan, limit, c) : EXIT_DONE;
}
