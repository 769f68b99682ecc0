/*
 * tar.c - the files inside a tar archive, read where they lie
 *
 * A hundred thousand small pictures are one file that is copied, checked and mapped as a whole.
 * The format has no list of what it holds: headers are read one after the other, each saying how
 * far away the next is, once, when the archive is opened.  A library would do more (compression,
 * unpacking, ten further formats) and is one more parser to trust; all that is wanted here is names
 * and places of bytes.
 *
 * What must stay true: every length is compared with what is left of the file before anything
 * behind it is looked at; a header is believed only when its checksum is right; and an archive that
 * was cut short is never taken for a smaller one, which is why the zeros at the end are asked for,
 * and why nothing may follow them.  Names take memory only for what the archive itself spells out.
 *
 *      0 name 100   100 mode 8   108 uid 8   116 gid 8   124 size 12   136 mtime 12
 *      148 checksum 8   156 type 1   157 link 100   257 magic 6   263 version 2   345 prefix 155
 *
 * POSIX.1-2017, pax: "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual,
 * "Basic Tar Format".
 */
#include "io/tar.h"

#include "base/file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 512,
    NAME_AT = 0,
    NAME_BYTES = 100,
    SIZE_AT = 124,
    SIZE_BYTES = 12,
    SUM_AT = 148,
    SUM_BYTES = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_BYTES = 155,
};

struct tar {
    struct file_map map; /* empty for bytes of the caller's */
    const uint8_t *bytes;
    uint64_t n;
    struct tar_file *files; /* each name on the heap */
    int64_t count, room;
};

/* What extension headers said of the member that comes next. */
struct extension {
    bool has_name, has_size;
    char name[TAR_NAME];
    uint64_t size;
};

/* --- fields -------------------------------------------------------------------------------------
 */

static bool is_zero(const uint8_t *bytes, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Octal digits with blanks in front, ended by a blank, a zero or the field; or, after a byte 0x80,
 * a number in base 256. */
static bool read_number(uint64_t *out, const uint8_t *field, int n)
{
    uint64_t x = 0;
    int i = 0;

    if (field[0] & 0x80) {
        x = field[0] & 0x7F; /* 0x7F: negative */
        for (i = 1; i < n; i++) {
            if (x >> 54)
                return false;
            x = x << 8 | field[i];
        }
        *out = x;
        return x >> 62 == 0;
    }
    while (i < n && field[i] == ' ')
        i++;
    if (i == n || field[i] < '0' || field[i] > '7')
        return false;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        x = x << 3 | (uint64_t)(field[i] - '0'); /* twelve digits are 36 bits */
    *out = x;
    return i == n || field[i] == ' ' || field[i] == 0;
}

/* The sum of the header's bytes, those of the sum itself taken for blanks.  Old programs added
 * signed ones. */
static bool sum_is_right(const uint8_t *header)
{
    uint64_t claimed, sum = 0;
    int64_t of_signed = 0;

    for (int i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= SUM_AT && i < SUM_AT + SUM_BYTES ? (uint8_t)' ' : header[i];

        sum += byte;
        of_signed += byte < 128 ? byte : byte - 256;
    }
    return read_number(&claimed, header + SUM_AT, SUM_BYTES) &&
           (claimed == sum || (int64_t)claimed == of_signed);
}

static size_t field_length(const uint8_t *field, size_t room)
{
    const uint8_t *end = memchr(field, 0, room);

    return end ? (size_t)(end - field) : room;
}

/* The header's own name; POSIX puts what does not fit before it. */
static void header_name(char out[TAR_NAME], const uint8_t *header)
{
    size_t n = field_length(header + NAME_AT, NAME_BYTES), prefix = 0;

    if (!memcmp(header + MAGIC_AT, "ustar", 6))
        prefix = field_length(header + PREFIX_AT, PREFIX_BYTES);
    memcpy(out, header + PREFIX_AT, prefix);
    if (prefix)
        out[prefix++] = '/';
    memcpy(out + prefix, header + NAME_AT, n);
    out[prefix + n] = 0;
}

/* --- extensions ---------------------------------------------------------------------------------
 */

static enum status take_name(struct extension *x, const uint8_t *text, uint64_t n,
                             struct error *err)
{
    if (n >= TAR_NAME)
        return fail(err, E_FORMAT, "a name of %" PRIu64 " bytes, at most %d are allowed", n,
                    TAR_NAME - 1);
    if (memchr(text, 0, n))
        return fail(err, E_FORMAT, "a name of %" PRIu64 " bytes with a zero among them", n);
    memcpy(x->name, text, n);
    x->name[n] = 0;
    x->has_name = n > 0;
    return OK;
}

/* GNU: the content is the name, with a zero behind it. */
static enum status take_long_name(struct extension *x, const uint8_t *text, uint64_t n,
                                  struct error *err)
{
    return take_name(x, text, n && !text[n - 1] ? n - 1 : n, err);
}

static enum status take_size(struct extension *x, const uint8_t *text, uint64_t n,
                             struct error *err)
{
    uint64_t size = 0;

    if (n > 18) /* 10^18 is less than 2^62 */
        return fail(err, E_FORMAT, "a size of %" PRIu64 " digits", n);
    for (uint64_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return fail(err, E_FORMAT, "a size that is no number");
        size = size * 10 + (uint64_t)(text[i] - '0');
    }
    x->size = size;
    x->has_size = n > 0;
    return OK;
}

static bool key_is(const char *key, const uint8_t *text, uint64_t n)
{
    return n == strlen(key) && !memcmp(key, text, n);
}

/* What a record says of the files behind it. */
static enum status take_record(struct extension *x, const uint8_t *key, uint64_t key_bytes,
                               const uint8_t *value, uint64_t n, bool of_all, struct error *err)
{
    bool path = key_is("path", key, key_bytes), size = key_is("size", key, key_bytes);

    if (key_bytes >= 10 && !memcmp(key, "GNU.sparse", 10))
        return fail(err, E_UNSUPPORTED, "a sparse file; unpack the archive, and use the folder");
    if (of_all && (path || size))
        return fail(err, E_FORMAT, "one %s for all files that follow", path ? "name" : "size");
    if (path)
        return take_name(x, value, n, err);
    return size ? take_size(x, value, n, err) : OK;
}

/* Records "LENGTH KEY=VALUE\n", each length that of the whole record. */
static enum status take_records(struct extension *x, const uint8_t *text, uint64_t n, bool of_all,
                                struct error *err)
{
    for (uint64_t at = 0; at < n;) {
        uint64_t length = 0, left = n - at, i = 0;
        const uint8_t *record = text + at, *equals;
        enum status st;

        for (; i < left && i < 18 && record[i] >= '0' && record[i] <= '9'; i++)
            length = length * 10 + (uint64_t)(record[i] - '0');
        if (i == 0 || i == left || record[i] != ' ' || length > left || length < i + 3 ||
            record[length - 1] != '\n')
            return fail(err, E_FORMAT,
                        "the record at byte %" PRIu64 " of %" PRIu64
                        " of an extended header is none",
                        at, n);
        i++;
        if (!(equals = memchr(record + i, '=', length - i)))
            return fail(err, E_FORMAT,
                        "the record at byte %" PRIu64 " of an extended header has no value", at);
        if ((st = take_record(x, record + i, (uint64_t)(equals - record) - i, equals + 1,
                              (uint64_t)(record + length - 1 - (equals + 1)), of_all, err)))
            return st;
        at += length;
    }
    return OK;
}

/* --- members ------------------------------------------------------------------------------------
 */

static enum status add_file(struct tar *t, const char *name, const uint8_t *bytes, uint64_t n,
                            struct error *err)
{
    char *copy;
    enum status st;

    while (name[0] == '.' && name[1] == '/')
        for (name += 2; *name == '/'; name++)
            ;
    if (!*name)
        return fail(err, E_FORMAT, "a file without a name");
    if ((st = mem_grow((void **)&t->files, &t->room, t->count + 1, sizeof *t->files, err)) ||
        (st = mem_text(&copy, name, err)))
        return st;
    t->files[t->count++] = (struct tar_file){copy, bytes, n};
    return OK;
}

/* Types whose header alone is in the archive, whatever size it names. */
static bool has_no_content(char type)
{
    return type >= '2' && type <= '6';
}

/* A member, or what is said of the next; its content of n bytes is there.  `ended` tells that what
 * was said before has been used. */
static enum status take_member(struct tar *t, struct extension *x, const uint8_t *header,
                               const uint8_t *content, uint64_t n, bool *ended, struct error *err)
{
    char type = (char)header[TYPE_AT];

    *ended = false;
    switch (type) {
    case 'L':
        return take_long_name(x, content, n, err);
    case 'x':
        return take_records(x, content, n, false, err);
    case 'g':
        return take_records(x, content, n, true, err);
    case 'K': /* where a link leads */
        return OK;
    case 'S':
        return fail(err, E_UNSUPPORTED, "a sparse file; unpack the archive, and use the folder");
    case 'M':
        return fail(err, E_UNSUPPORTED, "the rest of a file that began in another volume");
    default:
        break;
    }
    *ended = true;
    if (type != 0 && type != '0' && type != '7')
        return OK;
    if (!x->has_name)
        header_name(x->name, header);
    if (type == 0 && *x->name && x->name[strlen(x->name) - 1] == '/')
        return OK; /* so old archives say that it is a folder */
    return add_file(t, x->name, content, n, err);
}

/* How many bytes of content follow the header. */
static enum status content_bytes(uint64_t *out, const struct extension *x, const uint8_t *header,
                                 struct error *err)
{
    bool of_next = strchr("LKxg", header[TYPE_AT]) && header[TYPE_AT];

    if (!read_number(out, header + SIZE_AT, SIZE_BYTES))
        return fail(err, E_FORMAT, "the size in its header is no number");
    if (x->has_size && !of_next)
        *out = x->size;
    if (header[TYPE_AT] == '1' && *out)
        return fail(err, E_FORMAT, "a link that claims %" PRIu64 " bytes", *out);
    if (has_no_content((char)header[TYPE_AT]))
        *out = 0;
    return OK;
}

/* The member whose header is at `at`, which moves to the next header. */
static enum status read_member(struct tar *t, struct extension *x, uint64_t *at, struct error *err)
{
    const uint8_t *header = t->bytes + *at;
    uint64_t left = t->n - *at - BLOCK, n = 0, whole;
    bool ended;
    enum status st;

    if (!sum_is_right(header))
        return fail(err, E_FORMAT, "its checksum is wrong");
    if ((st = content_bytes(&n, x, header, err)))
        return st;
    whole = (n + BLOCK - 1) / BLOCK * BLOCK;
    if (whole > left)
        return fail(err, E_FORMAT, "it claims %" PRIu64 " bytes, and %" PRIu64 " are left", n,
                    left);
    st = take_member(t, x, header, header + BLOCK, n, &ended, err);
    if (ended)
        x->has_name = x->has_size = false;
    *at += BLOCK + whole;
    return st;
}

/* From the first block of zeros on there is nothing else. */
static enum status check_end(const struct tar *t, const struct extension *x, uint64_t at,
                             const char *name, struct error *err)
{
    if (t->n - at < BLOCK)
        return fail(err, E_FORMAT,
                    "%s: cut short: %" PRIu64 " bytes without the zeros that end an archive", name,
                    t->n);
    if (x->has_name || x->has_size)
        return fail(err, E_FORMAT,
                    "%s: cut short: no file follows the extended header before "
                    "byte %" PRIu64,
                    name, at);
    if (!is_zero(t->bytes + at, t->n - at))
        return fail(err, E_FORMAT,
                    "%s: it ends at byte %" PRIu64 ", and more follows in its %" PRIu64
                    " bytes (archives one behind the other?)",
                    name, at, t->n);
    return OK;
}

static enum status check_beginning(const struct tar *t, const char *name, struct error *err)
{
    static const struct {
        const char *name;
        uint8_t n, magic[6];
    } packed[] = {{"gzip", 2, {0x1F, 0x8B}},
                  {"zstd", 4, {0x28, 0xB5, 0x2F, 0xFD}},
                  {"xz", 6, {0xFD, '7', 'z', 'X', 'Z', 0}},
                  {"bzip2", 3, {'B', 'Z', 'h'}}};

    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (t->n >= BLOCK && !memcmp(t->bytes, packed[i].magic, packed[i].n) &&
            !sum_is_right(t->bytes))
            return fail(err, E_UNSUPPORTED, "%s: compressed by %s; archives are read as plain tar",
                        name, packed[i].name);
    return OK;
}

static enum status read_all(struct tar *t, const char *name, struct error *err)
{
    struct extension *x = NULL;
    uint64_t at = 0;
    enum status st;

    if ((st = check_beginning(t, name, err)) ||
        (st = mem_new((void **)&x, 1, sizeof *x, "a name in an archive", err)))
        return st;
    while (!st && t->n - at >= BLOCK && !is_zero(t->bytes + at, BLOCK)) {
        uint64_t header = at;

        if ((st = read_member(t, x, &at, err)))
            fail_under(err, "%s: the member at byte %" PRIu64, name, header);
    }
    if (!st)
        st = check_end(t, x, at, name, err);
    free(x);
    return st;
}

/* --- open and closed ----------------------------------------------------------------------------
 */

enum status tar_open_bytes(struct tar **out, const uint8_t *bytes, uint64_t n, const char *name,
                           struct error *err)
{
    struct tar *t = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&t, 1, sizeof *t, "an archive", err)))
        return st;
    t->bytes = bytes;
    t->n = n;
    if ((st = read_all(t, name, err)))
        tar_close(t);
    else
        *out = t;
    return st;
}

enum status tar_open(struct tar **out, const char *path, struct error *err)
{
    struct file_map map;
    enum status st;

    *out = NULL;
    if ((st = file_map(&map, path, err)))
        return st;
    if ((st = tar_open_bytes(out, map.bytes, map.n, path, err)))
        file_map_release(&map);
    else
        (*out)->map = map;
    return st;
}

void tar_close(struct tar *t)
{
    if (!t)
        return;
    for (int64_t i = 0; i < t->count; i++)
        free(t->files[i].name);
    free(t->files);
    file_map_release(&t->map);
    free(t);
}

int64_t tar_count(const struct tar *t)
{
    return t->count;
}

const struct tar_file *tar_at(const struct tar *t, int64_t i)
{
    MUST(i >= 0 && i < t->count, "file %" PRId64 " of %" PRId64, i, t->count);
    return &t->files[i];
}
