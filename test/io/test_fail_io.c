/*
 * test_fail_io.c - every allocation and every call of the system made to fail once, in turn
 *
 * An operation is run with its first call failing, then its second, until it runs through: each
 * time it must tell the failure, free what it had (LeakSanitizer looks), and leave the old file
 * whole and no temporary beside it.
 */
#include "base/file.h"
#include "base/json.h"
#include "io/clip.h"
#include "io/convert.h"
#include "io/gguf.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "support/failing.h"
#include "support/temp.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 40 };

static char folder[TEMP_PATH], target[TEMP_PATH];
static char shards[TEMP_PATH]; /* the index of a model in two files, with float8 and its scales */
static uint8_t pixels[SIDE * SIDE * 4];
static const char old[] = "the old file";

static enum status do_tensors_open(struct error *err)
{
    struct safetensors *f;
    enum status st = safetensors_open(&f, GOLDEN_DIR "/io/expected.safetensors", err);

    assert_true(!st == !!f);
    safetensors_close(f);
    return st;
}

static enum status do_metadata_open(struct error *err)
{
    struct safetensors *f;
    enum status st =
        safetensors_open(&f, GOLDEN_DIR "/safetensors-cases/valid/metadata-only.safetensors", err);

    safetensors_close(f);
    return st;
}

static enum status do_tensors_save(struct error *err)
{
    const struct save_tensor t[] = {
        {"a", FILE_U8, 3, {SIDE, SIDE, 4}, pixels, NULL},
        {"b", FILE_F32, 2, {SIDE, SIDE}, pixels, NULL},
        {"c", FILE_F32, 0, {0}, pixels, NULL},
    };
    const struct save_text metadata[] = {{"key", "value"}, {"more", "text"}};

    return safetensors_save(target, t, 3, metadata, 2, err);
}

static enum status weights_from(const char *path, struct error *err)
{
    struct weights *w;
    enum status st = weights_open(&w, path, err);

    assert_true(!st == !!w);
    weights_close(w);
    return st;
}

static enum status do_gguf_open(struct error *err)
{
    return weights_from(GOLDEN_DIR "/gguf/all-types.gguf", err);
}

static enum status do_shards_open(struct error *err)
{
    return weights_from(shards, err);
}

static enum status do_gguf_save(struct error *err)
{
    const struct save_tensor t[] = {
        {"a", FILE_I8, 3, {SIDE, SIDE, 4}, pixels, NULL},
        {"b", FILE_Q8_0, 2, {SIDE, SIDE}, pixels, NULL}, /* reshaped */
        {"c", FILE_F32, 0, {0}, pixels, NULL},
    };
    const struct save_text metadata[] = {{"key", "value"}, {"more", "text"}};

    return gguf_save(target, t, 3, metadata, 2, err);
}

static enum status convert(const char *type, bool gguf, struct error *err)
{
    struct conversion *c;
    enum status st = conversion_open(&c, shards, type, gguf, err);

    assert_true(!st == !!c);
    if (!st)
        st = conversion_run(c, target, NULL, NULL, err);
    conversion_close(c);
    return st;
}

static enum status do_convert_bytes(struct error *err)
{
    return convert("int8", false, err);
}

static enum status do_convert_gguf(struct error *err)
{
    return convert("q8_0", true, err);
}

static enum status read_one(const char *name, struct error *err)
{
    struct image im;
    char path[TEMP_PATH];
    enum status st = image_read(&im, temp_path(path, GOLDEN_DIR "/io", name), err);

    assert_true(!st == !!im.pixels);
    image_release(&im);
    return st;
}

static enum status do_png_read(struct error *err)
{
    return read_one("palette4-alpha.png", err);
}

static enum status do_jpeg_read(struct error *err)
{
    return read_one("turned6.jpg", err);
}

static enum status do_cmyk_read(struct error *err)
{
    return read_one("cmyk.jpg", err);
}

static enum status do_webp_read(struct error *err)
{
    return read_one("turned6.webp", err);
}

static enum status do_png_write(struct error *err)
{
    const struct image im = {SIDE, SIDE, 3, pixels};
    const struct image_text texts[] = {{"key", "caf\xC3\xA9"}, {"other", "\xE7\x8C\xAB"}};

    return png_write(target, &im, texts, 2, err);
}

static enum status do_jpeg_write(struct error *err)
{
    return jpeg_write(target, &(struct image){SIDE, SIDE, 3, pixels}, 90, err);
}

static enum status do_webp_write(struct error *err)
{
    return webp_write(target, &(struct image){SIDE, SIDE, 2, pixels}, 90, err);
}

static enum status clip_one(const char *name, struct error *err)
{
    struct clip c;
    char path[TEMP_PATH];
    enum status st = clip_read(&c, temp_path(path, GOLDEN_DIR "/clip", name), 0, err);

    assert_true(!st == !!c.pixels);
    clip_release(&c);
    return st;
}

static enum status do_apng_read(struct error *err)
{
    return clip_one("square.png", err);
}

static enum status do_gif_read(struct error *err)
{
    return clip_one("two.gif", err);
}

static enum status do_webp_clip_read(struct error *err)
{
    return clip_one("square.webp", err);
}

static enum status do_y4m_read(struct error *err)
{
    return clip_one("square.y4m", err);
}

/* The target's ending says which format: APNG. */
static enum status do_clip_write(struct error *err)
{
    const struct clip c = {
        .frames = 4, .height = SIDE / 2, .width = SIDE / 2, .channels = 4, .pixels = pixels};

    return clip_write(target, &c, CLIP_LOSSLESS, err);
}

static enum status text_one(const char *key, struct error *err)
{
    char *text;
    enum status st = png_read_text(&text, GOLDEN_DIR "/io/texts.png", key, err);

    assert_true(!st == !!text);
    free(text);
    return st;
}

static enum status do_text_read(struct error *err)
{
    return text_one("parameters", err);
}

static enum status do_deflated_read(struct error *err)
{
    return text_one("both", err);
}

static enum status do_fit(struct error *err)
{
    struct image im = {SIDE, SIDE, 4, pixels}, out;
    enum status st = image_fit(&out, &im, 17, 13, err);

    assert_true(!st == !!out.pixels);
    if (!st)
        st = image_convert(&out, &out, 3, (const uint8_t[3]){1, 2, 3}, err);
    image_release(&out);
    return st;
}

static enum status do_file_read(struct error *err)
{
    uint8_t *bytes;
    uint64_t n;
    enum status st = file_read(&bytes, &n, GOLDEN_DIR "/io/resize.safetensors", 1 << 20, err);

    assert_true(!st == !!bytes);
    free(bytes);
    return st;
}

static enum status do_json(struct error *err)
{
    static const char text[] = "{\"a\":[1,2,{\"b\":\"text\"}],\"c\":1.5}";
    json_t *json;
    char *again = NULL;
    enum status st = config_parse(&json, text, strlen(text), 1000, "text", err);

    if (!st && !(st = config_dump(&again, json, err)))
        assert_string_equal(again, text);
    free(again);
    json_decref(json);
    return st;
}

static const struct operation {
    const char *name;
    enum status (*run)(struct error *err);
    bool writes;
} operations[] = {
    {"open tensors", do_tensors_open, false},
    {"open metadata", do_metadata_open, false},
    {"save tensors", do_tensors_save, true},
    {"open GGUF", do_gguf_open, false},
    {"open shards", do_shards_open, false},
    {"save GGUF", do_gguf_save, true},
    {"convert to bytes", do_convert_bytes, true},
    {"convert to GGUF", do_convert_gguf, true},
    {"read PNG", do_png_read, false},
    {"read JPEG", do_jpeg_read, false},
    {"read CMYK", do_cmyk_read, false},
    {"read WebP", do_webp_read, false},
    {"write PNG", do_png_write, true},
    {"write JPEG", do_jpeg_write, true},
    {"write WebP", do_webp_write, true},
    {"read APNG", do_apng_read, false},
    {"read GIF", do_gif_read, false},
    {"read a WebP clip", do_webp_clip_read, false},
    {"read Y4M", do_y4m_read, false},
    {"write a clip", do_clip_write, true},
    {"read a text", do_text_read, false},
    {"read a deflated text", do_deflated_read, false},
    {"fit", do_fit, false},
    {"read a file", do_file_read, false},
    {"parse JSON", do_json, false},
};
enum { N_OPERATIONS = sizeof operations / sizeof *operations };

static void put_old(void)
{
    assert_int_equal(file_write(target, old, sizeof old, NULL), OK);
}

/* Nothing but the target stands in the folder. */
static void no_temporary_is_left(const char *name)
{
    DIR *d = opendir(folder);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)))
        if (strstr(entry->d_name, FILE_TEMPORARY_MARK))
            fail_msg("%s left %s", name, entry->d_name);
    closedir(d);
}

static void target_is_old(const char *name)
{
    uint8_t *bytes;
    uint64_t n;

    assert_int_equal(file_read(&bytes, &n, target, 1 << 20, NULL), OK);
    if (n != sizeof old || memcmp(bytes, old, n))
        fail_msg("%s changed the old file", name);
    free(bytes);
}

/* Run op with each call of these kinds failing in turn; returns how many there were. */
static int64_t fail_each(const struct operation *op, int kinds, enum status expected)
{
    int64_t k = 0;

    for (;; k++) {
        struct error err = {0};
        enum status st;

        put_old();
        failing_arm(kinds, k);
        st = op->run(&err);
        if (!failing_disarm()) {
            assert_int_equal(st, OK);
            return k;
        }
        no_temporary_is_left(op->name);
        /* What cannot be had for a convenience (a decoder's cache) may be done without. */
        if (!st)
            continue;
        if (st != expected || err.status != expected || !err.text[0])
            fail_msg("%s, call %d: status %d, \"%s\"", op->name, (int)k, (int)st, err.text);
        if (op->writes && kinds == FAILING_MEMORY)
            target_is_old(op->name);
    }
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (int i = 0; i < N_OPERATIONS; i++)
        assert_true(fail_each(&operations[i], FAILING_MEMORY, E_MEMORY) > 0);
}

static void every_file_call_fails_once(void **state)
{
    (void)state;
    for (int i = 0; i < N_OPERATIONS; i++)
        fail_each(&operations[i], FAILING_FILE, E_IO);
}

/* Until the rename has happened the old file is whole. */
static void old_files_survive(void **state)
{
    static const int kinds[] = {FAILING_WRITE, FAILING_RENAME};

    (void)state;
    for (int i = 0; i < N_OPERATIONS; i++) {
        if (!operations[i].writes)
            continue;
        for (int k = 0; k < 2; k++) {
            struct error err = {0};

            put_old();
            failing_arm(kinds[k], 0);
            assert_int_equal(operations[i].run(&err), E_IO);
            assert_true(failing_disarm());
            target_is_old(operations[i].name);
            assert_non_null(strstr(err.text, target));
        }
        /* The first sync is the file's. */
        failing_arm(FAILING_SYNC, 0);
        assert_int_equal(operations[i].run(NULL), E_IO);
        assert_true(failing_disarm());
        target_is_old(operations[i].name);
    }
}

static void a_full_disk_is_told(void **state)
{
    struct error err = {0};
    const struct save_tensor t = {"a", FILE_U8, 1, {6400}, pixels, NULL};

    (void)state;
    put_old();
    failing_arm(FAILING_WRITE, 1); /* the header fits, the data do not */
    assert_int_equal(safetensors_save(target, &t, 1, NULL, 0, &err), E_IO);
    assert_true(failing_disarm());
    assert_non_null(strstr(err.text, "6400"));
    assert_non_null(strstr(err.text, "No space left"));
    target_is_old("a full disk");
}

/* The system may move less than asked, and be interrupted, at any call. */
static void short_calls_add_up(void **state)
{
    uint8_t *whole, *pieces;
    uint64_t n_whole, n_pieces;

    (void)state;
    assert_int_equal(do_png_write(NULL), OK);
    assert_int_equal(file_read(&whole, &n_whole, target, 1 << 20, NULL), OK);
    failing_in_pieces(7);
    assert_int_equal(do_png_write(NULL), OK);
    assert_int_equal(file_read(&pieces, &n_pieces, target, 1 << 20, NULL), OK);
    failing_in_pieces(0);
    assert_int_equal(n_whole, n_pieces);
    assert_memory_equal(whole, pieces, n_whole);
    free(whole);
    free(pieces);
}

static void save_shards(void)
{
    static const char index[] = "{\"weight_map\": {\"a.weight\": \"a\", \"b.weight\": \"b\"}}";
    static const float some[64] = {1, 2, 3}, scale[] = {0.5f};
    const struct save_tensor a[] = {{"a.weight", FILE_F8_E5M2, 2, {4, 32}, some, NULL},
                                    {"a.scale_weight", FILE_F32, 0, {0}, scale, NULL}};
    const struct save_tensor b[] = {{"b.weight", FILE_F32, 2, {2, 32}, some, NULL}};
    const struct save_text text = {"config", "{}"};
    char path[TEMP_PATH];

    assert_int_equal(safetensors_save(temp_path(path, folder, "a"), a, 2, &text, 1, NULL), OK);
    assert_int_equal(safetensors_save(temp_path(path, folder, "b"), b, 1, NULL, 0, NULL), OK);
    temp_path(shards, folder, "index.json");
    assert_int_equal(file_write(shards, index, strlen(index), NULL), OK);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    temp_path(target, folder, "target.png");
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i >> 3);
    save_shards();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once), cmocka_unit_test(every_file_call_fails_once),
        cmocka_unit_test(old_files_survive),           cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(short_calls_add_up),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
