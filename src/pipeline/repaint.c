/*
 * repaint.c - pictures made of a picture: noised part of the way and drawn anew
 *
 * A point on the path at time t holds of its picture what noise of that strength leaves: late, all
 * but the finest, early, hardly the colours.  So a run that begins at t > 0 with a picture on its
 * path draws another one that agrees in what was left (Meng et al. 2021, "SDEdit").  Where that t
 * lies in a list of steps, "strength" says: sampler/grid.h.
 *
 * Under a mask the rest of the picture is known at every time, for its path is known: after each
 * step the known part is put there again, with the noise that the run began with, and the network
 * draws what fits to it (Lugmayr et al. 2022, "RePaint", without going back and forth).  The
 * network sees the seam at every step, so it closes.
 *
 * A mask has levels between.  Mixing by them at every step would pull towards the known picture
 * once a step, and the more so the more steps there are; so on the way there is only known and made
 * anew, and the two are mixed once, at the end.
 *
 * In latents a cell stands for many pixels and decoding is not exact, so any cell with a pixel to
 * be made anew is made anew, and at the end the kept pixels are those that were given.
 */
#include "pipeline/repaint.h"

#include "base/memory.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Black in a JPEG is not quite black: up to here nothing is made anew. */
static const float nearly_kept = 1.0f / 16;

static enum status check_numbers(const float *x, int64_t n, float lo, float hi, const char *what,
                                 struct error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!(x[i] >= lo && x[i] <= hi))
            return fail(err, E_ARG, "%s: number %" PRId64 " is %g", what, i, (double)x[i]);
    return OK;
}

static enum status check(const struct repaint *p, struct error *err)
{
    const float *x = p->of.latent ? p->of.latent : p->of.picture;
    int64_t n = p->of.latent ? p->length : view_length(&p->shape);
    enum status st = check_numbers(x, n, -FLT_MAX, FLT_MAX, "the picture to begin with", err);

    if (st || !p->of.mask)
        return st;
    return check_numbers(p->of.mask, p->shape.height * p->shape.width, 0, 1, "the mask, of 0 to 1",
                         err);
}

static void shrink_mask(struct repaint *p)
{
    const struct network_io *io = &p->model->network->io;
    int64_t factor = p->shape.height / io->height;

    for (int64_t i = 0; i < p->shape.height * p->shape.width; i++)
        if (p->of.mask[i] > nearly_kept)
            p->anew[i / p->shape.width / factor * io->width + i % p->shape.width / factor] = true;
}

enum status repaint_init(struct repaint *p, const struct model *m, const struct repaint_request *of,
                         int64_t rows, int threads, graph_watch *watch, void *user,
                         struct error *err)
{
    const struct network_io *io = &m->network->io;
    uint64_t cells = (uint64_t)(io->height * io->width), n = cells * (uint64_t)io->in_channels;
    enum status st;

    *p = (struct repaint){.model = m,
                          .of = *of,
                          .shape = view_shape(m, false),
                          .rows = rows,
                          .length = (int64_t)n,
                          .noise_scale =
                              m->path.kind->variance_exploding ? path_at(&m->path, 0).beta : 1};
    if ((st = check(p, err)) || (st = mem_new((void **)&p->z, n, sizeof *p->z, "a picture", err)) ||
        (st = mem_new((void **)&p->noise, (uint64_t)rows * n, sizeof *p->noise, "noise", err)) ||
        (of->mask && (st = mem_new((void **)&p->anew, cells, sizeof *p->anew, "a mask", err))))
        return st;
    if (of->mask)
        shrink_mask(p);
    if (m->space && !of->latent)
        return latent_encode(m->space, p->z, of->picture, 0, p->shape.height, p->shape.width,
                             threads, watch, user, err);
    for (int64_t i = 0; i < p->length; i++)
        p->z[i] = (double)(of->latent ? of->latent : of->picture)[i];
    return OK;
}

void repaint_release(struct repaint *p)
{
    free(p->z);
    free(p->anew);
    free(p->noise);
    memset(p, 0, sizeof *p);
}

void repaint_start(struct repaint *p, double *x, int64_t row, double t)
{
    struct path_coefs c = path_at(&p->model->path, t);
    double *noise = p->noise + row * p->length;

    for (int64_t i = 0; i < p->length; i++) {
        noise[i] = x[i] / p->noise_scale;
        x[i] = c.alpha * p->z[i] + c.beta * noise[i];
    }
}

void repaint_copy(const struct repaint *p, double *x)
{
    memcpy(x, p->z, (size_t)p->length * sizeof *x);
}

void repaint_hold(struct repaint *p, double *x, int64_t rows, double t)
{
    int64_t C = p->model->network->io.in_channels;
    struct path_coefs c = path_at(&p->model->path, t);

    for (int64_t r = 0; p->anew && r < rows; r++)
        for (int64_t i = 0; i < p->length; i++)
            if (!p->anew[i / C])
                x[r * p->length + i] = c.alpha * p->z[i] + c.beta * p->noise[r * p->length + i];
}

void repaint_restore(const struct repaint *p, float *pictures, int64_t n)
{
    int64_t length = view_length(&p->shape), C = p->shape.channels;

    for (int64_t k = 0; p->anew && p->of.picture && k < n; k++)
        for (int64_t i = 0; i < length; i++) {
            float *to = pictures + k * length + i, m = p->of.mask[i / C];

            *to = (1 - m) * p->of.picture[i] + m * *to;
        }
}
