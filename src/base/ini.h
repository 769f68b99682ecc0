/*
 * ini.h - configuration files
 *
 *     ; a comment, also behind a value when a blank stands before it
 *     [train]
 *     batch = 32          ; the key is "train.batch"
 *
 * One setting a line, indented or not; `key: value` is the same.  A line has at most 197 letters, a
 * file at most 1 MiB and 1024 settings.  A key that comes twice, also spelled with '-' for '_', is
 * an error, for one of the two is not what the writer believes it is.
 */
#ifndef IMGEN_BASE_INI_H
#define IMGEN_BASE_INI_H

#include "base/error.h"

#include <stddef.h>

enum { INI_FILE_MAX = 1 << 20, INI_SETTINGS_MAX = 1024 };

/* Takes one setting, in the order of the file; key is "section.key", or "key" before any section.
 * Both texts live until it returns.  A failure stops the reading, with file and line put before its
 * sentence. */
typedef enum status ini_setting(const char *key, const char *value, struct error *err, void *arg);

/* Read a file.  E_IO when it cannot be read, E_FORMAT when it is no INI file or breaks a limit,
 * else what `setting` returned.  Settings before the faulty line have been handed over. */
enum status ini_read(const char *path, ini_setting *setting, void *arg, struct error *err);

/* The same from memory; name stands for the path in sentences. */
enum status ini_read_text(const char *name, const char *text, size_t bytes, ini_setting *setting,
                          void *arg, struct error *err);

#endif
