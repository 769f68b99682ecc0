/*
 * failing.h - calls of the system that fail when told to
 *
 * A test named test_fail_*.c is linked so that the library's calls of malloc and its kin, and of
 * open, fopen, opendir, read, write, fflush, fsync, rename, mmap and pthread_create, come here
 * first (the linker's --wrap).  Memory that jansson asks for comes here too; what other shared
 * libraries allocate inside themselves does not.
 *
 *     for (int64_t k = 0;; k++) {
 *         failing_arm(FAILING_MEMORY, k);
 *         st = thing_open(&thing, path, &err);
 *         if (!failing_disarm())
 *             break;                          // the whole of it ran: st is OK
 *         assert_int_equal(st, E_MEMORY);     // and nothing leaked: LeakSanitizer looks
 *     }
 */
#ifndef IMGEN_TEST_SUPPORT_FAILING_H
#define IMGEN_TEST_SUPPORT_FAILING_H

#include <stdbool.h>
#include <stdint.h>

enum failing {
    FAILING_OWN = 1,     /* malloc and its kin, mmap of no file: ENOMEM            */
    FAILING_OPEN = 2,    /* open, fopen, opendir: EACCES                           */
    FAILING_READ = 4,    /* read, mmap of a file: EIO                              */
    FAILING_WRITE = 8,   /* write, fflush: ENOSPC, from the k-th on: a full disk */
    FAILING_SYNC = 16,   /* fsync: EIO                                             */
    FAILING_RENAME = 32, /* rename: EIO                                            */
    FAILING_THREAD = 64, /* pthread_create: EAGAIN                                 */
    FAILING_JSON = 128,  /* malloc for jansson, but not while it reads: ENOMEM     */
    FAILING_MEMORY = FAILING_OWN | FAILING_JSON,
    FAILING_FILE = FAILING_OPEN | FAILING_READ | FAILING_WRITE | FAILING_SYNC | FAILING_RENAME,
};

/* Let the k-th call (from 0) of these kinds, counted together over all threads, fail; the calls
 * after it succeed, but for write. */
void failing_arm(int kinds, int64_t k);
/* Back to normal; returns whether a call was made to fail. */
bool failing_disarm(void);
/* Calls of the armed kinds since failing_arm, the failed one included. */
int64_t failing_calls(void);

/* From now on until told otherwise: write and read move at most `bytes` a call, and every third
 * call is interrupted (EINTR); 0 ends it. */
void failing_in_pieces(int64_t bytes);

#endif
