/*
 * torch_rng.c - the normal numbers of PyTorch's generator on the CPU
 *
 * Words come from the Mersenne Twister (Matsumoto and Nishimura 1998), and pairs of uniform numbers
 * become pairs of normal ones (Box and Muller 1958), sixteen at a time:
 *
 *     u_0 .. u_7, u_8 .. u_15   ->   r cos, r sin     r = sqrt(-2 ln(1 - u_j)),  angle 2 pi u_(j+8)
 *
 * What is left over beyond a multiple of sixteen is covered by a last block that overlaps the one
 * before it, of uniform numbers of its own.  Fewer than sixteen are drawn one by one, in double.
 *
 * The logarithm, sine and cosine of the blocks are the float32 polynomials of Cephes (Moshier
 * 1992), where a product and a sum are one rounding; so they are written out here with fmaf, which
 * gives every bit of the published builds, on any processor.  libm's own functions are right more
 * often, and differ from the numbers that people have seen in one of six.
 */
#include "base/torch_rng.h"

#include <math.h>

enum { BLOCK = 16, SHIFTED = 397 };

/* ---- Words ---- */

struct torch_rng torch_rng_seed(uint64_t seed)
{
    struct torch_rng r = {.at = MERSENNE_WORDS};

    r.state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < MERSENNE_WORDS; i++)
        r.state[i] = 1812433253u * (r.state[i - 1] ^ r.state[i - 1] >> 30) + i;
    return r;
}

static void next_round(struct torch_rng *r)
{
    for (int i = 0; i < MERSENNE_WORDS; i++) {
        uint32_t next = r->state[(i + 1) % MERSENNE_WORDS];
        uint32_t y = (r->state[i] & 0x80000000u) | (next & 0x7FFFFFFFu);

        r->state[i] = r->state[(i + SHIFTED) % MERSENNE_WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
    }
    r->at = 0;
}

static uint32_t word(struct torch_rng *r)
{
    uint32_t y;

    if (r->at == MERSENNE_WORDS)
        next_round(r);
    y = r->state[r->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

/* Uniform on [0, 1), 24 bits. */
static float uniform24(struct torch_rng *r)
{
    return (float)(word(r) & 0xFFFFFF) * 0x1p-24f;
}

/* Uniform on [0, 1), 53 bits. */
static double uniform53(struct torch_rng *r)
{
    uint64_t high = word(r), low = word(r);

    return (double)((high << 32 | low) & 0x1FFFFFFFFFFFFF) * 0x1p-53;
}

/* ---- Functions, each with the roundings of the original ---- */

static float log_of(float x)
{
    static const float p[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                              -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                              2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    float y = p[0], z, e;
    int exponent;

    x = frexpf(x, &exponent);
    if (x < 0.70710678118654752f) {
        exponent--;
        x += x;
    }
    e = (float)exponent;
    x -= 1;
    z = x * x;
    for (int i = 1; i < 9; i++)
        y = fmaf(y, x, p[i]);
    y = fmaf(y * x, z, e * -2.12194440e-4f);
    y = fmaf(-z, 0.5f, y);
    return fmaf(e, 0.693359375f, x + y);
}

static void sine_cosine(float *sine, float *cosine, float x)
{
    int eighth = ((int)(x * 1.27323954473516f) + 1) & ~1; /* of a turn, to the nearest quarter */
    float k = (float)eighth, z, s, c;

    x = fmaf(k, -0.78515625f, x);
    x = fmaf(k, -2.4187564849853515625e-4f, x);
    x = fmaf(k, -3.77489497744594108e-8f, x);
    z = x * x;
    c = fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = fmaf(c * z, z, -(z * 0.5f)) + 1;
    s = fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = fmaf(s * z, x, x);
    *sine = eighth & 2 ? c : s;
    *cosine = eighth & 2 ? s : c;
    if (eighth & 4)
        *sine = -*sine;
    if ((eighth + 2) & 4)
        *cosine = -*cosine;
}

/* ---- Normal numbers ---- */

static void block_draw(struct torch_rng *r, float *out)
{
    for (int j = 0; j < BLOCK; j++)
        out[j] = uniform24(r);
}

static void block_transform(float *x)
{
    for (int j = 0; j < BLOCK / 2; j++) {
        float radius = sqrtf(-2 * log_of(1 - x[j])), sine, cosine;

        sine_cosine(&sine, &cosine, 6.28318530717958648f * x[j + BLOCK / 2]);
        x[j] = radius * cosine;
        x[j + BLOCK / 2] = radius * sine;
    }
}

static double one_normal(struct torch_rng *r)
{
    double angle, radius;

    if (r->has_normal) {
        r->has_normal = false;
        return r->normal;
    }
    angle = 2 * 3.14159265358979323846 * uniform53(r);
    radius = sqrt(-2 * log1p(-uniform53(r)));
    r->normal = radius * sin(angle);
    r->has_normal = true;
    return radius * cos(angle);
}

void torch_rng_normals(struct torch_rng *r, float *out, int64_t n)
{
    if (n < BLOCK) {
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)one_normal(r);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = uniform24(r);
    for (int64_t i = 0; i + BLOCK <= n; i += BLOCK)
        block_transform(out + i);
    if (n % BLOCK) {
        block_draw(r, out + n - BLOCK);
        block_transform(out + n - BLOCK);
    }
}
