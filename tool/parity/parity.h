/*
 * parity.h - comparing this program with reference numbers in files
 *
 * A fixture is a file, or a few files of one name, that holds inputs and what a published
 * implementation made of them, and says of what kind it is.  A checker knows one kind: it rebuilds
 * what the file describes with the library and compares.  Sizes and options come from the file.
 *
 *     fixture_scan      folders -> fixtures, each with its kind           (scan.c, fixture.c)
 *     checker_find      kind -> checker                                   (checkers.c)
 *     checker->check    numbers -> report                                 (parity_*.c)
 *     report_print      report -> lines or JSON                           (print.c)
 *
 * To teach the program a new kind, write a file that ends in a `const struct parity_checker` and
 * add its name to PARITY_CHECKERS below.
 */
#ifndef IMGEN_PARITY_PARITY_H
#define IMGEN_PARITY_PARITY_H

#include "base/error.h"
#include "io/weights.h"
#include "tensor/tensor.h"
#include "text/vocabulary.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* --- the report: compare.c ---------------------------------------------------------------- */

/* How far a number may lie from its reference: element i may differ by
 *     of_max * max_j |want_j|  +  of_each * |want_i|  +  absolute.
 * "rel e" in the sense |got - want| <= e (1 + |want|) is { .of_each = e, .absolute = e }. */
struct parity_limit {
    double of_max, of_each, absolute;
};

enum parity_verdict {
    PARITY_PASS,
    PARITY_FAIL,
    PARITY_SKIP,
    PARITY_NOTE, /* no fixture at all: there is nothing to compare */
};

/* One thing compared.  The texts belong to the report. */
struct parity_entry {
    char *fixture; /* what was being checked: "dit/dit_class"                                  */
    char *group;   /* which quantity: "parameter gradients"; lines are printed by group        */
    char *name;    /* which one of them: "blocks.0.attn.qkv.weight"                            */
    char *note;    /* a sentence, or NULL                                                      */
    enum parity_verdict verdict;
    int64_t count; /* numbers compared; 0 for a claim                                          */
    double worst;  /* largest deviation in units of the limit's first non-zero part; may be inf */
    double limit;  /* that part; 0 for a claim                                                 */
};

struct parity_report {
    struct parity_entry *entries;
    int64_t n_entries, room;
    char fixture[256], group[96]; /* under which the next entries are filed           */
    enum status status;           /* E_MEMORY when an entry could not be kept          */
};

void report_release(struct parity_report *r);

/* File what follows under this fixture (and the group ""), or under this group of it. */
void report_fixture(struct parity_report *r, const char *name);
void report_group(struct parity_report *r, const char *group);

/* Compare n numbers and add an entry.  Not finite on either side is a failure unless both are the
 * same infinity.  n = 0 passes.  Returns whether it passed. */
bool parity_compare_f32(struct parity_report *r, const char *name, const float *got,
                        const float *want, int64_t n, struct parity_limit limit);
bool parity_compare_f64(struct parity_report *r, const char *name, const double *got,
                        const double *want, int64_t n, struct parity_limit limit);

/* A yes or no (equal bits, equal counts); the sentence says what was found when it does not hold.
 */
bool parity_claim(struct parity_report *r, const char *name, bool holds, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What this version does not do, with the reason.  Neither a pass nor a failure. */
void parity_skip(struct parity_report *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What lies among the fixtures and is none, with what it is.  Not counted. */
void parity_note(struct parity_report *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct parity_counts {
    int64_t compared, passed, failed, skipped; /* entries; compared = passed + failed  */
    int64_t fixtures;                          /* with at least one entry compared     */
};
struct parity_counts report_count(const struct parity_report *r);

/* --- output: print.c ---------------------------------------------------------------------- */

/* One line a fixture and group with its worst entry, failures spelled out, and a total.
 * verbose: one line an entry.  report_json: the same as one JSON object (E_MEMORY, E_IO). */
void report_print(const struct parity_report *r, bool verbose, FILE *out);
enum status report_json(const struct parity_report *r, FILE *out, struct error *err);

/* --- fixtures: scan.c, fixture.c
 * ------------------------------------------------------------------------ */

enum { PARITY_PARTS = 4 };

/* NAME.data.safetensors is the part "data" of the fixture NAME; NAME.safetensors and NAME.json are
 * the part "".  A folder with io.safetensors and a model (model.safetensors, or its index where it
 * is several files) is one fixture of these two parts, whatever else lies in it; its kind is the
 * class that the model's configuration names, in the file's metadata or in config.json beside it.
 * Exactly one of file and json is set. */
struct parity_part {
    char *suffix, *path;
    struct weights *file;
    json_t *json;
};

struct parity_block; /* memory of a fixture, a list */

struct parity_fixture {
    char *name;   /* folder and NAME as found: "dit/dit_class"                                  */
    char *kind;   /* what it says it is, or NULL                                                */
    char *broken; /* why it cannot be read, or NULL                                             */
    char *folder; /* its path, of a fixture that is a folder, or NULL                           */
    struct parity_part parts[PARITY_PARTS];
    int n_parts;
    struct parity_block *blocks;
};

struct parity_fixtures {
    struct parity_fixture *list;
    int64_t n, room;
};

/* Add all fixtures under path (a folder, searched to the bottom, or one file), in the order of
 * their names.  A folder below it that cannot be read becomes a fixture with `broken` set; only a
 * path that cannot be opened at all (E_IO) and too little memory are errors here. */
enum status fixture_scan(struct parity_fixtures *fixtures, const char *path, struct error *err);
void fixtures_release(struct parity_fixtures *fixtures);

/* Open the parts and find the kind; what is wrong with them goes to `broken`, so that only E_MEMORY
 * is returned.  Close frees the fixture's memory too.  Kept apart from scanning so that a folder of
 * any size needs one fixture's memory at a time. */
enum status fixture_open(struct parity_fixture *f, struct error *err);
void fixture_close(struct parity_fixture *f);

/* The part of this suffix, or NULL. */
const struct parity_part *fixture_part(const struct parity_fixture *f, const char *suffix);

/* Zeroed memory that lives until fixture_close. */
enum status fixture_new(struct parity_fixture *f, void **out, uint64_t count, uint64_t size,
                        struct error *err);

/* The metadata text `key` of a part, read as JSON; the caller calls json_decref.  E_FORMAT when it
 * is missing or malformed. */
enum status fixture_metadata(json_t **out, const struct parity_part *part, const char *key,
                             struct error *err);

/* A JSON file by its path below the folder of a fixture that is one; the caller decrefs it.  *out
 * is NULL where there is no such file. */
enum status fixture_json(json_t **out, const struct parity_fixture *f, const char *path,
                         struct error *err);

/* Numbers of a fixture, in its memory. */
struct parity_array {
    float *v;
    int64_t n;
    struct shape shape; /* rank 0 for a scalar */
};

/* Tensor `name` of a part as float32; E_FORMAT when it is missing or has more than six dimensions.
 */
enum status fixture_f32(struct parity_fixture *f, struct parity_array *out,
                        const struct parity_part *part, const char *name, struct error *err);
/* The same as double, and as int32 (E_FORMAT when a value does not fit); *n numbers. */
enum status fixture_f64(struct parity_fixture *f, double **out, int64_t *n,
                        const struct parity_part *part, const char *name, struct error *err);
enum status fixture_i32(struct parity_fixture *f, int32_t **out, int64_t *n,
                        const struct parity_part *part, const char *name, struct error *err);

/* [N, C, ...] -> [N, ..., C] in new memory of the fixture: pictures NCHW -> NHWC, convolution
 * weights OIHW -> OHWI.  Rank below 3: the same values. */
enum status channels_last(struct parity_fixture *f, struct parity_array *out,
                          const struct parity_array *in, struct error *err);

/* *out = where a vocabulary lies, on the heap: in a folder above the path of a fixture, among the
 * reference data that stand beside the project, or as vocabulary_find has it.  E_IO: nowhere. */
enum status vocabulary_near(char **out, enum vocabulary which, const char *fixture,
                            struct error *err);

/* --- checkers: checkers.c and parity_*.c -------------------------------------------------- */

struct parity_options {
    int threads; /* 1 or more */
};

struct parity_checker {
    const char *kind; /* as in the file's metadata, or our own name for files that carry none  */
    const char *parts[PARITY_PARTS]; /* suffixes that must be there; { "" } for a single file   */

    /* For JSON files without a kind: whether this is one of ours, by its keys. May be NULL. */
    bool (*knows)(const json_t *root);
    /* The same for a single file of tensors. */
    bool (*knows_tensors)(const struct weights *file);
    /* Whether a folder, with all below it, is one fixture of this kind, by the names in it: a
     * fixture without parts, whose files the checker opens itself.  May be NULL. */
    bool (*owns)(const char *folder);

    /* Compare all there is.  A status other than OK is reported as a failure of the fixture. */
    enum status (*check)(struct parity_report *r, struct parity_fixture *f,
                         const struct parity_options *options, struct error *err);
};

/* The one list. */
#define PARITY_CHECKERS(X) \
    X(ops)                 \
    X(tables)              \
    X(dit)                 \
    X(dit_modern)          \
    X(dit_text_cross)      \
    X(dit_text_joint)      \
    X(unet_adm)            \
    X(unet_sd)             \
    X(unet_ddpmpp)         \
    X(unet_edm2)           \
    X(classifier)          \
    X(patchgan)            \
    X(vae_kl)              \
    X(vae_published)       \
    X(mmdit)               \
    X(clip)                \
    X(t5)                  \
    X(vq)                  \
    X(train_dit)           \
    X(ddpm_learned_range)  \
    X(theory_schedulers)   \
    X(theory_targets)      \
    X(theory_fields)       \
    X(theory_ode)          \
    X(theory_steps)        \
    X(theory_floor)        \
    X(theory_gaussian)     \
    X(theory_general)      \
    X(theory_sde)          \
    X(sampler_mixture)     \
    X(guidance)            \
    X(schedules)           \
    X(clip_tokenizer)      \
    X(t5_tokenizer)        \
    X(prompt_weights)      \
    X(torch_noise)         \
    X(flow_sigmas)         \
    X(gguf)                \
    X(file_cases)          \
    X(pipeline)            \
    X(movie)

/* NULL when no checker has this kind, knows this JSON, or owns this folder. */
const struct parity_checker *checker_find(const char *kind);
const struct parity_checker *checker_knowing(const json_t *root);
const struct parity_checker *checker_knowing_tensors(const struct weights *file);
const struct parity_checker *checker_owning(const char *folder);
/* Whether some checker has a part of this suffix: "a.data" is a part, "a.v2" a name with a dot. */
bool checker_has_part(const char *suffix);

/* Scan the folders, check every fixture, fill the report.  E_IO, E_MEMORY: the run itself failed.
 */
enum status parity_run(struct parity_report *r, const char *const *paths, int n_paths,
                       const struct parity_options *options, struct error *err);

#endif
