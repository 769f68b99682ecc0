/*
 * test_file.c - files mapped, read, and replaced as a whole
 */
#include "base/file.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[TEMP_PATH];

static const char *at(char path[TEMP_PATH], const char *name)
{
    return temp_path(path, folder, name);
}

static void expect_content(const char *path, const char *content)
{
    struct error err = {0};
    struct file_map map;
    uint8_t *bytes;
    uint64_t n;

    assert_int_equal(file_read(&bytes, &n, path, 1000, &err), OK);
    assert_int_equal(n, strlen(content));
    assert_string_equal((char *)bytes, content);
    free(bytes);
    assert_int_equal(file_map(&map, path, &err), OK);
    assert_int_equal(map.n, strlen(content));
    assert_memory_equal(map.bytes, content, map.n);
    file_map_release(&map);
    assert_null(map.bytes);
    file_map_release(&map);
}

static void whole_files_come_back(void **state)
{
    char path[TEMP_PATH];
    struct stat info;
    mode_t mask = umask(022);

    (void)state;
    at(path, "a");
    assert_int_equal(file_write(path, "hello", 5, NULL), OK);
    expect_content(path, "hello");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644); /* as any other file of the user */
    assert_int_equal(file_write(path, "", 0, NULL), OK);
    expect_content(path, "");
    umask(mask);
}

static void pieces_appear_only_when_committed(void **state)
{
    char path[TEMP_PATH];
    struct error err = {0};
    struct file_writer w, other;

    (void)state;
    at(path, "b");
    assert_int_equal(file_write(path, "old", 3, &err), OK);
    assert_int_equal(file_writer_open(&w, path, &err), OK);
    assert_non_null(strstr(w.temporary, FILE_TEMPORARY_MARK));
    assert_int_equal(file_writer_put(&w, "new ", 4, &err), OK);
    assert_int_equal(file_writer_put(&w, NULL, 0, &err), OK);
    assert_int_equal(file_writer_put(&w, "file", 4, &err), OK);
    assert_int_equal(w.n, 8);
    expect_content(path, "old");

    /* A second writer of the same path has a temporary of its own. */
    assert_int_equal(file_writer_open(&other, path, &err), OK);
    assert_string_not_equal(w.temporary, other.temporary);
    assert_int_equal(file_writer_commit(&w, &err), OK);
    file_writer_close(&w);
    expect_content(path, "new file");
    assert_int_equal(access(other.temporary, F_OK), 0);
    file_writer_close(&other);
    expect_content(path, "new file");
    file_writer_close(&other);
}

/* A mapping keeps showing the file it was made of. */
static void a_mapping_outlives_its_replacement(void **state)
{
    char path[TEMP_PATH];
    struct file_map map;

    (void)state;
    at(path, "c");
    assert_int_equal(file_write(path, "before", 6, NULL), OK);
    assert_int_equal(file_map(&map, path, NULL), OK);
    assert_int_equal(file_write(path, "after!", 6, NULL), OK);
    assert_memory_equal(map.bytes, "before", 6);
    file_map_release(&map);
    expect_content(path, "after!");
}

static void limits_hold(void **state)
{
    char path[TEMP_PATH];
    struct error err = {0};
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    at(path, "d");
    assert_int_equal(file_write(path, "0123456789", 10, NULL), OK);
    assert_int_equal(file_read(&bytes, &n, path, 10, &err), OK);
    assert_int_equal(n, 10);
    free(bytes);
    assert_int_equal(file_read(&bytes, &n, path, 9, &err), E_FORMAT);
    assert_null(bytes);
    assert_int_equal(n, 0);
    assert_non_null(strstr(err.text, path));
    /* A device without an end, and one without a size. */
    assert_int_equal(file_read(&bytes, &n, "/dev/zero", 100000, &err), E_FORMAT);
    assert_int_equal(file_read(&bytes, &n, "/proc/self/cmdline", 100000, &err), OK);
    assert_true(n > 0);
    free(bytes);
}

static void what_is_no_file_is_refused(void **state)
{
    char path[TEMP_PATH];
    struct error err = {0};
    struct file_writer w;
    struct file_map map;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    assert_int_equal(file_map(&map, at(path, "none"), &err), E_IO);
    assert_non_null(strstr(err.text, "none"));
    assert_int_equal(file_map(&map, folder, &err), E_IO);
    assert_int_equal(file_read(&bytes, &n, folder, 10, &err), E_IO);
    assert_int_equal(file_read(&bytes, &n, path, 10, &err), E_IO);
    assert_int_equal(mkfifo(at(path, "pipe"), 0600), 0);
    assert_int_equal(file_map(&map, path, &err), E_IO); /* and does not wait for a writer */
    assert_int_equal(file_writer_open(&w, path, &err), E_IO);
    assert_int_equal(file_writer_open(&w, folder, &err), E_IO);
    assert_int_equal(file_writer_open(&w, "/dev/null", &err), E_IO);
    assert_int_equal(file_writer_open(&w, at(path, "no/such/folder"), &err), E_IO);
    assert_null(w.temporary);
    file_writer_close(&w);
}

static void links_are_followed(void **state)
{
    char path[TEMP_PATH], link[TEMP_PATH];
    struct error err = {0};
    struct stat info;

    (void)state;
    assert_int_equal(file_write(at(path, "true"), "one", 3, &err), OK);
    assert_int_equal(symlink("true", at(link, "link")), 0);
    assert_int_equal(file_write(link, "two", 3, &err), OK);
    expect_content(path, "two");
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(symlink("nowhere", at(link, "dangling")), 0);
    assert_int_equal(file_write(link, "two", 3, &err), E_IO);
}

static void names_without_a_folder_work(void **state)
{
    char before[TEMP_PATH];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(file_write("plain", "x", 1, NULL), OK);
    expect_content("plain", "x");
    assert_int_equal(chdir(before), 0);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
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
        cmocka_unit_test(whole_files_come_back),
        cmocka_unit_test(pieces_appear_only_when_committed),
        cmocka_unit_test(a_mapping_outlives_its_replacement),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(names_without_a_folder_work),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
