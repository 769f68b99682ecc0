/*
 * file.c - files: mapped, read whole, and replaced without ever being half written
 *
 * Models are gigabytes and are mapped: nothing is copied, two programs share one copy, and a tensor
 * nobody reads costs nothing.  Small files are read.  Whatever is written replaces a file by
 * rename, because a run killed at any moment must leave the last checkpoint readable: the bytes go
 * to a temporary file in the same folder (rename does not cross file systems), reach the disk, and
 * only then take the name.  Without the fsync before the rename a power cut could leave the new
 * name on an empty file; without the one on the folder, the old name on nothing.
 *
 * The temporary is opened with O_EXCL, never over what is there, so two writers of one path do not
 * mix; its name holds the process so that whoever finds a stale one knows whose it was.  mkstemp is
 * not used: its files are private to the user, whatever umask says.
 */
#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_TRIES = 100 };

/* One read or write asks for at most this much: Linux cuts a call at 2 GiB less a page. */
static const uint64_t CALL_BYTES = 1u << 30;

enum status file_map(struct file_map *out, const char *path, struct error *err)
{
    enum status st = OK;
    struct stat info;
    void *bytes;
    int fd;

    *out = (struct file_map){0};
    /* O_NONBLOCK: opening a pipe nobody writes to would otherwise wait for ever. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(err, E_IO, "cannot open %s", path);
    if (fstat(fd, &info)) {
        st = fail_errno(err, E_IO, "cannot look at %s", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        st = fail(err, E_IO, "%s is not a regular file", path);
        goto out;
    }
    if (info.st_size == 0) {
        out->bytes = (const uint8_t *)"";
        goto out;
    }
    bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        st = fail_errno(err, E_IO, "cannot map the %jd bytes of %s", (intmax_t)info.st_size, path);
        goto out;
    }
    *out = (struct file_map){.bytes = bytes, .n = (uint64_t)info.st_size, .mapped = true};
out:
    close(fd);
    return st;
}

void file_map_release(struct file_map *m)
{
    /* munmap wants the pointer mmap gave, which was not const. */
    if (m->mapped)
        munmap((void *)(uintptr_t)m->bytes, (size_t)m->n);
    *m = (struct file_map){0};
}

/* Whole pages only: their neighbours belong to others. */
void file_map_drop(const struct file_map *m, const void *bytes, uint64_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), low = (uintptr_t)m->bytes;
    uintptr_t first = ((uintptr_t)bytes + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)bytes + n) / page * page;

    if (m->mapped && first >= low && end <= low + m->n && first < end)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

/* Room for all of a regular file, for a start otherwise; one byte more shows a file past the limit,
 * and the zero goes there in the end. */
static int64_t first_room(int fd, uint64_t limit)
{
    struct stat info;
    uint64_t n = 4096;

    if (!fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size > 0)
        n = (uint64_t)info.st_size;
    return (int64_t)(n < limit ? n : limit) + 1;
}

static enum status read_all(uint8_t **bytes, uint64_t *n, int fd, const char *path, uint64_t limit,
                            struct error *err)
{
    int64_t room = 0, want = first_room(fd, limit);
    enum status st;

    for (;;) {
        uint64_t ask;
        ssize_t got;

        if ((st = mem_grow((void **)bytes, &room, want, 1, err)))
            return st;
        ask = (uint64_t)room - *n;
        got = read(fd, *bytes + *n, ask < CALL_BYTES ? ask : CALL_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, E_IO, "cannot read %s after %" PRIu64 " bytes", path, *n);
        *n += (uint64_t)got;
        if (*n > limit)
            return fail(err, E_FORMAT, "%s holds more than the %" PRIu64 " bytes allowed", path,
                        limit);
        if (got == 0)
            break;
        want = (int64_t)*n + 1;
    }
    (*bytes)[*n] = 0;
    return OK;
}

enum status file_read(uint8_t **out, uint64_t *n, const char *path, uint64_t limit,
                      struct error *err)
{
    enum status st;
    int fd;

    MUST(limit < INT64_MAX / 2, "limit %" PRIu64, limit);
    *out = NULL;
    *n = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, E_IO, "cannot open %s", path);
    st = read_all(out, n, fd, path, limit, err);
    if (st) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    close(fd);
    return st;
}

/* *out = the path to be replaced: behind symbolic links stands what the user means. */
static enum status target_path(char **out, const char *path, struct error *err)
{
    struct stat info;

    if (lstat(path, &info)) {
        if (errno != ENOENT)
            return fail_errno(err, E_IO, "cannot look at %s", path);
        return mem_text(out, path, err);
    }
    if (S_ISLNK(info.st_mode)) {
        *out = realpath(path, NULL);
        if (!*out)
            return fail_errno(err, E_IO, "cannot follow the link %s", path);
        if (stat(*out, &info))
            return fail_errno(err, E_IO, "cannot look at %s", *out);
    } else {
        enum status st = mem_text(out, path, err);

        if (st)
            return st;
    }
    /* A rename would put a plain file where a device or a pipe was. */
    if (!S_ISREG(info.st_mode))
        return fail(err, E_IO, "%s is there and is not a regular file", path);
    return OK;
}

/* The folder that holds path, to be synced when path has its new entry. */
static enum status open_folder(int *fd, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = NULL;
    enum status st;

    if ((st = mem_text(&folder, slash ? path : ".", err)))
        return st;
    if (slash)
        folder[slash == path ? 1 : slash - path] = 0;
    *fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (*fd < 0)
        st = fail_errno(err, E_IO, "cannot open the folder %s", folder);
    free(folder);
    return st;
}

enum status file_writer_open(struct file_writer *w, const char *path, struct error *err)
{
    char *temporary = NULL;
    enum status st;
    size_t room;

    *w = (struct file_writer){.fd = -1, .folder = -1};
    if ((st = target_path(&w->path, path, err)) || (st = open_folder(&w->folder, w->path, err)))
        goto out;
    room = strlen(w->path) + 48;
    if ((st = mem_new((void **)&temporary, room, 1, path, err)))
        goto out;
    for (int i = 0; i < TEMPORARY_TRIES && w->fd < 0; i++) {
        snprintf(temporary, room, "%s" FILE_TEMPORARY_MARK "%jd-%d", w->path, (intmax_t)getpid(),
                 i);
        w->fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST)
            break;
    }
    if (w->fd < 0) {
        st = fail_errno(err, E_IO, "cannot create %s", temporary);
        goto out;
    }
    w->temporary = temporary;
    temporary = NULL;
out:
    free(temporary);
    if (st)
        file_writer_close(w);
    return st;
}

enum status file_writer_put(struct file_writer *w, const void *bytes, uint64_t n, struct error *err)
{
    const uint8_t *from = bytes;

    MUST(w->temporary, "no file is open");
    for (uint64_t done = 0; done < n;) {
        uint64_t left = n - done;
        ssize_t put = write(w->fd, from + done, left < CALL_BYTES ? left : CALL_BYTES);

        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0) /* never for a plain file, and nothing to wait for */
            errno = EIO;
        if (put <= 0)
            return fail_errno(
                err, E_IO, "cannot write %s: %" PRIu64 " of %" PRIu64 " bytes at offset %" PRIu64,
                w->path, left, n, w->n);
        done += (uint64_t)put;
        w->n += (uint64_t)put;
    }
    return OK;
}

enum status file_writer_commit(struct file_writer *w, struct error *err)
{
    int closed, fd = w->fd;

    MUST(w->temporary, "no file is open");
    if (fsync(fd))
        return fail_errno(err, E_IO, "cannot sync the %" PRIu64 " bytes of %s", w->n, w->path);
    w->fd = -1;
    closed = close(fd);
    if (closed)
        return fail_errno(err, E_IO, "cannot close %s after %" PRIu64 " bytes", w->path, w->n);
    if (rename(w->temporary, w->path))
        return fail_errno(err, E_IO, "cannot rename %s to %s", w->temporary, w->path);
    free(w->temporary);
    w->temporary = NULL;
    /* EINVAL: a file system that cannot sync a folder has nothing to be lost there. */
    if (fsync(w->folder) && errno != EINVAL)
        return fail_errno(err, E_IO, "cannot sync the folder of %s", w->path);
    return OK;
}

void file_writer_close(struct file_writer *w)
{
    int cause = errno;

    /* A zeroed writer has no path, and its descriptors are not its own. */
    if (w->path && w->fd >= 0)
        close(w->fd);
    if (w->path && w->folder >= 0)
        close(w->folder);
    if (w->temporary)
        unlink(w->temporary);
    free(w->temporary);
    free(w->path);
    *w = (struct file_writer){0};
    errno = cause;
}

enum status file_write(const char *path, const void *bytes, uint64_t n, struct error *err)
{
    struct file_writer w = {0};
    enum status st;

    if ((st = file_writer_open(&w, path, err)) || (st = file_writer_put(&w, bytes, n, err)))
        goto out;
    st = file_writer_commit(&w, err);
out:
    file_writer_close(&w);
    return st;
}
