/*
 * tensor_files.h - two files of tensors, held against each other
 */
#ifndef IMGEN_TEST_SUPPORT_TENSOR_FILES_H
#define IMGEN_TEST_SUPPORT_TENSOR_FILES_H

/* Fails the test, naming the tensor, unless both files hold the same tensors with the same bytes.
 * What else they say is not looked at. */
void assert_same_tensors(const char *a, const char *b);

#endif
