/*
 * train.c - training and data sets for users of the library
 */
#include "api/api.h"

#include "base/memory.h"
#include "data/loader.h"
#include "data/shapes.h"
#include "pipeline/picture.h"
#include "train/evaluate.h"
#include "train/report.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)IMGEN_CAPTION == (int)CAPTION_TEXT, "captions have one length");

static bool relay(const struct train_event *e, void *user)
{
    const struct imgen_training *t = user;
    struct imgen_train_event out = {
        .kind = (enum imgen_train_event_kind)e->kind,
        .step = e->step,
        .steps = e->steps,
        .loss = e->loss,
        .mean_loss = e->mean_loss,
        .gradient_norm = e->gradient_norm,
        .learning_rate = e->learning_rate,
        .steps_per_s = e->steps_per_s,
        .seconds_left = e->seconds_left,
        .path = e->path,
        .classifies = e->evaluated && e->evaluated->classifies,
        .clean = e->evaluated && e->evaluated->clean,
        .accuracy = e->evaluated ? e->evaluated->right : 0,
        .rebuilds = e->evaluated && e->evaluated->rebuilds,
        .psnr = e->evaluated ? e->evaluated->psnr : 0,
        .planned_bytes = e->memory->peak,
        .peak_bytes = e->peak_bytes,
        .recompute = e->memory->level,
        .segments = e->memory->segments,
    };

    for (int q = 0; e->evaluated && q < 4; q++)
        out.accuracy_quarter[q] = e->evaluated->right_quarter[q];
    return t->callback(&out, t->user) != 0;
}

static struct train_request request(const struct imgen_training *t, struct experiment *x)
{
    return (struct train_request){
        .experiment = x,
        .threads = api_threads(t->threads),
        .resume = t->resume,
        .callback = t->callback ? relay : NULL,
        .user = (void *)(uintptr_t)t,
    };
}

enum imgen_status imgen_train(const struct imgen_training *t, struct imgen_error *err)
{
    struct experiment x = {0};
    struct error e = {0};
    enum status st;

    if (!(st = api_experiment(&x, t, &e))) {
        struct train_request r = request(t, &x);

        st = train_run(&r, &e);
    }
    experiment_release(&x);
    return api_status(err, &e, st);
}

enum imgen_status imgen_report(const char *folder, struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, report_write(folder, &e));
}

enum imgen_status imgen_train_measure(const struct imgen_training *t, struct imgen_train_plan *out,
                                      struct imgen_error *err)
{
    struct experiment x = {0};
    struct train_plan plan = {0};
    struct error e = {0};
    enum status st;

    memset(out, 0, sizeof *out);
    if (!(st = api_experiment(&x, t, &e))) {
        struct train_request r = request(t, &x);

        out->steps = x.train.steps;
        st = train_measure(&r, &plan, &e);
    }
    out->weights = plan.weights;
    out->state_bytes = plan.memory.state;
    out->step_bytes = plan.memory.values + plan.memory.scratch;
    out->program_bytes = plan.memory.program;
    out->setup_bytes = plan.memory.setup;
    out->beside_bytes = plan.memory.beside;
    out->peak_bytes = plan.memory.peak;
    out->recompute = plan.memory.level;
    out->segments = plan.memory.segments;
    out->step_flops = plan.step_flops;
    out->step_seconds = plan.step_seconds;
    out->total_seconds = plan.total_seconds;
    out->pictures = plan.pictures;
    experiment_release(&x);
    return api_status(err, &e, st);
}

/* --- the keys of a configuration ----------------------------------------------------------------
 */

static int tell_rows(const char *section, const struct option *rows,
                     imgen_config_callback *callback, void *user)
{
    for (; rows && rows->name; rows++) {
        struct imgen_config_key key = {section, rows->name, rows->help,
                                       rows->fallback ? rows->fallback : ""};

        if (!callback(&key, user))
            return 0;
    }
    return 1;
}

void imgen_config_keys(imgen_config_callback *callback, void *user)
{
    if (!tell_rows("model", model_option_rows, callback, user) ||
        !tell_rows("data", data_option_rows, callback, user) ||
        !tell_rows("train", train_option_rows, callback, user) ||
        !tell_rows("sample", sample_option_rows, callback, user) ||
        !tell_rows("autoencoder", autoencoder_option_rows, callback, user) ||
        !tell_rows("lora", lora_option_rows, callback, user) ||
        !tell_rows("text", text_option_rows, callback, user))
        return;
    for (int i = 0; network_kind_at(i); i++)
        if (!tell_rows(network_kind_at(i)->name, network_kind_at(i)->options, callback, user))
            return;
    for (int i = 0; path_kind_at(i); i++)
        if (!tell_rows("path", path_kind_at(i)->is.options, callback, user))
            return;
    for (int i = 0; time_kind_at(i); i++)
        if (!tell_rows("time", time_kind_at(i)->is.options, callback, user))
            return;
    for (int i = 0; weighting_kind_at(i); i++)
        if (!tell_rows("weight", weighting_kind_at(i)->is.options, callback, user))
            return;
    for (int i = 0; precondition_kind_at(i); i++)
        if (!tell_rows("precondition", precondition_kind_at(i)->is.options, callback, user))
            return;
}

/* --- data sets ----------------------------------------------------------------------------------
 */

typedef enum status open_set(const struct experiment *e, struct dataset **out, struct error *err);

static enum imgen_status data_open(struct imgen_data **out, const struct imgen_training *t,
                                   open_set *open, struct imgen_error *err)
{
    struct imgen_data *d = NULL;
    struct experiment x = {0};
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = api_experiment(&x, t, &e)) ||
        (st = mem_new((void **)&d, 1, sizeof *d, "a data set", &e)) || (st = open(&x, &d->set, &e)))
        imgen_data_close(d);
    else
        *out = d;
    experiment_release(&x);
    return api_status(err, &e, st);
}

enum imgen_status imgen_data_open(struct imgen_data **out, const struct imgen_training *t,
                                  struct imgen_error *err)
{
    return data_open(out, t, experiment_data, err);
}

enum imgen_status imgen_data_open_held_out(struct imgen_data **out, const struct imgen_training *t,
                                           struct imgen_error *err)
{
    return data_open(out, t, evaluation_data, err);
}

void imgen_data_close(struct imgen_data *data)
{
    if (!data)
        return;
    dataset_close(data->set);
    free(data);
}

void imgen_data_info(const struct imgen_data *data, struct imgen_data_info *out)
{
    const struct dataset *d = data->set;

    *out = (struct imgen_data_info){
        .format = d->format->name,
        .count = d->count,
        .height = (int)d->height,
        .width = (int)d->width,
        .channels = (int)d->channels,
        .n_labels = (int)d->n_classes,
        .frames = (int)d->frames,
    };
}

const char *imgen_data_label(const struct imgen_data *data, int i)
{
    return i >= 0 && i < data->set->n_classes ? data->set->class_names[i] : NULL;
}

const char *imgen_data_name(const struct imgen_data *data, int64_t i)
{
    return i >= 0 && i < data->set->count ? dataset_name(data->set, i) : NULL;
}

enum imgen_status imgen_data_get(const struct imgen_data *data, int64_t i, float *pixels,
                                 int *label, char caption[IMGEN_CAPTION], struct imgen_error *err)
{
    char text[CAPTION_TEXT] = "";
    struct error e = {0};
    int32_t number = -1;
    enum status st = dataset_get(data->set, i, pixels, &number, text, &e);

    *label = number;
    if (caption)
        memcpy(caption, text, sizeof text);
    return api_status(err, &e, st);
}

static enum status draw_one(const struct dataset *d, int64_t i, float *x, uint8_t *pixels,
                            int *label, struct error *err)
{
    int64_t length = dataset_length(d);
    char caption[CAPTION_TEXT];
    int32_t number = -1;
    enum status st;

    if ((st = dataset_get(d, i, x, &number, caption, err)))
        return st;
    *label = number;
    return picture_levels(pixels, x, length, err);
}

enum imgen_status imgen_data_draw(const struct imgen_data *data, uint64_t seed, int64_t n,
                                  uint8_t *pixels, int *label, int64_t *number,
                                  struct imgen_error *err)
{
    const struct dataset *d = data->set;
    int64_t length = dataset_length(d);
    struct error e = {0};
    float *x = NULL;
    enum status st = OK;

    if (n < 0 || n > d->count)
        st = fail(&e, E_ARG, "%" PRId64 " pictures of a set of %" PRId64, n, d->count);
    if (!st)
        st = mem_new((void **)&x, (uint64_t)length, sizeof *x, "a picture", &e);
    for (int64_t i = 0; i < n && !st; i++) {
        number[i] = loader_index(seed, d->count, i);
        st = draw_one(d, number[i], x, pixels + i * length, &label[i], &e);
    }
    free(x);
    return api_status(err, &e, st);
}

int imgen_shapes_label(const float *pixels, int size)
{
    struct shapes_verdict v;

    if (size < SHAPES_SIDE_MIN || size > SHAPES_SIDE_MAX)
        return -1;
    shapes_check(pixels, size, &v);
    if (v.shape < 0 || v.colour < 0)
        return -1;
    return shapes_label((enum shape_form)v.shape, (enum shape_colour)v.colour);
}
