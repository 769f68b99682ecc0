/*
 * test_repaint.c - pictures made of a picture: how far from it, and where
 *
 * Random weights, so that a network draws something, and never the picture it was given.
 */
#include "pipeline/repaint.h"

#include "base/hash.h"
#include "pipeline/generate.h"
#include "support/models.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Pictures of 16 x 16 x 3; latents of 8 x 8 x 2, whose cells are 2 x 2 pixels. */
enum { SIDE = 16, PIXELS = SIDE * SIDE, LENGTH = PIXELS * 3, ITEMS = 3 };
enum { CELLS = 8, CHANNELS = 2, VALUES = CELLS * CELLS * CHANNELS, FACTOR = SIDE / CELLS };

#define ABOUT "\"labels\":[\"cat\",\"dog\"],\"sample\":{\"steps\":8,\"cfg_scale\":2},"
#define DIT   "\"dit\":{\"size\":16,\"classes\":2,\"patch\":4,\"width\":16,\"depth\":1,\"heads\":2}"
static const char flow[] = ABOUT "\"path\":{},\"model\":{\"network\":\"dit\"}," DIT;
static const char ddpm[] = ABOUT "\"path\":{},\"model\":{\"network\":\"dit\",\"path\":"
                                 "\"ddpm_linear\",\"prediction\":\"noise\"}," DIT;
static const char karras[] = ABOUT "\"path\":{},\"model\":{\"network\":\"dit\",\"path\":"
                                   "\"ve_karras\",\"prediction\":\"data\"}," DIT;
static const char vae[] = "\"labels\":[],\"path\":{},\"sample\":{},\"model\":{\"network\":\"vae\"},"
                          "\"vae\":{\"size\":16,\"width\":8,\"mult\":[1.0,2.0],\"blocks\":1,"
                          "\"groups\":4,\"latent_channels\":2}";
static const char latents[] =
    ABOUT "\"path\":{},\"model\":{\"network\":\"dit\"},\"dit\":{\"size\":8,\"channels\":2,"
          "\"classes\":2,\"patch\":2,\"width\":16,\"depth\":1,\"heads\":2},"
          "\"autoencoder\":{\"hash\":\"%s\",\"file\":\"vae.safetensors\",\"mean\":[0.5,-0.25],"
          "\"deviation\":[2.0,0.75]}";

static const struct generate_item items[ITEMS] = {{0, 2, 7}, {1, 0, 8}, {2, 1, 9}};

static char folder[TEMP_PATH], vae_path[TEMP_PATH];
static float picture[LENGTH], mask[PIXELS]; /* mask: the right half is made anew, and one pixel */
static struct repaint_request whole = {.picture = picture};
static struct repaint_request masked = {.picture = picture, .mask = mask};

static bool is_anew(int pixel)
{
    return pixel % SIDE >= SIDE / 2 || pixel == 3 * SIDE + 2;
}

static struct model *open_latents(void)
{
    char text[1024], hash[HASH_TEXT];
    struct model *m;

    assert_int_equal(hash_file(hash, vae_path, NULL), OK);
    snprintf(text, sizeof text, latents, hash);
    m = model_random(text, 2);
    assert_int_equal(autoencoder_find(m->space, folder, NULL, NULL), OK);
    return m;
}

static struct generate_request request(const struct model *m, const struct repaint_request *of,
                                       double strength)
{
    return (struct generate_request){.model = m,
                                     .settings = m->sample,
                                     .repaint = of,
                                     .strength = strength,
                                     .items = items,
                                     .n = ITEMS,
                                     .threads = 2};
}

static void draw(float *out, const struct generate_request *r)
{
    struct error err = {0};

    if (generate(out, r, NULL, &err))
        fail_msg("%s", err.text);
}

/* ---- Strength ---- */

/* Where the path begins in noise alone, the picture leaves no trace: by every solver that takes the
 * steps it is given. */
static void strength_one_is_text_to_image(void **state)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct model *m = model_random(flow, 1);

    (void)state;
    for (int s = 0; sampler_at(s); s++) {
        struct generate_request plain = request(m, NULL, 0), r = request(m, &whole, 1);

        if (sampler_at(s)->of_variance || sampler_at(s)->adaptive)
            continue;
        plain.settings.sampler = r.settings.sampler = s;
        draw(want, &plain);
        draw(got, &r);
        if (memcmp(want, got, sizeof want) != 0)
            fail_msg("%s", sampler_at(s)->is.name);
        r.strength = 0.6;
        draw(got, &r);
        assert_memory_not_equal(want, got, sizeof want);
    }
    model_free(m);
}

/* Also on paths that end in a little noise. */
static void strength_zero_is_the_picture(void **state)
{
    static const char *const about[] = {flow, ddpm, karras};
    static float got[ITEMS * LENGTH];

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct model *m = model_random(about[k], 1);
        struct generate_request r = request(m, &whole, 0);

        draw(got, &r);
        for (int i = 0; i < ITEMS; i++)
            assert_memory_equal(got + i * LENGTH, picture, sizeof picture);
        model_free(m);
    }
}

struct watched {
    int steps;
    double t[8];
    double x[8][ITEMS * LENGTH];
};

static bool watch(const struct generate_progress *p, void *user)
{
    struct watched *w = user;

    if (!p->x)
        return true;
    assert_true(p->count == ITEMS && w->steps < 8 && p->step == w->steps + 1);
    w->t[w->steps] = p->t;
    memcpy(w->x[w->steps++], p->x,
           (size_t)(ITEMS * p->shape.height * p->shape.width * p->shape.channels) * sizeof(double));
    return true;
}

/* The share of the steps that is taken, and where they begin. */
static void strength_is_a_share_of_the_steps(void **state)
{
    static const struct {
        double strength;
        int steps;
    } rows[] = {{1, 8}, {0.75, 6}, {0.7, 6}, {0.5, 4}, {0.125, 1}, {0.1, 1}, {0, 0}};
    static float got[ITEMS * LENGTH];
    struct model *m = model_random(flow, 1);

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        static struct watched w;
        struct generate_request r = request(m, &whole, rows[k].strength);

        w.steps = 0;
        r.progress = watch;
        r.user = &w;
        draw(got, &r);
        assert_int_equal(w.steps, rows[k].steps);
        for (int i = 0; i < w.steps; i++)
            assert_true(fabs(w.t[i] - (8 - w.steps + i + 1) / 8.0) < 1e-12);
    }
    model_free(m);
}

/* The less strength the nearer, on every path: weights near zero pull nowhere in particular. */
static void less_strength_is_nearer(void **state)
{
    static const char *const about[] = {flow, ddpm, karras};
    static float got[ITEMS * LENGTH];

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct model *m = model_random(about[k], 1);
        double before = HUGE_VAL;

        for (double strength = 1; strength > 0; strength -= 0.25) {
            struct generate_request r = request(m, &whole, strength);
            double off = 0;

            draw(got, &r);
            for (int i = 0; i < ITEMS * LENGTH; i++)
                off += pow((double)got[i] - (double)picture[i % LENGTH], 2);
            if (!(off < before))
                fail_msg("path %d, strength %g: %g, not below %g", k, strength, off, before);
            before = off;
        }
        model_free(m);
    }
}

/* ---- Under a mask ---- */

/* What is kept is the picture to the bit, and on the way the picture on its path, with the noise
 * that the run began with. */
static void check_masked(const struct model *m, int sampler)
{
    static float got[ITEMS * LENGTH], other[ITEMS * LENGTH];
    static struct watched w;
    static double noise[LENGTH];
    struct generate_request r = request(m, &masked, 0.5);
    double scale = m->path.kind->variance_exploding ? path_at(&m->path, 0).beta : 1;

    w.steps = 0;
    r.settings.sampler = sampler;
    r.progress = watch;
    r.user = &w;
    draw(got, &r);
    r.repaint = &whole;
    r.progress = NULL;
    draw(other, &r);
    assert_int_equal(w.steps, 4);
    for (int k = 0; k < ITEMS; k++) {
        sampling_start(noise, &m->path, items[k].seed, 0, LENGTH);
        for (int i = 0; i < LENGTH; i++) {
            int at = k * LENGTH + i;

            if (is_anew(i / 3)) {
                assert_true(got[at] != picture[i]);
                continue;
            }
            assert_true(got[at] == picture[i] && other[at] != picture[i]);
            for (int s = 0; s < w.steps; s++) {
                struct path_coefs c = path_at(&m->path, w.t[s]);
                double on = c.alpha * (double)picture[i] + c.beta * noise[i] / scale;

                if (!(fabs(w.x[s][at] - on) <= 1e-12 * (1 + fabs(on))))
                    fail_msg("%s, step %d: %g, not %g", sampler_at(sampler)->is.name, s + 1,
                             w.x[s][at], on);
            }
        }
    }
}

static void what_is_masked_out_stays(void **state)
{
    static const char *const about[] = {flow, ddpm, karras};

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct model *m = model_random(about[k], 1);

        for (int s = 0; sampler_at(s); s++)
            if (!sampler_at(s)->of_variance && !sampler_at(s)->adaptive)
                check_masked(m, s);
        model_free(m);
    }
}

/* Grey mixes what was given and what a white mask makes; nearly black is black. */
static void grey_is_mixed_once(void **state)
{
    static float white[PIXELS], grey[PIXELS], want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct repaint_request of = {.picture = picture, .mask = white};
    struct model *m = model_random(flow, 1);
    struct generate_request r = request(m, &of, 0.8);

    (void)state;
    for (int i = 0; i < PIXELS; i++) {
        white[i] = is_anew(i);
        grey[i] = is_anew(i) ? 0.25f : 0.0f;
    }
    draw(want, &r);
    of.mask = grey;
    draw(got, &r);
    for (int i = 0; i < ITEMS * LENGTH; i++) {
        double p = (double)picture[i % LENGTH];
        double mixed = is_anew(i % LENGTH / 3) ? 0.75 * p + 0.25 * (double)want[i] : p;

        assert_true(fabs((double)got[i] - mixed) < 1e-6);
    }
    for (int i = 0; i < PIXELS; i++)
        white[i] = 0.02f;
    of.mask = white;
    draw(got, &r);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        assert_true(fabsf(got[i] - picture[i % LENGTH]) < 1e-6f);
    model_free(m);
}

/* ---- Of its own request alone ---- */

static void check_alone(const struct model *m, const struct repaint_request *of)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct generate_request r = request(m, of, 0.7);

    for (int s = 0; sampler_at(s); s++) {
        if (sampler_at(s)->of_variance || sampler_at(s)->adaptive)
            continue;
        r = request(m, of, 0.7);
        r.settings.sampler = s;
        r.threads = 1;
        draw(want, &r);
        for (r.threads = 2; r.threads <= 3; r.threads++) {
            r.batch = r.threads - 1;
            draw(got, &r);
            assert_memory_equal(want, got, sizeof want);
        }
        r.n = 1;
        for (int i = 0; i < ITEMS; i++) {
            r.items = items + i;
            draw(got, &r);
            assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *got);
        }
    }
}

static void batch_and_threads_change_nothing(void **state)
{
    struct model *m = model_random(flow, 1);

    (void)state;
    check_alone(m, &masked);
    model_free(m);
    m = open_latents();
    check_alone(m, &masked);
    model_free(m);
}

/* ---- Of latents ---- */

/* A picture through the autoencoder and back. */
static void through(float *back, double *x, const struct model *m)
{
    static float z[VALUES];
    struct codec *c;

    assert_int_equal(codec_open(&c, vae_path, HALVES_BOTH, 1, NULL), OK);
    assert_int_equal(codec_encode(c, z, picture, 1, SIDE, SIDE, NULL, NULL), OK);
    assert_int_equal(codec_decode(c, back, z, 1, SIDE, SIDE, NULL, NULL), OK);
    for (int i = 0; i < VALUES; i++)
        x[i] = ((double)z[i] - m->space->mean[i % CHANNELS]) / m->space->deviation[i % CHANNELS];
    codec_free(c);
}

static void latents_are_of_the_picture(void **state)
{
    static float back[LENGTH], want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    static double x[VALUES];
    struct model *m = open_latents();
    struct generate_request plain = request(m, NULL, 0), r = request(m, &whole, 0);

    (void)state;
    through(back, x, m);
    draw(got, &r);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        assert_true(fabsf(got[i] - back[i % LENGTH]) < 1e-4f);
    assert_memory_not_equal(got, picture, sizeof picture);
    r.strength = 1;
    draw(got, &r);
    draw(want, &plain);
    assert_memory_equal(got, want, sizeof want);
    model_free(m);
}

/* The pixels are kept in any case. */
static void kept_pixels_are_not_decoded(void **state)
{
    static float got[ITEMS * LENGTH];
    struct model *m = open_latents();
    struct generate_request r = request(m, &masked, 0.5);

    (void)state;
    draw(got, &r);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        assert_true((got[i] == picture[i % LENGTH]) == !is_anew(i % LENGTH / 3));
    model_free(m);
}

/* A cell is kept where all its pixels are. */
static void cells_with_anything_anew_are_anew(void **state)
{
    static double x[VALUES], noise[VALUES], at[VALUES];
    static float back[LENGTH];
    struct model *m = open_latents();
    struct repaint p;

    (void)state;
    through(back, x, m);
    assert_int_equal(repaint_init(&p, m, &masked, 1, 1, NULL, NULL, NULL), OK);
    sampling_start(noise, &m->path, 7, 0, VALUES);
    memcpy(at, noise, sizeof at);
    repaint_start(&p, at, 0, 0.25);
    for (int i = 0; i < VALUES; i++) {
        assert_true(fabs(at[i] - (0.25 * x[i] + 0.75 * noise[i])) < 1e-6);
        at[i] = 100;
    }
    repaint_hold(&p, at, 1, 0.5);
    for (int i = 0; i < VALUES; i++) {
        int row = i / CHANNELS / CELLS, column = i / CHANNELS % CELLS;
        bool anew = column >= CELLS / 2 || (row == 3 / FACTOR && column == 2 / FACTOR);
        double want = anew ? 100 : 0.5 * (x[i] + noise[i]);

        assert_true(fabs(at[i] - want) < 1e-6);
    }
    repaint_release(&p);
    model_free(m);
}

/* As the model's numbers: no encoder is asked. */
static void a_latent_may_be_given(void **state)
{
    static float back[LENGTH], want[ITEMS * LENGTH], got[ITEMS * LENGTH], z[VALUES];
    static double x[VALUES];
    struct repaint_request of = {.latent = z};
    struct model *m = open_latents();
    struct generate_request r = request(m, &whole, 0.6);

    (void)state;
    through(back, x, m);
    for (int i = 0; i < VALUES; i++)
        z[i] = (float)x[i];
    draw(want, &r);
    r.repaint = &of;
    draw(got, &r);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        assert_true(fabsf(got[i] - want[i]) < 1e-4f);
    model_free(m);
}

/* ---- What is refused ---- */

static void refuse(const struct generate_request *r, const char *word)
{
    static float out[ITEMS * LENGTH];
    struct error err = {0};

    assert_int_equal(generate(out, r, NULL, &err), E_ARG);
    assert_says(err.text, word);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const float bad_levels[] = {-0.01f, 1.01f, NAN, INFINITY};
    static const double bad_strengths[] = {-0.1, 1.01, (double)NAN};
    static float broken[LENGTH];
    struct repaint_request of = masked;
    struct model *m = model_random(flow, 1);
    struct generate_request r;

    (void)state;
    for (int k = 0; k < 3; k++) {
        r = request(m, &masked, bad_strengths[k]);
        refuse(&r, "strength");
    }
    r = request(m, &of, 0.5);
    memcpy(broken, picture, sizeof picture);
    of.picture = broken;
    broken[17] = NAN;
    refuse(&r, "number 17 is nan");
    broken[17] = -INFINITY;
    refuse(&r, "number 17 is -inf");
    of = (struct repaint_request){.latent = broken};
    refuse(&r, "number 17 is -inf");
    of = (struct repaint_request){.picture = picture, .mask = broken};
    memset(broken, 0, sizeof broken);
    for (int k = 0; k < 4; k++) {
        broken[5] = bad_levels[k];
        refuse(&r, "mask");
    }
    r = request(m, &masked, 1);
    for (r.settings.sampler = 0; sampler_at(r.settings.sampler); r.settings.sampler++)
        if (sampler_at(r.settings.sampler)->adaptive)
            refuse(&r, "chooses its own steps");
    model_free(m);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    temp_path(vae_path, folder, "vae.safetensors");
    model_save_random(vae_path, vae, 3);
    for (int i = 0; i < LENGTH; i++)
        picture[i] = (float)(0.9 * sin(0.37 * i) * cos(0.011 * i));
    for (int i = 0; i < PIXELS; i++)
        mask[i] = is_anew(i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strength_one_is_text_to_image),
        cmocka_unit_test(strength_zero_is_the_picture),
        cmocka_unit_test(strength_is_a_share_of_the_steps),
        cmocka_unit_test(less_strength_is_nearer),
        cmocka_unit_test(what_is_masked_out_stays),
        cmocka_unit_test(grey_is_mixed_once),
        cmocka_unit_test(batch_and_threads_change_nothing),
        cmocka_unit_test(latents_are_of_the_picture),
        cmocka_unit_test(kept_pixels_are_not_decoded),
        cmocka_unit_test(cells_with_anything_anew_are_anew),
        cmocka_unit_test(a_latent_may_be_given),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
