/*
 * model_config.h - from the configuration a fixture carries to a network
 */
#ifndef IMGEN_PARITY_MODEL_CONFIG_H
#define IMGEN_PARITY_MODEL_CONFIG_H

#include "model/network.h"

#include <jansson.h>

/* Build the network of a fixture's `config` metadata; kind is the fixture's: "dit", "unet_adm"
 * and so on.  Parameters are allocated, with gradients when asked, and not filled.
 * E_FORMAT for another kind, E_FORMAT and E_ARG for a configuration that cannot be. */
enum status model_from_config(struct network **out, const char *kind, const json_t *config,
                              bool gradients, struct error *err);

/* How the fixtures of this kind call the parameters. */
const struct params_naming *model_naming(const char *kind);

/* A transformer that is nothing but its tables: grid x grid patches of one pixel, `width` features,
 * one head; filled by its init rules.  For comparing position tables. */
enum status model_of_tables(struct network **out, int64_t width, int64_t grid, bool rotary,
                            struct error *err);

#endif
