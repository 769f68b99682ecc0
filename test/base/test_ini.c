/*
 * test_ini.c - configuration files, and what is wrong with them at which line
 */
#include "base/ini.h"
#include "base/option.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Writes down all it is told as "key=value|"; refuses the key "refused".  The parentheses keep
 * cmocka's macro of the same name away. */
static enum status write_down(const char *key, const char *value, struct error *err, void *arg)
{
    struct text *log = arg;

    if (strcmp(key, "refused") == 0)
        return (fail)(err, E_ARG, "%s: no", key);
    text_add(log, "%s=%s|", key, value);
    return OK;
}

static enum status read_bytes(const char *bytes, size_t n, struct text *log, struct error *err)
{
    char *exact = malloc(n + 1); /* so that the address sanitizer sees a step too far */
    enum status st;

    memcpy(exact, bytes, n);
    exact = realloc(exact, n ? n : 1);
    text_init(log, NULL, 0);
    st = ini_read_text("a.ini", exact, n, write_down, log, err);
    free(exact);
    return st;
}

static void settings_come_in_order(void **state)
{
    static const char file[] = "\xef\xbb\xbf; a comment\r\n"
                               "top = 1\n"
                               "[train]\r\n"
                               "  batch=32 ; behind\n"
                               "\tsteps : 100\n"
                               "# another\n"
                               "\n"
                               "name = a = b\n"
                               "empty =\n"
                               "[data]\n"
                               "batch = 4";
    struct error err = {0};
    struct text log;

    (void)state;
    assert_int_equal(read_bytes(file, sizeof file - 1, &log, &err), OK);
    assert_string_equal(log.data, "top=1|train.batch=32|train.steps=100|train.name=a = b|"
                                  "train.empty=|data.batch=4|");
    text_release(&log);
    assert_int_equal(read_bytes("", 0, &log, &err), OK);
    assert_string_equal(log.data, "");
    text_release(&log);
}

static void errors_name_file_and_line(void **state)
{
    static const struct {
        const char *file;
        enum status st;
        const char *sentence;
    } cases[] = {
        {"a = 1\n\nnonsense\n", E_FORMAT, "a.ini:3: neither [section] nor key = value"},
        {"[train\n", E_FORMAT, "a.ini:1: neither [section] nor key = value"},
        {"[t]\na_b = 1\n[s]\n[t]\n  a-b = 2\n", E_FORMAT, "a.ini:5: 't.a_b' is set a second time"},
        {"x = 1\nrefused = 1\nrubbish\n", E_ARG, "a.ini:2: refused: no"},
        {"rubbish\nrefused = 1\n", E_FORMAT, "a.ini:1: neither [section] nor key = value"},
    };
    struct error err = {0};
    struct text log;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_bytes(cases[i].file, strlen(cases[i].file), &log, &err), cases[i].st);
        assert_string_equal(err.text, cases[i].sentence);
        text_release(&log);
    }
    assert_int_equal(read_bytes("a = 1\nb\0 = 2\n", 13, &log, &err), E_FORMAT);
    assert_string_equal(err.text, "a.ini:2: a zero byte: this is no text");
    text_release(&log);
}

static void limits_are_kept(void **state)
{
    struct error err = {0};
    struct text file, log;
    char line[300];

    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "a = ", 4);
    assert_int_equal(read_bytes(line, 197, &log, &err), OK);
    assert_int_equal(strlen(log.data), 196);
    text_release(&log);
    assert_int_equal(read_bytes(line, 198, &log, &err), E_FORMAT);
    assert_string_equal(err.text, "a.ini:1: a line of 198 letters; the limit is 197");
    text_release(&log);

    text_init(&file, NULL, 0);
    for (int i = 0; i <= INI_SETTINGS_MAX; i++)
        text_add(&file, "k%d = 1\n", i);
    assert_int_equal(read_bytes(file.data, file.used, &log, &err), E_FORMAT);
    assert_string_equal(err.text, "a.ini:1025: more than 1024 settings");
    text_release(&log);
    text_release(&file);

    assert_int_equal(ini_read_text("a.ini", "", INI_FILE_MAX + 1, write_down, NULL, &err),
                     E_FORMAT);
    assert_string_equal(err.text, "a.ini: 1048577 bytes; the limit is 1048576");
}

struct config {
    int64_t batch;
};

static enum status set_option(const char *key, const char *value, struct error *err, void *arg)
{
    return options_set(arg, key, value, err);
}

static void a_file_fills_options(void **state)
{
    static const struct option rows[] = {
        {"batch", "samples a step", OPTION_INT, offsetof(struct config, batch), .fallback = "1",
         .lo = 1, .hi = 64},
        {0},
    };
    struct config config = {0};
    struct option_group group = {"train", rows, &config, NULL};
    struct option_set set = {&group, 1};
    char dir[TEMP_PATH], path[TEMP_PATH], sentence[2 * TEMP_PATH];
    struct error err = {0};
    FILE *file;

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "shapes.ini");
    assert_int_equal(ini_read(path, set_option, &set, &err), E_IO);
    assert_non_null(strstr(err.text, "No such file"));
    assert_int_equal(ini_read(dir, set_option, &set, &err), E_IO);

    file = fopen(path, "w");
    fputs("[train]\nbatch = 32\n", file);
    fclose(file);
    assert_int_equal(ini_read(path, set_option, &set, &err), OK);
    assert_int_equal(config.batch, 32);

    file = fopen(path, "w");
    fputs("[train]\n\nbatch = 65\n", file);
    fclose(file);
    assert_int_equal(ini_read(path, set_option, &set, &err), E_ARG);
    snprintf(sentence, sizeof sentence, "%s:3: train.batch: 65 is not in 1..64", path);
    assert_string_equal(err.text, sentence);
    assert_int_equal(config.batch, 32);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_come_in_order),
        cmocka_unit_test(errors_name_file_and_line),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(a_file_fills_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
