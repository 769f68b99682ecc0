/*
 * option_doc.c - the table of options, told to people and to shells
 *
 * Help, man page and completion are the same rows in three notations, and each notation has its own
 * letters that must be escaped: troff a leading dot and every backslash and dash, the shells
 * quotes, zsh also brackets and colons.  Every text of a row passes through the one escape of its
 * notation.
 *
 * Help is set in two columns and broken at 96 letters, in bytes: the rows are English.
 */
#include "base/option.h"

#include <ctype.h>
#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 96, PLACE_ROOM = 160, NOTE_ROOM = 1024 };

/* ---- What all notations share ---- */

static const char *value_name(const struct option *row)
{
    if (row->value)
        return row->value;
    switch (row->type) {
    case OPTION_INT:
    case OPTION_SEED:
        return "N";
    case OPTION_REAL:
        return "X";
    case OPTION_CHOICE:
        return "NAME";
    case OPTION_INTS:
        return "N,N,...";
    case OPTION_REALS:
        return "X,X,...";
    case OPTION_TEXT:
    case OPTION_TEXTS:
        return "TEXT";
    case OPTION_BOOL:
        break;
    }
    return "";
}

/* "learning_rate" is typed "--learning-rate". */
static void add_dashed(struct text *out, const char *name)
{
    for (; *name; name++)
        text_add(out, "%c", *name == '_' ? '-' : *name);
}

/* "how many pictures [1..64, default 1]" */
static void add_note(struct text *out, const struct option *row)
{
    bool tells_default = row->fallback && *row->fallback &&
                         (row->type != OPTION_BOOL || strcmp(row->fallback, "true") == 0);
    size_t before;

    text_add(out, "%s [", row->help);
    before = out->used;
    option_range(row, out);
    if (tells_default)
        text_add(out, "%sdefault %s", out->used > before ? "; " : "", row->fallback);
    if (out->used > before) {
        text_add(out, "]");
    } else {
        out->used -= 2;
        out->data[out->used] = '\0';
    }
}

/* ---- Help ---- */

/* "  -n, --batch-count N" or "  train.batch N" */
static void add_place(struct text *out, const char *section, const struct option *row)
{
    if (*section) {
        text_add(out, "  %s.%s", section, row->name);
    } else {
        if (row->letter)
            text_add(out, "  -%c, --", row->letter);
        else
            text_add(out, "      --");
        add_dashed(out, row->name);
    }
    text_add(out, "%s%s", *value_name(row) ? " " : "", value_name(row));
}

/* The words of note from HELP_COLUMN on, broken between words. */
static void add_column(struct text *out, size_t column, const char *note)
{
    while (*note) {
        size_t n = strcspn(note, " ");

        if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
            text_add(out, "\n");
            column = 0;
        }
        if (column < HELP_COLUMN)
            text_add(out, "%*s", (int)(HELP_COLUMN - column), "");
        else if (column > HELP_COLUMN)
            text_add(out, " ");
        column = (column < HELP_COLUMN ? HELP_COLUMN : column + (column > HELP_COLUMN)) + n;
        text_add_bytes(out, note, n);
        note += n + strspn(note + n, " ");
    }
    text_add(out, "\n");
}

void options_help(const struct option_set *set, struct text *out)
{
    for (int i = 0; i < set->n; i++)
        for (const struct option *row = set->groups[i].rows; row && row->name; row++) {
            char place_room[PLACE_ROOM], note_room[NOTE_ROOM];
            struct text place, note;

            text_init(&place, place_room, sizeof place_room);
            text_init(&note, note_room, sizeof note_room);
            add_place(&place, set->groups[i].section, row);
            add_note(&note, row);
            text_add(out, "%s", place.data);
            if (place.used + 2 > HELP_COLUMN)
                text_add(out, "\n");
            add_column(out, place.used + 2 > HELP_COLUMN ? 0 : place.used, note.data);
        }
}

/* ---- The man page ---- */

static void add_troff(struct text *out, const char *s)
{
    if (*s == '.' || *s == '\'')
        text_add(out, "\\&");
    for (; *s; s++) {
        if (*s == '\\')
            text_add(out, "\\e");
        else if (*s == '-')
            text_add(out, "\\-");
        else
            text_add_bytes(out, s, 1);
    }
}

static void add_man_row(struct text *out, const struct option *row)
{
    char room[NOTE_ROOM];
    struct text note;

    text_add(out, ".TP\n");
    if (row->letter)
        text_add(out, "\\fB\\-%c\\fR, ", row->letter);
    text_add(out, "\\fB\\-\\-");
    for (const char *c = row->name; *c; c++)
        text_add(out, "%s", strchr("-_", *c) ? "\\-" : (char[]){*c, '\0'});
    text_add(out, "\\fR");
    if (*value_name(row))
        text_add(out, " \\fI%s\\fR", value_name(row));
    text_add(out, "\n");
    text_init(&note, room, sizeof room);
    add_note(&note, row);
    add_troff(out, note.data);
    text_add(out, "\n");
}

void options_man(const char *program, const char *version, const char *sentence,
                 const struct option_command *commands, int n, struct text *out)
{
    text_add(out, ".TH ");
    for (const char *c = program; *c; c++)
        text_add(out, "%c", toupper((unsigned char)*c));
    text_add(out, " 1 \"\" \"%s %s\" \"User Commands\"\n.SH NAME\n%s \\- ", program, version,
             program);
    add_troff(out, sentence);
    text_add(out, "\n.SH SYNOPSIS\n");
    for (int i = 0; i < n; i++) {
        text_add(out, "%s.B %s %s\n", i ? ".br\n" : "", program, commands[i].name);
        add_troff(out, commands[i].usage);
        text_add(out, "\n");
    }
    text_add(out, ".SH COMMANDS\n");
    for (int i = 0; i < n; i++) {
        text_add(out, ".SS %s\n", commands[i].name);
        add_troff(out, commands[i].summary);
        text_add(out, "\n");
        for (const struct option *row = commands[i].rows; row && row->name; row++)
            add_man_row(out, row);
    }
    text_add(out, ".SH EXIT STATUS\n0 done, 1 failed, 2 misused, 130 interrupted.\n");
}

/* ---- Completion ---- */

/* s for a place between single quotes, less the letters in `never`, which the notation cannot hold.
 */
static void add_quoted(struct text *out, const char *s, const char *never)
{
    for (; *s; s++)
        if (*s == '\'')
            text_add(out, "'\\''");
        else if (!strchr(never, *s))
            text_add_bytes(out, s, 1);
}

static void add_choices(struct text *out, const struct option *row)
{
    for (int i = 0; option_choice(row, i); i++)
        text_add(out, "%s%s", i ? " " : "", option_choice(row, i));
}

static void add_bash_command(struct text *out, const struct option_command *command)
{
    text_add(out, "    %s)\n        flags='", command->name);
    for (const struct option *row = command->rows; row && row->name; row++) {
        text_add(out, "--");
        add_dashed(out, row->name);
        text_add(out, " ");
    }
    text_add(out, "'\n        case $before in\n");
    for (const struct option *row = command->rows; row && row->name; row++) {
        if (row->type != OPTION_CHOICE)
            continue;
        text_add(out, "        --");
        add_dashed(out, row->name);
        if (row->letter)
            text_add(out, " | -%c", row->letter);
        text_add(out, ") values='");
        add_choices(out, row);
        text_add(out, "' ;;\n");
    }
    text_add(out, "        esac ;;\n");
}

static void add_bash(struct text *out, const char *program, const struct option_command *commands,
                     int n)
{
    text_add(out,
             "# bash completion of %s\n_%s()\n{\n"
             "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
             "    local flags='' values='' commands='",
             program, program);
    for (int i = 0; i < n; i++)
        text_add(out, "%s%s", i ? " " : "", commands[i].name);
    text_add(out, "'\n    if ((COMP_CWORD == 1)); then\n"
                  "        COMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
                  "        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (int i = 0; i < n; i++)
        add_bash_command(out, &commands[i]);
    text_add(out,
             "    esac\n"
             "    if [[ -n $values ]]; then\n"
             "        COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
             "    elif [[ $word == -* ]]; then\n"
             "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
             "    else\n"
             "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
             "    fi\n}\ncomplete -o filenames -F _%s %s\n",
             program, program);
}

/* '(-n --batch-count)'{-n,--batch-count}'[help]:N:' as _arguments reads it. */
static void add_zsh_row(struct text *out, const struct option *row)
{
    text_add(out, " \\\n            ");
    if (row->letter) {
        text_add(out, "'(-%c --", row->letter);
        add_dashed(out, row->name);
        text_add(out, ")'{-%c,--", row->letter);
        add_dashed(out, row->name);
        text_add(out, "}'[");
    } else {
        text_add(out, "'--");
        add_dashed(out, row->name);
        text_add(out, "[");
    }
    add_quoted(out, row->help, "[]:");
    text_add(out, "]");
    if (row->type != OPTION_BOOL) {
        text_add(out, ":");
        add_quoted(out, value_name(row), "[]:");
        text_add(out, ":");
    }
    if (row->type == OPTION_CHOICE) {
        text_add(out, "(");
        add_choices(out, row);
        text_add(out, ")");
    } else if (row->type == OPTION_TEXT) {
        text_add(out, "_files");
    }
    text_add(out, "'");
}

static void add_zsh(struct text *out, const char *program, const struct option_command *commands,
                    int n)
{
    text_add(out,
             "#compdef %s\n_%s()\n{\n    local -a commands\n"
             "    if ((CURRENT == 2)); then\n        commands=(",
             program, program);
    for (int i = 0; i < n; i++) {
        text_add(out, "\n            '%s:", commands[i].name);
        add_quoted(out, commands[i].summary, ":");
        text_add(out, "'");
    }
    text_add(out, ")\n        _describe command commands\n        return\n    fi\n"
                  "    case $words[2] in\n");
    for (int i = 0; i < n; i++) {
        text_add(out, "    %s)\n        shift words\n        ((CURRENT--))\n        _arguments",
                 commands[i].name);
        for (const struct option *row = commands[i].rows; row && row->name; row++)
            add_zsh_row(out, row);
        text_add(out, " \\\n            '*:file:_files' ;;\n");
    }
    text_add(out, "    esac\n}\n_%s \"$@\"\n", program);
}

static void add_fish(struct text *out, const char *program, const struct option_command *commands,
                     int n)
{
    text_add(out, "# fish completion of %s\n", program);
    for (int i = 0; i < n; i++) {
        text_add(out, "complete -c %s -n __fish_use_subcommand -a %s -d '", program,
                 commands[i].name);
        add_quoted(out, commands[i].summary, "");
        text_add(out, "'\n");
        for (const struct option *row = commands[i].rows; row && row->name; row++) {
            text_add(out, "complete -c %s -n '__fish_seen_subcommand_from %s' -l ", program,
                     commands[i].name);
            add_dashed(out, row->name);
            if (row->letter)
                text_add(out, " -s %c", row->letter);
            if (row->type == OPTION_CHOICE) {
                text_add(out, " -x -a '");
                add_choices(out, row);
                text_add(out, "'");
            } else if (row->type != OPTION_BOOL) {
                text_add(out, " -r");
            }
            text_add(out, " -d '");
            add_quoted(out, row->help, "");
            text_add(out, "'\n");
        }
    }
}

enum status options_completion(const char *shell, const char *program,
                               const struct option_command *commands, int n, struct text *out,
                               struct error *err)
{
    if (strcmp(shell, "bash") == 0)
        add_bash(out, program, commands, n);
    else if (strcmp(shell, "zsh") == 0)
        add_zsh(out, program, commands, n);
    else if (strcmp(shell, "fish") == 0)
        add_fish(out, program, commands, n);
    else
        return fail(err, E_ARG, "no completion for '%.60s'; there is bash, zsh and fish", shell);
    return OK;
}
