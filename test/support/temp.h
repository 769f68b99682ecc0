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

#endif
