/*
 * test_latents.c - encoding once, going on, and every way a cache can be wrong
 *
 * Pictures of the set "shapes" are encoded by a map that anybody can repeat (means of 4 x 4 pixels,
 * and one channel that never changes) and that remembers which pictures it saw.
 */
#include "base/file.h"
#include "base/hash.h"
#include "data/latents.h"
#include "data/latents_file.h"
#include "data/latents_index.h"
#include "data/loader.h"
#include "pipeline/picture.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = 16, LENGTH = SIDE * SIDE * 3, CELLS = 4, CHANNELS = 4, N = 50 };
enum { VALUES = CELLS * CELLS * CHANNELS, MOST = 4 * N };

static const char mine[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char other[] = "2222222222222222222222222222222222222222222222222222222222222222";

static char folder[TEMP_PATH];

/* --- the autoencoder ----------------------------------------------------------------------------
 */

struct watch {
    char seen[MOST][HASH_TEXT]; /* what was encoded */
    int n, calls, fail_at, kill_at;
    bool nan;
};

static void encode_one(float *z, const float *x)
{
    for (int i = 0; i < CELLS * CELLS; i++)
        for (int c = 0; c < CHANNELS; c++) {
            float sum = 0;

            for (int p = 0; p < 16 && c < 3; p++) {
                int at = (i / CELLS * 4 + p / 4) * SIDE + i % CELLS * 4 + p % 4;

                sum += x[at * 3 + c] * (float)(c + 1) / 16;
            }
            z[i * CHANNELS + c] = c < 3 ? sum : 7;
        }
}

static enum status encode(float *latents, const float *pictures, int64_t n, void *user,
                          struct error *err)
{
    struct watch *w = user;

    w->calls++;
    if (w->kill_at == w->calls)
        raise(SIGKILL);
    if (w->fail_at == w->calls)
        return (fail)(err, E_CANCELLED, "the encoder was stopped");
    for (int64_t i = 0; i < n; i++) {
        struct hash h;

        assert_true(w->n < MOST);
        hash_begin(&h);
        hash_add(&h, pictures + i * LENGTH, LENGTH * sizeof(float));
        hash_end(&h, w->seen[w->n++]);
        encode_one(latents + i * VALUES, pictures + i * LENGTH);
    }
    if (w->nan)
        latents[VALUES + 3] = NAN;
    return OK;
}

static bool seen_twice(const struct watch *w)
{
    for (int i = 0; i < w->n; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(w->seen[i], w->seen[k]))
                return true;
    return false;
}

/* --- writing and reading ------------------------------------------------------------------------
 */

static struct dataset *pictures(int64_t limit, uint64_t seed)
{
    struct dataset_config c = {.format = "shapes", .size = SIDE, .limit = limit, .seed = seed};
    struct dataset *d;

    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    return d;
}

static struct latents_job job_for(const struct dataset *d, struct watch *w)
{
    return (struct latents_job){.pictures = d,
                                .folder = folder,
                                .autoencoder = mine,
                                .height = CELLS,
                                .width = CELLS,
                                .channels = CHANNELS,
                                .batch = 4,
                                .part = 16,
                                .encode = encode,
                                .user = w};
}

static enum status write_set(struct watch *w, struct error *err)
{
    struct dataset *d = pictures(N, 1);
    struct latents_job j = job_for(d, w);
    enum status st = latents_write(&j, err);

    dataset_close(d);
    return st;
}

static enum status open_set(struct dataset **out, const char *autoencoder, struct error *err)
{
    struct dataset_config c = {.format = "latents", .path = folder, .autoencoder = autoencoder};

    return dataset_open(out, &c, err);
}

/* Each value is that of the picture, brought to its channel's statistics. */
static void check_set(int64_t n, bool mirrored)
{
    struct dataset *from = pictures(n, 1), *d;
    const struct latents_info *info;
    float x[LENGTH], z[VALUES], got[VALUES];
    double sum[CHANNELS] = {0}, square[CHANNELS] = {0};
    int32_t want, label;
    char caption[CAPTION_TEXT], wanted[CAPTION_TEXT];

    assert_int_equal(open_set(&d, mine, NULL), OK);
    info = latents_info(d);
    assert_int_equal(d->count, mirrored ? 2 * n : n);
    assert_int_equal(d->height, CELLS);
    assert_int_equal(d->channels, CHANNELS);
    assert_int_equal(d->n_classes, from->n_classes);
    assert_false(d->flips);
    assert_true(info->mirrored == mirrored && !latents_info(from));
    assert_string_equal(info->autoencoder, mine);
    for (int64_t i = 0; i < d->count; i++) {
        assert_int_equal(dataset_get(from, mirrored ? i / 2 : i, x, &want, wanted, NULL), OK);
        for (int k = 0; mirrored && i % 2 && k < SIDE * SIDE / 2; k++)
            for (int c = 0; c < 3; c++) {
                int y = k / (SIDE / 2), left = k % (SIDE / 2);
                float kept = x[(y * SIDE + left) * 3 + c];

                x[(y * SIDE + left) * 3 + c] = x[(y * SIDE + SIDE - 1 - left) * 3 + c];
                x[(y * SIDE + SIDE - 1 - left) * 3 + c] = kept;
            }
        encode_one(z, x);
        assert_int_equal(dataset_get(d, i, got, &label, caption, NULL), OK);
        assert_int_equal(label, want);
        assert_string_equal(caption, wanted);
        for (int k = 0; k < VALUES; k++) {
            int c = k % CHANNELS;

            assert_true(fabs(info->mean[c] + info->deviation[c] * (double)got[k] - (double)z[k]) <
                        1e-6);
            sum[c] += (double)got[k];
            square[c] += (double)got[k] * (double)got[k];
        }
    }
    for (int c = 0; c < CHANNELS; c++) {
        double count = (double)(d->count * CELLS * CELLS);

        assert_true(fabs(sum[c] / count) < 1e-6);
        assert_true(fabs(square[c] / count - (c < 3 ? 1 : 0)) < 1e-5);
    }
    assert_true(fabs(info->mean[3] - 7) < 1e-12 && fabs(info->deviation[3] - 1) < 1e-12);
    dataset_close(from);
    dataset_close(d);
}

static int fresh(void **state)
{
    (void)state;
    temp_dir_new(folder);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void test_once(void **state)
{
    static struct watch w, again;

    (void)state;
    w = again = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    assert_int_equal(w.n, N);
    assert_int_equal(w.calls, 13); /* parts of 16, 16, 16 and 2 in batches of 4 */
    check_set(N, false);
    assert_int_equal(write_set(&again, NULL), OK);
    assert_int_equal(again.calls, 0);
    check_set(N, false);
}

static void test_mirrored(void **state)
{
    static struct watch w;
    struct dataset *d = pictures(20, 1);
    struct latents_job j = job_for(d, &w);

    (void)state;
    w = (struct watch){0};
    j.mirrored = true;
    j.part = 0;
    assert_int_equal(latents_write(&j, NULL), OK);
    assert_int_equal(w.n, 40);
    check_set(20, true);
    dataset_close(d);
}

/* As training reads it. */
static void test_loader(void **state)
{
    static struct watch w;
    struct loader *l;
    struct dataset *d;
    struct batch b;
    float z[VALUES];
    int32_t label;

    (void)state;
    w = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    assert_int_equal(open_set(&d, NULL, NULL), OK);
    assert_int_equal(loader_new(&l, d, 7, 3, 0, d->flips, NULL), OK);
    for (int round = 0; round < 9; round++) {
        assert_int_equal(loader_next(l, &b, NULL), OK);
        for (int64_t k = 0; k < b.n; k++) {
            assert_int_equal(dataset_get(d, loader_index(3, d->count, b.first_sample + k), z,
                                         &label, NULL, NULL),
                             OK);
            assert_int_equal(b.labels[k], label);
            assert_memory_equal(b.pixels + k * VALUES, z, sizeof z);
        }
    }
    loader_free(l);
    dataset_close(d);
}

/* Whoever shows pictures of a set is told that these are none. */
static void test_no_picture(void **state)
{
    static const float z[VALUES];
    struct image im = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(picture_from_floats(&im, z, CELLS, CELLS, CHANNELS, &err), E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "4 channels"));
    assert_null(im.pixels);
}

/* --- going on -----------------------------------------------------------------------------------
 */

struct numbers {
    float z[N * VALUES];
    double mean[CHANNELS], deviation[CHANNELS];
    char pictures[HASH_TEXT];
};

static void read_numbers(struct numbers *x)
{
    const struct latents_info *info;
    struct dataset *d;

    memset(x, 0, sizeof *x);
    assert_int_equal(open_set(&d, mine, NULL), OK);
    info = latents_info(d);
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(dataset_get(d, i, x->z + i * VALUES, NULL, NULL, NULL), OK);
    memcpy(x->mean, info->mean, sizeof x->mean);
    memcpy(x->deviation, info->deviation, sizeof x->deviation);
    memcpy(x->pictures, info->pictures, sizeof x->pictures);
    dataset_close(d);
}

/* Stopped at every call of the encoder in turn, and gone on with: no picture is encoded twice, and
 * the numbers have the same bits. */
static void test_stopped(void **state)
{
    static struct numbers want, got;
    static struct watch w;

    (void)state;
    w = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    read_numbers(&want);
    for (int k = 1; k <= 13; k++) {
        struct error err = {0};
        struct dataset *d;

        gone(NULL);
        fresh(NULL);
        w = (struct watch){.fail_at = k};
        assert_int_equal(write_set(&w, &err), E_CANCELLED);
        assert_string_equal(err.text, "the encoder was stopped");
        assert_int_equal(open_set(&d, mine, &err), E_IO);
        assert_non_null(strstr(err.text, "can go on"));
        assert_int_equal(write_set(&w, NULL), OK);
        assert_int_equal(w.n, N);
        assert_false(seen_twice(&w));
        read_numbers(&got);
        assert_memory_equal(&got, &want, sizeof got);
    }
}

/* Stopped at every single call: as many runs as calls. */
static void test_stopped_always(void **state)
{
    static struct watch w;
    int runs = 0;

    (void)state;
    w = (struct watch){0};
    do {
        w.calls = 0;
        w.fail_at = 2;
        runs++;
    } while (write_set(&w, NULL) == E_CANCELLED);
    assert_int_equal(w.n, N);
    assert_false(seen_twice(&w));
    assert_true(runs >= 12);
    check_set(N, false);
}

static bool stop_at_20(int64_t done, int64_t n, void *user)
{
    (void)user;
    assert_int_equal(n, N);
    return done < 20;
}

static void test_progress_stops(void **state)
{
    static struct watch w;
    struct dataset *d = pictures(N, 1);
    struct latents_job j = job_for(d, &w);
    struct error err = {0};

    (void)state;
    w = (struct watch){0};
    j.progress = stop_at_20;
    assert_int_equal(latents_write(&j, &err), E_CANCELLED);
    assert_string_equal(err.text, "stopped after 20 of 50 pictures");
    assert_int_equal(w.n, 20);
    j.progress = NULL;
    assert_int_equal(latents_write(&j, NULL), OK);
    assert_int_equal(w.n, N);
    assert_false(seen_twice(&w));
    dataset_close(d);
}

/* Killed in the midst of the third part: that part alone is lost. */
static void test_killed(void **state)
{
    static struct watch w;
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        w = (struct watch){.kill_at = 11};
        write_set(&w, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    w = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    assert_int_equal(w.n, N - 32);
    check_set(N, false);
}

/* --- everything that can be wrong ---------------------------------------------------------------
 */

static char *part_at(int64_t first)
{
    char *path;

    assert_int_equal(latents_part_path(&path, folder, first, NULL), OK);
    return path;
}

static char *index_at(void)
{
    char *path;

    assert_int_equal(latents_index_path(&path, folder, NULL), OK);
    return path;
}

static void says(const struct error *err, const char *a, const char *b)
{
    if (!strstr(err->text, a) || !strstr(err->text, b))
        fail_msg("'%s' names not both '%s' and '%s'", err->text, a, b);
}

static void test_foreign(void **state)
{
    static struct watch w;
    struct dataset *d = pictures(N, 1), *moved = pictures(N, 2), *fewer = pictures(40, 1);
    struct latents_job j = job_for(d, &w);
    struct error err = {0};
    struct dataset *set;

    (void)state;
    w = (struct watch){0};
    assert_int_equal(latents_write(&j, NULL), OK);
    assert_int_equal(open_set(&set, other, &err), E_FORMAT);
    says(&err, mine, other);
    says(&err, folder, "latents.json");
    j.autoencoder = other;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    says(&err, mine, other);
    says(&err, folder, "latents-000000000000.safetensors");
    j.autoencoder = mine;
    j.pictures = moved;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    says(&err, "other pictures", "are now");
    j.pictures = fewer;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    says(&err, "pictures 32 to 47", "39");
    j.pictures = d;
    j.channels = 8;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    says(&err, "4 x 4 x 4", "4 x 4 x 8");
    j.channels = CHANNELS;
    j.sampled = true;
    j.seed = 7;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    says(&err, "latents that are means", "not drawn by the seed 7");
    assert_int_equal(w.n, N); /* and nothing was encoded */
    check_set(N, false);      /* nor written over */
    dataset_close(d);
    dataset_close(moved);
    dataset_close(fewer);
}

/* Latents that were drawn go on with the same seed alone, and say what they are. */
static void test_sampled(void **state)
{
    static struct watch w;
    struct dataset *d = pictures(N, 1), *set;
    struct latents_job j = job_for(d, &w);
    struct error err = {0};

    (void)state;
    w = (struct watch){0};
    j.sampled = true;
    j.seed = UINT64_MAX;
    assert_int_equal(latents_write(&j, NULL), OK);
    assert_int_equal(latents_write(&j, NULL), OK);
    assert_int_equal(w.n, N);
    assert_int_equal(open_set(&set, mine, NULL), OK);
    assert_true(latents_info(set)->sampled);
    dataset_close(set);
    j.seed = 3;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    says(&err, "drawn by the seed 18446744073709551615", "not drawn by the seed 3");
    dataset_close(d);
}

/* More pictures behind the old ones: only they are encoded. */
static void test_grown(void **state)
{
    static struct watch w;
    struct dataset *d = pictures(N, 1), *few = pictures(20, 1);
    struct latents_job j = job_for(few, &w);

    (void)state;
    w = (struct watch){0};
    assert_int_equal(latents_write(&j, NULL), OK);
    j.pictures = d;
    assert_int_equal(latents_write(&j, NULL), OK);
    assert_int_equal(w.n, N);
    check_set(N, false);
    dataset_close(d);
    dataset_close(few);
}

/* A part that was taken away is encoded again, and no more than it. */
static void test_missing(void **state)
{
    static struct watch w;
    char *path = part_at(16);
    struct error err = {0};
    struct dataset *d;

    (void)state;
    w = (struct watch){0};
    w.fail_at = 6; /* a short part first: 0 to 15, 16 to 19, 20 to 35, ... */
    assert_int_equal(write_set(&w, NULL), E_CANCELLED);
    assert_int_equal(write_set(&w, NULL), OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_set(&d, mine, &err), E_IO);
    says(&err, path, "cannot open");
    w = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    assert_int_equal(w.n, 4);
    check_set(N, false);
    free(path);
}

static void test_refusals(void **state)
{
    static struct watch w;
    struct dataset_config c = {.format = "shapes", .size = SIDE};
    struct latents_job j;
    struct error err = {0};
    struct dataset *endless, *d;

    (void)state;
    w = (struct watch){0};
    assert_int_equal(dataset_open(&endless, &c, NULL), OK);
    j = job_for(endless, &w);
    assert_int_equal(latents_write(&j, &err), E_ARG);
    says(&err, "endless", "limit");
    dataset_close(endless);
    w.nan = true;
    assert_int_equal(write_set(&w, &err), E_NOT_FINITE);
    says(&err, "picture 1 ", "at 3");
    c = (struct dataset_config){.format = "latents"};
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    w = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    c.path = folder;
    c.size = 8;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    says(&err, "4 x 4", "8");
    c.size = 0;
    c.channels = 3;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    says(&err, "4 channels", "3");
    c.channels = 0;
    c.limit = 5;
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_int_equal(d->count, 5);
    dataset_close(d);
}

/* --- bytes --------------------------------------------------------------------------------------
 */

/* A file with one bit turned, at each of its bytes, or cut at each length, is refused by name. */
static void each_change(const char *path, uint64_t stride)
{
    uint8_t *bytes;
    uint64_t n;
    struct error err = {0};
    struct dataset *d;

    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
    for (uint64_t at = 0; at < n; at += stride) {
        uint8_t kept = bytes[at];

        bytes[at] ^= (uint8_t)(1 << at % 8);
        assert_int_equal(file_write(path, bytes, n, NULL), OK);
        if (!open_set(&d, mine, &err))
            fail_msg("%s was taken with byte %d changed", path, (int)at);
        says(&err, path, "");
        bytes[at] = kept;
        assert_int_equal(file_write(path, bytes, at, NULL), OK);
        if (!open_set(&d, mine, &err))
            fail_msg("%s was taken cut at %d", path, (int)at);
        says(&err, path, "");
    }
    assert_int_equal(file_write(path, bytes, n, NULL), OK);
    assert_int_equal(open_set(&d, mine, NULL), OK);
    dataset_close(d);
    free(bytes);
}

static void test_damage(void **state)
{
    static struct watch w;
    char *part = part_at(16), *swapped = part_at(32), *index = index_at();
    struct error err = {0};
    struct dataset *d;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    w = (struct watch){0};
    assert_int_equal(write_set(&w, NULL), OK);
    each_change(part, 7);
    each_change(index, 11);
    /* A flipped bit in the numbers is told by both checksums, to readers and to writers. */
    assert_int_equal(file_read(&bytes, &n, part, 1 << 20, NULL), OK);
    bytes[n - 5] ^= 1;
    assert_int_equal(file_write(part, bytes, n, NULL), OK);
    assert_int_equal(open_set(&d, mine, &err), E_FORMAT);
    says(&err, "damaged: its checksum is", "that of its content");
    assert_int_equal(write_set(&w, &err), E_FORMAT);
    says(&err, part, "damaged");
    bytes[n - 5] ^= 1;
    /* A whole part in another's place. */
    assert_int_equal(file_write(part, bytes, n, NULL), OK);
    assert_int_equal(file_write(swapped, bytes, n, NULL), OK);
    assert_int_equal(open_set(&d, mine, &err), E_FORMAT);
    says(&err, swapped, "not the part of the index");
    assert_int_equal(write_set(&w, &err), E_FORMAT);
    says(&err, swapped, "pictures 16 to 31");
    assert_int_equal(w.n, N);
    free(bytes);
    free(part);
    free(swapped);
    free(index);
}

static void seal(char *out, size_t room, const char *members)
{
    char checksum[HASH_TEXT], text[4096];
    struct hash h;
    int n = snprintf(text, sizeof text, "{%s}", members);

    hash_begin(&h);
    hash_add(&h, text, (uint64_t)n);
    hash_end(&h, checksum);
    snprintf(out, room, "{%s,\"checksum\":\"%s\"}", members, checksum);
}

/* Members that contradict each other, under a right checksum. */
static void test_index(void **state)
{
#define HASHES "\"autoencoder\":\"%s\",\"pictures\":\"%s\""
#define PART   "{\"first\":%d,\"count\":%d,\"checksum\":\"%s\"}"
    static const struct {
        const char *format, *says; /* NULL: taken */
        int first, second;
    } cases[] = {
        {"\"mean\":[1.0,0.5],\"deviation\":[1.0,0.5],\"parts\":[" PART "," PART "]", NULL, 3, 4},
        {"\"mean\":[1.0],\"deviation\":[1.0,0.5],\"parts\":[" PART "," PART "]", "mean", 3, 4},
        {"\"mean\":[1.0,0.5],\"deviation\":[1.0,0.0],\"parts\":[" PART "," PART "]", "channel 1", 3,
         4},
        {"\"mean\":[1.0,\"a\"],\"deviation\":[1.0,1.0],\"parts\":[" PART "," PART "]", "channel 1",
         3, 4},
        {"\"mean\":[1.0,0.5],\"deviation\":[1.0,0.5],\"parts\":[" PART "," PART "]", "count", 3, 5},
        {"\"mean\":[1.0,0.5],\"deviation\":[1.0,0.5],\"parts\":[" PART "," PART "]", "6 pictures",
         3, 3},
        {"\"mean\":[1.0,0.5],\"deviation\":[1.0,0.5],\"parts\":[" PART "," PART "]", "beyond", 7,
         1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[1024], tail[1024], members[3072], text[4096];
        struct latents_index x;
        struct error err = {0};
        enum status st;

        snprintf(head, sizeof head,
                 "\"format\":1," HASHES ",\"count\":7,\"height\":2,\"width\":3,\"channels\":2,"
                 "\"mirrored\":false,\"classes\":[\"cat\"]",
                 mine, other);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(tail, sizeof tail, cases[i].format, 0, cases[i].first, mine, cases[i].first,
                 cases[i].second, other);
#pragma GCC diagnostic pop
        snprintf(members, sizeof members, "%s,%s", head, tail);
        seal(text, sizeof text, members);
        st = latents_index_parse(&x, text, strlen(text), "index", &err);
        assert_int_equal(st, cases[i].says ? E_FORMAT : OK);
        if (cases[i].says)
            says(&err, "index: ", cases[i].says);
        else
            assert_true(x.n_parts == 2 && x.parts[1].first == 3 && x.classes[0][0] == 'c');
        latents_index_release(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_once, fresh, gone),
        cmocka_unit_test_setup_teardown(test_mirrored, fresh, gone),
        cmocka_unit_test_setup_teardown(test_loader, fresh, gone),
        cmocka_unit_test_setup_teardown(test_stopped, fresh, gone),
        cmocka_unit_test_setup_teardown(test_stopped_always, fresh, gone),
        cmocka_unit_test_setup_teardown(test_progress_stops, fresh, gone),
        cmocka_unit_test_setup_teardown(test_killed, fresh, gone),
        cmocka_unit_test_setup_teardown(test_foreign, fresh, gone),
        cmocka_unit_test_setup_teardown(test_sampled, fresh, gone),
        cmocka_unit_test_setup_teardown(test_grown, fresh, gone),
        cmocka_unit_test_setup_teardown(test_missing, fresh, gone),
        cmocka_unit_test_setup_teardown(test_refusals, fresh, gone),
        cmocka_unit_test_setup_teardown(test_damage, fresh, gone),
        cmocka_unit_test(test_no_picture),
        cmocka_unit_test(test_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
