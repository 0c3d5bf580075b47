/* The functions that layers call: a file gets those it needs, each with `net` replaced by its prefix. Arrays are as
   in Python, row by row with the channels last; every function reads its input and writes its output, which is
   another place. `mask` has 1 for a step that is there, NULL where nothing is padding. */

/* z = W x + b for each of `rows` inputs; W is (units, inputs) */
static void net_dense(const float* x, const float* W, const float* b, int rows, int inputs, int units, float* z) {
  for (int r = 0; r < rows; r++, x += inputs, z += units)
    for (int k = 0; k < units; k++) {
      const float* w = W + (size_t)k * inputs;
      float sum = b ? b[k] : 0.0f;
      for (int i = 0; i < inputs; i++) sum += w[i] * x[i];
      z[k] = sum;
    }
}

/* below = W' d unless it is NULL; then W and b move against their gradients d x' and d */
static void net_dense_step(const float* x, const float* d, float* W, float* b, int inputs, int units, float rate,
                           float* below) {
  for (int i = 0; below && i < inputs; i++) below[i] = 0.0f;
  for (int k = 0; k < units; k++) {
    float* w = W + (size_t)k * inputs;
    for (int i = 0; below && i < inputs; i++) below[i] += w[i] * d[k];
    for (int i = 0; i < inputs; i++) w[i] -= rate * d[k] * x[i];
    if (b) b[k] -= rate * d[k];
  }
}

/* z = W^T x + b for each of `rows` inputs; W is (inputs, units) */
static void net_dense_transposed(const float* x, const float* W, const float* b, int rows, int inputs, int units, float* z) {
  for (int r = 0; r < rows; r++, x += inputs, z += units) {
    for (int k = 0; k < units; k++) z[k] = b ? b[k] : 0.0f;
    for (int i = 0; i < inputs; i++)
      for (int k = 0; k < units; k++) z[k] += W[(size_t)i * units + k] * x[i];
  }
}

/* a volume, an image (one plane) or a sequence (one row), and how windows slide over it */
typedef struct {
  int planes, rows, columns, channels, out_planes, out_rows, out_columns, filters;
  int kernel_planes, kernel_rows, kernel_columns, stride_planes, stride_rows, stride_columns;
  int dilation_planes, dilation_rows, dilation_columns, front, top, left, groups;
} net_window;

/* the row that offset m of the rows of a kernel reads in row i of windows, `windows` a plane; -1: none. The planes of a
   volume lie one below the other, as those of the kernel do */
static int net_row(net_window g, int i, int m, int windows, int planes, int rows) {
  if (planes == 1 && g.kernel_planes == 1 && g.front == 0) {
    const int u = i * g.stride_rows + m * g.dilation_rows - g.top;
    return u < 0 || u >= rows ? -1 : u;
  }
  const int t = i / windows * g.stride_planes + m / g.kernel_rows * g.dilation_planes - g.front;
  const int u = i % windows * g.stride_rows + m % g.kernel_rows * g.dilation_rows - g.top;
  return t < 0 || t >= planes || u < 0 || u >= rows ? -1 : t * rows + u;
}

/* z_ij = sum of W_mn x_{si+dm-p, sj+dn-q} + b; W is (filters, kernel rows, kernel columns, channels / groups) */
static void net_conv(const float* x, const float* W, const float* b, net_window g, float* z) {
  const int inner = g.channels / g.groups, outer = g.filters / g.groups, kernel_rows = g.kernel_planes * g.kernel_rows;
  for (int i = 0; i < g.out_planes * g.out_rows; i++)
    for (int j = 0; j < g.out_columns; j++)
      for (int k = 0; k < g.filters; k++) {
        float sum = b ? b[k] : 0.0f;
        for (int m = 0; m < kernel_rows; m++) {
          const int u = net_row(g, i, m, g.out_rows, g.planes, g.rows);
          if (u < 0) continue;
          for (int n = 0; n < g.kernel_columns; n++) {
            const int v = j * g.stride_columns + n * g.dilation_columns - g.left;
            if (v < 0 || v >= g.columns) continue;
            const float* w = W + (((size_t)k * kernel_rows + m) * g.kernel_columns + n) * inner;
            const float* p = x + ((size_t)u * g.columns + v) * g.channels + k / outer * inner;
            for (int c = 0; c < inner; c++) sum += w[c] * p[c];
          }
        }
        *z++ = sum;
      }
}

/* every pixel spreads its kernels; W is (channels, kernel rows, kernel columns, filters / groups) */
static void net_conv_transposed(const float* x, const float* W, const float* b, net_window g, float* z) {
  const int inner = g.channels / g.groups, outer = g.filters / g.groups, kernel_rows = g.kernel_planes * g.kernel_rows;
  for (int p = 0; p < g.out_planes * g.out_rows * g.out_columns; p++)
    for (int k = 0; k < g.filters; k++) z[p * g.filters + k] = b ? b[k] : 0.0f;
  for (int i = 0; i < g.planes * g.rows; i++)
    for (int j = 0; j < g.columns; j++)
      for (int m = 0; m < kernel_rows; m++) {
        const int u = net_row(g, i, m, g.rows, g.out_planes, g.out_rows);
        if (u < 0) continue;
        for (int n = 0; n < g.kernel_columns; n++) {
          const int v = j * g.stride_columns + n * g.dilation_columns - g.left;
          if (v < 0 || v >= g.out_columns) continue;
          for (int c = 0; c < g.channels; c++) {
            const float value = x[((size_t)i * g.columns + j) * g.channels + c];
            const float* w = W + (((size_t)c * kernel_rows + m) * g.kernel_columns + n) * outer;
            float* to = z + ((size_t)u * g.out_columns + v) * g.filters + c / inner * outer;
            for (int k = 0; k < outer; k++) to[k] += value * w[k];
          }
        }
      }
}

/* kind 0: the largest value of every window; 1: the mean; 2: the root of the sum of squares; 3: of their mean;
   4: the p-th root of the sum of absolute values to the power p, in a first pass measured in the largest of them.
   divisor: of a mean, 0: how many values the window has */
static void net_pool(const float* x, net_window g, int kind, float p, float divisor, float* z) {
  const int kernel_rows = g.kernel_planes * g.kernel_rows;
  for (int i = 0; i < g.out_planes * g.out_rows; i++)
    for (int j = 0; j < g.out_columns; j++)
      for (int c = 0; c < g.channels; c++) {
        double sum = kind == 0 ? -INFINITY : 0.0; /* squares may be above float where their root is not */
        float most = 0.0f;
        int count = 0;
        for (int step = kind == 4 ? -kernel_rows : 0; step < kernel_rows; step++)
          for (int n = 0; n < g.kernel_columns; n++) {
            const int m = step < 0 ? step + kernel_rows : step;
            const int u = net_row(g, i, m, g.out_rows, g.planes, g.rows);
            const int v = j * g.stride_columns + n * g.dilation_columns - g.left;
            if (u < 0 || v < 0 || v >= g.columns) continue;
            const float value = x[((size_t)u * g.columns + v) * g.channels + c];
            count++;
            const double unit = most > 0.0f && most < INFINITY ? most : 1.0;
            if (step < 0) most = fmaxf(most, fabsf(value));
            else if (kind == 0) sum = value > sum ? value : sum;
            else sum += kind == 1 ? value : kind == 4 ? pow(fabsf(value) / unit, p) : (double)value * value;
          }
        if (kind == 1 || kind == 3) sum /= divisor != 0.0f ? divisor : count;
        if (kind == 4) sum = pow(sum, 1.0 / p) * (most > 0.0f && most < INFINITY ? most : 1.0);
        *z++ = (float)(kind == 2 || kind == 3 ? sqrt(sum) : sum);
      }
}

/* values of windows back to the largest pixel of each in x, 0 elsewhere */
static void net_unpool(const float* values, const float* x, net_window g, float* z) {
  for (int p = 0; p < g.planes * g.rows * g.columns * g.channels; p++) z[p] = 0.0f;
  for (int i = 0; i < g.out_planes * g.out_rows; i++)
    for (int j = 0; j < g.out_columns; j++)
      for (int c = 0; c < g.channels; c++) {
        size_t best = 0;
        int seen = 0;
        for (int m = 0; m < g.kernel_planes * g.kernel_rows; m++)
          for (int n = 0; n < g.kernel_columns; n++) {
            const int u = net_row(g, i, m, g.out_rows, g.planes, g.rows), v = j * g.stride_columns + n - g.left;
            if (u < 0 || v < 0 || v >= g.columns) continue;
            const size_t at = ((size_t)u * g.columns + v) * g.channels + c;
            if (!seen || x[at] > x[best]) best = at;
            seen = 1;
          }
        if (seen) z[best] = *values;
        values++;
      }
}

/* the mean, or the largest value, of every channel over the positions that are there; 0 where there is none */
static void net_global_pool(const float* x, const float* mask, int positions, int channels, int largest, float* z) {
  for (int c = 0; c < channels; c++) {
    float sum = largest ? -INFINITY : 0.0f;
    int count = 0;
    for (int p = 0; p < positions; p++) {
      if (mask && mask[p] == 0.0f) continue;
      const float value = x[(size_t)p * channels + c];
      count++;
      if (!largest) sum += value;
      else if (value > sum) sum = value;
    }
    z[c] = count == 0 ? 0.0f : largest ? sum : sum / (float)count;
  }
}

/* z = factor x + shift, channel by channel */
static void net_scale(const float* x, const float* factor, const float* shift, int positions, int channels, float* z) {
  for (int p = 0; p < positions; p++)
    for (int c = 0; c < channels; c++, x++, z++) *z = factor[c] * *x + shift[c];
}

/* x of each group of channels over `positions` by its mean and variance (centred), or by its root mean square */
static void net_normalise(const float* x, const float* gamma, const float* beta, int positions, int channels, int groups,
                          float epsilon, int centred, float* z) {
  const int width = channels / groups;
  for (int g = 0; g < groups; g++) {
    const float count = (float)(positions * width);
    float mean = 0.0f, variance = 0.0f;
    for (int p = 0; centred && p < positions; p++)
      for (int c = g * width; c < (g + 1) * width; c++) mean += x[(size_t)p * channels + c];
    mean /= count;
    for (int p = 0; p < positions; p++)
      for (int c = g * width; c < (g + 1) * width; c++) {
        const float d = x[(size_t)p * channels + c] - mean;
        variance += d * d;
      }
    const float root = sqrtf(variance / count + epsilon);
    for (int p = 0; p < positions; p++)
      for (int c = g * width; c < (g + 1) * width; c++) {
        const float normal = (x[(size_t)p * channels + c] - mean) / root;
        z[(size_t)p * channels + c] = (gamma ? gamma[c] : 1.0f) * normal + (beta ? beta[c] : 0.0f);
      }
  }
}

/* x (k + share sum of x^2)^-power, over the channels from `before` in front of each to `after` behind it */
static void net_local_norm(const float* x, int positions, int channels, int before, int after, float share, float k,
                           float power, float* z) {
  for (int p = 0; p < positions; p++, x += channels, z += channels)
    for (int c = 0; c < channels; c++) {
      float sum = 0.0f;
      for (int j = c < before ? 0 : c - before; j < channels && j <= c + after; j++) sum += x[j] * x[j];
      z[c] = x[c] * powf(k + share * sum, -power);
    }
}

/* e^{z_k} over their sum, of each row; the largest is subtracted first */
static void net_softmax(const float* z, int rows, int features, float* a) {
  for (int r = 0; r < rows; r++, z += features, a += features) {
    float largest = z[0], sum = 0.0f;
    for (int k = 1; k < features; k++)
      if (z[k] > largest) largest = z[k];
    for (int k = 0; k < features; k++) sum += a[k] = expf(z[k] - largest);
    for (int k = 0; k < features; k++) a[k] /= sum;
  }
}

/* the logarithm of that: z_k - log of the sum, without the largest's e^0 = 1 in it */
static void net_log_softmax(const float* z, int rows, int features, float* a) {
  for (int r = 0; r < rows; r++, z += features, a += features) {
    int winner = 0;
    float rest = 0.0f;
    for (int k = 1; k < features; k++)
      if (z[k] > z[winner]) winner = k;
    const float largest = z[winner];
    for (int k = 0; k < features; k++)
      if (k != winner) rest += expf(z[k] - largest);
    rest = log1pf(rest);
    for (int k = 0; k < features; k++) a[k] = z[k] - largest - rest;
  }
}

/* z where z > 0, alpha z elsewhere */
static void net_prelu(const float* z, const float* alpha, int positions, int channels, float* a) {
  for (int p = 0; p < positions; p++)
    for (int c = 0; c < channels; c++, z++, a++) *a = *z > 0.0f ? *z : alpha[c] * *z;
}

/* z = a + b */
static void net_add(const float* a, const float* b, int size, float* z) {
  for (int i = 0; i < size; i++) z[i] = a[i] + b[i];
}

/* the channels of x into those of z from `first` on */
static void net_beside(const float* x, int positions, int channels, int first, int all, float* z) {
  for (int p = 0; p < positions; p++)
    for (int c = 0; c < channels; c++) z[(size_t)p * all + first + c] = x[(size_t)p * channels + c];
}

/* the row of E of every id; an id outside of the vocabulary, and padding, gives zeros */
static void net_embedding(const float* x, const float* E, int count, int vocabulary, int features, int padding, float* mask,
                          float* z) {
  for (int t = 0; t < count; t++, z += features) {
    const int id = x[t] >= 0.0f && x[t] < (float)vocabulary ? (int)x[t] : -1;
    const int there = id >= 0 && id != padding;
    for (int k = 0; k < features; k++) z[k] = there ? E[(size_t)id * features + k] : 0.0f;
    if (mask) mask[t] = id != padding ? 1.0f : 0.0f;
  }
}

/* every pixel from that of a row and a column of x, 0 where either is below 0 */
static void net_pick(const float* x, const int* rows, const int* columns, int height, int width, int channels, int x_width,
                     float* z) {
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++, z += channels)
      for (int c = 0; c < channels; c++)
        z[c] = rows[i] < 0 || columns[j] < 0 ? 0.0f : x[((size_t)rows[i] * x_width + columns[j]) * channels + c];
}

/* every pixel between two rows and two columns of x, of each second one its share */
static void net_between(const float* x, const int* rows, const int* next_rows, const float* row_share, const int* columns,
                        const int* next_columns, const float* column_share, int height, int width, int channels, int x_width,
                        float* z) {
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++, z += channels)
      for (int c = 0; c < channels; c++) {
        const float *above = x + (size_t)rows[i] * x_width * channels + c,
                    *below = x + (size_t)next_rows[i] * x_width * channels + c;
        const int left = columns[j] * channels, right = next_columns[j] * channels;
        const float u = row_share[i], v = column_share[j];
        z[c] = (1.0f - u) * ((1.0f - v) * above[left] + v * above[right]) + u * ((1.0f - v) * below[left] + v * below[right]);
      }
}

/* blocks of r x r pixels from r * r channels that lie side by side */
static void net_shuffle(const float* x, int height, int width, int channels, int r, float* z) {
  const int made = channels / (r * r);
  for (int i = 0; i < height * r; i++)
    for (int j = 0; j < width * r; j++)
      for (int c = 0; c < made; c++)
        z[((size_t)i * width * r + j) * made + c] =
            x[((size_t)(i / r) * width + j / r) * channels + (c * r + i % r) * r + j % r];
}

/* along one axis every place as a sum of others: those in front of ends[u], each with its weight */
static void net_along(const float* x, const int* ends, const int* places, const float* weights, int outer, int size, int made,
                      int inner, float* z) {
  for (int o = 0; o < outer; o++, x += (size_t)size * inner)
    for (int u = 0, n = 0; u < made; u++, z += inner) {
      for (int i = 0; i < inner; i++) z[i] = 0.0f;
      for (; n < ends[u]; n++)
        for (int i = 0; i < inner; i++) z[i] += weights[n] * x[(size_t)places[n] * inner + i];
    }
}

/* a step whose features all equal `value` is padding */
static void net_masking(const float* x, int steps, int features, float value, float* mask, float* z) {
  for (int t = 0; t < steps; t++, x += features, z += features) {
    mask[t] = 0.0f;
    for (int k = 0; k < features; k++)
      if (x[k] != value) mask[t] = 1.0f;
    for (int k = 0; k < features; k++) z[k] = mask[t] * x[k];
  }
}

/* 1 / (1 + e^-z) */
static float net_sigma(float z) { return 1.0f / (1.0f + expf(-z)); }

/* h after every step, or after the last one. kind 0 to 3: h = f(W x + U h + b), f tanh, relu, sigmoid, identity;
   4: LSTM, z_i, z_f, z_g, z_o one above the other, h and then the cell c; 5: GRU, r, u, n, v the bias of n within
   the reset; 6: GRU that resets in front of U. Of an LSTM V projects what is put out and P holds the peepholes of i, f and
   o. first: the states in front of the first step, NULL for 0; ends: those at the end go behind the others. b, v, V and P
   may be NULL. h holds `size` numbers, `units` without V; work holds `size` and 5 numbers per unit */
static void net_recurrent(const float* x, const float* W, const float* U, const float* b, const float* v, const float* V,
                          const float* P, const float* mask, const float* first, int kind, int steps, int features, int units,
                          int size, int reverse, int every, int ends, float* work, float* out) {
  const int rows = (kind == 4 ? 4 : kind >= 5 ? 3 : 1) * units;
  float *h = work, *c = work + size, *z = work + size + units;
  for (int k = 0; k < size; k++) h[k] = first ? first[k] : 0.0f;
  for (int k = 0; k < units; k++) c[k] = first && kind == 4 ? first[size + k] : 0.0f;
  for (int s = 0; s < steps; s++) {
    const int t = reverse ? steps - 1 - s : s;
    const float* xt = x + (size_t)t * features;
    float* to = out + (size_t)t * size;
    if (mask && mask[t] == 0.0f) {
      for (int k = 0; every && k < size; k++) to[k] = 0.0f;
      continue;
    }
    for (int k = 0; k < rows; k++) {
      float wx = b ? b[k] : 0.0f, uh = 0.0f;
      for (int i = 0; i < features; i++) wx += W[(size_t)k * features + i] * xt[i];
      const float* state = h;
      if (kind == 6 && k >= 2 * units) state = z + 3 * units;
      if (kind == 6 && k == 2 * units)
        for (int i = 0; i < units; i++) z[3 * units + i] = net_sigma(z[i]) * h[i];
      for (int i = 0; i < size; i++) uh += U[(size_t)k * size + i] * state[i];
      if (kind == 5 && k >= 2 * units) {
        z[k + units] = uh + (v ? v[k - 2 * units] : 0.0f);
        uh = 0.0f;
      }
      z[k] = wx + uh;
    }
    for (int k = 0; k < units; k++) {
      if (kind == 0) h[k] = tanhf(z[k]);
      else if (kind == 1) h[k] = z[k] > 0.0f ? z[k] : 0.0f;
      else if (kind == 2) h[k] = net_sigma(z[k]);
      else if (kind == 3) h[k] = z[k];
      else if (kind == 4) {
        const float i = net_sigma(z[k] + (P ? P[k] * c[k] : 0.0f));
        const float f = net_sigma(z[units + k] + (P ? P[units + k] * c[k] : 0.0f));
        c[k] = f * c[k] + i * tanhf(z[2 * units + k]);
        const float o = net_sigma(z[3 * units + k] + (P ? P[2 * units + k] * c[k] : 0.0f));
        (V ? z : h)[k] = o * tanhf(c[k]);
      } else {
        const float u = net_sigma(z[units + k]), reset = kind == 6 ? 0.0f : net_sigma(z[k]) * z[3 * units + k];
        h[k] = u * h[k] + (1.0f - u) * tanhf(z[2 * units + k] + reset);
      }
    }
    for (int k = 0; V && k < size; k++) {
      h[k] = 0.0f;
      for (int i = 0; i < units; i++) h[k] += V[(size_t)k * units + i] * z[i];
    }
    for (int k = 0; every && k < size; k++) to[k] = h[k];
  }
  for (int k = 0; !every && k < size; k++) out[k] = h[k];
  out += (size_t)(every ? steps : 1) * size;
  for (int k = 0; ends && k < size; k++) out[k] = h[k];
  for (int k = 0; ends && kind == 4 && k < units; k++) out[size + k] = c[k];
}

/* Features k and k + size / 2 of every head turned by the angle of the step, in place. */
static void net_turn(float* x, const float* cosines, const float* sines, int steps, int heads, int size) {
  const int half = size / 2;
  for (int t = 0; t < steps; t++)
    for (int head = 0; head < heads; head++, x += size)
      for (int k = 0; k < half; k++) {
        const float a = x[k], b = x[k + half], c = cosines[t * half + k], s = sines[t * half + k];
        x[k] = a * c - b * s;
        x[k + half] = b * c + a * s;
      }
}

/* softmax(Q K' / root(size)) V of each head, `shared` of which read the same keys; Q and out are (queries, features), seen is
   (queries, keys), work holds `keys` numbers. more_key and more_value are a key and a value that every query sees, zero says
   that there are such of zeros; distances (queries, keys) says which of `count` numbers of a head is added to a score. Each
   may be NULL */
static void net_attention(const float* Q, const float* K, const float* V, const float* mask, const float* seen,
                          const float* more_key, const float* more_value, int zero, const int* distances, const float* numbers,
                          int count, int queries, int keys, int features, int heads, int shared, int causal, float* work,
                          float* out) {
  const int size = features / heads, row = features / shared;
  for (int head = 0; head < heads; head++)
    for (int i = 0; i < queries; i++) {
      const float* q = Q + (size_t)i * features + head * size;
      float *o = out + (size_t)i * features + head * size, largest = zero ? 0.0f : -INFINITY, sum = 0.0f, more = 0.0f;
      for (int j = 0; j < keys; j++) {
        const float* k = K + (size_t)j * row + head / shared * size;
        work[j] = -INFINITY;
        if ((causal && j > i) || (mask && mask[j] == 0.0f) || (seen && seen[(size_t)i * keys + j] == 0.0f)) continue;
        work[j] = 0.0f;
        for (int n = 0; n < size; n++) work[j] += q[n] * k[n];
        work[j] /= sqrtf((float)size);
        if (distances) work[j] += numbers[(size_t)head * count + distances[(size_t)i * keys + j]];
        if (work[j] > largest) largest = work[j];
      }
      for (int n = 0; more_key && n < size; n++) more += q[n] * more_key[head / shared * size + n] / sqrtf((float)size);
      if (more_key && more > largest) largest = more;
      if (more_key) more = expf(more - largest);
      if (zero) sum = expf(-largest);
      sum += more;
      for (int n = 0; n < size; n++) o[n] = more_value ? more * more_value[head / shared * size + n] : 0.0f;
      for (int j = 0; j < keys; j++) {
        const float* v = V + (size_t)j * row + head / shared * size;
        if (work[j] == -INFINITY) continue;
        const float weight = expf(work[j] - largest);
        sum += weight;
        for (int n = 0; n < size; n++) o[n] += weight * v[n];
      }
      for (int n = 0; sum > 0.0f && n < size; n++) o[n] /= sum;
    }
}
