/*
 * json_out.h - writing JSON to a stream, value by value
 *
 *     struct json_out j;
 *
 *     json_out_begin(&j, stdout);
 *     json_out_open(&j, NULL, '{');
 *     json_out_text(&j, "path", path);
 *     json_out_open(&j, "shape", '[');
 *     json_out_int(&j, NULL, 3);
 *     json_out_close(&j);
 *     json_out_close(&j);
 *
 * A key is given inside objects and NULL inside arrays and at the top.
 */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 16 };

struct json_out {
    FILE *to;
    int depth;
    bool filled[JSON_DEPTH]; /* something stands at this depth already */
    char closing[JSON_DEPTH];
};

void json_out_begin(struct json_out *j, FILE *to);
void json_out_open(struct json_out *j, const char *key, char bracket); /* '{' or '[' */
void json_out_close(struct json_out *j); /* the outermost ends the line */
/* NULL is written as null; bytes that are no UTF-8 as U+FFFD. */
void json_out_text(struct json_out *j, const char *key, const char *value);
void json_out_int(struct json_out *j, const char *key, int64_t value);
void json_out_seed(struct json_out *j, const char *key, uint64_t value);
/* The shortest decimal that reads back the same; null when not finite. */
void json_out_real(struct json_out *j, const char *key, double value);
void json_out_bool(struct json_out *j, const char *key, bool value);
void json_out_null(struct json_out *j, const char *key);
/* A value that is JSON already and known to be well formed. */
void json_out_raw(struct json_out *j, const char *key, const char *json);

#endif
