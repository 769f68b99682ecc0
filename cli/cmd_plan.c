/*
 * cmd_plan.c - what a model would take on many machines
 *
 * The library counts and divides; this file asks once for the network and once for each division,
 * and prints rows.  The rows are Markdown, so that a document can take them as they are.
 */
#include "cli.h"
#include "json_out.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

enum table { TABLE_ALL, TABLE_NETWORK, TABLE_WORK, TABLE_MEMORY, TABLE_TIME };
static const char *const tables[] = {"all", "network", "work", "memory", "time", NULL};
static const char *const shardings[] = {"nothing", "optimizer", "all", NULL};
static const char *const attendings[] = {"gather", "exchange", NULL};
static const char *const precisions[] = {"bf16", "f32", NULL};

struct plan_options {
    bool help, json, sample, bare;
    struct imgen_text_list settings;
    char *name;
    int table, precision;
    struct imgen_workload_question asked;
    struct imgen_int_list tensor, context;
    struct imgen_cluster cluster;
};

#define AT(member) offsetof(struct plan_options, member)

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"set", "a key of the configuration, over the file; may be given often", IMGEN_OPTION_TEXTS,
     AT(settings), .value = "SECTION.KEY=VALUE"},
    {"sample", "plan sampling; else training", IMGEN_OPTION_BOOL, AT(sample), .letter = 0},
    {"table", "which table to print", IMGEN_OPTION_CHOICE, AT(table), "all", .choices = tables},
    {"name", "what the rows are called", IMGEN_OPTION_TEXT, AT(name), .value = "TEXT"},
    {"bare", "rows without their head", IMGEN_OPTION_BOOL, AT(bare), .letter = 0},
    {"ranks", "processors in all", IMGEN_OPTION_INT, AT(cluster.ranks), "1", .lo = 1, .hi = 1e7},
    {"tensor", "of them, those that share out matrices; a list makes rows", IMGEN_OPTION_INTS,
     AT(tensor), .lo = 1, .hi = 4096},
    {"context", "and those that share out the tokens of a sample; a list makes rows",
     IMGEN_OPTION_INTS, AT(context), .lo = 1, .hi = 4096},
    {"batch", "samples of a step, or evaluations side by side, of all ranks", IMGEN_OPTION_INT,
     AT(cluster.batch), "1", .lo = 1, .hi = 1e9},
    {"samples", "of them, those that a group of ranks takes in one pass", IMGEN_OPTION_INT,
     AT(asked.samples), "1", .lo = 1, .hi = 65536},
    {"steps", "that are counted", IMGEN_OPTION_INT, AT(cluster.steps), "1", .lo = 1, .hi = 1e9},
    {"repeat", "forget what is inside of blocks and compute it again", IMGEN_OPTION_BOOL,
     AT(asked.repeats), "true", .letter = 0},
    {"sharding", "what of the state is shared out: nothing, the optimizer's, or all",
     IMGEN_OPTION_CHOICE, AT(cluster.sharding), "all", .choices = shardings},
    {"attending", "gather keys and values of all tokens, or exchange tokens for heads",
     IMGEN_OPTION_CHOICE, AT(cluster.attending), "gather", .choices = attendings},
    {"average", "keep a moving average of the weights", IMGEN_OPTION_BOOL, AT(cluster.average),
     .letter = 0},
    {"precision", "of values and of weights that are computed with", IMGEN_OPTION_CHOICE,
     AT(precision), "bf16", .choices = precisions},
    {"tokens", "of an encoded text, for networks that take any number", IMGEN_OPTION_INT,
     AT(asked.tokens), "256", .lo = 1, .hi = 65536},
    {"frames", "of a clip, for an autoencoder", IMGEN_OPTION_INT, AT(asked.frames), "32", .lo = 1,
     .hi = 65536},
    {"decode", "count its decoder, else its encoder", IMGEN_OPTION_BOOL, AT(asked.decodes),
     .letter = 0},
    {"height", "and its height", IMGEN_OPTION_INT, AT(asked.height), "768", .lo = 1, .hi = 65536},
    {"width", "and its width", IMGEN_OPTION_INT, AT(asked.width), "768", .lo = 1, .hi = 65536},
    {"flops", "operations a second of a processor at best; 989e12 is an H100's in bf16",
     IMGEN_OPTION_REAL, AT(cluster.flops), "989e12", .lo = 1, .hi = 1e24},
    {"share", "of them that products reach", IMGEN_OPTION_REAL, AT(cluster.share), "0.4",
     .lo = 1e-6, .hi = 1},
    {"memory", "bytes of a processor", IMGEN_OPTION_REAL, AT(cluster.memory), "80e9", .lo = 1,
     .hi = 1e18},
    {"node", "processors that stand together", IMGEN_OPTION_INT, AT(cluster.node), "8", .lo = 1,
     .hi = 65536},
    {"node_link", "bytes a second into one of them from its node", IMGEN_OPTION_REAL,
     AT(cluster.node_link), "450e9", .lo = 1, .hi = 1e18},
    {"network_link", "bytes a second into one of them from other nodes", IMGEN_OPTION_REAL,
     AT(cluster.network_link), "50e9", .lo = 1, .hi = 1e18},
    {"json", "print as JSON", IMGEN_OPTION_BOOL, AT(json), .letter = 0},
    {0},
};

/* --- what a pass takes --------------------------------------------------------------------------
 */

static const char *name_of(const struct plan_options *o)
{
    return o->name ? o->name : "";
}

static void print_network(const struct plan_options *o, const struct imgen_workload *w)
{
    char all[UNITS_ROOM], split[UNITS_ROOM], whole[UNITS_ROOM], outside[UNITS_ROOM];
    char narrow[UNITS_ROOM], state[UNITS_ROOM];

    if (!o->bare)
        printf("| | weights | in matrices of blocks | in blocks besides | outside | bf16 | "
               "training state, 18 bytes each |\n|---|---|---|---|---|---|---|\n");
    printf("| %s | %s | %s | %s | %s | %s | %s |\n", name_of(o),
           units_si(all, (double)w->weights, ""), units_si(split, (double)w->split, ""),
           units_si(whole, (double)w->whole, ""), units_si(outside, (double)w->outside, ""),
           units_bytes(narrow, 2 * (double)w->weights),
           units_bytes(state, 18 * (double)w->weights));
}

static double products(const struct imgen_work *w)
{
    return w->linear + w->attention;
}

static void print_work(const struct plan_options *o, const struct imgen_workload *w)
{
    char linear[UNITS_ROOM], attention[UNITS_ROOM], pass[UNITS_ROOM], values[UNITS_ROOM];
    char other[UNITS_ROOM];
    double n = (double)w->samples;

    if (!o->bare)
        printf("| | tokens | forward: linear and convolutions | forward: attention | forward: all "
               "else | a pass | values alive at once, %s |\n|---|---|---|---|---|---|---|\n",
               precisions[o->precision]);
    printf("| %s | %" PRId64 " | %s | %s | %s | %s | %s |\n", name_of(o), w->tokens,
           units_si(linear, w->forward.linear / n, "FLOP"),
           units_si(attention, w->forward.attention / n, "FLOP"),
           units_si(other, w->forward.other / n, "FLOP"),
           units_si(pass, products(&w->pass) / n, "FLOP"),
           units_bytes(values, (double)(w->values * o->cluster.value_bytes) / 4 / n));
}

static void json_work(struct json_out *j, const char *key, const struct imgen_work *w)
{
    json_out_open(j, key, '{');
    json_out_real(j, "linear", w->linear);
    json_out_real(j, "attention", w->attention);
    json_out_real(j, "other", w->other);
    json_out_close(j);
}

static void json_workload(struct json_out *j, const struct imgen_workload *w)
{
    json_out_int(j, "weights", w->weights);
    json_out_int(j, "split", w->split);
    json_out_int(j, "whole", w->whole);
    json_out_int(j, "outside", w->outside);
    json_out_int(j, "blocks", w->blocks);
    json_out_int(j, "tokens", w->tokens);
    json_out_int(j, "samples", w->samples);
    json_work(j, "forward", &w->forward);
    json_work(j, "pass", &w->pass);
    json_out_int(j, "values", w->values);
}

/* --- how it is divided --------------------------------------------------------------------------
 */

static void memory_head(void)
{
    printf(
        "| | ranks: data x context x tensor | weights | gradients | moments | average | gathered "
        "| values | of other tokens | in all | fits |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n");
}

static void time_head(void)
{
    printf("| | ranks: data x context x tensor | samples | operations of a rank | for tokens | for "
           "keys and values | for weights | arithmetic | messages: tokens + keys + weights | "
           "least | most |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
}

static void print_ranks(const struct plan_options *o, const struct imgen_cluster *c,
                        const struct imgen_cluster_plan *p)
{
    printf("| %s | %" PRId64 ": %" PRId64 " x %" PRId64 " x %" PRId64, name_of(o), c->ranks,
           p->data, c->context, c->tensor);
}

static void print_memory(const struct plan_options *o, const struct imgen_cluster *c,
                         const struct imgen_cluster_plan *p)
{
    const double part[] = {p->bytes.weights,   p->bytes.gradients, p->bytes.moments,
                           p->bytes.average,   p->bytes.gathered,  p->bytes.values,
                           p->bytes.exchanged, p->bytes.all};
    char text[UNITS_ROOM];

    print_ranks(o, c, p);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        printf(" | %s", part[i] > 0 ? units_bytes(text, part[i]) : "-");
    printf(" | %s |\n", p->fits ? "yes" : "no");
}

static const char *bytes_or_none(char out[UNITS_ROOM], double bytes)
{
    return bytes > 0 ? units_bytes(out, bytes) : "-";
}

static void print_time(const struct plan_options *o, const struct imgen_cluster *c,
                       const struct imgen_cluster_plan *p)
{
    char flops[UNITS_ROOM], tensor[UNITS_ROOM], context[UNITS_ROOM], weights[UNITS_ROOM];
    char arithmetic[UNITS_ROOM], part[3][UNITS_ROOM], least[UNITS_ROOM], most[UNITS_ROOM];

    print_ranks(o, c, p);
    printf(" | %" PRId64 " | %s | %s | %s | %s", c->batch, units_si(flops, p->flops, "FLOP"),
           bytes_or_none(tensor, p->moved.tensor), bytes_or_none(context, p->moved.context),
           bytes_or_none(weights, p->moved.weights));
    printf(" | %s | %s + %s + %s | %s | %s |\n", units_seconds(arithmetic, p->seconds.arithmetic),
           units_seconds(part[0], p->seconds.tensor), units_seconds(part[1], p->seconds.context),
           units_seconds(part[2], p->seconds.weights), units_seconds(least, p->seconds.least),
           units_seconds(most, p->seconds.most));
}

static void json_plan(struct json_out *j, const struct imgen_cluster *c,
                      const struct imgen_cluster_plan *p)
{
    json_out_open(j, NULL, '{');
    json_out_int(j, "ranks", c->ranks);
    json_out_int(j, "tensor", c->tensor);
    json_out_int(j, "context", c->context);
    json_out_int(j, "data", p->data);
    json_out_int(j, "passes", p->passes);
    json_out_open(j, "bytes", '{');
    json_out_real(j, "weights", p->bytes.weights);
    json_out_real(j, "gradients", p->bytes.gradients);
    json_out_real(j, "moments", p->bytes.moments);
    json_out_real(j, "average", p->bytes.average);
    json_out_real(j, "gathered", p->bytes.gathered);
    json_out_real(j, "values", p->bytes.values);
    json_out_real(j, "exchanged", p->bytes.exchanged);
    json_out_real(j, "all", p->bytes.all);
    json_out_close(j);
    json_out_bool(j, "fits", p->fits);
    json_out_real(j, "flops", p->flops);
    json_out_open(j, "moved", '{');
    json_out_real(j, "tensor", p->moved.tensor);
    json_out_real(j, "context", p->moved.context);
    json_out_real(j, "weights", p->moved.weights);
    json_out_close(j);
    json_out_open(j, "seconds", '{');
    json_out_real(j, "arithmetic", p->seconds.arithmetic);
    json_out_real(j, "tensor", p->seconds.tensor);
    json_out_real(j, "context", p->seconds.context);
    json_out_real(j, "weights", p->seconds.weights);
    json_out_real(j, "least", p->seconds.least);
    json_out_real(j, "most", p->seconds.most);
    json_out_close(j);
    json_out_close(j);
}

typedef void tell_plan(const struct plan_options *o, const struct imgen_cluster *c,
                       const struct imgen_cluster_plan *p);

/* Every division that the lists name: one after the other told, or into j; neither: only tried. */
static int divide_all(const struct plan_options *o, const struct imgen_workload *w, tell_plan *tell,
                      struct json_out *j)
{
    static int64_t one[] = {1};
    const struct imgen_int_list none = {one, 1};
    const struct imgen_int_list *t = o->tensor.n ? &o->tensor : &none;
    const struct imgen_int_list *x = o->context.n ? &o->context : &none;
    struct imgen_cluster c = o->cluster;
    struct imgen_cluster_plan p;
    struct imgen_error err;

    for (int i = 0; i < t->n; i++)
        for (int k = 0; k < x->n; k++) {
            c.tensor = t->at[i];
            c.context = x->at[k];
            if (imgen_cluster_divide(&p, &c, w, &err))
                return command_failed(&command_plan, &err);
            if (j)
                json_plan(j, &c, &p);
            else if (tell)
                tell(o, &c, &p);
        }
    return EXIT_DONE;
}

/* --- the command --------------------------------------------------------------------------------
 */

static void print_json(const struct plan_options *o, const struct imgen_workload *w)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_workload(&j, w);
    json_out_open(&j, "plans", '[');
    if (w->blocks)
        divide_all(o, w, NULL, &j);
    json_out_close(&j);
    json_out_text(&j, "version", imgen_version());
    json_out_close(&j);
}

/* An empty line between tables. */
static void separate(bool *first)
{
    if (!*first)
        printf("\n");
    *first = false;
}

static void print_tables(const struct plan_options *o, const struct imgen_workload *w)
{
    bool all = o->table == TABLE_ALL, first = true;

    if (all || o->table == TABLE_NETWORK) {
        separate(&first);
        print_network(o, w);
    }
    if (all || o->table == TABLE_WORK) {
        separate(&first);
        print_work(o, w);
    }
    if ((all && w->blocks) || o->table == TABLE_MEMORY) {
        separate(&first);
        if (!o->bare)
            memory_head();
        divide_all(o, w, print_memory, NULL);
    }
    if ((all && w->blocks) || o->table == TABLE_TIME) {
        separate(&first);
        if (!o->bare)
            time_head();
        divide_all(o, w, print_time, NULL);
    }
}

static int run(struct plan_options *o, int n_words, char **words)
{
    const struct imgen_training t = {
        .config = n_words ? words[0] : NULL,
        .settings = (const char *const *)o->settings.at,
        .n_settings = o->settings.n,
    };
    struct imgen_workload w;
    struct imgen_error err;
    int code;

    if (n_words > 1)
        return command_misused(&command_plan, "one configuration at a time, not %d", n_words);
    if (!n_words && !o->settings.n)
        return command_misused(&command_plan, "which configuration?");
    o->asked.trains = !o->sample;
    o->cluster.value_bytes = o->precision ? 4 : 2;
    if (imgen_workload(&w, &t, &o->asked, &err))
        return command_failed(&command_plan, &err);
    code = w.blocks ? divide_all(o, &w, NULL, NULL) : EXIT_DONE;
    if (code != EXIT_DONE)
        return code;
    if (o->json)
        print_json(o, &w);
    else
        print_tables(o, &w);
    return EXIT_DONE;
}

static int cmd_plan(int argc, char **argv)
{
    struct plan_options o = {0};
    int n_words, code;

    if (command_read(&command_plan, &o, NULL, argc, argv, &n_words, &code))
        code = run(&o, n_words, argv + 1);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_plan = {
    .is = {"plan", "CONFIG.ini [flags]", "say what a model would take on many machines", rows},
    .details =
        "Counts what the configuration's network takes in training (or sampling), on a tape that "
        "is\n"
        "recorded and never run, and divides it among ranks: memory, operations and messages of\n"
        "each, and two bounds on the time, all hidden behind the longest and nothing hidden.  No\n"
        "weights are made, whatever their number.  An autoencoder's halves are counted alone.\n"
        "\n"
        "    imgen plan config/movie-30b.ini --ranks 6144 --tensor 4 --context 1,2 --batch 1536\n"
        "    imgen plan config/movie-30b.ini --sample --ranks 8 --tensor 8 --batch 2 --steps 50 "
        "\\\n"
        "        --sharding nothing",
    .run = cmd_plan,
};
