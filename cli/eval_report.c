/*
 * eval_report.c - what `imgen eval` says
 *
 * A figure without its protocol is no figure: how many pictures, of which size, against which, by
 * whose features, from which seed.  All of it stands above the table and in the JSON, the files of
 * networks by their content.
 */
#include "eval.h"

#include "json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- In words ---- */

static void print_set(const char *title, const struct picture_source *s)
{
    const struct imgen_pictures *p = &s->pictures;

    printf("%-12s %" PRId64 " of ", title, p->n);
    if (p->frames > 1)
        printf("%d frames of ", p->frames);
    printf("%d x %d, %d channel%s: %s\n", p->width, p->height, p->channels,
           p->channels == 1 ? "" : "s", s->about);
    if (strcmp(s->resize, "none") != 0)
        printf("%-12s resized: %s\n", "", s->resize);
}

static void print_network(const char *title, const char *path, const struct imgen_features_info *f)
{
    printf("%-12s %s (sha256 %.12s...): %s, %d features%s%s\n", title, path, f->hash, f->kind,
           f->features, f->about ? "; " : "", f->about ? f->about : "");
    if (!f->height)
        printf("%-12s resized: %s\n", "", f->resize);
}

static void print_protocol(const struct eval_job *job)
{
    const struct eval_options *o = job->options;

    print_set("pictures", &job->pictures);
    if (job->reference.kind == SOURCE_STATISTICS)
        printf("%-12s %" PRId64 " by their features, %s: %s\n", "reference",
               job->measured.n_reference, job->reference.word, job->measured.about);
    else if (job->reference.kind)
        print_set("reference", &job->reference);
    if (job->features)
        print_network("features", o->features, &job->features_info);
    if (job->judge)
        print_network("judge", o->judge, &job->judge_info);
    for (int i = 0; i < job->n_joints; i++)
        printf("%s%" PRId64 "%s", i ? ", " : "joints       before frames ", job->joint[i],
               i + 1 < job->n_joints ? "" : "\n");
    printf("%-12s seed %" PRIu64 ", imgen %s\n\n", "", o->seed, imgen_version());
}

static void print_figures(const struct eval_job *job)
{
    for (int i = 0; i < job->n; i++) {
        const struct figure *f = &job->figure[i];
        char deviation[32] = "";

        if (f->row.lacks)
            continue;
        if (f->row.deviation >= 0)
            snprintf(deviation, sizeof deviation, "+- %.3g", f->row.deviation);
        printf("%-18s %12.6g  %-12s  %s\n", f->row.name, f->row.value, deviation, f->note);
    }
    for (int i = 0; i < job->n; i++)
        if (job->figure[i].row.lacks)
            printf("left out: %s: %s\n", job->figure[i].row.name, job->figure[i].lacks);
}

void eval_print(const struct eval_job *job)
{
    print_protocol(job);
    print_figures(job);
}

/* ---- As JSON ---- */

static void print_set_json(struct json_out *j, const char *key, const struct picture_source *s)
{
    static const char *const kinds[] = {NULL,    "folder",     "set",
                                        "model", "statistics", "autoencoder"};
    const struct imgen_pictures *p = &s->pictures;
    const struct imgen_recipe *r = &s->recipe;

    json_out_open(j, key, '{');
    json_out_text(j, "from", s->word);
    json_out_text(j, "kind", kinds[s->kind]);
    json_out_text(j, "about", s->about);
    json_out_int(j, "n", p->n);
    json_out_int(j, "height", p->height);
    json_out_int(j, "width", p->width);
    json_out_int(j, "channels", p->channels);
    json_out_int(j, "frames", p->frames > 1 ? p->frames : 1);
    json_out_int(j, "labels", p->n_labels);
    json_out_text(j, "resize", s->resize);
    if (s->kind == SOURCE_MODEL) {
        json_out_text(j, "hash", r->hash);
        json_out_text(j, "sampling_method", r->sampler);
        json_out_text(j, "schedule", r->n_times ? NULL : r->schedule);
        json_out_real(j, "shift", r->shift);
        json_out_int(j, "steps", r->n_times ? r->n_times - 1 : r->steps);
        json_out_real(j, "cfg_scale", r->item.cfg_scale);
        json_out_text(j, "precision", r->precision);
        json_out_text(j, "rng", r->rng);
        json_out_text(j, "heads", r->heads);
        json_out_text(j, "clip", r->clip);
        if (r->classifier[0]) {
            json_out_text(j, "classifier", r->classifier);
            json_out_text(j, "classifier_hash", r->classifier_hash);
            json_out_real(j, "classifier_scale", r->classifier_scale);
        }
        if (r->guide[0]) {
            json_out_text(j, "guide", r->guide);
            json_out_text(j, "guide_hash", r->guide_hash);
            json_out_text(j, "guide_label", r->guide_label);
        }
    }
    json_out_close(j);
}

static void print_network_json(struct json_out *j, const char *key, const char *path,
                               const struct imgen_features_info *f)
{
    json_out_open(j, key, '{');
    json_out_text(j, "from", path);
    json_out_text(j, "kind", f->kind);
    json_out_text(j, "hash", f->hash);
    json_out_text(j, "about", f->about);
    json_out_int(j, "features", f->features);
    json_out_text(j, "resize", f->resize);
    json_out_close(j);
}

static void print_protocol_json(struct json_out *j, const struct eval_job *job)
{
    const struct eval_options *o = job->options;

    print_set_json(j, "pictures", &job->pictures);
    if (job->reference.kind == SOURCE_STATISTICS) {
        json_out_open(j, "reference", '{');
        json_out_text(j, "from", job->reference.word);
        json_out_text(j, "kind", "statistics");
        json_out_text(j, "about", job->measured.about);
        json_out_int(j, "n", job->measured.n_reference);
        json_out_close(j);
    } else if (job->reference.kind) {
        print_set_json(j, "reference", &job->reference);
    }
    if (job->features)
        print_network_json(j, "features", o->features, &job->features_info);
    if (job->judge)
        print_network_json(j, "judge", o->judge, &job->judge_info);
    if (job->n_joints) {
        json_out_open(j, "joints", '[');
        for (int i = 0; i < job->n_joints; i++)
            json_out_int(j, NULL, job->joint[i]);
        json_out_close(j);
    }
    json_out_seed(j, "seed", o->seed);
    json_out_int(j, "neighbours", o->neighbours);
    json_out_int(j, "subsets", o->subsets);
    json_out_int(j, "subset_size", o->subset_size);
    json_out_int(j, "projections", o->projections);
}

static void print_figures_json(struct json_out *j, const struct eval_job *job)
{
    json_out_open(j, "figures", '[');
    for (int i = 0; i < job->n; i++) {
        const struct figure *f = &job->figure[i];

        json_out_open(j, NULL, '{');
        json_out_text(j, "measure", f->row.measure);
        json_out_text(j, "name", f->row.name);
        if (f->row.lacks) {
            json_out_text(j, "left_out", f->lacks);
        } else {
            json_out_real(j, "value", f->row.value);
            if (f->row.deviation >= 0)
                json_out_real(j, "deviation", f->row.deviation);
            json_out_text(j, "note", f->note);
        }
        json_out_close(j);
    }
    json_out_close(j);
}

static bool has_neighbours(const struct eval_job *job)
{
    for (int i = 0; job->nearest && i < job->n; i++)
        if (!strcmp(job->figure[i].row.measure, "nearest") && !job->figure[i].row.lacks)
            return true;
    return false;
}

void eval_print_json(const struct eval_job *job)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "version", imgen_version());
    print_protocol_json(&j, job);
    print_figures_json(&j, job);
    if (has_neighbours(job)) {
        json_out_open(&j, "neighbours_of_each", '[');
        for (int64_t i = 0; i < job->pictures.pictures.n; i++) {
            json_out_open(&j, NULL, '{');
            json_out_int(&j, "picture", job->pictures.number[i]);
            json_out_int(&j, "nearest", job->reference.number[job->nearest[i].first]);
            json_out_real(&j, "distance", job->nearest[i].distance);
            json_out_real(&j, "second", job->nearest[i].second);
            json_out_close(&j);
        }
        json_out_close(&j);
    }
    json_out_real(&j, "seconds", seconds_now() - job->progress.began);
    json_out_close(&j);
}
