/*
 * unet_parts.c - the walk that all U-Nets share, and its first half
 *
 * A generator has an encoder, a middle and a decoder; a classifier has the first two and a head.
 * The three styles of blocks differ in what a step computes and in how files call it, not in the
 * order of the steps: so the order stands here once, and a step asks its style.
 *
 * ADM's files count modules: input_blocks.I.M and output_blocks.I.M, M being the place of a module
 * inside its entry (residual block, attention, resampling), so that a step up belongs to the entry
 * of the block before it.  EDM's files say what a block is: enc.16x16_block1, dec.32x32_up.
 */
#include "model/unet_parts.h"

#include "ops/resample.h"

#include <inttypes.h>
#include <stdio.h>

/* --- sizes --------------------------------------------------------------------------------------
 */

int64_t unet_level_channels(const struct unet_config *c, int level)
{
    return (int64_t)((double)c->width * c->mult.at[level]);
}

bool unet_attends(const struct unet_config *c, int64_t reduction)
{
    for (int i = 0; i < c->attention.n; i++)
        if (c->attention.at[i] == reduction)
            return true;
    return false;
}

int64_t unet_heads(const struct unet_config *c, int64_t channels)
{
    return c->head_channels ? channels / c->head_channels : c->heads;
}

/* DDPM++ never has fewer than four channels in a group. */
int64_t unet_groups(const struct unet_config *c, int64_t channels)
{
    int64_t most = channels / 4;

    return c->style == UNET_DDPMPP && most < c->groups ? most : c->groups;
}

int64_t unet_labels(const struct unet_config *c)
{
    return c->classes + (c->classes && c->null_class);
}

int64_t unet_out_channels(const struct unet_config *c)
{
    return c->out_channels ? c->out_channels : c->channels;
}

/* Norms see the channels of a level and, in the decoder, those joined with what the encoder had:
 * of the same level, or of the one before it, or, in DDPM++, of the first convolution. */
static enum status check_groups(const char *kind, const struct unet_config *c, int level,
                                struct error *err)
{
    int64_t ch = unet_level_channels(c, level);
    int64_t first = c->style == UNET_DDPMPP ? c->width : ch;
    int64_t before = level ? unet_level_channels(c, level - 1) : first;
    int64_t after = level + 1 < c->mult.n ? unet_level_channels(c, level + 1) : ch;
    int64_t seen[] = {ch, before, ch + ch, ch + before, ch + after};

    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        int64_t groups = unet_groups(c, seen[i]);

        if (groups < 1 || seen[i] % groups)
            return fail(err, E_ARG,
                        "%s.mult: level %d has norms of %" PRId64
                        " channels, not a multiple of %" PRId64 " groups",
                        kind, level, seen[i], groups);
    }
    return OK;
}

static enum status check_level(const char *kind, const struct unet_config *c, int level,
                               struct error *err)
{
    int64_t ch = unet_level_channels(c, level), heads = unet_heads(c, ch);
    bool attention = unet_attends(c, (int64_t)1 << level) || level == c->mult.n - 1;

    if (ch < 1 || ch > UNET_CHANNELS_MAX)
        return fail(err, E_ARG, "%s.mult: level %d has %" PRId64 " channels, not 1 to %d", kind,
                    level, ch, UNET_CHANNELS_MAX);
    if (attention && (heads < 1 || ch % heads || (c->head_channels && ch % c->head_channels)))
        return fail(err, E_ARG,
                    "%s.heads: %" PRId64 " channels of level %d do not divide into heads", kind, ch,
                    level);
    return c->style == UNET_EDM2 ? OK : check_groups(kind, c, level, err);
}

/* What only some styles have. */
static enum status check_style(const char *kind, const struct unet_config *c, struct error *err)
{
    if (c->style != UNET_ADM && !c->residual_resample)
        return fail(err, E_ARG, "%s.residual_resample: only blocks of style adm may go without it",
                    kind);
    if (c->style != UNET_ADM && c->context_width)
        return fail(err, E_ARG, "%s.context_width: only blocks of style adm attend to a sequence",
                    kind);
    if (c->label_token && !(c->classes && c->context_width))
        return fail(err, E_ARG,
                    "%s.label_token: there are %" PRId64 " classes and the sequence is %" PRId64
                    " wide; both must be more than 0",
                    kind, c->classes, c->context_width);
    if (c->style == UNET_DDPMPP && c->width < 4)
        return fail(err, E_ARG, "%s.width: %" PRId64 " is too little to tell the time by", kind,
                    c->width);
    return OK;
}

enum status unet_check_sizes(const char *kind, const struct unet_config *c, struct error *err)
{
    enum status st;

    if (c->mult.n < 1 || c->mult.n > UNET_LEVELS_MAX)
        return fail(err, E_ARG, "%s.mult: %d levels, not 1 to %d", kind, c->mult.n,
                    UNET_LEVELS_MAX);
    if (c->size % ((int64_t)1 << (c->mult.n - 1)))
        return fail(err, E_ARG, "%s.size: %" PRId64 " cannot be halved %d times", kind, c->size,
                    c->mult.n - 1);
    if (c->width % 2)
        return fail(err, E_ARG, "%s.width: %" PRId64 " is odd", kind, c->width);
    if ((st = check_style(kind, c, err)))
        return st;
    for (int l = 0; l < c->mult.n; l++)
        if ((st = check_level(kind, c, l, err)))
            return st;
    return OK;
}

/* --- a step -------------------------------------------------------------------------------------
 */

bool unet_place_attends(const struct unet_config *c, const struct unet_place *p)
{
    bool listed = unet_attends(c, (int64_t)1 << p->level);

    switch (p->step) {
    case STEP_ENCODER:
        return listed;
    case STEP_MIDDLE:
        return p->index == 0;
    case STEP_DECODER: /* on the way up DDPM++ attends once a level */
        return listed && (c->style != UNET_DDPMPP || p->index == c->blocks);
    case STEP_FIRST:
    case STEP_DOWN:
    case STEP_UP:
        break;
    }
    return false;
}

/* Levels below `level` (towards the pixels) that attend. */
static int levels_below(const struct unet_config *c, int level)
{
    int n = 0;

    for (int l = 0; l < level; l++)
        n += unet_attends(c, (int64_t)1 << l);
    return n;
}

static int decoder_each(const struct unet_config *c)
{
    return c->style == UNET_DDPMPP ? 1 : (int)c->blocks + 1;
}

int unet_attention_before_middle(const struct unet_config *c)
{
    return levels_below(c, c->mult.n) * (int)c->blocks;
}

int unet_attention_count(const struct unet_config *c)
{
    return unet_attention_before_middle(c) + 1 + levels_below(c, c->mult.n) * decoder_each(c);
}

int unet_place_attention(const struct unet_config *c, const struct unet_place *p)
{
    int before = unet_attention_before_middle(c);
    int above = levels_below(c, c->mult.n) - levels_below(c, p->level + 1);

    if (!unet_place_attends(c, p))
        return -1;
    if (p->step == STEP_ENCODER)
        return levels_below(c, p->level) * (int)c->blocks + p->index;
    if (p->step == STEP_MIDDLE)
        return before;
    return before + 1 + above * decoder_each(c) + (c->style == UNET_DDPMPP ? 0 : p->index);
}

enum resample unet_place_resample(const struct unet_place *p)
{
    return p->step == STEP_DOWN ? DOWN : p->step == STEP_UP ? UP : SAME;
}

struct tensor *unet_resample(struct graph *g, struct tensor *x, enum resample resample)
{
    return resample == DOWN ? op_avgpool2(g, x) : resample == UP ? op_upsample2(g, x) : x;
}

struct tensor *unet_dropout(struct graph *g, const struct network *net, const struct unet_entry *e,
                            const struct network_input *in, struct tensor *h)
{
    const struct unet_config *c = net->config;

    return nn_dropout(g, h, in->drop, c->dropout, e->order);
}

const struct unet_style_ops *unet_style_of(const struct unet_config *c)
{
    return c->style == UNET_EDM2 ? &unet_preserving : &unet_normed;
}

/* "input_blocks.3", "middle_block". */
static void name_counted(struct unet_entry *e, const struct unet_place *p)
{
    static const char *const parts[] = {
        [STEP_FIRST] = "input_blocks",    [STEP_ENCODER] = "input_blocks",
        [STEP_DOWN] = "input_blocks",     [STEP_MIDDLE] = "middle_block",
        [STEP_DECODER] = "output_blocks", [STEP_UP] = "output_blocks",
    };

    if (p->step == STEP_MIDDLE)
        snprintf(e->name, sizeof e->name, "%s", parts[p->step]);
    else
        snprintf(e->name, sizeof e->name, "%s.%d", parts[p->step], p->number);
}

/* "enc.16x16_block1", "dec.32x32_up". */
static void name_told(struct unet_entry *e, const struct unet_config *c, const struct unet_place *p)
{
    static const struct {
        const char *half, *what;
        bool counted;
    } parts[] = {
        [STEP_FIRST] = {"enc", "conv", false},   [STEP_ENCODER] = {"enc", "block", true},
        [STEP_DOWN] = {"enc", "down", false},    [STEP_MIDDLE] = {"dec", "in", true},
        [STEP_DECODER] = {"dec", "block", true}, [STEP_UP] = {"dec", "up", false},
    };
    int side = (int)(c->size >> p->level);
    char number[12] = "";

    if (parts[p->step].counted)
        snprintf(number, sizeof number, "%d", p->index);
    snprintf(e->name, sizeof e->name, "%s.%dx%d_%s%s", parts[p->step].half, side, side,
             parts[p->step].what, number);
}

/* In ADM's files the two of the middle are one entry, and so are a block and the step up after it.
 */
static bool ends_entry(const struct unet_config *c, const struct unet_place *p)
{
    if (c->style != UNET_ADM)
        return true;
    if (p->step == STEP_MIDDLE)
        return p->index == 1;
    return p->step != STEP_DECODER || p->level == 0 || p->index < c->blocks;
}

void unet_entry_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                        const struct unet_place *p)
{
    if (c->style == UNET_ADM)
        name_counted(e, p);
    else
        name_told(e, c, p);
    e->is_first = p->step == STEP_FIRST;
    e->joins = p->step == STEP_DECODER;
    e->shows = ends_entry(c, p);
    e->attention = unet_place_attention(c, p);
    unet_style_of(c)->declare_entry(e, c, s, p);
}

struct tensor *unet_entry_forward(struct graph *g, const struct network *net,
                                  const struct unet_style_ops *style, const struct unet_entry *e,
                                  struct tensor *x, struct tensor *emb,
                                  const struct network_input *in)
{
    struct segment s = segment_open(g);

    x = style->entry(g, net, e, x, emb, in);
    segment_close(g, s);
    if (e->shows)
        network_show(net, x, "%s", e->name);
    return x;
}

/* --- the encoder --------------------------------------------------------------------------------
 */

int unet_encoder_blocks(const struct unet_config *c)
{
    return (int)(c->mult.n * (c->blocks + 1));
}

static void add(struct unet_encoder *m, const struct unet_config *c, struct scope s,
                struct unet_place p)
{
    p.number = m->entry[m->n].order = m->n;
    unet_entry_declare(&m->entry[m->n], c, s, &p);
    m->skip[m->n++] = p.out;
}

void unet_encoder_declare(struct unet_encoder *m, struct unet_entry *entry,
                          const struct unet_config *c, struct scope s)
{
    int64_t ch = c->style == UNET_DDPMPP ? c->width : unet_level_channels(c, 0);
    struct unet_place p = {.step = STEP_MIDDLE, .level = c->mult.n - 1};

    m->style = unet_style_of(c);
    m->entry = entry;
    add(m, c, s, (struct unet_place){.step = STEP_FIRST, .in = c->channels, .out = ch});
    for (int l = 0; l < c->mult.n; l++) {
        if (l)
            add(m, c, s, (struct unet_place){.step = STEP_DOWN, .level = l, .in = ch, .out = ch});
        for (int b = 0; b < c->blocks; b++) {
            int64_t out = unet_level_channels(c, l);

            add(m, c, s, (struct unet_place){STEP_ENCODER, l, b, 0, 0, ch, out});
            ch = out;
        }
    }
    p.in = p.out = ch;
    for (int i = 0; i < 2; i++) {
        p.index = i;
        p.part = 2 * i; /* an attention stands between them */
        m->middle[i].order = m->n + i;
        unet_entry_declare(&m->middle[i], c, s, &p);
    }
}

struct tensor *unet_encoder_forward(struct graph *g, const struct network *net,
                                    const struct unet_encoder *m, const struct network_input *in,
                                    struct tensor *emb, struct tensor *skip[])
{
    struct tensor *x = in->x;

    for (int i = 0; i < m->n; i++) {
        x = unet_entry_forward(g, net, m->style, &m->entry[i], x, emb, in);
        if (skip)
            skip[i] = x;
    }
    for (int i = 0; i < 2; i++)
        x = unet_entry_forward(g, net, m->style, &m->middle[i], x, emb, in);
    return x;
}
