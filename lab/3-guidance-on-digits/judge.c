/*
 * judge.c - how well a model obeys, and how much it still varies
 *
 *     judge MODEL CONFIG.ini EACH W...
 *
 * CONFIG.ini says where the data are.  For each guidance scale w the model makes EACH pictures of
 * every label.  Whether a picture shows
 * its label is decided by its nearest neighbours: the labels of the K nearest of several thousand
 * pictures of the data vote.  The same judge is first held against fresh pictures of the data, for
 * no verdict is better than the judge.  Prints one a line:
 *
 *     judge SHARE             of fresh pictures that it judges rightly
 *     w W SHARE SPREAD        of made pictures that it takes for what was asked; and the mean
 *                             distance between pictures of one label, in shares of the data's
 */
#include <imgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN = 3000, FRESH = 300, K = 3, LABELS = 10 };

static struct imgen_data *data;
static struct imgen_model *model;
static struct imgen_data_info about;
static float *known; /* [KNOWN, length] */
static int known_label[KNOWN];
static int64_t length;

static void check(enum imgen_status st, const struct imgen_error *err)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void *need(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    return p;
}

static double distance(const float *a, const float *b)
{
    double sum = 0;

    for (int64_t i = 0; i < length; i++) {
        double d = (double)a[i] - (double)b[i];

        sum += d * d;
    }
    return sqrt(sum);
}

static int judge(const float *picture)
{
    double nearest[K], votes[LABELS] = {0};
    int label[K] = {0}, best = 0;

    for (int k = 0; k < K; k++)
        nearest[k] = HUGE_VAL;
    for (int i = 0; i < KNOWN; i++) {
        double d = distance(picture, known + i * length);
        int k = K;

        for (; k > 0 && d < nearest[k - 1]; k--)
            if (k < K) {
                nearest[k] = nearest[k - 1];
                label[k] = label[k - 1];
            }
        if (k < K) {
            nearest[k] = d;
            label[k] = known_label[i];
        }
    }
    for (int k = 0; k < K; k++)
        votes[label[k]] += 1 + 1e-3 * (K - k); /* the nearer decides a tie */
    for (int y = 1; y < LABELS; y++)
        if (votes[y] > votes[best])
            best = y;
    return best;
}

static void read_data(void)
{
    struct imgen_error err;
    char caption[IMGEN_CAPTION];

    known = need(KNOWN, (size_t)length * sizeof *known);
    for (int i = 0; i < KNOWN; i++)
        check(imgen_data_get(data, i, known + i * length, &known_label[i], caption, &err), &err);
}

static double judge_data(void)
{
    float *picture = need(1, (size_t)length * sizeof *picture);
    struct imgen_error err;
    char caption[IMGEN_CAPTION];
    int right = 0, label;

    for (int i = 0; i < FRESH; i++) {
        check(imgen_data_get(data, KNOWN + i, picture, &label, caption, &err), &err);
        right += judge(picture) == label;
    }
    free(picture);
    return (double)right / FRESH;
}

/* The mean distance between neighbours of one label among n pictures, the label of each given. */
static double spread(const float *pictures, const int *label, int n)
{
    double sum = 0;
    int pairs = 0;

    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n && j < i + 40; j++)
            if (label[i] == label[j]) {
                sum += distance(pictures + i * length, pictures + j * length);
                pairs++;
            }
    return sum / (pairs ? pairs : 1);
}

static void try_scale(double w, int each, double data_spread)
{
    int n = each * LABELS, right = 0, *label = need((size_t)n, sizeof *label);
    struct imgen_item *items = need((size_t)n, sizeof *items);
    float *pictures = need((size_t)n, (size_t)length * sizeof *pictures);
    struct imgen_request request;
    struct imgen_error err;

    for (int i = 0; i < n; i++) {
        label[i] = i / each;
        items[i] = (struct imgen_item){label[i], w, (uint64_t)i};
    }
    imgen_request_init(&request, model);
    request.items = items;
    request.n_items = n;
    check(imgen_sample_floats(model, &request, pictures, &err), &err);
    for (int i = 0; i < n; i++)
        right += judge(pictures + i * length) == label[i];
    printf("w %g %.4f %.4f\n", w, (double)right / n, spread(pictures, label, n) / data_spread);
    fflush(stdout);
    free(label);
    free(items);
    free(pictures);
}

static void open_all(const char *path, const char *config)
{
    const struct imgen_training t = {.config = config};
    struct imgen_error err;

    check(imgen_data_open(&data, &t, &err), &err);
    imgen_data_info(data, &about);
    check(imgen_model_open(&model, path, &err), &err);
    length = (int64_t)about.height * about.width * about.channels;
    if (about.n_labels != LABELS || about.count < KNOWN + FRESH) {
        fprintf(stderr, "the judge wants %d labels and %d pictures\n", LABELS, KNOWN + FRESH);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: judge MODEL CONFIG.ini EACH W...\n");
        return 2;
    }
    open_all(argv[1], argv[2]);
    read_data();
    printf("judge %.4f\n", judge_data());
    for (int i = 4; i < argc; i++)
        try_scale(atof(argv[i]), atoi(argv[3]), spread(known, known_label, 400));
    imgen_model_close(model);
    imgen_data_close(data);
    free(known);
    return 0;
}
