/*
 * test_text_data.c - captions that frozen encoders read: asked once, kept, found again, and trained
 * on from nothing
 *
 * The encoder is a CLIP of a few thousand weights with the published vocabulary.
 */
#include "train/text_data.h"

#include "base/file.h"
#include "base/json.h"
#include "data/listing.h"
#include "model/clip.h"
#include "pipeline/generate.h"
#include "support/networks.h"
#include "support/runs.h"
#include "support/says.h"
#include "support/temp.h"
#include "train/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MERGES GOLDEN_DIR "/../../data/clip/merges.txt"

enum { NAME = TEMP_PATH + 120, WIDTH = 8, CONTEXT = 12, TOKENS = 77, TEXTS = 3 };

static char folder[TEMP_PATH], encoder[NAME];
static const char *const texts[TEXTS] = {"a red circle", "a (blue:1.5) star", "a red circle"};
static const struct network_io io = {.context_width = CONTEXT, .pooled_width = WIDTH};

/* Another seed, another encoder. */
static void write_encoder(uint64_t seed)
{
    static const char config[] = "{\"num_attention_heads\": 2, \"hidden_act\": \"quick_gelu\"}";
    const struct clip_config c = {WIDTH, 2, 2, 16, 49408, 77, WIDTH, CLIP_QUICK_GELU, 1e-5};
    struct save_tensor *rows;
    struct network *net;
    char copy[sizeof c], path[NAME + 32];
    void *keep;
    int64_t n;

    memcpy(copy, &c, sizeof c);
    assert_int_equal(network_new(&net, &network_clip, copy, false, NULL), OK);
    network_fill(net, seed);
    rows = calloc((size_t)params_count(net->params), sizeof *rows);
    assert_non_null(rows);
    assert_int_equal(params_describe(net->params, "", PARAMS_ALL, NULL, rows, &n, &keep, NULL), OK);
    mkdir(encoder, 0777);
    snprintf(path, sizeof path, "%s/model.safetensors", encoder);
    assert_int_equal(safetensors_save(path, rows, n, NULL, 0, NULL), OK);
    snprintf(path, sizeof path, "%s/config.json", encoder);
    assert_int_equal(file_write(path, config, strlen(config), NULL), OK);
    free(keep);
    free(rows);
    network_free(net);
}

static int begin(void **state)
{
    (void)state;
    temp_dir_new(folder);
    snprintf(encoder, sizeof encoder, "%s/clip", folder);
    write_encoder(1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

/* How many captions were asked about; stop: after so many calls. */
struct count {
    int64_t asked;
    int calls, stop;
};

static bool count(int64_t done, int64_t n, void *user)
{
    struct count *c = user;

    (void)done;
    c->asked = n;
    return ++c->calls != c->stop;
}

static struct text_encoders encoders(void)
{
    return (struct text_encoders){.clip_l = encoder, .merges = (char *)(uintptr_t)MERGES};
}

static enum status open_data(struct text_data **out, const struct text_encoders *e,
                             const char *name, bool writes, struct count *c, struct error *err)
{
    static char path[NAME];
    const struct text_data_request r = {.encoders = e,
                                        .io = &io,
                                        .folder = path,
                                        .threads = 2,
                                        .writes = writes,
                                        .progress = count,
                                        .user = c};

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return text_data_open(out, &r, err);
}

static struct text_data *must_open(const struct text_encoders *e, const char *name, bool writes,
                                   struct count *c)
{
    struct error err = {0};
    struct text_data *t;

    if (open_data(&t, e, name, writes, c, &err))
        fail_msg("%s", err.text);
    return t;
}

struct said {
    float context[TOKENS * CONTEXT], pooled[WIDTH];
};

static struct said *read_all(const struct text_data *t)
{
    static struct said s[TEXTS + 1];

    for (int i = 0; i <= TEXTS; i++)
        text_data_read(t, i < TEXTS ? texts[i] : NULL, s[i].context, s[i].pooled);
    return s;
}

/* What the encoders say, and what is read back in another run; parentheses are letters. */
static void says_what_the_encoders_say(void **state)
{
    const struct encoding_how how = {.threads = 1, .plain = true, .clip_rows = 1};
    const struct text_encoders e = encoders();
    struct count first = {0}, second = {0};
    struct text_data *t = must_open(&e, "texts", true, &first);
    static struct said before[TEXTS + 1];
    struct prompts p;

    (void)state;
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), OK);
    assert_int_equal(first.asked, 3); /* two texts, and none */
    assert_int_equal(text_data_tokens(t), TOKENS);
    memcpy(before, read_all(t), sizeof before);
    assert_memory_equal(&before[0], &before[2], sizeof before[0]);
    text_data_close(t);
    assert_int_equal(prompts_encode(&p, &e, &io, texts, TEXTS, &how, NULL), OK);
    for (int i = 0; i <= TEXTS; i++) {
        assert_memory_equal(before[i].context, p.context + i * TOKENS * CONTEXT,
                            sizeof before[i].context);
        assert_memory_equal(before[i].pooled, p.pooled + i * WIDTH, sizeof before[i].pooled);
    }
    prompts_release(&p);
    t = must_open(&e, "texts", true, &second);
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), OK);
    assert_int_equal(second.calls, 0);
    assert_memory_equal(before, read_all(t), sizeof before);
    text_data_close(t);
}

static void only_what_is_missing_is_asked(void **state)
{
    static const char *const more[] = {"a red circle", "a green ring", "a green ring"};
    const struct text_encoders e = encoders();
    struct count c = {0};
    struct text_data *t = must_open(&e, "texts", true, &c);
    static struct said before[TEXTS + 1];

    (void)state;
    memcpy(before, read_all(t), sizeof before);
    assert_int_equal(text_data_need(t, more, 3, NULL), OK);
    assert_int_equal(c.asked, 1);
    assert_int_equal(text_data_count(t), 4);
    assert_memory_equal(before, read_all(t), sizeof before);
    text_data_close(t);
}

/* Stopped, the parts that are there are kept; a plan writes nothing and reads zeros. */
static void stops_and_plans(void **state)
{
    const struct text_encoders e = encoders();
    struct count stop = {.stop = 1}, none = {0};
    struct text_data *t = must_open(&e, "others", true, &stop);
    char path[NAME];

    (void)state;
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), E_CANCELLED);
    text_data_close(t);
    t = must_open(&e, "planned", false, &none);
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), OK);
    for (int k = 0; k < TOKENS * CONTEXT; k++)
        assert_true(read_all(t)[0].context[k] == 0);
    text_data_close(t);
    snprintf(path, sizeof path, "%s/planned", folder);
    assert_false(path_is_folder(path));
}

/* The only part in the only folder below. */
static void find_part(char out[2 * NAME], const char *name)
{
    struct listing l;
    char path[NAME];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(listing_read(&l, path, NULL), OK);
    assert_int_equal(l.n, 1);
    snprintf(out, 2 * NAME, "%s/%s/latents-000000000000.safetensors", path, l.names[0]);
    listing_release(&l);
}

static void damage_and_other_encoders_are_seen(void **state)
{
    const struct text_encoders e = encoders();
    struct count c = {0};
    struct error err = {0};
    struct text_data *t;
    char path[2 * NAME];
    struct listing l;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    find_part(path, "texts");
    assert_int_equal(file_read(&bytes, &n, path, 1 << 24, NULL), OK);
    bytes[n - 9] ^= 4;
    assert_int_equal(file_write(path, bytes, n, NULL), OK);
    assert_int_equal(open_data(&t, &e, "texts", true, &c, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "damaged"));
    bytes[n - 9] ^= 4;
    assert_int_equal(file_write(path, bytes, n, NULL), OK);
    free(bytes);
    write_encoder(2);
    t = must_open(&e, "texts", true, &c);
    assert_int_equal(text_data_count(t), 0);
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), OK);
    text_data_close(t);
    write_encoder(1);
    t = must_open(&e, "texts", true, &c);
    assert_int_equal(text_data_count(t), 4);
    text_data_close(t);
    snprintf(path, sizeof path, "%s/texts", folder);
    assert_int_equal(listing_read(&l, path, NULL), OK);
    assert_int_equal(l.n, 2);
    listing_release(&l);
}

/* Words of another encoder are never taken, though somebody put them where ours are looked for. */
static void a_part_of_another_encoder_is_refused(void **state)
{
    const struct text_encoders e = encoders();
    struct count c = {0};
    struct error err = {0};
    struct text_data *t;
    char ours[2 * NAME], theirs[2 * NAME];
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    t = must_open(&e, "mine", true, &c);
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), OK);
    text_data_close(t);
    write_encoder(2);
    t = must_open(&e, "yours", true, &c);
    assert_int_equal(text_data_need(t, texts, TEXTS, NULL), OK);
    text_data_close(t);
    write_encoder(1);
    find_part(ours, "mine");
    find_part(theirs, "yours");
    assert_int_equal(file_read(&bytes, &n, theirs, 1 << 24, NULL), OK);
    assert_int_equal(file_write(ours, bytes, n, NULL), OK);
    free(bytes);
    assert_int_equal(open_data(&t, &e, "mine", true, &c, &err), E_FORMAT);
    assert_says(err.text, "words of the encoders");
}

/* --- training --------------------------------------------------------------------------------- */

static enum status train(const char *name, int64_t stop, bool resume, const char *more,
                         struct error *err)
{
    static const char config[] =
        "[data]\nformat = relations\npath = training\neval_path = held-out\nsize = 32\n"
        "limit = 9\n[model]\nnetwork = mmdit\n"
        "[mmdit]\npatch = 8\nwidth = 16\ndepth = 2\nheads = 2\ncontext_width = 12\n"
        "pooled_width = 8\n[text]\nmerges = " MERGES "\n"
        "[train]\nsteps = 10\nbatch = 4\nwarmup = 0\nlearning_rate = 0.003\nlabel_drop = 0.3\n"
        "eval_every = 5\neval_count = 4\nsample_every = 5\nsample_count = 4\nlog_every = 1\n"
        "flip = false\n[sample]\nsteps = 2\ncfg_scale = 2\n";
    char out[NAME + 16], cache[NAME + 16], clip[NAME + 16];
    const char *const settings[] = {out, cache, clip, more, NULL};
    struct train_request r = {
        .threads = 2, .resume = resume, .callback = run_stops_at, .user = &stop};

    snprintf(out, sizeof out, "train.out=%s/%s", folder, name);
    snprintf(cache, sizeof cache, "text.cache=%s/captions", folder);
    snprintf(clip, sizeof clip, "text.clip_l=%s", encoder);
    return run_text(r, config, settings, err);
}

static void learns_from_nothing(void **state)
{
    char whole[NAME], cut[NAME];
    struct error err = {0};

    (void)state;
    if (train("whole", 0, false, NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(train("cut", 4, false, NULL, NULL), E_CANCELLED);
    assert_int_equal(train("cut", 0, true, NULL, NULL), OK);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    assert_same_runs(whole, cut);
    snprintf(whole, sizeof whole, "%s/whole/samples-00000010.png", folder);
    assert_true(path_is_file(whole));
}

/* The file knows its encoders, and asks them what it is asked. */
static void the_model_finds_its_encoders(void **state)
{
    enum { LENGTH = 32 * 32 * 3 };
    static float out[2][LENGTH];
    static const struct generate_item items[] = {{0, 2, 7}, {1, 2, 7}};
    struct error err = {0};
    char path[NAME];
    struct model *m;

    (void)state;
    snprintf(path, sizeof path, "%s/whole/model.safetensors", folder);
    assert_int_equal(model_load(&m, path, NULL), OK);
    if (generate(out[0],
                 &(struct generate_request){.model = m,
                                            .settings = m->sample,
                                            .texts = texts,
                                            .n_texts = TEXTS,
                                            .items = items,
                                            .n = 2,
                                            .threads = 2},
                 NULL, &err))
        fail_msg("%s", err.text);
    assert_memory_not_equal(out[0], out[1], sizeof out[0]);
    model_free(m);
}

static void what_is_missing_is_told(void **state)
{
    static const struct {
        const char *setting, *word;
    } cases[] = {
        {"text.cache=", "text.cache"},        {"text.clip_l=", "section text"},
        {"mmdit.pooled_width=7", "8"},        {"data.limit=0", "data.limit"},
        {"mmdit.context_width=5000", "5000"}, {"text.clip_l=nowhere", "nowhere"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};

        if (!train("no", 0, false, cases[i].setting, &err))
            fail_msg("%s is taken", cases[i].setting);
        assert_says(err.text, cases[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_the_encoders_say),
        cmocka_unit_test(only_what_is_missing_is_asked),
        cmocka_unit_test(stops_and_plans),
        cmocka_unit_test(damage_and_other_encoders_are_seen),
        cmocka_unit_test(a_part_of_another_encoder_is_refused),
        cmocka_unit_test(learns_from_nothing),
        cmocka_unit_test(the_model_finds_its_encoders),
        cmocka_unit_test(what_is_missing_is_told),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
