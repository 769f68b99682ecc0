/*
 * test_vae.c - the convolutional autoencoders: public sizes and names, gradients, bits, published
 * files in all their spellings, and what is refused
 *
 * Whether they compute what the papers say is test_parity.c's affair.
 */
#include "model/vae.h"

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "ops/basic.h"
#include "support/key_list.h"
#include "support/networks.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PUBLISHED    GOLDEN_DIR "/arch/vae_published"

/* --- public sizes and names
 * -----------------------------------------------------------------------
 */

static const struct {
    const char *name, *table;
    int64_t weights, tensors;
    const char *settings[8];
} published[] = {
    {"Stable Diffusion 1",
     "vae4",
     83653863,
     248,
     {"quant_conv=true", "post_quant_conv=true", NULL}},
    {"Stable Diffusion 3", "vae16", 83819683, 244, {"latent_channels=16", NULL}},
};

static void test_public_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(published); i++) {
        struct network *net = network_must("vae", published[i].settings, false);

        assert_int_equal(params_weights(net->params), published[i].weights);
        assert_int_equal(params_count(net->params), published[i].tensors);
        network_free(net);
    }
}

static const struct {
    int of; /* row of `published` */
    const char *name;
    struct shape in_files;
} keys[] = {
    {0, "encoder.conv_out.weight", {4, {8, 512, 3, 3}}},
    {0, "quant_conv.weight", {4, {8, 8, 1, 1}}},
    {0, "post_quant_conv.bias", {1, {4}}},
    {0, "encoder.down.1.block.0.nin_shortcut.weight", {4, {256, 128, 1, 1}}},
    {1, "encoder.conv_out.weight", {4, {32, 512, 3, 3}}},
    {1, "encoder.down.2.downsample.conv.weight", {4, {512, 512, 3, 3}}},
    {1, "decoder.conv_in.weight", {4, {512, 16, 3, 3}}},
    {1, "decoder.mid.attn_1.proj_out.weight", {4, {512, 512, 1, 1}}},
    {1, "decoder.up.0.block.2.conv2.weight", {4, {128, 128, 3, 3}}},
    {1, "decoder.up.1.block.0.nin_shortcut.bias", {1, {256}}},
    {1, "decoder.up.3.upsample.conv.bias", {1, {512}}},
};

static void test_public_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct network *net = network_must("vae", published[keys[i].of].settings, false);
        const struct param *p = params_find(net->params, keys[i].name);

        if (!p || !shape_equal(p->file_shape, keys[i].in_files))
            fail_msg("%s is missing or has another shape", keys[i].name);
        network_free(net);
    }
}

/* The whole lists of names, where the larger collection stands beside the project. */
static void test_public_tables(void **state)
{
    const struct params_naming naming = {.prefix = "first_stage_model."};
    char path[512];
    struct stat is;

    (void)state;
    for (size_t i = 0; i < COUNT(published); i++) {
        struct network *net = network_must("vae", published[i].settings, false);

        snprintf(path, sizeof path, "%s/specs/sd3-keys/%s.original.tsv", SHARED_DIR,
                 published[i].table);
        if (stat(path, &is)) {
            network_free(net);
            print_message("no table at %s\n", path);
            skip();
        }
        assert_key_list(net->params, &naming, path);
        network_free(net);
    }
}

/* --- tiny networks: gradients and bits
 * ------------------------------------------------------------
 */

enum { N = 3, HIGH = 8, WIDE = 12, CHANNELS = 2, LATENTS = 3, CODE_MOST = 2 * LATENTS };
enum {
    PICTURE = N * HIGH * WIDE * CHANNELS,
    LATENT = N * (HIGH / 2) * (WIDE / 2) * LATENTS,
};

#define TINY "size=8", "channels=2", "latent_channels=3", "width=8", "blocks=1", "groups=4"
static const struct {
    const char *name;
    bool jumps; /* to the nearest code: gradients are no slopes */
    const char *settings[16];
} tiny[] = {
    {"plain", false, {TINY, "mult=1,2", NULL}},
    {"attention, inner channels",
     false,
     {TINY, "mult=2,1", "attention=1,2", "inner_channels=5", "quant_conv=true",
      "post_quant_conv=true", NULL}},
    {"no attention", false, {TINY, "mult=1,1", "middle_attention=false", "blocks=2", NULL}},
    {"codebook", true, {TINY, "mult=1,2", "codes=11", "quant_conv=true", NULL}},
};

struct feed {
    float x[PICTURE], cot[PICTURE], noise[LATENT];
    int64_t first, n; /* samples used */
};

struct outcome {
    float latent[LATENT], picture[PICTURE];
};

static void feed_draw(struct feed *f, uint64_t seed)
{
    struct rng r = rng_stream(seed, RNG_TEST, 1);

    rng_normals(&r, f->x, COUNT(f->x));
    rng_normals(&r, f->cot, COUNT(f->cot));
    rng_normals(&r, f->noise, COUNT(f->noise));
    f->first = 0;
    f->n = N;
}

/* Training's way: encode, sample, decode; the loss takes the divergence or the codebook's part. */
static double run(struct network *net, const struct feed *f, unsigned flags, int threads,
                  bool gradients, struct outcome *out)
{
    const struct shape latent = SHAPE(f->n, HIGH / 2, WIDE / 2, LATENTS);
    struct tensor *code, *z, *y, *loss, *extra;
    struct graph *g = NULL;
    float value;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    y = graph_input(g, SHAPE(f->n, HIGH, WIDE, CHANNELS), f->x + f->first * PICTURE / N);
    code = autoencoder_encode(g, net, y);
    z = autoencoder_latents(g, net, code, graph_input(g, latent, f->noise + f->first * LATENT / N));
    assert_true(shape_equal(z->shape, latent));
    y = autoencoder_decode(g, net, z);
    extra = net->io.gaussian ? op_sum(g, posterior_kl(g, code))
                             : quantise(g, z, vae_codebook(g, net), 0.25).loss;
    loss = op_sum(g, op_mul(g, y, graph_input(g, y->shape, f->cot + f->first * PICTURE / N)));
    loss = op_mix(g, loss, extra, 1, 0.3);
    graph_keep(g, loss);
    graph_keep(g, z);
    graph_keep(g, y);
    if (gradients)
        graph_backward(g, loss);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    if (out) {
        graph_read(g, z, out->latent);
        graph_read(g, y, out->picture);
    }
    graph_free(g);
    return (double)value;
}

static double loss_of(struct network *net, bool gradients, void *user)
{
    return run(net, user, 0, 2, gradients, NULL);
}

static void test_gradients(void **state)
{
    struct feed *f = malloc(sizeof *f);

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < COUNT(tiny); i++) {
        struct network *net = network_must("vae", tiny[i].settings, true);

        feed_draw(f, i);
        network_fill(net, i);
        for (uint64_t seed = 0; seed < 3 && !tiny[i].jumps; seed++)
            check_slope(tiny[i].name, net, loss_of, f, seed, 1e-3, 4e-3);
        network_free(net);
    }
    free(f);
}

static void test_bits(void **state)
{
    static const struct {
        unsigned flags;
        int threads;
    } ways[] = {{0, 1}, {0, 2}, {0, 3}, {GRAPH_EAGER, 2}, {GRAPH_CHECKPOINT, 2}};
    struct feed *f = malloc(sizeof *f);
    struct outcome *out = calloc(2, sizeof *out);

    (void)state;
    assert_true(f && out);
    for (size_t i = 0; i < COUNT(tiny); i++) {
        struct network *net = network_must("vae", tiny[i].settings, true);
        size_t bytes = (size_t)params_n_trained(net->params) * sizeof(float);
        float *grads = malloc(bytes);

        assert_non_null(grads);
        feed_draw(f, i);
        network_fill(net, i);
        for (size_t w = 0; w < COUNT(ways); w++) {
            run(net, f, ways[w].flags, ways[w].threads, true, &out[w > 0]);
            if (!w)
                memcpy(grads, params_grads(net->params), bytes);
            if ((w && memcmp(&out[0], &out[1], sizeof *out) != 0) ||
                memcmp(grads, params_grads(net->params), bytes) != 0)
                fail_msg("%s: way %d of running has other bits", tiny[i].name, (int)w);
        }
        free(grads);
        network_free(net);
    }
    free(out);
    free(f);
}

/* A picture is encoded and decoded to the same bits whatever lies beside it. */
static void test_batch(void **state)
{
    struct feed *f = malloc(sizeof *f);
    struct outcome *out = calloc(2, sizeof *out);

    (void)state;
    assert_true(f && out);
    for (size_t i = 0; i < COUNT(tiny); i++) {
        struct network *net = network_must("vae", tiny[i].settings, true);

        feed_draw(f, i);
        network_fill(net, i);
        run(net, f, 0, 2, false, &out[0]);
        f->n = 1;
        for (f->first = 0; f->first < N; f->first++) {
            run(net, f, 0, 2, false, &out[1]);
            assert_memory_equal(out[1].latent, out[0].latent + f->first * LATENT / N,
                                LATENT / N * sizeof(float));
            assert_memory_equal(out[1].picture, out[0].picture + f->first * PICTURE / N,
                                PICTURE / N * sizeof(float));
        }
        network_free(net);
    }
    free(out);
    free(f);
}

/* Of a codebook's network, what the decoder makes of a vector it makes of the code nearest to it.
 */
static void test_decoder_quantises(void **state)
{
    struct network *net = network_must("vae", tiny[COUNT(tiny) - 1].settings, true);
    float *z = calloc(LATENT, sizeof *z), picture[2][PICTURE];
    struct rng r = rng_stream(5, RNG_TEST, 1);
    const float *book;

    (void)state;
    assert_non_null(z);
    network_fill(net, 4);
    book = params_find(net->params, "quantize.embedding.weight")->value;
    for (int k = 0; k < 2; k++) {
        struct graph *g = NULL;
        struct tensor *y;

        for (int i = 0; i < LATENT; i++)
            z[i] = book[i % LATENTS + LATENTS * (i / LATENTS % 11)] +
                   (k ? (float)(1e-4 * rng_normal(&r)) : 0);
        assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
        y = autoencoder_decode(g, net, graph_input(g, SHAPE(N, HIGH / 2, WIDE / 2, LATENTS), z));
        graph_keep(g, y);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, y, picture[k]);
        graph_free(g);
    }
    assert_memory_equal(picture[0], picture[1], sizeof picture[0]);
    free(z);
    network_free(net);
}

/* --- published files
 * ------------------------------------------------------------------------------
 */

static struct weights *must_open(const char *path)
{
    struct error err = {0};
    struct weights *f;

    if (weights_open(&f, path, &err))
        fail_msg("%s", err.text);
    return f;
}

static json_t *groups(int n)
{
    return json_pack("{s:i, s:f, s:n}", "norm_num_groups", n, "scaling_factor", 0.5,
                     "shift_factor");
}

static struct network *must_load(const char *path, enum autoencoder_halves halves)
{
    struct weights *f = must_open(path);
    json_t *config = groups(2);
    struct error err = {0};
    struct network *net;

    if (vae_open_published(&net, f, config, halves, &err))
        fail_msg("%s: %s", path, err.text);
    json_decref(config);
    weights_close(f);
    return net;
}

/* The parameters of b are among those of a, and the same. */
static void check_same(struct network *a, struct network *b)
{
    for (int64_t i = 0; i < params_count(b->params); i++) {
        const struct param *q = params_at(b->params, i), *p = params_find(a->params, q->name);

        assert_non_null(p);
        assert_true(shape_equal(p->shape, q->shape));
        assert_memory_equal(p->value, q->value, (size_t)shape_count(p->shape) * sizeof(float));
    }
}

static void test_layouts(void **state)
{
    struct network *original = must_load(PUBLISHED "/vae4-tiny/model.safetensors", HALVES_BOTH);
    struct network *folder = must_load(
        PUBLISHED "/vae4-tiny/diffusers/vae/diffusion_pytorch_model.safetensors", HALVES_BOTH);

    (void)state;
    assert_int_equal(params_count(original->params), params_count(folder->params));
    check_same(original, folder);
    assert_true(fabs(folder->io.scale->at[0] - 0.5) < 1e-12 &&
                fabs(folder->io.shift->at[0]) < 1e-12);
    assert_int_equal(folder->io.factor, 8);
    assert_int_equal(folder->io.latent_channels, 4);
    network_free(original);
    network_free(folder);
}

/* Half of a network from the whole file: nothing of the other half, and the same weights. */
static void test_halves(void **state)
{
    const char *path = PUBLISHED "/vae4-tiny/model.safetensors";
    struct network *both = must_load(path, HALVES_BOTH);
    struct network *encoder = must_load(path, HALVES_ENCODER);
    struct network *decoder = must_load(path, HALVES_DECODER);

    (void)state;
    assert_int_equal(params_count(encoder->params) + params_count(decoder->params),
                     params_count(both->params));
    assert_null(params_find(decoder->params, "quant_conv.weight"));
    assert_non_null(params_find(encoder->params, "quant_conv.weight"));
    assert_true(encoder->io.has_encoder && !encoder->io.has_decoder);
    assert_true(decoder->io.has_decoder && !decoder->io.has_encoder);
    check_same(both, encoder);
    check_same(both, decoder);
    network_free(both);
    network_free(encoder);
    network_free(decoder);
}

/* In `name`, `from` becomes `to`. */
static void exchange(char *name, size_t room, const char *from, const char *to)
{
    char *at = strstr(name, from), rest[200];

    if (!at)
        return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, room - (size_t)(at - name), "%s%s", to, rest);
}

/* A copy of a file, with names and shapes as `change` makes them. */
static void rewrite(const char *to, const char *from,
                    void (*change)(char *name, size_t room, struct save_tensor *t))
{
    struct weights *f = must_open(from);
    int64_t n = weights_count(f);
    struct save_tensor *t = calloc((size_t)n, sizeof *t);
    char(*name)[200] = calloc((size_t)n, sizeof *name);
    struct error err = {0};

    assert_true(t && name);
    for (int64_t i = 0; i < n; i++) {
        const struct file_tensor *s = weights_at(f, i);

        snprintf(name[i], sizeof name[i], "%s", s->name);
        t[i] = (struct save_tensor){
            .name = name[i], .dtype = s->dtype, .rank = s->rank, .bytes = s->bytes};
        memcpy(t[i].dim, s->dim, sizeof t[i].dim);
        change(name[i], sizeof name[i], &t[i]);
    }
    if (safetensors_save(to, t, n, NULL, 0, &err))
        fail_msg("%s", err.text);
    free(name);
    free(t);
    weights_close(f);
}

/* The folder layout's first words for its attention, whose weights were convolutions. */
static void make_old(char *name, size_t room, struct save_tensor *t)
{
    exchange(name, room, "to_q", "query");
    exchange(name, room, "to_k", "key");
    exchange(name, room, "to_v", "value");
    exchange(name, room, "to_out.0", "proj_attn");
    if (strstr(name, "attentions") && t->rank == 2) {
        t->rank = 4;
        t->dim[2] = t->dim[3] = 1;
    }
}

/* As in a whole pipeline's file, with what training leaves behind. */
static void make_single(char *name, size_t room, struct save_tensor *t)
{
    exchange(name, room, "first_stage_model.", "");
    if (strstr(name, "attn_1") && t->rank == 4)
        t->rank = 2;
}

static void test_spellings(void **state)
{
    struct network *original = must_load(PUBLISHED "/vae4-tiny/model.safetensors", HALVES_BOTH);
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct network *net;

    (void)state;
    temp_dir_new(dir);
    rewrite(temp_path(path, dir, "old"),
            PUBLISHED "/vae4-tiny/diffusers/vae/diffusion_pytorch_model.safetensors", make_old);
    net = must_load(path, HALVES_BOTH);
    check_same(original, net);
    network_free(net);
    rewrite(temp_path(path, dir, "single"), PUBLISHED "/vae4-tiny/model.safetensors", make_single);
    net = must_load(path, HALVES_BOTH);
    check_same(original, net);
    network_free(net);
    network_free(original);
    temp_dir_remove(dir);
}

/* What the numbers are when nobody says: 32 groups, and the scale by the channels. */
static void test_defaults(void **state)
{
    struct weights *f = must_open(PUBLISHED "/vae16-g32-bf16/model.safetensors");
    struct error err = {0};
    struct network *net;

    (void)state;
    if (vae_open_published(&net, f, NULL, HALVES_BOTH, &err))
        fail_msg("%s", err.text);
    assert_int_equal(((const struct vae_config *)net->config)->groups, 32);
    assert_true(fabs(net->io.scale->at[0] - 1.5305) < 1e-12);
    assert_true(fabs(net->io.shift->at[0] - 0.0609) < 1e-12);
    network_free(net);
    weights_close(f);
}

/* --- refusals
 * ------------------------------------------------------------------------------------- */

static const struct {
    const char *says; /* the option that the sentence begins with */
    const char *settings[8];
} refused[] = {
    {"vae.size", {"size=36", NULL}},
    {"vae.mult", {"mult=1,1,1,1,1,1,1,1,1", "size=512", NULL}},
    {"vae.mult", {"width=48", "mult=1,2", NULL}},
    {"vae.mult", {"mult=1,0.1", NULL}},
    {"vae.mult", {"width=4096", "mult=1,32", NULL}},
    {"vae.inner_channels", {"inner_channels=8", NULL}},
    {"vae.inner_channels", {"inner_channels=8", "quant_conv=true", NULL}},
    {"vae.scale", {"scale=1,2,3", NULL}},
    {"vae.scale", {"latent_channels=2", "shift=1,2,3", NULL}},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct error err = {0};
        struct network *net;

        assert_int_equal(network_of(&net, "vae", refused[i].settings, false, &err), E_ARG);
        assert_null(net);
        if (strncmp(err.text, refused[i].says, strlen(refused[i].says)) != 0)
            fail_msg("row %d: '%s' is not about %s", (int)i, err.text, refused[i].says);
    }
}

static void test_sizes(void **state)
{
    static const int64_t sizes[][2] = {{0, 8}, {8, 0}, {-8, 8}, {9, 16}, {16, 20}, {1, 1}, {4, 8}};
    const char *const settings[] = {NULL};
    struct network *net = network_must("vae", settings, false);

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct error err = {0};

        assert_int_equal(autoencoder_check_size(net, sizes[i][0], sizes[i][1], &err), E_ARG);
        assert_non_null(strstr(err.text, "multiples"));
    }
    assert_int_equal(autoencoder_check_size(net, 8, 72, NULL), OK);
    network_free(net);
}

/* Opened from bytes, with a configuration that fits the tiny network or none. */
static enum status open_bytes(const uint8_t *bytes, uint64_t n, enum autoencoder_halves halves,
                              struct error *err)
{
    struct weights *f = NULL;
    struct network *net = NULL;
    json_t *config = groups(2);
    enum status st;

    if (!(st = weights_open_bytes(&f, bytes, n, "mutant", err)))
        st = vae_open_published(&net, f, config, halves, err);
    assert_true(!st == !!net);
    network_free(net);
    weights_close(f);
    json_decref(config);
    return st;
}

/* The file with `from` exchanged for `to`, of equal length. */
static void check_damaged(const char *from, const char *to, const char *says)
{
    uint8_t *bytes = NULL;
    struct error err = {0};
    uint64_t n, length = strlen(from);
    int found = 0;

    assert_int_equal(strlen(to), length);
    assert_int_equal(file_read(&bytes, &n, PUBLISHED "/vae4-tiny/model.safetensors", 1 << 24, NULL),
                     OK);
    for (uint64_t i = 0; i + length <= n; i++)
        if (memcmp(bytes + i, from, length) == 0) {
            memcpy(bytes + i, to, length);
            found++;
        }
    assert_true(found > 0);
    assert_int_equal(open_bytes(bytes, n, HALVES_BOTH, &err), E_FORMAT);
    assert_says(err.text, says);
    free(bytes);
}

static void test_damaged(void **state)
{
    (void)state;
    check_damaged("decoder.conv_in.weight", "decoder.conv_ex.weight", "no autoencoder");
    check_damaged("decoder.conv_out.weight", "decoder.conv_off.weight",
                  "no decoder.conv_out.weight");
    check_damaged("encoder.mid.attn_1.q.bias", "encoder.mid.attn_1.z.bias",
                  "unexpected first_stage_model.encoder.mid.attn_1.z.bias");
    check_damaged("encoder.mid.attn_1.q.bias", "encoder.mid.attn_1.z.bias",
                  "missing first_stage_model.encoder.mid.attn_1.q.bias");
    check_damaged("up.2.block.1.conv1.weight", "up.2.block.9.conv1.weight", "missing");
}

/* Any header: an error or a network, never anything else.  Two thirds of the changes hit digits,
 * which shapes are made of. */
static void test_mutants(void **state)
{
    struct rng r = rng_stream(3, RNG_TEST, 9);
    uint8_t *bytes = NULL, *mutant;
    uint64_t n, header;

    (void)state;
    assert_int_equal(file_read(&bytes, &n, PUBLISHED "/vae4-tiny/model.safetensors", 1 << 24, NULL),
                     OK);
    mutant = malloc(n);
    assert_non_null(mutant);
    memcpy(&header, bytes, sizeof header);
    assert_true(header + 8 < n);
    for (int k = 0; k < 600; k++) {
        memcpy(mutant, bytes, n);
        for (int c = 0; c < 1 + k % 4; c++) {
            uint64_t at = 8 + (uint64_t)(rng_uniform(&r) * (double)header);

            if (k % 3)
                while (at + 1 < header && (mutant[at] < '0' || mutant[at] > '9'))
                    at++;
            mutant[at] =
                (uint8_t)(k % 3 ? '0' + (int)(rng_uniform(&r) * 10) : (int)(rng_uniform(&r) * 256));
        }
        open_bytes(mutant, k % 10 ? n : n - (uint64_t)k * 7, (enum autoencoder_halves)(k % 3),
                   NULL);
    }
    free(mutant);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_sizes),
        cmocka_unit_test(test_public_names),
        cmocka_unit_test(test_public_tables),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_decoder_quantises),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_mutants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
