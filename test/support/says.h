/*
 * says.h - whether an error says what somebody who reads it has to know
 */
#ifndef IMGEN_TEST_SUPPORT_SAYS_H
#define IMGEN_TEST_SUPPORT_SAYS_H

/* Fails the test, showing both, unless the text has these words in it. */
void assert_says(const char *text, const char *words);

#endif
