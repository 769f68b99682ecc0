/*
 * networks.h - networks from settings as a person would type them, and whether their gradients are
 * slopes
 */
#ifndef IMGEN_TEST_SUPPORT_NETWORKS_H
#define IMGEN_TEST_SUPPORT_NETWORKS_H

#include "model/network.h"

/* "name=value" rows of the kind's section, up to NULL, into a configuration and on to the network;
 * memory: with parameters and gradients, else declared only. */
enum status network_of(struct network **out, const char *kind, const char *const *settings,
                       bool memory, struct error *err);

/* The same; fails the test where it is refused. */
struct network *network_must(const char *kind, const char *const *settings, bool memory);

/* Values by the init rules and noise on them: what starts at zero would hide what lies behind. */
void network_fill(struct network *net, uint64_t seed);

/* A loss of the network as its parameters are; gradients: leave them in the parameters' own. */
typedef double network_loss(struct network *net, bool gradients, void *user);

/* d loss along a random direction of all parameters: from the gradients, and from values `step` and
 * half of it away on both sides.  within: of the gradient's length.  1e-3 and 4e-3 serve smooth
 * networks. */
void check_slope(const char *name, struct network *net, network_loss *loss, void *user,
                 uint64_t seed, double step, double within);

#endif
