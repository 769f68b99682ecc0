/*
 * byte_text.c - a small transformer that reads a text by its bytes
 *
 * Published models read captions through text encoders that were trained on hundreds of millions of
 * pictures.  Where a few thousand captions are made of a few dozen words, a network of two or four
 * layers learns to read them beside learning to draw, from the same loss.  Bytes need no
 * vocabulary: every text in every language is one, and a word that was never seen is still read as
 * letters.
 *
 *     number -> vector + place -> [ + attention(norm) -> + feed-forward(norm) ] x depth -> norm
 *
 * Every place looks at every other, ahead and back, for a caption is read as a whole.  It begins
 * with a mark, of which the last state stands for the whole (Devlin et al. 2018, section 3.1), and
 * which an empty text has too, so that there is always something to look at.  Norms stand in front
 * of the branches, which learns without a warm-up (Xiong et al. 2020).
 */
#include "model/byte_text.h"

#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"

#include <inttypes.h>
#include <string.h>

enum { FEED_FORWARD = 4 }; /* hidden features over the width */

/* --- texts to numbers ---------------------------------------------------------------------------
 */

int64_t byte_text_size(const char *text)
{
    return 1 + (int64_t)strlen(text);
}

int64_t byte_text_fits(const char *text, int64_t length)
{
    int64_t n = (int64_t)strlen(text);

    if (n < length)
        return n;
    /* Bytes 10xxxxxx go on with a character. */
    for (n = length - 1; n > 0 && ((uint8_t)text[n] & 0xC0) == 0x80; n--)
        ;
    return n;
}

void byte_text_read(int32_t *out, int64_t length, const char *text)
{
    int64_t n = byte_text_fits(text, length);

    memset(out, 0, (size_t)length * sizeof *out);
    out[0] = BYTE_TEXT_BEGIN;
    for (int64_t i = 0; i < n; i++)
        out[1 + i] = 1 + (uint8_t)text[i];
}

/* --- the network --------------------------------------------------------------------------------
 */

/* A text is a picture of one row. */
static void near_declare(struct conv *c, struct scope s, int64_t D, int64_t kernel)
{
    c->weight =
        params_add(s, "weight", SHAPE(D, 1, kernel, D), (struct init){.kind = INIT_KAIMING});
    c->bias = params_add(s, "bias", SHAPE(D), (struct init){.kind = INIT_ZERO});
    c->geometry = (struct conv_geometry){.stride = 1, .left = kernel / 2, .right = kernel / 2};
}

void byte_text_declare(struct byte_text *b, const struct byte_text_config *c, struct scope s)
{
    const struct init draw = {.kind = INIT_NORMAL, .std = 0.02};
    int64_t D = c->width;

    b->is = *c;
    b->numbers = params_add(s, "token_embedding.weight", SHAPE(BYTE_TEXT_NUMBERS, D), draw);
    b->places = params_add(s, "position_embedding", SHAPE(1, c->length, D), draw);
    for (int64_t i = 0; i < c->depth; i++) {
        struct scope at = scope_in(s, "blocks.%d", (int)i);
        struct byte_text_block *k = &b->block[i];

        if (c->kernel > 1) {
            layer_norm_init(&k->norm0, scope_in(at, "norm0"), D, DIT_EPS);
            near_declare(&k->near, scope_in(at, "conv"), D, c->kernel);
        }
        layer_norm_init(&k->norm1, scope_in(at, "norm1"), D, DIT_EPS);
        linear_init(&k->qkv, scope_in(at, "attn.qkv"), D, 3 * D, INIT_XAVIER);
        linear_init(&k->proj, scope_in(at, "attn.proj"), D, D, INIT_XAVIER);
        layer_norm_init(&k->norm2, scope_in(at, "norm2"), D, DIT_EPS);
        dit_mlp_declare(&k->mlp, scope_in(at, "mlp"), D, FEED_FORWARD * D, false);
    }
    layer_norm_init(&b->last, scope_in(s, "final_norm"), D, DIT_EPS);
}

/* What stands a few bytes to either side, added. */
static struct tensor *look_near(struct graph *g, const struct byte_text_block *b, struct tensor *x)
{
    struct shape s = x->shape;
    struct tensor *h = nn_layer_norm(g, &b->norm0, x);

    h = nn_conv(g, &b->near, op_reshape(g, h, SHAPE(s.dim[0], 1, s.dim[1], s.dim[2])));
    return op_add(g, x, op_reshape(g, h, s));
}

static struct tensor *block_forward(struct graph *g, const struct byte_text_block *b, int64_t heads,
                                    struct tensor *x, struct tensor *ids)
{
    struct tensor *h;

    if (b->near.weight)
        x = look_near(g, b, x);
    h = nn_linear(g, &b->qkv, nn_layer_norm(g, &b->norm1, x));
    h = op_attention_masked(g, h, ids, heads, QKV_SPLIT);
    x = op_add(g, x, nn_linear(g, &b->proj, h));
    return op_add(g, x, dit_mlp_forward(g, &b->mlp, nn_layer_norm(g, &b->norm2, x)));
}

struct tensor *byte_text_forward(struct graph *g, const struct byte_text *b, struct tensor *ids,
                                 struct tensor **whole)
{
    int64_t N = ids->shape.dim[0], L = b->is.length, D = b->is.width;
    struct tensor *x;

    MUST(ids->shape.dim[1] == L, "texts of %" PRId64 " numbers, and %" PRId64 " are read",
         ids->shape.dim[1], L);
    x = op_embedding(g, nn_param(g, b->numbers), ids);
    x = op_add_vec(g, x, nn_param(g, b->places));
    for (int64_t i = 0; i < b->is.depth; i++)
        x = block_forward(g, &b->block[i], b->is.heads, x, ids);
    x = nn_layer_norm(g, &b->last, x);
    *whole = op_slice(g, op_reshape(g, x, SHAPE(N, L * D)), 0, D);
    return x;
}
