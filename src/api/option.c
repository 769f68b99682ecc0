/*
 * option.c - the table of options, lent to programs
 *
 * The public rows are the library's own rows under public names.  Copying them member by member
 * would be a second description of the same thing, so the two structs share one layout, which the
 * compiler checks below, and the pointer is simply handed on.
 */
#include "base/option.h"

#include "imgen.h"

#include <string.h>

#define SAME(a, b, member) \
    _Static_assert(offsetof(struct a, member) == offsetof(struct b, member), #member " moved")
SAME(option, imgen_option, help);
SAME(option, imgen_option, type);
SAME(option, imgen_option, offset);
SAME(option, imgen_option, fallback);
SAME(option, imgen_option, lo);
SAME(option, imgen_option, hi);
SAME(option, imgen_option, choices);
SAME(option, imgen_option, choice);
SAME(option, imgen_option, letter);
SAME(option, imgen_option, value);
SAME(option_command, imgen_command, usage);
SAME(option_command, imgen_command, summary);
SAME(option_command, imgen_command, rows);
SAME(int_list, imgen_int_list, n);
SAME(real_list, imgen_real_list, n);
SAME(text_list, imgen_text_list, n);
_Static_assert(sizeof(struct option) == sizeof(struct imgen_option), "an option grew");
_Static_assert(sizeof(struct option_command) == sizeof(struct imgen_command), "a command grew");
_Static_assert((int)OPTION_TEXTS == (int)IMGEN_OPTION_TEXTS, "a type of option is missing");
_Static_assert(sizeof(struct error) == sizeof(struct imgen_error), "an error grew");

static struct option_group flags_of(const struct imgen_option *rows, void *config, bool *given)
{
    return (struct option_group){"", (const struct option *)rows, config, given};
}

enum imgen_status imgen_options_read(const struct imgen_option *rows, void *config, bool *given,
                                     int argc, char **argv, int *n_words, struct imgen_error *err)
{
    struct option_group group = flags_of(rows, config, NULL);
    struct option_set set = {&group, 1};
    enum status st;

    *n_words = 0;
    if ((st = options_default(&set, (struct error *)err)))
        return (enum imgen_status)st;
    group.given = given; /* a default is not given */
    return (enum imgen_status)options_flags(&set, argc, argv, n_words, (struct error *)err);
}

void imgen_options_release(const struct imgen_option *rows, void *config)
{
    struct option_group group = flags_of(rows, config, NULL);

    options_release(&(struct option_set){&group, 1});
}

enum imgen_status imgen_options_document(char **out, const char *kind, const char *program,
                                         const char *sentence, const struct imgen_command *commands,
                                         int n, struct imgen_error *err)
{
    const struct option_command *c = (const struct option_command *)commands;
    struct text text;
    enum status st = OK;

    text_init(&text, NULL, 0);
    if (strcmp(kind, "help") == 0) {
        struct option_group group = flags_of(commands[0].rows, NULL, NULL);

        options_help(&(struct option_set){&group, 1}, &text);
    } else if (strcmp(kind, "man") == 0) {
        options_man(program, IMGEN_VERSION, sentence, c, n, &text);
    } else {
        st = options_completion(kind, program, c, n, &text, (struct error *)err);
    }
    *out = st ? NULL : text_take(&text);
    text_release(&text);
    if (!st && !*out)
        st = fail((struct error *)err, E_MEMORY, "no memory for the %s of %s", kind, program);
    return (enum imgen_status)st;
}

const char *imgen_nearest(const char *word, const char *const *names, int n)
{
    return text_nearest(word, names, n);
}
