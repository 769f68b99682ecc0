/*
 * skip_flags.c - skip-layer guidance, by flags in the place of numbers
 *
 * The library knows it by four of its many numbers, guidance.skip and the like.  People know it by
 * the flags that other programs have, so here they are; a recipe holds the numbers.
 */
#include "skip_flags.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const flags[SKIP_FLAGS] = {"skip_layers", "skip_scale", "skip_start",
                                              "skip_stop"};
static const char *const keys[SKIP_FLAGS] = {"guidance.skip_layers", "guidance.skip",
                                             "guidance.skip_start", "guidance.skip_stop"};
enum { LAYERS, SCALE };

static const char usual_scale[] = "2.5";

static bool says(const char *number, const char *key)
{
    size_t n = strlen(key);

    return !strncmp(number, key, n) && number[n + strspn(number + n, " \t")] == '=';
}

/* In the place of the same, or behind all; false: no room. */
static bool put(struct skip_numbers *room, int *n, const char *number, const char *key)
{
    int i = 0;

    while (i < *n && !says(room->at[i], key))
        i++;
    if (i == SKIP_NUMBERS)
        return false;
    room->at[i] = number;
    *n = i == *n ? i + 1 : *n;
    return true;
}

/* "guidance.skip_layers=7,8,9"; false: longer than the room. */
static bool write_layers(char *out, size_t room, const struct imgen_int_list *l)
{
    int at = snprintf(out, room, "%s=", keys[LAYERS]);

    for (int i = 0; i < l->n && (size_t)at < room; i++)
        at += snprintf(out + at, room - (size_t)at, "%s%" PRId64, i ? "," : "", l->at[i]);
    return (size_t)at < room;
}

int skip_flags_apply(const struct command *c, const bool *given, const struct skip_flags *f,
                     struct skip_numbers *room, struct imgen_request *r)
{
    const double value[SKIP_FLAGS] = {0, f->scale, f->start, f->stop};
    bool any = false, scaled = false, fits = r->n_numbers <= SKIP_NUMBERS;
    int n = r->n_numbers;

    for (int k = 0; k < SKIP_FLAGS; k++)
        any |= command_given(c, given, flags[k]);
    if (!any)
        return EXIT_DONE;
    for (int i = 0; i < n && fits; i++)
        room->at[i] = r->numbers[i];
    for (int i = 0; i < n && fits; i++)
        scaled |= says(room->at[i], keys[SCALE]);
    for (int k = 0; k < SKIP_FLAGS && fits; k++) {
        bool typed = command_given(c, given, flags[k]);

        if (!typed && (k != SCALE || scaled))
            continue;
        if (k == LAYERS && !write_layers(room->text[k], sizeof room->text[k], &f->layers))
            return command_misused(c, "--skip-layers: %d blocks are too many", f->layers.n);
        if (k != LAYERS && typed)
            snprintf(room->text[k], sizeof room->text[k], "%s=%.15g", keys[k], value[k]);
        else if (k != LAYERS)
            snprintf(room->text[k], sizeof room->text[k], "%s=%s", keys[k], usual_scale);
        fits = put(room, &n, room->text[k], keys[k]);
    }
    if (!fits)
        return command_misused(c, "more than %d numbers", SKIP_NUMBERS);
    r->numbers = room->at;
    r->n_numbers = n;
    return EXIT_DONE;
}
