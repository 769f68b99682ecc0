/*
 * tensor_files.h - two files, held against each other: their tensors, or every byte
 */
#ifndef IMGEN_TEST_SUPPORT_TENSOR_FILES_H
#define IMGEN_TEST_SUPPORT_TENSOR_FILES_H

#include <stdbool.h>

/* Fails the test, naming the tensor, unless both files hold the same tensors with the same bytes.
 * What else they say is not looked at. */
void assert_same_tensors(const char *a, const char *b);

/* Whether two files hold the same bytes.  Fails the test where one cannot be read. */
bool same_files(const char *a, const char *b);

#endif
