/*
 * captioned.c - pictures or clips with a caption each, from a folder or a tar archive
 *
 * Three ways to say which text belongs to which picture are in use, and all are read:
 *
 *      set/captions.jsonl      {"file": "a.png", "caption": "a red bird", "group": "birds"}
 *      set/a.png               a line for each picture; metadata.jsonl is read the same way
 *
 *      set/b/c.jpg             a text beside each picture, with the same name up to the ending
 *      set/b/c.txt
 *
 *      set.tar                 either of them in an archive, where d.json may stand beside d.png;
 *                              or a list beside the archive (data.labels)
 *
 * A list decides by itself what is in the set, and in which order; a picture may have several
 * lines, one for each of its captions.  Lists are looked for in the folder itself, and where it has
 * none, in the nearest below, because archives often begin with a folder.  Without a list all
 * pictures are in the set, in the order of their names, and one without a text is an error: a gap
 * that nobody is told of would train a model on nothing.
 *
 * Where clips are asked for, a picture's place is taken by an animation or by a folder of frames,
 * whose text is set/c.txt beside set/c/, or whose line in a list names the folder.  A folder that
 * neither names is one of several clips, as it is one of several pictures.
 *
 * Opening reads all texts and no picture.  Texts lie one behind the other in one block of memory,
 * sixty bytes where a text of its own would take a hundred.
 */
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/whole.h"
#include "data/bundle.h"
#include "data/captions.h"
#include "data/clip_files.h"
#include "data/kept.h"
#include "data/listing.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char captions_name[] = "captions.jsonl", metadata_name[] = "metadata.jsonl";

struct entry {
    int64_t file;          /* of the bundle; of a folder of frames its first picture */
    size_t caption, group; /* where they begin in texts */
    int32_t label;
    bool folder;
};

/* A picture or a clip among the files. */
struct item {
    int64_t file; /* as in struct entry, -1: none */
    bool folder;
};

struct captioned {
    struct bundle files;
    struct entry *entries; /* [n] */
    int64_t n, room;
    struct text texts; /* each ended by a zero; the first is the empty one: no group */
    int64_t frames;    /* of the clips asked for; 0: pictures are */
    bool rates;
    struct kept kept;
};

/* --- entries ------------------------------------------------------------------------------------
 */

static enum status keep_text(size_t *out, struct captioned *c, const char *text, struct error *err)
{
    *out = c->texts.used;
    text_add_bytes(&c->texts, text, strlen(text) + 1);
    return c->texts.cut ? fail(err, E_MEMORY, "no memory for %zu bytes of captions", *out) : OK;
}

/* Pictures of one group mostly follow each other: its name is kept once for all of those. */
static enum status keep_group(size_t *out, struct captioned *c, const char *group,
                              struct error *err)
{
    *out = c->n ? c->entries[c->n - 1].group : 0;
    if (!group)
        *out = 0;
    else if (!*out || strcmp(c->texts.data + *out, group) != 0)
        return keep_text(out, c, group, err);
    return OK;
}

static enum status add_entry(struct captioned *c, struct item item, const struct caption_record *r,
                             struct error *err)
{
    struct entry e = {.file = item.file, .folder = item.folder, .label = -1};
    enum status st;

    if ((st = mem_grow((void **)&c->entries, &c->room, c->n + 1, sizeof *c->entries, err)) ||
        (st = keep_text(&e.caption, c, r->caption, err)) ||
        (st = keep_group(&e.group, c, r->group, err)))
        return st;
    c->entries[c->n++] = e;
    return OK;
}

/* --- lists --------------------------------------------------------------------------------------
 */

/* A list, and the folder within the set that its names are relative to: "" or "flowers/". */
struct list {
    struct captioned *to;
    const char *folder;
    size_t folder_length;
};

/* What a list means by a name, "a.png" or, of clips, "a" and "a/". */
static struct item find_item(const struct captioned *c, const char *name)
{
    struct item item = {bundle_find(&c->files, name), false};
    size_t length = strlen(name);

    if (item.file < 0 && c->frames) {
        while (length > 1 && name[length - 1] == '/')
            length--;
        item = (struct item){clip_folder_find(&c->files, name, length), true};
    }
    return item;
}

static enum status take_line(const struct caption_record *r, int64_t line, void *user,
                             struct error *err)
{
    struct list *l = user;
    size_t room = l->folder_length + strlen(r->file) + 1;
    char shown[UTF8_SHOWN], *name;
    struct item item;
    enum status st;

    (void)line;
    if ((st = mem_new((void **)&name, room, 1, "a name", err)))
        return st;
    memcpy(name, l->folder, l->folder_length);
    memcpy(name + l->folder_length, r->file, strlen(r->file) + 1);
    item = find_item(l->to, name);
    st = item.file < 0
             ? fail(err, E_IO, "%s has no file %s", l->to->files.path, utf8_shown(shown, name))
             : add_entry(l->to, item, r, err);
    free(name);
    return st;
}

/* The letters of a name before its last part. */
static size_t folder_length(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? (size_t)(slash - name) + 1 : 0;
}

static int64_t depth_of(const char *name)
{
    int64_t depth = 0;

    for (; *name; name++)
        depth += *name == '/';
    return depth;
}

static bool is_list(const struct bundle_file *f)
{
    const char *last = f->name + folder_length(f->name);

    return !strcmp(last, captions_name) || !strcmp(last, metadata_name);
}

static enum status take_list(struct captioned *c, const char *text, uint64_t n, const char *path,
                             const char *name, struct error *err)
{
    struct list l = {c, name, folder_length(name)};

    return captions_from_list(text, n, path, take_line, &l, err);
}

static enum status read_list(struct captioned *c, int64_t i, struct error *err)
{
    const char *name = c->files.files[i].name;
    char *text = NULL, *path;
    uint64_t n;
    enum status st;

    if ((st = listing_path(&path, c->files.path, name, err)))
        return st;
    if (!(st = bundle_text(&text, &n, &c->files, i, CAPTION_LIST_BYTES, err)))
        st = take_list(c, text, n, path, name, err);
    free(text);
    free(path);
    return st;
}

/* The nearest lists; *any: whether there are some.  Those of one folder follow each other in the
 * order of names, and captions.jsonl comes first: it counts. */
static enum status read_lists(bool *any, struct captioned *c, struct error *err)
{
    const struct bundle_file *f = c->files.files, *before = NULL;
    int64_t nearest = INT64_MAX;

    for (int64_t i = 0; i < c->files.n; i++)
        if (is_list(&f[i]))
            nearest = whole_min(nearest, depth_of(f[i].name));
    *any = nearest < INT64_MAX;
    for (int64_t i = 0; i < c->files.n; i++) {
        size_t n = folder_length(f[i].name);
        enum status st;

        if (!is_list(&f[i]) || depth_of(f[i].name) != nearest ||
            (before && folder_length(before->name) == n && !memcmp(before->name, f[i].name, n)))
            continue;
        if ((st = read_list(c, i, err)))
            return st;
        before = &f[i];
    }
    return OK;
}

/* A list that lies elsewhere; its names are those of the set. */
static enum status read_list_beside(struct captioned *c, const char *path, struct error *err)
{
    uint8_t *text;
    uint64_t n;
    enum status st;

    if ((st = file_read(&text, &n, path, CAPTION_LIST_BYTES, err)))
        return st;
    st = take_list(c, (const char *)text, n, path, "", err);
    free(text);
    return st;
}

/* --- pairs --------------------------------------------------------------------------------------
 */

/* A picture whose text is being read. */
struct pair {
    struct captioned *to;
    struct item picture;
};

static enum status take_object(const struct caption_record *r, int64_t line, void *user,
                               struct error *err)
{
    const struct pair *p = user;

    (void)line;
    return add_entry(p->to, p->picture, r, err);
}

/* The text, file i of the set, of a picture. */
static enum status read_pair(struct pair *p, int64_t i, struct error *err)
{
    const struct bundle *b = &p->to->files;
    bool json = name_ends(b->files[i].name, ".json");
    struct caption_record r = {0};
    char *text = NULL, *path;
    uint64_t n;
    enum status st;

    if ((st = bundle_path(&path, b, i, err)))
        return st;
    if ((st = bundle_text(&text, &n, b, i, json ? CAPTION_RECORD_BYTES : CAPTION_FILE_BYTES, err)))
        goto out;
    if (json)
        st = caption_from_json(text, n, path, take_object, p, err);
    else if (!(st = caption_from_text(r.caption, text, n, path, err)))
        st = add_entry(p->to, p->picture, &r, err);
out:
    free(text);
    free(path);
    return st;
}

/* The number of the text whose name begins with the `stem` letters and goes on with its ending, or
 * -1. */
static enum status find_text(int64_t *out, const struct bundle *b, const char *picture, size_t stem,
                             struct error *err)
{
    static const char *const endings[] = {".txt", ".json"};
    char *name;
    enum status st;

    if ((st = mem_new((void **)&name, stem + 6, 1, "a name", err)))
        return st;
    memcpy(name, picture, stem);
    *out = -1;
    for (size_t k = 0; k < 2 && *out < 0; k++) {
        strcpy(name + stem, endings[k]);
        *out = bundle_find(b, name);
    }
    free(name);
    return OK;
}

/* The text of the folder that file i is a frame of, -1 where it is none: *first is the first
 * frame's number. */
static enum status find_folder_text(int64_t *text, int64_t *first, const struct captioned *c,
                                    int64_t i, struct error *err)
{
    const char *name = c->files.files[i].name;
    size_t folder = folder_length(name);
    enum status st;

    *text = -1;
    if (!c->frames || !folder || !picture_named(name))
        return OK;
    if (!(st = find_text(text, &c->files, name, folder - 1, err)) && *text >= 0)
        *first = clip_folder_find(&c->files, name, folder - 1);
    return st;
}

/* Take file i, if it is one of the pictures or clips; *text is then its text's number, or -1. */
static enum status take_file(bool *is_one, int64_t *text, struct captioned *c, int64_t i,
                             struct error *err)
{
    const char *name = c->files.files[i].name;
    struct pair p = {c, {i, false}};
    int64_t first = 0;
    enum status st;

    *is_one = picture_named(name) || (c->frames && clip_named(name));
    if (!*is_one)
        return OK;
    if ((st = find_folder_text(text, &first, c, i, err)))
        return st;
    if (*text >= 0) {
        p.picture.folder = true;
        *is_one = first == i; /* the others are frames of a clip that is taken by its first */
    } else if ((st = find_text(text, &c->files, name, (size_t)(strrchr(name, '.') - name), err))) {
        return st;
    }
    return *is_one && *text >= 0 ? read_pair(&p, *text, err) : OK;
}

static enum status nothing_there(const struct captioned *c, struct error *err)
{
    if (c->frames)
        return fail(err, E_IO,
                    "%s: no .webp, .png, .apng, .gif, .y4m, .mp4 or .webm clips, no folders of "
                    "frames, and no "
                    "list of captions",
                    c->files.path);
    return fail(err, E_IO, "%s: no .png, .jpg or .webp pictures, and no list of captions",
                c->files.path);
}

static enum status read_pairs(struct captioned *c, struct error *err)
{
    int64_t pictures = 0, without = 0, first = 0;
    char shown[UTF8_SHOWN];
    enum status st;

    for (int64_t i = 0; i < c->files.n; i++) {
        int64_t text = -1;
        bool is_one;

        if ((st = take_file(&is_one, &text, c, i, err)))
            return st;
        pictures += is_one;
        if (is_one && text < 0 && without++ == 0)
            first = i;
    }
    if (!pictures)
        return nothing_there(c, err);
    if (without)
        return fail(err, E_IO,
                    "%s: %" PRId64 " of %" PRId64 " %s have no caption, the first is %s: it stands "
                    "in a text of the same name, ending in .txt%s",
                    c->files.path, without, pictures, c->frames ? "clips" : "pictures",
                    utf8_shown(shown, c->files.files[first].name),
                    c->frames ? " (of a folder of frames: beside the folder)" : "");
    return OK;
}

/* --- classes ------------------------------------------------------------------------------------
 */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int64_t unique(const char **names, int64_t n)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++)
        if (!kept || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    return kept;
}

/* Groups, in the order of their bytes, are the classes, as subfolders are those of a folder. */
static enum status name_groups(struct dataset *d, struct captioned *c, struct error *err)
{
    const char **names = NULL;
    int64_t n = 0;
    enum status st;

    if ((st = mem_new((void **)&names, (uint64_t)c->n, sizeof *names, "names of groups", err)))
        return st;
    for (int64_t i = 0; i < c->n; i++)
        if (c->entries[i].group)
            names[n++] = c->texts.data + c->entries[i].group;
    if (!n)
        goto out;
    qsort((void *)names, (size_t)n, sizeof *names, by_bytes);
    n = unique(names, n);
    if (n > INT32_MAX) {
        st = fail(err, E_UNSUPPORTED, "%s: more than %d groups", c->files.path, INT32_MAX);
        goto out;
    }
    for (int64_t i = 0; i < c->n; i++) {
        const char *group = c->texts.data + c->entries[i].group;

        if (c->entries[i].group)
            c->entries[i].label =
                (int32_t)((const char **)bsearch((const void *)&group, (const void *)names,
                                                 (size_t)n, sizeof *names, by_bytes) -
                          names);
    }
    st = dataset_name_classes(d, n, names, err);
out:
    free((void *)names);
    return st;
}

/* --- the set ------------------------------------------------------------------------------------
 */

static enum status read_picture(struct clip *out, int64_t i, const void *user, struct error *err)
{
    const struct captioned *c = user;
    const struct entry *e = &c->entries[i];
    struct image im;
    enum status st;

    if (c->frames)
        return clip_files_read(out, &c->files, e->file, e->folder, c->frames, err);
    if (!(st = bundle_picture(&im, &c->files, e->file, err)))
        *out = clip_of_image(&im);
    return st;
}

static enum status read_texts(struct captioned *c, const char *labels, struct error *err)
{
    bool any = true;
    size_t empty;
    enum status st;

    text_init(&c->texts, NULL, 0);
    if ((st = keep_text(&empty, c, "", err)) ||
        (st = labels && *labels ? read_list_beside(c, labels, err) : read_lists(&any, c, err)))
        return st;
    return any ? OK : read_pairs(c, err);
}

static enum status captioned_open(struct dataset *d, const struct dataset_config *config,
                                  struct error *err)
{
    struct captioned *c;
    enum status st;

    if (!config->path || !*config->path)
        return fail(err, E_ARG, "captioned: no path is given");
    if (!config->size)
        return fail(err, E_ARG, "captioned: %s holds pictures of any size; a size must be given",
                    config->path);
    if ((st = mem_new(&d->impl, 1, sizeof *c, "a set of captioned pictures", err)))
        return st;
    c = d->impl;
    c->frames = d->frames = config->frames;
    c->rates = config->rates;
    if ((st = bundle_open(&c->files, config->path, err)) ||
        (st = read_texts(c, config->labels, err)))
        return st;
    d->count = c->n;
    d->height = d->width = config->size;
    d->channels = config->channels ? config->channels : 3;
    d->flips = true;
    if ((st = kept_init(&c->kept, d, config->background, read_picture, c, err)))
        return st;
    return name_groups(d, c, err);
}

static void captioned_close(struct dataset *d)
{
    struct captioned *c = d->impl;

    kept_release(&c->kept);
    free(c->entries);
    text_release(&c->texts);
    bundle_release(&c->files);
    free(c);
}

static enum status captioned_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                                 char caption[CAPTION_TEXT], struct error *err)
{
    const struct captioned *c = d->impl;

    const char *text = c->texts.data + c->entries[i].caption;
    double rate = 0;
    enum status st = kept_get(&c->kept, pixels, &rate, i, err);
    int n = 0;

    *label = c->entries[i].label;
    if (c->rates && c->frames > 1 && rate > 0 && *text)
        n = snprintf(caption, CAPTION_TEXT, "FPS-%.0f ", rate);
    snprintf(caption + n, (size_t)(CAPTION_TEXT - n), "%.*s", CAPTION_TEXT - 1 - n, text);
    return st;
}

static const char *captioned_name_of(const struct dataset *d, int64_t i)
{
    const struct captioned *c = d->impl;

    return c->files.files[c->entries[i].file].name;
}

const struct dataset_format dataset_captioned = {
    .name = "captioned",
    .summary =
        "pictures or clips with a text each: a.png and a.txt, or captions.jsonl; a folder or a "
        ".tar",
    .open = captioned_open,
    .close = captioned_close,
    .get = captioned_get,
    .name_of = captioned_name_of,
};
