/*
 * info_picture.c - a picture with its recipe, for `imgen info`
 */
#include "info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_field(const char *name, const char *value)
{
    printf("  %-16s ", name);
    info_plain(value);
    printf("\n");
}

/* What a picture of another program may not say. */
static void print_known(const char *name, const char *value)
{
    if (*value)
        print_field(name, value);
}

static void print_init(const struct imgen_recipe *r)
{
    if (r->init_hash[0]) {
        print_field("made of", r->init);
        print_field("its sha256", r->init_hash);
    }
    if (r->mask_hash[0]) {
        print_field("under the mask", r->mask);
        print_field("its sha256", r->mask_hash);
    }
    if (r->init_hash[0] || r->strength > 0)
        printf("  strength         %g\n", r->strength);
}

static void print_part(const struct imgen_recipe_part *p)
{
    print_field(p->role, p->file[0] ? p->file : "none");
    if (p->hash[0])
        printf("                   %.12s... of pieces\n", p->hash);
}

static void print_recipe(const char *path, const struct imgen_recipe *r)
{
    printf("%s: a picture with its recipe%s\n", path, r->foreign ? ", by another program" : "");
    print_known("model", r->model);
    print_known("sha256", r->hash);
    print_field("label", r->label);
    print_known("negative", r->negative);
    printf("  seed             %" PRIu64 "\n", r->item.seed);
    if (r->item.cfg_scale >= 0)
        printf("  cfg scale        %g\n", r->item.cfg_scale);
    if (r->width)
        printf("  size             %d x %d\n", r->width, r->height);
    if (r->frames)
        printf("  frames           %d\n", r->frames);
    if (r->tiled)
        printf("  tiles            sharing %g of their sides\n", r->tile_overlap);
    print_init(r);
    for (int i = 0; i < r->n_parts; i++)
        print_part(&r->part[i]);
    if (r->classifier[0]) {
        print_field("classifier", r->classifier);
        print_field("its sha256", r->classifier_hash);
        printf("  its scale        %g\n", r->classifier_scale);
    }
    if (r->guide[0]) {
        print_field("guide", r->guide);
        print_field("its sha256", r->guide_hash);
        print_field("its label", r->guide_label);
    }
    print_known("sampling method", r->sampler);
    if (r->n_times) {
        printf("  times            %d, from %g to %g\n", r->n_times, r->times[0],
               r->times[r->n_times - 1]);
    } else {
        print_known("schedule", r->schedule);
        if (!r->foreign)
            printf("  shift            %g\n", r->shift);
        printf("  steps            %d\n", r->steps);
    }
    print_known("precision", r->precision);
    if (strcmp(r->rng, "imgen") != 0)
        print_known("rng", r->rng);
    if (strcmp(r->heads, "both") != 0)
        print_known("heads", r->heads);
    if (strcmp(r->clip, "auto") != 0)
        print_known("clip", r->clip);
    for (int i = 0; i < r->n_numbers; i++)
        print_field(i ? "" : "numbers", r->numbers[i]);
    if (r->foreign)
        printf("\nA relative of it:  imgen sample --from %s MODEL\n", path);
    else
        printf("\nThe same again:    imgen sample --from %s\n", path);
}

static void print_recipe_json(const char *path, const struct imgen_recipe *r)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "path", path);
    json_out_text(&j, "kind", "picture");
    json_out_text(&j, "model", r->model);
    json_out_text(&j, "hash", r->hash);
    json_out_bool(&j, "foreign", r->foreign);
    json_out_text(&j, "label", r->label);
    json_out_text(&j, "negative", r->negative);
    json_out_seed(&j, "seed", r->item.seed);
    json_out_real(&j, "cfg_scale", r->item.cfg_scale);
    json_out_int(&j, "width", r->width);
    json_out_int(&j, "height", r->height);
    json_out_int(&j, "frames", r->frames);
    if (r->tiled)
        json_out_real(&j, "tile_overlap", r->tile_overlap);
    if (r->init_hash[0]) {
        json_out_text(&j, "init", r->init);
        json_out_text(&j, "init_hash", r->init_hash);
    }
    if (r->mask_hash[0]) {
        json_out_text(&j, "mask", r->mask);
        json_out_text(&j, "mask_hash", r->mask_hash);
    }
    if (r->init_hash[0] || r->strength > 0)
        json_out_real(&j, "strength", r->strength);
    if (r->classifier[0]) {
        json_out_text(&j, "classifier", r->classifier);
        json_out_text(&j, "classifier_hash", r->classifier_hash);
        json_out_real(&j, "classifier_scale", r->classifier_scale);
    }
    if (r->guide[0]) {
        json_out_text(&j, "guide", r->guide);
        json_out_text(&j, "guide_hash", r->guide_hash);
        json_out_text(&j, "guide_label", r->guide_label);
    }
    json_out_open(&j, "parts", '[');
    for (int i = 0; i < r->n_parts; i++) {
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "part", r->part[i].role);
        json_out_text(&j, "file", r->part[i].file);
        json_out_text(&j, "hash", r->part[i].hash);
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_text(&j, "sampling_method", r->sampler);
    json_out_text(&j, "schedule", r->schedule);
    json_out_text(&j, "precision", r->precision);
    json_out_text(&j, "rng", r->rng);
    json_out_text(&j, "heads", r->heads);
    json_out_text(&j, "clip", r->clip);
    json_out_real(&j, "shift", r->shift);
    json_out_int(&j, "steps", r->steps);
    json_out_open(&j, "times", '[');
    for (int i = 0; i < r->n_times; i++)
        json_out_real(&j, NULL, r->times[i]);
    json_out_close(&j);
    json_out_open(&j, "numbers", '[');
    for (int i = 0; i < r->n_numbers; i++)
        json_out_text(&j, NULL, r->numbers[i]);
    json_out_close(&j);
    json_out_close(&j);
}

int info_picture(const char *path, const struct info_options *o)
{
    struct imgen_image image = {0};
    struct imgen_recipe recipe;
    struct imgen_error err;

    if (o->verify && imgen_image_read(&image, path, &err))
        return command_failed(&command_info, &err);
    imgen_image_release(&image);
    if (imgen_recipe_read(&recipe, path, &err))
        return command_failed(&command_info, &err);
    if (o->json)
        print_recipe_json(path, &recipe);
    else
        print_recipe(path, &recipe);
    return EXIT_DONE;
}
