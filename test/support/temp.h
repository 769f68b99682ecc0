/*
 * temp.h - a folder of its own for a test that writes files
 */
#ifndef IMGEN_TEST_SUPPORT_TEMP_H
#define IMGEN_TEST_SUPPORT_TEMP_H

enum { TEMP_PATH = 512 };

/* Make an empty folder and write its path into dir; aborts the test when that fails. */
void temp_dir_new(char dir[TEMP_PATH]);
/* Remove it with all it holds. */
void temp_dir_remove(const char *dir);
/* "<dir>/<name>" into out; returns out. */
const char *temp_path(char out[TEMP_PATH], const char *dir, const char *name);

/* Set-up and tear-down of a group of tests that run inside such a folder, where a name is a path.
 * Until the folder is left, *state is theirs. */
int temp_enter(void **state);
int temp_leave(void **state);

#endif
