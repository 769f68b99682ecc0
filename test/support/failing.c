/*
 * failing.c - calls of the system that fail when told to
 *
 * The linker turns the library's call of malloc into one of __wrap_malloc, here, and keeps the true
 * one as __real_malloc; sanitizers stay in place behind it.  Replacing malloc itself would reach
 * into every shared library too, but not under a sanitizer, which has replaced it already.
 *
 * The counters are atomic because training and loading use threads.
 */
#include "support/failing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int armed;
static atomic_llong left, counted, pieces, calls;
static atomic_bool failed;
static _Thread_local bool reading_json;

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *text);
json_t *__real_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error);
int __real_open(const char *path, int flags, ...);
FILE *__real_fopen(const char *path, const char *mode);
DIR *__real_opendir(const char *path);
ssize_t __real_read(int fd, void *bytes, size_t n);
ssize_t __real_write(int fd, const void *bytes, size_t n);
int __real_fflush(FILE *f);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
void *__real_mmap(void *at, size_t n, int access, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *text);
json_t *__wrap_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error);
int __wrap_open(const char *path, int flags, ...);
FILE *__wrap_fopen(const char *path, const char *mode);
DIR *__wrap_opendir(const char *path);
ssize_t __wrap_read(int fd, void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
int __wrap_fflush(FILE *f);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
void *__wrap_mmap(void *at, size_t n, int access, int flags, int fd, off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg);

static void *json_malloc(size_t n);

void failing_arm(int kinds, int64_t k)
{
    /* jansson allocates inside its own library, unless asked to come here. */
    json_set_alloc_funcs(json_malloc, free);
    failed = false;
    counted = 0;
    left = k;
    armed = kinds;
}

bool failing_disarm(void)
{
    armed = 0;
    json_set_alloc_funcs(malloc, free);
    return failed;
}

int64_t failing_calls(void)
{
    return counted;
}

void failing_in_pieces(int64_t bytes)
{
    calls = 0;
    pieces = bytes;
}

/* Whether this call of that kind is the one. */
static bool fails(enum failing kind, int cause)
{
    long long before;

    if (!(armed & (int)kind))
        return false;
    atomic_fetch_add(&counted, 1);
    before = atomic_fetch_sub(&left, 1);
    if (before != 0 && !(before < 0 && failed && kind == FAILING_WRITE))
        return false;
    failed = true;
    errno = cause;
    return true;
}

static bool interrupted(void)
{
    if (!pieces || atomic_fetch_add(&calls, 1) % 3 != 2)
        return false;
    errno = EINTR;
    return true;
}

static size_t piece_of(size_t n)
{
    size_t most = (size_t)pieces;

    return most && n > most ? most : n;
}

static void *json_malloc(size_t n)
{
    return !reading_json && fails(FAILING_JSON, ENOMEM) ? NULL : __real_malloc(n);
}

/* jansson 2.14 reads on past missing memory: what protects a program is that base/json.c asks for
 * all of it first. */
json_t *__wrap_json_loadb(const char *text, size_t n, size_t flags, json_error_t *error)
{
    json_t *json;

    reading_json = true;
    json = __real_json_loadb(text, n, flags, error);
    reading_json = false;
    return json;
}

void *__wrap_malloc(size_t n)
{
    return fails(FAILING_OWN, ENOMEM) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAILING_OWN, ENOMEM) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails(FAILING_OWN, ENOMEM) ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails(FAILING_OWN, ENOMEM) ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAILING_OWN, ENOMEM) ? NULL : __real_strdup(text);
}

int __wrap_open(const char *path, int flags, ...)
{
    int mode = 0;

    if (flags & O_CREAT) {
        va_list ap;

        va_start(ap, flags);
        mode = va_arg(ap, int);
        va_end(ap);
    }
    return fails(FAILING_OPEN, EACCES) ? -1 : __real_open(path, flags, mode);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return fails(FAILING_OPEN, EACCES) ? NULL : __real_fopen(path, mode);
}

DIR *__wrap_opendir(const char *path)
{
    return fails(FAILING_OPEN, EACCES) ? NULL : __real_opendir(path);
}

ssize_t __wrap_read(int fd, void *bytes, size_t n)
{
    if (interrupted() || fails(FAILING_READ, EIO))
        return -1;
    return __real_read(fd, bytes, piece_of(n));
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    if (interrupted() || fails(FAILING_WRITE, ENOSPC))
        return -1;
    return __real_write(fd, bytes, piece_of(n));
}

int __wrap_fflush(FILE *f)
{
    return fails(FAILING_WRITE, ENOSPC) ? EOF : __real_fflush(f);
}

int __wrap_fsync(int fd)
{
    return fails(FAILING_SYNC, EIO) ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    return fails(FAILING_RENAME, EIO) ? -1 : __real_rename(from, to);
}

void *__wrap_mmap(void *at, size_t n, int access, int flags, int fd, off_t offset)
{
    bool no = flags & MAP_ANONYMOUS ? fails(FAILING_OWN, ENOMEM) : fails(FAILING_READ, EIO);

    return no ? MAP_FAILED : __real_mmap(at, n, access, flags, fd, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *arg)
{
    return fails(FAILING_THREAD, EAGAIN) ? EAGAIN : __real_pthread_create(thread, attr, start, arg);
}
