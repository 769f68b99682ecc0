/*
 * cmd_eval.c - how good a set of pictures is
 *
 * Two sets are read, from wherever they may come, and everything is measured that can be.  Folders
 * are read last: their pictures take the size of what they are compared with.  What an autoencoder
 * gives back has a file of its own (eval_autoencoder.c), and so has the report (eval_report.c).
 */
#include "eval.h"

#include "interrupt.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const splits[] = {"train", "held-out", NULL};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"reference", "what to compare with: a folder, a configuration or a file made by --save",
     IMGEN_OPTION_TEXT, offsetof(struct eval_options, reference), .letter = 'r', .value = "WHAT"},
    {"features", "compare features of this network: a model that classifies, or Inception weights",
     IMGEN_OPTION_TEXT, offsetof(struct eval_options, features), .letter = 'f', .value = "FILE"},
    {"features_resize",
     "how an Inception sees pictures of other sizes: tensorflow (the default), pytorch or clean",
     IMGEN_OPTION_TEXT, offsetof(struct eval_options, resize), .value = "NAME"},
    {"features_pooling",
     "which form an Inception's weights are for: fid (the default) or torchvision",
     IMGEN_OPTION_TEXT, offsetof(struct eval_options, pooling), .value = "NAME"},
    {"judge", "the classifier that judges obedience; default: --features", IMGEN_OPTION_TEXT,
     offsetof(struct eval_options, judge), .value = "FILE"},
    {"measures", "only these (imgen list measures); default: all that can be taken",
     IMGEN_OPTION_TEXT, offsetof(struct eval_options, measures), .letter = 'm',
     .value = "NAME,NAME,..."},
    {"count", "pictures to measure; 0: all, and 10000 of a model or an endless set",
     IMGEN_OPTION_INT, offsetof(struct eval_options, count), "0", .lo = 0, .hi = 10000000,
     .letter = 'n'},
    {"reference_count", "pictures of the reference; 0: the same rule", IMGEN_OPTION_INT,
     offsetof(struct eval_options, reference_count), "0", .lo = 0, .hi = 10000000},
    {"split", "of a configuration's pictures, when they are what is measured", IMGEN_OPTION_CHOICE,
     offsetof(struct eval_options, split), "held-out", .choices = splits},
    {"reference_split", "of a configuration's pictures, when they are the reference",
     IMGEN_OPTION_CHOICE, offsetof(struct eval_options, reference_split), "train",
     .choices = splits},
    {"size", "bring pictures of folders and sets to this height and width; 0: as they are",
     IMGEN_OPTION_INT, offsetof(struct eval_options, size), "0", .lo = 0, .hi = 4096},
    {"channels", "1 grey, 3 colour; 0: as they are", IMGEN_OPTION_INT,
     offsetof(struct eval_options, channels), "0", .lo = 0, .hi = 3},
    {"frames", "of clips: the first so many of each, of folders and sets; 0: as they are",
     IMGEN_OPTION_INT, offsetof(struct eval_options, frames), "0", .lo = 0, .hi = 1024},
    {"tile_frames", "of an autoencoder: frames of the tiles in which it decodes clips; 0: 32",
     IMGEN_OPTION_INT, offsetof(struct eval_options, tile_frames), "0", .lo = 0, .hi = 1024},
    {"joints",
     "of long clips: the frames before which tiles of a decoder begin or end; of an autoencoder "
     "they are known",
     IMGEN_OPTION_INTS, offsetof(struct eval_options, joints), .lo = 1, .hi = 1023,
     .value = "T,T,..."},
    {"set", "a key of the configurations, over the files; may be given often", IMGEN_OPTION_TEXTS,
     offsetof(struct eval_options, settings), .value = "SECTION.KEY=VALUE"},
    {"label", "ask the model for this label only; default: all in turn", IMGEN_OPTION_TEXT,
     offsetof(struct eval_options, label), .letter = 'l', .value = "NAME"},
    {"prompts",
     "what to ask a model that reads texts: a configuration (captions of its held-out pictures), "
     "or "
     "a file with a prompt a line",
     IMGEN_OPTION_TEXT, offsetof(struct eval_options, prompts), .letter = 'p', .value = "FILE"},
    {"given", "of a model that can: each clip begins with the first frame of that of its prompt",
     IMGEN_OPTION_BOOL, offsetof(struct eval_options, given), .letter = 0},
    SOLVER_ROWS(offsetof(struct eval_options, solver)),
    {"seed", "of a model's noise, of pictures drawn from sets, of subsets and directions",
     IMGEN_OPTION_SEED, offsetof(struct eval_options, seed), "0", .letter = 's'},
    {"neighbours", "of precision and recall", IMGEN_OPTION_INT,
     offsetof(struct eval_options, neighbours), "3", .lo = 1, .hi = 64},
    {"subsets", "of kid", IMGEN_OPTION_INT, offsetof(struct eval_options, subsets), "100", .lo = 1,
     .hi = 100000},
    {"subset_size", "of kid; 0: 1000, or as many as there are", IMGEN_OPTION_INT,
     offsetof(struct eval_options, subset_size), "0", .lo = 0, .hi = 1000000},
    {"projections", "of sliced", IMGEN_OPTION_INT, offsetof(struct eval_options, projections),
     "512", .lo = 1, .hi = 1000000},
    {"save", "write the reference's features here, to be a --reference later", IMGEN_OPTION_TEXT,
     offsetof(struct eval_options, save), .value = "FILE.safetensors"},
    {"each", "with --json: every picture's nearest neighbour too", IMGEN_OPTION_BOOL,
     offsetof(struct eval_options, each), .letter = 0},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct eval_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"json", "print as JSON", IMGEN_OPTION_BOOL, offsetof(struct eval_options, json), .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct eval_options, quiet),
     .letter = 'q'},
    {0},
};

static int failed(struct eval_job *job, const struct imgen_error *err)
{
    progress_end(&job->progress);
    return command_failed(&command_eval, err);
}

/* ---- What is measured ---- */

/* how: NULL for the usual. */
static int open_network(struct eval_job *job, const char *path,
                        const struct imgen_features_how *how, struct imgen_features **out,
                        struct imgen_features_info *info)
{
    struct imgen_error err;

    if (!path)
        return EXIT_DONE;
    if (imgen_features_open(out, path, how, &err))
        return failed(job, &err);
    imgen_features_info(*out, info);
    return EXIT_DONE;
}

static int apply_solver(struct imgen_request *r, void *user)
{
    struct eval_job *job = user;

    return solver_flags_apply(&command_eval, job->given, &job->options->solver, &job->numbers, r);
}

static double choose_scale(const struct request_models *models, int label, void *user)
{
    const struct eval_job *job = user;

    if (command_given(&command_eval, job->given, "cfg_scale"))
        return job->options->solver.cfg_scale;
    return solver_flags_scale(&models->info, models->guide, label);
}

static struct source_wish wish(struct eval_job *job, const char *word)
{
    const struct eval_options *o = job->options;

    return (struct source_wish){
        .command = &command_eval,
        .word = word,
        .settings = o->settings,
        .size = o->size,
        .channels = o->channels,
        .frames = o->frames,
        .seed = o->seed,
        .label = o->label,
        .prompts = o->prompts,
        .given = o->given,
        .classifier = o->solver.classifier,
        .autoencoder = o->solver.autoencoder,
        .guide = o->solver.guide.model,
        .solver = apply_solver,
        .scale = choose_scale,
        .user = job,
        .threads = o->threads,
        .progress = &job->progress,
    };
}

/* Pictures of a folder take the size of what they are compared with, unless one is given. */
static int fit_folder(struct eval_job *job, struct source_wish *w,
                      const struct picture_source *other)
{
    const struct imgen_features_info *f = &job->features_info;
    const struct imgen_pictures *p = &other->pictures;

    if (!w->size)
        w->size = f->height ? f->height : p->height;
    if (!w->channels)
        w->channels = f->height ? f->channels : p->channels;
    if (!w->size)
        return command_misused(&command_eval,
                               "%s: pictures of a folder may have any size: which "
                               "--size?",
                               w->word);
    return EXIT_DONE;
}

static int read_one(struct eval_job *job, struct picture_source *s, struct source_wish *w,
                    const struct picture_source *other)
{
    enum source_kind kind = source_kind_of(&command_eval, w->word);
    int code;

    if (kind == SOURCE_NONE)
        return EXIT_MISUSED;
    if (kind == SOURCE_FOLDER && (code = fit_folder(job, w, other)))
        return code;
    return source_read(s, w);
}

/* It is measured on what it was not trained on, unless that is asked for. */
static int read_autoencoder(struct eval_job *job, const char *word, struct source_wish *theirs)
{
    const struct eval_options *o = job->options;
    enum source_kind kind;

    if (!o->reference)
        return command_misused(&command_eval,
                               "%s is an autoencoder: which --reference is it to give back?", word);
    if (!(kind = source_kind_of(&command_eval, o->reference)))
        return EXIT_MISUSED;
    if (!command_given(&command_eval, job->given, "reference_split"))
        theirs->held_out = kind == SOURCE_SET;
    if (!theirs->count)
        theirs->count = o->count;
    if (kind == SOURCE_FOLDER && !theirs->size)
        return command_misused(&command_eval,
                               "%s: pictures of a folder may have any size: which --size?",
                               o->reference);
    return eval_read_reconstructions(job, word, theirs);
}

/* Folders come last, for they take the size of the other. */
static int read_sets(struct eval_job *job, const char *word)
{
    const struct eval_options *o = job->options;
    struct source_wish ours = wish(job, word), theirs = wish(job, o->reference);
    enum source_kind kind;
    bool folder;
    int code;

    ours.count = o->count;
    ours.held_out = o->split == SPLIT_HELD_OUT;
    theirs.count = o->reference_count;
    theirs.held_out = o->reference_split == SPLIT_HELD_OUT;
    if (!(kind = source_kind_of(&command_eval, word)))
        return EXIT_MISUSED;
    ours.held_out = ours.held_out && kind == SOURCE_SET;
    if (kind == SOURCE_AUTOENCODER)
        return read_autoencoder(job, word, &theirs);
    if (!o->reference)
        return read_one(job, &job->pictures, &ours, &job->reference);
    folder = kind == SOURCE_FOLDER;
    if (!(kind = source_kind_of(&command_eval, o->reference)))
        return EXIT_MISUSED;
    theirs.held_out = theirs.held_out && kind == SOURCE_SET;
    if (kind == SOURCE_AUTOENCODER)
        return command_misused(&command_eval,
                               "--reference: %s is an autoencoder: it is measured, "
                               "and no measure",
                               o->reference);
    if (kind == SOURCE_MODEL) {
        job->reference = (struct picture_source){.kind = SOURCE_STATISTICS, .word = o->reference};
        return read_one(job, &job->pictures, &ours, &job->reference);
    }
    if (folder && kind != SOURCE_FOLDER)
        return (code = read_one(job, &job->reference, &theirs, &job->pictures))
                   ? code
                   : read_one(job, &job->pictures, &ours, &job->reference);
    return (code = read_one(job, &job->pictures, &ours, &job->reference))
               ? code
               : read_one(job, &job->reference, &theirs, &job->pictures);
}

/* ---- Measuring ---- */

/* Names up to their endings: a picture may have been saved as PNG and its original as JPEG. */
static bool same_picture(const char *a, const char *b)
{
    const char *end_a = strrchr(a, '.'), *end_b = strrchr(b, '.');

    return end_a && end_b && end_a - a == end_b - b && !strncmp(a, b, (size_t)(end_a - a));
}

/* Two folders are pairs when they hold the same names. */
static bool are_pairs(const struct picture_source *a, const struct picture_source *b)
{
    if (a->kind != SOURCE_FOLDER || b->kind != SOURCE_FOLDER || a->pictures.n != b->pictures.n)
        return false;
    for (int64_t i = 0; i < a->pictures.n; i++)
        if (!same_picture(imgen_data_name(a->data, a->number[i]),
                          imgen_data_name(b->data, b->number[i])))
            return false;
    return true;
}

static int on_progress(const char *what, int64_t done, int64_t n, void *user)
{
    struct eval_job *job = user;

    if (progress_due(&job->progress, false)) {
        if (n > 1)
            progress_say(&job->progress, "%s %" PRId64 "/%" PRId64, what, done, n);
        else
            progress_say(&job->progress, "%s", what);
    }
    return !interrupt_asked();
}

static int keep_figure(const struct imgen_measure_row *row, void *user)
{
    struct eval_job *job = user;
    struct figure *f = &job->figure[job->n];

    if (job->n == EVAL_FIGURES)
        return 0;
    f->row = *row;
    snprintf(f->note, sizeof f->note, "%s", row->note);
    snprintf(f->lacks, sizeof f->lacks, "%s", row->lacks ? row->lacks : "");
    job->n++;
    return 1;
}

/* Without another reference, clips that a model was given something of are held against these. */
static void take_originals(struct imgen_measuring *m, const struct eval_job *job)
{
    const struct picture_source *s = &job->pictures;

    if (!s->originals || job->reference.kind)
        return;
    m->reference = s->pictures;
    m->reference.pixels = s->originals;
    m->paired = 1;
    m->upscale = s->models.info.upscale;
    m->first_frame = s->models.info.first_frame;
}

static int measure(struct eval_job *job)
{
    const struct eval_options *o = job->options;
    struct imgen_measuring m;
    struct imgen_error err;

    imgen_measuring_init(&m);
    m.pictures = job->pictures.pictures;
    if (job->reference.kind == SOURCE_STATISTICS)
        m.statistics = job->reference.word;
    else
        m.reference = job->reference.pictures;
    m.paired =
        job->pictures.kind == SOURCE_AUTOENCODER || are_pairs(&job->pictures, &job->reference);
    m.joints = job->joint;
    m.n_joints = job->n_joints;
    take_originals(&m, job);
    m.features = job->features;
    m.judge = job->judge;
    m.measures = o->measures;
    m.neighbours = (int)o->neighbours;
    m.subsets = (int)o->subsets;
    m.subset_size = (int)o->subset_size;
    m.projections = (int)o->projections;
    m.seed = o->seed;
    m.threads = (int)o->threads;
    m.save = o->save;
    m.about = job->reference.about;
    m.progress = on_progress;
    m.user = job;
    if (o->each && !(job->nearest = calloc((size_t)m.pictures.n, sizeof *job->nearest)))
        return command_broken(&command_eval, "no memory for %" PRId64 " neighbours", m.pictures.n);
    if (imgen_measure(&m, &job->measured, job->nearest, keep_figure, job, &err))
        return failed(job, &err);
    progress_end(&job->progress);
    return EXIT_DONE;
}

/* ---- The command ---- */

static int run(struct eval_job *job, int n_words, char **words)
{
    const struct eval_options *o = job->options;
    const struct imgen_features_how how = {o->resize, o->pooling};
    int code;

    if (n_words != 1)
        return command_misused(&command_eval,
                               n_words ? "one set at a time, not %d words" : "which pictures?",
                               n_words);
    if ((code = solver_flags_check_guides(&command_eval, job->given, o->solver.classifier,
                                          o->solver.guide.model)))
        return code;
    if (o->each && !o->json)
        return command_misused(&command_eval, "--each goes with --json");
    if ((o->resize || o->pooling) && !o->features)
        return command_misused(&command_eval,
                               "--features-%s: of which network? --features names it",
                               o->resize ? "resize" : "pooling");
    if (o->joints.n > EVAL_JOINTS)
        return command_misused(&command_eval, "--joints: %d are more than %d", o->joints.n,
                               EVAL_JOINTS);
    for (int i = 0; i < o->joints.n; i++)
        job->joint[job->n_joints++] = o->joints.at[i];
    interrupt_watch("\nstopping; Ctrl-C again quits at once\n");
    progress_start(&job->progress, o->quiet);
    if ((code = open_network(job, o->features, &how, &job->features, &job->features_info)) ||
        (code = open_network(job, o->judge, NULL, &job->judge, &job->judge_info)) ||
        (code = read_sets(job, words[0])) || (code = measure(job)))
        return code;
    if (o->json)
        eval_print_json(job);
    else
        eval_print(job);
    return EXIT_DONE;
}

static int cmd_eval(int argc, char **argv)
{
    struct eval_options o = {0};
    bool given[sizeof rows / sizeof *rows] = {false};
    struct eval_job *job = calloc(1, sizeof *job);
    int n_words, code;

    if (!job)
        return command_broken(&command_eval, "no memory");
    job->options = &o;
    job->given = given;
    if (command_read(&command_eval, &o, given, argc, argv, &n_words, &code))
        code = run(job, n_words, argv + 1);
    source_release(&job->pictures);
    source_release(&job->reference);
    imgen_features_close(job->features);
    imgen_features_close(job->judge);
    free(job->nearest);
    free(job);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_eval = {
    .is = {"eval", "PICTURES [flags]", "measure how good pictures are", rows},
    .details =
        "PICTURES is a folder, a model (it is asked for pictures, all labels in turn), an\n"
        "autoencoder (what it gives back of the reference's held-out pictures) or a\n"
        "configuration (its held-out pictures).  The reference is a folder, a configuration (its\n"
        "training pictures) or features saved before.  Prints what was compared and every figure\n"
        "that can be had: without --features those in pixels, without --reference obedience\n"
        "alone.  A feature network is trained like a model, with model.network = cnn; or it is\n"
        "Inception-v3, whose Frechet distance is what papers print as FID (with 50000 pictures).\n"
        "No weights of it come with imgen.  Those that FID is defined by, as PyTorch programs\n"
        "keep them (pt_inception-2015-12-05-6726825d.pth), become a file for -f by\n"
        "\n"
        "    import torch, safetensors.torch as st\n"
        "    w = torch.load(\"pt_inception-2015-12-05-6726825d.pth\", weights_only=True)\n"
        "    st.save_file({k: v.contiguous() for k, v in w.items()}, \"inception.safetensors\")\n"
        "\n"
        "    imgen train config/fashion-mnist-features.ini\n"
        "    imgen eval run-fashion-mnist/model.safetensors -r config/fashion-mnist.ini \\\n"
        "               -f run-fashion-mnist-features/model.safetensors\n"
        "    imgen eval pictures/ -r config/cifar10.ini -m sliced,wavelet,nearest --json\n"
        "    imgen eval pictures/ -r config/cifar10.ini -f inception.safetensors -m frechet,kid\n"
        "\n"
        "A model that is told of clips is asked to make them: larger, or, with --given, from "
        "their\n"
        "first frames on; the originals are then what it is held against.\n"
        "\n"
        "    imgen eval upsampler.safetensors --prompts config/moving-upsampler.ini -n 64\n"
        "    imgen eval movie.safetensors --given --prompts config/moving-first-frame.ini -n 64\n"
        "\n"
        "Two folders whose files have the same names, as decoded pictures and their originals,\n"
        "are compared picture by picture too.\n"
        "\n"
        "    imgen eval decoded/ -r originals/ --size 64 -m psnr,ssim\n"
        "    imgen eval run-emoji-autoencoder/model.safetensors -r config/emoji-autoencoder.ini\n"
        "\n"
        "Clips are measured frame by frame and by how restless they are; those of a folder are\n"
        "its animations, the first --frames of each.  Where a long clip was decoded in tiles, how\n"
        "far it jumps from one to the next is set against its usual change (1.2 is too much).\n"
        "\n"
        "    imgen eval run-moving-autoencoder/model.safetensors -r config/moving-autoencoder.ini "
        "\\\n"
        "               --frames 64 --tile-frames 16 -n 64 -m psnr,ssim,flicker,joints\n"
        "    imgen eval run-moving/model.safetensors --prompts config/moving.ini \\\n"
        "               -r config/moving.ini -f run-moving-features/model.safetensors",
    .run = cmd_eval,
};
