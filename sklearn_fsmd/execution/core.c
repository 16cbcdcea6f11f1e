/* The operations of a training step around the matrix products: one or two passes through memory, where torch needs a
   dozen. The products are computed by torch. There are no threads here: the caller divides the work among threads.

   The numbers of a matrix row are adjacent; an argument `row` is the row stride in numbers. With `bf16` matrices hold
   bfloat16, else float32; vectors and sums are always float32. The functions do not check their arguments: core.py
   does. The file is compiled once for each instruction level of the processor, see CMakeLists.txt. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#define HAS_CONTROL 1
#endif

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif
#if defined(_MSC_VER)
#define INLINE static __forceinline
#define APART static __declspec(noinline)
#else
#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#endif

typedef int64_t i64;

enum { TILE = 256 /* columns at a time, so that sums fit on the stack */, BLOCK = 32 /* rows summed in float32 */ };

INLINE float get(const void *p, i64 i, int bf16) {
    if (!bf16) return ((const float *)p)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* Stores x; in bfloat16 it is rounded to the nearest number, ties to even, and NaN stays NaN. */
INLINE void set(void *p, i64 i, float x, int bf16) {
    if (!bf16) {
        ((float *)p)[i] = x;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    ((uint16_t *)p)[i] = (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC0u : rounded);
}

INLINE i64 smaller(i64 a, i64 b) { return a < b ? a : b; }

/* A hidden layer of a stack in one step. Vectors are (members, width); `scale` and the other pointers of batch norm may
   be null, and `keys` without dropout. Mirrors core._Layer. */
typedef struct {
    i64 rows, width, bf16, threshold;
    float stretch, eps, momentum;
    const float *bias, *scale;
    float *mean, *var, *slope, *running_mean, *running_var, *grad_bias, *grad_scale;
    const uint32_t *keys; /* two for each member */
    void *out;            /* (members, rows, width) */
} Layer;

INLINE void *output(const Layer *l, i64 e, i64 c) {
    return (char *)l->out + (e * l->rows * l->width + c) * (l->bf16 ? 2 : 4);
}

/* Four random bytes from a counter: the finaliser of MurmurHash3, with a second key in between. */
INLINE uint32_t drawn(uint32_t counter, uint32_t key, uint32_t second) {
    uint32_t h = counter + key;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = ((h ^ (h >> 13)) + second) * 0xC2B2AE35u;
    return h ^ (h >> 16);
}

/* Mean and variance of n columns, from sums of the differences to the first row, which are usually small. */
INLINE void moments(const void *z, i64 row, i64 rows, i64 n, float *mean, float *var, int bf16) {
    float base[TILE], part[TILE], part2[TILE];
    double sum[TILE], sum2[TILE];
    for (i64 j = 0; j < n; j++) base[j] = get(z, j, bf16), sum[j] = sum2[j] = 0.0;
    for (i64 start = 0; start < rows; start += BLOCK) {
        for (i64 j = 0; j < n; j++) part[j] = part2[j] = 0.0f;
        for (i64 b = start; b < smaller(start + BLOCK, rows); b++)
            for (i64 j = 0; j < n; j++) {
                float d = get(z, b * row + j, bf16) - base[j];
                part[j] += d, part2[j] += d * d;
            }
        for (i64 j = 0; j < n; j++) sum[j] += part[j], sum2[j] += part2[j];
    }
    for (i64 j = 0; j < n; j++) {
        double d = sum[j] / (double)rows, v = sum2[j] / (double)rows - d * d;
        mean[j] = (float)(base[j] + d), var[j] = (float)(v < 0.0 ? 0.0 : v);
    }
}

/* ReLU and dropout of z * slope + shift. The byte of an element depends only on its position, not on the tiles. */
INLINE void rectify(const Layer *l, i64 e, i64 c, i64 n, const void *z, i64 row, const float *slope, const float *shift,
                    int bf16) {
    uint32_t words[TILE / 4], first = l->threshold ? l->keys[2 * e] : 0, second = l->threshold ? l->keys[2 * e + 1] : 0;
    const uint8_t *bytes = (const uint8_t *)words, threshold = (uint8_t)l->threshold;
    memset(words, 0xFF, sizeof words); /* no byte is below any threshold */
    void *out = output(l, e, c);
    for (i64 b = 0; b < l->rows; b++) {
        uint32_t counter = (uint32_t)(b * ((l->width + 3) / 4) + c / 4);
        if (threshold)
            for (i64 w = 0; w < (n + 3) / 4; w++) words[w] = drawn(counter + (uint32_t)w, first, second);
        for (i64 j = 0; j < n; j++) {
            float y = get(z, b * row + j, bf16) * slope[j] + shift[j];
            set(out, b * l->width + j, (y <= 0.0f) | (bytes[j] < threshold) ? 0.0f : y, bf16); /* NaN stays NaN unless dropped */
        }
    }
}

INLINE void forward(const Layer *l, i64 e, i64 c, i64 n, const void *z, i64 row, int bf16) {
    float slope[TILE], shift[TILE];
    i64 at = e * l->width + c;
    if (l->scale) {
        moments(z, row, l->rows, n, l->mean + at, l->var + at, bf16);
        float unbiased = (float)((double)l->rows / (double)(l->rows - 1));
        for (i64 j = 0; j < n; j++) {
            float mean = l->mean[at + j], var = l->var[at + j];
            l->slope[at + j] = slope[j] = l->scale[at + j] * l->stretch / sqrtf(var + l->eps);
            shift[j] = l->bias[at + j] * l->stretch - mean * slope[j];
            l->running_mean[at + j] += l->momentum * (mean - l->running_mean[at + j]);
            l->running_var[at + j] += l->momentum * (var * unbiased - l->running_var[at + j]);
        }
    } else
        for (i64 j = 0; j < n; j++) slope[j] = l->stretch, shift[j] = l->bias[at + j] * l->stretch;
    rectify(l, e, c, n, z, row, slope, shift, bf16);
}

/* The gradient of the output where it is positive, else 0: dropped and negative units are 0 in the output. */
INLINE float passed(const void *out, const void *g, i64 o, i64 i, int bf16) {
    float x = get(g, i, bf16);
    return get(out, o, bf16) <= 0.0f ? 0.0f : x;
}

INLINE void backward(const Layer *l, i64 e, i64 c, i64 n, const void *z, i64 z_row, const void *g, i64 g_row, void *d,
                     i64 d_row, int bf16) {
    const void *out = output(l, e, c);
    float mean[TILE], slope[TILE], part[TILE], part2[TILE];
    double sum[TILE], sum2[TILE];
    i64 at = e * l->width + c;
    for (i64 j = 0; j < n; j++) sum[j] = sum2[j] = 0.0, mean[j] = l->scale ? l->mean[at + j] : 0.0f;
    for (i64 start = 0; start < l->rows; start += BLOCK) {
        for (i64 j = 0; j < n; j++) part[j] = part2[j] = 0.0f;
        for (i64 b = start; b < smaller(start + BLOCK, l->rows); b++)
            for (i64 j = 0; j < n; j++) {
                float x = passed(out, g, b * l->width + j, b * g_row + j, bf16);
                part[j] += x, part2[j] += x * (get(z, b * z_row + j, bf16) - mean[j]);
            }
        for (i64 j = 0; j < n; j++) sum[j] += part[j], sum2[j] += part2[j];
    }
    /* dz = slope * (g - mean(g) - zhat * mean(g * zhat)), zhat = (z - mean) / std: slope * g + part + part2 * z */
    for (i64 j = 0; j < n; j++) {
        l->grad_bias[at + j] = (float)sum[j] * l->stretch;
        slope[j] = l->stretch, part[j] = part2[j] = 0.0f;
        if (!l->scale) continue;
        float inverse_std = 1.0f / sqrtf(l->var[at + j] + l->eps);
        slope[j] = l->slope[at + j];
        l->grad_scale[at + j] = (float)sum2[j] * inverse_std * l->stretch;
        part2[j] = -(float)(sum2[j] / (double)l->rows) * inverse_std * inverse_std * slope[j];
        part[j] = -(float)(sum[j] / (double)l->rows) * slope[j] - part2[j] * mean[j];
    }
    for (i64 b = 0; b < l->rows; b++)
        for (i64 j = 0; j < n; j++) {
            float x = passed(out, g, b * l->width + j, b * g_row + j, bf16);
            set(d, b * d_row + j, slope[j] * x + (part[j] + part2[j] * get(z, b * z_row + j, bf16)), bf16);
        }
}

/* Columns c to `stop` - 1 of members e to `last` - 1: from the linear map to batch norm, ReLU and dropout. Matrices of
   several members are adjacent, and have all columns. */
API void hidden_forward(const Layer *l, i64 e, i64 last, i64 c, i64 stop, const char *z, i64 row) {
    i64 size = l->bf16 ? 2 : 4;
    for (; e < last; e++, z += l->rows * row * size)
        for (i64 j = c; j < stop; j += TILE) {
            i64 n = smaller(TILE, stop - j);
            if (l->bf16) forward(l, e, j, n, z + (j - c) * size, row, 1);
            else forward(l, e, j, n, z + (j - c) * size, row, 0);
        }
}

/* Backward pass of the same columns: from the gradient g of the output to the gradient d of the linear map, and to the
   gradients of the vectors. */
API void hidden_backward(const Layer *l, i64 e, i64 last, i64 c, i64 stop, const char *z, i64 z_row, const char *g,
                         i64 g_row, char *d, i64 d_row) {
    i64 size = l->bf16 ? 2 : 4, member = l->rows * size;
    for (; e < last; e++, z += member * z_row, g += member * g_row, d += member * d_row)
        for (i64 j = c; j < stop; j += TILE) {
            i64 n = smaller(TILE, stop - j), at = (j - c) * size;
            if (l->bf16) backward(l, e, j, n, z + at, z_row, g + at, g_row, d + at, d_row, 1);
            else backward(l, e, j, n, z + at, z_row, g + at, g_row, d + at, d_row, 0);
        }
}

INLINE void mix_rows(const float *weights, const char *outs, i64 member, float *mixed, i64 start, i64 stop, i64 gates,
                     i64 experts, i64 width, int bf16) {
    for (i64 b = start; b < stop; b++)
        for (i64 g = 0; g < gates; g++) {
            float *m = mixed + (b * gates + g) * width;
            memset(m, 0, (size_t)width * 4);
            for (i64 e = 0; e < experts; e++) {
                float w = weights[(b * gates + g) * experts + e];
                if (w == 0.0f) continue; /* the gate may not mix this expert */
                for (i64 j = 0; j < width; j++) m[j] += w * get(outs, e * member + b * width + j, bf16);
            }
        }
}

/* Eq. (5), mixed[b, g] = sum over e of weights[b, g, e] * outs[e, b]; `member` is the stride from e to e + 1. */
API void mix(const float *weights, const char *outs, i64 member, float *mixed, i64 start, i64 stop, i64 gates,
             i64 experts, i64 width, i64 bf16) {
    if (bf16) mix_rows(weights, outs, member, mixed, start, stop, gates, experts, width, 1);
    else mix_rows(weights, outs, member, mixed, start, stop, gates, experts, width, 0);
}

INLINE float inner(const float *x, const char *outs, i64 at, i64 width, int bf16) {
    float parts[16] = {0}, total = 0.0f;
    i64 j = 0;
    for (; j + 16 <= width; j += 16)
        for (int k = 0; k < 16; k++) parts[k] += x[j + k] * get(outs, at + j + k, bf16);
    for (; j < width; j++) total += x[j] * get(outs, at + j, bf16);
    for (int k = 0; k < 16; k++) total += parts[k];
    return total;
}

/* The gradient of the weights: the inner products of grads[b, g] and outs[e, b]. */
API void mix_to_weights(const float *grads, const char *outs, i64 member, float *grad_weights, i64 start, i64 stop,
                        i64 gates, i64 experts, i64 width, i64 bf16) {
    for (i64 b = start; b < stop; b++)
        for (i64 g = 0; g < gates; g++)
            for (i64 e = 0; e < experts; e++) {
                const float *x = grads + (b * gates + g) * width;
                i64 at = e * member + b * width;
                grad_weights[(b * gates + g) * experts + e] = bf16 ? inner(x, outs, at, width, 1) : inner(x, outs, at, width, 0);
            }
}

INLINE void spread(const float *weights, const float *grads, char *g_out, i64 e, i64 rows, i64 gates, i64 experts,
                   i64 width, int bf16) {
    for (i64 b = 0; b < rows; b++)
        for (i64 c = 0; c < width; c += TILE) {
            float sum[TILE] = {0};
            i64 n = smaller(TILE, width - c);
            for (i64 g = 0; g < gates; g++) {
                float w = weights[(b * gates + g) * experts + e];
                if (w == 0.0f) continue;
                for (i64 j = 0; j < n; j++) sum[j] += w * grads[(b * gates + g) * width + c + j];
            }
            for (i64 j = 0; j < n; j++) set(g_out, b * width + c + j, sum[j], bf16);
        }
}

/* The gradient of the outputs of members e to `last` - 1: sum over g of weights[b, g, e] * grads[b, g]. */
API void mix_to_outputs(const float *weights, const float *grads, char *g_out, i64 e, i64 last, i64 rows, i64 gates,
                        i64 experts, i64 width, i64 bf16) {
    for (; e < last; e++, g_out += rows * width * (bf16 ? 2 : 4))
        if (bf16) spread(weights, grads, g_out, e, rows, gates, experts, width, 1);
        else spread(weights, grads, g_out, e, rows, gates, experts, width, 0);
}

/* Adds the sum over k of x[k * step] times row k of w to n numbers. Four rows at a time: fewer passes over the sum. */
APART void add_products(float *__restrict sum, const float *x, i64 step, i64 count, const float *__restrict w, i64 n) {
    i64 k = 0;
    for (; k + 4 <= count; k += 4, w += 4 * n) {
        float a = x[k * step], b = x[(k + 1) * step], c = x[(k + 2) * step], d = x[(k + 3) * step];
        for (i64 j = 0; j < n; j++) sum[j] = sum[j] + a * w[j] + b * w[n + j] + c * w[2 * n + j] + d * w[3 * n + j];
    }
    for (; k < count; k++, w += n)
        for (i64 j = 0; j < n; j++) sum[j] += x[k * step] * w[j];
}

/* The first layer by values: the linear map of a row is the sum of the products of its values. Row u of `t` is the
   product of value u: its vector v[u] times the weights of its column, which begin at row at[u] of w. */
API void value_products(const float *v, const i64 *at, i64 n, i64 dim, const float *w, float *t, i64 width) {
    memset(t, 0, (size_t)(n * width) * 4);
    for (i64 u = 0; u < n; u++) add_products(t + u * width, v + u * dim, 1, dim, w + at[u] * width, width);
}

/* From the gradient g of t to the gradient of the vectors, and to that of the weights, which is added to grad_w. The
   values are sorted by column. */
API void value_gradients(const float *v, const i64 *at, i64 n, i64 dim, const float *w, const float *g, float *grad_w,
                         float *grad_v, i64 width) {
    for (i64 u = 0, stop; u < n; u = stop) {
        for (stop = u + 1; stop < n && at[stop] == at[u];) stop++;
        for (i64 k = 0; k < dim; k++) {
            add_products(grad_w + (at[u] + k) * width, v + u * dim + k, dim, stop - u, g + u * width, width);
            for (i64 i = u; i < stop; i++)
                grad_v[i * dim + k] = inner(g + i * width, (const char *)w, (at[u] + k) * width, width, 0);
        }
    }
}

/* Not inlined: otherwise compilers exchange the loops, and it takes ten times as long. */
APART void add(float *__restrict sum, const float *__restrict x, i64 n) {
    for (i64 j = 0; j < n; j++) sum[j] += x[j];
}

INLINE void gather(const int32_t *codes, i64 fields, const float *t, i64 width, void *z, i64 at, i64 n, int bf16) {
    float sum[TILE];
    for (i64 j = 0; j < n; j++) sum[j] = get(z, at + j, bf16);
    for (i64 f = 0; f < fields; f++) add(sum, t + codes[f] * width, n);
    for (i64 j = 0; j < n; j++) set(z, at + j, sum[j], bf16);
}

/* Adds to n columns of each row of z the rows of t given by its codes. */
API void add_values(const int32_t *codes, i64 rows, i64 fields, const float *t, i64 width, void *z, i64 row, i64 n, i64 bf16) {
    for (i64 c = 0; c < n; c += TILE)
        for (i64 b = 0; b < rows; b++) {
            if (bf16) gather(codes + b * fields, fields, t + c, width, z, b * row + c, smaller(TILE, n - c), 1);
            else gather(codes + b * fields, fields, t + c, width, z, b * row + c, smaller(TILE, n - c), 0);
        }
}

/* Backward pass: adds each row of d to the rows of g given by its codes. */
API void add_to_values(const int32_t *codes, i64 rows, i64 fields, float *g, i64 width, const void *d, i64 row, i64 n, i64 bf16) {
    float x[TILE];
    for (i64 c = 0; c < n; c += TILE)
        for (i64 b = 0; b < rows; b++) {
            i64 m = smaller(TILE, n - c);
            if (bf16) for (i64 j = 0; j < m; j++) x[j] = get(d, b * row + c + j, 1);
            else memcpy(x, (const float *)d + b * row + c, (size_t)m * 4);
            for (i64 f = 0; f < fields; f++) add(g + codes[b * fields + f] * width + c, x, m);
        }
}

#define SCATTER(NAME, CODE)                                                                                            \
    /* Adds each of n vectors to the row of the table given by its code. */                                            \
    API void NAME(const CODE *codes, const float *grads, float *table, i64 n, i64 width) {                             \
        for (i64 i = 0; i < n; i++)                                                                                    \
            for (i64 j = 0; j < width; j++) table[(i64)codes[i] * width + j] += grads[i * width + j];                  \
    }
SCATTER(scatter_add_32, int32_t)
SCATTER(scatter_add_64, int64_t)

/* The transpose of a float32 matrix, tile by tile. */
API void transpose(const float *__restrict x, i64 row, i64 rows, i64 columns, float *__restrict out) {
    enum { SIDE = 16 };
    for (i64 c = 0; c < columns; c += SIDE)
        for (i64 r = 0; r < rows; r += SIDE) {
            i64 n = smaller(SIDE, rows - r), m = smaller(SIDE, columns - c);
            if (n == SIDE && m == SIDE) {
                float tile[SIDE][SIDE];
                for (int i = 0; i < SIDE; i++) memcpy(tile[i], x + (r + i) * row + c, sizeof tile[i]);
                for (int j = 0; j < SIDE; j++)
                    for (int i = 0; i < SIDE; i++) out[(c + j) * rows + r + i] = tile[i][j];
            } else
                for (i64 j = c; j < c + m; j++)
                    for (i64 i = r; i < r + n; i++) out[j * rows + i] = x[i * row + j];
        }
}

/* A step of Adam for n numbers, and an update of the average of the weights, which may be null. Mirrors core.Adam. */
typedef struct {
    float keep1, keep2, eps, size, root, shrink, pull, newest; /* keep is 1 - beta */
} Adam;

APART void step(const Adam *o, float *__restrict w, const float *__restrict g, float *__restrict m,
                float *__restrict v, float *__restrict average, i64 n) {
    for (i64 i = 0; i < n; i++) {
        float x = g[i] + o->pull * w[i];
        float first = m[i] + (x - m[i]) * o->keep1, second = v[i] + (x * x - v[i]) * o->keep2;
        m[i] = first, v[i] = second;
        w[i] = o->shrink * w[i] - o->size * first / (sqrtf(second) / o->root + o->eps);
    }
    if (average)
        for (i64 i = 0; i < n; i++) average[i] += (w[i] - average[i]) * o->newest;
}

/* The first moment of a row that is in no batch shrinks by a tenth at each step, and would become a denormal number.
   x86 computes many times more slowly with these, so they are flushed to 0 here. */
API void adam(const Adam *o, float *__restrict w, const float *__restrict g, float *__restrict m, float *__restrict v,
              float *__restrict average, i64 n) {
#ifdef HAS_CONTROL
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* results and operands */
#endif
    step(o, w, g, m, v, average, n);
#ifdef HAS_CONTROL
    _mm_setcsr(before);
#endif
}

/* core.py compares this number with its own, and refuses a library of another version. VERSION is that of the
   signatures. */
enum { VERSION = 4 };
API i64 layout(void) { return (VERSION * 1000 + (i64)sizeof(Layer)) * 1000 + (i64)sizeof(Adam); }
