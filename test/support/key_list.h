/*
 * key_list.h - the published list of a network's tensors, and whether the network declares them
 */
#ifndef IMGEN_TEST_SUPPORT_KEY_LIST_H
#define IMGEN_TEST_SUPPORT_KEY_LIST_H

#include "nn/params.h"

/* Fails the test unless the tensors in which p lies under this naming are those of the file, one
 * "name<tab>16x4" a line, by name and by shape: none missing, none too many.  Where a parameter may
 * lie in several ways, the first one counts. */
void assert_key_list(struct params *p, const struct params_naming *naming, const char *path);

#endif
