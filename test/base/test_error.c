/*
 * test_error.c - sentences of errors: cut, never overrun, and put in front of each other
 */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#undef fail /* cmocka has a macro of that name */

static void sentences_are_written(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(fail(&err, E_FORMAT, "%s has %d bytes", "x", 3), E_FORMAT);
    assert_int_equal(err.status, E_FORMAT);
    assert_string_equal(err.text, "x has 3 bytes");
    fail_under(&err, "loading %s", "y");
    assert_string_equal(err.text, "loading y: x has 3 bytes");
    assert_int_equal(err.status, E_FORMAT);
    errno = ENOSPC;
    assert_int_equal(fail_errno(&err, E_IO, "writing %s", "z"), E_IO);
    assert_string_equal(err.text, "writing z: No space left on device");
}

static void nobody_need_listen(void **state)
{
    (void)state;
    assert_int_equal(fail(NULL, E_ARG, "%d", 1), E_ARG);
    assert_int_equal(fail_errno(NULL, E_IO, "%d", 1), E_IO);
    fail_under(NULL, "%d", 1);
}

static void long_sentences_are_cut(void **state)
{
    char longer[3 * ERROR_TEXT];
    struct {
        struct error err;
        char guard[16];
    } x = {.guard = "untouched"};

    (void)state;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    fail(&x.err, E_ARG, "%s", longer);
    assert_int_equal(strlen(x.err.text), ERROR_TEXT - 1);
    fail_under(&x.err, "in front");
    assert_int_equal(strlen(x.err.text), ERROR_TEXT - 1);
    assert_memory_equal(x.err.text, "in front: aaa", 13);
    fail_under(&x.err, "%s", longer);
    assert_int_equal(strlen(x.err.text), ERROR_TEXT - 1);
    errno = EIO;
    fail_errno(&x.err, E_IO, "%s", longer);
    assert_int_equal(strlen(x.err.text), ERROR_TEXT - 1);
    assert_string_equal(x.guard, "untouched");
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int a = OK; a <= E_NOT_FINITE; a++) {
        assert_string_not_equal(status_name((enum status)a), "unknown");
        for (int b = OK; b < a; b++)
            assert_string_not_equal(status_name((enum status)a), status_name((enum status)b));
    }
    assert_string_equal(status_name((enum status)99), "unknown");
}

/* A broken promise ends the program, after saying which. */
static void broken_promises_abort(void **state)
{
    char said[512] = "";
    int status, channel[2];
    pid_t child;

    (void)state;
    MUST(1 + 1 == 2, "never said");
    assert_int_equal(pipe(channel), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(channel[1], STDERR_FILENO);
        MUST(1 + 1 == 3, "two is %d", 2);
        _exit(0);
    }
    close(channel[1]);
    assert_true(read(channel[0], said, sizeof said - 1) > 0);
    close(channel[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "1 + 1 == 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_are_written),  cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(long_sentences_are_cut), cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(broken_promises_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
